/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdbool.h>
#include <cmocka.h>

#include "util/clock.h"
#include "util/median.h"

static void test_median(void **state)
{
	double odd[] = {7, 1, 3}, even[] = {4, 1, 10, 2}, one[] = {-5};

	(void)state;
	assert_true(median(odd, 3) == 3);
	assert_true(median(even, 4) == 3);
	assert_true(median(one, 1) == -5);
	assert_true(isnan(median(one, 0)));
	assert_true(even[0] == 1 && even[3] == 10);
}

static void test_clock(void **state)
{
	uint64_t before = clock_now();
	struct timespec t;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &t);
	assert_true((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec >= before);
	assert_true(clock_now() - before < 10000000000u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

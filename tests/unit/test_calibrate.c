/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_helper.h"

#include <math.h>
#include <time.h>

#include "bpf/cache.h"
#include "bpf/calibrate.h"

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void test_classes_are_measured(void **state)
{
	struct hit_cost cost;
	struct diag *d = diag_new();
	double start;
	int c;

	(void)state;
	need_bpf();
	start = now_ms();
	assert_int_equal(calibrate_hits(NULL, &cost, d), 0);
	print_message("calibrated in %.1f ms\n", now_ms() - start);
	for (c = 0; c < HIT_CLASS_COUNT; c++) {
		print_message("%s: %.0f ns\n", hit_class_name(c), cost.ns[c]);
		/* A trap and back is never below 50 ns nor, without a debugger, above 1 ms. */
		assert_true(cost.ns[c] > 50 && cost.ns[c] < 1e6);
	}
	diag_free(d);
}

static void test_second_time_comes_from_the_cache(void **state)
{
	char dir[] = "/tmp/llmprobe-test-XXXXXX";
	struct hit_cost first, second;
	struct diag *d = diag_new();
	char *command;

	(void)state;
	need_bpf();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(calibrate_hits(dir, &first, d), 0);
	assert_int_equal(calibrate_hits(dir, &second, d), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	command = xasprintf("rm -r %s", dir);
	assert_int_equal(system(command), 0);
	free(command);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes_are_measured),
		cmocka_unit_test(test_second_time_comes_from_the_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

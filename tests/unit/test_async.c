/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "trace/async.h"

enum { GPU = 0x10, CPU = 0x20, PID = 7 };

static void test_ends_come_from_waits_and_next_graphs(void **state)
{
	struct graph_span g[] = {
		{.begin = 100, .end = 110, .pid = PID, .backend_addr = GPU},
		{.begin = 150, .end = 160, .pid = PID, .backend_addr = CPU},
		{.begin = 200, .end = 210, .pid = PID, .backend_addr = GPU},
		{.begin = 300, .end = 310, .pid = PID, .backend_addr = GPU},
		{.begin = 400, .end = 410, .pid = PID, .backend_addr = GPU},
		{.begin = 420, .end = 430, .pid = PID + 1, .backend_addr = GPU},
	};
	const bool is_async[] = {true, false, true, true, true, true};
	int64_t submitted[6];
	struct async_waits *a = async_new();

	(void)state;
	async_wait(a, PID, GPU, 320);
	async_wait(a, PID, GPU, 140);
	async_wait(a, PID, CPU, 170);
	async_close(a, g, 6, is_async, submitted);
	assert_int_equal(g[0].end, 140);
	assert_int_equal(submitted[0], 110);
	assert_int_equal(g[1].end, 160);
	assert_int_equal(submitted[1], 0);
	assert_int_equal(g[2].end, 300);
	assert_int_equal(submitted[2], 210);
	assert_int_equal(g[3].end, 320);
	/* Nobody waited for these. */
	assert_int_equal(g[4].end, 410);
	assert_int_equal(submitted[4], 0);
	assert_int_equal(g[5].end, 430);
	async_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_come_from_waits_and_next_graphs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

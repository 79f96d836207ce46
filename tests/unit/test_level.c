/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "level/level.h"
#include "probes/state.h"

static void test_names_and_ids_agree(void **state)
{
	(void)state;
	for (int i = 0; i < LEVEL_COUNT; i++)
		assert_int_equal(level_by_name(level_name(i)), i);
	assert_int_equal(level_by_name("tokens"), -1);
	assert_null(level_get(LEVEL_COUNTERS));
	assert_null(level_get(LEVEL_COUNT));
}

static void test_a_level_knows_its_id(void **state)
{
	(void)state;
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (level_get(i))
			assert_int_equal(level_get(i)->id, i);
}

/* The ring buffer's records and the spool are read with these sizes. */
static void test_records_are_multiples_of_eight(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct rec_head), 24);
	assert_int_equal(sizeof(struct op_slot), 40);
	assert_int_equal(sizeof(struct rec_token) % 8, 0);
	assert_int_equal(sizeof(struct rec_graph) % 8, 0);
	assert_int_equal(sizeof(struct rec_tensor) % 8, 0);
	assert_int_equal(sizeof(struct rec_ops) % 8, 0);
	assert_int_equal(sizeof(struct rec_switch) % 8, 0);
	assert_int_equal(sizeof(struct rec_wakeup) % 8, 0);
	assert_int_equal(sizeof(struct rec_expert) % 8, 0);
	assert_int_equal(sizeof(struct rec_call) % 8, 0);
	assert_int_equal(sizeof(struct rec_backend) % 8, 0);
}

/* One record is sent as head and batch together. */
static void test_a_batch_follows_its_head(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct thread_state, batch),
			 offsetof(struct thread_state, head) + sizeof(struct rec_ops));
}

static void test_events_belong_to_levels(void **state)
{
	(void)state;
	assert_true(level_event_find(&level_graph, "call_begin")->open_args);
	assert_non_null(level_event_find(&level_operator, "call_end"));
	assert_null(level_event_find(&level_token, "call_end"));
	assert_null(level_event_find(&level_graph, "op_begin"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_ids_agree),
		cmocka_unit_test(test_a_level_knows_its_id),
		cmocka_unit_test(test_records_are_multiples_of_eight),
		cmocka_unit_test(test_events_belong_to_levels),
		cmocka_unit_test(test_a_batch_follows_its_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

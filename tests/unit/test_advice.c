/* SPDX-License-Identifier: Apache-2.0 */
/* What report says of runs that lack something, and whom it blames. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#include "view_fixture.h"
#include "util/text.h"
#include "view/culprit.h"
#include "view/summary/summary.h"

static char *report_of(sqlite3 *db, bool json)
{
	struct diag *d = diag_new();
	struct view_opts o = {.json = json};
	char *text;
	int rc;

	text = fixture_print(&view_report, db, NULL, &o, &rc, d);
	assert_int_equal(rc, 0);
	diag_free(d);
	return text;
}

static void assert_says(sqlite3 *db, const char *what)
{
	char *text = report_of(db, false);

	if (!strstr(text, what))
		print_error("no '%s' in:\n%s\n", what, text);
	assert_non_null(strstr(text, what));
	free(text);
}

static void who_had_the_cpu(void **state)
{
	(void)state;
	assert_true(culprit_first_share("a", "b") == 0.5);
	assert_true(culprit_first_share("a", "") == 1);
	assert_true(culprit_first_share(NULL, "b") == 0);
	assert_true(culprit_first_share("", NULL) == 1);
	/* A thread of the kernel soon leaves the CPU to the task that keeps it. */
	assert_true(culprit_first_share("rcu_preempt", "busyloop") == 0);
	assert_true(culprit_first_share("busyloop", "rcu_preempt") == 0.5);
	assert_true(culprit_first_share("kworker/0:1", "rcu_preempt") == 0.5);
	assert_true(culprit_is_kernel("ksoftirqd/3"));
	assert_false(culprit_is_kernel("krunner"));
}

/* A decode of 100 ns on two workers, of whom one waits 80 ns for a CPU; who had it follows. */
static sqlite3 *starved(const char *rows)
{
	sqlite3 *db = fixture_empty();

	fixture_exec(
		db,
		"INSERT INTO token_t(id, begin_ns, end_ns, pid, tid, context, phase, n_tokens,"
		" first_op) VALUES(1, 0, 100, 1, 1, 1, 'decode', 1, 1);"
		"INSERT INTO graph_t(id, token_id, begin_ns, end_ns, depth, first_op) VALUES(1, 1,"
		" 0, 100, 0, 1);"
		"INSERT INTO thread_t(tid, pid, name) VALUES(1, 1, 'engine'), (2, 1, 'engine');"
		"INSERT INTO tensor_t(id, name, op, flops, bytes) VALUES(1, 'm', 'MUL_MAT', 10, 5);"
		"INSERT INTO op_t(id, token_id, graph_id, tensor_id, tid, thread_index, begin_ns,"
		" compute_ns, wait_ns) VALUES(1, 1, 1, 1, 1, 0, 0, 90, 10), (2, 1, 1, 1, 2, 1, 0,"
		" 90, 10);"
		"INSERT INTO op_phase_t VALUES('decode', 1, 1, 0, 1, 90, 10, 1, 90, 90), ('decode',"
		" 1, 2, 1, 1, 90, 10, 1, 90, 90);");
	fixture_exec(db, rows);
	return db;
}

static const struct {
	const char *rows, *text, *measure;
} blames[] = {
	/* Half of the first, half of the last. */
	{"INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm, prev_tid, prev_comm)"
	 " VALUES(2, 10, 90, 'runnable', 9, 'busyloop', NULL, NULL), (2, 90, 100, 'running', NULL,"
	 " NULL, 1, 'engine')",
	 "busyloop had it for 40 ns of those 80 ns, the target's own threads for 40 ns",
	 "stop busyloop, move it to another core"},
	/* A kernel thread that came first had next to nothing. */
	{"INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm, prev_tid, prev_comm)"
	 " VALUES(2, 10, 90, 'runnable', 15, 'rcu_preempt', NULL, NULL), (2, 90, 100, 'running',"
	 " NULL, NULL, 9, 'busyloop')",
	 "busyloop had it for 80 ns of those 80 ns", "stop busyloop, move it to another core"},
	{"INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm) VALUES(2, 10, 90,"
	 " 'runnable', 15, 'kworker/0:1')",
	 "kworker/0:1 had it for 80 ns of those 80 ns",
	 "the kernel's kworker/0:1 takes it: leave it a core"},
	{"INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm) VALUES(2, 10, 90,"
	 " 'runnable', 15, 'llmprobe')",
	 "llmprobe had it for 80 ns", "llmprobe itself takes it: leave it a core"},
	{"INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm) VALUES(2, 10, 90,"
	 " 'runnable', 1, 'engine')",
	 "the target's own engine threads had it for 80 ns of those 80 ns",
	 "because of other threads of the target: use fewer threads"},
	/* The target's threads crowd where a stranger has a core. */
	{"INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm) VALUES(2, 10, 70,"
	 " 'runnable', 1, 'engine'), (2, 70, 90, 'runnable', 9, 'busyloop')",
	 "the target's own engine threads had it for 60 ns of those 80 ns, busyloop for 20 ns",
	 "stop busyloop, whose core the target's threads leave for each other's"},
	{"INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm) VALUES(2, 10, 30,"
	 " 'runnable', 9, 'a'), (2, 30, 50, 'runnable', 10, 'b'), (2, 50, 70, 'runnable', 11, 'c'),"
	 " (2, 70, 91, 'runnable', 12, 'd')",
	 "d had it for 21 ns of those 81 ns, other tasks for 60 ns",
	 "many tasks share the CPUs, d most of all"},
};

static void blames_who_took_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(blames); i++) {
		sqlite3 *db = starved(blames[i].rows);

		assert_says(db, blames[i].text);
		assert_says(db, blames[i].measure);
		sqlite3_close(db);
	}
}

/* The table of tasks shares the time as the findings do. */
static void the_table_agrees(void **state)
{
	sqlite3 *db = starved(blames[1].rows);
	char *text = report_of(db, true);
	cJSON *j = cJSON_Parse(text), *tasks = cJSON_GetObjectItem(j, "culprits");

	(void)state;
	assert_int_equal(cJSON_GetArraySize(tasks), 1);
	assert_string_equal(
		cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(tasks, 0), "task")),
		"busyloop");
	assert_true(cJSON_GetNumberValue(
			    cJSON_GetObjectItem(cJSON_GetArrayItem(tasks, 0), "total_ns")) == 80);
	cJSON_Delete(j);
	free(text);
	sqlite3_close(db);
}

/* A program that is no LLM makes no calls; its operators are told of all the same. */
static void work_outside_of_calls(void **state)
{
	sqlite3 *db = fixture_empty();
	cJSON *j, *phase;
	char *text;

	(void)state;
	fixture_exec(db,
		     "INSERT INTO graph_t(id, begin_ns, end_ns, depth, first_op) VALUES(1, 0, 100,"
		     " 0, 1);"
		     "INSERT INTO tensor_t(id, name, op, flops, bytes) VALUES(1, 'm', 'MUL_MAT',"
		     " 1000, 2000);"
		     "INSERT INTO op_t(id, graph_id, tensor_id, tid, thread_index, begin_ns,"
		     " compute_ns, wait_ns) VALUES(1, 1, 1, 1, 0, 0, 100, 0);"
		     "INSERT INTO op_phase_t VALUES('', 1, 1, 0, 1, 100, 0, 1, 100, 100)");
	assert_says(db, "work outside of calls is memory-bound");
	assert_says(db, "20 GB/s, 10 GFLOP/s, 0.5 flop/byte");
	assert_says(db, "work outside of calls: by operator");
	text = report_of(db, true);
	j = cJSON_Parse(text);
	phase = cJSON_GetObjectItem(cJSON_GetObjectItem(j, "phases"), "outside");
	assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(phase, "compute_ns")) == 100);
	cJSON_Delete(j);
	free(text);
	/* Beside calls, a graph that the begin of the recording cut is not worth a word. */
	fixture_exec(db,
		     "INSERT INTO token_t(id, begin_ns, end_ns, phase, n_tokens) VALUES(1, 0, 9,"
		     " 'decode', 1);"
		     "INSERT INTO op_phase_t VALUES('decode', 1, 1, 0, 1, 99999, 0, 1, 100, 100)");
	text = report_of(db, false);
	assert_null(strstr(text, "outside of calls"));
	free(text);
	sqlite3_close(db);
}

/* Most is done by a backend that cannot be looked into: no words about what the CPU's rest does. */
static void another_backend(void **state)
{
	sqlite3 *db = fixture_empty();
	struct summary s;
	struct diag *d = diag_new();

	(void)state;
	fixture_exec(
		db, "INSERT INTO token_t(id, begin_ns, end_ns, pid, context, phase, n_tokens,"
		    " first_op) VALUES(1, 0, 1000, 1, 1, 'decode', 1, 1);"
		    "INSERT INTO graph_t(id, token_id, begin_ns, end_ns, depth, backend, first_op)"
		    " VALUES(1, 1, 0, 900, 0, 'Vulkan', NULL), (2, 1, 900, 1000, 0, 'CPU', 1);"
		    "INSERT INTO tensor_t(id, name, op, flops, bytes) VALUES(1, 'm', 'GET_ROWS', 0,"
		    " 8);"
		    "INSERT INTO op_t(id, token_id, graph_id, tensor_id, tid, thread_index,"
		    " begin_ns, compute_ns, wait_ns) VALUES(1, 1, 2, 1, 1, 0, 900, 50, 0);"
		    "INSERT INTO op_phase_t VALUES('decode', 1, 1, 0, 1, 50, 0, 1, 50, 50);"
		    "INSERT INTO cost_t VALUES(0, 1000, 'operator', 2, 40, 50)");
	assert_says(db, "decode is backend-bound");
	assert_says(db,
		    "Vulkan computes 90.0 % of the time of all graphs; on the CPU: data movement"
		    " 100.0 %");
	assert_int_equal(summary_make(db, &(struct view_opts){0}, &s, d), 0);
	assert_true(fabs(s.cost_share - 50.0 / 1000) < 1e-12);
	summary_free(&s);
	diag_free(d);
	sqlite3_close(db);
}

static void nothing_to_judge(void **state)
{
	sqlite3 *db = fixture_empty();
	cJSON *j, *missing;
	char *text;

	(void)state;
	fixture_exec(db, "INSERT INTO graph_t(id, begin_ns, end_ns, depth) VALUES(1, 0, 100, 0)");
	assert_says(db, "what binds is not known: neither calls nor operators were recorded");
	text = report_of(db, true);
	j = cJSON_Parse(text);
	missing = cJSON_GetObjectItem(j, "not_recorded");
	assert_int_equal(cJSON_GetArraySize(missing), 3);
	assert_string_equal(
		cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(missing, 1), "why")),
		"the operator level was off");
	cJSON_Delete(j);
	free(text);
	sqlite3_close(db);
}

/* Long operators that use hardly anything of the peaks: those who wait are what binds. */
static void idle_is_not_compute_bound(void **state)
{
	static const char peaks[] =
		"INSERT INTO run_t VALUES('peaks', 'name: p\nsource: s\npeaks:\n"
		"  - {threads: 1, gbs: 100, gflops: 1000}\n')";
	sqlite3 *db = fixture_empty();
	struct summary s;
	struct diag *d = diag_new();

	(void)state;
	fixture_exec(db, peaks);
	fixture_exec(
		db,
		"INSERT INTO token_t(id, begin_ns, end_ns, phase, n_tokens, first_op) VALUES(1,"
		" 0, 1000000, 'prefill', 8, 1);"
		"INSERT INTO graph_t(id, token_id, begin_ns, end_ns, depth, first_op) VALUES(1, 1,"
		" 0, 1000000, 0, 1);"
		"INSERT INTO tensor_t(id, name, op, flops, bytes) VALUES(1, 'm', 'MUL_MAT',"
		" 1000000, 1000);"
		"INSERT INTO op_t(id, token_id, tensor_id, tid, compute_ns, wait_ns) VALUES(1, 1,"
		" 1, 1, 770000, 230000), (2, 1, 1, 2, 770000, 230000);"
		"INSERT INTO op_phase_t VALUES('prefill', 1, 1, 0, 1, 770000, 230000, 1, 0, 0),"
		" ('prefill', 1, 2, 1, 1, 770000, 230000, 1, 0, 0);"
		"INSERT INTO sched_t(tid, begin_ns, end_ns, state) VALUES(1, 0, 150000,"
		" 'runnable'), (2, 0, 150000, 'runnable')");
	assert_int_equal(summary_make(db, &(struct view_opts){0}, &s, d), 0);
	assert_int_equal(summary_side(&s.phase[SUM_PREFILL]), BOUND_COMPUTE);
	assert_int_equal(s.phase[SUM_PREFILL].bound, BOUND_SCHED);
	summary_free(&s);
	/* With their CPUs, the waiting alone does not explain it. */
	fixture_exec(db, "DELETE FROM sched_t");
	assert_int_equal(summary_make(db, &(struct view_opts){0}, &s, d), 0);
	assert_int_equal(s.phase[SUM_PREFILL].bound, BOUND_COMPUTE);
	summary_free(&s);
	diag_free(d);
	sqlite3_close(db);
}

/* Peaks that were measured on a busy machine are passed by the run itself. */
static void more_than_a_peak(void **state)
{
	sqlite3 *db =
		starved("UPDATE tensor_t SET weight_bytes = 3000; INSERT INTO run_t"
			" VALUES('peaks', 'name: p\nsource: s\npeaks:\n  - {threads: 2, gbs: 20,"
			" gflops: 1000}\n')");

	(void)state;
	assert_says(db, "decode uses 150 % of a peak, which cannot be");
	assert_says(db, "run llmprobe calibrate when the machine is idle");
	sqlite3_close(db);
}

static void tells_what_was_left_out(void **state)
{
	sqlite3 *db = fixture_empty();

	(void)state;
	fixture_exec(db, "INSERT INTO run_t VALUES('config', 'levels.operator: true\n"
			 "operators.include: [\"MUL_MAT\"]\nforce: true\n')");
	assert_says(db, "only some operators were recorded ([\"MUL_MAT\"])");
	fixture_exec(db, "UPDATE run_t SET value = 'operators.include: [\"*\"]\n'");
	char *text = report_of(db, false);

	assert_null(strstr(text, "only some operators"));
	free(text);
	sqlite3_close(db);
}

static void counters_on_the_first_screen(void **state)
{
	sqlite3 *db = starved("INSERT INTO counter_name_t VALUES(1, 'cycles'), (2, 'instructions'),"
			      " (3, 'cache-misses'), (4, 'cache-references'), (5,"
			      " 'stalled-cycles-backend');"
			      "INSERT INTO counter_phase_t VALUES('decode', 1, 0, 1, 1, 1000, 0),"
			      " ('decode', 1, 0, 2, 1, 500, 0), ('decode', 1, 0, 3, 1, 10, 0),"
			      " ('decode', 1, 0, 4, 1, 40, 0), ('decode', 1, 0, 5, 1, 800, 0)");

	(void)state;
	assert_says(db, "counters: instr/cycle 0.50, stalled 80.0 %, mem/instr 8.0 %, cache miss"
			" 25.0 %");
	assert_says(db, "time: matrix products 100.0 %; at barriers 10.0 %; busiest worker +0.0 %");
	sqlite3_close(db);
}

/* What other programs call themselves reaches neither the terminal nor JSON as it is. */
static void names_are_harmless(void **state)
{
	static const char names[] =
		"UPDATE sched_t SET by_comm = CAST(x'1b5b324aff' AS TEXT);"
		"UPDATE tensor_t SET name = CAST(x'1b5b316d0aff' AS TEXT);"
		"INSERT INTO run_t VALUES('command', CAST(x'611b5b324aff' AS TEXT))";
	sqlite3 *db = starved("INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm)"
			      " VALUES(2, 10, 90, 'runnable', 9, 'x')");
	char *text;
	cJSON *j;

	(void)state;
	fixture_exec(db, names);
	text = report_of(db, false);
	assert_null(strchr(text, '\x1b'));
	assert_true(text_is_utf8(text));
	assert_non_null(strstr(text, "?[2J\xef\xbf\xbd had it for 80 ns"));
	free(text);
	text = report_of(db, true);
	assert_true(text_is_utf8(text));
	j = cJSON_Parse(text);
	assert_non_null(j);
	cJSON_Delete(j);
	free(text);
	sqlite3_close(db);
}

/* Thirty decodes of 100 ns, every tenth three times as long because its worker had no CPU. */
static sqlite3 *with_slow_tokens(bool blocked)
{
	sqlite3 *db = fixture_empty();

	for (int i = 1, begin = 0, end = 0; i <= 30; i++, begin = end) {
		bool is_slow = i % 10 == 0;

		end = begin + (is_slow ? 300 : 100);
		char *sql = xasprintf(
			"INSERT INTO token_t(id, begin_ns, end_ns, pid, context, phase, n_tokens,"
			" first_op) VALUES(%d, %d, %d, 1, 1, 'decode', 1, 1);"
			"INSERT INTO graph_t(id, token_id, begin_ns, end_ns, depth) VALUES(%d, %d, "
			"%d,"
			" %d, 0);"
			"INSERT INTO sched_t(tid, begin_ns, end_ns, state, by_tid, by_comm) "
			"VALUES(1,"
			" %d, %d, 'runnable', 9, 'busyloop')",
			i, begin, end, i, i, begin, end, begin,
			begin + (is_slow && blocked ? 210 : 4));

		fixture_exec(db, sql);
		free(sql);
	}
	return db;
}

static void why_tokens_are_slow(void **state)
{
	sqlite3 *db = with_slow_tokens(true);

	(void)state;
	assert_says(db,
		    "in those workers had no CPU for 70.0 % of the time, in the others for 4.0 %");
	assert_says(db, "the slow tokens are those whose workers lost their CPU");
	sqlite3_close(db);
	db = with_slow_tokens(false);
	assert_says(db,
		    "in those workers had no CPU for 1.3 % of the time, in the others for 4.0 %");
	assert_says(db, "look at the slow tokens in timeline");
	sqlite3_close(db);
}

/* What the governor did or a thread's counters missed is told, the user's own switching is not. */
static void notes_are_told(void **state)
{
	sqlite3 *db = fixture_empty();
	char *text;

	(void)state;
	fixture_exec(db,
		     "INSERT INTO run_t VALUES('begin_ns', '1000');"
		     "INSERT INTO note_t VALUES(1500, 'level', 'token on'), (2000, 'governor', 'the"
		     " operator level is off'), (NULL, 'conversion', 'rows have no values');"
		     "INSERT INTO counter_name_t VALUES(1, 'cycles')");
	assert_says(db, "at 1.00 us: the operator level is off");
	assert_says(db, "  -  rows have no values");
	text = report_of(db, false);
	assert_null(strstr(text, "token on"));
	free(text);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_had_the_cpu),
		cmocka_unit_test(blames_who_took_it),
		cmocka_unit_test(the_table_agrees),
		cmocka_unit_test(work_outside_of_calls),
		cmocka_unit_test(another_backend),
		cmocka_unit_test(nothing_to_judge),
		cmocka_unit_test(idle_is_not_compute_bound),
		cmocka_unit_test(more_than_a_peak),
		cmocka_unit_test(tells_what_was_left_out),
		cmocka_unit_test(counters_on_the_first_screen),
		cmocka_unit_test(names_are_harmless),
		cmocka_unit_test(why_tokens_are_slow),
		cmocka_unit_test(notes_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

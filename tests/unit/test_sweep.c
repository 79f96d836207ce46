/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "trace/store.h"
#include "util/buf.h"
#include "view/summary/summary.h"
#include "view/sweep/sweep.h"
#include "view_fixture.h"

static char *const command[] = {(char *)"engine", (char *)"-t{threads}", (char *)"{batch}{threads}",
				(char *)"{json}", NULL};

static void test_combinations_and_commands(void **state)
{
	char *params[] = {(char *)"threads=1,2,4", (char *)"batch=8,16", (char *)"json={\"a\":1}"};
	struct sweep_opts o = {.command = command, .repeat = 1};
	struct diag *d = diag_new();
	struct sweep *s = sweep_new(&o, params, 3, d);
	char **argv;

	(void)state;
	assert_non_null(s);
	assert_int_equal(sweep_combinations(s), 6);
	assert_string_equal(sweep_label(s, 0), "threads=1,batch=8,json={\"a\":1}");
	assert_string_equal(sweep_label(s, 5), "threads=4,batch=16,json={\"a\":1}");
	argv = sweep_argv(s, 3);
	assert_string_equal(argv[1], "-t2");
	assert_string_equal(argv[2], "162");
	assert_string_equal(argv[3], "{\"a\":1}");
	assert_null(argv[4]);
	sweep_argv_free(argv);
	sweep_free(s);
	diag_free(d);
}

static void refused(char *const *params, size_t n, const char *why)
{
	char *const simple[] = {(char *)"engine", (char *)"{threads}", NULL};
	struct sweep_opts o = {.command = simple, .repeat = 1};
	struct diag *d = diag_new();

	assert_null(sweep_new(&o, params, n, d));
	assert_non_null(strstr(diag_first_error(d), why));
	diag_free(d);
}

static void test_bad_parameters_are_named(void **state)
{
	char *near[] = {(char *)"thread=1"}, *unused[] = {(char *)"threads=1", (char *)"ctx=2"};
	char *twice[] = {(char *)"threads=1", (char *)"threads=2"}, *none[] = {(char *)"threads"};

	(void)state;
	refused(near, 1, "did you mean {thread}");
	refused(unused, 2, "'ctx' appears nowhere");
	refused(twice, 2, "given twice");
	refused(none, 1, "NAME=VALUE");
}

/* Stands for the recorder: copies the run that the command names, and counts its calls. */
static void make_recorder(const char *dir, char *path)
{
	FILE *f;

	sprintf(path, "%s/recorder", dir);
	f = fopen(path, "w");
	fprintf(f,
		"#!/bin/sh\n# record --force -o FILE -- engine N\n"
		"echo \"$6 $7\" >> %s/calls\n"
		"[ \"$7\" = 3 ] && cp %s/run1.llmp \"$4\" && exit 5\n"
		"cp %s/run$7.llmp \"$4\"\n",
		dir, dir, dir);
	fclose(f);
	chmod(path, 0755);
}

static void make_runs(const char *dir)
{
	for (int i = 1; i <= 2; i++) {
		sqlite3 *db = fixture_run(10);
		char *sql = sqlite3_mprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;"
					    "UPDATE token_t SET end_ns = begin_ns + %d * id * 1000,"
					    " first_op = 1;"
					    "VACUUM INTO '%s/run%d.llmp'",
					    STORE_APPLICATION_ID, STORE_VERSION, i, dir, i);

		fixture_exec(db, sql);
		sqlite3_free(sql);
		sqlite3_close(db);
	}
}

static int64_t calls(const char *dir)
{
	struct buf text = {0};
	char path[64];
	int64_t lines = 0;

	snprintf(path, sizeof(path), "%s/calls", dir);
	file_read(path, &text, 0);
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	buf_free(&text);
	return lines;
}

static bool stop_after_three(void *ctx)
{
	return ++*(int *)ctx > 3;
}

/* The same run three times: what report says of one, given peaks that make the shares known. */
static void compare_with_report(const char *dir, const struct sweep_result *r, int run)
{
	struct view_opts o = {.peaks = "rk3588"};
	struct diag *d = diag_new();
	struct summary s;
	char path[64];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/run%d.llmp", dir, run);
	db = store_open(path, d);
	assert_non_null(db);
	assert_int_equal(summary_make(db, &o, &s, d), 0);
	assert_float_equal(r->tokens_per_s, s.phase[SUM_DECODE].tokens_per_s, 1e-6);
	assert_float_equal(r->prefill_per_s, s.phase[SUM_PREFILL].tokens_per_s, 1e-6);
	assert_float_equal(r->tpot_p50_ns, s.phase[SUM_DECODE].p50, 1e-6);
	assert_float_equal(r->barrier_share, summary_wait_share(&s.phase[SUM_DECODE]), 1e-9);
	assert_true(s.phase[SUM_PREFILL].mfu > 0);
	assert_float_equal(r->decode_mbu, s.phase[SUM_DECODE].mbu, 1e-9);
	assert_float_equal(r->prefill_mfu, s.phase[SUM_PREFILL].mfu, 1e-9);
	summary_free(&s);
	sqlite3_close(db);
	diag_free(d);
}

static void test_an_interrupted_sweep_goes_on(void **state)
{
	char dir[] = "/tmp/sweep-XXXXXX", recorder[64], folder[64], clean[128];
	char *engine[] = {(char *)"true", (char *)"{n}", NULL};
	char *const params[] = {(char *)"n=1,2,3"};
	struct diag *d = diag_new();
	int asked = 0;
	struct sweep_opts o = {.command = engine,
			       .folder = folder,
			       .repeat = 3,
			       .warmup = 1,
			       .recorder = recorder,
			       .stop = stop_after_three,
			       .ctx = &asked};
	struct sweep_result r[3];
	FILE *sink = fopen("/dev/null", "w");
	struct sweep *s;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(folder, sizeof(folder), "%s/runs", dir);
	make_recorder(dir, recorder);
	make_runs(dir);
	s = sweep_new(&o, params, 1, d);
	assert_int_equal(sweep_run(s, d), -4);
	assert_int_equal(calls(dir), 0); /* three warm-ups, which are not recorded */
	sweep_free(s);
	asked = -1; /* two more: four runs in all, then the rest */
	s = sweep_new(&o, params, 1, d);
	assert_int_equal(sweep_run(s, d), -4);
	assert_int_equal(calls(dir), 1);
	sweep_free(s);
	o.stop = NULL;
	s = sweep_new(&o, params, 1, d);
	assert_int_equal(sweep_run(s, d), 0);
	assert_int_equal(calls(dir), 9);
	assert_int_equal(diag_count(d, DIAG_WARNING), 3);
	/* Everything but what failed is there: only that is tried again. */
	assert_int_equal(sweep_run(s, d), 0);
	assert_int_equal(calls(dir), 12);
	for (size_t i = 0; i < 3; i++)
		r[i] = sweep_result(s, i, "rk3588");
	assert_int_equal(r[0].runs, 3);
	/* A run of a command that failed is no measurement, but it is kept. */
	assert_int_equal(r[2].failed, 3);
	assert_int_equal(r[2].runs, 0);
	snprintf(clean, sizeof(clean), "%s/n=3.2.failed.llmp", folder);
	assert_int_equal(access(clean, F_OK), 0);
	compare_with_report(dir, &r[0], 1);
	compare_with_report(dir, &r[1], 2);
	assert_true(r[1].tpot_p50_ns > r[0].tpot_p50_ns);
	assert_true(r[0].tpot_p95_ns > r[0].tpot_p50_ns);
	assert_int_equal(r[0].n_tpot, 3 * 10);
	assert_true(r[0].barrier_share > 0 && r[0].barrier_share < 1);
	assert_true(isnan(r[2].tokens_per_s));
	assert_int_equal(sweep_best(s, r), 0);
	assert_int_equal(sweep_print(s, &(struct view_opts){0}, sink, d), 1);
	for (size_t i = 0; i < 3; i++)
		sweep_result_free(&r[i]);
	sweep_free(s);
	/* The folder is that of its command. */
	engine[1] = (char *)"-x{n}";
	s = sweep_new(&o, params, 1, d);
	assert_int_equal(sweep_run(s, d), -EEXIST);
	assert_non_null(strstr(diag_first_error(d), "holds the sweep of another command"));
	sweep_free(s);
	snprintf(clean, sizeof(clean), "rm -r %s", dir);
	assert_int_equal(system(clean), 0);
	fclose(sink);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_combinations_and_commands),
		cmocka_unit_test(test_bad_parameters_are_named),
		cmocka_unit_test(test_an_interrupted_sweep_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

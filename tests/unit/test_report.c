/* SPDX-License-Identifier: Apache-2.0 */
#include "made_run.h"

#include <errno.h>
#include <math.h>

#include "util/file.h"
#include "view/report/advice.h"
#include "view/diff/rank.h"
#include "view/report/report.h"
#include "view/stat/stat.h"
#include "view/summary/summary.h"

static char peaks_file[] = "/tmp/test_report.XXXXXX";

static struct summary summary_of(const struct made_run *m, const struct view_opts *o)
{
	struct diag *d = diag_new();
	struct summary s;

	assert_int_equal(summary_make(m->db, o, &s, d), 0);
	diag_free(d);
	return s;
}

static const struct view_opts *with_peaks(void)
{
	static struct view_opts o;

	o.peaks = peaks_file;
	return &o;
}

static char *printed(const struct view *v, const struct made_run *a, const struct made_run *b,
		     const struct view_opts *o, int *rc, struct diag *d)
{
	struct view_run runs[2] = {{.name = "first", .db = a->db},
				   {.name = "second", .db = b ? b->db : NULL}};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	*rc = v->print(runs, b ? 2 : 1, o, f, d);
	fclose(f);
	return text;
}

/* What report says equals what SQL over the public views says. */
static void totals_equal_sql(void **state)
{
	struct made_run m = made_run("--layers 4 --decodes 50 --threads 3 --sched");
	struct summary s = summary_of(&m, with_peaks());
	const struct summary_phase_figures *p = &s.phase[SUM_DECODE];

	(void)state;
	assert_int_equal((int64_t)p->compute,
			 made_int(&m, "SELECT sum(o.end_ns - o.begin_ns) FROM op o JOIN token t ON"
				      " t.id = o.token_id WHERE t.phase = 'decode'"));
	assert_int_equal((int64_t)p->wait,
			 made_int(&m, "SELECT sum(o.wait_ns) FROM op o JOIN token t ON t.id ="
				      " o.token_id WHERE t.phase = 'decode'"));
	assert_int_equal((int64_t)p->flops,
			 made_int(&m, "SELECT sum(x.flops) FROM op o JOIN token t ON t.id ="
				      " o.token_id JOIN tensor x ON x.id = o.tensor_id WHERE"
				      " t.phase = 'decode' AND o.thread_index = 0"));
	assert_int_equal((int64_t)p->bytes,
			 made_int(&m, "SELECT sum(x.bytes) FROM op o JOIN token t ON t.id ="
				      " o.token_id JOIN tensor x ON x.id = o.tensor_id WHERE"
				      " t.phase = 'decode' AND o.thread_index = 0"));
	assert_int_equal((int64_t)p->op_wall,
			 made_int(&m, "SELECT sum(g.end_ns - g.begin_ns) FROM graph g JOIN token t"
				      " ON t.id = g.token_id WHERE t.phase = 'decode'"));
	/* By hand: MFU and MBU of the peaks 100 GB/s and 1000 Gop/s. */
	assert_true(fabs(p->mfu - p->flops / p->op_wall / 1000) < 1e-12);
	assert_true(fabs(p->mbu - (p->weight_bytes + p->kv_bytes) / p->op_wall / 100) < 1e-12);
	assert_true(fabs(p->ridge - 10) < 1e-12);
	assert_int_equal(p->threads, 3);
	summary_free(&s);
	made_free(&m);
}

/* The model of one product: 32000 x 2048 weights of 4 bits times a vector of 2048 floats. */
static void a_product_by_hand(void **state)
{
	const double m = 32000, k = 2048, flops = 2 * m * k, weights = m * k / 32 * 18;
	const double all = weights + k * 4 + m * 4;
	const struct {
		const char *column;
		double value;
	} modelled[] = {{"flops", flops}, {"bytes", all}, {"weight_bytes", weights}};
	struct made_run r = made_run("--decodes 3 --threads 2");
	sqlite3 *db;
	struct summary s;
	struct diag *d = diag_new();
	char *sql;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modelled); i++) {
		char *query = xasprintf("SELECT %s FROM tensor_t WHERE name = 'result_output' AND"
					" id IN (SELECT o.tensor_id FROM op o JOIN token k ON k.id"
					" = o.token_id WHERE k.phase = 'decode')",
					modelled[i].column);

		assert_int_equal(made_int(&r, query), (int64_t)modelled[i].value);
		free(query);
	}
	made_free(&r);
	/* It ran 10 times in 10 ms on two workers; a peak of 1 Gflop/s and 1 GB/s would be full at
	 * that many ns. */
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	sql = data_file_read("host/trace/schema.sql");
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	free(sql);
	sql = sqlite3_mprintf(
		"INSERT INTO token_t(id, begin_ns, end_ns, pid, tid, phase, n_tokens, first_op)"
		" VALUES(1, 0, 10000000, 1, 1, 'decode', 1, 1);"
		"INSERT INTO tensor_t(id, name, op, type, ne0, ne1, flops, bytes, weight_bytes,"
		" kv_bytes, kind) VALUES(1, 'w', 'NONE', 'f32', 2048, 32000, 0, 0, 0, 0,"
		" 'weight'), (2, 'y', 'MUL_MAT', 'f32', 32000, 1, %.17g, %.17g, %.17g, 0,"
		" 'activation');"
		"INSERT INTO op_phase_t VALUES('decode', 2, 1, 0, 10, 9000000, 1000000, 10, 0, 0),"
		" ('decode', 2, 2, 1, 10, 8000000, 2000000, 10, 0, 0)",
		flops, all, weights);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_free(sql);
	assert_int_equal(summary_make(db, with_peaks(), &s, d), 0);
	/* The peaks are 100 GB/s and, as the weights are floats, 500 GFLOP/s. */
	assert_true(fabs(s.phase[SUM_DECODE].mfu - 10 * flops / 1e7 / 500) < 1e-12);
	assert_true(fabs(s.phase[SUM_DECODE].mbu - 10 * weights / 1e7 / 100) < 1e-12);
	assert_true(fabs(s.phase[SUM_DECODE].intensity - flops / all) < 1e-12);
	assert_int_equal(s.phase[SUM_DECODE].bound, BOUND_MEMORY);
	assert_true(fabs(summary_wait_share(&s.phase[SUM_DECODE]) - 3.0 / 20) < 1e-12);
	summary_free(&s);
	sqlite3_close(db);
	diag_free(d);
}

/* Two sequences decoded at once: two tokens, two results. */
static void batches_are_pointed_out(void **state)
{
	struct made_run m = made_run("--decodes 4 --prompt 2");
	struct summary s = summary_of(&m, with_peaks());

	(void)state;
	assert_int_equal(s.batches, 0);
	summary_free(&s);
	sqlite3_close(m.db);
	assert_int_equal(sqlite3_open(m.path, &m.db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(m.db,
			     "UPDATE tensor_t SET ne1 = 2 WHERE name = 'result_output' AND"
			     " id IN (SELECT o.tensor_id FROM op_t o JOIN token_t k ON k.id"
			     " = o.token_id WHERE k.phase = 'prefill')",
			     NULL, NULL, NULL),
		SQLITE_OK);
	s = summary_of(&m, with_peaks());
	assert_int_equal(s.batches, 1);
	summary_free(&s);
	made_free(&m);
}

static void rates(void **state)
{
	struct made_run m = made_run("--decodes 40 --seqs 3");
	struct summary s = summary_of(&m, &(struct view_opts){.peaks = peaks_file});
	const struct summary_phase_figures *p = &s.phase[SUM_DECODE];
	double wall = (double)made_int(&m, "SELECT max(end_ns) - min(begin_ns) FROM token WHERE"
					   " phase = 'decode' AND id <= 41");

	(void)state;
	assert_int_equal(s.n_sequences, 6);
	assert_int_equal(p->calls, 120);
	assert_int_equal(p->n_samples, 120);
	/* A sequence: 40 tokens from the first begin to the last end. */
	assert_true(fabs(s.sequences[1].rate / (40e9 / wall) - 1) < 1e-9);
	assert_true(fabs(p->tokens_per_s / (40e9 / wall) - 1) < 0.01);
	assert_true(fabs(p->p50 / (wall / 40) - 1) < 0.05);
	assert_true(fabs(s.sequences[0].ttft -
			 (double)made_int(&m, "SELECT end_ns - begin_ns FROM token WHERE id = 1")) <
		    1);
	summary_free(&s);
	made_free(&m);
}

/* A decode out of nothing is a benchmark's warm-up and stays out of the rate. */
static void warm_up(void **state)
{
	struct made_run m = made_run("--decodes 30 --prompt 1");
	struct summary s = summary_of(&m, &(struct view_opts){0});

	(void)state;
	assert_int_equal(s.n_sequences, 1);
	assert_true(s.sequences[0].warmup);
	assert_int_equal(s.phase[SUM_DECODE].n_samples, 29);
	assert_true(isnan(s.phase[SUM_DECODE].ttft));
	summary_free(&s);
	made_free(&m);
}

static void names_the_culprit(void **state)
{
	struct made_run m = made_run("--decodes 20 --sched");
	struct summary s = summary_of(&m, with_peaks());
	struct findings f;
	bool found = false;

	(void)state;
	assert_string_equal(s.phase[SUM_DECODE].culprit, "busyloop");
	assert_int_equal((int64_t)s.phase[SUM_DECODE].culprit_ns, made_sum(&m, "hog_ns"));
	findings_make(&s, &f);
	for (size_t i = 0; i < f.n; i++)
		found |= strstr(f.v[i].text, "busyloop") && f.v[i].try;
	assert_true(found);
	findings_free(&f);
	summary_free(&s);
	made_free(&m);
}

/* Every view of every kind of run prints something and fails on none. */
static void any_run_prints(void **state)
{
	static const char *const options[] = {"--decodes 4", "--decodes 2 --moe --counters --sched",
					      "--decodes 3 --begin-only", "--decodes 0 --prompt 1",
					      "--decodes 2 --no-end --threads 1"};
	static const char *const names[] = {
		"ops",	   "threads", "growth",	 "series", "complexity", "counters", "backends",
		"experts", "reuse",   "latency", "heat",   "devices",	 "ratios"};
	struct diag *d = diag_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		struct made_run m = made_run(options[i]);
		struct view_opts o = {.peaks = peaks_file};
		int rc;

		free(printed(&view_report, &m, NULL, &o, &rc, d));
		assert_int_equal(rc, 0);
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			o.table = names[k];
			free(printed(&view_stat, &m, NULL, &o, &rc, d));
			assert_int_equal(rc, 0);
		}
		o.json = true;
		char *text = printed(&view_report, &m, NULL, &o, &rc, d);
		cJSON *j = cJSON_Parse(text);

		assert_non_null(j);
		cJSON_Delete(j);
		free(text);
		made_free(&m);
	}
	assert_int_equal(diag_count(d, DIAG_ERROR), 0);
	diag_free(d);
}

static void says_over_how_many_rows_a_counter_is(void **state)
{
	struct made_run m = made_run("--decodes 20 --threads 2 --taken"),
			all = made_run("--decodes 20 --threads 2 --counters");
	struct view_opts o = {.peaks = peaks_file};
	struct diag *d = diag_new();
	char *text, *whole;
	int rc;

	(void)state;
	text = printed(&view_report, &m, NULL, &o, &rc, d);
	whole = printed(&view_report, &all, NULL, &o, &rc, d);
	assert_non_null(strstr(text, "scaled, 75.0 % of the rows"));
	assert_non_null(strstr(text, "have no values of hardware counters"));
	assert_non_null(strstr(whole, "scaled"));
	assert_null(strstr(whole, " of the rows"));
	free(text);
	free(whole);
	made_free(&m);
	made_free(&all);
	diag_free(d);
}

static void says_what_is_missing(void **state)
{
	struct made_run m = made_run("--decodes 3 --begin-only");
	struct diag *d = diag_new();
	int rc;
	char *text =
		printed(&view_report, &m, NULL, &(struct view_opts){.peaks = peaks_file}, &rc, d);

	(void)state;
	assert_non_null(strstr(text, "barrier wait: operators were recorded without barriers"));
	assert_non_null(strstr(text, "off-CPU time: the scheduler level was off"));
	free(text);
	diag_free(d);
	made_free(&m);
}

static void growth_of_attention_only(void **state)
{
	struct made_run m = made_run("--decodes 512 --prompt 32");
	struct diag *d = diag_new();
	struct view_opts o = {.table = "growth", .csv = true, .limit = -1};
	int rc;
	char *text = printed(&view_stat, &m, NULL, &o, &rc, d), *line;

	(void)state;
	assert_int_equal(rc, 0);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strcmp(strrchr(line, ','), ",grows") == 0)
			assert_int_equal(strncmp(line, "FLASH_ATTN_EXT,", 15), 0);
		else
			assert_true(strncmp(line, "FLASH_ATTN_EXT,", 15) != 0);
	free(text);
	diag_free(d);
	made_free(&m);
}

/* A column of the rows of a CSV table whose first cells are `first`. */
static double csv_value(const char *text, const char *first, const char *column)
{
	const char *end = strchr(text, '\n'), *line = strstr(text, first);
	int index = 0;

	for (const char *p = text; p < end && strncmp(p, column, strlen(column)) != 0; index++)
		p = strpbrk(p, ",\n") + 1;
	while (line && line[-1] != '\n')
		line = strstr(line + 1, first);
	for (; line && index--; line++)
		line = strchr(line, ',');
	return line ? strtod(line, NULL) : NAN;
}

/* The same work with two and four workers, with counters and without. */
static void several_runs_side_by_side(void **state)
{
	struct made_run a = made_run("--decodes 20 --threads 2 --counters"), b;
	struct view_opts o = {.csv = true, .phase = "decode"};
	struct diag *d = diag_new();
	char spool[64], path[64], *text;
	int rc;

	(void)state;
	strcpy(spool, a.spool);
	strcpy(path, a.path);
	b = made_run("--decodes 20 --threads 4");
	text = printed(&view_stat, &a, &b, &o, &rc, d);
	assert_int_equal(rc, 0);
	assert_non_null(strstr(text, "op,phase,threads,ns,speedup,gbs,ipc,stall,"));
	assert_true(csv_value(text, "MUL_MAT,decode,2,", "speedup") == 1);
	assert_true(fabs(csv_value(text, "MUL_MAT,decode,4,", "speedup") *
				 csv_value(text, "MUL_MAT,decode,4,", "ns") /
				 csv_value(text, "MUL_MAT,decode,2,", "ns") -
			 1) < 1e-9);
	free(text);
	/* Only of one run, as the message says. */
	o.table = "ops";
	free(printed(&view_stat, &a, &b, &o, &rc, d));
	assert_int_equal(rc, -EINVAL);
	assert_non_null(strstr(diag_first_error(d), "--table ops is of one run"));
	diag_free(d);
	made_free(&a);
	made_free(&b);
	unlink(spool);
	unlink(path);
}

/* Ratios are those of the counters' sums; one that was not counted stands for another here. */
static void ratios_of_counters(void **state)
{
	struct made_run a = made_run("--decodes 20 --threads 2 --counters");
	struct view_opts o = {.csv = true, .phase = "decode", .table = "ratios"};
	struct diag *d = diag_new();
	double cycles;
	char *text;
	int rc;

	(void)state;
	sqlite3_close(a.db);
	assert_int_equal(sqlite3_open(a.path, &a.db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(a.db,
				      "UPDATE counter_name_t SET name = 'instructions' WHERE name ="
				      " 'cache-misses'",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	text = printed(&view_stat, &a, NULL, &o, &rc, d);
	cycles = (double)made_int(&a, "SELECT sum(c.value) FROM counter c JOIN op o ON o.id ="
				      " c.op_id JOIN token k ON k.id = o.token_id JOIN tensor t ON"
				      " t.id = o.tensor_id WHERE k.phase = 'decode' AND t.op ="
				      " 'MUL_MAT' AND c.name = 'cycles'");
	assert_true(fabs(csv_value(text, "MUL_MAT,decode,", "ipc") -
			 (double)made_int(&a, "SELECT sum(c.value) FROM counter c JOIN op o ON o.id"
					      " = c.op_id JOIN token k ON k.id = o.token_id JOIN"
					      " tensor t ON t.id = o.tensor_id WHERE k.phase ="
					      " 'decode' AND t.op = 'MUL_MAT' AND c.name ="
					      " 'instructions'") /
				 cycles) < 1e-9);
	free(text);
	diag_free(d);
	made_free(&a);
}

static void diff_judges(void **state)
{
	struct made_run a = made_run("--decodes 60"), b;
	char spool[64], path[64];
	struct diag *d = diag_new();
	struct view_opts o = {.peaks = peaks_file, .fail_if = "tpot_p50 > +3%"};
	char *text;
	int rc;

	(void)state;
	strcpy(spool, a.spool);
	strcpy(path, a.path);
	b = made_run("--decodes 60 --slow 10");
	text = printed(&view_diff, &a, &b, &o, &rc, d);
	assert_int_equal(rc, 1);
	assert_non_null(strstr(text, "time per decode: worse by "));
	free(text);
	text = printed(&view_diff, &b, &a, &o, &rc, d);
	assert_int_equal(rc, 0);
	assert_non_null(strstr(text, "time per decode: better by "));
	free(text);
	text = printed(&view_diff, &a, &a, &o, &rc, d);
	assert_int_equal(rc, 0);
	assert_non_null(strstr(text, "no difference shown"));
	free(text);
	o.fail_if = NULL;
	o.csv = true;
	text = printed(&view_diff, &a, &b, &o, &rc, d);
	assert_int_equal(strncmp(text, "run,figure,unit,first,other,", 28), 0);
	assert_non_null(strstr(text, "\nsecond,tpot_p50,ns,"));
	free(text);
	o.csv = false;
	o.fail_if = "TPOT_P50 > +3%";
	text = printed(&view_diff, &a, &b, &o, &rc, d);
	assert_string_equal(diag_first_error(d), "no figure 'TPOT_P50'; did you mean tpot_p50");
	free(text);
	diag_clear(d);
	o.fail_if = "tpot_p51 > +3%";
	text = printed(&view_diff, &a, &b, &o, &rc, d);
	assert_true(rc < 0);
	assert_string_equal(diag_first_error(d), "no figure 'tpot_p51'; did you mean tpot_p50");
	free(text);
	diag_free(d);
	made_free(&a);
	made_free(&b);
	unlink(spool);
	unlink(path);
}

static void rank_test_is_right(void **state)
{
	double a[20], b[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		a[i] = i;
		b[i] = i + 6;
	}
	/* U = 98 of 400, sd = 36.97 without ties, 36.93 with: z = 2.75. */
	assert_true(fabs(rank_test(a, 20, b, 20) - 0.006) < 0.001);
	assert_true(rank_test(a, 20, a, 20) > 0.9);
	assert_true(isnan(rank_test(a, 7, b, 20)));
}

static void means_and_tails_are_tested(void **state)
{
	double a[200], b[200];

	(void)state;
	for (int i = 0; i < 200; i++) {
		a[i] = 100 + i % 10;
		b[i] = a[i];
	}
	assert_true(rank_mean_test(a, 200, b, 200) > 0.99);
	assert_true(rank_tail_test(a, 200, b, 200, 95) > 0.9);
	/* One in ten takes four times as long: the median does not see it, the tail does. */
	for (int i = 9; i < 200; i += 10)
		b[i] = 400;
	assert_true(rank_test(a, 200, b, 200) > 0.01);
	assert_true(rank_tail_test(a, 200, b, 200, 95) < 1e-4);
	assert_true(rank_mean_test(a, 200, b, 200) < 1e-4);
	/* Means 0.5 apart, variances 2 and 2, 50 each: z = 0.5 / sqrt(4 / 49). */
	for (int i = 0; i < 50; i++) {
		a[i] = i % 2 ? 10 + sqrt(2) : 10 - sqrt(2);
		b[i] = a[i] + 0.5;
	}
	assert_true(fabs(rank_mean_test(a, 50, b, 50) - erfc(0.5 / sqrt(4.0 / 49) / sqrt(2))) <
		    1e-9);
	assert_true(isnan(rank_tail_test(a, 50, b, 50, 95)));
	assert_true(rank_differs(0.001, 0.01));
	assert_false(rank_differs(0.001, 0.004));
	assert_false(rank_differs(0.02, 0.5));
}

static int write_peaks(void **state)
{
	static const char text[] = "name: test\nsource: by hand\npeaks:\n"
				   "  - {threads: 1, gbs: 100, gflops: 500, gops8: 1000}\n";
	int fd = mkstemp(peaks_file);

	(void)state;
	return write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1 ? close(fd) : -1;
}

static int remove_peaks(void **state)
{
	(void)state;
	return unlink(peaks_file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(totals_equal_sql),
		cmocka_unit_test(a_product_by_hand),
		cmocka_unit_test(batches_are_pointed_out),
		cmocka_unit_test(rates),
		cmocka_unit_test(warm_up),
		cmocka_unit_test(names_the_culprit),
		cmocka_unit_test(any_run_prints),
		cmocka_unit_test(says_what_is_missing),
		cmocka_unit_test(says_over_how_many_rows_a_counter_is),
		cmocka_unit_test(growth_of_attention_only),
		cmocka_unit_test(several_runs_side_by_side),
		cmocka_unit_test(ratios_of_counters),
		cmocka_unit_test(diff_judges),
		cmocka_unit_test(rank_test_is_right),
		cmocka_unit_test(means_and_tails_are_tested),
	};

	return cmocka_run_group_tests(tests, write_peaks, remove_peaks);
}

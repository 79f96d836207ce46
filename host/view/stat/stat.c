/* SPDX-License-Identifier: Apache-2.0 */
#include "view/stat/stat.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/text.h"

static const struct {
	const char *name, *sort, *help;
	stat_fn *make; /* NULL: stat_ratios */
	size_t limit;
} tables[] = {
	{"ops", "compute_ns", "operators by phase; --by groups them", stat_ops, 30},
	{"threads", NULL, "workers by operator: who does more, who waits", stat_threads, 40},
	{"growth", "slope", "operators whose time grows with the context", stat_growth, 30},
	{"series", NULL, "one row per call: time, context, operators", stat_series, 40},
	{"complexity", "ns", "matrix products: arithmetic against time, outliers", stat_complexity,
	 30},
	{"counters", NULL, "counters by operator and worker count", stat_counters, 40},
	{"ratios", NULL, "several runs: operators by worker count, stall and memory ratios", NULL,
	 60},
	{"backends", NULL, "graphs by backend", stat_backends, 0},
	{"devices", NULL, "operators by the backend that ran them", stat_devices, 40},
	{"experts", "uses", "how often each expert was used", stat_experts, 30},
	{"reuse", NULL, "how many tokens pass until an expert is used again", stat_reuse, 0},
	{"latency", NULL, "products of experts by how many are new", stat_latency, 0},
	{"heat", NULL, "experts over tokens, one layer (--layers)", stat_heat, 60},
};

struct stat_fit stat_fit(const double *x, const double *y, size_t n)
{
	double mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
	struct stat_fit f;

	for (size_t i = 0; i < n; i++) {
		mx += x[i] / (double)n;
		my += y[i] / (double)n;
	}
	for (size_t i = 0; i < n; i++) {
		xx += (x[i] - mx) * (x[i] - mx);
		xy += (x[i] - mx) * (y[i] - my);
		yy += (y[i] - my) * (y[i] - my);
	}
	f.slope = xx > 0 ? xy / xx : NAN;
	f.intercept = my - f.slope * mx;
	f.r2 = xx > 0 && yy > 0 ? xy * xy / xx / yy : NAN;
	return f;
}

static void sql_listed(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	const char *list = (const char *)sqlite3_value_text(v[0]);
	bool match = !list;

	for (int i = 1; i < n && !match; i++) {
		const char *text = (const char *)sqlite3_value_text(v[i]);

		match = view_glob(list, text ? text : "");
	}
	sqlite3_result_int(ctx, match);
}

static void sql_class(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	const char *op = (const char *)sqlite3_value_text(v[0]);

	(void)n;
	sqlite3_result_text(ctx, view_class_name(view_op_class(op ? op : "")), -1, SQLITE_STATIC);
}

static const char *table_name(const void *state, size_t i)
{
	(void)state;
	return i < ARRAY_LEN(tables) ? tables[i].name : NULL;
}

static int find_table(const char *name, size_t *index, struct diag *d)
{
	const char *near;

	for (*index = 0; name && *index < ARRAY_LEN(tables); ++*index)
		if (strcmp(tables[*index].name, name) == 0)
			return 0;
	*index = 0;
	if (!name)
		return 0;
	near = text_nearest(name, table_name, NULL);
	diag_add(d, DIAG_ERROR, "stat has no table '%s'%s%s", name, near ? "; did you mean " : "",
		 near ? near : "");
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		diag_add(d, DIAG_HINT, "--table %s: %s", tables[i].name, tables[i].help);
	return -EINVAL;
}

static int choose_table(const struct view_opts *o, size_t n, size_t *which, struct diag *d)
{
	int err = find_table(o->table ? o->table : n > 1 ? "ratios" : NULL, which, d);

	if (!err && n > 1 && tables[*which].make)
		err = diag_fail(d, -EINVAL,
				"--table %s is of one run; of several there is --table ratios, and "
				"llmprobe diff",
				tables[*which].name);
	return err;
}

static struct table *make_table(size_t which, const struct view_run *runs, size_t n,
				const struct view_opts *o, struct buf *foot, struct diag *d)
{
	for (size_t i = 0; i < n; i++) {
		sqlite3_create_function(runs[i].db, "listed", -1, SQLITE_UTF8, NULL, sql_listed,
					NULL, NULL);
		sqlite3_create_function(runs[i].db, "opclass", 1, SQLITE_UTF8, NULL, sql_class,
					NULL, NULL);
	}
	return tables[which].make ? tables[which].make(runs[0].db, o, foot, d)
				  : stat_ratios(runs, n, o, foot, d);
}

static int stat_print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
		      struct diag *d)
{
	struct buf foot = {0};
	const char *sort;
	struct table *t;
	size_t which;
	int err = choose_table(o, n, &which, d);

	if (err)
		return err;
	t = make_table(which, runs, n, o, &foot, d);
	if (!t)
		return -EINVAL;
	sort = o->sort ? o->sort : tables[which].sort;
	err = sort ? table_sort(t, sort, d) : 0;
	if (!err)
		table_print(t, o, tables[which].limit, out);
	if (!err && !o->json && !o->csv)
		fputs(buf_str(&foot), out);
	buf_free(&foot);
	table_free(t);
	return err;
}

const struct view view_stat = {
	.name = "stat",
	.args = "RUN...",
	.help = "tables: operators, workers, growth with the context, experts ..",
	.about = "Tables: ops (operators by phase, or what --by groups), threads (who does more, "
		 "who "
		 "waits), series (a row per call), growth (operators whose time grows with the "
		 "context, with the slope), complexity (matrix products: arithmetic against time, "
		 "outliers named), counters, ratios (counters and times at different numbers of "
		 "workers; several runs), backends, devices (operators by the backend that ran "
		 "them), experts (use counts), reuse (tokens until an expert is used again), "
		 "latency "
		 "(first use against reuse), heat (experts over tokens of a layer). --sort takes a "
		 "column's name in --csv.",
	.options = "json csv ascii limit sort filter phase layers by table",
	.min_runs = 1,
	.max_runs = 16,
	.print = stat_print,
};

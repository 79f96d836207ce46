/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators cost at different numbers of workers: the runs of the same work side by side, with
 * the ratios that say whether memory holds the cores up.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/place.h"
#include "view/ratio.h"
#include "view/stat/stat.h"

/* An operator in one phase of one run. */
struct cell {
	sqlite3 *db;
	const char *op, *phase;
};

/* Compute time of one execution: all executions of all workers, side by side. */
static double per_execution(const struct cell *c, double *gbs)
{
	sqlite3_stmt *q = view_query(
		c->db, NULL,
		"SELECT max(w), max(n), max(b) FROM (SELECT sum(p.compute_ns) w, sum(p.count) n,"
		" sum(p.count * t.bytes) b FROM op_phase_t p LEFT JOIN tensor_t t ON t.id ="
		" p.tensor_id WHERE coalesce(t.op, '?') = ?1 AND p.phase = ?2 GROUP BY"
		" p.thread_index)",
		"ss", c->op, c->phase);
	double ns = NAN;

	while (view_step(q)) {
		double slowest = sqlite3_column_double(q, 0), runs = sqlite3_column_double(q, 1);

		if (runs > 0)
			ns = slowest / runs;
		*gbs = slowest > 0 && sqlite3_column_type(q, 2) != SQLITE_NULL
			       ? sqlite3_column_double(q, 2) / slowest
			       : NAN;
	}
	return ns;
}

static int64_t workers(const struct cell *c)
{
	return view_int(c->db, 0,
			"SELECT count(DISTINCT p.thread_index) FROM op_phase_t p LEFT JOIN tensor_t"
			" t ON t.id = p.tensor_id WHERE coalesce(t.op, '?') = ?1 AND p.phase = ?2",
			"ss", c->op, c->phase);
}

static void add_row(struct table *t, const struct cell *c, const char *run, double *first)
{
	double gbs = NAN, ns = per_execution(c, &gbs);

	if (isnan(ns))
		return;
	if (isnan(*first))
		*first = ns;
	table_row(t);
	table_text(t, c->op);
	table_text(t, c->phase);
	table_number(t, (double)workers(c));
	table_number(t, ns);
	table_number(t, *first / ns);
	table_number(t, gbs);
	for (size_t i = 0; i < RATIOS; i++)
		table_number(t, ratio_value(c->db, &ratios[i], c->op, c->phase));
	table_text(t, run);
}

static struct table *new_table(void)
{
	struct table *t = table_new();

	table_column(t, "op", "op", TABLE_TEXT);
	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "threads", "workers", TABLE_COUNT);
	table_column(t, "ns", "per execution", TABLE_NS);
	table_column(t, "speedup", "times as fast", TABLE_NUMBER);
	table_column(t, "gbs", "GB/s", TABLE_NUMBER);
	for (size_t i = 0; i < RATIOS; i++)
		table_column(t, ratios[i].key, ratios[i].title, ratios[i].type);
	table_column(t, "run", "run", TABLE_TEXT);
	return t;
}

struct table *stat_ratios(const struct view_run *runs, size_t n, const struct view_opts *o,
			  struct buf *foot, struct diag *d)
{
	/* The first run says which operators there are, dearest first. */
	sqlite3_stmt *q = view_query(
		runs[0].db, d,
		"SELECT coalesce(t.op, '?'), p.phase FROM op_phase_t p LEFT JOIN tensor_t t ON t.id"
		" = p.tensor_id WHERE listed(?1, t.op) AND (?2 IS NULL OR p.phase = ?2) GROUP BY 1,"
		" 2 ORDER BY p.phase, sum(p.compute_ns) DESC",
		"ss", o->filter, o->phase);
	struct table *t;

	if (!q)
		return NULL;
	t = new_table();
	while (view_step(q)) {
		double first = NAN;

		for (size_t i = 0; i < n; i++) {
			struct cell c = {runs[i].db, view_text(q, 0), view_text(q, 1)};

			add_row(t, &c, runs[i].name, &first);
		}
	}
	for (size_t i = 0; i < n; i++)
		if (!view_levels(runs[i].db).counter)
			buf_printf(foot, "%s: %s", runs[i].name, stat_no_counters(runs[i].db));
	return t;
}

bool stat_ratio(size_t i, struct stat_ratio *out)
{
	if (i >= ARRAY_LEN(ratios))
		return false;
	*out = (struct stat_ratio){ratios[i].title, ratios[i].above, ratios[i].below,
				   ratios[i].type == TABLE_PERCENT};
	return true;
}

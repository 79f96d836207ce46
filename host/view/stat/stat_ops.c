/* SPDX-License-Identifier: Apache-2.0 */
/* Tables over the sums per phase, tensor and thread. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/text.h"
#include "view/place.h"
#include "view/stat/stat.h"

static const struct {
	const char *name, *sql;
} groups[] = {
	{"op", "coalesce(t.op, '?')"},
	{"tensor", "coalesce(l.label || ' (' || t.op || ')', '?')"},
	{"layer", "coalesce('layer ' || l.layer, 'no layer')"},
	{"class", "opclass(t.op)"},
	{"thread", "'worker ' || p.thread_index"},
	{"type", "coalesce((SELECT w.type FROM edge_t e JOIN tensor_t w ON w.id = e.src_tensor"
		 " WHERE e.dst_tensor = t.id AND w.kind = 'weight' LIMIT 1), 'no weights')"},
	{"kind", "coalesce(t.kind, '?')"},
};

static const char *group_sql(const char *by, struct diag *d)
{
	const char *names[ARRAY_LEN(groups)], *near;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (strcmp(by ? by : "op", groups[i].name) == 0)
			return groups[i].sql;
		names[i] = groups[i].name;
	}
	near = text_nearest_of(by, names, ARRAY_LEN(groups));
	diag_add(d, DIAG_ERROR, "cannot group by '%s'; %s%s", by, near ? "did you mean " : "try ",
		 near ? near : "op, tensor, layer, class, thread, type or kind");
	return NULL;
}

/* Rows p with their tensors. Values: ?1 filter, ?2 phase, ?3 first and ?4 last layer. */
#define CHOSEN                                                                                     \
	" LEFT JOIN tensor_t t ON t.id = p.tensor_id LEFT JOIN temp.place l ON l.id ="             \
	" p.tensor_id WHERE listed(?1, t.op, t.name, l.label) AND (?2 IS NULL OR p.phase = ?2)"    \
	" AND coalesce(l.layer, -1) BETWEEN ?3 AND ?4"

static sqlite3_stmt *chosen(sqlite3 *db, const char *sql, const struct view_opts *o, struct diag *d)
{
	int first, last;

	if (view_layers(o->layers, &first, &last, d) < 0)
		return NULL;
	place_tensors(db);
	return view_query(db, d, sql, "ssii", o->filter, o->phase, (int64_t)first, (int64_t)last);
}

static double or_nan(sqlite3_stmt *q, int col)
{
	return sqlite3_column_type(q, col) == SQLITE_NULL ? NAN : sqlite3_column_double(q, col);
}

static void op_columns(struct table *t, const char *by)
{
	table_column(t, "name", by ? by : "op", TABLE_TEXT);
	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "rows", "rows", TABLE_COUNT);
	table_column(t, "compute_ns", "compute", TABLE_NS);
	table_column(t, "wait_ns", "wait", TABLE_NS);
	table_column(t, "mean_ns", "mean", TABLE_NS);
	table_column(t, "min_ns", "min", TABLE_NS);
	table_column(t, "max_ns", "max", TABLE_NS);
	table_column(t, "share", "share", TABLE_PERCENT);
	table_column(t, "bar", "", TABLE_BAR);
	table_column(t, "gflops", "GFLOP/s", TABLE_NUMBER);
	table_column(t, "gbs", "GB/s", TABLE_NUMBER);
}

static void op_row(struct table *t, sqlite3_stmt *q, double all)
{
	double rows = sqlite3_column_double(q, 2), compute = sqlite3_column_double(q, 3);
	double threads = sqlite3_column_double(q, 10), side = compute / (threads > 0 ? threads : 1);

	table_row(t);
	table_text(t, view_text(q, 0));
	table_text(t, view_text(q, 1));
	table_number(t, rows);
	table_number(t, compute);
	table_number(t, sqlite3_column_int64(q, 5) ? sqlite3_column_double(q, 4) : NAN);
	table_number(t, compute / rows);
	table_number(t, or_nan(q, 6));
	table_number(t, or_nan(q, 7));
	table_number(t, all > 0 ? compute / all : NAN);
	table_number(t, all > 0 ? compute / all : NAN);
	/* Operations and bytes are those of all workers together, who work side by side. */
	table_number(t, side > 0 ? or_nan(q, 8) / side : NAN);
	table_number(t, side > 0 ? or_nan(q, 9) / side : NAN);
}

struct table *stat_ops(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	const char *group = group_sql(o->by, d);
	double all = view_double(db, 0,
				 "SELECT sum(compute_ns) FROM op_phase_t WHERE ?1 IS NULL OR"
				 " phase = ?1",
				 "s", o->phase);
	sqlite3_stmt *q;
	struct table *t;
	char *sql;

	if (!group)
		return NULL;
	sql = xasprintf("SELECT %s, p.phase, sum(p.count), sum(p.compute_ns), sum(p.wait_ns),"
			" sum(p.wait_known), min(p.min_ns), max(p.max_ns),"
			" sum(CASE p.thread_index WHEN 0 THEN p.count * t.flops END),"
			" sum(CASE p.thread_index WHEN 0 THEN p.count * t.bytes END),"
			" count(DISTINCT p.thread_index)"
			" FROM op_phase_t p" CHOSEN " GROUP BY 1, 2",
			group);
	q = chosen(db, sql, o, d);
	free(sql);
	if (!q)
		return NULL;
	t = table_new();
	op_columns(t, o->by);
	while (view_step(q))
		op_row(t, q, all);
	if (!table_rows(t))
		buf_puts(foot, "no operator rows match; was the operator level on?\n");
	return t;
}

struct table *stat_threads(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	sqlite3_stmt *q = chosen(
		db,
		"SELECT op, phase, thread_index, n, c, w, k, c * 1.0 / avg(c) OVER (PARTITION BY "
		"op,"
		" phase) FROM (SELECT coalesce(t.op, '?') op, p.phase phase, p.thread_index"
		" thread_index, sum(p.count) n, sum(p.compute_ns) c, sum(p.wait_ns) w,"
		" sum(p.wait_known) k FROM op_phase_t p" CHOSEN " GROUP BY 1, 2, 3)"
		" ORDER BY sum(c) OVER (PARTITION BY op, phase) DESC, op, phase, thread_index",
		o, d);
	struct table *t;

	(void)foot;
	if (!q)
		return NULL;
	t = table_new();
	table_column(t, "op", "op", TABLE_TEXT);
	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "thread_index", "worker", TABLE_COUNT);
	table_column(t, "rows", "rows", TABLE_COUNT);
	table_column(t, "compute_ns", "compute", TABLE_NS);
	table_column(t, "wait_ns", "wait", TABLE_NS);
	table_column(t, "of_mean", "of the mean", TABLE_PERCENT);
	while (view_step(q)) {
		table_row(t);
		table_text(t, view_text(q, 0));
		table_text(t, view_text(q, 1));
		table_number(t, sqlite3_column_double(q, 2));
		table_number(t, sqlite3_column_double(q, 3));
		table_number(t, sqlite3_column_double(q, 4));
		table_number(t, sqlite3_column_int64(q, 6) ? sqlite3_column_double(q, 5) : NAN);
		table_number(t, or_nan(q, 7));
	}
	return t;
}

const char *stat_no_counters(sqlite3 *db)
{
	return view_int(db, 0, "SELECT count(*) FROM counter_name_t", NULL)
		       ? "counters were asked for, but those of the threads were not open yet when "
			 "the "
			 "operators ran; record longer\n"
		       : "no counters in this run; record it with --pmc\n";
}

struct table *stat_counters(sqlite3 *db, const struct view_opts *o, struct buf *foot,
			    struct diag *d)
{
	sqlite3_stmt *q = chosen(
		db,
		"SELECT coalesce(t.op, '?'), p.phase, n.name, sum(p.count), sum(p.value),"
		" max(p.scaled), count(DISTINCT p.thread_index), sum(CASE p.thread_index WHEN 0 "
		"THEN"
		" p.count * t.bytes END) FROM counter_phase_t p JOIN counter_name_t n"
		" ON n.id = p.name_id" CHOSEN " GROUP BY 1, 2, 3 ORDER BY 2, 3, 5 DESC",
		o, d);
	struct table *t;

	if (!q)
		return NULL;
	t = table_new();
	table_column(t, "op", "op", TABLE_TEXT);
	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "counter", "counter", TABLE_TEXT);
	table_column(t, "rows", "rows", TABLE_COUNT);
	table_column(t, "sum", "sum", TABLE_NUMBER);
	table_column(t, "per_row", "per row", TABLE_NUMBER);
	table_column(t, "per_kib", "per KiB modelled", TABLE_NUMBER);
	table_column(t, "threads", "workers", TABLE_COUNT);
	table_column(t, "note", "", TABLE_TEXT);
	while (view_step(q)) {
		double bytes = or_nan(q, 7);

		table_row(t);
		table_text(t, view_text(q, 0));
		table_text(t, view_text(q, 1));
		table_text(t, view_text(q, 2));
		table_number(t, sqlite3_column_double(q, 3));
		table_number(t, sqlite3_column_double(q, 4));
		table_number(t, sqlite3_column_double(q, 4) / sqlite3_column_double(q, 3));
		table_number(t, bytes > 0 ? sqlite3_column_double(q, 4) * 1024 / bytes : NAN);
		table_number(t, sqlite3_column_double(q, 6));
		table_text(t, sqlite3_column_int64(q, 5) ? "scaled" : "");
	}
	if (!table_rows(t))
		buf_puts(foot, stat_no_counters(db));
	return t;
}

struct table *stat_backends(sqlite3 *db, const struct view_opts *o, struct buf *foot,
			    struct diag *d)
{
	sqlite3_stmt *q = view_query(
		db, d,
		"SELECT coalesce(g.backend, '?'), coalesce(t.phase, ''), count(*), sum(g.n_nodes),"
		" sum(g.end_ns - g.begin_ns), avg(g.end_ns - g.begin_ns) FROM graph_t g LEFT JOIN"
		" token_t t ON t.id = g.token_id WHERE ?1 IS NULL OR t.phase = ?1 GROUP BY 1, 2"
		" ORDER BY 5 DESC",
		"s", o->phase);
	double all = view_double(db, 0, "SELECT sum(end_ns - begin_ns) FROM graph_t", NULL);
	struct table *t;

	(void)foot;
	if (!q)
		return NULL;
	t = table_new();
	table_column(t, "backend", "backend", TABLE_TEXT);
	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "graphs", "graphs", TABLE_COUNT);
	table_column(t, "nodes", "nodes", TABLE_COUNT);
	table_column(t, "total_ns", "time", TABLE_NS);
	table_column(t, "mean_ns", "mean", TABLE_NS);
	table_column(t, "share", "share", TABLE_PERCENT);
	table_column(t, "bar", "", TABLE_BAR);
	while (view_step(q)) {
		double ns = sqlite3_column_double(q, 4);

		table_row(t);
		table_text(t, view_text(q, 0));
		table_text(t, view_text(q, 1));
		table_number(t, sqlite3_column_double(q, 2));
		table_number(t, sqlite3_column_double(q, 3));
		table_number(t, ns);
		table_number(t, sqlite3_column_double(q, 5));
		table_number(t, all > 0 ? ns / all : NAN);
		table_number(t, all > 0 ? ns / all : NAN);
	}
	return t;
}

/* Operator rows know their graph, and that its backend; the sums do not, so this reads the rows. */
struct table *stat_devices(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	sqlite3_stmt *q = view_query(
		db, d,
		"SELECT op, backend, phase, n, c, c * 1.0 / n, c * 1.0 / sum(c) OVER (PARTITION BY"
		" phase) FROM (SELECT coalesce(t.op, '?') op, coalesce(g.backend, '?') backend,"
		" coalesce(k.phase, '') phase, count(*) n, sum(o.compute_ns) c FROM op_t o LEFT"
		" JOIN graph_t g ON g.id = o.graph_id LEFT JOIN token_t k ON k.id = o.token_id"
		" LEFT JOIN tensor_t t ON t.id = o.tensor_id WHERE (?2 IS NULL OR k.phase = ?2) AND"
		" listed(?1, t.op, t.name) GROUP BY 1, 2, 3) ORDER BY phase, sum(c) OVER"
		" (PARTITION BY phase, op) DESC, op, c DESC",
		"ss", o->filter, o->phase);
	struct table *t;

	if (!q)
		return NULL;
	t = table_new();
	table_column(t, "op", "op", TABLE_TEXT);
	table_column(t, "backend", "backend", TABLE_TEXT);
	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "rows", "rows", TABLE_COUNT);
	table_column(t, "compute_ns", "compute", TABLE_NS);
	table_column(t, "mean_ns", "mean", TABLE_NS);
	table_column(t, "share", "of the phase", TABLE_PERCENT);
	table_column(t, "bar", "", TABLE_BAR);
	while (view_step(q)) {
		table_row(t);
		for (int c = 0; c < 3; c++)
			table_text(t, view_text(q, c));
		for (int c = 3; c < 7; c++)
			table_number(t, or_nan(q, c));
		table_number(t, or_nan(q, 6));
	}
	if (!table_rows(t))
		buf_puts(foot, "no operator rows match; was the operator level on?\n");
	return t;
}

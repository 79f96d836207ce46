/* SPDX-License-Identifier: Apache-2.0 */
/* Time over calls: growth with the context, and matrix products over their size. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/median.h"
#include "util/text.h"
#include "view/place.h"
#include "view/stat/stat.h"

/*
 * Context length before a call: tokens since the context was last empty. What a prompt adds is
 * known; where a benchmark starts over without one is not, so a new prompt starts a new count.
 */
static const char contexts_sql[] =
	"CREATE TEMP TABLE IF NOT EXISTS placed(id INTEGER PRIMARY KEY, phase TEXT, begin_ns INT,"
	" end_ns INT, n INT, length INT);"
	"INSERT OR IGNORE INTO temp.placed WITH calls AS (SELECT id, phase, begin_ns, end_ns,"
	" coalesce(n_tokens, 0) n, pid, context, phase = 'prefill' AND lag(phase, 1, '') OVER w !="
	" 'prefill' AS fresh FROM token_t WINDOW w AS (PARTITION BY pid, context ORDER BY"
	" begin_ns)), numbered AS (SELECT *, sum(fresh) OVER (PARTITION BY pid, context ORDER BY"
	" begin_ns) part FROM calls) SELECT id, phase, begin_ns, end_ns, n, sum(n) OVER (PARTITION"
	" BY pid, context, part ORDER BY begin_ns) - n FROM numbered";

/* Makes temp.placed, once per connection, with an index that the joins below need. */
static void place_calls(sqlite3 *db)
{
	sqlite3_exec(db, contexts_sql, NULL, NULL, NULL);
}

/* The sums per call know operators only; where the filter or the layers ask for tensors, their rows
 * are added up. */
static const char sums_of_ops[] =
	"SELECT token_id, sum(compute_ns) c, sum(wait_ns) w FROM op_token_t"
	" WHERE listed(?1, op) GROUP BY 1";
static const char sums_of_tensors[] = "SELECT r.token_id, sum(r.compute_ns) c, sum(r.wait_ns) w "
				      "FROM op_t r JOIN tensor_t t ON t.id"
				      " = r.tensor_id JOIN temp.place l ON l.id = t.id WHERE "
				      "listed(?1, t.op, t.name, l.label) AND"
				      " coalesce(l.layer, -1) BETWEEN ?3 AND ?4 GROUP BY 1";

/* Patterns of capitals, digits, _ and wildcards are about operators. */
static bool asks_for_tensors(const struct view_opts *o)
{
	return o->layers || (o->filter && o->filter[strspn(o->filter, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
								      "0123456789_+*?, ")]);
}

static sqlite3_stmt *series_query(sqlite3 *db, const struct view_opts *o, struct diag *d)
{
	int first, last;
	sqlite3_stmt *q;
	char *sql;

	if (view_layers(o->layers, &first, &last, d) < 0)
		return NULL;
	place_calls(db);
	place_tensors(db);
	sql = xasprintf(
		"WITH spent AS MATERIALIZED (%s) SELECT p.id, p.phase, p.begin_ns - (SELECT"
		" min(begin_ns) FROM token_t), p.n, p.length, p.end_ns - p.begin_ns, o.c, o.w FROM"
		" temp.placed p LEFT JOIN spent o ON o.token_id = p.id WHERE (?2 IS NULL OR p.phase"
		" = ?2) AND ?3 <= ?4 ORDER BY p.id",
		asks_for_tensors(o) ? sums_of_tensors : sums_of_ops);
	q = view_query(db, d, sql, "ssii", o->filter, o->phase, (int64_t)first, (int64_t)last);
	free(sql);
	return q;
}

struct table *stat_series(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	sqlite3_stmt *q = series_query(db, o, d);
	double *spark = NULL;
	size_t n = 0, cap = 0;
	struct table *t;

	if (!q)
		return NULL;
	t = table_new();
	table_column(t, "token_id", "call", TABLE_COUNT);
	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "at_ns", "at", TABLE_NS);
	table_column(t, "n_tokens", "tokens", TABLE_COUNT);
	table_column(t, "context", "context", TABLE_COUNT);
	table_column(t, "duration_ns", "time", TABLE_NS);
	table_column(t, "compute_ns", "compute", TABLE_NS);
	table_column(t, "wait_ns", "wait", TABLE_NS);
	while (view_step(q)) {
		table_row(t);
		table_number(t, sqlite3_column_double(q, 0));
		table_text(t, view_text(q, 1));
		for (int c = 2; c < 8; c++)
			table_number(t, sqlite3_column_type(q, c) == SQLITE_NULL
						? NAN
						: sqlite3_column_double(q, c));
		if (strcmp(view_text(q, 1), "decode") == 0)
			*VEC_PUSH(spark, n, cap) =
				sqlite3_column_double(q, o->filter || o->layers ? 6 : 5);
	}
	if (n > 1) {
		char *line = table_spark(spark, n, 60, o->ascii);

		buf_printf(foot, "%s per decode: %s\n", o->filter || o->layers ? "compute" : "time",
			   line);
		free(line);
	}
	free(spark);
	return t;
}

struct point {
	double x, y;
};

struct points {
	struct point *v;
	size_t n, cap;
};

enum { STRETCHES = 32, STRETCH_MIN = 4 };

static int by_x(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return (p->x > q->x) - (p->x < q->x);
}

/*
 * The medians of stretches of calls: one that was interrupted takes a hundred times as long, and
 * would draw a line of its own. Fewer calls stay as they are. The caller frees x and y.
 */
static size_t medians(struct points *p, double **x, double **y)
{
	size_t n = p->n / STRETCH_MIN < STRETCHES ? p->n / STRETCH_MIN : STRETCHES;
	double *own_x, *own_y;

	if (n < 8)
		n = p->n;
	*x = xcalloc(n + 1, sizeof(double));
	*y = xcalloc(n + 1, sizeof(double));
	own_x = xcalloc(p->n + 1, sizeof(double));
	own_y = xcalloc(p->n + 1, sizeof(double));
	qsort(p->v, p->n, sizeof(*p->v), by_x);
	for (size_t i = 0; i < n; i++) {
		size_t from = i * p->n / n, to = (i + 1) * p->n / n;

		for (size_t k = from; k < to; k++) {
			own_x[k - from] = p->v[k].x;
			own_y[k - from] = p->v[k].y;
		}
		(*x)[i] = median(own_x, to - from);
		(*y)[i] = median(own_y, to - from);
	}
	free(own_x);
	free(own_y);
	return n;
}

/* Most of the change has to follow the context, and it has to be worth a word. */
static const char *growth_verdict(size_t calls, const struct stat_fit *f, double growth)
{
	static const double trend = 0.5, little = 0.05, much = 0.2;

	if (calls < 8)
		return "too few calls";
	if (isnan(f->slope))
		return "context does not change";
	if (!(f->r2 > trend) || fabs(growth) < little)
		return "no trend";
	if (fabs(growth) < much)
		return f->slope > 0 ? "grows a little" : "shrinks a little";
	return f->slope > 0 ? "grows" : "shrinks";
}

static void growth_row(struct table *t, const char *op, struct points *p)
{
	double *x, *y, typical, growth;
	struct stat_fit f;
	size_t n;

	if (!p->n)
		return;
	n = medians(p, &x, &y);
	f = stat_fit(x, y, n);
	growth = f.slope * (x[n - 1] - x[0]);
	typical = median(y, n);
	growth = typical > 0 ? growth / typical : NAN;
	table_row(t);
	table_text(t, op);
	table_number(t, (double)p->n);
	table_number(t, typical);
	table_number(t, f.slope);
	table_number(t, f.r2);
	table_number(t, growth);
	table_text(t, growth_verdict(p->n, &f, growth));
	p->n = 0;
	free(x);
	free(y);
}

/* Sums per call and operator. Without flash attention the cache is read by matrix products like any
 * other, which then count apart. */
static const char plain_sums[] = "op_token_t";
static const char split_sums[] =
	"(SELECT token_id, op, thread_index, compute_ns FROM op_token_t UNION ALL SELECT token_id,"
	" 'MUL_MAT', thread_index, -c FROM kv UNION ALL SELECT token_id, 'MUL_MAT of the KV cache',"
	" thread_index, c FROM kv)";

static bool products_of_cache(sqlite3 *db)
{
	return view_int(db, 0,
			"SELECT 1 FROM tensor_t WHERE op = 'MUL_MAT' AND kv_bytes > 0 LIMIT 1",
			NULL) > 0;
}

/* Of each call the quickest worker counts: a task that steals one CPU is no growth. */
static sqlite3_stmt *growth_query(sqlite3 *db, const struct view_opts *o, struct diag *d)
{
	char *sql = xasprintf(
		"WITH kv AS (SELECT o.token_id, o.thread_index, sum(o.compute_ns) c FROM op_t o "
		"JOIN"
		" tensor_t t ON t.id = o.tensor_id WHERE t.op = 'MUL_MAT' AND t.kv_bytes > 0 GROUP"
		" BY 1, 2), spent AS MATERIALIZED (SELECT token_id, coalesce(op, '?') op,"
		" thread_index, sum(compute_ns) c FROM %s WHERE listed(?1, op) GROUP BY 1, 2, 3)"
		" SELECT s.op, p.length, min(s.c) FROM spent s CROSS JOIN temp.placed p ON p.id = "
		"s.token_id"
		" WHERE p.phase = coalesce(?2, 'decode') GROUP BY s.op, p.id ORDER BY s.op, p.id",
		products_of_cache(db) ? split_sums : plain_sums);
	sqlite3_stmt *q;

	place_calls(db);
	q = view_query(db, d, sql, "ss", o->filter, o->phase);
	free(sql);
	return q;
}

struct table *stat_growth(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	sqlite3_stmt *q = growth_query(db, o, d);
	struct points p = {0};
	char op[128] = "";
	struct table *t;

	if (!q)
		return NULL;
	t = table_new();
	table_column(t, "op", "op", TABLE_TEXT);
	table_column(t, "calls", "decodes", TABLE_COUNT);
	table_column(t, "typical_ns", "per decode", TABLE_NS);
	table_column(t, "slope", "ns per context token", TABLE_NUMBER);
	table_column(t, "r2", "r2", TABLE_NUMBER);
	table_column(t, "growth", "over the run", TABLE_CHANGE);
	table_column(t, "verdict", "verdict", TABLE_TEXT);
	while (view_step(q)) {
		if (strcmp(op, view_text(q, 0)) != 0) {
			growth_row(t, op, &p);
			snprintf(op, sizeof(op), "%s", view_text(q, 0));
		}
		*VEC_PUSH(p.v, p.n, p.cap) =
			(struct point){sqlite3_column_double(q, 1), sqlite3_column_double(q, 2)};
	}
	growth_row(t, op, &p);
	free(p.v);
	if (!table_rows(t))
		buf_puts(foot, "needs the token and the operator level\n");
	return t;
}

struct product {
	char *name, *phase;
	double flops, ns, rows, rest; /* rest: ns off the fit */
	double sigma;		      /* of the fit, 0: too few products for one */
};

static struct table *complexity_table(const struct product *v, size_t n)
{
	struct table *t = table_new();

	table_column(t, "name", "matrix product", TABLE_TEXT);
	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "rows", "rows", TABLE_COUNT);
	table_column(t, "mflop", "Mflop", TABLE_NUMBER);
	table_column(t, "ns", "mean", TABLE_NS);
	table_column(t, "gflops", "GFLOP/s", TABLE_NUMBER);
	table_column(t, "residual_ns", "off the fit", TABLE_NS);
	table_column(t, "note", "", TABLE_TEXT);
	for (const struct product *p = v; p < v + n; p++) {
		table_row(t);
		table_text(t, p->name);
		table_text(t, p->phase);
		table_number(t, p->rows);
		table_number(t, p->flops / 1e6);
		table_number(t, p->ns);
		table_number(t, p->flops / p->ns);
		table_number(t, p->rest);
		table_text(t, p->sigma > 0 && fabs(p->rest) > 2 * p->sigma
				      ? p->rest > 0 ? "outlier: slow" : "outlier: fast"
				      : "");
	}
	return t;
}

/* Products of one phase: in a prompt arithmetic sets their time, in decodes the bytes of the
 * weights, so each phase has a line of its own. */
static void fit_phase(struct product *v, size_t n, struct buf *foot)
{
	double *x = xcalloc(n + 1, sizeof(double)), *y = xcalloc(n + 1, sizeof(double)), sq = 0;
	struct stat_fit f;

	for (size_t i = 0; i < n; i++) {
		x[i] = v[i].flops;
		y[i] = v[i].ns;
	}
	f = stat_fit(x, y, n);
	for (size_t i = 0; i < n; i++) {
		v[i].rest = isnan(f.slope) ? NAN : y[i] - f.intercept - f.slope * x[i];
		sq += v[i].rest * v[i].rest;
	}
	for (size_t i = 0; i < n && n > 2; i++)
		v[i].sigma = sqrt(sq / (double)n);
	if (!isnan(f.slope) && f.slope > 0)
		buf_printf(foot,
			   "%s: time = %.3g us + flop / %.1f GFLOP/s (r2 = %.2f); outliers lie "
			   "more than two standard deviations (%.3g us) off\n",
			   *v->phase ? v->phase : "outside of calls", f.intercept / 1e3,
			   1 / f.slope, f.r2, v->sigma * 2 / 1e3);
	free(x);
	free(y);
}

static struct table *fit_products(struct product *v, size_t n, struct buf *foot)
{
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i; k < n && strcmp(v[k].phase, v[i].phase) == 0; k++)
			;
		fit_phase(v + i, k - i, foot);
	}
	return complexity_table(v, n);
}

struct table *stat_complexity(sqlite3 *db, const struct view_opts *o, struct buf *foot,
			      struct diag *d)
{
	int first, last;
	sqlite3_stmt *q;
	struct product *v = NULL;
	size_t n = 0, cap = 0;
	struct table *t;

	if (view_layers(o->layers, &first, &last, d) < 0)
		return NULL;
	place_tensors(db);
	/* A worker's mean time: they share one product and work side by side. */
	q = view_query(
		db, d,
		"SELECT l.label || ' ' || t.ne0 || 'x' || t.ne1, p.phase, t.flops,"
		" sum(p.compute_ns) * 1.0 / sum(p.count), sum(p.count) FROM op_phase_t p JOIN"
		" tensor_t t ON t.id = p.tensor_id JOIN temp.place l ON l.id = t.id WHERE t.op IN"
		" ('MUL_MAT', 'MUL_MAT_ID') AND t.flops > 0 AND listed(?1, t.op, t.name, l.label)"
		" AND (?2 IS NULL OR p.phase = ?2) AND coalesce(l.layer, -1) BETWEEN ?3 AND ?4"
		" GROUP BY p.phase, t.id ORDER BY p.phase",
		"ssii", o->filter, o->phase, (int64_t)first, (int64_t)last);
	while (view_step(q))
		*VEC_PUSH(v, n, cap) = (struct product){.name = xstrdup(view_text(q, 0)),
							.phase = xstrdup(view_text(q, 1)),
							.flops = sqlite3_column_double(q, 2),
							.ns = sqlite3_column_double(q, 3),
							.rows = sqlite3_column_double(q, 4)};
	if (!n)
		buf_puts(foot, "no matrix products with known dimensions\n");
	t = fit_products(v, n, foot);
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].phase);
	}
	free(v);
	return t;
}

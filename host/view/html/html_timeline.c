/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timeline strip of the html page. A run may have millions of operators and a screen has some
 * thousand columns: what each worker did is summed per bin of time, in one pass over the rows. To
 * zoom into, there is every row of a run of some 100,000, else a division into more bins that tells
 * what took most of each.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "view/html/html_rows.h"

enum {
	BINS = 2000,
	FINER_MAX = 64,		 /* fine bins in a bin */
	CELLS_MAX = 16 << 20,	 /* of all lanes and bins together */
	EXACT_ROWS_MAX = 250000, /* some 10 bytes each in the page */
	TOKENS_SHOWN = 4000,
	/* Columns of a bin: a share per operator class, then these. */
	BIN_WAIT = CLASS_COUNT,
	BIN_RUNNABLE, /* wanted a CPU and had none */
	BIN_KINDS,
};

struct lane {
	int64_t tid;
	float (*bins)[BIN_KINDS];    /* ns, of the fine bins */
	struct html_rows ops, waits; /* only when all rows are shown */
	UT_hash_handle hh;
};

struct strip {
	int64_t begin_ns, end_ns;
	int finer; /* fine bins in a bin */
	int n_bins;
	double bin_ns; /* of the fine ones */
	bool exact;
	struct lane *lanes;
	enum op_class *classes; /* by tensor number */
	uint32_t *names;	/* by tensor number */
	int64_t n_tensors;
	struct tl_strings *strings; /* "tensor\toperator\tclass", and who had the CPU */
};

static void find_span(sqlite3 *db, struct strip *s)
{
	static const char *const tables[] = {"token", "graph", "op", "sched"};
	char sql[96];

	for (size_t i = 0; i < ARRAY_LEN(tables) && s->end_ns <= s->begin_ns; i++) {
		snprintf(sql, sizeof(sql), "SELECT min(begin_ns) FROM %s", tables[i]);
		s->begin_ns = view_int(db, 0, sql, NULL);
		snprintf(sql, sizeof(sql), "SELECT max(end_ns) FROM %s", tables[i]);
		s->end_ns = view_int(db, 0, sql, NULL);
	}
}

static void divide(sqlite3 *db, struct strip *s)
{
	int64_t rows = view_int(db, 0, "SELECT count(*) FROM op", NULL);
	int64_t lanes = view_int(db, 0, "SELECT count(*) FROM thread", NULL) + 1;
	int64_t fit = CELLS_MAX / (lanes * BINS * BIN_KINDS);

	s->exact = rows <= EXACT_ROWS_MAX;
	s->finer = s->exact || fit < 2 ? 1 : fit < FINER_MAX ? (int)fit : FINER_MAX;
	s->n_bins = BINS * s->finer;
	s->bin_ns = (double)(s->end_ns - s->begin_ns) / s->n_bins;
}

static void load_tensors(sqlite3 *db, struct strip *s)
{
	sqlite3_stmt *row = view_query(
		db, NULL,
		"SELECT t.id, t.op, l.label FROM tensor t JOIN temp.place l ON l.id = t.id", NULL);

	s->n_tensors = view_int(db, 0, "SELECT max(id) + 1 FROM tensor", NULL);
	s->classes = xcalloc((size_t)s->n_tensors + 1, sizeof(*s->classes));
	s->names = xcalloc((size_t)s->n_tensors + 1, sizeof(*s->names));
	while (view_step(row)) {
		int64_t id = sqlite3_column_int64(row, 0);
		char *name;

		if (id < 0)
			continue;
		s->classes[id] = view_op_class(view_text(row, 1));
		if (!s->exact)
			continue;
		name = xasprintf("%s\t%s\t%d", view_text(row, 2), view_text(row, 1),
				 (int)s->classes[id]);
		s->names[id] = tl_strings_id(s->strings, name);
		free(name);
	}
}

static struct lane *lane_of(struct strip *s, int64_t tid)
{
	struct lane *l;

	HASH_FIND(hh, s->lanes, &tid, sizeof(tid), l);
	if (l)
		return l;
	l = xcalloc(1, sizeof(*l));
	l->tid = tid;
	l->bins = xcalloc((size_t)s->n_bins, sizeof(*l->bins));
	html_rows_init(&l->ops, s->begin_ns);
	html_rows_init(&l->waits, s->begin_ns);
	HASH_ADD(hh, s->lanes, tid, sizeof(l->tid), l);
	return l;
}

/* Gives each bin its part of an interval. */
static void spread(const struct strip *s, struct lane *l, int kind, int64_t begin, int64_t end)
{
	double from = (double)(begin - s->begin_ns) / s->bin_ns;
	double to = (double)(end - s->begin_ns) / s->bin_ns;

	from = fmax(from, 0);
	to = fmin(to, s->n_bins);
	for (int bin = (int)from; bin < s->n_bins && bin < to; bin++)
		l->bins[bin][kind] += (float)((fmin(to, bin + 1) - fmax(from, bin)) * s->bin_ns);
}

/* Columns: tid, tensor_id, begin_ns, end_ns, wait_ns. */
static void add_operator(struct strip *s, struct lane *l, sqlite3_stmt *row)
{
	int64_t tensor = sqlite3_column_int64(row, 1), wait = sqlite3_column_int64(row, 4);
	int64_t begin = sqlite3_column_int64(row, 2), end = sqlite3_column_int64(row, 3);
	bool known = tensor >= 0 && tensor < s->n_tensors;

	spread(s, l, known ? (int)s->classes[tensor] : CLASS_OTHER, begin, end);
	if (wait > 0)
		spread(s, l, BIN_WAIT, end, end + wait);
	if (s->exact && end >= begin)
		html_rows_add(&l->ops, begin,
			      (const uint64_t[]){(uint64_t)(end - begin),
						 wait > 0 ? (uint64_t)wait : 0,
						 known ? s->names[tensor] : 0},
			      3);
}

static int add_operators(sqlite3 *db, struct strip *s, const struct view_opts *o, struct diag *d)
{
	sqlite3_stmt *row =
		view_query(db, d, "SELECT tid, tensor_id, begin_ns, end_ns, wait_ns FROM op", NULL);
	int64_t total = o->progress ? view_int(db, 0, "SELECT max(id) FROM op", NULL) : 0, done = 0;
	struct lane *l = NULL;

	if (!row)
		return -EIO;
	while (sqlite3_step(row) == SQLITE_ROW) {
		int64_t tid = sqlite3_column_int64(row, 0);

		if (!l || l->tid != tid)
			l = lane_of(s, tid);
		add_operator(s, l, row);
		if (total && ++done % 262144 == 0 && done < total)
			progress_show(o->progress, "html", (double)done / (double)total);
	}
	progress_show(o->progress, "html", 1);
	if (sqlite3_finalize(row) != SQLITE_OK)
		return diag_fail(d, -EIO, "cannot read the operators: %s", sqlite3_errmsg(db));
	return 0;
}

static void add_waits_for_cpu(sqlite3 *db, struct strip *s)
{
	sqlite3_stmt *row =
		view_query(db, NULL,
			   "SELECT tid, begin_ns, end_ns, by_comm FROM sched WHERE "
			   "state = 'runnable' AND end_ns >= begin_ns ORDER BY begin_ns",
			   NULL);

	while (view_step(row)) {
		struct lane *l = lane_of(s, sqlite3_column_int64(row, 0));
		int64_t begin = sqlite3_column_int64(row, 1), end = sqlite3_column_int64(row, 2);

		spread(s, l, BIN_RUNNABLE, begin, end);
		if (s->exact)
			html_rows_add(
				&l->waits, begin,
				(const uint64_t[]){(uint64_t)(end - begin),
						   tl_strings_id(s->strings, view_text(row, 3))},
				2);
	}
}

/* Percent of each bin as a string of one character per bin, '0' for 0 up to 'p' for 64 parts. */
static void put_kind(struct json_out *j, const struct strip *s, const struct lane *l, int kind)
{
	char text[BINS + 1];

	for (int bin = 0; bin < BINS; bin++) {
		double ns = 0, share;
		long level;

		for (int i = 0; i < s->finer; i++)
			ns += l->bins[bin * s->finer + i][kind];
		share = s->bin_ns > 0 ? ns / (s->bin_ns * s->finer) : 0;
		level = lround(64 * fmin(share, 1));
		/* What is there at all shall be seen. */
		text[bin] = (char)('0' + (level || share <= 0 ? level : 1));
	}
	text[BINS] = '\0';
	json_text(j, NULL, text);
}

/* What took most of each fine bin, '0' for the first kind, or a blank; no CPU counts from a half.
 */
static void put_fine(struct json_out *j, const struct strip *s, const struct lane *l)
{
	char *text = xcalloc((size_t)s->n_bins + 1, 1);

	for (int bin = 0; bin < s->n_bins; bin++) {
		const float *ns = l->bins[bin];
		int most = 0;

		for (int kind = 1; kind < BIN_RUNNABLE; kind++)
			if (ns[kind] > ns[most])
				most = kind;
		if (ns[BIN_RUNNABLE] > s->bin_ns / 2)
			most = BIN_RUNNABLE;
		text[bin] = ns[most] > 0 ? (char)('0' + most) : ' ';
	}
	json_text(j, "fine", text);
	free(text);
}

static int by_tid(struct lane *a, struct lane *b)
{
	return a->tid < b->tid ? -1 : a->tid > b->tid;
}

static void put_lane(struct json_out *j, sqlite3 *db, const struct strip *s, const struct lane *l)
{
	sqlite3_stmt *row =
		view_query(db, NULL, "SELECT name FROM thread WHERE tid = ?1", "i", l->tid);

	json_open(j, NULL, '{');
	json_number(j, "tid", (double)l->tid);
	json_text(j, "name", row && sqlite3_step(row) == SQLITE_ROW ? view_text(row, 0) : "thread");
	sqlite3_finalize(row);
	json_open(j, "bins", '[');
	for (int kind = 0; kind < BIN_KINDS; kind++)
		put_kind(j, s, l, kind);
	json_close(j, ']');
	if (s->finer > 1)
		put_fine(j, s, l);
	if (s->exact) {
		html_rows_put(&l->ops, j, "ops");
		html_rows_put(&l->waits, j, "waits");
	}
	json_close(j, '}');
}

static void put_lanes(struct json_out *j, sqlite3 *db, struct strip *s)
{
	struct lane *l, *next;

	HASH_SRT(hh, s->lanes, by_tid);
	json_open(j, "lanes", '[');
	HASH_ITER (hh, s->lanes, l, next) {
		put_lane(j, db, s, l);
		HASH_DEL(s->lanes, l);
		html_rows_free(&l->ops);
		html_rows_free(&l->waits);
		free(l->bins);
		free(l);
	}
	json_close(j, ']');
	/* The names that the rows have by number; the first stands for none. */
	json_open(j, "names", '[');
	for (uint32_t i = 0; i < tl_strings_count(s->strings); i++)
		json_text(j, NULL, tl_strings_text(s->strings, i));
	json_close(j, ']');
}

/* Begin, end, phase, tokens and calls; of long runs neighbours of one phase are put together. */
static void put_tokens(struct json_out *j, sqlite3 *db, const struct strip *s)
{
	int64_t n = view_int(db, 0, "SELECT count(*) FROM token", NULL);
	char *sql =
		xasprintf("SELECT min(begin_ns) - %" PRId64 ", max(ifnull(end_ns, %" PRId64
			  ")) - %" PRId64 ", phase, sum(n_tokens), count(*) FROM "
			  "(SELECT *, row_number() OVER (ORDER BY begin_ns) - 1 AS k FROM token) "
			  "GROUP BY k * %d / %" PRId64 ", phase ORDER BY 1",
			  s->begin_ns, s->end_ns, s->begin_ns, TOKENS_SHOWN,
			  n > TOKENS_SHOWN ? n : TOKENS_SHOWN);

	json_query(j, db, "tokens", sql);
	json_number(j, "n_tokens", (double)n);
	free(sql);
}

int html_timeline(struct json_out *j, sqlite3 *db, const struct view_opts *o, struct diag *d)
{
	struct strip s = {.strings = tl_strings_new()};
	int err = 0;

	find_span(db, &s);
	divide(db, &s);
	json_open(j, "timeline", '{');
	json_number(j, "begin", (double)s.begin_ns);
	json_number(j, "end", (double)s.end_ns);
	json_number(j, "bins", BINS);
	json_number(j, "finer", s.finer);
	put_tokens(j, db, &s);
	if (s.bin_ns > 0) {
		load_tensors(db, &s);
		err = add_operators(db, &s, o, d);
		add_waits_for_cpu(db, &s);
	}
	put_lanes(j, db, &s);
	json_close(j, '}');
	tl_strings_free(s.strings);
	free(s.classes);
	free(s.names);
	return err;
}

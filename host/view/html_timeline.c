/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timeline strip of the html page. A run may have millions of operators and a screen has some
 * thousand columns: what each worker did is summed per bin of time, in one pass over the rows.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "view/export_file.h"
#include "view/html_data.h"

enum {
	BINS = 2000,
	TOKENS_SHOWN = 4000,
	/* Columns of a bin: a share per operator class, then these. */
	BIN_WAIT = CLASS_COUNT,
	BIN_RUNNABLE, /* wanted a CPU and had none */
	BIN_KINDS,
};

struct lane {
	int64_t tid;
	double (*bins)[BIN_KINDS]; /* ns */
	UT_hash_handle hh;
};

struct strip {
	int64_t begin_ns, end_ns;
	double bin_ns;
	struct lane *lanes;
	enum op_class *classes; /* by tensor number */
	int64_t n_classes;
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
	s->bin_ns = (double)(s->end_ns - s->begin_ns) / BINS;
}

static void load_classes(sqlite3 *db, struct strip *s)
{
	sqlite3_stmt *row = view_query(db, NULL, "SELECT id, op FROM tensor", NULL);

	s->n_classes = view_int(db, 0, "SELECT max(id) + 1 FROM tensor", NULL);
	s->classes = xcalloc((size_t)s->n_classes + 1, sizeof(*s->classes));
	while (view_step(row))
		if (sqlite3_column_int64(row, 0) >= 0)
			s->classes[sqlite3_column_int64(row, 0)] = view_op_class(view_text(row, 1));
}

static struct lane *lane_of(struct strip *s, int64_t tid)
{
	struct lane *l;

	HASH_FIND(hh, s->lanes, &tid, sizeof(tid), l);
	if (l)
		return l;
	l = xcalloc(1, sizeof(*l));
	l->tid = tid;
	l->bins = xcalloc(BINS, sizeof(*l->bins));
	HASH_ADD(hh, s->lanes, tid, sizeof(l->tid), l);
	return l;
}

/* Gives each bin its part of an interval. */
static void spread(const struct strip *s, struct lane *l, int kind, int64_t begin, int64_t end)
{
	double from = (double)(begin - s->begin_ns) / s->bin_ns;
	double to = (double)(end - s->begin_ns) / s->bin_ns;

	from = fmax(from, 0);
	to = fmin(to, BINS);
	for (int bin = (int)from; bin < BINS && bin < to; bin++)
		l->bins[bin][kind] += (fmin(to, bin + 1) - fmax(from, bin)) * s->bin_ns;
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
		int64_t tid = sqlite3_column_int64(row, 0), tensor = sqlite3_column_int64(row, 1);
		int64_t begin = sqlite3_column_int64(row, 2), end = sqlite3_column_int64(row, 3);
		int64_t wait = sqlite3_column_int64(row, 4);
		enum op_class c =
			tensor >= 0 && tensor < s->n_classes ? s->classes[tensor] : CLASS_OTHER;

		if (!l || l->tid != tid)
			l = lane_of(s, tid);
		spread(s, l, (int)c, begin, end);
		if (wait > 0)
			spread(s, l, BIN_WAIT, end, end + wait);
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
	sqlite3_stmt *row = view_query(db, NULL,
				       "SELECT tid, begin_ns, end_ns FROM sched WHERE "
				       "state = 'runnable'",
				       NULL);

	while (view_step(row))
		spread(s, lane_of(s, sqlite3_column_int64(row, 0)), BIN_RUNNABLE,
		       sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2));
}

/* Percent of each bin as a string of one character per bin, '0' for 0 up to 'p' for 64 parts. */
static void put_kind(struct json_out *j, const struct strip *s, const struct lane *l, int kind)
{
	char text[BINS + 1];

	for (int bin = 0; bin < BINS; bin++) {
		double share = s->bin_ns > 0 ? l->bins[bin][kind] / s->bin_ns : 0;
		long level = lround(64 * fmin(share, 1));

		/* What is there at all shall be seen. */
		text[bin] = (char)('0' + (level || share <= 0 ? level : 1));
	}
	text[BINS] = '\0';
	json_text(j, NULL, text);
}

static int by_tid(struct lane *a, struct lane *b)
{
	return a->tid < b->tid ? -1 : a->tid > b->tid;
}

static void put_lanes(struct json_out *j, sqlite3 *db, struct strip *s)
{
	struct lane *l, *next;

	HASH_SRT(hh, s->lanes, by_tid);
	json_open(j, "lanes", '[');
	HASH_ITER (hh, s->lanes, l, next) {
		sqlite3_stmt *row =
			view_query(db, NULL, "SELECT name FROM thread WHERE tid = ?1", "i", l->tid);

		json_open(j, NULL, '{');
		json_number(j, "tid", (double)l->tid);
		json_text(j, "name",
			  row && sqlite3_step(row) == SQLITE_ROW ? view_text(row, 0) : "thread");
		sqlite3_finalize(row);
		json_open(j, "bins", '[');
		for (int kind = 0; kind < BIN_KINDS; kind++)
			put_kind(j, s, l, kind);
		json_close(j, ']');
		json_close(j, '}');
		HASH_DEL(s->lanes, l);
		free(l->bins);
		free(l);
	}
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
	struct strip s = {0};
	int err = 0;

	find_span(db, &s);
	json_open(j, "timeline", '{');
	json_number(j, "begin", (double)s.begin_ns);
	json_number(j, "end", (double)s.end_ns);
	json_number(j, "bins", BINS);
	put_tokens(j, db, &s);
	if (s.bin_ns > 0) {
		load_classes(db, &s);
		err = add_operators(db, &s, o, d);
		add_waits_for_cpu(db, &s);
	}
	put_lanes(j, db, &s);
	json_close(j, '}');
	free(s.classes);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Mixture of experts: use counts, reuse distance, heat map. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/buf.h"
#include "util/text.h"
#include "view/stat/stat.h"

static const char none[] =
	"no experts in this run: no MUL_MAT_ID on the CPU, or the operator level "
	"was off\n";

struct table *stat_experts(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	struct table *t;
	sqlite3_stmt *q;
	int first, last;

	if (view_layers(o->layers, &first, &last, d) < 0)
		return NULL;
	q = view_query(
		db, d,
		"SELECT layer, expert, n, n * 1.0 / sum(n) OVER (PARTITION BY layer), n * 1.0 /"
		" avg(n) OVER (PARTITION BY layer) FROM (SELECT coalesce(t.layer, -1) layer,"
		" x.expert expert, count(*) n FROM expert_t x LEFT JOIN tensor_t t ON t.id ="
		" x.tensor_id GROUP BY 1, 2) WHERE layer BETWEEN ?1 AND ?2",
		"ii", (int64_t)first, (int64_t)last);
	if (!q)
		return NULL;
	t = table_new();
	table_column(t, "layer", "layer", TABLE_NUMBER);
	table_column(t, "expert", "expert", TABLE_NUMBER);
	table_column(t, "uses", "uses", TABLE_COUNT);
	table_column(t, "share", "of the layer", TABLE_PERCENT);
	table_column(t, "skew", "of the mean", TABLE_NUMBER);
	table_column(t, "bar", "", TABLE_BAR);
	while (view_step(q)) {
		table_row(t);
		for (int c = 0; c < 5; c++)
			table_number(t, sqlite3_column_double(q, c));
		table_number(t, sqlite3_column_double(q, 3));
	}
	if (!table_rows(t))
		buf_puts(foot, none);
	return t;
}

/* Reuse: tokens since the expert was used last, in the order of recording, per layer. */

struct last_use {
	struct {
		int64_t layer, expert;
	} key;
	int64_t token;
	UT_hash_handle hh;
};

enum { REUSE_BUCKETS = 24 };

struct reuse {
	struct last_use *uses;
	int64_t bucket[REUSE_BUCKETS]; /* 0: first use; b: distance in [2^(b-1), 2^b) */
	double sum, again;
};

static void use(struct reuse *r, int64_t layer, int64_t expert, int64_t token)
{
	struct last_use key = {.key = {layer, expert}}, *u;
	int b = 0;

	HASH_FIND(hh, r->uses, &key.key, sizeof(key.key), u);
	if (!u) {
		u = xcalloc(1, sizeof(*u));
		u->key = key.key;
		HASH_ADD(hh, r->uses, key, sizeof(u->key), u);
	} else if (u->token != token) {
		for (int64_t distance = token - u->token; distance; distance >>= 1)
			b++;
		r->sum += (double)(token - u->token);
		r->again++;
	} else {
		return; /* twice by one token */
	}
	r->bucket[b < REUSE_BUCKETS ? b : REUSE_BUCKETS - 1]++;
	u->token = token;
}

static void read_uses(sqlite3 *db, struct reuse *r)
{
	sqlite3_stmt *q =
		view_query(db, NULL,
			   "SELECT coalesce(t.layer, -1), x.expert, x.op_id, x.token_index"
			   " FROM expert_t x LEFT JOIN tensor_t t ON t.id = x.tensor_id ORDER"
			   " BY 1, x.rowid",
			   NULL);
	int64_t layer = INT64_MIN, op = -1, index = -1, token = 0;

	while (view_step(q)) {
		if (sqlite3_column_int64(q, 0) != layer)
			token = 0;
		if (sqlite3_column_int64(q, 2) != op || sqlite3_column_int64(q, 3) != index)
			token++;
		layer = sqlite3_column_int64(q, 0);
		op = sqlite3_column_int64(q, 2);
		index = sqlite3_column_int64(q, 3);
		use(r, layer, sqlite3_column_int64(q, 1), token);
	}
}

struct table *stat_reuse(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	struct table *t = table_new();
	struct reuse r = {0};
	struct last_use *u, *tmp;
	double all = 0;

	(void)o;
	(void)d;
	read_uses(db, &r);
	table_column(t, "distance", "tokens since the last use", TABLE_TEXT);
	table_column(t, "uses", "uses", TABLE_COUNT);
	table_column(t, "share", "share", TABLE_PERCENT);
	table_column(t, "bar", "", TABLE_BAR);
	for (int b = 0; b < REUSE_BUCKETS; b++)
		all += (double)r.bucket[b];
	for (int b = 0; b < REUSE_BUCKETS && all > 0; b++) {
		char range[64];

		if (!r.bucket[b])
			continue;
		if (b < 2)
			snprintf(range, sizeof(range), "%s",
				 b ? "1 (the token before)" : "first use");
		else
			snprintf(range, sizeof(range), "%d to %d", 1 << (b - 1), (1 << b) - 1);
		table_row(t);
		table_text(t, range);
		table_number(t, (double)r.bucket[b]);
		table_number(t, (double)r.bucket[b] / all);
		table_number(t, (double)r.bucket[b] / all);
	}
	if (r.again > 0)
		buf_printf(foot, "mean reuse distance: %.1f tokens\n", r.sum / r.again);
	else
		buf_puts(foot, none);
	HASH_ITER (hh, r.uses, u, tmp) {
		HASH_DEL(r.uses, u);
		free(u);
	}
	return t;
}

/* Latency: does a product take longer when its experts were not used a token ago? */

enum { FRESH_MAX = 64 };

struct latency {
	uint8_t last[512], now[512]; /* bit sets of experts */
	int64_t layer, op;
	unsigned fresh;
	double ns[FRESH_MAX], runs[FRESH_MAX];
};

static void latency_row(struct latency *l, double ns)
{
	unsigned k = l->fresh < FRESH_MAX ? l->fresh : FRESH_MAX - 1;

	if (l->op >= 0 && !isnan(ns)) {
		l->ns[k] += ns;
		l->runs[k]++;
	}
	memcpy(l->last, l->now, sizeof(l->last));
	memset(l->now, 0, sizeof(l->now));
	l->fresh = 0;
}

static void latency_use(struct latency *l, int64_t e)
{
	uint8_t bit = (uint8_t)(1 << e % 8);

	if (e < 0 || e >= (int64_t)sizeof(l->now) * 8 || l->now[e / 8] & bit)
		return;
	l->now[e / 8] |= bit;
	l->fresh += !(l->last[e / 8] & bit);
}

static void read_latency(sqlite3 *db, struct latency *l)
{
	sqlite3_stmt *q = view_query(
		db, NULL,
		"SELECT t.layer, x.op_id, x.expert, o.compute_ns FROM expert_t x JOIN op_t o ON "
		"o.id ="
		" x.op_id JOIN token_t k ON k.id = o.token_id JOIN tensor_t t ON t.id = x.tensor_id"
		" WHERE k.phase = 'decode' ORDER BY t.layer, x.rowid",
		NULL);
	double ns = NAN;

	while (view_step(q)) {
		if (sqlite3_column_int64(q, 1) != l->op)
			latency_row(l, ns);
		if (sqlite3_column_int64(q, 0) != l->layer)
			memset(l->last, 0, sizeof(l->last));
		l->layer = sqlite3_column_int64(q, 0);
		l->op = sqlite3_column_int64(q, 1);
		ns = sqlite3_column_double(q, 3);
		latency_use(l, sqlite3_column_int64(q, 2));
	}
	latency_row(l, ns);
}

struct table *stat_latency(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	struct latency *l = xcalloc(1, sizeof(*l));
	struct table *t = table_new();

	(void)o;
	(void)d;
	l->op = -1;
	read_latency(db, l);
	table_column(t, "fresh", "experts not used by the token before", TABLE_COUNT);
	table_column(t, "runs", "products", TABLE_COUNT);
	table_column(t, "mean_ns", "mean time of worker 0", TABLE_NS);
	for (int i = 0; i < FRESH_MAX; i++) {
		if (l->runs[i] <= 0)
			continue;
		table_row(t);
		table_number(t, i);
		table_number(t, l->runs[i]);
		table_number(t, l->ns[i] / l->runs[i]);
	}
	if (!table_rows(t))
		buf_puts(foot, none);
	free(l);
	return t;
}

/* Heat map: a row per expert, a character per stretch of tokens. */

enum { HEAT_CELLS = 60, HEAT_EXPERTS = 1024 };

struct heat {
	double uses[HEAT_EXPERTS][HEAT_CELLS];
	double total[HEAT_EXPERTS];
	double max;
	int n;
};

static void read_heat(sqlite3 *db, int64_t layer, struct heat *h)
{
	double ops =
		view_double(db, 0,
			    "SELECT count(DISTINCT x.op_id) FROM expert_t x JOIN tensor_t t ON t.id"
			    " = x.tensor_id WHERE t.layer = ?1",
			    "i", layer);
	sqlite3_stmt *q =
		view_query(db, NULL,
			   "SELECT x.expert, x.op_id FROM expert_t x JOIN tensor_t t ON t.id ="
			   " x.tensor_id WHERE t.layer = ?1 ORDER BY x.rowid",
			   "i", layer);
	int64_t op = -1, call = -1;

	while (view_step(q)) {
		int64_t e = sqlite3_column_int64(q, 0);
		int cell;

		if (sqlite3_column_int64(q, 1) != op)
			call++;
		op = sqlite3_column_int64(q, 1);
		cell = (int)((double)call * HEAT_CELLS / (ops > 0 ? ops : 1));
		if (e < 0 || e >= HEAT_EXPERTS || cell >= HEAT_CELLS)
			continue;
		h->n = e >= h->n ? (int)e + 1 : h->n;
		h->total[e]++;
		h->uses[e][cell]++;
		h->max = fmax(h->max, h->uses[e][cell]);
	}
}

static char *heat_line(const double *v, double max, bool ascii)
{
	static const char *const shades[] = {" ", "░", "▒", "▓", "█"};
	struct buf b = {0};

	for (int i = 0; i < HEAT_CELLS; i++) {
		/* A rare expert shall still be seen. */
		int level = v[i] > 0 ? 1 + (int)(v[i] / max * 3.999) : 0;

		level = level > 4 ? 4 : level;
		if (ascii)
			buf_putc(&b, " .:+#"[level]);
		else
			buf_puts(&b, shades[level]);
	}
	return buf_take(&b);
}

struct table *stat_heat(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	struct heat *h = xcalloc(1, sizeof(*h));
	struct table *t;
	int first, last;

	if (view_layers(o->layers, &first, &last, d) < 0) {
		free(h);
		return NULL;
	}
	if (!o->layers)
		first = (int)view_int(
			db, 0,
			"SELECT min(t.layer) FROM expert_t x JOIN tensor_t t ON t.id ="
			" x.tensor_id",
			NULL);
	read_heat(db, first, h);
	t = table_new();
	table_column(t, "expert", "expert", TABLE_NUMBER);
	table_column(t, "uses", "uses", TABLE_COUNT);
	table_column(t, "heat", "calls from first to last", TABLE_TEXT);
	for (int e = 0; e < h->n; e++) {
		char *line = heat_line(h->uses[e], h->max, o->ascii);

		table_row(t);
		table_number(t, e);
		table_number(t, h->total[e]);
		table_text(t, line);
		free(line);
	}
	if (h->n)
		buf_printf(foot, "layer %d\n", first);
	else
		buf_puts(foot, none);
	free(h);
	return t;
}

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

static void read_uses(sqlite3 *db, int first, int last, struct reuse *r)
{
	sqlite3_stmt *q =
		view_query(db, NULL,
			   "SELECT coalesce(t.layer, -1) layer, x.expert, x.op_id, x.token_index"
			   " FROM expert_t x LEFT JOIN tensor_t t ON t.id = x.tensor_id WHERE layer"
			   " BETWEEN ?1 AND ?2 ORDER BY layer, x.rowid",
			   "ii", (int64_t)first, (int64_t)last);
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
	struct reuse r = {0};
	struct last_use *u, *tmp;
	int first, last;
	double all = 0;
	struct table *t;

	if (view_layers(o->layers, &first, &last, d) < 0)
		return NULL;
	read_uses(db, first, last, &r);
	t = table_new();
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

/* Latency: does a product take longer when its experts are new, or were not used a token ago? */

enum { NEW_MAX = 17, EXPERTS_MAX = 4096 }; /* experts of a product, and of a layer */

struct expert_set {
	uint8_t bits[EXPERTS_MAX / 8];
};

struct latency {
	struct expert_set ever, last, now;
	int64_t layer, op, index;
	double ns;	       /* of the product at hand, NAN for one that does not count */
	unsigned first, fresh; /* of its experts: never used before, not used a token ago */
	double sum[NEW_MAX][NEW_MAX], runs[NEW_MAX][NEW_MAX];
};

static bool has_expert(const struct expert_set *s, int64_t e)
{
	return s->bits[e / 8] >> e % 8 & 1;
}

static void add_expert(struct expert_set *s, int64_t e)
{
	s->bits[e / 8] |= (uint8_t)(1 << e % 8);
}

static void end_product(struct latency *l)
{
	unsigned first = l->first < NEW_MAX ? l->first : NEW_MAX - 1;
	unsigned fresh = l->fresh < NEW_MAX ? l->fresh : NEW_MAX - 1;

	if (l->op >= 0 && !isnan(l->ns)) {
		l->sum[first][fresh] += l->ns;
		l->runs[first][fresh]++;
	}
	l->last = l->now;
	memset(&l->now, 0, sizeof(l->now));
	l->first = l->fresh = 0;
}

static void latency_use(struct latency *l, int64_t e)
{
	if (e < 0 || e >= EXPERTS_MAX || has_expert(&l->now, e))
		return;
	l->first += !has_expert(&l->ever, e);
	l->fresh += !has_expert(&l->last, e);
	add_expert(&l->now, e);
	add_expert(&l->ever, e);
}

/* Prompts count as uses; their products, of many tokens at once, have no time of a token. */
static void read_latency(sqlite3 *db, int first, int last, struct latency *l)
{
	sqlite3_stmt *q = view_query(
		db, NULL,
		"SELECT t.layer, x.op_id, x.token_index, x.expert, CASE WHEN k.phase = 'decode' "
		"THEN"
		" o.compute_ns END FROM expert_t x JOIN op_t o ON o.id = x.op_id JOIN token_t k ON"
		" k.id = o.token_id JOIN tensor_t t ON t.id = x.tensor_id WHERE coalesce(t.layer,"
		" -1) BETWEEN ?1 AND ?2 ORDER BY t.layer, x.rowid",
		"ii", (int64_t)first, (int64_t)last);

	while (view_step(q)) {
		bool other_layer = sqlite3_column_int64(q, 0) != l->layer;

		if (sqlite3_column_int64(q, 1) != l->op || sqlite3_column_int64(q, 2) != l->index)
			end_product(l);
		if (other_layer)
			l->ever = l->last = (struct expert_set){0};
		l->layer = sqlite3_column_int64(q, 0);
		l->op = sqlite3_column_int64(q, 1);
		l->index = sqlite3_column_int64(q, 2);
		l->ns = sqlite3_column_type(q, 4) == SQLITE_NULL ? NAN
								 : sqlite3_column_double(q, 4);
		latency_use(l, sqlite3_column_int64(q, 3));
	}
	end_product(l);
}

/* First use against reuse, in one line. */
static void latency_words(const struct latency *l, struct buf *foot)
{
	double sum[2] = {0}, runs[2] = {0};
	char a[32], b[32];

	for (int first = 0; first < NEW_MAX; first++)
		for (int fresh = 0; fresh < NEW_MAX; fresh++) {
			sum[first > 0] += l->sum[first][fresh];
			runs[first > 0] += l->runs[first][fresh];
		}
	if (runs[0] + runs[1] <= 0)
		buf_puts(foot, none);
	else if (runs[0] > 0 && runs[1] > 0)
		buf_printf(foot,
			   "%.0f products with an expert that was never used before took %s each, "
			   "%.0f of experts used before %s (%.3g times as long)\n",
			   runs[1], text_ns(sum[1] / runs[1], a), runs[0],
			   text_ns(sum[0] / runs[0], b), sum[0] / runs[0] / (sum[1] / runs[1]));
	else
		buf_puts(foot, runs[1] > 0
				       ? "every product had an expert that was never used before\n"
				       : "no decode used an expert for the first time\n");
}

struct table *stat_latency(sqlite3 *db, const struct view_opts *o, struct buf *foot, struct diag *d)
{
	struct latency *l;
	struct table *t;
	int from, to;

	if (view_layers(o->layers, &from, &to, d) < 0)
		return NULL;
	l = xcalloc(1, sizeof(*l));
	l->op = l->layer = -1;
	l->ns = NAN;
	read_latency(db, from, to, l);
	t = table_new();
	table_column(t, "first", "experts never used before", TABLE_COUNT);
	table_column(t, "fresh", "not used by the token before", TABLE_COUNT);
	table_column(t, "runs", "products", TABLE_COUNT);
	table_column(t, "mean_ns", "mean time of worker 0", TABLE_NS);
	for (int first = 0; first < NEW_MAX; first++)
		for (int fresh = 0; fresh < NEW_MAX; fresh++) {
			if (l->runs[first][fresh] <= 0)
				continue;
			table_row(t);
			table_number(t, first);
			table_number(t, fresh);
			table_number(t, l->runs[first][fresh]);
			table_number(t, l->sum[first][fresh] / l->runs[first][fresh]);
		}
	latency_words(l, foot);
	free(l);
	return t;
}

/* Heat map: a row per expert, a character per stretch of tokens, those of prompts as well. */

enum { HEAT_CELLS = 60, HEAT_EXPERTS = 1024 };

struct heat {
	double uses[HEAT_EXPERTS][HEAT_CELLS];
	double total[HEAT_EXPERTS];
	double max, tokens;
	int n;
};

static void read_heat(sqlite3 *db, int64_t layer, struct heat *h)
{
	double tokens = view_double(
		db, 0,
		"SELECT count(*) FROM (SELECT DISTINCT x.op_id, x.token_index FROM expert_t x JOIN"
		" tensor_t t ON t.id = x.tensor_id WHERE t.layer = ?1)",
		"i", layer);
	sqlite3_stmt *q =
		view_query(db, NULL,
			   "SELECT x.expert, x.op_id, x.token_index FROM expert_t x JOIN tensor_t t"
			   " ON t.id = x.tensor_id WHERE t.layer = ?1 ORDER BY x.rowid",
			   "i", layer);
	int64_t op = -1, index = -1, token = -1;

	while (view_step(q)) {
		int64_t e = sqlite3_column_int64(q, 0);
		int cell;

		token += sqlite3_column_int64(q, 1) != op || sqlite3_column_int64(q, 2) != index;
		op = sqlite3_column_int64(q, 1);
		index = sqlite3_column_int64(q, 2);
		cell = (int)((double)token * HEAT_CELLS / (tokens > 0 ? tokens : 1));
		if (e < 0 || e >= HEAT_EXPERTS || cell >= HEAT_CELLS)
			continue;
		h->n = e >= h->n ? (int)e + 1 : h->n;
		h->total[e]++;
		h->uses[e][cell]++;
		h->max = fmax(h->max, h->uses[e][cell]);
	}
	h->tokens = tokens;
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
	table_column(t, "heat", "tokens from first to last", TABLE_TEXT);
	for (int e = 0; e < h->n; e++) {
		char *line = heat_line(h->uses[e], h->max, o->ascii);

		table_row(t);
		table_number(t, e);
		table_number(t, h->total[e]);
		table_text(t, line);
		free(line);
	}
	if (h->n)
		buf_printf(foot, "layer %d, %.0f tokens, %.3g each column\n", first, h->tokens,
			   h->tokens / fmin(h->tokens, HEAT_CELLS));
	else
		buf_puts(foot, none);
	free(h);
	return t;
}

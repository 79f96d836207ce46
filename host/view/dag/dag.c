/* SPDX-License-Identifier: Apache-2.0 */
#include "view/dag/dag.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"
#include "util/text.h"
#include "view/place.h"
#include "view/view.h"

/* Rows of `tensor` by id, each pointing to its node: shapes that differ share one. */
struct row {
	int64_t id;
	size_t node;
	bool executed, needed;
	bool fused; /* ran as part of the node it was moved to */
	UT_hash_handle hh;
};

struct by_key {
	char *key;
	size_t node;
	UT_hash_handle hh;
};

struct loader {
	sqlite3 *db;
	struct diag *d;
	const char *phase; /* NULL: all */
	struct dag *g;
	struct row *rows;
	struct by_key *keys;
	const char *sums; /* the table of sums there is */
};

void dag_node_free(struct dag_node *n)
{
	free(n->name);
	free(n->op);
	free(n->type);
	free(n->kind);
	free(n->key);
	free(n->threads);
	buf_free(&n->weights);
}

void dag_free(struct dag *g)
{
	for (size_t i = 0; i < g->n_nodes; i++)
		dag_node_free(&g->nodes[i]);
	for (size_t i = 0; i < g->n_layers; i++)
		free(g->layers[i].members);
	free(g->nodes);
	free(g->edges);
	free(g->layers);
	free(g->phase);
	*g = (struct dag){0};
}

static struct row *row_of(struct loader *l, int64_t id)
{
	struct row *r;

	HASH_FIND(hh, l->rows, &id, sizeof(id), r);
	return r;
}

/* A node of that name and operator in some layer: what ran in none of its own is the same tensor.
 */
static const struct dag_node *placed_node(const struct loader *l, const char *name, const char *op)
{
	for (size_t i = 0; i < l->g->n_nodes; i++)
		if (!strcmp(l->g->nodes[i].name, name) && !strcmp(l->g->nodes[i].op, op))
			return &l->g->nodes[i];
	return NULL;
}

/*
 * The same tensor in graphs of other shapes: it has the name, the operator and the layer, and what
 * it is made from has them, too. Both norms of a layer are called "norm", but are made from other
 * things. A running number means another tensor in another graph.
 */
static size_t node_for(struct loader *l, sqlite3_stmt *s)
{
	const char *name = view_text(s, 1), *op = view_text(s, 3), *layer = view_text(s, 2);
	const char *source = view_text(s, 12);
	const struct dag_node *same =
		place_unnamed(name) && !*layer ? placed_node(l, name, op) : NULL;
	char *key = xasprintf("%s\x1f%s\x1f%s\x1f%s\x1f%s", name, op, layer,
			      place_unnamed(source) ? "" : source, view_text(s, 13));
	struct by_key *k;
	struct dag_node *n;

	HASH_FIND_STR(l->keys, key, k);
	if (k || same) {
		free(key);
		return k ? k->node : (size_t)(same - l->g->nodes);
	}
	k = xcalloc(1, sizeof(*k));
	k->key = key;
	k->node = l->g->n_nodes;
	HASH_ADD_KEYPTR(hh, l->keys, k->key, strlen(k->key), k);
	n = VEC_PUSH(l->g->nodes, l->g->n_nodes, l->g->cap_nodes);
	*n = (struct dag_node){
		.name = xstrdup(name),
		.layer = sqlite3_column_type(s, 2) == SQLITE_NULL ? -1 : sqlite3_column_int(s, 2),
		.op = xstrdup(view_text(s, 3)),
		.type = xstrdup(view_text(s, 4)),
		.kind = xstrdup(view_text(s, 11)),
		.key = xstrdup(key),
		.counter = -1,
		.copies = 1,
		.gone = true, /* until something needs it */
	};
	return k->node;
}

static void load_tensors(struct loader *l)
{
	sqlite3_stmt *s =
		view_query(l->db, l->d,
			   "SELECT t.id, t.name, p.layer, t.op, t.type, t.ne0, t.ne1, t.ne2, "
			   "t.ne3, t.flops, t.bytes, t.kind, s.name, s.op FROM tensor_t t JOIN "
			   "temp.place p ON p.id = t.id LEFT JOIN (SELECT dst_tensor, "
			   "min(src_tensor) AS src FROM edge_t WHERE slot = 0 GROUP BY 1) e ON "
			   "e.dst_tensor = t.id LEFT JOIN tensor_t s ON s.id = e.src "
			   "ORDER BY p.layer IS NULL, t.id",
			   NULL);

	while (view_step(s)) {
		struct row *r = xcalloc(1, sizeof(*r));
		struct dag_node *n;

		r->id = sqlite3_column_int64(s, 0);
		r->node = node_for(l, s);
		n = &l->g->nodes[r->node];
		for (int i = 0; i < 4; i++)
			n->ne[i] = sqlite3_column_int64(s, 5 + i);
		HASH_ADD(hh, l->rows, id, sizeof(r->id), r);
	}
}

static struct dag_thread *thread_of(struct dag_node *n, int index)
{
	for (size_t i = 0; i < n->n_threads; i++)
		if (n->threads[i].index == index)
			return &n->threads[i];
	VEC_PUSH(n->threads, n->n_threads, n->cap_threads)->index = index;
	return &n->threads[n->n_threads - 1];
}

static void load_sums(struct loader *l)
{
	char *sql = xasprintf("SELECT o.tensor_id, o.thread_index, sum(o.count), "
			      "sum(o.compute_ns), sum(o.wait_ns), t.ne0, t.ne1, t.ne2, t.ne3, "
			      "sum(o.count * t.flops), sum(o.count * t.bytes) "
			      "FROM %s o JOIN tensor t ON t.id = o.tensor_id "
			      "GROUP BY o.tensor_id, o.thread_index",
			      l->sums);
	sqlite3_stmt *s = view_query(l->db, l->d, sql, l->phase ? "s" : NULL, l->phase);

	while (view_step(s)) {
		struct row *r = row_of(l, sqlite3_column_int64(s, 0));
		struct dag_node *n;
		struct dag_thread *t;

		if (!r || !sqlite3_column_int64(s, 2))
			continue;
		r->executed = true;
		n = &l->g->nodes[r->node];
		t = thread_of(n, sqlite3_column_int(s, 1));
		t->count += (uint64_t)sqlite3_column_int64(s, 2);
		t->compute_ns += sqlite3_column_double(s, 3);
		t->wait_ns += sqlite3_column_double(s, 4);
		for (int i = 0; i < 4; i++)
			n->ne[i] = sqlite3_column_int64(s, 5 + i);
		if (t == n->threads) { /* the model counts each execution once */
			n->flops += sqlite3_column_double(s, 9);
			n->bytes += sqlite3_column_double(s, 10);
		}
	}
	free(sql);
}

static void finish_node(struct dag *g, struct dag_node *n)
{
	double wait = 0;

	for (size_t i = 0; i < n->n_threads; i++) {
		struct dag_thread *t = &n->threads[i];

		n->cpu_ns += t->compute_ns;
		wait += t->wait_ns / (double)t->count;
		if (t->count > n->count)
			n->count = t->count;
		if (t->compute_ns / (double)t->count > n->time_ns)
			n->time_ns = t->compute_ns / (double)t->count;
	}
	g->total_cpu_ns += n->cpu_ns;
	if (!n->count)
		return;
	n->wait_ns = wait / (double)n->n_threads;
	n->flops /= (double)n->threads[0].count;
	n->bytes /= (double)n->threads[0].count;
	n->min_ns = n->max_ns = n->time_ns;
}

static void load_counter(struct loader *l, const char *name)
{
	const char *sql =
		l->phase ? "SELECT c.tensor_id, sum(c.value) FROM counter_phase_t c JOIN "
			   "counter_name_t n ON n.id = c.name_id WHERE n.name = ?1 AND "
			   "c.phase = ?2 GROUP BY 1"
			 : "SELECT c.tensor_id, sum(c.value) FROM counter_phase_t c JOIN "
			   "counter_name_t n ON n.id = c.name_id WHERE n.name = ?1 GROUP BY 1";
	sqlite3_stmt *s = view_query(l->db, l->d, sql, l->phase ? "ss" : "s", name, l->phase);

	while (view_step(s)) {
		struct row *r = row_of(l, sqlite3_column_int64(s, 0));
		struct dag_node *n = r ? &l->g->nodes[r->node] : NULL;

		if (!n || !n->count)
			continue;
		n->counter = (n->counter < 0 ? 0 : n->counter) +
			     sqlite3_column_double(s, 1) / (double)n->count;
	}
}

static void load_experts(struct loader *l)
{
	sqlite3_stmt *s = view_query(
		l->db, l->d,
		"SELECT tensor_id, count(*), max(uses), sum(uses) FROM (SELECT o.tensor_id, "
		"e.expert, count(*) AS uses FROM expert e JOIN op o ON o.id = e.op_id "
		"GROUP BY o.tensor_id, e.expert) GROUP BY tensor_id",
		NULL);

	while (view_step(s)) {
		struct row *r = row_of(l, sqlite3_column_int64(s, 0));
		int distinct = sqlite3_column_int(s, 1);

		if (!r)
			continue;
		l->g->nodes[r->node].experts = distinct;
		l->g->nodes[r->node].skew =
			sqlite3_column_double(s, 2) * distinct / sqlite3_column_double(s, 3);
	}
}

struct pair {
	struct row *src, *dst;
	int slot;
};

static struct pair *load_pairs(struct loader *l, size_t *count)
{
	sqlite3_stmt *s = view_query(l->db, l->d,
				     "SELECT src_tensor, dst_tensor, slot FROM edge "
				     "ORDER BY dst_tensor, slot",
				     NULL);
	struct pair *pairs = NULL;
	size_t cap = 0;

	*count = 0;
	while (view_step(s)) {
		struct pair p = {row_of(l, sqlite3_column_int64(s, 0)),
				 row_of(l, sqlite3_column_int64(s, 1)), sqlite3_column_int(s, 2)};

		if (p.src && p.dst)
			*VEC_PUSH(pairs, *count, cap) = p;
	}
	return pairs;
}

/* What was executed, and everything that leads there without having been executed itself. */
static void mark_needed(struct loader *l, const struct pair *pairs, size_t n)
{
	struct row *r, *next;
	bool any = false, changed = true;

	HASH_ITER (hh, l->rows, r, next)
		any |= r->executed;
	HASH_ITER (hh, l->rows, r, next)
		r->needed = r->executed || !any;
	while (changed) {
		changed = false;
		for (size_t i = n; i-- > 0;) {
			if (!pairs[i].dst->needed || pairs[i].src->needed)
				continue;
			pairs[i].src->needed = changed = true;
		}
	}
	HASH_ITER (hh, l->rows, r, next)
		if (r->needed)
			l->g->nodes[r->node].gone = false;
}

/* "RMS_NORM+MUL" of the same name as the MUL that did not run by itself: moves the MUL's row. */
static void move_fused_ends(struct loader *l)
{
	struct row *r, *next;

	HASH_ITER (hh, l->rows, r, next) {
		struct dag_node *end = &l->g->nodes[r->node];

		for (size_t i = 0; i < l->g->n_nodes && !r->executed && !r->fused; i++) {
			const struct dag_node *n = &l->g->nodes[i];
			const char *plus = strrchr(n->op, '+');

			if (!plus || n->layer != end->layer || strcmp(plus + 1, end->op) != 0 ||
			    strcmp(n->name, end->name) != 0)
				continue;
			r->node = i;
			r->fused = true;
		}
	}
}

/* The same for what comes before the end in the fused operator. */
static void move_fused_begins(struct loader *l, const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct row *src = pairs[i].src, *dst = pairs[i].dst;
		const char *fused = l->g->nodes[dst->node].op, *op = l->g->nodes[src->node].op;
		size_t len = strlen(op);

		if (!dst->fused || src->executed || src->fused || strncmp(fused, op, len) != 0 ||
		    fused[len] != '+')
			continue;
		src->node = dst->node;
		src->fused = true;
	}
}

static int edge_order(const void *a, const void *b)
{
	const struct dag_edge *x = a, *y = b;

	if (x->dst != y->dst)
		return x->dst < y->dst ? -1 : 1;
	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	return x->src < y->src ? -1 : x->src > y->src;
}

static void load_edges(struct loader *l)
{
	size_t n, kept = 0;
	struct pair *pairs = load_pairs(l, &n);
	struct dag *g = l->g;

	move_fused_ends(l);
	move_fused_begins(l, pairs, n);
	mark_needed(l, pairs, n);
	for (size_t i = 0; i < n; i++)
		if (pairs[i].src->needed && pairs[i].dst->needed &&
		    pairs[i].src->node != pairs[i].dst->node)
			*VEC_PUSH(g->edges, g->n_edges, g->cap_edges) = (struct dag_edge){
				pairs[i].src->node, pairs[i].dst->node, pairs[i].slot, false};
	free(pairs);
	if (!g->n_edges)
		return;
	qsort(g->edges, g->n_edges, sizeof(*g->edges), edge_order);
	for (size_t i = 0; i < g->n_edges; i++)
		if (!i || edge_order(&g->edges[i], &g->edges[i - 1]))
			g->edges[kept++] = g->edges[i];
	g->n_edges = kept;
}

static void loader_free(struct loader *l)
{
	struct row *r, *r_next;
	struct by_key *k, *k_next;

	HASH_ITER (hh, l->rows, r, r_next) {
		HASH_DEL(l->rows, r);
		free(r);
	}
	HASH_ITER (hh, l->keys, k, k_next) {
		HASH_DEL(l->keys, k);
		free(k->key);
		free(k);
	}
}

static bool known_colour(struct loader *l, const char *by)
{
	static const char *const names[] = {"time", "share", "bandwidth", "experts"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(by, names[i]))
			return true;
	return view_int(l->db, 0, "SELECT count(*) FROM counter_name_t WHERE name = ?1", "s", by) >
	       0;
}

/* Decode when there is any, as that is where the time goes; a phase that was asked for must be. */
static int choose_phase(struct loader *l, const struct dag_opts *o)
{
	bool events = view_int(l->db, 0, "SELECT EXISTS(SELECT 1 FROM op_phase_t)", NULL) > 0;
	const char *phase = o->phase ? o->phase : "decode";
	bool there = view_int(l->db, 0, "SELECT EXISTS(SELECT 1 FROM op_phase_t WHERE phase = ?1)",
			      "s", phase) > 0;

	if (o->phase && !there)
		return diag_fail(l->d, -ENOENT, "no operator of the run belongs to phase '%s'",
				 o->phase);
	l->phase = there ? phase : NULL;
	l->sums = there	   ? "(SELECT * FROM op_phase_t WHERE phase = ?1)"
		  : events ? "op_phase_t"
			   : "op_summary";
	return 0;
}

/* Backends that computed graphs of which no operator was recorded, as those of most devices. */
static void say_what_is_not_drawn(struct loader *l)
{
	sqlite3_stmt *s;

	/* Runs of older versions do not tell which operators are of which graph. */
	if (!view_has_column(l->db, "graph_t", "first_op"))
		return;
	s = view_query(l->db, l->d,
		       "SELECT group_concat(backend, ', ') FROM (SELECT backend FROM graph_t "
		       "WHERE backend IS NOT NULL GROUP BY 1 HAVING max(first_op) IS NULL) "
		       "WHERE EXISTS(SELECT 1 FROM graph_t WHERE first_op IS NOT NULL)",
		       NULL);
	while (view_step(s))
		if (*view_text(s, 0))
			diag_add(l->d, DIAG_NOTE,
				 "no operators were recorded of the graphs of %s: what they "
				 "computed is not drawn",
				 view_text(s, 0));
}

static int last_layer(const struct dag *g)
{
	int last = -1;

	for (size_t i = 0; i < g->n_nodes; i++)
		last = g->nodes[i].layer > last ? g->nodes[i].layer : last;
	return last;
}

int dag_load(sqlite3 *db, const struct dag_opts *o, struct dag *g, struct diag *d)
{
	const char *by = o->colour_by ? o->colour_by : "time";
	struct loader l = {.db = db, .d = d, .g = g};
	int err, last;

	*g = (struct dag){0};
	err = choose_phase(&l, o);
	if (!err && !known_colour(&l, by))
		err = diag_fail(
			d, -EINVAL,
			"cannot colour by '%s': neither time, share, bandwidth, experts nor "
			"a counter of this run",
			by);
	if (err)
		return err;
	g->phase = xstrdup(l.phase ? l.phase : "");
	place_tensors(db);
	load_tensors(&l);
	load_sums(&l);
	for (size_t i = 0; i < g->n_nodes; i++)
		finish_node(g, &g->nodes[i]);
	load_counter(&l, by);
	load_experts(&l);
	load_edges(&l);
	say_what_is_not_drawn(&l);
	loader_free(&l);
	if (!g->n_nodes)
		return diag_fail(d, -ENOENT,
				 "the run holds no tensors: record with the operator level on");
	last = last_layer(g);
	dag_apply(g, o);
	if (o->first_layer >= 0 && !g->n_layers)
		return diag_fail(d, -ENOENT, "the run has no layer %d; the last one is %d",
				 o->first_layer, last);
	return 0;
}

double dag_value(const struct dag *g, const struct dag_node *n, const char *colour_by)
{
	const char *by = colour_by ? colour_by : "time";

	if (!strcmp(by, "experts"))
		return n->skew > 0 ? n->skew : -1;
	if (!n->count)
		return -1;
	if (!strcmp(by, "time"))
		return n->time_ns;
	if (!strcmp(by, "share"))
		return g->total_cpu_ns > 0 ? n->cpu_ns / g->total_cpu_ns : 0;
	if (!strcmp(by, "bandwidth"))
		return n->time_ns > 0 && n->bytes > 0 ? n->bytes / n->time_ns : -1;
	return n->counter;
}

int dag_parse_fold(const char *list, unsigned int *fold, struct diag *d)
{
	static const char *const names[] = {"views", "weights", "layers", "none"};
	char *copy = xstrdup(list), *save = NULL;
	int err = 0;

	*fold = 0;
	for (char *w = strtok_r(copy, ", ", &save); w && !err; w = strtok_r(NULL, ", ", &save)) {
		size_t i = 0;

		while (i < ARRAY_LEN(names) && strcmp(w, names[i]) != 0)
			i++;
		if (i < 3)
			*fold |= 1u << i;
		else if (i == ARRAY_LEN(names))
			err = diag_fail(d, -EINVAL,
					"cannot fold '%s': write views, weights, layers "
					"or none",
					w);
	}
	free(copy);
	return err;
}

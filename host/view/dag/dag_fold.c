/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving out what only clutters the graph: views, weights, and layers that repeat. */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/text.h"
#include "view/dag/dag.h"
#include "view/view.h"

enum { NO_NODE = -1 };

static bool is_view(const struct dag_node *n)
{
	static const char *const ops[] = {"VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (!strcmp(n->op, ops[i]))
			return true;
	return false;
}

static bool is_weight(const struct dag_node *n)
{
	return !strcmp(n->kind, "weight");
}

/* Points edges past the nodes that `to` sends elsewhere, drops doubles and edges of nothing. */
static void rewire(struct dag *g, const long *to)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->n_edges; i++) {
		struct dag_edge e = g->edges[i];
		bool twice = false;

		if (to[e.src] == NO_NODE || to[e.dst] == NO_NODE)
			continue;
		e.src = (size_t)to[e.src];
		e.dst = (size_t)to[e.dst];
		if (g->nodes[e.src].gone || g->nodes[e.dst].gone ||
		    (e.src == e.dst && !e.next_layer))
			continue;
		for (size_t k = kept; k-- > 0 && !twice;)
			twice = g->edges[k].src == e.src && g->edges[k].dst == e.dst &&
				g->edges[k].next_layer == e.next_layer;
		if (!twice)
			g->edges[kept++] = e;
	}
	g->n_edges = kept;
}

static long *identity(const struct dag *g)
{
	long *to = xcalloc(g->n_nodes + 1, sizeof(*to));

	for (size_t i = 0; i < g->n_nodes; i++)
		to[i] = (long)i;
	return to;
}

static bool writes(const struct dag_node *n)
{
	static const char *const ops[] = {"SET_ROWS", "CPY", "SET"};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (!strcmp(n->op, ops[i]))
			return true;
	return false;
}

static bool is_cache(const struct dag_node *n)
{
	return !strcmp(n->kind, "kv");
}

/* The cache that a writer is a view of, by its name: "cache_k_l1 (view)" is one of cache_k_l1. */
static long cache_of(const struct dag *g, const struct dag_node *writer)
{
	for (size_t i = 0; i < g->n_nodes; i++) {
		const struct dag_node *n = &g->nodes[i];

		if (!n->gone && is_cache(n) && text_starts(writer->name, n->name) &&
		    text_starts(writer->name + strlen(n->name), " ("))
			return (long)i;
	}
	return NO_NODE;
}

/*
 * An operator that writes into the cache is a view of it, so the cache is one of its sources, or
 * none in older engines. What flows, flows from the operator into the cache and on to who reads it.
 */
static void turn_writes(struct dag *g)
{
	bool *turned = xcalloc(g->n_nodes + 1, sizeof(*turned));

	for (size_t i = 0; i < g->n_edges; i++) {
		struct dag_edge *e = &g->edges[i];

		if (!e->slot || !writes(&g->nodes[e->dst]) || !is_cache(&g->nodes[e->src]))
			continue;
		*e = (struct dag_edge){e->dst, e->src, 0, e->next_layer};
		turned[e->src] = true;
	}
	for (size_t i = 0; i < g->n_nodes; i++) {
		const struct dag_node *n = &g->nodes[i];
		long cache = n->gone || turned[i] || !writes(n) ? NO_NODE : cache_of(g, n);

		if (cache != NO_NODE)
			*VEC_PUSH(g->edges, g->n_edges, g->cap_edges) =
				(struct dag_edge){i, (size_t)cache, 0, false};
	}
	free(turned);
}

static void fold_views(struct dag *g)
{
	long *to = identity(g);

	/* The first source of a view is what it looks at. */
	for (size_t i = 0; i < g->n_edges; i++)
		if (is_view(&g->nodes[g->edges[i].dst]) &&
		    to[g->edges[i].dst] == (long)g->edges[i].dst)
			to[g->edges[i].dst] = (long)g->edges[i].src;
	/* Views of views: a chain is never longer than the graph. */
	for (size_t i = 0; i < g->n_nodes; i++)
		for (size_t hops = 0;
		     hops < g->n_nodes && is_view(&g->nodes[to[i]]) && to[to[i]] != to[i]; hops++)
			to[i] = to[to[i]];
	for (size_t i = 0; i < g->n_edges; i++)
		if (is_view(&g->nodes[g->edges[i].dst]))
			g->edges[i].dst = g->edges[i].src; /* a loop, dropped below */
	for (size_t i = 0; i < g->n_nodes; i++)
		if (is_view(&g->nodes[i]) && to[i] != (long)i)
			g->nodes[i].gone = true;
	rewire(g, to);
	free(to);
	turn_writes(g);
}

static void fold_weights(struct dag *g)
{
	long *to = identity(g);

	for (size_t i = 0; i < g->n_edges; i++) {
		const struct dag_node *w = &g->nodes[g->edges[i].src];
		struct buf *text = &g->nodes[g->edges[i].dst].weights;

		if (!is_weight(w))
			continue;
		buf_printf(text, "%s%s", text->len ? ", " : "", w->type);
		if (w->ne[0] > 0)
			buf_printf(text, " %lldx%lld", (long long)w->ne[0], (long long)w->ne[1]);
		if (w->ne[2] > 1)
			buf_printf(text, "x%lld", (long long)w->ne[2]);
	}
	for (size_t i = 0; i < g->n_nodes; i++)
		if (is_weight(&g->nodes[i])) {
			g->nodes[i].gone = true;
			to[i] = NO_NODE;
		}
	rewire(g, to);
	free(to);
}

/* Keeps the layers asked for and, as a border, what they read from outside. */
static void keep_range(struct dag *g, const struct dag_opts *o)
{
	long *to = identity(g);

	if (o->first_layer < 0)
		goto out;
	for (size_t i = 0; i < g->n_nodes; i++)
		g->nodes[i].outside =
			g->nodes[i].layer < o->first_layer || g->nodes[i].layer > o->last_layer;
	for (size_t i = 0; i < g->n_nodes; i++)
		if (g->nodes[i].outside)
			to[i] = NO_NODE;
	for (size_t i = 0; i < g->n_edges; i++) {
		if (g->nodes[g->edges[i].dst].outside)
			continue;
		to[g->edges[i].src] = (long)g->edges[i].src;
	}
	for (size_t i = 0; i < g->n_nodes; i++)
		if (to[i] == NO_NODE)
			g->nodes[i].gone = true;
	/* An edge between two border nodes says nothing about the range. */
	for (size_t i = 0; i < g->n_edges; i++)
		if (g->nodes[g->edges[i].dst].outside)
			g->edges[i].src = g->edges[i].dst;
	rewire(g, to);
out:
	free(to);
}

static bool number_starts(const char *name, const char *p)
{
	return isdigit((unsigned char)*p) && (p == name || !isdigit((unsigned char)p[-1]));
}

static bool after_dash(const char *name, const char *p)
{
	return p > name && p[-1] == '-';
}

/*
 * Where the layer's number stands in a name when it follows no dash: the first of its value. NULL
 * when there is none, or when it follows dashes, as in "k_cache_view-3 (copy of Kcur-3)".
 */
static const char *only_number(const char *name, int layer)
{
	const char *first = NULL;

	for (const char *p = name; *p; p++) {
		if (!number_starts(name, p) || strtol(p, NULL, 10) != layer)
			continue;
		if (after_dash(name, p))
			return NULL;
		if (!first)
			first = p;
	}
	return first;
}

/* "Qcur-12 (view)" and "blk.12.attn_q.weight" without their number, for layer 12. */
static char *general_name(const char *name, int layer)
{
	bool running = text_starts(name, "node_") || text_starts(name, "leaf_");
	const char *only = only_number(name, layer), *p = name;
	struct buf out = {0};

	while (*p) {
		bool number = number_starts(name, p);
		char *end;
		bool mine = number && strtol(p, &end, 10) == layer &&
			    (p == only || (!only && after_dash(name, p)));

		if (mine || (number && running)) {
			buf_putc(&out, running ? '*' : '#'); /* *: the engine's running number */
			p = end;
		} else {
			buf_putc(&out, *p++);
		}
	}
	return buf_take(&out);
}

/* Key of each node: general name, operator, and which of several alike in its layer it is. */
static void general_keys(struct dag *g)
{
	for (size_t i = 0; i < g->n_nodes; i++) {
		struct dag_node *n = &g->nodes[i];
		char *name;
		int alike = 0;

		if (n->gone || n->layer < 0 || n->outside)
			continue;
		name = general_name(n->name, n->layer);
		free(n->key);
		n->key = xasprintf("%s\x1f%s", name, n->op);
		free(name);
		for (size_t k = 0; k < i; k++)
			alike += !g->nodes[k].gone && g->nodes[k].layer == n->layer &&
				 text_starts(g->nodes[k].key, n->key);
		if (alike) {
			char *key = xasprintf("%s\x1f%d", n->key, alike);

			free(n->key);
			n->key = key;
		}
	}
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that makes two layers the same: their nodes, shapes and inner edges, in any order. */
static char *layer_signature(const struct dag *g, int layer)
{
	char **lines = NULL;
	size_t n = 0, cap = 0;
	struct buf out = {0};

	for (size_t i = 0; i < g->n_nodes; i++) {
		const struct dag_node *x = &g->nodes[i];

		if (!x->gone && x->layer == layer && !x->outside)
			*VEC_PUSH(lines, n, cap) = xasprintf(
				"%s %s %lld %lld %lld %s", x->key, x->type, (long long)x->ne[0],
				(long long)x->ne[1], (long long)x->ne[2], buf_str(&x->weights));
	}
	for (size_t i = 0; i < g->n_edges; i++) {
		const struct dag_node *src = &g->nodes[g->edges[i].src];
		const struct dag_node *dst = &g->nodes[g->edges[i].dst];

		if (src->layer == layer && dst->layer == layer)
			*VEC_PUSH(lines, n, cap) = xasprintf("%s>%s", src->key, dst->key);
	}
	if (n)
		qsort(lines, n, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&out, "%s\n", lines[i]);
		free(lines[i]);
	}
	free(lines);
	return buf_take(&out);
}

static void list_layers(struct dag *g)
{
	for (size_t i = 0; i < g->n_nodes; i++) {
		int layer = g->nodes[i].layer;
		size_t at = 0;

		if (g->nodes[i].gone || layer < 0 || g->nodes[i].outside)
			continue;
		while (at < g->n_layers && g->layers[at].layer < layer)
			at++;
		if (at < g->n_layers && g->layers[at].layer == layer)
			continue;
		VEC_PUSH(g->layers, g->n_layers, g->cap_layers);
		memmove(&g->layers[at + 1], &g->layers[at],
			(g->n_layers - 1 - at) * sizeof(*g->layers));
		g->layers[at] = (struct dag_layer){layer, 1, NULL};
	}
}

/* "0-3,8" of the layers whose entry in `of` is `rep`. */
static char *member_text(const struct dag *g, const size_t *of, size_t rep)
{
	struct buf out = {0};

	for (size_t i = 0; i < g->n_layers; i++) {
		size_t last = i;

		if (of[i] != rep)
			continue;
		while (last + 1 < g->n_layers && of[last + 1] == rep &&
		       g->layers[last + 1].layer == g->layers[last].layer + 1)
			last++;
		buf_printf(&out, "%s%d", out.len ? "," : "", g->layers[i].layer);
		if (last > i)
			buf_printf(&out, "-%d", g->layers[last].layer);
		i = last;
	}
	return buf_take(&out);
}

static long node_with_key(const struct dag *g, int layer, const char *key)
{
	for (size_t i = 0; i < g->n_nodes; i++)
		if (!g->nodes[i].gone && g->nodes[i].layer == layer &&
		    !strcmp(g->nodes[i].key, key))
			return (long)i;
	return NO_NODE;
}

/* The figures of `copies` nodes in one: time as median, the rest as mean or sum. */
static void fold_figures(struct dag *g, size_t rep, const long *to)
{
	struct dag_node *r = &g->nodes[rep];
	double *times = xcalloc(g->n_nodes, sizeof(*times)), counter = r->counter;
	size_t n = 0;

	for (size_t i = 0; i < g->n_nodes; i++) {
		struct dag_node *x = &g->nodes[i];

		if (to[i] != (long)rep || (x->gone && i == rep))
			continue;
		times[n++] = x->time_ns;
		if (i == rep)
			continue;
		r->cpu_ns += x->cpu_ns;
		r->wait_ns += x->wait_ns;
		counter += x->counter;
		r->skew = x->skew > r->skew ? x->skew : r->skew;
		r->experts = x->experts > r->experts ? x->experts : r->experts;
	}
	qsort(times, n, sizeof(*times), view_cmp_double);
	r->copies = (int)n;
	r->min_ns = times[0];
	r->max_ns = times[n - 1];
	r->time_ns = view_percentile(times, n, 50);
	r->wait_ns /= (double)n;
	r->counter = r->counter < 0 ? -1 : counter / (double)n;
	free(times);
}

static void fold_into(struct dag *g, const size_t *of)
{
	long *to = identity(g);

	for (size_t l = 0; l < g->n_layers; l++)
		for (size_t i = 0; of[l] != l && i < g->n_nodes; i++)
			if (!g->nodes[i].gone && g->nodes[i].layer == g->layers[l].layer)
				to[i] = node_with_key(g, g->layers[of[l]].layer, g->nodes[i].key);
	for (size_t i = 0; i < g->n_nodes; i++)
		if (!g->nodes[i].gone && to[i] == (long)i && g->nodes[i].layer >= 0)
			fold_figures(g, i, to);
	for (size_t i = 0; i < g->n_edges; i++) {
		const struct dag_node *src = &g->nodes[g->edges[i].src];
		const struct dag_node *dst = &g->nodes[g->edges[i].dst];

		if (src->layer < 0 || dst->layer < 0 || src->layer == dst->layer ||
		    to[g->edges[i].src] == NO_NODE || to[g->edges[i].dst] == NO_NODE)
			continue;
		g->edges[i].next_layer =
			g->nodes[to[g->edges[i].src]].layer >= g->nodes[to[g->edges[i].dst]].layer;
	}
	for (size_t i = 0; i < g->n_nodes; i++)
		if (to[i] != (long)i)
			g->nodes[i].gone = true;
	rewire(g, to);
	free(to);
}

static void fold_layers(struct dag *g)
{
	char **signatures = xcalloc(g->n_layers + 1, sizeof(*signatures));
	size_t *of = xcalloc(g->n_layers + 1, sizeof(*of));

	for (size_t i = 0; i < g->n_layers; i++) {
		signatures[i] = layer_signature(g, g->layers[i].layer);
		for (of[i] = 0; strcmp(signatures[of[i]], signatures[i]) != 0;)
			of[i]++;
		g->layers[i].copies = 0;
		g->layers[of[i]].copies++;
	}
	for (size_t i = 0; i < g->n_layers; i++)
		if (of[i] == i)
			g->layers[i].members = member_text(g, of, i);
	fold_into(g, of);
	for (size_t i = 0; i < g->n_layers; i++)
		free(signatures[i]);
	free(signatures);
	free(of);
}

void dag_apply(struct dag *g, const struct dag_opts *o)
{
	if (o->fold & DAG_FOLD_VIEWS)
		fold_views(g);
	if (o->fold & DAG_FOLD_WEIGHTS)
		fold_weights(g);
	keep_range(g, o);
	list_layers(g);
	if (o->fold & DAG_FOLD_LAYERS) {
		general_keys(g);
		fold_layers(g);
	}
}

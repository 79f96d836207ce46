/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of tensors whose name has none: an engine leaves intermediate results such as the
 * attention itself unnamed ("node_24"), so that they would be missing from their layer's picture.
 */
#include <limits.h>
#include <stdlib.h>

#include "util/alloc.h"
#include "view/dag.h"

/* The layers around a node, passed along chains of nodes without a layer. */
struct around {
	int above; /* the last layer that it is made of, -1: none */
	int below; /* the first layer that uses it, INT_MAX: none */
};

static int above(const struct dag *g, const struct around *a, size_t node)
{
	return g->nodes[node].layer >= 0 ? g->nodes[node].layer : a[node].above;
}

static int below(const struct dag *g, const struct around *a, size_t node)
{
	return g->nodes[node].layer >= 0 ? g->nodes[node].layer : a[node].below;
}

static bool pass_on(const struct dag *g, struct around *a, const struct dag_edge *e)
{
	int up = above(g, a, e->src), down = below(g, a, e->dst);
	bool changed = up > a[e->dst].above || down < a[e->src].below;

	if (up > a[e->dst].above)
		a[e->dst].above = up;
	if (down < a[e->src].below)
		a[e->src].below = down;
	return changed;
}

void dag_place_unnamed(struct dag *g)
{
	struct around *a = xcalloc(g->n_nodes + 1, sizeof(*a));
	bool changed = true;

	for (size_t i = 0; i < g->n_nodes; i++)
		a[i] = (struct around){-1, INT_MAX};
	/* A chain is never longer than the graph, even in a file that is no graph at all. */
	for (size_t round = 0; changed && round < g->n_nodes; round++) {
		changed = false;
		for (size_t i = 0; i < g->n_edges; i++)
			changed |= pass_on(g, a, &g->edges[i]);
	}
	/* Inputs are made of no layer, the output is used by none: both stay outside. */
	for (size_t i = 0; i < g->n_nodes; i++)
		if (g->nodes[i].layer < 0 && a[i].above >= 0 && a[i].below < INT_MAX)
			g->nodes[i].layer = a[i].below;
	free(a);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "view/place.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/text.h"
#include "view/view.h"

struct tensor {
	int64_t id;
	char *name, *op;
	char *weight; /* that it multiplies with; NULL: none */
	int layer;    /* by name, -1: none */
	int above;    /* the last layer that it is made of, -1: none */
	int below;    /* the first layer that uses it, INT_MAX: none */
};

struct graph {
	struct tensor *tensors; /* by id */
	size_t n, cap;
	struct edge {
		struct tensor *src, *dst;
	} * edges;
	size_t n_edges, edges_cap;
};

bool place_unnamed(const char *name)
{
	return !*name || text_starts(name, "node_") || text_starts(name, "leaf_");
}

static void read_tensors(sqlite3 *db, struct graph *g)
{
	sqlite3_stmt *q =
		view_query(db, NULL, "SELECT id, name, op, layer FROM tensor_t ORDER BY id", NULL);

	while (view_step(q)) {
		int layer =
			sqlite3_column_type(q, 3) == SQLITE_NULL ? -1 : sqlite3_column_int(q, 3);

		*VEC_PUSH(g->tensors, g->n, g->cap) =
			(struct tensor){.id = sqlite3_column_int64(q, 0),
					.name = xstrdup(view_text(q, 1)),
					.op = xstrdup(view_text(q, 2)),
					.layer = layer,
					.above = layer,
					.below = layer < 0 ? INT_MAX : layer};
	}
}

static int by_id(const void *a, const void *b)
{
	const struct tensor *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static struct tensor *tensor_of(const struct graph *g, int64_t id)
{
	struct tensor key = {.id = id};

	return g->n ? bsearch(&key, g->tensors, g->n, sizeof(key), by_id) : NULL;
}

static void read_edges(sqlite3 *db, struct graph *g)
{
	sqlite3_stmt *q = view_query(db, NULL,
				     "SELECT e.src_tensor, e.dst_tensor, w.name FROM edge_t e"
				     " LEFT JOIN tensor_t w ON w.id = e.src_tensor AND w.kind ="
				     " 'weight' AND e.slot = 0 ORDER BY e.dst_tensor",
				     NULL);

	while (view_step(q)) {
		struct edge e = {tensor_of(g, sqlite3_column_int64(q, 0)),
				 tensor_of(g, sqlite3_column_int64(q, 1))};

		if (!e.src || !e.dst)
			continue;
		*VEC_PUSH(g->edges, g->n_edges, g->edges_cap) = e;
		if (*view_text(q, 2) && !e.dst->weight && text_starts(e.dst->op, "MUL_MAT"))
			e.dst->weight = xstrdup(view_text(q, 2));
	}
}

/* What is above follows the edges, what is below comes back; a named tensor passes on its own. */
static bool pass_down(struct edge *e)
{
	if (e->dst->layer >= 0 || e->src->above <= e->dst->above)
		return false;
	e->dst->above = e->src->above;
	return true;
}

static bool pass_up(struct edge *e)
{
	if (e->src->layer >= 0 || e->dst->below >= e->src->below)
		return false;
	e->src->below = e->dst->below;
	return true;
}

static void settle(struct graph *g)
{
	bool changed = true;

	/* A chain is never longer than the graph, even in a file that is no graph at all. */
	for (size_t round = 0; changed && round <= g->n; round++) {
		changed = false;
		for (size_t i = 0; i < g->n_edges; i++)
			changed |= pass_down(&g->edges[i]);
		for (size_t i = g->n_edges; i-- > 0;)
			changed |= pass_up(&g->edges[i]);
	}
}

/* Inputs are made of no layer, the output is used by none: both stay outside. */
static int layer_of(const struct tensor *t)
{
	if (t->layer >= 0)
		return t->layer;
	return t->above >= 0 && t->below < INT_MAX ? t->below : -1;
}

static char *label_of(const struct tensor *t, int layer)
{
	size_t len = t->weight ? strlen(t->weight) : 0;

	if (!place_unnamed(t->name))
		return xstrdup(t->name);
	if (len)
		return xstrndup(t->weight, text_ends(t->weight, ".weight") ? len - 7 : len);
	return layer < 0 ? xstrdup(t->name) : xasprintf("layer %d", layer);
}

static void write_places(sqlite3 *db, const struct graph *g)
{
	sqlite3_stmt *q = view_query(db, NULL, "INSERT INTO temp.place VALUES(?1, ?2, ?3)", NULL);

	for (size_t i = 0; q && i < g->n; i++) {
		int layer = layer_of(&g->tensors[i]);

		sqlite3_bind_int64(q, 1, g->tensors[i].id);
		if (layer < 0)
			sqlite3_bind_null(q, 2);
		else
			sqlite3_bind_int(q, 2, layer);
		sqlite3_bind_text(q, 3, label_of(&g->tensors[i], layer), -1, free);
		sqlite3_step(q);
		sqlite3_reset(q);
	}
	sqlite3_finalize(q);
}

static void graph_free(struct graph *g)
{
	for (size_t i = 0; i < g->n; i++) {
		free(g->tensors[i].name);
		free(g->tensors[i].op);
		free(g->tensors[i].weight);
	}
	free(g->tensors);
	free(g->edges);
}

void place_tensors(sqlite3 *db)
{
	struct graph g = {0};

	if (sqlite3_table_column_metadata(db, "temp", "place", NULL, NULL, NULL, NULL, NULL,
					  NULL) == SQLITE_OK)
		return;
	read_tensors(db, &g);
	read_edges(db, &g);
	settle(&g);
	sqlite3_exec(db,
		     "CREATE TEMP TABLE place(id INTEGER PRIMARY KEY, layer INT, label TEXT);"
		     "SAVEPOINT place",
		     NULL, NULL, NULL);
	write_places(db, &g);
	sqlite3_exec(db, "RELEASE place", NULL, NULL, NULL);
	graph_free(&g);
}

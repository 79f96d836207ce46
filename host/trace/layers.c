/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/layers.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "util/alloc.h"

/* The layers around a tensor, passed along chains of tensors without one; a named one is its own.
 */
struct around {
	int above; /* the last layer that it is made of, -1: none */
	int below; /* the first layer that uses it, INT_MAX: none */
};

static bool pass_down(const int *layer, struct around *a, struct layers_edge e)
{
	if (layer[e.dst] >= 0 || a[e.src].above <= a[e.dst].above)
		return false;
	a[e.dst].above = a[e.src].above;
	return true;
}

static bool pass_up(const int *layer, struct around *a, struct layers_edge e)
{
	if (layer[e.src] >= 0 || a[e.dst].below >= a[e.src].below)
		return false;
	a[e.src].below = a[e.dst].below;
	return true;
}

void layers_infer(int *layer, size_t n, const struct layers_edge *edges, size_t n_edges)
{
	struct around *a = xcalloc(n + 1, sizeof(*a));
	bool changed = true;

	for (size_t i = 0; i < n; i++)
		a[i] = (struct around){layer[i], layer[i] < 0 ? INT_MAX : layer[i]};
	/* A chain is never longer than the graph, even in a file that is no graph at all. */
	for (size_t round = 0; changed && round <= n; round++) {
		changed = false;
		for (size_t i = 0; i < n_edges; i++)
			changed |= pass_down(layer, a, edges[i]);
		for (size_t i = n_edges; i-- > 0;)
			changed |= pass_up(layer, a, edges[i]);
	}
	for (size_t i = 0; i < n; i++)
		if (layer[i] < 0 && a[i].above >= 0 && a[i].below < INT_MAX)
			layer[i] = a[i].below;
	free(a);
}

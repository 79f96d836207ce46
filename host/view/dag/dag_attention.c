/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attention of a layer in words, read off its graph: how many heads share the keys and values,
 * and what happens to Q, K and V before and to the result after. Models of different families
 * differ in just that, and in a picture of thirty nodes it takes long to find.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "view/dag/dag.h"
#include "view/view.h"

enum { NONE = -1, LONGEST_PATH = 24 };

/* Where a layer's attention is and what leads there. Node numbers, NONE where there is no such. */
struct attention {
	long core; /* FLASH_ATTN_EXT, or the product of the softmax and V */
	long q, k, v;
	long scores; /* what the softmax reads; NONE in a fused operator */
	int64_t heads;
};

static bool has_weight(const struct dag *g, size_t node)
{
	if (g->nodes[node].weights.len)
		return true;
	for (size_t i = 0; i < g->n_edges; i++)
		if (g->edges[i].dst == node && !strcmp(g->nodes[g->edges[i].src].kind, "weight"))
			return true;
	return false;
}

/* The node that `node` reads in `slot`. */
static long source(const struct dag *g, long node, int slot)
{
	for (size_t i = 0; node != NONE && i < g->n_edges; i++)
		if (g->edges[i].dst == (size_t)node && g->edges[i].slot == slot &&
		    !g->edges[i].next_layer)
			return (long)g->edges[i].src;
	return NONE;
}

/* The node of the same layer that reads `node`; NONE when there are none or several. */
static long only_reader(const struct dag *g, long node)
{
	long found = NONE;

	for (size_t i = 0; i < g->n_edges; i++) {
		const struct dag_edge *e = &g->edges[i];

		if (e->src != (size_t)node || e->next_layer ||
		    g->nodes[e->dst].layer != g->nodes[node].layer)
			continue;
		if (found != NONE)
			return NONE;
		found = (long)e->dst;
	}
	return found;
}

/* The product of Q and K below a softmax, past scales and caps. A router's softmax has none. */
static long score_product(const struct dag *g, long softmax)
{
	long at = source(g, softmax, 0);

	for (int i = 0; at != NONE && i < LONGEST_PATH; i++) {
		if (view_op_class(g->nodes[at].op) == CLASS_MATMUL)
			return has_weight(g, (size_t)at) ? NONE : at;
		at = source(g, at, 0);
	}
	return NONE;
}

static bool find_attention(const struct dag *g, int layer, struct attention *a)
{
	*a = (struct attention){NONE, NONE, NONE, NONE, NONE, 0};
	for (size_t i = 0; i < g->n_nodes && a->core == NONE; i++) {
		const struct dag_node *n = &g->nodes[i];
		long product;

		if (n->gone || n->outside || n->layer != layer)
			continue;
		if (!strcmp(n->op, "FLASH_ATTN_EXT")) {
			*a = (struct attention){(long)i,
						source(g, (long)i, 0),
						source(g, (long)i, 1),
						source(g, (long)i, 2),
						NONE,
						n->ne[1]};
		} else if (!strcmp(n->op, "SOFT_MAX") &&
			   (product = score_product(g, (long)i)) != NONE) {
			long core = only_reader(g, (long)i);

			*a = (struct attention){core,
						source(g, product, 1),
						source(g, product, 0),
						source(g, core, 0),
						source(g, (long)i, 0),
						n->ne[2]};
		}
	}
	return a->core != NONE && a->q != NONE && a->k != NONE && a->v != NONE;
}

/* The word for what a node does, NULL for what only moves or looks at data. */
static const char *step_word(const struct dag *g, long node)
{
	const char *op = g->nodes[node].op;
	enum op_class class = view_op_class(op);

	if (class == CLASS_MATMUL)
		return "product";
	if (class == CLASS_NORM)
		return "norm";
	if (!strcmp(op, "ROPE"))
		return "RoPE";
	if (!strcmp(op, "ADD"))
		return has_weight(g, (size_t)node) ? "bias" : "sum";
	if (!strcmp(op, "SCALE"))
		return "scale";
	return class == CLASS_ELEMENT ? op : NULL;
}

/* What happens from the nearest product on to `node`. *product is that product, or NONE. */
static char *path_to(const struct dag *g, long node, long *product)
{
	const char *words[LONGEST_PATH];
	struct buf out = {0};
	int n = 0;

	*product = NONE;
	while (node != NONE && n < LONGEST_PATH && *product == NONE) {
		const char *word = step_word(g, node);

		if (word)
			words[n++] = word;
		if (word && !strcmp(word, "product"))
			*product = node;
		node = source(g, node, 0);
	}
	while (n > 0)
		buf_printf(&out, "%s%s", out.len ? ", " : "", words[--n]);
	return buf_take(&out);
}

/* What happens to the result up to where the layer's input is added to it. */
static char *path_from(const struct dag *g, long node)
{
	struct buf out = {0};

	for (int i = 0; i < LONGEST_PATH; i++) {
		const char *word;

		node = only_reader(g, node);
		if (node == NONE)
			break;
		word = step_word(g, node);
		if (word)
			buf_printf(&out, "%s%s", out.len ? ", " : "", word);
		if (word && !strcmp(word, "sum"))
			break;
	}
	return buf_take(&out);
}

static void put_heads(const struct dag *g, const struct attention *a, long q, long k,
		      struct buf *out)
{
	int64_t width = q == NONE || a->heads <= 0 ? 0 : g->nodes[q].ne[0] / a->heads;
	int64_t shared = k == NONE || width <= 0 ? 0 : g->nodes[k].ne[0] / width;

	if (shared <= 0 || shared > a->heads)
		buf_puts(out, "attention");
	else if (shared == a->heads)
		buf_printf(out, "multi-head attention, %" PRId64 " heads", a->heads);
	else if (shared == 1)
		buf_printf(out, "multi-query attention, %" PRId64 " heads", a->heads);
	else
		buf_printf(out, "grouped-query attention, %" PRId64 " heads over %" PRId64,
			   a->heads, shared);
}

char *dag_attention(const struct dag *g, int layer)
{
	struct attention a;
	struct buf out = {0};
	char *q, *k, *v, *scores, *after;
	long q_product, k_product, v_product, qk_product;

	if (!find_attention(g, layer, &a))
		return NULL;
	q = path_to(g, a.q, &q_product);
	k = path_to(g, a.k, &k_product);
	v = path_to(g, a.v, &v_product);
	scores = path_to(g, a.scores, &qk_product);
	after = path_from(g, a.core);
	put_heads(g, &a, q_product, k_product, &out);
	if (!strcmp(q, k) && !strcmp(k, v))
		buf_printf(&out, "\nQ, K, V: %s", q);
	else if (!strcmp(q, k))
		buf_printf(&out, "\nQ, K: %s; V: %s", q, v);
	else
		buf_printf(&out, "\nQ: %s; K: %s; V: %s", q, k, v);
	if (strchr(scores, ','))
		buf_printf(&out, "; QK: %s", scores);
	if (*after)
		buf_printf(&out, "; after: %s", after);
	free(q);
	free(k);
	free(v);
	free(scores);
	free(after);
	return buf_take(&out);
}

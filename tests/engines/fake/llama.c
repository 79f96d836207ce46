/* SPDX-License-Identifier: Apache-2.0 */
/* A model of nothing: builds a graph of a transformer's shape and has it computed. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

enum { WIDTH = 32, FFN = 64, VOCAB = 320, MAX_TOKENS = 512 };

struct llama_context {
	struct fake_options o;
	struct fake_account *account;
	struct ggml_backend backend;
	struct ggml_backend_sched sched;
	struct ggml_threadpool *pool;
	struct ggml_context tensors;
	struct ggml_cgraph graph;
	struct ggml_tensor *nodes[FAKE_MAX_NODES];
	int32_t n_tokens;	       /* that the graph is built for */
	int32_t *ids[FAKE_MAX_LAYERS]; /* by layer: rows of FAKE_EXPERTS numbers, one per token */
	uint64_t uid;
	uint64_t computed;
	jmp_buf escape;
};

/* The constant that tells a CPU backend from the others. */
static const uint8_t cpu_guid[16] = {0xaa, 0x67, 0xc7, 0x43, 0x96, 0xe6, 0xa3, 0x8a,
				     0xe3, 0xaf, 0xea, 0x92, 0x36, 0xbc, 0xfc, 0x89};

/* Something for every data pointer to point at. */
static float nothing[64];

static const char *cpu_name(struct ggml_backend *b)
{
	(void)b;
	return "CPU";
}

static int cpu_graph_compute(struct ggml_backend *b, struct ggml_cgraph *g)
{
	struct llama_context *ctx = b->context;
	struct ggml_cplan plan = ggml_graph_plan(g, ctx->o.threads, ctx->pool);
	int err = ggml_graph_compute(g, &plan);

	/* As an exception would: the functions in between never return. */
	if (ctx->o.escape && ++ctx->computed % (uint64_t)ctx->o.escape == 0)
		longjmp(ctx->escape, 1);
	return err;
}

static struct ggml_tensor *node(struct llama_context *c, struct ggml_tensor *t, const char *name,
				int layer)
{
	enum { FLAG_COMPUTE = 16 };

	if (layer < 0)
		ggml_format_name(t, "%s", name);
	else
		ggml_format_name(t, "%s-%d", name, layer);
	t->flags |= FLAG_COMPUTE;
	if (!t->data)
		t->data = nothing;
	if (c->graph.n_nodes == FAKE_MAX_NODES)
		abort();
	c->nodes[c->graph.n_nodes++] = t;
	return t;
}

static struct ggml_tensor *weight(struct llama_context *c, const char *name, int layer, int64_t n0,
				  int64_t n1, int64_t n2)
{
	const int64_t ne[3] = {n0, n1, n2};
	struct ggml_tensor *t = ggml_new_tensor(&c->tensors, n1 > 1 ? TYPE_Q4_0 : TYPE_F32, 3, ne);

	t->data = nothing;
	if (layer < 0)
		return ggml_format_name(t, "%s.weight", name);
	return ggml_format_name(t, "blk.%d.%s.weight", layer, name);
}

/* An operator that keeps its first source's shape. */
static struct ggml_tensor *like(struct llama_context *c, enum ggml_op op, struct ggml_tensor *a,
				struct ggml_tensor *b)
{
	struct ggml_tensor *t = ggml_new_tensor(&c->tensors, a->type, 4, a->ne);

	t->op = op;
	t->src[0] = a;
	t->src[1] = b;
	return t;
}

static struct ggml_tensor *view(struct llama_context *c, enum ggml_op op, struct ggml_tensor *a,
				int64_t n0, int64_t n1, int64_t n2)
{
	const int64_t ne[3] = {n0, n1, n2};
	struct ggml_tensor *t = ggml_new_tensor(&c->tensors, a->type, 3, ne);

	t->op = op;
	t->src[0] = a;
	t->view_src = a;
	t->data = a->data;
	return t;
}

static struct ggml_tensor *norm(struct llama_context *c, struct ggml_tensor *x, const char *name,
				const char *weight_name, int layer)
{
	x = node(c, like(c, OP_RMS_NORM, x, NULL), "norm", layer);
	return node(c, like(c, OP_MUL, x, weight(c, weight_name, layer, WIDTH, 1, 1)), name, layer);
}

static struct ggml_tensor *product(struct llama_context *c, struct ggml_tensor *x, const char *name,
				   const char *weight_name, int layer, int64_t n_out)
{
	struct ggml_tensor *w = weight(c, weight_name, layer, x->ne[0], n_out, 1);

	return node(c, ggml_mul_mat(&c->tensors, w, x), name, layer);
}

static struct ggml_tensor *expert_product(struct llama_context *c, struct ggml_tensor *x,
					  struct ggml_tensor *ids, const char *name,
					  const char *weight_name, int layer, int64_t n_out)
{
	struct ggml_tensor *w = weight(c, weight_name, layer, x->ne[0], n_out, FAKE_EXPERTS);

	return node(c, ggml_mul_mat_id(&c->tensors, w, x, ids), name, layer);
}

/* The chosen experts are the head of each row of the sorted list: a view with the list's stride. */
static struct ggml_tensor *router(struct llama_context *c, struct ggml_tensor *x, int layer)
{
	struct ggml_tensor *logits, *sorted, *top;

	logits = product(c, x, "ffn_moe_logits", "ffn_gate_inp", layer, FAKE_EXPERTS);
	sorted = like(c, OP_ARGSORT, logits, NULL);
	sorted->type = TYPE_I32;
	sorted->data = c->ids[layer];
	node(c, sorted, "ffn_moe_argsort", layer);
	top = view(c, OP_VIEW, sorted, FAKE_USED, x->ne[1], 1);
	top->nb[1] = sorted->nb[1];
	return node(c, top, "ffn_moe_topk", layer);
}

static struct ggml_tensor *feed_forward(struct llama_context *c, struct ggml_tensor *x, int layer)
{
	struct ggml_tensor *ids, *up;

	if (!c->o.moe) {
		x = product(c, x, "ffn_gate", "ffn_gate", layer, FFN);
		x = node(c, like(c, OP_GLU, x, NULL), "ffn_swiglu", layer);
		return product(c, x, "ffn_out", "ffn_down", layer, WIDTH);
	}
	ids = router(c, x, layer);
	x = node(c, view(c, OP_RESHAPE, x, WIDTH, 1, x->ne[1]), "ffn_norm (reshaped)", layer);
	up = expert_product(c, x, ids, "ffn_moe_up", "ffn_up_exps", layer, FFN);
	x = expert_product(c, x, ids, "ffn_moe_gate", "ffn_gate_exps", layer, FFN);
	x = node(c, like(c, OP_GLU, x, up), "ffn_moe_swiglu", layer);
	x = expert_product(c, x, ids, "ffn_moe_down", "ffn_down_exps", layer, WIDTH);
	return node(c, view(c, OP_VIEW, x, WIDTH, x->ne[2], 1), "ffn_moe_out", layer);
}

static struct ggml_tensor *layer_nodes(struct llama_context *c, struct ggml_tensor *x, int layer)
{
	struct ggml_tensor *in = x;

	x = norm(c, x, "attn_norm", "attn_norm", layer);
	x = product(c, x, "Qcur", "attn_q", layer, WIDTH);
	x = node(c, view(c, OP_RESHAPE, x, WIDTH, x->ne[1], 1), "Qcur (reshaped)", layer);
	x = node(c, like(c, OP_ROPE, x, NULL), "Qcur", layer);
	x = product(c, x, "kqv_out", "attn_output", layer, WIDTH);
	in = node(c, like(c, OP_ADD, x, in), "ffn_inp", layer);
	return node(c, like(c, OP_ADD, feed_forward(c, in, layer), in), "l_out", layer);
}

static void build(struct llama_context *c, int32_t n_tokens)
{
	const int64_t ne = n_tokens;
	struct ggml_tensor *tokens, *x;
	int layer;

	c->tensors.count = 0;
	c->graph = (struct ggml_cgraph){.size = FAKE_MAX_NODES, .nodes = c->nodes};
	tokens = ggml_new_tensor(&c->tensors, TYPE_I32, 1, &ne);
	tokens->data = nothing;
	ggml_set_input(ggml_format_name(tokens, "inp_tokens"));
	x = ggml_get_rows(&c->tensors, weight(c, "token_embd", -1, WIDTH, VOCAB, 1), tokens);
	node(c, x, "inp_embd", -1);
	for (layer = 0; layer < c->o.layers; layer++)
		x = layer_nodes(c, x, layer);
	x = norm(c, x, "result_norm", "output_norm", -1);
	ggml_set_output(product(c, x, "result_output", "output", -1, VOCAB));
#ifndef FAKE_OLD
	c->graph.uid = ++c->uid;
#endif
	c->n_tokens = n_tokens;
}

/* A choice that anyone can repeat: different for each layer, call, token and slot. */
static void choose_experts(struct llama_context *c)
{
	uint64_t call = c->account->decodes + c->account->encodes;
	int layer, token, slot;

	for (layer = 0; layer < c->o.layers; layer++)
		for (token = 0; token < c->n_tokens; token++)
			for (slot = 0; slot < FAKE_USED; slot++) {
				int e = (int)((call * 5 + (uint64_t)(layer * 11 + token * 7) +
					       (uint64_t)(slot * 13)) %
					      FAKE_EXPERTS);

				c->ids[layer][token * FAKE_EXPERTS + slot] = e;
				c->account->experts[layer][e]++;
			}
}

static int32_t run(struct llama_context *c, int32_t n_tokens)
{
	if (n_tokens < 1 || n_tokens > MAX_TOKENS)
		return -1;
	if (n_tokens != c->n_tokens)
		build(c, n_tokens);
	if (c->o.moe)
		choose_experts(c);
	if (setjmp(c->escape))
		return 0;
	return ggml_backend_sched_graph_compute_async(&c->sched, &c->graph);
}

NOINLINE int32_t llama_decode(struct llama_context *ctx, struct llama_batch batch)
{
	uint64_t begin = fake_now();
	int32_t err = run(ctx, batch.n_tokens);

	ctx->account->decodes++;
	ctx->account->decode_ns += fake_now() - begin;
	return err;
}

NOINLINE int32_t llama_encode(struct llama_context *ctx, struct llama_batch batch)
{
	int32_t err = run(ctx, batch.n_tokens);

	ctx->account->encodes++;
	return err;
}

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

struct llama_context *fake_open(const struct fake_options *o)
{
	struct llama_context *c = need(calloc(1, sizeof(*c)));
	int layer;

	c->o = *o;
	c->account = need(calloc(1, sizeof(*c->account)));
	c->pool = fake_pool_new(o, c->account);
	c->tensors.capacity = FAKE_MAX_NODES * 2;
	c->tensors.tensors = need(calloc(c->tensors.capacity, sizeof(*c->tensors.tensors)));
	for (layer = 0; layer < o->layers && o->moe; layer++)
		c->ids[layer] = need(calloc(MAX_TOKENS * FAKE_EXPERTS, sizeof(int32_t)));
	c->backend.guid = cpu_guid;
	c->backend.iface.get_name = cpu_name;
	c->backend.iface.graph_compute = cpu_graph_compute;
	c->backend.context = c;
	c->sched.n_backends = 1;
	c->sched.backends[0] = &c->backend;
	return c;
}

void fake_close(struct llama_context *ctx)
{
	int layer;

	fake_pool_free(ctx->pool);
	for (layer = 0; layer < FAKE_MAX_LAYERS; layer++)
		free(ctx->ids[layer]);
	free(ctx->tensors.tensors);
	free(ctx->account);
	free(ctx);
}

const struct fake_account *fake_account(const struct llama_context *ctx)
{
	return ctx->account;
}

const struct ggml_cgraph *fake_graph(const struct llama_context *ctx)
{
	return &ctx->graph;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Accessors and constructors: GCC turns them into the same instructions as ggml's own. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define OP_NAME(name) #name,
static const char *const op_names[OP_COUNT] = {FAKE_OPS(OP_NAME)};

static const char *const unary_names[] = {"ABS",  "SGN",     "NEG",  "STEP",	   "TANH", "ELU",
					  "RELU", "SIGMOID", "GELU", "GELU_QUICK", "SILU"};
static const char *const glu_names[] = {"REGLU", "GEGLU", "SWIGLU"};

struct type_traits {
	const char *type_name;
	int64_t blck_size, blck_size_interleave;
	size_t type_size;
	bool is_quantized;
	void *to_float, *from_float;
};

static const struct type_traits type_traits[TYPE_COUNT] = {
	{"f32", 1, 0, 4, false, NULL, NULL},	    {"f16", 1, 0, 2, false, NULL, NULL},
	{"q4_0", 32, 0, 18, true, NULL, NULL},	    {"q4_1", 32, 0, 20, true, NULL, NULL},
	{"DEPRECATED", 0, 0, 0, false, NULL, NULL}, {"DEPRECATED", 0, 0, 0, false, NULL, NULL},
	{"q5_0", 32, 0, 22, true, NULL, NULL},	    {"q5_1", 32, 0, 24, true, NULL, NULL},
	{"q8_0", 32, 0, 34, true, NULL, NULL},	    {"q8_1", 32, 0, 36, true, NULL, NULL},
	{"q2_K", 256, 0, 84, true, NULL, NULL},	    {"q3_K", 256, 0, 110, true, NULL, NULL},
	{"q4_K", 256, 0, 144, true, NULL, NULL},    {"q5_K", 256, 0, 176, true, NULL, NULL},
	{"q6_K", 256, 0, 210, true, NULL, NULL},    {"q8_K", 256, 0, 292, true, NULL, NULL},
	{"iq2_xxs", 256, 0, 66, true, NULL, NULL},  {"iq2_xs", 256, 0, 74, true, NULL, NULL},
	{"iq3_xxs", 256, 0, 98, true, NULL, NULL},  {"iq1_s", 256, 0, 50, true, NULL, NULL},
	{"iq4_nl", 32, 0, 18, true, NULL, NULL},    {"iq3_s", 256, 0, 110, true, NULL, NULL},
	{"iq2_s", 256, 0, 82, true, NULL, NULL},    {"iq4_xs", 256, 0, 136, true, NULL, NULL},
	{"i8", 1, 0, 1, false, NULL, NULL},	    {"i16", 1, 0, 2, false, NULL, NULL},
	{"i32", 1, 0, 4, false, NULL, NULL},
};

const char *ggml_get_name(const struct ggml_tensor *t)
{
	return t->name;
}

void *ggml_get_data(const struct ggml_tensor *t)
{
	return t->data;
}

int64_t ggml_nelements(const struct ggml_tensor *t)
{
	return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

bool ggml_is_transposed(const struct ggml_tensor *t)
{
	return t->nb[0] > t->nb[1];
}

#ifndef FAKE_OLD
bool ggml_is_view(const struct ggml_tensor *t)
{
	return t->view_src != NULL;
}
#endif

size_t ggml_type_size(enum ggml_type type)
{
	return type_traits[type].type_size;
}

size_t ggml_element_size(const struct ggml_tensor *t)
{
	return ggml_type_size(t->type);
}

const char *ggml_type_name(enum ggml_type type)
{
	return type_traits[type].type_name;
}

const char *ggml_op_name(enum ggml_op op)
{
	return op_names[op];
}

const char *ggml_unary_op_name(int op)
{
	return unary_names[op];
}

const char *ggml_glu_op_name(int op)
{
	return glu_names[op];
}

int ggml_get_unary_op(const struct ggml_tensor *t)
{
	if (t->op != OP_UNARY)
		abort();
	return t->op_params[0];
}

int ggml_get_glu_op(const struct ggml_tensor *t)
{
	if (t->op != OP_GLU)
		abort();
	return t->op_params[0];
}

const char *ggml_op_desc(const struct ggml_tensor *t)
{
	if (t->op == OP_UNARY)
		return ggml_unary_op_name(ggml_get_unary_op(t));
	if (t->op == OP_GLU)
		return ggml_glu_op_name(ggml_get_glu_op(t));
	return ggml_op_name(t->op);
}

void ggml_set_input(struct ggml_tensor *t)
{
	t->flags |= 1;
}

void ggml_set_output(struct ggml_tensor *t)
{
	t->flags |= 2;
}

struct ggml_tensor *ggml_format_name(struct ggml_tensor *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->name, sizeof(t->name), fmt, ap);
	va_end(ap);
	return t;
}

size_t ggml_tensor_overhead(void)
{
	enum { OBJECT_SIZE = 32 };

	return OBJECT_SIZE + sizeof(struct ggml_tensor);
}

struct ggml_tensor *ggml_new_tensor(struct ggml_context *ctx, enum ggml_type type, int n_dims,
				    const int64_t *ne)
{
	struct ggml_tensor *t = &ctx->tensors[ctx->count++];
	int i;

	if (ctx->count > ctx->capacity)
		abort();
	memset(t, 0, sizeof(*t));
	t->type = type;
	for (i = 0; i < MAX_DIMS; i++)
		t->ne[i] = i < n_dims ? ne[i] : 1;
	t->nb[0] = ggml_type_size(type) + STRIDE_LIE;
	t->nb[1] = t->nb[0] * (size_t)(t->ne[0] / type_traits[type].blck_size);
	for (i = 2; i < MAX_DIMS; i++)
		t->nb[i] = t->nb[i - 1] * (size_t)t->ne[i - 1];
	return t;
}

struct ggml_tensor *ggml_mul_mat(struct ggml_context *ctx, struct ggml_tensor *a,
				 struct ggml_tensor *b)
{
	const int64_t ne[4] = {a->ne[1], b->ne[1], b->ne[2], b->ne[3]};
	struct ggml_tensor *result;

	if (a->ne[0] != b->ne[0] || ggml_is_transposed(a))
		abort();
	result = ggml_new_tensor(ctx, TYPE_F32, 4, ne);
	result->op = OP_MUL_MAT;
	result->src[0] = a;
	result->src[1] = b;
	return result;
}

struct ggml_tensor *ggml_mul_mat_id(struct ggml_context *ctx, struct ggml_tensor *as,
				    struct ggml_tensor *b, struct ggml_tensor *ids)
{
	const int64_t ne[4] = {as->ne[1], ids->ne[0], b->ne[2], 1};
	struct ggml_tensor *result;

	if (as->ne[0] != b->ne[0] || ids->type != TYPE_I32)
		abort();
	result = ggml_new_tensor(ctx, TYPE_F32, 4, ne);
	result->op = OP_MUL_MAT_ID;
	result->src[0] = as;
	result->src[1] = b;
	result->src[2] = ids;
	return result;
}

struct ggml_tensor *ggml_get_rows(struct ggml_context *ctx, struct ggml_tensor *a,
				  struct ggml_tensor *b)
{
	const int64_t ne[4] = {a->ne[0], b->ne[0], b->ne[1], b->ne[2]};
	struct ggml_tensor *result = ggml_new_tensor(ctx, TYPE_F32, 4, ne);

	result->op = OP_GET_ROWS;
	result->src[0] = a;
	result->src[1] = b;
	return result;
}

#ifndef FAKE_OLD
void ggml_flash_attn_ext_add_sinks(struct ggml_tensor *a, struct ggml_tensor *sinks)
{
	if (a->op != OP_FLASH_ATTN_EXT)
		abort();
	a->src[4] = sinks;
}
#endif

int ggml_graph_n_nodes(struct ggml_cgraph *g)
{
	return g->n_nodes;
}

struct ggml_tensor *ggml_graph_node(struct ggml_cgraph *g, int i)
{
	if (i < 0)
		i += g->n_nodes;
	if (i < 0 || i >= g->n_nodes)
		abort();
	return g->nodes[i];
}

struct ggml_tensor **ggml_graph_nodes(struct ggml_cgraph *g)
{
	return g->nodes;
}

#ifndef FAKE_OLD
const char *ggml_version(void)
{
	return "0.99.0-fake";
}

const char *ggml_commit(void)
{
	return "fake";
}
#endif

const char *ggml_backend_name(struct ggml_backend *b)
{
	return b->iface.get_name(b);
}

void ggml_backend_synchronize(struct ggml_backend *b)
{
	if (b->iface.synchronize)
		b->iface.synchronize(b);
}

int ggml_backend_graph_compute_async(struct ggml_backend *b, struct ggml_cgraph *g)
{
	return b->iface.graph_compute(b, g);
}

void *ggml_backend_get_device(struct ggml_backend *b)
{
	return b->device;
}

int ggml_backend_sched_get_n_backends(struct ggml_backend_sched *s)
{
	return s->n_backends;
}

struct ggml_backend *ggml_backend_sched_get_backend(struct ggml_backend_sched *s, int i)
{
	if (i < 0 || i >= s->n_backends)
		abort();
	return s->backends[i];
}

int ggml_backend_sched_graph_compute_async(struct ggml_backend_sched *s, struct ggml_cgraph *g)
{
	return ggml_backend_graph_compute_async(ggml_backend_sched_get_backend(s, 0), g);
}

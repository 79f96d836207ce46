/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets from small exported functions whose whole work is to read or write one field. */
#include <string.h>

#include "target/insn.h"
#include "target/layout_impl.h"
#include "util/alloc.h"

enum form {
	RETURNS_ADDRESS, /* returns argument 0 plus the offset */
	READS,		 /* first read of `size` bytes through argument `arg` */
	READS_LOWEST,	 /* lowest offset read, for arrays */
	READS_SECOND,	 /* first read of that size elsewhere than tensor.op */
	WRITES,
	JUMPS, /* calls through a pointer at the offset */
};

struct accessor {
	enum layout_field field;
	const char *function;
	enum form form;
	int arg;
	size_t size;
};

static const struct accessor accessors[] = {
	{LAYOUT_TENSOR_NAME, "ggml_get_name", RETURNS_ADDRESS, 0, 0},
	{LAYOUT_TENSOR_DATA, "ggml_get_data", READS, 0, 8},
	{LAYOUT_TENSOR_NE, "ggml_nelements", READS_LOWEST, 0, 0},
	{LAYOUT_TENSOR_NB, "ggml_is_transposed", READS_LOWEST, 0, 0},
	{LAYOUT_TENSOR_TYPE, "ggml_element_size", READS, 0, 4},
	{LAYOUT_TENSOR_OP, "ggml_op_desc", READS, 0, 4},
	{LAYOUT_TENSOR_OP, "ggml_get_unary_op", READS, 0, 4},
	{LAYOUT_TENSOR_OP, "ggml_flash_attn_ext_set_prec", READS, 0, 4},
	{LAYOUT_TENSOR_OP, "ggml_flash_attn_ext_add_sinks", READS, 0, 4},
	{LAYOUT_TENSOR_OP_PARAMS, "ggml_get_unary_op", READS_SECOND, 0, 4},
	{LAYOUT_TENSOR_FLAGS, "ggml_set_input", WRITES, 0, 4},
	{LAYOUT_TENSOR_FLAGS, "ggml_set_output", WRITES, 0, 4},
	{LAYOUT_TENSOR_FLAGS, "ggml_set_param", WRITES, 0, 4},
	{LAYOUT_TENSOR_FLAGS, "ggml_set_param", WRITES, 1, 4},
	{LAYOUT_TENSOR_FLAGS, "ggml_set_param", WRITES, 1, 1},
	{LAYOUT_TENSOR_VIEW_SRC, "ggml_is_view", READS, 0, 8},
	{LAYOUT_CGRAPH_N_NODES, "ggml_graph_n_nodes", READS, 0, 4},
	{LAYOUT_CGRAPH_NODES, "ggml_graph_nodes", READS, 0, 8},
	{LAYOUT_CGRAPH_NODES, "ggml_graph_node", READS, 0, 8},
	{LAYOUT_CPLAN_N_THREADS, "ggml_graph_compute", READS, 1, 4},
	{LAYOUT_BACKEND_GET_NAME, "ggml_backend_name", JUMPS, 0, 0},
	{LAYOUT_BACKEND_GRAPH_COMPUTE, "ggml_backend_graph_compute_async", JUMPS, 0, 0},
	{LAYOUT_BACKEND_GRAPH_COMPUTE, "ggml_backend_graph_compute", JUMPS, 0, 0},
	{LAYOUT_BACKEND_SYNCHRONIZE, "ggml_backend_synchronize", JUMPS, 0, 0},
	{LAYOUT_BACKEND_DEVICE, "ggml_backend_get_device", READS, 0, 8},
	{LAYOUT_SCHED_N_BACKENDS, "ggml_backend_sched_get_n_backends", READS, 0, 4},
	{LAYOUT_SCHED_BACKENDS, "ggml_backend_sched_get_backend", READS, 0, 8},
};

static int64_t lowest_read(const struct eval *v, int arg)
{
	int64_t low = -1;

	for (size_t i = 0; i < v->n_access; i++) {
		const struct eval_access *a = &v->access[i];

		if (!a->is_write && a->to.root == ROOT_ARG && a->to.index == arg && a->size >= 4 &&
		    (low < 0 || a->to.off < low))
			low = a->to.off;
	}
	return low;
}

static int64_t second_read(const struct infer *in, int arg, size_t size)
{
	const struct eval *v = in->eval;

	for (size_t i = 0; i < v->n_access; i++) {
		const struct eval_access *a = &v->access[i];

		if (!a->is_write && a->to.root == ROOT_ARG && a->to.index == arg &&
		    a->size == size && a->to.off != layout_get(in->l, LAYOUT_TENSOR_OP))
			return a->to.off;
	}
	return -1;
}

static int64_t returned_offset(const struct eval *v)
{
	for (size_t i = 0; i < v->n_returned; i++)
		if (v->returned[i].root == ROOT_ARG && v->returned[i].index == 0)
			return v->returned[i].off;
	return -1;
}

static int64_t jump_offset(const struct eval *v)
{
	for (size_t i = 0; i < v->n_jump; i++)
		if (v->jump[i].base == ROOT_ARG && v->jump[i].index == 0)
			return v->jump[i].off;
	return -1;
}

static int64_t answer(const struct infer *in, const struct accessor *a)
{
	const struct eval_access *access = NULL;

	switch (a->form) {
	case RETURNS_ADDRESS:
		return returned_offset(in->eval);
	case READS:
		access = eval_read(in->eval, a->arg, a->size);
		break;
	case READS_LOWEST:
		return lowest_read(in->eval, a->arg);
	case READS_SECOND:
		return second_read(in, a->arg, a->size);
	case WRITES:
		access = eval_write(in->eval, a->arg, a->size);
		break;
	case JUMPS:
		return jump_offset(in->eval);
	}
	return access ? access->to.off : -1;
}

/* Dimensions are 8 bytes wide when the four of them span 32 bytes. */
static void infer_ne_width(struct infer *in)
{
	int64_t low, high = 0;

	if (!infer_eval(in, "ggml_nelements", 60))
		return;
	low = lowest_read(in->eval, 0);
	for (size_t i = 0; i < in->eval->n_access; i++) {
		const struct eval_access *a = &in->eval->access[i];

		if (a->to.root == ROOT_ARG && a->to.index == 0 && a->to.off + a->size > high)
			high = a->to.off + a->size;
	}
	if (low >= 0)
		infer_put(in, LAYOUT_TENSOR_NE_WIDTH, high - low >= 32 ? 8 : 4, LAYOUT_ACCESSOR,
			  "ggml_nelements: reads %d bytes", (int)(high - low));
}

/* The size that name functions pass on: the third register of vsnprintf's size or strncpy's. */
static int64_t constant_for(const struct infer *in, const char *function, int arg)
{
	struct elf_func f;
	const struct elf *e = infer_find(in, function, &f);
	uint32_t mask = e ? insn_arg_register(elf_arch(e), arg) : 0;

	for (size_t i = 0; i < in->eval->n_constant; i++) {
		const struct eval_const *c = &in->eval->constant[i];

		if ((mask >> c->reg & 1) && c->value >= 16 && c->value <= 4096)
			return c->value;
	}
	return -1;
}

static void infer_name_length(struct infer *in)
{
	if (infer_eval(in, "ggml_format_name", 90))
		infer_put(in, LAYOUT_TENSOR_NAME_LEN, constant_for(in, "ggml_format_name", 1),
			  LAYOUT_ACCESSOR, "ggml_format_name: size given to vsnprintf");
	if (!infer_has(in, LAYOUT_TENSOR_NAME_LEN) && infer_eval(in, "ggml_set_name", 90))
		infer_put(in, LAYOUT_TENSOR_NAME_LEN, constant_for(in, "ggml_set_name", 2),
			  LAYOUT_ACCESSOR, "ggml_set_name: size given to strncpy");
}

enum { OBJECT_SIZE = 32 }; /* sizeof(struct ggml_object), which every tensor is preceded by */

static void infer_size(struct infer *in)
{
	if (!infer_eval(in, "ggml_tensor_overhead", 20))
		return;
	for (size_t i = 0; i < in->eval->n_returned; i++)
		if (in->eval->returned[i].root == ROOT_CONST)
			infer_put(in, LAYOUT_TENSOR_SIZE, in->eval->returned[i].off - OBJECT_SIZE,
				  LAYOUT_ACCESSOR, "ggml_tensor_overhead: %d less %d",
				  (int)in->eval->returned[i].off, OBJECT_SIZE);
}

void infer_accessors(struct infer *in)
{
	for (size_t i = 0; i < ARRAY_LEN(accessors); i++) {
		const struct accessor *a = &accessors[i];
		bool again = infer_has(in, a->field) && a->form != READS && a->form != WRITES;

		if (again || !infer_eval(in, a->function, 120))
			continue;
		if (a->field == LAYOUT_TENSOR_FLAGS && infer_has(in, a->field))
			continue;
		/* Before there were plans, argument 1 was the graph. */
		if (a->field == LAYOUT_CPLAN_N_THREADS && !infer_has_symbol(in, "ggml_graph_plan"))
			continue;
		infer_put(in, a->field, answer(in, a), LAYOUT_ACCESSOR, "%s", a->function);
	}
	infer_ne_width(in);
	infer_name_length(in);
	infer_size(in);
}

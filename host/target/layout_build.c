/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets from functions that build tensors, found by symbol or by the text of their assertions. */
#include <string.h>

#include "target/layout_impl.h"
#include "util/alloc.h"

enum { CANDIDATES = 32, CONSTRUCTOR_INSNS = 400 };

struct constructor {
	const char *function;
	const char *op;
	bool has_b;	       /* argument 2 becomes src[1] */
	const char *anchor[2]; /* texts that only this kind of function refers to */
};

static const struct constructor constructors[] = {
	{"ggml_mul_mat",
	 "MUL_MAT",
	 true,
	 {"ggml_can_mul_mat(a, b)", "GGML_ASSERT(ggml_can_mul_mat(a, b)) failed"}},
	{"ggml_mul_mat_id", "MUL_MAT_ID", false, {NULL, NULL}},
	{"ggml_get_rows", "GET_ROWS", true, {NULL, NULL}},
	{"ggml_cpy", "CPY", false, {NULL, NULL}},
	{"ggml_concat", "CONCAT", false, {NULL, NULL}},
};

static bool is_argument(const struct eval_value *v, int arg)
{
	return v->root == ROOT_ARG && v->index == arg && v->off == 0;
}

/* The store of the operator's number into the new tensor. */
static int64_t find_op(const struct eval *v, int number)
{
	for (size_t i = 0; i < v->n_access; i++) {
		const struct eval_access *a = &v->access[i];

		if (a->is_write && a->to.root == ROOT_RET && a->size == 4 && a->has_imm &&
		    a->imm == number)
			return a->to.off;
	}
	return -1;
}

/* The store of argument `arg` into a pointer field behind the operator. */
static int64_t find_source(const struct eval *v, int arg, int64_t op)
{
	for (size_t i = 0; i < v->n_access; i++) {
		const struct eval_access *a = &v->access[i];

		if (a->is_write && a->to.root == ROOT_RET && a->size == 8 && !a->indexed &&
		    a->to.off % 8 == 0 && a->to.off > op + 4 && is_argument(&a->stored, arg))
			return a->to.off;
	}
	return -1;
}

/* Multiplying two matrices starts with a->ne[0] == b->ne[0]. */
static void dimensions_from(struct infer *in, const char *name, enum layout_how how)
{
	const struct eval_access *first = NULL;

	for (size_t i = 0; i < in->eval->n_access; i++) {
		const struct eval_access *a = &in->eval->access[i];

		if (a->is_write || a->to.root != ROOT_ARG || a->to.index < 1 || a->to.index > 2 ||
		    a->size != 8)
			continue;
		if (!first) {
			first = a;
			continue;
		}
		if (first->to.off == a->to.off && first->to.index != a->to.index) {
			infer_put(in, LAYOUT_TENSOR_NE, a->to.off, how,
				  "%s: compares a->ne[0] with b->ne[0]", name);
			infer_put(in, LAYOUT_TENSOR_NE_WIDTH, 8, how, "%s: 8-byte comparison",
				  name);
		}
		return;
	}
}

static bool use(struct infer *in, const struct constructor *c, enum layout_how how)
{
	int number = layout_op_number(in->l, c->op);
	int64_t op = find_op(in->eval, number), a, b;

	if (op < 0)
		return false;
	infer_put(in, LAYOUT_TENSOR_OP, op, how, "%s: stores %s=%d", c->function, c->op, number);
	a = find_source(in->eval, 1, op);
	b = c->has_b ? find_source(in->eval, 2, op) : -1;
	if (a >= 0)
		infer_put(in, LAYOUT_TENSOR_SRC, a, how, "%s: stores its argument a", c->function);
	else if (b >= 8)
		infer_put(in, LAYOUT_TENSOR_SRC, b - 8, how, "%s: stores its argument b as src[1]",
			  c->function);
	if (!infer_has(in, LAYOUT_TENSOR_NE))
		dimensions_from(in, c->function, how);
	return true;
}

/* A constructor that stores another number at the known place contradicts the name table. */
static void check_number(struct infer *in, const struct constructor *c)
{
	int64_t op = layout_get(in->l, LAYOUT_TENSOR_OP);
	int number = layout_op_number(in->l, c->op);

	for (size_t i = 0; i < in->eval->n_access && op >= 0 && number >= 0; i++) {
		const struct eval_access *a = &in->eval->access[i];

		if (a->is_write && a->to.root == ROOT_RET && a->to.off == op && a->has_imm &&
		    a->size == 4 && a->imm != number) {
			diag_add(in->d, DIAG_WARNING,
				 "%s stores operator number %lld, but the table of operator names "
				 "has %s at %d",
				 c->function, (long long)a->imm, c->op, number);
			return;
		}
	}
}

/* Of the functions that hold the assertion, the one that stores the operator's number. */
static void use_anchor(struct infer *in, const struct constructor *c)
{
	struct elf_func f[CANDIDATES];

	for (size_t i = 0; i < in->n_searched; i++)
		for (size_t t = 0; t < ARRAY_LEN(c->anchor) && c->anchor[t]; t++) {
			const struct elf *e = in->searched[i];
			size_t n = elf_find_string_users(e, c->anchor[t], f, CANDIDATES);

			for (size_t k = 0; k < n; k++) {
				eval_func(e, &f[k], CONSTRUCTOR_INSNS, in->eval);
				if (in->eval->found && use(in, c, LAYOUT_STRING))
					return;
			}
		}
}

/* src[4] is where the sinks of flash attention go. */
static void infer_sinks(struct infer *in)
{
	if (!infer_eval(in, "ggml_flash_attn_ext_add_sinks", 90))
		return;
	for (size_t i = 0; i < in->eval->n_access; i++) {
		const struct eval_access *a = &in->eval->access[i];

		if (a->is_write && a->to.root == ROOT_ARG && a->to.index == 0 && a->size == 8 &&
		    is_argument(&a->stored, 1))
			infer_put(in, LAYOUT_TENSOR_SRC, a->to.off - 32, LAYOUT_ACCESSOR,
				  "ggml_flash_attn_ext_add_sinks: src[4] is at %d", (int)a->to.off);
	}
}

void infer_constructors(struct infer *in)
{
	for (size_t i = 0; i < ARRAY_LEN(constructors); i++) {
		const struct constructor *c = &constructors[i];

		if (layout_op_number(in->l, c->op) < 0)
			continue;
		if (!infer_eval(in, c->function, CONSTRUCTOR_INSNS))
			use_anchor(in, c);
		else if (!use(in, c, LAYOUT_CONSTRUCTOR))
			check_number(in, c);
	}
	infer_sinks(in);
}

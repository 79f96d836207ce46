/* SPDX-License-Identifier: Apache-2.0 */
/* Types of what operators make of their operands. */
#include <string.h>

#include "script/check/const.h"
#include "script/check/sema.h"
#include "util/text.h"

const struct type *sema_value(struct sema *s, const struct type *t)
{
	return type_is_aggregate(t->kind) && type_in_register(t) ? type_value_of(s->types, t) : t;
}

const struct type *sema_unary(struct sema *s, struct node *n)
{
	const struct type *t = sema_value(s, sema_expr(s, n->a));

	if (t->kind == TY_NONE)
		return t;
	if (sema_fold_unary(n))
		return sema_expr(s, n);
	if (n->op == '-' && n->a->kind == N_INT && !n->a->op && n->a->value > 1ull << 63)
		return sema_error(s, n, "negative value will underflow");
	switch (n->op) {
	case '!':
		if (!type_in_register(t))
			break;
		return &type_bool;
	case '-':
	case '~':
		if (type_is_int(t) && t->kind != TY_BOOL)
			return &type_i64;
		break;
	case '*':
		if (t->kind == TY_PTR && t->elem->kind != TY_VOID)
			return sema_complete(s, t->elem);
		if (type_is_int(t))
			return &type_u64;
		break;
	case '&':
		if (sema_forbidden(s, n, s->settings->unstable_addr, "address-of operator",
				   "unstable_addr"))
			return &type_none;
		if (n->a->kind == N_VAR || n->a->kind == N_MAP)
			return type_ptr(s->types, t);
		break;
	}
	return sema_error(s, n, "The %s operator can not be used on expressions of type '%s'",
			  n->op == '&' ? "&" : op_text(n->op), sema_name(t));
}

const struct type *sema_step(struct sema *s, struct node *n)
{
	const struct type *t;

	if (n->a->kind != N_VAR && n->a->kind != N_MAP)
		return sema_error(s, n, "The %s operator must be applied to a map or variable",
				  op_text(n->op));
	if (n->a->kind == N_MAP) {
		n->a->sym = sema_map(s, n->a->name, n->a->name_loc);
		n->a->sym->assigned = true;
		if (n->a->sym->type->kind == TY_NONE)
			sema_assign_type(s, n->a->sym, &type_i64, true);
	}
	t = sema_expr(s, n->a);
	if (t->kind == TY_INT && n->a->sym && !n->a->sym->fixed) {
		/* it may grow without end */
		sema_assign_type(s, n->a->sym, &type_i64, true);
		t = n->a->sym->type;
	}
	if (t->kind != TY_NONE && t->kind != TY_INT && t->kind != TY_ENUM && t->kind != TY_PTR)
		return sema_error(s, n,
				  "The %s operator can not be used on expressions of type '%s'",
				  op_text(n->op), sema_name(t));
	return n->a->type = t;
}

/* 64 bits, signed as soon as one side is or a difference is taken. */
static const struct type *arith_type(const struct node *n, const struct type *a,
				     const struct type *b)
{
	if (a->kind == TY_BOOL && b->kind == TY_BOOL && strchr("&|^", n->op))
		return &type_bool;
	if (n->op == TOK_SHL || n->op == TOK_SHR)
		return a->is_signed ? &type_i64 : &type_u64;
	return n->op == '-' || a->is_signed || b->is_signed ? &type_i64 : &type_u64;
}

static const struct type *pointer_arith(struct sema *s, struct node *n, const struct type *a,
					const struct type *b)
{
	if (op_is_comparison(n->op))
		return &type_bool;
	if (n->op == '+' && b->kind == TY_PTR && type_is_int(a))
		return b;
	if ((n->op == '+' || n->op == '-') && a->kind == TY_PTR && type_is_int(b))
		return a;
	return sema_error(s, n, "The %s operator can not be used on expressions of types %s, %s",
			  op_text(n->op), sema_name(a), sema_name(b));
}

static bool comparable(struct sema *s, const struct type *a, const struct type *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == TY_TUPLE)
		return sema_join(s, a, b) != NULL;
	return type_in_register(a) || a->kind == TY_STRING || a->kind == TY_RECORD ||
	       a->kind == TY_BUFFER || a->kind == TY_INET || a->kind == TY_USYM || type_is_stack(a);
}

static const struct type *array_binary(struct sema *s, struct node *n, const struct type *a,
				       const struct type *b)
{
	if (n->op != TOK_EQ && n->op != TOK_NE)
		return sema_error(s, n, "The %s operator cannot be used on arrays.",
				  op_text(n->op));
	if (a->count != b->count)
		return sema_error(s, n, "Only arrays of same size support comparison operators.");
	if (!type_is_int(a->elem) || !type_same(a, b))
		return sema_error(
			s, n, "Only arrays of same sized integer support comparison operators.");
	return &type_bool;
}

/* @x = @x + 1 makes @x an integer; whether anything sets it is seen in the end. */
static bool unset_map(const struct node *n, const struct type *t)
{
	return n->kind == N_MAP && t->kind == TY_NONE;
}

/* `probe` and `func` against each other or a literal: their names are known to the host. */
static bool comparable_names(struct sema *s, const struct node *n, const struct type *a,
			     const struct type *b)
{
	bool is_a = a->kind == TY_PROBE || a->kind == TY_FUNC;
	bool is_b = b->kind == TY_PROBE || b->kind == TY_FUNC;

	return (is_a && is_b && a->kind == b->kind) || (is_a && n->b->kind == N_STR) ||
	       (is_b && n->a->kind == N_STR) || sema_needs_probe_text(s, a, b);
}

const struct type *sema_binary(struct sema *s, struct node *n)
{
	const struct type *a = sema_value(s, sema_expr(s, n->a)),
			  *b = sema_value(s, sema_expr(s, n->b));
	bool fits;

	if (unset_map(n->a, a) && type_is_int(b))
		return arith_type(n, b, b);
	if (unset_map(n->b, b) && type_is_int(a))
		return arith_type(n, a, a);
	if (a->kind == TY_NONE || b->kind == TY_NONE)
		return n->op == TOK_AND || n->op == TOK_OR || op_is_comparison(n->op) ? &type_bool
										      : &type_none;
	switch (sema_fold_binary(s, n)) {
	case 1:
		return sema_expr(s, n);
	case -1:
		return sema_error(s, n, "unable to fold literals due to overflow or underflow");
	}
	if (n->op == TOK_AND || n->op == TOK_OR) {
		if (!type_in_register(a) || !type_in_register(b))
			return sema_error(s, n,
					  "The %s operator can not be used on expressions of "
					  "types %s, %s",
					  op_text(n->op), sema_name(a), sema_name(b));
		return &type_bool;
	}
	if (a->kind == TY_PTR || b->kind == TY_PTR) {
		if (type_in_register(a) && type_in_register(b))
			return pointer_arith(s, n, a, b);
	} else if (type_is_int(a) && type_is_int(b)) {
		return op_is_comparison(n->op) ? &type_bool : arith_type(n, a, b);
	}
	if (a->kind == TY_ARRAY && b->kind == TY_ARRAY)
		return array_binary(s, n, a, b);
	fits = comparable(s, a, b) || comparable_names(s, n, a, b);
	if ((n->op == TOK_EQ || n->op == TOK_NE) && fits)
		return &type_bool;
	if (!fits)
		return sema_error(s, n, "Type mismatch for '%s': comparing %s with %s",
				  op_text(n->op), sema_name(a), sema_name(b));
	return sema_error(s, n, "The %s operator can not be used on expressions of types %s, %s",
			  op_text(n->op), sema_name(a), sema_name(b));
}

/* Only the side that is taken is looked at: the other one may not even have types. */
static const struct type *comptime_ternary(struct sema *s, struct node *n)
{
	if (sema_expr(s, n->a)->kind == TY_NONE || n->a->kind == N_COMPTIME)
		return &type_none;
	node_become(n, (n->a->kind == N_STR ? n->a->len : n->a->value) ? n->b : n->c);
	s->changed = true;
	return sema_any(s, n);
}

const struct type *sema_ternary(struct sema *s, struct node *n)
{
	const struct type *c, *a, *b, *t;

	if (n->a->kind == N_COMPTIME && n->b)
		return comptime_ternary(s, n);
	c = sema_expr(s, n->a);
	a = n->b ? sema_any(s, n->b) : c;
	b = sema_any(s, n->c);
	if (c->kind != TY_NONE && !type_in_register(c))
		return sema_error(s, n->a, "Invalid condition in ternary: %s", sema_name(c));
	a = sema_value(s, a);
	b = sema_value(s, b);
	if ((n->b && sema_is_void(n->b) && b->kind != TY_NONE) ||
	    (sema_is_void(n->c) && a->kind != TY_NONE))
		return sema_error(s, n,
				  "Branches must return the same type or compatible types: have "
				  "'%s' and '%s'",
				  a->kind == TY_NONE ? "void" : sema_name(a),
				  b->kind == TY_NONE ? "void" : sema_name(b));
	if (a->kind == TY_NONE || b->kind == TY_NONE)
		return a->kind == TY_NONE ? b : a;
	t = sema_join(s, a, b);
	if (!t)
		return sema_error(s, n,
				  "Branches must return the same type or compatible types: have "
				  "'%s' and '%s'",
				  sema_name(a), sema_name(b));
	return t;
}

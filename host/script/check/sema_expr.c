/* SPDX-License-Identifier: Apache-2.0 */
/* Types of expressions. */
#include <stdlib.h>
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"
#include "util/text.h"

enum { MAX_EXPR_DEPTH = 2000 };

static const struct type *type_expr(struct sema *s, struct node *n);
static const struct type *literal_type(const struct node *n);

static const char *tt(const struct type *t)
{
	static _Thread_local char text[2][128];
	static _Thread_local int i;

	i = !i;
	return type_text(t, text[i]);
}

bool sema_is_void(const struct node *n)
{
	switch (n->kind) {
	case N_CALL:
		return n->builtin && (n->builtin->flags & BUILTIN_VOID);
	case N_BLOCK_EXPR:
		return !n->a || sema_is_void(n->a);
	case N_TERNARY:
		return (n->b && sema_is_void(n->b)) || sema_is_void(n->c);
	default:
		return false;
	}
}

const struct type *sema_expr(struct sema *s, struct node *n)
{
	int errors = s->errors;
	const struct type *t = sema_any(s, n);

	if (t->kind == TY_NONE && errors == s->errors && sema_is_void(n))
		return n->type = sema_error(s, n, "'void' is no value");
	return t;
}

const struct type *sema_any(struct sema *s, struct node *n)
{
	if (++s->depth > MAX_EXPR_DEPTH) {
		s->depth--;
		return n->type = sema_error(s, n, "expression is nested too deeply");
	}
	n->type = type_expr(s, n);
	s->depth--;
	return n->type;
}

static const struct type *param_type(struct sema *s, struct node *n)
{
	const char *text = n->value <= (uint64_t)s->args->argc ? s->args->argv[n->value - 1] : NULL;
	struct node value = {.kind = N_INT};
	int64_t i;

	if (text && text_to_i64(text, &i) == 0) {
		value.value = (uint64_t)i;
		value.op = i < 0 ? '-' : 0;
	} else if (text && text_to_u64(text, &value.value) == 0) {
		;
	} else if (text) {
		value.kind = N_STR;
		value.name = text;
		value.len = (uint32_t)strlen(text);
	}
	node_become(n, &value);
	return sema_expr(s, n);
}

static const struct type *unknown_ident(struct sema *s, struct node *n)
{
	const char *near = builtin_nearest(n->name, false);

	sema_error(s, n, "Unknown identifier: '%s'", n->name);
	if (near)
		sema_hint(s, "did you mean '%s'?", near);
	return &type_none;
}

static const struct type *ident_type(struct sema *s, struct node *n)
{
	const struct builtin *b = builtin_find(n->name, false);
	const char *define = type_expansion(s->types, n->name);
	const struct enum_value *e;
	struct node value = {.kind = N_INT};

	if (b) {
		n->builtin = b;
		return b->check(s, n);
	}
	/* #define A A beside enum { A } is how headers tell that there is one */
	if (define && strcmp(define, n->name) != 0)
		return sema_define(s, n, define);
	e = type_enum_value(s->types, n->name);
	if (!e)
		return unknown_ident(s, n);
	value.value = (uint64_t)e->value;
	value.type = e->type;
	node_become(n, &value);
	n->flag = e->type != NULL;
	n->a = NULL;
	n->op = e->value < 0 ? '-' : 0;
	return n->type = e->type ? e->type : &type_i64;
}

static const struct type *wrong_count(struct sema *s, struct node *n, const struct builtin *b,
				      int have)
{
	bool few = have < b->min_args;
	int want = few ? b->min_args : b->max_args;
	const char *rule = b->min_args == b->max_args ? "requires"
			   : few		      ? "requires at least"
						      : "takes up to";

	if (want == 0)
		return sema_error(s, n, "%s() requires no arguments (%d provided)", n->name, have);
	if (want == 1)
		return sema_error(s, n, "%s() %s one argument (%d provided)", n->name, rule, have);
	return sema_error(s, n, "%s() %s %d arguments (%d provided)", n->name, rule, want, have);
}

static bool is_compile_time(const char *name)
{
	static const char *const names[] = {"kaddr", "uaddr",	 "cgroupid", "reg",
					    "pton",  "strftime", "getopt"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static const struct type *call_type(struct sema *s, struct node *n)
{
	const struct builtin *b = builtin_find(n->name, true);
	const char *near, *define;
	int args = call_args(n);

	if (!b && (define = sema_macro_text(s, n->name)))
		return sema_define_call(s, n, define);
	if (!b) {
		near = builtin_nearest(n->name, true);
		sema_error(s, n, "Unknown function: '%s'", n->name);
		if (near)
			sema_hint(s, "did you mean '%s'?", near);
		return &type_none;
	}
	n->builtin = b;
	if (n->list && n->list->kind == N_STR &&
	    ((b->flags & BUILTIN_VOID) ? b->check != NULL && strcmp(n->name, "print") != 0
				       : is_compile_time(n->name)))
		n->list->flag = true;
	if ((b->flags & BUILTIN_UNSAFE) && !s->unsafe)
		return sema_error(s, n, "%s() is an unsafe function being used in safe mode",
				  n->name);
	if (args < b->min_args || (b->max_args >= 0 && args > b->max_args))
		return wrong_count(s, n, b, args);
	if ((b->flags & BUILTIN_AGG) && !n->flag)
		return sema_error(s, n, "%s() must be assigned directly to a map", n->name);
	if (strcmp(n->name, "tseries") == 0 &&
	    sema_forbidden(s, n, s->settings->unstable_tseries, "tseries", "unstable_tseries"))
		return &type_none;
	return b->check(s, n);
}

static const struct type *var_type(struct sema *s, struct node *n)
{
	n->sym = sema_open_var(s, n->name);
	/* one that got no type because its value was wrong has been reported */
	if (!n->sym || (n->sym->type->kind == TY_NONE && s->final && !s->errors))
		return sema_error(s, n, "Undefined or undeclared variable: $%s",
				  macro_own_name(n->name));
	return n->sym->type;
}

static const struct type *map_type(struct sema *s, struct node *n)
{
	n->sym = sema_map(s, n->name, n->name_loc);
	sema_key(s, n->sym, n);
	if (n->sym->type->kind == TY_NONE && (!s->final || !s->errors))
		return sema_error(s, n, "Undefined map: %s", n->name);
	return n->sym->type;
}

/* An aggregation among operands is an integer; stats() is none. */
static const struct type *as_value(struct sema *s, const struct type *t)
{
	return type_is_aggregate(t->kind) && type_in_register(t) ? type_value_of(s->types, t) : t;
}

static const struct type *unary_type(struct sema *s, struct node *n)
{
	const struct type *t = as_value(s, sema_expr(s, n->a));

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
			  n->op == '&' ? "&" : op_text(n->op), tt(t));
}

static const struct type *step_type(struct sema *s, struct node *n)
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
				  op_text(n->op), tt(t));
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
			  op_text(n->op), tt(a), tt(b));
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

static const struct type *binary_type(struct sema *s, struct node *n)
{
	const struct type *a = as_value(s, sema_expr(s, n->a)),
			  *b = as_value(s, sema_expr(s, n->b));
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
					  op_text(n->op), tt(a), tt(b));
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
				  op_text(n->op), tt(a), tt(b));
	return sema_error(s, n, "The %s operator can not be used on expressions of types %s, %s",
			  op_text(n->op), tt(a), tt(b));
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

static const struct type *ternary_type(struct sema *s, struct node *n)
{
	const struct type *c, *a, *b, *t;

	if (n->a->kind == N_COMPTIME && n->b)
		return comptime_ternary(s, n);
	c = sema_expr(s, n->a);
	a = n->b ? sema_any(s, n->b) : c;
	b = sema_any(s, n->c);
	if (c->kind != TY_NONE && !type_in_register(c))
		return sema_error(s, n->a, "Invalid condition in ternary: %s", tt(c));
	a = as_value(s, a);
	b = as_value(s, b);
	if ((n->b && sema_is_void(n->b) && b->kind != TY_NONE) ||
	    (sema_is_void(n->c) && a->kind != TY_NONE))
		return sema_error(s, n,
				  "Branches must return the same type or compatible types: have "
				  "'%s' and '%s'",
				  a->kind == TY_NONE ? "void" : tt(a),
				  b->kind == TY_NONE ? "void" : tt(b));
	if (a->kind == TY_NONE || b->kind == TY_NONE)
		return a->kind == TY_NONE ? b : a;
	t = sema_join(s, a, b);
	if (!t)
		return sema_error(s, n,
				  "Branches must return the same type or compatible types: have "
				  "'%s' and '%s'",
				  tt(a), tt(b));
	return t;
}

/* char[N] is a string to scripts. */
static const struct type *field_value_type(struct sema *s, const struct type *t)
{
	if (t->kind == TY_ARRAY && t->elem->is_char && t->count)
		return type_string(s->types, t->count);
	return t;
}

struct field_names {
	const struct type *st;
};

static const char *field_name_at(const void *state, size_t i)
{
	const struct type *st = state;

	/* anonymous members are shown as an empty name, which is near to nothing */
	return i < st->fields->n ? (st->fields->v[i].name ? st->fields->v[i].name : "") : NULL;
}

static const struct type *no_field(struct sema *s, struct node *n, const struct type *st)
{
	const char *near = st->fields ? text_nearest(n->name, field_name_at, st) : NULL;

	if (st->fields && !st->fields->complete)
		return sema_error(s, n, "Unknown struct/union: '%s'", tt(st));
	if (st->kind == TY_RECORD)
		sema_error(s, n, "Record does not contain a field named '%s'", n->name);
	else if (st->is_ctx && s->attach && s->attach->kind == PROBE_UPROBE)
		sema_error(s, n, "Can't find function parameter %s", n->name);
	else
		sema_error(s, n, "Struct/union of type '%s' does not contain a field named '%s'",
			   tt(st), n->name);
	if (near && *near)
		sema_hint(s, "did you mean '%s'?", near);
	return &type_none;
}

static const struct type *field_type(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->a);
	const struct field *f;
	uint32_t offset;

	if (t->kind == TY_NONE)
		return t;
	if (t->kind == TY_PTR)
		t = sema_complete(s, t->elem);
	if (t->kind == TY_STATS || t->kind == TY_AVG ||
	    (t->kind != TY_STRUCT && t->kind != TY_RECORD))
		return sema_error(s, n, "Can not access field '%s' on expression of type '%s'",
				  n->name, tt(t));
	t = sema_complete(s, t);
	f = type_field(t, n->name, &offset);
	if (!f)
		return no_field(s, n, t);
	for (struct node *m = n->a->kind == N_RECORD ? n->a->list : NULL; m; m = m->next)
		if (strcmp(m->name, n->name) == 0 && (m->a->kind == N_INT || m->a->kind == N_STR)) {
			node_become(n, m->a);
			return sema_expr(s, n);
		}
	return f->is_data_loc ? &type_u64 : field_value_type(s, f->type);
}

static const struct type *tuple_field_type(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->a);

	if (t->kind == TY_NONE)
		return t;
	if (t->kind != TY_TUPLE)
		return sema_error(s, n, "Can not access index '%llu' on expression of type '%s'",
				  (unsigned long long)n->value, tt(t));
	if (n->value >= t->fields->n)
		return sema_error(s, n, "Invalid tuple index: %llu. Found %zu elements in tuple.",
				  (unsigned long long)n->value, t->fields->n);
	return t->fields->v[n->value].type;
}

static const struct type *index_type(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->a), *i = sema_expr(s, n->b);
	uint32_t count;
	bool known;
	int64_t v;

	if (t->kind == TY_NONE || i->kind == TY_NONE)
		return &type_none;
	if (t->kind == TY_TUPLE && const_eval(s->types, n->b, &v) && v >= 0) {
		n->kind = N_TUPLE_FIELD;
		n->value = (uint64_t)v;
		return tuple_field_type(s, n);
	}
	if (!type_is_int(i))
		return sema_error(s, n,
				  "The array index operator [] only accepts positive (unsigned) "
				  "integer indices. Got: %s",
				  tt(i));
	known = const_eval(s->types, n->b, &v);
	if (t->kind == TY_STRING && (!known || (v >= 0 && v < t->size)))
		return type_int(1, true);
	if (t->kind == TY_PTR && t->elem->kind == TY_VOID)
		return sema_error(s, n,
				  "The array index operator [] cannot be used on a pointer to an "
				  "unsized type (void *).");
	if (t->kind == TY_PTR)
		return sema_complete(s, t->elem);
	if (t->kind != TY_ARRAY && t->kind != TY_STRING)
		return sema_error(s, n,
				  "The array index operator [] can only be used on arrays and "
				  "pointers, found %s.",
				  tt(t));
	count = t->kind == TY_STRING ? t->size : t->count;
	if (known && count && (v < 0 || v >= count))
		return sema_error(s, n, "the index %lld is out of bounds for array of size %u",
				  (long long)v, count);
	return t->elem;
}

/* Integers fill arrays of up to 8 bytes from the front; everything else must be of one size. */
static bool castable_to_array(const struct type *to, const struct type *from)
{
	if (!type_is_int(to->elem))
		return false;
	if (type_is_int(from))
		return to->size == from->size || (to->size <= 8 && to->size > from->size);
	return to->size == from->size && (from->kind == TY_STRING || from->kind == TY_ARRAY);
}

static bool castable(const struct type *to, const struct type *from)
{
	if (type_same(to, from))
		return true;
	if (to->kind == TY_ARRAY)
		return castable_to_array(to, from);
	if (type_is_int(to))
		return type_in_register(from) ||
		       (from->kind == TY_ARRAY && type_is_int(from->elem) &&
			from->size == to->size);
	if (to->kind == TY_PTR)
		return type_in_register(from) || from->kind == TY_STRING ||
		       from->kind == TY_ARRAY || from->kind == TY_STRUCT;
	if (to->kind == TY_STRING)
		return from->kind == TY_STRING && to->size >= from->size;
	return false;
}

/* (uint8[])x: as many as x has bytes. */
static const struct type *sized_by(struct sema *s, struct node *n, const struct type *to,
				   const struct type *from)
{
	uint32_t size = from->size ? from->size : 8;

	if (to->kind != TY_ARRAY || to->count || !to->elem->size)
		return to;
	if (size % to->elem->size)
		return sema_error(s, n,
				  "Cannot determine array size: the element size is incompatible "
				  "with the cast integer size");
	return type_array(s->types, to->elem, size / to->elem->size);
}

static const struct type *cast_type(struct sema *s, struct node *n)
{
	const struct type *from = sema_expr(s, n->b), *to = sema_resolve_type(s, n->a);

	if (from->kind != TY_NONE && to->kind != TY_NONE)
		to = sized_by(s, n, to, as_value(s, from));
	if (from->kind == TY_NONE || to->kind == TY_NONE)
		return to;
	if (from->kind == TY_PTR && to->kind == TY_STRUCT)
		return sema_error(s, n, "Cannot cast from \"%s\" to \"%s\"; did you mean \"%s *\"?",
				  tt(from), tt(to), to->name ? to->name : "struct");
	if (from->kind == TY_STRUCT && to->kind != TY_PTR && !type_same(to, from))
		return sema_error(s, n, "Cannot cast from struct type \"%s\"", tt(from));
	if (!castable(to, from))
		return sema_error(s, n, "Cannot cast from \"%s\" to \"%s\"", tt(from), tt(to));
	if (to->kind == TY_ENUM && n->b->kind == N_INT && to->fields &&
	    !type_enum_name(to, (int64_t)n->b->value))
		return sema_error(s, n, "Enum: %s doesn't contain a variant value of %lld",
				  to->name ? to->name + strlen("enum ") : "",
				  (long long)n->b->value);
	return to;
}

/* What sizeof and offsetof are asked for; a bare name may be that of a typedef. */
static const struct type *type_or_expr(struct sema *s, struct node *n)
{
	const struct type *t = NULL;

	if (n->kind == N_TYPE)
		return sema_resolve_type(s, n);
	if (n->kind == N_IDENT && !builtin_find(n->name, false) && !type_macro(s->types, n->name))
		t = type_by_name(s->types, n->name);
	return t ? t : sema_expr(s, n);
}

static const struct type *sizeof_type(struct sema *s, struct node *n)
{
	const struct type *t = type_or_expr(s, n->a);
	struct node value = {.kind = N_INT};

	if (t->kind == TY_NONE)
		return t;
	t = sema_complete(s, as_value(s, t));
	value.value = type_c_size(t);
	value.len = 8;
	node_become(n, &value);
	return &type_u64;
}

static const struct type *offsetof_type(struct sema *s, struct node *n)
{
	const struct type *t = type_or_expr(s, n->a);
	struct node value = {.kind = N_INT};

	if (t->kind == TY_NONE)
		return t;
	for (struct node *part = n->list; part; part = part->next) {
		const struct field *f;
		uint32_t offset;

		t = sema_complete(s, t);
		f = t->kind == TY_STRUCT || t->kind == TY_RECORD
			    ? type_field(t, part->name, &offset)
			    : NULL;
		if (!f && t->kind != TY_STRUCT && t->kind != TY_RECORD)
			return sema_error(s, n, "'%s' is not a c_struct type.", tt(t));
		if (!f)
			return sema_error(s, n, "'%s' has no field named '%s'", tt(t), part->name);
		value.value += offset;
		t = f->type;
	}
	value.len = 8;
	node_become(n, &value);
	return &type_u64;
}

static const struct type *tuple_type(struct sema *s, struct node *n)
{
	size_t count = (size_t)call_args(n), i = 0;
	const struct type **types = arena_alloc(s->arena, (count + 1) * sizeof(*types));
	const char **names =
		n->kind == N_RECORD ? arena_alloc(s->arena, (count + 1) * sizeof(*names)) : NULL;

	for (struct node *e = n->list; e; e = e->next, i++) {
		struct node *v = n->kind == N_RECORD ? e->a : e;

		types[i] = type_value_of(s->types, sema_expr(s, v));
		if (types[i]->kind == TY_NONE)
			return &type_none;
		if (type_is_aggregate(types[i]->kind))
			return sema_error(s, v, "Map type %s cannot exist inside a %s.",
					  tt(types[i]), names ? "record" : "tuple");
		if (names)
			names[i] = e->name;
	}
	return type_tuple(s->types, types, names, count);
}

/* The smallest type that holds it; `len` asks for one of that size. */
static const struct type *literal_type(const struct node *n)
{
	int64_t i = (int64_t)n->value;
	uint64_t v = n->value;

	if (n->len == 8)
		return &type_u64;
	if (n->op)
		return type_int(i >= INT8_MIN	 ? 1
				: i >= INT16_MIN ? 2
				: i >= INT32_MIN ? 4
						 : 8,
				true);
	return type_int(v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8, false);
}

static const struct type *block_type(struct sema *s, struct node *n)
{
	const struct type *t = &type_none;
	struct scope sc = {.id = s->n_scopes++, .up = s->scope};

	s->scope = &sc;
	sema_statements(s, n->list);
	if (n->a)
		t = sema_any(s, n->a);
	s->scope = sc.up;
	return t;
}

static const struct type *comptime_type(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->a);

	if (t->kind == TY_NONE)
		return t;
	if (n->a->kind != N_INT && n->a->kind != N_BOOL && n->a->kind != N_STR)
		return sema_error(s, n, "Unable to resolve comptime expression.");
	node_become(n, n->a);
	return sema_expr(s, n);
}

/* `flag`: the text is used before the script runs, however long it is. */
static const struct type *text_type(struct sema *s, struct node *n)
{
	if (!n->flag && n->len + 1 > s->settings->max_strlen)
		return sema_error(s, n, "String is too long (over %llu bytes): %s",
				  (unsigned long long)s->settings->max_strlen, n->name);
	return type_string(s->types, n->len + 1);
}

static const struct type *type_expr(struct sema *s, struct node *n)
{
	switch (n->kind) {
	case N_INT:
		if (n->flag && n->type && n->type->kind == TY_ENUM)
			return n->type;
		return literal_type(n);
	case N_BOOL:
		return &type_bool;
	case N_STR:
		return text_type(s, n);
	case N_IDENT:
		return ident_type(s, n);
	case N_VAR:
		return var_type(s, n);
	case N_MAP:
		return map_type(s, n);
	case N_PARAM:
		return param_type(s, n);
	case N_PARAM_COUNT:
		n->value = (uint64_t)s->args->argc;
		n->kind = N_INT;
		return literal_type(n);
	case N_UNARY:
		return unary_type(s, n);
	case N_STEP:
		return step_type(s, n);
	case N_BINARY:
		return binary_type(s, n);
	case N_TERNARY:
		return ternary_type(s, n);
	case N_FIELD:
		return field_type(s, n);
	case N_TUPLE_FIELD:
		return tuple_field_type(s, n);
	case N_INDEX:
		return index_type(s, n);
	case N_CALL:
		return call_type(s, n);
	case N_CAST:
		return cast_type(s, n);
	case N_SIZEOF:
		return sizeof_type(s, n);
	case N_OFFSETOF:
		return offsetof_type(s, n);
	case N_TUPLE:
	case N_RECORD:
		return tuple_type(s, n);
	case N_BLOCK_EXPR:
		return block_type(s, n);
	case N_COMPTIME:
		return comptime_type(s, n);
	default:
		return sema_error(s, n, "not an expression");
	}
}

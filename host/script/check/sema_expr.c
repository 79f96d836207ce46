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
		return sema_error(s, n, "Unknown struct/union: '%s'", sema_name(st));
	if (st->kind == TY_RECORD)
		sema_error(s, n, "Record does not contain a field named '%s'", n->name);
	else if (st->is_ctx && s->attach && s->attach->kind == PROBE_UPROBE)
		sema_error(s, n, "Can't find function parameter %s", n->name);
	else
		sema_error(s, n, "Struct/union of type '%s' does not contain a field named '%s'",
			   sema_name(st), n->name);
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
				  n->name, sema_name(t));
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
				  (unsigned long long)n->value, sema_name(t));
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
				  sema_name(i));
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
				  sema_name(t));
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
		to = sized_by(s, n, to, sema_value(s, from));
	if (from->kind == TY_NONE || to->kind == TY_NONE)
		return to;
	if (from->kind == TY_PTR && to->kind == TY_STRUCT)
		return sema_error(s, n, "Cannot cast from \"%s\" to \"%s\"; did you mean \"%s *\"?",
				  sema_name(from), sema_name(to), to->name ? to->name : "struct");
	if (from->kind == TY_STRUCT && to->kind != TY_PTR && !type_same(to, from))
		return sema_error(s, n, "Cannot cast from struct type \"%s\"", sema_name(from));
	if (!castable(to, from))
		return sema_error(s, n, "Cannot cast from \"%s\" to \"%s\"", sema_name(from),
				  sema_name(to));
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
	t = sema_complete(s, sema_value(s, t));
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
			return sema_error(s, n, "'%s' is not a c_struct type.", sema_name(t));
		if (!f)
			return sema_error(s, n, "'%s' has no field named '%s'", sema_name(t),
					  part->name);
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
					  sema_name(types[i]), names ? "record" : "tuple");
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
		return sema_unary(s, n);
	case N_STEP:
		return sema_step(s, n);
	case N_BINARY:
		return sema_binary(s, n);
	case N_TERNARY:
		return sema_ternary(s, n);
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

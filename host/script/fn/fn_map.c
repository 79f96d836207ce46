/* SPDX-License-Identifier: Apache-2.0 */
/* Maps as wholes: delete, has_key, len, print, clear, zero. */
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"
#include "script/run/runtime.h"

/* delete(@m), delete(@m[k]) and delete(@m, k): the last becomes the second. */
static bool fold_key(struct sema *s, struct node *n)
{
	struct node *m = n->list;

	if (m->kind != N_MAP) {
		sema_error(s, m, "%s() expects a map argument", n->name);
		return false;
	}
	if (m->next) {
		if (m->a) {
			struct node at = *n;

			at.loc.end = m->loc.end;
			sema_error(s, &at, "%s() expects a map with no keys for the first argument",
				   n->name);
			return false;
		}
		m->a = m->next;
		m->next = NULL;
		m->loc.end = m->a->loc.end;
	}
	m->sym = sema_map(s, m->name, m->name_loc);
	if (m->sym->key_known && !m->sym->key != !m->a) {
		sema_error(s, m, "call to %s() expects a map with explicit keys (non-scalar map)",
			   n->name);
		return false;
	}
	sema_key(s, m->sym, m);
	m->type = m->sym->type;
	return true;
}

static const struct type *check_delete(struct sema *s, struct node *n)
{
	if (!fold_key(s, n))
		return &type_none;
	return &type_bool;
}

static struct operand emit_delete(struct emit *e, struct node *n)
{
	static const char missing[] = "Can't delete map element because it does not exist.\n"
				      "Additional Info - helper: map_delete_elem, retcode: -2";
	bool used = n->id == 0; /* set by the statement when the value is dropped */
	const char *found;

	em_map_delete(e, n->list, &found);
	if (!used && n->list->a) {
		em_open(e, "if (!%s)", found);
		em_warning(e, n, missing);
		em_close(e);
	}
	return opd_value(found);
}

static const struct type *check_has_key(struct sema *s, struct node *n)
{
	if (!fold_key(s, n))
		return &type_none;
	if (!n->list->a)
		return sema_error(s, n->list,
				  "call to has_key() expects a map with explicit keys (non-scalar "
				  "map)");
	return &type_bool;
}

static struct operand emit_has_key(struct emit *e, struct node *n)
{
	return opd_value(em_map_has(e, n->list));
}

static const struct type *check_len(struct sema *s, struct node *n)
{
	struct node *a = n->list;
	const struct type *t;

	if (a->kind == N_MAP && !a->a) {
		a->sym = sema_map(s, a->name, a->name_loc);
		a->type = a->sym->type;
		if (a->sym->key_known && !a->sym->key)
			return sema_error(s, a,
					  "call to len() expects a map with explicit keys "
					  "(non-scalar map)");
		return &type_i64;
	}
	t = sema_expr(s, a);
	if (t->kind == TY_NONE || type_is_stack(t))
		return &type_i64;
	if (t->kind == TY_ARRAY || t->kind == TY_TUPLE)
		return &type_i64;
	return sema_error(s, n, "len() expects a map or stack to be provided");
}

static struct operand emit_len(struct emit *e, struct node *n)
{
	struct node *a = n->list;

	/* whatever its values are */
	if (a->kind == N_MAP && !a->a)
		return opd_value(em_map_len(e, a->sym));
	if (a->type->kind == TY_ARRAY)
		return opd_value(emf(e, "%ull", a->type->count));
	if (a->type->kind == TY_TUPLE)
		return opd_value(emf(e, "%zull", a->type->fields->n));
	return opd_value(em_tmp(e, true, "*(u32 *)(%s + 8)", em_memory(e, a)));
}

/* find(@m, key, $v): has_key, and the value with it. */
static const struct type *check_find(struct sema *s, struct node *n)
{
	struct node *m = n->list, *key = m->next, *v = n->c;

	if (!v) {
		v = key ? key->next : NULL;
		if (!v || v->kind != N_VAR)
			return sema_error(s, n, "find() expects a variable for its third argument");
		n->c = v;
		key->next = NULL;
	}
	if (!fold_key(s, n))
		return &type_none;
	if (!m->sym->key && m->sym->key_known)
		return sema_error(s, n,
				  "call to find() expects a map with explicit keys "
				  "(non-scalar map)");
	v->sym = sema_open_var(s, v->name);
	if (!v->sym)
		return sema_error(s, v, "Undefined or undeclared variable: $%s", v->name);
	if (m->sym->type->kind != TY_NONE && !sema_assign_type(s, v->sym, m->sym->type, false))
		return sema_error(s, n,
				  "Type mismatch for $%s: trying to assign value of type '%s' "
				  "when variable already has a type '%s'",
				  v->name, type_text(m->sym->type, (char[128]){0}),
				  type_text(v->sym->type, (char[128]){0}));
	return &type_bool;
}

static struct operand emit_find(struct emit *e, struct node *n)
{
	const char *found = em_map_has(e, n->list);

	em_open(e, "if (%s)", found);
	em_assign_var(e, n->c, n->list);
	em_close(e);
	return opd_value(found);
}

/* ---- print, clear, zero ---- */

/* print(@t, min, max) of a time series. */
static const struct type *check_print_range(struct sema *s, struct node *n)
{
	int64_t min = 0, max = 0;

	if (call_args(n) == 2)
		return sema_error(s, n,
				  "print() must provide both min and max arguments when used on "
				  "tseries() maps.");
	const_eval(s->types, call_arg(n, 1), &min);
	const_eval(s->types, call_arg(n, 2), &max);
	if (min > max)
		return sema_error(
			s, n, "print()'s min argument cannot be greater than its max argument.");
	return &type_none;
}

static const char print_in_loop[] =
	"Due to it's asynchronous nature using 'print()' in a loop can lead to unexpected "
	"behavior. "
	"The map will likely be updated before the runtime can 'print' it.";

static const struct type *check_print(struct sema *s, struct node *n)
{
	struct node *a = n->list;
	const struct type *t;
	int64_t v;

	if (a->kind == N_MAP && !a->a) {
		if (!sema_map_arg(s, a))
			return &type_none;
		if (a->sym->type->kind == TY_NONE)
			return sema_error(s, a, "Undefined map: %s", a->name);
		for (struct node *x = a->next; x; x = x->next)
			if (!sema_literal(s, x, "print() top and div", &v))
				return &type_none;
			else if (v < 0 && a->sym->type->kind != TY_TSERIES)
				return sema_error(s, n, "print(): top and div can not be negative");
		if (s->loop_depth)
			sema_warn(s, n, "%s", print_in_loop);
		if (a->next && a->sym->type->kind == TY_TSERIES)
			return check_print_range(s, n);
		if (a->next && a->sym->type->kind == TY_STATS)
			sema_warn(
				s, n,
				"print()'s top and div arguments are ignored when used on stats() "
				"maps.");
		else if (a->next && a->sym->key_known && !a->sym->key &&
			 !map_has_buckets(a->sym->type->kind))
			sema_warn(s, n,
				  "print(): top and div have no effect on a map without keys");
		return &type_none;
	}
	t = sema_any(s, a);
	if (t->kind == TY_NONE && sema_is_void(a))
		return sema_error(s, n, "void type passed to %s() is not printable", n->name);
	if (t->kind == TY_NONE)
		return t;
	if (a->next)
		return sema_error(s, n, "Non-map print() only takes 1 argument, %d found",
				  call_args(n));
	if (map_has_buckets(t->kind))
		return sema_error(s, n,
				  "Map type %s cannot print the value of individual keys. You "
				  "must print the whole map.",
				  type_text(t, (char[128]){0}));
	if (t->kind == TY_VOID || t->kind == TY_STACK_MODE)
		return sema_error(s, n, "%s type passed to %s() is not printable",
				  type_text(t, (char[128]){0}), n->name);
	return &type_none;
}

static struct operand emit_print(struct emit *e, struct node *n)
{
	struct action *a = em_action(e, n->builtin, n);
	struct node *args[1] = {n->list};

	if (n->list->kind == N_MAP && !n->list->a) {
		a->map = n->list->sym;
		for (int i = 0; i < 2 && call_arg(n, i + 1); i++)
			const_eval(e->s->types, call_arg(n, i + 1), &a->num[i]);
		em_send(e, a, NULL);
		return opd_none();
	}
	em_action_arg(e, a, type_value_of(e->s->types, n->list->type));
	em_send(e, a, args);
	return opd_none();
}

static const struct type *check_map_call(struct sema *s, struct node *n)
{
	if (n->list->kind == N_MAP && n->list->a)
		return sema_error(s, n->list, "%s() expects a map argument", n->name);
	if (n->list->kind != N_MAP)
		return sema_error(s, n->list, "%s() expects a map argument", n->name);
	sema_map_arg(s, n->list);
	if (n->list->sym->type->kind == TY_NONE)
		return sema_error(s, n->list, "Undefined map: %s", n->list->name);
	return &type_none;
}

static struct operand emit_map_call(struct emit *e, struct node *n)
{
	struct action *a = em_action(e, n->builtin, n);

	a->map = n->list->sym;
	em_send(e, a, NULL);
	return opd_none();
}

/* clang-format off */
const struct builtin builtins_map[] = {
	{.name = "delete", BUILTIN_CALL, 1, 2, check_delete, emit_delete,
	 .help = "removes a key"},
	{.name = "has_key", BUILTIN_CALL, 1, 2, check_has_key, emit_has_key,
	 .help = "whether a map has a key"},
	{.name = "find", BUILTIN_CALL, 1, 3, check_find, emit_find,
	 .help = "whether a map has a key, and its value"},
	{.name = "len", BUILTIN_CALL, 1, 1, check_len, emit_len, .help = "elements or frames"},
	{.name = "stack_len", BUILTIN_CALL, 1, 1, check_len, emit_len, .help = "frames"},
	{.name = "print", BUILTIN_CALL | BUILTIN_VOID, 1, 3, check_print, emit_print,
	 .run = run_print, .help = "prints a map or a value"},
	{.name = "clear", BUILTIN_CALL | BUILTIN_VOID, 1, 1, check_map_call, emit_map_call,
	 .run = run_clear, .help = "removes all keys"},
	{.name = "zero", BUILTIN_CALL | BUILTIN_VOID, 1, 1, check_map_call, emit_map_call,
	 .run = run_zero, .help = "sets all values to 0"},
	{.name = NULL},
};
/* clang-format on */

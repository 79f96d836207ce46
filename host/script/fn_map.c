/* SPDX-License-Identifier: Apache-2.0 */
/* Maps as wholes: delete, has_key, len, print, clear, zero. */
#include <string.h>

#include "script/builtin.h"
#include "script/const.h"
#include "script/runtime.h"

/* delete(@m), delete(@m[k]) and delete(@m, k): the last becomes the second. */
static bool fold_key(struct sema *s, struct node *n)
{
	struct node *m = n->list;

	if (m->kind != N_MAP) {
		sema_error(s, n, "%s() expects a map to be provided", n->name);
		return false;
	}
	if (m->next) {
		if (m->a) {
			sema_error(s, n, "%s() expects a map without key and a key", n->name);
			return false;
		}
		m->a = m->next;
		m->next = NULL;
		m->loc.end = m->a->loc.end;
	}
	m->sym = sema_map(s, m->name, m->name_loc);
	if (!m->a && m->sym->key_known && m->sym->key)
		return true;
	sema_key(s, m->sym, m);
	m->type = m->sym->type;
	return true;
}

static const struct type *check_delete(struct sema *s, struct node *n)
{
	if (!fold_key(s, n))
		return &type_none;
	if (!n->list->a && n->list->sym->key)
		return sema_error(
			s, n,
			"call to delete() expects a map with keys: use delete(%s, key) or "
			"clear(%s)",
			n->list->name, n->list->name);
	return &type_bool;
}

static struct operand emit_delete(struct emit *e, struct node *n)
{
	const char *found;

	em_map_delete(e, n->list, &found);
	return opd_value(found);
}

static const struct type *check_has_key(struct sema *s, struct node *n)
{
	if (!fold_key(s, n))
		return &type_none;
	if (!n->list->sym->key && n->list->sym->key_known)
		return sema_error(s, n,
				  "has_key() only accepts maps that have explicit keys (%s is a "
				  "scalar map)",
				  n->list->name);
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
			return sema_error(s, n,
					  "len() expects a map with keys (%s is a scalar map)",
					  a->name);
		return &type_i64;
	}
	t = sema_expr(s, a);
	if (t->kind == TY_NONE || type_is_stack(t))
		return &type_i64;
	if (t->kind == TY_ARRAY || t->kind == TY_TUPLE)
		return &type_i64;
	return sema_error(s, n, "len() expects a map or stack to be provided (%s provided)",
			  type_text(t, (char[128]){0}));
}

static struct operand emit_len(struct emit *e, struct node *n)
{
	struct node *a = n->list;

	if (type_is_stack(a->type) && a->kind != N_MAP)
		return opd_value(em_tmp(e, true, "*(u32 *)(%s + 8)", em_memory(e, a)));
	if (a->type->kind == TY_ARRAY)
		return opd_value(emf(e, "%ull", a->type->count));
	if (a->type->kind == TY_TUPLE)
		return opd_value(emf(e, "%zull", a->type->fields->n));
	return opd_value(em_map_len(e, a->sym));
}

/* ---- print, clear, zero ---- */

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
			if (!sema_literal(s, x, "print() top and div", &v) || v < 0)
				return &type_none;
		if (a->next && a->sym->key_known && !a->sym->key &&
		    !map_has_buckets(a->sym->type->kind))
			sema_warn(s, n,
				  "print(): top and div have no effect on a map without keys");
		return &type_none;
	}
	t = sema_expr(s, a);
	if (t->kind == TY_NONE)
		return t;
	if (a->next)
		return sema_error(s, n, "Non-map print() only takes 1 argument, %d found",
				  call_args(n));
	if (t->kind == TY_VOID || map_has_buckets(t->kind) || t->kind == TY_STACK_MODE)
		return sema_error(s, n, "%s type cannot be printed", type_text(t, (char[128]){0}));
	return &type_none;
}

static const struct type *value_of(const struct type *t)
{
	if (!type_is_aggregate(t->kind))
		return t;
	return t->kind == TY_COUNT || !t->is_signed ? &type_u64 : &type_i64;
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
	em_action_arg(e, a, value_of(n->list->type));
	em_send(e, a, args);
	return opd_none();
}

static const struct type *check_map_call(struct sema *s, struct node *n)
{
	if (n->list->kind == N_MAP && n->list->a)
		return sema_error(s, n, "The map passed to %s() should not be indexed by a key",
				  n->name);
	if (n->list->kind != N_MAP)
		return sema_error(s, n, "%s() expects a map to be provided", n->name);
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
	{.name = "len", BUILTIN_CALL, 1, 1, check_len, emit_len, .help = "elements or frames"},
	{.name = "print", BUILTIN_CALL | BUILTIN_VOID, 1, 3, check_print, emit_print,
	 .run = run_print, .help = "prints a map or a value"},
	{.name = "clear", BUILTIN_CALL | BUILTIN_VOID, 1, 1, check_map_call, emit_map_call,
	 .run = run_clear, .help = "removes all keys"},
	{.name = "zero", BUILTIN_CALL | BUILTIN_VOID, 1, 1, check_map_call, emit_map_call,
	 .run = run_zero, .help = "sets all values to 0"},
	{.name = NULL},
};
/* clang-format on */

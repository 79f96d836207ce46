/* SPDX-License-Identifier: Apache-2.0 */
/* What is known before the script runs: kinds of types, literals, sizes. */
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"

static const struct type *become_bool(struct node *n, bool v)
{
	node_become(n, &(struct node){.kind = N_BOOL, .value = v, .type = &type_bool});
	return &type_bool;
}

static const struct type *check_is(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);
	const char *want = n->name + strlen("is_");

	if (strcmp(want, "literal") == 0)
		return become_bool(n, n->list->kind == N_INT || n->list->kind == N_BOOL ||
					      n->list->kind == N_STR);
	if (t->kind == TY_NONE)
		return t;
	switch (want[0]) {
	case 'i':
		return become_bool(n, t->kind == TY_INT || t->kind == TY_ENUM);
	case 'u':
		return become_bool(n, t->kind == TY_INT && !t->is_signed);
	case 'p':
		return become_bool(n, t->kind == TY_PTR);
	case 'a':
		return become_bool(n, t->kind == TY_ARRAY);
	default:
		return become_bool(n, t->kind == TY_STRING || t->kind == TY_PROBE);
	}
}

static struct node *member(struct sema *s, const char *name, struct node value)
{
	struct node *m = arena_alloc(s->arena, sizeof(*m));

	m->kind = N_RECORD_FIELD;
	m->name = name;
	m->a = arena_alloc(s->arena, sizeof(*m->a));
	*m->a = value;
	return m;
}

static struct node text_node(struct sema *s, const char *text)
{
	return (struct node){
		.kind = N_STR, .name = arena_strdup(s->arena, text), .len = (uint32_t)strlen(text)};
}

/* (btf_id, base_type, full_type) as literals. */
static const struct type *check_typeinfo(struct sema *s, struct node *n)
{
	const struct type *t =
		n->list->kind == N_TYPE ? sema_resolve_type(s, n->list) : sema_expr(s, n->list);
	struct node record = {.kind = N_RECORD};

	if (t->kind == TY_NONE)
		return t;
	record.list = member(s, "btf_id", (struct node){.kind = N_INT, .len = 8});
	record.list->next = member(s, "base_type", text_node(s, type_word(t)));
	record.list->next->next =
		member(s, "full_type", text_node(s, type_text(t, (char[128]){0})));
	node_become(n, &record);
	return sema_expr(s, n);
}

static const struct type *check_default_length(struct sema *s, struct node *n)
{
	node_become(n, &(struct node){.kind = N_INT, .value = s->settings->max_strlen, .len = 8});
	return &type_u64;
}

static const struct type *check_assert_str(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);
	const struct type *elem = t->kind == TY_ARRAY || t->kind == TY_PTR ? t->elem : NULL;

	if (t->kind == TY_NONE || t->kind == TY_STRING || t->kind == TY_PROBE)
		return &type_none;
	if (!elem)
		return sema_error(s, n,
				  "string-like values must be either strings, arrays or pointers");
	if (elem->kind == TY_INT && elem->size == 1)
		return &type_none;
	return sema_error(s, n, "string-like %s a char-like type",
			  t->kind == TY_ARRAY ? "arrays must contain" : "pointers must point to");
}

static struct operand emit_nothing(struct emit *e, struct node *n)
{
	(void)e;
	(void)n;
	return opd_none();
}

/* ---- what this kernel or these probes cannot do ---- */

static const struct type *check_kfunc(struct sema *s, struct node *n)
{
	sema_expr(s, n->list);
	if (n->list->kind != N_STR)
		return sema_error(s, n, "%s() expects a string literal as the first argument",
				  n->name);
	/* none is called from the programs that scripts become */
	return become_bool(n, false);
}

static const struct type *check_path(struct sema *s, struct node *n)
{
	return sema_error(s, n,
			  "The path function can only be used with 'fentry', 'fexit', 'iter' "
			  "probes");
}

static const struct type *not_here(struct sema *s, struct node *n)
{
	return sema_error(s, n, "%s can not be used with \"%s\" probes", n->name,
			  s->attach ? s->attach->provider->name : "begin");
}

static const struct type *check_percpu_kaddr(struct sema *s, struct node *n)
{
	sema_expr(s, n->list);
	if (n->list->kind != N_STR)
		return sema_error(s, n, "percpu_kaddr() expects a string literal (%s provided)",
				  type_word(n->list->type));
	return sema_error(s, n, "Could not resolve variable \"%s\" from BTF", n->list->name);
}

/* clang-format off */
const struct builtin builtins_meta[] = {
	{.name = "is_integer", BUILTIN_CALL, 1, 1, check_is, emit_nothing,
	 .help = "whether it is an integer"},
	{.name = "is_unsigned_integer", BUILTIN_CALL, 1, 1, check_is, emit_nothing,
	 .help = "whether it is an integer without sign"},
	{.name = "is_ptr", BUILTIN_CALL, 1, 1, check_is, emit_nothing,
	 .help = "whether it is a pointer"},
	{.name = "is_array", BUILTIN_CALL, 1, 1, check_is, emit_nothing,
	 .help = "whether it is an array"},
	{.name = "is_str", BUILTIN_CALL, 1, 1, check_is, emit_nothing,
	 .help = "whether it is a string"},
	{.name = "is_literal", BUILTIN_CALL, 1, 1, check_is, emit_nothing,
	 .help = "whether it is a literal"},
	{.name = "typeinfo", BUILTIN_CALL, 1, 1, check_typeinfo, emit_nothing,
	 .help = "a type as a record of names"},
	{.name = "default_str_length", BUILTIN_NAME | BUILTIN_CALL, 0, 0, check_default_length,
	 emit_nothing, .help = "room of a string of unknown length"},
	{.name = "assert_str", BUILTIN_CALL | BUILTIN_VOID, 1, 1, check_assert_str, emit_nothing,
	 .help = "refuses the script when it is no string"},
	{.name = "kfunc_exist", BUILTIN_CALL, 1, 1, check_kfunc, emit_nothing,
	 .help = "whether the kernel function can be called"},
	{.name = "kfunc_allowed", BUILTIN_CALL, 1, 1, check_kfunc, emit_nothing,
	 .help = "whether the probe may call the kernel function"},
	{.name = "path", BUILTIN_CALL, 1, 2, check_path, emit_nothing,
	 .help = "path of a struct path (kernel function probes)"},
	{.name = "override", BUILTIN_CALL | BUILTIN_VOID | BUILTIN_UNSAFE, 1, 1, not_here,
	 emit_nothing, .help = "return value in place of the call (kernel function probes)"},
	{.name = "skboutput", BUILTIN_CALL, 4, 4, not_here, emit_nothing,
	 .help = "packet to a file (kernel function probes)"},
	{.name = "socket_cookie", BUILTIN_CALL, 1, 1, not_here, emit_nothing,
	 .help = "id of a socket (kernel function probes)"},
	{.name = "percpu_kaddr", BUILTIN_CALL, 1, 2, check_percpu_kaddr, emit_nothing,
	 .help = "address of a per-CPU variable of the kernel"},
	{.name = NULL},
};
/* clang-format on */

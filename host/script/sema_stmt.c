/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: what is assigned to what, and where jumps may stand. */
#include <string.h>

#include "script/builtin.h"
#include "script/const.h"

enum { MAX_UNROLL = 100 };

static const char *tt(const struct type *t)
{
	static _Thread_local char text[2][128];
	static _Thread_local int i;

	i = !i;
	return type_text(t, text[i]);
}

static void mismatch(struct sema *s, struct node *n, const struct symbol *sym,
		     const struct type *type)
{
	sema_error(s, n,
		   "Type mismatch for %s%s: trying to assign value of type '%s' when %s already "
		   "contains a value of type '%s'",
		   sym->is_map ? "" : "$", sym->name, tt(type), sym->is_map ? "map" : "variable",
		   tt(sym->type));
}

/* A value that cannot be kept: what `value` yields is nothing. */
static bool has_value(struct sema *s, struct node *n, struct node *value)
{
	bool is_call = value->kind == N_CALL && value->builtin;

	if (value->type->kind != TY_NONE)
		return true;
	if (is_call && (value->builtin->flags & BUILTIN_VOID))
		sema_error(s, n, "%s() should not be used in an assignment: it has no value",
			   value->name);
	return false;
}

static void assign_var(struct sema *s, struct node *n, struct node *target, struct node *value)
{
	const struct type *t = sema_expr(s, value);
	struct symbol *v = sema_var(s, target->name);
	bool weak = node_is_literal_int(value) || value->kind == N_PARAM;

	if (!has_value(s, n, value))
		return;
	if (type_is_aggregate(t->kind) && value->kind == N_MAP && type_in_register(t))
		t = t->kind == TY_COUNT || !t->is_signed ? &type_u64 : &type_i64;
	if (type_is_aggregate(t->kind)) {
		sema_error(s, n, "%s can not be assigned to a variable", tt(t));
		return;
	}
	if (!v || (v->type->kind != TY_NONE && !v->fixed && !sema_join(s, v->type, t) &&
		   v->scope != s->scope->id && !(v->weak && type_is_int(t)))) {
		bool open = false;

		for (const struct scope *sc = s->scope; v && sc; sc = sc->up)
			open |= sc->id == v->scope;
		if (!open)
			v = sema_declare_var(s, target->name, target->loc);
	}
	target->sym = v;
	if (!sema_assign_type(s, v, t, weak))
		mismatch(s, n, v, t);
	target->type = v->type;
}

static void assign_map(struct sema *s, struct node *n, struct node *target, struct node *value)
{
	struct symbol *m = sema_map(s, target->name, target->name_loc);
	const struct type *t;

	target->sym = m;
	sema_key(s, m, target);
	t = sema_expr(s, value);
	if (!has_value(s, n, value))
		return;
	if (type_is_aggregate(t->kind) && value->kind != N_CALL) {
		if (!type_in_register(t)) {
			sema_error(s, n,
				   "Map value '%s' cannot be assigned from one map to another",
				   tt(t));
			return;
		}
		t = t->kind == TY_COUNT || !t->is_signed ? &type_u64 : &type_i64;
	}
	if (t->kind == TY_STRUCT && t->is_ctx) {
		sema_error(s, n, "Map value '%s' cannot be assigned", tt(t));
		return;
	}
	if (!sema_assign_type(s, m, t, node_is_literal_int(value)))
		mismatch(s, n, m, t);
	target->type = m->type;
}

/* x op= e is x = x op e; the target is evaluated twice, which only matters for its key. */
static void lower_compound(struct sema *s, struct node *n)
{
	struct node *sum = arena_alloc(s->arena, sizeof(*sum));

	sum->kind = N_BINARY;
	sum->op = n->op;
	sum->loc = n->loc;
	sum->src = n->src;
	sum->a = node_clone(s->arena, n->a, NULL);
	sum->b = n->b;
	n->b = sum;
	n->op = 0;
	n->flag = true; /* an atomic add will do for + and - on maps */
}

static void check_assign(struct sema *s, struct node *n)
{
	if (n->op && n->a->kind == N_MAP) {
		struct symbol *m = sema_map(s, n->a->name, n->a->name_loc);

		if (m->type->kind == TY_NONE)
			sema_assign_type(s, m, &type_i64, false);
	}
	if (n->op)
		lower_compound(s, n);
	if (n->a->kind == N_VAR)
		assign_var(s, n, n->a, n->b);
	else
		assign_map(s, n, n->a, n->b);
}

static void check_let(struct sema *s, struct node *n)
{
	struct symbol *v = NULL;

	for (struct symbol *x = s->vars; x; x = x->next)
		if (x->probe == s->probe && x->scope == s->scope->id &&
		    strcmp(x->name, n->a->name) == 0)
			v = x;
	if (!v) {
		if (s->final) {
			sema_error(s, n, "Undefined or undeclared variable: $%s", n->a->name);
			return;
		}
		v = sema_declare_var(s, n->a->name, n->a->loc);
	}
	n->a->sym = v;
	if (n->b) {
		const struct type *t = sema_resolve_type(s, n->b);

		if (t->kind != TY_NONE && v->type->kind == TY_NONE) {
			v->type = t;
			s->changed = true;
		}
		v->fixed = true;
	}
	if (n->c)
		assign_var(s, n, n->a, n->c);
	n->a->type = v->type;
}

static void check_condition(struct sema *s, struct node *cond, const char *what)
{
	const struct type *t = sema_expr(s, cond);

	if (t->kind != TY_NONE && !type_in_register(t))
		sema_error(s, cond, "Invalid condition in %s(): %s", what, tt(t));
}

static void check_body(struct sema *s, struct node *body)
{
	s->loop_depth++;
	sema_block(s, body->list);
	s->loop_depth--;
}

static void check_for_map(struct sema *s, struct node *n)
{
	struct symbol *m = sema_map(s, n->b->name, n->b->name_loc), *v;
	const struct type *pair[2];
	struct scope sc = {.id = s->n_scopes++, .up = s->scope};

	n->b->sym = m;
	if (!m->iterated) {
		m->iterated = true;
		s->changed = true;
	}
	if (m->type->kind == TY_NONE || !m->key_known) {
		sema_error(s, n->b, "Undefined map: %s", m->name);
		return;
	}
	if (!m->key) {
		sema_error(s, n->b,
			   "%s has no explicit keys (scalar map), and cannot be used for "
			   "iteration",
			   m->name);
		return;
	}
	s->scope = &sc;
	v = sema_var(s, n->a->name);
	if (!v || v->scope != sc.id)
		v = sema_declare_var(s, n->a->name, n->a->loc);
	pair[0] = m->key;
	pair[1] = m->type->kind == TY_COUNT	     ? &type_u64
		  : type_is_aggregate(m->type->kind) ? &type_i64
						     : m->type;
	sema_assign_type(s, v, type_tuple(s->types, pair, NULL, 2), false);
	n->a->sym = v;
	n->a->type = v->type;
	check_body(s, n->c);
	s->scope = sc.up;
}

static void check_for_range(struct sema *s, struct node *n)
{
	struct scope sc = {.id = s->n_scopes++, .up = s->scope};
	struct symbol *v;

	for (int i = 0; i < 2; i++) {
		struct node *bound = i ? n->d : n->b;
		const struct type *t = sema_expr(s, bound);

		if (t->kind != TY_NONE && !type_is_int(t))
			sema_error(s, bound, "Loop range requires an integer for the %s value",
				   i ? "end" : "start");
	}
	s->scope = &sc;
	v = sema_var(s, n->a->name);
	if (!v || v->scope != sc.id)
		v = sema_declare_var(s, n->a->name, n->a->loc);
	sema_assign_type(s, v, &type_i64, false);
	n->a->sym = v;
	n->a->type = v->type;
	check_body(s, n->c);
	s->scope = sc.up;
}

static void check_unroll(struct sema *s, struct node *n)
{
	int64_t count;

	if (!sema_literal(s, n->a, "unroll count", &count))
		return;
	if (count < 1)
		sema_error(s, n->a, "unroll minimum value is 1");
	else if (count > MAX_UNROLL)
		sema_error(s, n->a, "unroll maximum value is %d", MAX_UNROLL);
	n->value = (uint64_t)count;
	check_body(s, n->b);
}

static void check_if(struct sema *s, struct node *n)
{
	check_condition(s, n->a, "if");
	sema_block(s, n->b->list);
	if (n->c && n->c->kind == N_IF)
		check_if(s, n->c);
	else if (n->c)
		sema_block(s, n->c->list);
}

static bool useful_statement(const struct node *n)
{
	switch (n->kind) {
	case N_CALL:
	case N_STEP:
	case N_BLOCK_EXPR:
		return true;
	case N_TERNARY:
		return (!n->b || useful_statement(n->b)) && useful_statement(n->c);
	default:
		return false;
	}
}

static void check_expr_stmt(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->a);

	if (n->a->kind == N_CALL && type_is_aggregate(t->kind))
		sema_error(s, n, "%s() must be assigned directly to a map", n->a->name);
	else if (t->kind != TY_NONE && !useful_statement(n->a))
		sema_warn(s, n, "Return value discarded");
}

void sema_stmt(struct sema *s, struct node *n)
{
	switch (n->kind) {
	case N_EXPR:
		check_expr_stmt(s, n);
		break;
	case N_ASSIGN:
		check_assign(s, n);
		break;
	case N_LET:
		check_let(s, n);
		break;
	case N_DISCARD:
	case N_RETURN:
		if (n->a)
			sema_expr(s, n->a);
		break;
	case N_IF:
		check_if(s, n);
		break;
	case N_WHILE:
		check_condition(s, n->a, "while");
		check_body(s, n->b);
		break;
	case N_FOR_MAP:
		check_for_map(s, n);
		break;
	case N_FOR_RANGE:
		check_for_range(s, n);
		break;
	case N_UNROLL:
		check_unroll(s, n);
		break;
	case N_BREAK:
	case N_CONTINUE:
		if (!s->loop_depth)
			sema_error(s, n, "%s statement not within a loop",
				   n->kind == N_BREAK ? "break" : "continue");
		break;
	case N_BLOCK:
		sema_block(s, n->list);
		break;
	default:
		sema_error(s, n, "not a statement");
	}
}

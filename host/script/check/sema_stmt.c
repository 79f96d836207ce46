/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: what is assigned to what, and where jumps may stand. */
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"

enum { MAX_UNROLL = 100 };

static void mismatch(struct sema *s, struct node *n, const struct symbol *sym,
		     const struct type *type)
{
	sema_error(s, n,
		   "Type mismatch for %s%s: trying to assign value of type '%s' when %s already "
		   "has a type '%s'",
		   sym->is_map ? "" : "$", sym->name, sema_name(type),
		   sym->is_map ? "map" : "variable", sema_name(sym->type));
}

/* A value that cannot be kept: what `value` yields is nothing. */
static bool has_value(struct sema *s, struct node *n, struct node *value)
{
	if (value->type->kind != TY_NONE)
		return true;
	if (sema_is_void(value))
		sema_error(s, n, "Value 'void' cannot be assigned to a %s.",
			   n->a->kind == N_MAP ? "map" : "scratch variable");
	return false;
}

static bool is_weak(const struct node *value)
{
	if ((value->kind == N_VAR || value->kind == N_MAP) && value->sym)
		return value->sym->weak;
	return value->kind == N_INT || value->kind == N_BINARY || value->kind == N_UNARY ||
	       value->kind == N_STEP;
}

static bool fits_declared(const struct symbol *v, const struct type *t, const struct node *value)
{
	int64_t i = (int64_t)value->value;
	unsigned bits = v->type->size * 8;

	if (!v->fixed || v->type->kind != TY_INT || value->kind != N_INT || !type_is_int(t) ||
	    bits >= 64)
		return true;
	if (v->type->is_signed)
		return i >= -(1ll << (bits - 1)) && i < 1ll << (bits - 1);
	return i >= 0 && i < 1ll << bits;
}

static void assign_var(struct sema *s, struct node *n, struct node *target, struct node *value)
{
	const struct type *t = sema_any(s, value);
	struct symbol *v;
	bool weak = is_weak(value);

	/* also one without a value is there from now on: that is said once, here */
	v = sema_open_var(s, target->name);
	if (!v)
		v = sema_block_var(s, target->name, target->loc);
	target->sym = v;
	v->pass = s->pass;
	if (!has_value(s, n, value))
		return;
	if (type_is_aggregate(t->kind) && value->kind == N_MAP && type_in_register(t))
		t = t->kind == TY_COUNT || !t->is_signed ? &type_u64 : &type_i64;
	if (type_is_aggregate(t->kind)) {
		sema_error(s, n, "Value '%s' cannot be assigned to a scratch variable.",
			   sema_name(t));
		return;
	}
	if (!sema_assign_type(s, v, t, weak) || !fits_declared(v, t, value))
		mismatch(s, n, v, t);
	target->type = v->type;
}

/* An aggregation is no value of another map, unless that holds integers. */
static void from_map(struct sema *s, struct node *n, const struct symbol *m, const struct type *t,
		     const struct node *value)
{
	static const char *const calls[] = {
		[TY_COUNT] = "count()",
		[TY_SUM] = "sum(retval)",
		[TY_MIN] = "min(retval)",
		[TY_MAX] = "max(retval)",
		[TY_AVG] = "avg(retval)",
		[TY_STATS] = "stats(arg2)",
		[TY_HIST] = "hist(retval)",
		[TY_LHIST] = "lhist(rand %10, 0, 10, 1)",
		[TY_TSERIES] = "tseries(rand %10, 10s, 1)",
	};

	sema_error(s, n,
		   "Map value '%s' cannot be assigned from one map to another. The function that "
		   "returns this type must be called directly e.g. `%s = %s;`.",
		   sema_name(t), m->name, calls[t->kind]);
	if (type_in_register(t) && value->kind == N_MAP)
		sema_hint(s,
			  "Add a cast to integer if you want the value of the aggregate, e.g. `%s "
			  "= (int64)%s;`.",
			  m->name, value->name);
}

static void assign_map(struct sema *s, struct node *n, struct node *target, struct node *value)
{
	struct symbol *m = sema_map(s, target->name, target->name_loc);
	const struct type *t;

	target->sym = m;
	sema_key(s, m, target);
	if (value->kind == N_CALL)
		value->flag = true;
	t = sema_any(s, value);
	if (!has_value(s, n, value))
		return;
	if (type_is_aggregate(t->kind) && value->kind != N_CALL) {
		if (!type_in_register(t) || !type_is_int(m->type)) {
			from_map(s, n, m, t, value);
			return;
		}
		t = t->kind == TY_COUNT || !t->is_signed ? &type_u64 : &type_i64;
	}
	if (t->kind == TY_STRUCT && t->is_ctx) {
		sema_error(s, n, "Map value '%s' cannot be assigned", sema_name(t));
		return;
	}
	if (!sema_assign_type(s, m, t, is_weak(value)))
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
		const struct type *t = sema_expr(s, n->b);

		if (m->type->kind == TY_NONE && t->kind != TY_NONE)
			sema_assign_type(s, m, n->op == '-' || t->is_signed ? &type_i64 : &type_u64,
					 true);
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
	struct symbol *v = sema_open_var(s, n->a->name);

	if (v) {
		sema_error(s, n,
			   "Variable $%s was already declared. Variable shadowing is not allowed.",
			   n->a->name);
		return;
	}
	v = sema_block_var(s, n->a->name, n->a->loc);
	n->a->sym = v;
	v->pass = s->pass;
	v->declared = true;
	v->loc = n->loc;
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
	const struct type *t = sema_any(s, cond);

	if (t->kind == TY_NONE && sema_is_void(cond))
		sema_error(s, cond, "Invalid condition in %s(): void", what);
	else if (t->kind != TY_NONE && !type_in_register(t))
		sema_error(s, cond, "Invalid condition in %s(): %s", what, sema_name(t));
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
	if (type_is_aggregate(m->type->kind) && !type_in_register(m->type)) {
		sema_error(s, n->b, "Loop expression does not support type: %s",
			   sema_name(m->type));
		return;
	}
	s->scope = &sc;
	v = sema_block_var(s, n->a->name, n->a->loc);
	v->pass = s->pass;
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
	v = sema_block_var(s, n->a->name, n->a->loc);
	v->pass = s->pass;
	if (type_is_int(n->b->type) && type_is_int(n->d->type))
		sema_assign_type(s, v, sema_join(s, n->b->type, n->d->type), true);
	n->a->sym = v;
	n->a->type = v->type;
	check_body(s, n->c);
	s->scope = sc.up;
}

static void check_unroll(struct sema *s, struct node *n)
{
	int64_t count;

	sema_expr(s, n->a);
	if (!const_eval(s->types, n->a, &count)) {
		sema_error(s, n, "invalid unroll value");
		return;
	}
	if (count < 1)
		sema_error(s, n, "unroll minimum value is 1");
	else if (count > MAX_UNROLL)
		sema_error(s, n, "unroll maximum value is %d", MAX_UNROLL);
	n->value = (uint64_t)count;
	check_body(s, n->b);
}

/* Only the branch that is taken is looked at: the other one may not even have types. */
static void check_comptime_if(struct sema *s, struct node *n)
{
	struct node *taken;

	if (sema_expr(s, n->a)->kind == TY_NONE)
		return;
	if (n->a->kind == N_COMPTIME)
		return;
	taken = (n->a->kind == N_STR ? n->a->len : n->a->value) ? n->b : n->c;
	n->kind = N_BLOCK;
	n->list = !taken ? NULL : taken->kind == N_IF ? taken : taken->list;
	n->a = n->b = n->c = NULL;
	sema_stmt(s, n);
	s->changed = true;
}

static void check_if(struct sema *s, struct node *n)
{
	if (n->a->kind == N_COMPTIME) {
		check_comptime_if(s, n);
		return;
	}
	check_condition(s, n->a, "if");
	sema_block(s, n->b->list);
	if (n->c && n->c->kind == N_IF)
		check_if(s, n->c);
	else if (n->c)
		sema_block(s, n->c->list);
}

/* Its value is a by-product. */
static bool stands_alone(const struct node *n)
{
	if (n->kind == N_BLOCK_EXPR && n->a)
		return stands_alone(n->a);
	return n->kind == N_STEP || (n->kind == N_CALL && strcmp(n->name, "delete") == 0);
}

static void check_expr_stmt(struct sema *s, struct node *n)
{
	const struct type *t = sema_any(s, n->a);

	if (t->kind != TY_NONE && !stands_alone(n->a))
		sema_warn(s, n, "Return value discarded.");
}

static void check_return(struct sema *s, struct node *n)
{
	const struct type *t = n->a ? sema_expr(s, n->a) : &type_none;

	if (t->kind != TY_NONE && !type_is_int(t))
		sema_error(s, n, "Probe return values can only be integers. Found %s",
			   sema_name(t));
}

static void shadow_error(struct sema *s, struct node *n)
{
	if (sema_open_var(s, n->a->name))
		sema_error(s, n->a, "Loop declaration shadows existing variable: $%s", n->a->name);
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
		sema_any(s, n->a);
		break;
	case N_RETURN:
		check_return(s, n);
		break;
	case N_IF:
		check_if(s, n);
		break;
	case N_WHILE:
		check_condition(s, n->a, "while");
		check_body(s, n->b);
		break;
	case N_FOR_MAP:
		shadow_error(s, n);
		check_for_map(s, n);
		break;
	case N_FOR_RANGE:
		shadow_error(s, n);
		check_for_range(s, n);
		break;
	case N_UNROLL:
		check_unroll(s, n);
		break;
	case N_BREAK:
	case N_CONTINUE:
		if (!s->loop_depth)
			sema_error(s, n, "'%s' statement is not allowed in a probe",
				   n->kind == N_BREAK ? "break" : "continue");
		break;
	case N_BLOCK:
		sema_block(s, n->list);
		break;
	default:
		sema_error(s, n, "not a statement");
	}
}

/* Nothing behind it is reached. */
static bool leaves(const struct node *n)
{
	const struct node *last = n->kind == N_BLOCK ? n->list : NULL;

	switch (n->kind) {
	case N_RETURN:
	case N_BREAK:
	case N_CONTINUE:
		return true;
	case N_EXPR:
		return n->a->kind == N_CALL && strcmp(n->a->name, "exit") == 0;
	case N_IF:
		return n->c && leaves(n->b) && leaves(n->c);
	case N_BLOCK:
		while (last && last->next)
			last = last->next;
		return last && leaves(last);
	default:
		return false;
	}
}

void sema_statements(struct sema *s, struct node *list)
{
	bool left = false;

	for (struct node *n = list; n; n = n->next) {
		if (left)
			sema_warn(s, n, "Unreachable statement.");
		sema_stmt(s, n);
		left = leaves(n);
	}
}

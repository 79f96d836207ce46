/* SPDX-License-Identifier: Apache-2.0 */
/* Statements. */
#include <errno.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"

static void em_line(struct emit *e, const struct node *n)
{
	struct span at = loc_span(n->src, n->loc);

	buf_printf(e->out, "#line %d \"%s\"\n", at.line, n->src->name);
}

void em_assign_var(struct emit *e, struct node *target, struct node *value)
{
	const struct symbol *v = target->sym;

	if (type_in_register(v->type)) {
		const char *text = em_value(e, value);

		if (v->type->kind == TY_INT && v->type->size < 8)
			em(e, "v%d = (%c%u)(%s);", v->id, v->type->is_signed ? 's' : 'u',
			   v->type->size * 8, text);
		else
			em(e, "v%d = %s;", v->id, text);
		return;
	}
	/* the value may read the variable itself, so it is not written in place */
	em_store(e, em_expr(e, value), value->type, emf(e, "(scr + %u)", v->slot), v->type);
}

/* x += e and x -= e on a map of integers, where nothing between read and write can be lost. */
static bool em_atomic(struct emit *e, struct node *n)
{
	struct node *sum = n->b;

	if (!n->flag || n->a->kind != N_MAP || sum->kind != N_BINARY ||
	    (sum->op != '+' && sum->op != '-') || !type_is_int(n->a->sym->type) ||
	    !type_in_register(sum->b->type))
		return false;
	em_map_add(e, n->a, emf(e, "%s(s64)(%s)", sum->op == '-' ? "-" : "", em_value(e, sum->b)),
		   false);
	return true;
}

static void em_assign(struct emit *e, struct node *n)
{
	if (n->a->kind == N_VAR)
		em_assign_var(e, n->a, n->b);
	else if (n->b->kind == N_CALL && n->b->builtin->update)
		n->b->builtin->update(e, n->a, n->b);
	else if (!em_atomic(e, n))
		em_map_assign(e, n->a, n->b);
}

static void em_let(struct emit *e, struct node *n)
{
	const struct symbol *v = n->a->sym;

	if (n->c) {
		em_assign_var(e, n->a, n->c);
	} else if (v->type->kind != TY_NONE) {
		if (type_in_register(v->type))
			em(e, "v%d = 0;", v->id);
		else
			em_zero(e, emf(e, "(scr + %u)", v->slot), v->type->size);
	}
}

static void em_if(struct emit *e, struct node *n)
{
	const char *c = em_value(e, n->a);

	em_open(e, "if (%s)", c);
	em_block(e, n->b->list);
	em_close(e);
	if (!n->c)
		return;
	em_open(e, "else");
	if (n->c->kind == N_IF)
		em_if(e, n->c);
	else
		em_block(e, n->c->list);
	em_close(e);
}

/* Ranges up to this are plain loops: the verifier follows every round. */
enum { SHORT_RANGE = 64 };

static bool is_short(const struct emit *e, const struct node *n)
{
	int64_t from, to;

	return const_eval(e->s->types, n->b, &from) && const_eval(e->s->types, n->d, &to) &&
	       (to <= from || (uint64_t)to - (uint64_t)from <= SHORT_RANGE);
}

static void em_for_range(struct emit *e, struct node *n)
{
	const char *from = em_tmp(e, true, "%s", em_value(e, n->b));
	const char *to = em_tmp(e, true, "%s", em_value(e, n->d));
	int i = e->tmp++;

	if (!is_short(e, n)) {
		em_counted_loop(e, n, from, to);
		return;
	}
	em_open(e, "for (s64 i%d = %s; i%d < %s; i%d++)", i, from, i, to, i);
	em(e, "v%d = i%d;", n->a->sym->id, i);
	e->inner_loops++;
	em_block(e, n->c->list);
	e->inner_loops--;
	em_close(e);
}

static void em_unroll(struct emit *e, struct node *n)
{
	int i = e->tmp++;

	buf_puts(e->out, "#pragma unroll\n");
	em_open(e, "for (int i%d = 0; i%d < %llu; i%d++)", i, i, (unsigned long long)n->value, i);
	e->inner_loops++;
	em_block(e, n->b->list);
	e->inner_loops--;
	em_close(e);
}

static void em_discarded(struct emit *e, struct node *n)
{
	if (n->kind == N_STEP || n->kind == N_CALL)
		n->id = 1;
	if (n->kind == N_TERNARY || type_in_register(n->type) || n->type->kind == TY_NONE)
		em_expr(e, n);
	else
		em_memory(e, n);
}

void em_stmt(struct emit *e, struct node *n)
{
	uint32_t mark = e->scratch;

	em_line(e, n);
	e->at = n;
	switch (n->kind) {
	case N_EXPR:
	case N_DISCARD:
		em_discarded(e, n->a);
		break;
	case N_ASSIGN:
		em_assign(e, n);
		break;
	case N_LET:
		em_let(e, n);
		break;
	case N_IF:
		em_if(e, n);
		break;
	case N_WHILE:
		em_counted_loop(e, n, NULL, NULL);
		break;
	case N_FOR_RANGE:
		em_for_range(e, n);
		break;
	case N_FOR_MAP:
		em_for_map(e, n);
		break;
	case N_UNROLL:
		em_unroll(e, n);
		break;
	case N_BREAK:
		em_break(e);
		break;
	case N_CONTINUE:
		em_continue(e);
		break;
	case N_RETURN:
		if (n->a && e->attach->kind == PROBE_TEST)
			em_set_global(e, GLOBAL_RESULT, emf(e, "(u64)(%s)", em_value(e, n->a)));
		em_return(e);
		break;
	case N_BLOCK:
		em_block(e, n->list);
		break;
	default:
		break;
	}
	e->scratch = mark;
}

void em_block(struct emit *e, struct node *list)
{
	em_open(e, "%s", "");
	for (struct node *n = list; n; n = n->next)
		em_stmt(e, n);
	em_close(e);
}

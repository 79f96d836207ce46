/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions. */
#include <string.h>

#include "script/fn/builtin.h"
#include "script/probe/usdt.h"
#include "script/check/const.h"

static struct operand em_unary(struct emit *e, struct node *n)
{
	struct operand v;
	const char *a;

	if (n->op == '*') {
		a = em_address(e, n->a, NULL);
		v = (struct operand){.kind = OPD_REMOTE, .text = a};
		if (type_in_register(n->type))
			return opd_value(em_load(e, v, n->type));
		return v;
	}
	if (n->op == '&') {
		v = em_expr(e, n->a);
		if (v.kind == OPD_MEM)
			return opd_value(emf(e, "(u64)%s", v.text));
		if (n->a->kind == N_VAR)
			return opd_value(emf(e, "(u64)&v%d", n->a->sym->id));
		a = em_slot(e, 8);
		em(e, "*(u64 *)%s = %s;", a, v.text);
		return opd_value(emf(e, "(u64)%s", a));
	}
	a = em_value(e, n->a);
	if (n->op == '!')
		return opd_value(emf(e, "(u64)!(%s)", a));
	return opd_value(em_tmp(e, n->type->is_signed, "%s(%s)", op_text(n->op), a));
}

static struct operand em_logical(struct emit *e, struct node *n)
{
	const char *a = em_value(e, n->a), *b;
	int t = e->tmp++;

	em(e, "u64 b%d = %s;", t, n->op == TOK_OR ? "1" : "0");
	em_open(e, n->op == TOK_AND ? "if (%s)" : "if (!(%s))", a);
	b = em_value(e, n->b);
	em(e, "b%d = (%s) != 0;", t, b);
	em_close(e);
	return opd_value(emf(e, "b%d", t));
}

static struct operand em_division(struct emit *e, struct node *n, const char *a, const char *b)
{
	const char *fn = n->op == '/' ? "lp_div" : "lp_mod";
	bool is_signed = n->type->is_signed;
	int64_t v;
	int t;

	if (const_eval(e->s->types, n->b, &v) && v > 0)
		return opd_value(em_tmp(e, is_signed,
					is_signed ? "%s(%s, %s)" : "%s((u64)(%s) %s (u64)%s)",
					is_signed ? fn : "", a, is_signed ? b : op_text(n->op), b));
	t = e->tmp++;
	b = em_tmp(e, is_signed, "%s", b);
	em(e, "%s d%d = 1;", is_signed ? "s64" : "u64", t);
	em_open(e, "if (%s)", b);
	if (is_signed)
		em(e, "d%d = %s(%s, %s);", t, fn, a, b);
	else
		em(e, "d%d = (u64)(%s) %s %s;", t, a, op_text(n->op), b);
	em_close(e);
	em_open(e, "else");
	em_warning(e, n,
		   "Divide or modulo by 0 detected. This can lead to unexpected results. 1 is "
		   "being used as the result.");
	em_close(e);
	return opd_value(emf(e, "d%d", t));
}

static uint32_t pointee_size(struct emit *e, const struct type *p)
{
	const struct type *t = sema_complete(e->s, p->elem);

	return t->size ? t->size : 1;
}

static struct operand em_pointer_arith(struct emit *e, struct node *n, const char *a, const char *b)
{
	if (n->a->type->kind == TY_PTR && n->b->type->kind == TY_PTR && n->op == '-')
		return opd_value(em_tmp(e, true, "lp_div((s64)((u64)(%s) - (u64)(%s)), %u)", a, b,
					pointee_size(e, n->a->type)));
	if (n->type->kind == TY_PTR) {
		bool left = n->a->type->kind == TY_PTR;

		return opd_value(em_tmp(e, false, "(u64)(%s) %s (u64)(%s) * %u", left ? a : b,
					op_text(n->op), left ? b : a, pointee_size(e, n->type)));
	}
	return opd_value(em_tmp(e, false, "(u64)(%s) %s (u64)(%s)", a, op_text(n->op), b));
}

static bool compares_unsigned(const struct node *a, const struct node *b)
{
	bool ua = !a->type->is_signed && a->type->kind != TY_BOOL && a->type->size == 8;
	bool ub = !b->type->is_signed && b->type->kind != TY_BOOL && b->type->size == 8;

	if (a->kind == N_INT)
		return ub;
	if (b->kind == N_INT)
		return ua;
	return ua || ub;
}

static struct operand em_comparison(struct emit *e, struct node *n, const char *a, const char *b)
{
	const char *c = compares_unsigned(n->a, n->b) || n->a->type->kind == TY_PTR ? "u64" : "s64";

	return opd_value(em_tmp(e, false, "(%s)(%s) %s (%s)(%s)", c, a, op_text(n->op), c, b));
}

static struct operand em_binary(struct emit *e, struct node *n)
{
	const char *a, *b;
	bool compare = n->type->kind == TY_BOOL;

	if (n->op == TOK_AND || n->op == TOK_OR)
		return em_logical(e, n);
	if (!type_in_register(n->a->type) || !type_in_register(n->b->type)) {
		a = em_equal(e, n->a, n->b);
		return opd_value(n->op == TOK_EQ ? a : emf(e, "(u64)!(%s)", a));
	}
	a = em_value(e, n->a);
	b = em_value(e, n->b);
	if (compare)
		return em_comparison(e, n, a, b);
	if (n->a->type->kind == TY_PTR || n->b->type->kind == TY_PTR)
		return em_pointer_arith(e, n, a, b);
	if (n->op == '/' || n->op == '%')
		return em_division(e, n, a, b);
	if (n->op == TOK_SHL || n->op == TOK_SHR)
		return opd_value(em_tmp(e, n->type->is_signed, "(%s)(%s) %s ((u64)(%s) & 63)",
					n->a->type->is_signed && n->op == TOK_SHR ? "s64" : "u64",
					a, op_text(n->op), b));
	return opd_value(
		em_tmp(e, n->type->is_signed, "(u64)(%s) %s (u64)(%s)", a, op_text(n->op), b));
}

static struct operand em_ternary(struct emit *e, struct node *n)
{
	const char *c = em_value(e, n->a), *v;
	bool mem = !type_in_register(n->type) && n->type->kind != TY_NONE;
	int t = e->tmp++;
	const char *slot = mem ? em_slot(e, n->type->size) : NULL;

	if (!mem)
		em(e, "%s c%d = 0;", n->type->is_signed ? "s64" : "u64", t);
	if (mem)
		em_zero(e, slot, n->type->size);
	for (int i = 0; i < 2; i++) {
		struct node *side = i ? n->c : n->b ? n->b : n->a;

		if (i)
			em_open(e, "else");
		else
			em_open(e, "if (%s)", c);
		if (mem) {
			em_into(e, side, slot, n->type);
		} else if (side == n->a) {
			em(e, "c%d = %s;", t, c);
		} else {
			v = em_value(e, side);
			if (side->type->kind != TY_NONE)
				em(e, "c%d = %s;", t, v);
		}
		em_close(e);
	}
	return mem ? opd_mem(slot) : opd_value(emf(e, "c%d", t));
}

/* A variable of a declared small type wraps around. */
static void step_var(struct emit *e, const struct symbol *v, const char *delta)
{
	em(e, "v%d += %s;", v->id, delta);
	if (v->type->kind == TY_INT && v->type->size < 8)
		em(e, "v%d = (%c%u)v%d;", v->id, v->type->is_signed ? 's' : 'u', v->type->size * 8,
		   v->id);
}

static struct operand em_step(struct emit *e, struct node *n)
{
	struct node *target = n->a;
	uint32_t by = n->type->kind == TY_PTR ? pointee_size(e, n->type) : 1;
	const char *delta = emf(e, "%s%u", n->op == TOK_INC ? "" : "-", by), *old;

	if (target->kind == N_MAP) {
		bool used = n->id == 0; /* set by the statement when the value is dropped */

		old = em_map_add(e, target, delta, used);
		if (!used)
			return opd_none();
		return opd_value(n->flag ? old : em_tmp(e, true, "%s + %s", old, delta));
	}
	if (n->flag) {
		old = em_tmp(e, n->type->is_signed, "v%d", target->sym->id);
		step_var(e, target->sym, delta);
		return opd_value(old);
	}
	step_var(e, target->sym, delta);
	return opd_value(em_tmp(e, n->type->is_signed, "v%d", target->sym->id));
}

static struct operand bitfield(struct emit *e, struct operand at, const struct field *f)
{
	const char *unit = em_load(e, at, type_int(f->type->size, false));
	uint64_t mask = f->bit_size >= 64 ? ~0ull : (1ull << f->bit_size) - 1;
	unsigned drop = 64 - f->bit_size;

	if (f->type->is_signed)
		return opd_value(em_tmp(e, true, "(s64)((u64)(%s >> %u) << %u) >> %u", unit,
					f->bit_offset, drop, drop));
	return opd_value(em_tmp(e, false, "((u64)%s >> %u) & 0x%llxull", unit, f->bit_offset,
				(unsigned long long)mask));
}

static struct operand advance(struct emit *e, struct operand v, uint64_t offset)
{
	switch (v.kind) {
	case OPD_CTX:
		v.value += offset;
		break;
	case OPD_MEM:
		v.text =
			offset ? emf(e, "(%s + %llu)", v.text, (unsigned long long)offset) : v.text;
		break;
	default:
		v.kind = OPD_REMOTE;
		v.text = offset ? emf(e, "((u64)%s + %llu)", v.text, (unsigned long long)offset)
				: v.text;
	}
	return v;
}

/* An argument of an engine event is made on the spot, by the plan's own text. */
static struct operand engine_field(struct emit *e, const struct field *f)
{
	const struct engine_arg *a = e->attach->engine->args;
	const char *slot = em_slot(e, f->type->size);

	while (a->name && strcmp(a->name, f->name) != 0)
		a++;
	em_zero(e, slot, f->type->size);
	if (e->engine && a->name)
		e->err = e->err ? e->err
				: e->engine->arg(e->engine->ctx, e->attach->engine, a, slot, e->out,
						 e->s->diag);
	return opd_mem(slot);
}

static struct operand em_field(struct emit *e, struct node *n)
{
	const struct type *t = n->a->type;
	struct operand base = em_expr(e, n->a);
	const struct field *f;
	uint32_t offset = 0;

	if (t->kind == TY_PTR) {
		base = (struct operand){.kind = OPD_REMOTE, .text = em_load(e, base, t)};
		t = t->elem;
	}
	t = sema_complete(e->s, t);
	f = type_field(t, n->name, &offset);
	if (!f)
		return opd_none();
	if (base.kind == OPD_ENGINE)
		base = engine_field(e, f);
	else if (f->is_on_stack)
		base = (struct operand){.kind = OPD_REMOTE,
					.text = emf(e, "(*(u64 *)((char *)ctx + %d) + %u)",
						    regs_sp(), f->offset - PARAMS_ON_STACK)};
	else
		base = advance(e, base, offset);
	if (f->is_data_loc) {
		const char *v = em_load(e, base, type_int(4, false));

		return opd_value(em_tmp(e, false, "(u64)lp_ctx(ctx) + (%s & 0xffff)", v));
	}
	if (f->bit_size)
		return bitfield(e, base, f);
	if (type_in_register(n->type))
		return opd_value(em_load(e, base, n->type));
	return base;
}

static struct operand em_tuple_field(struct emit *e, struct node *n)
{
	const struct field *f = &n->a->type->fields->v[n->value];
	struct operand v = advance(e, opd_mem(em_memory(e, n->a)), f->offset);

	return type_in_register(f->type) ? opd_value(em_load(e, v, f->type)) : v;
}

/* The index as a number that is inside of the array; *out tells at run time that it was not. */
static const char *checked_index(struct emit *e, struct node *n, uint32_t count, const char **out)
{
	const char *i = em_tmp(e, false, "%s", em_value(e, n->b));
	int t = e->tmp++;

	*out = emf(e, "o%d", t);
	em(e, "u64 o%d = %s >= %u;", t, i, count);
	em_open(e, "if (o%d)", t);
	em_warning(e, n, "Array access out of bounds. 0 is being used as the result.");
	em(e, "%s = 0;", i);
	em_close(e);
	return i;
}

static struct operand em_index(struct emit *e, struct node *n)
{
	const struct type *t = n->a->type;
	uint32_t size = t->kind == TY_STRING ? 1 : sema_complete(e->s, t->elem)->size;
	uint32_t count = t->kind == TY_STRING ? t->size : t->kind == TY_PTR ? 0 : t->count;
	struct operand v = em_expr(e, n->a);
	const char *i, *out = NULL, *slot;
	int64_t c;

	if (t->kind == TY_PTR)
		v = (struct operand){.kind = OPD_REMOTE, .text = em_load(e, v, t)};
	if (const_eval(e->s->types, n->b, &c)) {
		v = advance(e, v, (uint64_t)c * size);
	} else {
		if (v.kind == OPD_CTX) { /* which takes no offset that varies */
			slot = em_slot(e, t->size);
			em_store(e, v, t, slot, t);
			v = opd_mem(slot);
		}
		i = count ? checked_index(e, n, count, &out) : em_value(e, n->b);
		v.text = emf(e, v.kind == OPD_MEM ? "(%s + %s * %u)" : "((u64)%s + (u64)(%s) * %u)",
			     v.text, i, size);
		v.kind = v.kind == OPD_MEM ? OPD_MEM : OPD_REMOTE;
	}
	if (v.kind == OPD_MEM)
		v.packed = true;
	if (!type_in_register(n->type))
		return v;
	i = em_load(e, v, n->type);
	return opd_value(out ? em_tmp(e, n->type->is_signed, "%s ? 0 : %s", out, i) : i);
}

static const char *cast_int(struct emit *e, const struct type *to, const char *v)
{
	if (to->kind == TY_BOOL)
		return em_tmp(e, false, "(%s) != 0", v);
	if (to->size == 8 || to->kind == TY_PTR)
		return em_tmp(e, to->is_signed, "%s", v);
	return em_tmp(e, to->is_signed, "(%c%u)(%s)", to->is_signed ? 's' : 'u', to->size * 8, v);
}

static struct operand em_cast(struct emit *e, struct node *n)
{
	const struct type *to = n->type, *from = n->b->type;
	struct operand v;

	if (to->kind == TY_ARRAY && type_in_register(from)) {
		const char *slot = em_slot(e, to->size);

		em_zero(e, slot, to->size);
		em(e, "*(u64 *)%s = %s;", slot, em_value(e, n->b));
		v = opd_mem(slot);
		v.packed = true;
		return v;
	}
	if (to->kind == TY_PTR && !type_in_register(from))
		return opd_value(em_tmp(e, false, "%s", em_address(e, n->b, NULL)));
	if (type_is_int(to) && from->kind == TY_ARRAY) {
		v = em_expr(e, n->b);
		v.packed = true;
		return opd_value(cast_int(e, to,
					  em_load(e, v,
						  type_int(from->size >= 8   ? 8
							   : from->size >= 4 ? 4
							   : from->size >= 2 ? 2
									     : 1,
							   false))));
	}
	if (!type_in_register(to))
		return em_expr(e, n->b);
	return opd_value(cast_int(e, to, em_value(e, n->b)));
}

static struct operand em_var(struct node *n, struct emit *e)
{
	struct operand v;

	if (type_in_register(n->sym->type))
		return opd_value(emf(e, "v%d", n->sym->id));
	v = opd_mem(emf(e, "(scr + %u)", n->sym->slot));
	v.packed = n->sym->type->kind == TY_STRUCT || n->sym->type->kind == TY_ARRAY;
	return v;
}

static struct operand em_block_expr(struct emit *e, struct node *n)
{
	struct operand v = opd_none();
	const char *slot;
	int t = e->tmp++;
	bool reg = n->a && type_in_register(n->type);

	if (reg)
		em(e, "%s x%d = 0;", n->type->is_signed ? "s64" : "u64", t);
	slot = n->a && !reg && n->type->kind != TY_NONE ? em_slot(e, n->type->size) : NULL;
	em_open(e, "%s", "");
	for (struct node *s = n->list; s; s = s->next)
		em_stmt(e, s);
	if (reg) {
		em(e, "x%d = %s;", t, em_value(e, n->a));
		v = opd_value(emf(e, "x%d", t));
	} else if (slot) {
		em_into(e, n->a, slot, n->type);
		v = opd_mem(slot);
	} else if (n->a) {
		em_expr(e, n->a);
	}
	em_close(e);
	return v;
}

static struct operand em_constant(struct emit *e, const struct node *n)
{
	if (n->type->kind == TY_INT && !n->type->is_signed)
		return opd_value(emf(e, "%lluull", (unsigned long long)n->value));
	if (n->value == (uint64_t)INT64_MIN)
		return opd_value("(-9223372036854775807ll - 1)");
	return opd_value(emf(e, "%lldll", (long long)n->value));
}

struct operand em_expr(struct emit *e, struct node *n)
{
	switch (n->kind) {
	case N_INT:
	case N_BOOL:
		return em_constant(e, n);
	case N_STR:
	case N_TUPLE:
	case N_RECORD:
		return opd_mem(em_memory(e, n));
	case N_IDENT:
	case N_CALL:
		return n->builtin ? n->builtin->emit(e, n) : opd_none();
	case N_VAR:
		return em_var(n, e);
	case N_MAP:
		return em_map_read(e, n);
	case N_UNARY:
		return em_unary(e, n);
	case N_STEP:
		return em_step(e, n);
	case N_BINARY:
		return em_binary(e, n);
	case N_TERNARY:
		return em_ternary(e, n);
	case N_FIELD:
		return em_field(e, n);
	case N_TUPLE_FIELD:
		return em_tuple_field(e, n);
	case N_INDEX:
		return em_index(e, n);
	case N_CAST:
		return em_cast(e, n);
	case N_BLOCK_EXPR:
		return em_block_expr(e, n);
	default:
		return opd_none();
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Moving values: loads, stores, copies, comparisons. */
#include <string.h>

#include "script/fn/builtin.h"
#include "script/probe/usdt.h"

enum { INLINE_BYTES = 64 };

void em_zero(struct emit *e, const char *dst, uint32_t size)
{
	size = pad8(size);
	if (size > INLINE_BYTES) {
		em(e, "lp_zero(%s, %u);", dst, size);
		return;
	}
	for (uint32_t i = 0; i < size; i += 8)
		em(e, "*(u64 *)(%s + %u) = 0;", dst, i);
}

void em_copy(struct emit *e, const char *dst, const char *src, uint32_t size)
{
	size = pad8(size);
	if (size > INLINE_BYTES) {
		em(e, "read_kernel(%s, %u, %s);", dst, size, src);
		return;
	}
	for (uint32_t i = 0; i < size; i += 8)
		em(e, "*(u64 *)(%s + %u) = *(u64 *)(%s + %u);", dst, i, src, i);
}

static uint64_t literal_word(const char *s, size_t len, size_t at)
{
	uint64_t w = 0;

	for (size_t i = 0; i < 8 && at + i < len; i++)
		w |= (uint64_t)(unsigned char)s[at + i] << (8 * i);
	return w;
}

void em_string_literal(struct emit *e, const char *dst, uint32_t size, const char *s, size_t len)
{
	uint32_t used;

	if (size && len > size - 1)
		len = size - 1;
	used = pad8((uint32_t)len + 1);
	if (pad8(size) > used)
		em_zero(e, emf(e, "(%s + %u)", dst, used), pad8(size) - used);
	for (uint32_t i = 0; i < used; i += 8)
		em(e, "*(u64 *)(%s + %u) = 0x%llxull;", dst, i,
		   (unsigned long long)literal_word(s, len, i));
}

static const char *c_int(const struct type *t)
{
	static const char *const names[2][9] = {
		{[1] = "u8", [2] = "u16", [4] = "u32", [8] = "u64"},
		{[1] = "s8", [2] = "s16", [4] = "s32", [8] = "s64"},
	};
	uint32_t size = t->kind == TY_INT || t->kind == TY_ENUM || t->kind == TY_BOOL ? t->size : 8;

	return names[t->is_signed][size <= 8 && names[0][size] ? size : 8];
}

static const char *widen(struct emit *e, const struct type *t, const char *text)
{
	return em_tmp(e, t->is_signed, "%s%s", t->is_signed ? "(s64)" : "(u64)", text);
}

const char *em_load(struct emit *e, struct operand at, const struct type *type)
{
	const char *c = c_int(type);
	int n;

	switch (at.kind) {
	case OPD_VALUE:
		return at.text;
	case OPD_CTX:
		return widen(
			e, type,
			emf(e, "*(%s *)((char *)ctx + %llu)", c, (unsigned long long)at.value));
	case OPD_MEM:
		return widen(e, type,
			     emf(e, "*(%s *)%s",
				 at.packed	   ? c
				 : type->is_signed ? "s64"
						   : "u64",
				 at.text));
	case OPD_REMOTE:
		n = e->tmp++;
		em(e, "%s r%d = 0;", c, n);
		em_read(e, at.text, "lp_read(&r%d, sizeof(r%d), %s)", n, n, at.text);
		return widen(e, type, emf(e, "r%d", n));
	default:
		return "0";
	}
}

/* Copies the bytes of a struct, array or buffer from where it lies. */
static void fetch(struct emit *e, struct operand v, uint32_t size, const char *dst)
{
	em_zero(e, dst, size);
	if (v.kind == OPD_REMOTE)
		em_read(e, v.text, "lp_read(%s, %u, %s)", dst, size, v.text);
	else if (v.kind == OPD_CTX)
		em(e, "read_kernel(%s, %u, lp_ctx(ctx) + %llu);", dst, size,
		   (unsigned long long)v.value);
	else if (v.kind == OPD_MEM)
		em(e, "read_kernel(%s, %u, %s);", dst, size, v.text);
	else
		em(e, "*(u64 *)%s = %s;", dst, v.text);
}

/* All parameters of a function: registers, then what is on the stack. */
static void fetch_params(struct emit *e, const struct type *args, const char *dst)
{
	struct operand ctx = {.kind = OPD_CTX};
	uint32_t regs = 0;

	for (size_t i = 0; i < args->fields->n; i++) {
		const struct field *f = &args->fields->v[i];

		if (!f->is_on_stack && f->offset + 8 > regs)
			regs = f->offset + 8;
	}
	em_zero(e, dst, args->size);
	fetch(e, ctx, regs, dst);
	em_read(e, "0", "lp_read(%s + %u, %u, *(u64 *)((char *)ctx + %d))", dst, PARAMS_ON_STACK,
		args->size - PARAMS_ON_STACK, regs_sp());
}

static void store_string(struct emit *e, struct operand v, const struct type *from, const char *dst,
			 uint32_t size)
{
	uint32_t both = from->size < size ? from->size : size;

	if (v.kind == OPD_REMOTE || v.kind == OPD_CTX) {
		em_zero(e, dst, size);
		if (v.kind == OPD_REMOTE)
			em_read(e, v.text, "lp_read_str(%s, %u, %s)", dst, both, v.text);
		else
			em(e, "read_kernel_str(%s, %u, lp_ctx(ctx) + %llu);", dst, both,
			   (unsigned long long)v.value);
		return;
	}
	if (pad8(from->size) < pad8(size))
		em_zero(e, emf(e, "(%s + %u)", dst, pad8(both)), pad8(size) - pad8(both));
	em_copy(e, dst, v.text, both);
	if (from->size > size)
		em(e, "*(char *)(%s + %u) = 0;", dst, size - 1);
}

static void store_fields(struct emit *e, struct operand v, const struct type *from, const char *dst,
			 const struct type *as)
{
	for (size_t i = 0; i < as->fields->n; i++) {
		const struct field *f = &from->fields->v[i], *g = &as->fields->v[i];
		struct operand part = opd_mem(emf(e, "(%s + %u)", v.text, f->offset));

		if (type_in_register(f->type))
			part = opd_value(em_load(e, part, f->type));
		em_store(e, part, f->type, emf(e, "(%s + %u)", dst, g->offset), g->type);
	}
}

void em_store(struct emit *e, struct operand v, const struct type *from, const char *dst,
	      const struct type *as)
{
	if (type_in_register(as)) {
		em(e, "*(u64 *)%s = (u64)%s;", dst, em_load(e, v, from));
		return;
	}
	switch (as->kind) {
	case TY_STRING:
		store_string(e, v, from, dst, as->size);
		break;
	case TY_TUPLE:
	case TY_RECORD:
		if (as == from || from->kind == TY_STATS || type_same(as, from))
			em_copy(e, dst, v.text, as->size);
		else
			store_fields(e, v, from, dst, as);
		break;
	case TY_STRUCT:
	case TY_ARRAY:
		if (v.kind == OPD_CTX && from->size > PARAMS_ON_STACK &&
		    from->fields->v[from->fields->n - 1].is_on_stack) {
			fetch_params(e, from, dst);
			break;
		}
		fetch(e, v, from->size < as->size ? from->size : as->size, dst);
		break;
	case TY_BUFFER:
	case TY_INET:
		if (from->size < as->size)
			em_zero(e, dst, as->size);
		em_copy(e, dst, v.text, from->size < as->size ? from->size : as->size);
		break;
	default:
		em_copy(e, dst, v.text, as->size);
	}
}

static void tuple_into(struct emit *e, struct node *n, const char *dst, const struct type *as)
{
	size_t i = 0;

	for (struct node *c = n->list; c; c = c->next, i++) {
		const struct field *f = &as->fields->v[i];

		em_into(e, n->kind == N_RECORD ? c->a : c,
			f->offset ? emf(e, "(%s + %u)", dst, f->offset) : dst, f->type);
	}
}

void em_into(struct emit *e, struct node *n, const char *dst, const struct type *as)
{
	const struct builtin *b = n->builtin;

	if (type_in_register(as)) {
		em(e, "*(u64 *)%s = (u64)%s;", dst, em_value(e, n));
	} else if (n->kind == N_STR && as->kind == TY_STRING) {
		em_string_literal(e, dst, as->size, n->name, n->len);
	} else if ((n->kind == N_TUPLE || n->kind == N_RECORD) &&
		   (as->kind == TY_TUPLE || as->kind == TY_RECORD)) {
		tuple_into(e, n, dst, as);
	} else if ((n->kind == N_CALL || n->kind == N_IDENT) && b && b->emit_into &&
		   as->size >= n->type->size) {
		b->emit_into(e, n, dst, as->size);
	} else {
		em_store(e, em_expr(e, n), n->type, dst, as);
	}
}

const char *em_global(struct emit *e, enum global_word word)
{
	int n = e->tmp++;

	em(e, "u64 g%d = 0, *gp%d = map_lookup(EXTERN_MAP(%d), &zero);", n, n, EXTERN_GLOBALS);
	em(e, "if (gp%d)", n);
	em(e, "\tg%d = gp%d[%d];", n, n, word);
	return emf(e, "g%d", n);
}

void em_set_global(struct emit *e, enum global_word word, const char *value)
{
	int id = e->tmp++;

	em(e, "u64 *e%d = map_lookup(EXTERN_MAP(%d), &zero);", id, EXTERN_GLOBALS);
	em(e, "if (e%d)", id);
	em(e, "\te%d[%d] = %s;", id, word, value);
}

const char *em_value(struct emit *e, struct node *n)
{
	struct operand v = em_expr(e, n);

	if (!type_in_register(n->type) && v.kind == OPD_MEM)
		return emf(e, "*(u64 *)%s", v.text);
	return em_load(e, v, n->type);
}

const char *em_memory(struct emit *e, struct node *n)
{
	const char *slot;
	struct operand v;

	if (n->kind == N_STR || n->kind == N_TUPLE || n->kind == N_RECORD) {
		slot = em_slot(e, n->type->size);
		em_into(e, n, slot, n->type);
		return slot;
	}
	v = em_expr(e, n);
	if (v.kind == OPD_MEM)
		return v.text;
	slot = em_slot(e, type_in_register(n->type) ? 8 : n->type->size);
	em_store(e, v, n->type, slot, n->type);
	return slot;
}

const char *em_address(struct emit *e, struct node *n, bool *own)
{
	struct operand v = em_expr(e, n);

	if (own)
		*own = v.kind == OPD_CTX || (v.kind == OPD_MEM && !type_in_register(n->type));
	switch (v.kind) {
	case OPD_VALUE:
		return emf(e, "(u64)(%s)", v.text);
	case OPD_REMOTE:
		return v.text;
	case OPD_CTX:
		return emf(e, "(u64)(lp_ctx(ctx) + %llu)", (unsigned long long)v.value);
	case OPD_MEM:
		return type_in_register(n->type) ? em_load(e, v, n->type)
						 : emf(e, "(u64)%s", v.text);
	default:
		return "0";
	}
}

/* String against literal: as many words as the literal has. */
static const char *equal_literal(struct emit *e, const char *p, uint32_t size,
				 const struct node *lit)
{
	struct buf b = {0};
	const char *out;
	uint32_t len = lit->len + 1;

	if (lit->len >= size && size) {
		return "0";
	}
	for (uint32_t i = 0; i < len; i += 8) {
		uint32_t n = len - i < 8 ? len - i : 8;
		unsigned long long w = (unsigned long long)literal_word(lit->name, lit->len, i);

		buf_puts(&b, i ? " && " : "(");
		if (n == 8)
			buf_printf(&b, "*(u64 *)(%s + %u) == 0x%llxull", p, i, w);
		else
			buf_printf(&b, "(*(u64 *)(%s + %u) & 0x%llxull) == 0x%llxull", p, i,
				   (1ull << (8 * n)) - 1, w);
	}
	buf_putc(&b, ')');
	out = em_tmp(e, false, "%s", buf_str(&b));
	buf_free(&b);
	return out;
}

static const char *equal_words(struct emit *e, const char *a, const char *b, uint32_t size)
{
	int n = e->tmp++;

	em(e, "u64 q%d = 1;", n);
	if (size <= INLINE_BYTES) {
		for (uint32_t i = 0; i < size; i += 8)
			em(e, "q%d &= *(u64 *)(%s + %u) == *(u64 *)(%s + %u);", n, a, i, b, i);
		return emf(e, "q%d", n);
	}
	em_open(e, "for (u32 i = 0; i < %u; i += 8)", pad8(size));
	em_open(e, "if (*(u64 *)(%s + i) != *(u64 *)(%s + i))", a, b);
	em(e, "q%d = 0;", n);
	em(e, "break;");
	em_close(e);
	em_close(e);
	return emf(e, "q%d", n);
}

static bool is_match_name(const struct type *t)
{
	return t->kind == TY_PROBE || t->kind == TY_FUNC;
}

const char *em_equal(struct emit *e, struct node *a, struct node *b)
{
	uint32_t size = a->type->size < b->type->size ? a->type->size : b->type->size;
	const char *x, *y, *eq, *longer;

	if (is_match_name(a->type) || is_match_name(b->type))
		return em_equal_name(e, a, b);
	if (a->kind == N_STR && b->kind != N_STR)
		return equal_literal(e, em_memory(e, b), b->type->size, a);
	if (b->kind == N_STR)
		return equal_literal(e, em_memory(e, a), a->type->size, b);
	x = em_memory(e, a);
	y = em_memory(e, b);
	eq = equal_words(e, x, y, size);
	if (a->type->kind != TY_STRING || pad8(a->type->size) == pad8(b->type->size))
		return eq;
	/* the longer one must end where the shorter one has no room left */
	longer = a->type->size > b->type->size ? x : y;
	return em_tmp(e, false, "%s && !*(char *)(%s + %u)", eq, longer, pad8(size));
}

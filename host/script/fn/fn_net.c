/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and byte order. */
#include <arpa/inet.h>
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"

/* An address is { family, 16 bytes }. */
enum { INET_SIZE = 24 };

static const struct type *check_ntop(struct sema *s, struct node *n)
{
	struct node *addr = n->list->next ? n->list->next : n->list;
	const struct type *t = sema_expr(s, addr);

	if (n->list->next)
		sema_expr(s, n->list);
	if (t->kind == TY_NONE)
		return t;
	if (!type_is_int(t) && t->kind != TY_ARRAY && t->kind != TY_STRING)
		return sema_error(s, n, "ntop() expects an integer or array argument, got %s",
				  type_word(t));
	if ((t->kind == TY_ARRAY || t->kind == TY_STRING) && t->size != 4 && t->size != 16)
		return sema_error(s, n, "ntop() argument must be 4 or 16 bytes in size");
	return type_plain(s->types, TY_INET, INET_SIZE);
}

static struct operand emit_ntop(struct emit *e, struct node *n)
{
	struct node *addr = n->list->next ? n->list->next : n->list;
	const struct type *t = addr->type;
	const char *slot = em_slot(e, INET_SIZE), *af;

	af = n->list->next ? em_value(e, n->list)
			   : emf(e, "%d", t->size == 16 && !type_is_int(t) ? AF_INET6 : AF_INET);
	em_zero(e, slot, INET_SIZE);
	em(e, "*(u64 *)%s = %s;", slot, af);
	if (type_is_int(t))
		em(e, "*(u32 *)(%s + 8) = %s;", slot, em_value(e, addr));
	else
		em(e, "lp_read(%s + 8, %u, %s);", slot, t->size < 16 ? t->size : 16,
		   em_address(e, addr, NULL));
	return opd_mem(slot);
}

static const struct type *check_pton(struct sema *s, struct node *n)
{
	unsigned char bytes[16];

	sema_expr(s, n->list);
	if (n->list->kind != N_STR)
		return sema_error(s, n, "pton() expects an string literal, got %s",
				  type_word(n->list->type));
	if (!strpbrk(n->list->name, ".:"))
		return sema_error(s, n,
				  "pton() expects an string argument of an IPv4/IPv6 address, got "
				  "%s",
				  n->list->name);
	if (inet_pton(AF_INET, n->list->name, bytes) == 1)
		return type_array(s->types, type_int(1, false), 4);
	if (inet_pton(AF_INET6, n->list->name, bytes) == 1)
		return type_array(s->types, type_int(1, false), 16);
	return sema_error(s, n, "pton() expects a valid IPv4/IPv6 address, got %s", n->list->name);
}

static struct operand emit_pton(struct emit *e, struct node *n)
{
	unsigned char bytes[17] = {0};
	const char *slot = em_slot(e, n->type->size);
	struct operand v = opd_mem(slot);

	inet_pton(n->type->size == 4 ? AF_INET : AF_INET6, n->list->name, bytes);
	em_zero(e, slot, n->type->size);
	for (uint32_t i = 0; i < n->type->size; i++)
		em(e, "*(u8 *)(%s + %u) = %u;", slot, i, bytes[i]);
	v.packed = true;
	return v;
}

static const struct type *check_macaddr(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);

	if (t->kind == TY_NONE)
		return t;
	if (t->kind != TY_ARRAY && t->kind != TY_STRING && t->kind != TY_PTR && !type_is_int(t))
		return sema_error(
			s, n, "macaddr() only supports array or pointer arguments (%s provided)",
			type_word(t));
	if (n->list->kind == N_STR)
		return sema_error(s, n, "macaddr() does not support literal string arguments");
	if ((t->kind == TY_ARRAY || t->kind == TY_STRING) && t->size < 6)
		return sema_error(s, n, "macaddr() argument must be at least 6 bytes in size");
	return type_plain(s->types, TY_MAC, 8);
}

static struct operand emit_macaddr(struct emit *e, struct node *n)
{
	int t = e->tmp++;

	em(e, "u64 m%d = 0;", t);
	em(e, "lp_read(&m%d, 6, %s);", t, em_address(e, n->list, NULL));
	return opd_value(emf(e, "m%d", t));
}

static const struct type *check_bswap(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);

	if (t->kind == TY_NONE || t->kind == TY_INT)
		return t->kind == TY_INT ? type_int(t->size, false) : t;
	return sema_error(s, n, "bswap() only supports integer arguments (%s provided)",
			  type_word(t));
}

static struct operand emit_bswap(struct emit *e, struct node *n)
{
	const char *v = em_value(e, n->list);

	if (n->type->size == 1)
		return opd_value(em_tmp(e, false, "(u8)(%s)", v));
	return opd_value(em_tmp(e, false, "(u%u)__builtin_bswap%u((u%u)(%s))", n->type->size * 8,
				n->type->size * 8, n->type->size * 8, v));
}

/* clang-format off */
const struct builtin builtins_net[] = {
	{.name = "ntop", BUILTIN_CALL, 1, 2, check_ntop, emit_ntop, .help = "IP address as text"},
	{.name = "pton", BUILTIN_CALL, 1, 1, check_pton, emit_pton, .help = "text as IP address"},
	{.name = "macaddr", BUILTIN_CALL, 1, 1, check_macaddr, emit_macaddr,
	 .help = "MAC address as text"},
	{.name = "bswap", BUILTIN_CALL, 1, 1, check_bswap, emit_bswap,
	 .help = "bytes of an integer reversed"},
	{.name = NULL},
};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks and symbols. */
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"
#include "script/run/symbols.h"
#include "script/probe/usdt.h"

/* The kernel walks MAX_FRAMES (kernel.perf_event_max_stack), also when more are asked for. */
enum { MAX_FRAMES = 127, MAX_LIMIT = 1024, USER_STACK = 256, USER_BUILD_ID = 2048 };

static const char *const modes[] = {"bpftrace", "perf", "raw", "build_id"};

static int mode_of(const struct node *n)
{
	for (int i = 0; n->kind == N_IDENT && i < (int)ARRAY_LEN(modes); i++)
		if (strcmp(n->name, modes[i]) == 0)
			return i;
	return -1;
}

static const struct type *check_stack(struct sema *s, struct node *n)
{
	bool kernel = n->name[0] == 'k';
	enum stack_mode mode = (enum stack_mode)s->settings->stack_mode;
	int64_t limit = MAX_FRAMES;

	for (struct node *a = n->kind == N_CALL ? n->list : NULL; a; a = a->next) {
		if (mode_of(a) >= 0) {
			mode = (enum stack_mode)mode_of(a);
		} else if (a->kind == N_IDENT && !type_macro(s->types, a->name)) {
			return sema_error(s, n, "%s: invalid stack mode: %s", n->name, a->name);
		} else {
			sema_expr(s, a);
			if (!const_eval(s->types, a, &limit))
				return sema_error(s, a, "%s: invalid limit value", n->name);
			if (limit < 0 || limit > MAX_LIMIT)
				return sema_error(
					s, n,
					"%s([int limit]): limit shouldn't exceed %d, %lld "
					"given",
					n->name, MAX_LIMIT, (long long)limit);
			limit = limit > MAX_FRAMES ? MAX_FRAMES : limit;
		}
	}
	if (mode == STACK_BUILD_ID && kernel)
		return sema_error(s, n, "'build_id' stack mode can only be used for ustack");
	return type_stack(s->types, kernel, mode, (uint32_t)limit);
}

/* The frames go to a map keyed by their hash; the value is hash, length and process. */
static void stack_into(struct emit *e, struct node *n, const char *dst, uint32_t size)
{
	const struct type *t = n->type;
	bool build_id = t->stack_mode == STACK_BUILD_ID;
	uint32_t frame = build_id ? 32 : 8, bytes = t->stack_limit * frame, mark, room;
	int id = em_stack_map(e, t->kind == TY_KSTACK, build_id, t->stack_limit), v = e->tmp++;
	const char *fr;

	(void)size;
	mark = e->scratch;
	/* a power of two, so that a mask keeps the index inside for the verifier */
	for (room = 128; room < bytes;)
		room *= 2;
	fr = em_slot(e, room);
	em(e, "s64 n%d = %s;", v,
	   t->stack_limit
		   ? emf(e, "get_stack(ctx, %s, %u, %d)", fr, bytes,
			 t->kind == TY_KSTACK ? 0 : USER_STACK | (build_id ? USER_BUILD_ID : 0))
		   : "0");
	em(e, "u64 h%d = 0xcbf29ce484222325ull;", v);
	em(e, "if (n%d < 0)", v);
	em(e, "\tn%d = 0;", v);
	em_open(e, "for (u32 i = 0; i < %u; i++)", bytes / 8);
	/* keeps clang from a loop to a computed end, which the verifier cannot bound */
	em(e, "asm volatile(\"\" : \"+r\"(n%d));", v);
	em(e, "if (i * 8 >= n%d)", v);
	em(e, "\tbreak;");
	em(e, "h%d = (h%d ^ ((u64 *)%s)[i & %u]) * 0x100000001b3ull;", v, v, fr, room / 8 - 1);
	em(e, "h%d ^= h%d >> 29;", v, v);
	em_close(e);
	em(e, "*(u64 *)%s = h%d;", dst, v);
	em(e, "*(u64 *)(%s + 8) = (u64)n%d / %u%s;", dst, v, frame,
	   t->kind == TY_KSTACK ? "" : " | (pid_tgid() >> 32 << 32)");
	em(e, "*(u64 *)(%s + 16) = 0;", dst);
	em_open(e, "if (n%d && !map_lookup(EXTERN_MAP(%d), %s))", v, EXTERN_STACK + id, dst);
	em(e, "map_update(EXTERN_MAP(%d), %s, %s, 0);", EXTERN_STACK + id, dst, fr);
	if (t->kind == TY_USTACK)
		em(e, "lp_see();");
	em_close(e);
	e->scratch = mark;
}

static struct operand emit_stack(struct emit *e, struct node *n)
{
	const char *slot = em_slot(e, 24);

	stack_into(e, n, slot, 24);
	return opd_mem(slot);
}

static const struct type *check_addr(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);

	if (t->kind == TY_NONE)
		return t;
	if (!type_in_register(t) && t->kind != TY_USYM)
		return sema_error(s, n, "%s() expects an integer or pointer argument", n->name);
	return &type_u64;
}

static const struct type *check_ksym(struct sema *s, struct node *n)
{
	return check_addr(s, n)->kind == TY_NONE ? &type_none : type_plain(s->types, TY_KSYM, 8);
}

static const struct type *check_usym(struct sema *s, struct node *n)
{
	return check_addr(s, n)->kind == TY_NONE ? &type_none : type_plain(s->types, TY_USYM, 16);
}

static struct operand emit_ksym(struct emit *e, struct node *n)
{
	return opd_value(em_value(e, n->list));
}

static void usym_into(struct emit *e, struct node *n, const char *dst, uint32_t size)
{
	const char *addr = em_value(e, n->list);

	(void)size;
	em(e, "*(u64 *)%s = %s;", dst, addr);
	em(e, "*(u64 *)(%s + 8) = pid_tgid() >> 32;", dst);
	em(e, "lp_see();");
}

static struct operand emit_usym(struct emit *e, struct node *n)
{
	const char *slot = em_slot(e, 16);

	usym_into(e, n, slot, 16);
	return opd_mem(slot);
}

static const struct type *check_symbol_name(struct sema *s, struct node *n)
{
	sema_expr(s, n->list);
	if (n->list->kind != N_STR)
		return sema_error(s, n, "%s() expects a string literal (%s provided)", n->name,
				  type_word(n->list->type));
	return &type_u64;
}

static struct operand emit_kaddr(struct emit *e, struct node *n)
{
	uint64_t addr = symbol_kernel_address(n->list->name);

	if (!addr && !e->err)
		sema_error(e->s, n, "Failed to resolve kernel symbol: %s", n->list->name);
	if (!addr)
		e->err = e->err ? e->err : -2;
	return opd_value(emf(e, "0x%llxull", (unsigned long long)addr));
}

static bool in_program(enum probe_kind kind)
{
	return kind == PROBE_UPROBE || kind == PROBE_URETPROBE || kind == PROBE_USDT;
}

/* A pointer to an integer of the symbol's size. */
static const struct type *check_uaddr(struct sema *s, struct node *n)
{
	struct symbol_place place;
	unsigned size;

	sema_expr(s, n->list);
	if (n->list->kind != N_STR)
		return sema_error(s, n, "uaddr() takes the name of a symbol as a string literal");
	if (!s->attach || !in_program(s->attach->kind))
		return sema_error(s, n, "uaddr can not be used with \"%s\" probes",
				  s->attach ? s->attach->provider->name : "none");
	if (!s->match || s->offline)
		return type_ptr(s->types, &type_i64);
	if (!symbol_in_file(s->match->a, n->list->name, s->match->offset, &place))
		return sema_error(s, n, "Could not resolve symbol: %s:%s", s->match->a,
				  n->list->name);
	size = place.size == 1 || place.size == 2 || place.size == 4 ? (unsigned)place.size : 8;
	return type_ptr(s->types, type_int(size, true));
}

/* Code and data move together, so the distance to the probed instruction tells the address. At a
 * return the instruction is the caller's: there only programs at fixed addresses are right. */
static struct operand emit_uaddr(struct emit *e, struct node *n)
{
	struct symbol_place place;

	if (!e->match || e->s->offline ||
	    !symbol_in_file(e->match->a, n->list->name, e->match->offset, &place))
		return opd_value("0");
	if (!place.is_pic || e->attach->kind == PROBE_URETPROBE)
		return opd_value(emf(e, "0x%llxull", (unsigned long long)place.vaddr));
	return opd_value(em_tmp(e, false, "*(u64 *)((char *)ctx + %d) + (u64)%lldll", regs_ip(),
				(long long)(place.vaddr - place.probe)));
}

#define NAME_OR_CALL BUILTIN_NAME | BUILTIN_CALL

/* clang-format off */
const struct builtin builtins_stack[] = {
	{.name = "kstack", NAME_OR_CALL, 0, 2, check_stack, emit_stack, .emit_into = stack_into,
	 .help = "kernel stack"},
	{.name = "ustack", NAME_OR_CALL, 0, 2, check_stack, emit_stack, .emit_into = stack_into,
	 .help = "user stack"},
	{.name = "ksym", BUILTIN_CALL, 1, 1, check_ksym, emit_ksym,
	 .help = "kernel symbol at address"},
	{.name = "usym", BUILTIN_CALL, 1, 1, check_usym, emit_usym, .emit_into = usym_into,
	 .help = "symbol of the process at address"},
	{.name = "kaddr", BUILTIN_CALL, 1, 1, check_symbol_name, emit_kaddr,
	 .help = "address of a kernel symbol"},
	{.name = "uaddr", BUILTIN_CALL, 1, 1, check_uaddr, emit_uaddr,
	 .help = "address of a symbol of the traced file"},
	{.name = NULL},
};
/* clang-format on */

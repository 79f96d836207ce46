/* SPDX-License-Identifier: Apache-2.0 */
/* What the probe was given: args, argN, retval, ctx, reg(), probe, func. */
#include <stdlib.h>
#include <string.h>

#include "script/fn/builtin.h"
#include "script/probe/usdt.h"

static enum probe_kind kind_of(const struct sema *s)
{
	return s->attach ? s->attach->kind : PROBE_BEGIN;
}

static const struct type *check_args(struct sema *s, struct node *n)
{
	const struct type *t = s->match ? s->match->args : NULL;
	struct type *ctx;

	if (!t) {
		if (s->attach && !s->attach->matches)
			return &type_none;
		if (kind_of(s) == PROBE_UPROBE)
			return sema_error(s, n,
					  "%s has no debug information (DWARF) for its arguments; "
					  "use arg0, arg1, ...",
					  s->match ? s->match->name : s->attach->text);
		return sema_error(s, n,
				  "The args builtin can only be used with tracepoint, "
				  "rawtracepoint, uprobe and engine probes (%s used here)",
				  s->attach ? s->attach->provider->name : "none");
	}
	ctx = type_alloc(s->types, TY_STRUCT);
	*ctx = *t;
	ctx->is_ctx = true;
	return ctx;
}

static struct operand emit_args(struct emit *e, struct node *n)
{
	(void)n;
	return (struct operand){.kind = e->attach->kind == PROBE_ENGINE ? OPD_ENGINE : OPD_CTX};
}

static const struct type *check_arg(struct sema *s, struct node *n)
{
	enum probe_kind kind = kind_of(s);
	int i = atoi(n->name + 3);

	switch (kind) {
	case PROBE_UPROBE:
		return &type_u64;
	case PROBE_RAWTRACEPOINT:
		if (s->match && s->match->args && i >= (int)s->match->args->fields->n)
			return sema_error(s, n, "%s has %zu arguments", s->match->name,
					  s->match->args->fields->n);
		return &type_u64;
	case PROBE_USDT: {
		struct usdt_arg a;

		if (s->match && s->match->b && !usdt_arg(s->match->b, i, &a))
			return sema_error(s, n, "%s has no argument %d: '%s'", s->match->name, i,
					  s->match->b);
		return &type_u64;
	}
	default:
		return sema_error(s, n,
				  "The %s builtin can only be used with 'kprobes', 'uprobes' and "
				  "'usdt' probes",
				  n->name);
	}
}

static const char *reg(struct emit *e, int offset)
{
	return em_tmp(e, false, "*(u64 *)((char *)ctx + %d)", offset);
}

static struct operand usdt_value(struct emit *e, int i)
{
	struct usdt_arg a;
	const struct type *t;
	const char *addr;

	if (!e->match->b || !usdt_arg(e->match->b, i, &a))
		return opd_value("0");
	t = type_int((unsigned)abs(a.size), a.size < 0);
	if (a.kind == USDT_CONST)
		return opd_value(emf(e, "%lldll", (long long)a.value));
	if (a.kind == USDT_REG)
		return opd_value(em_tmp(e, true, "(%c%u)%s", a.size < 0 ? 's' : 'u',
					(unsigned)abs(a.size) * 8, reg(e, a.reg)));
	addr = emf(e, "(%s + (s64)%lldll", a.reg >= 0 ? reg(e, a.reg) : "0", (long long)a.value);
	if (a.index_reg >= 0)
		addr = emf(e, "%s + %s * %d", addr, reg(e, a.index_reg), a.scale);
	return opd_value(
		em_load(e, (struct operand){.kind = OPD_REMOTE, .text = emf(e, "%s)", addr)}, t));
}

static struct operand emit_arg(struct emit *e, struct node *n)
{
	int i = atoi(n->name + 3), offset = regs_arg(i);

	if (e->attach->kind == PROBE_RAWTRACEPOINT)
		return opd_value(reg(e, i * 8));
	if (e->attach->kind == PROBE_USDT)
		return usdt_value(e, i);
	if (offset >= 0)
		return opd_value(reg(e, offset));
	/* behind the return address on the stack */
	for (offset = 0; regs_arg(offset) >= 0; offset++)
		;
	return opd_value(em_load(e,
				 (struct operand){.kind = OPD_REMOTE,
						  .text = emf(e, "(%s + %d)", reg(e, regs_sp()),
							      (i - offset + 1) * 8)},
				 &type_u64));
}

static const struct type *check_sarg(struct sema *s, struct node *n)
{
	if (kind_of(s) == PROBE_UPROBE)
		return &type_i64;
	return sema_error(s, n,
			  "The %s builtin can only be used with 'kprobes' and 'uprobes' probes",
			  n->name);
}

/* Words behind the return address, whatever the calling convention puts there. */
static struct operand emit_sarg(struct emit *e, struct node *n)
{
	struct operand at = {
		.kind = OPD_REMOTE,
		.text = emf(e, "(%s + %d)", reg(e, regs_sp()), (atoi(n->name + 4) + 1) * 8)};

	return opd_value(em_load(e, at, &type_i64));
}

static const struct type *check_retval(struct sema *s, struct node *n)
{
	if (kind_of(s) == PROBE_URETPROBE)
		return &type_u64;
	return sema_error(s, n,
			  "The retval builtin can only be used with 'kretprobe' and 'uretprobe' "
			  "probes");
}

static struct operand emit_retval(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(reg(e, regs_retval()));
}

static const struct type *check_ctx(struct sema *s, struct node *n)
{
	(void)n;
	return type_ptr(s->types, &type_void);
}

static struct operand emit_ctx(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(emf(e, "(u64)ctx"));
}

#if defined(__x86_64__)
static const char machine[] = "x86_64";
#else
static const char machine[] = "aarch64";
#endif

static bool has_registers(enum probe_kind kind)
{
	switch (kind) {
	case PROBE_UPROBE:
	case PROBE_URETPROBE:
	case PROBE_USDT:
	case PROBE_PROFILE:
	case PROBE_INTERVAL:
	case PROBE_SOFTWARE:
	case PROBE_HARDWARE:
	case PROBE_WATCHPOINT:
		return true;
	default:
		return false;
	}
}

static const struct type *check_reg(struct sema *s, struct node *n)
{
	struct node *name = n->list;

	sema_expr(s, name);
	if (name->kind != N_STR)
		return sema_error(s, n, "reg() expects a string literal (%s provided)",
				  type_word(name->type));
	if (regs_offset(name->name) < 0)
		return sema_error(s, n, "'%s' is not a valid register on this architecture (%s)",
				  name->name, machine);
	if (!has_registers(kind_of(s)))
		return sema_error(s, n, "reg can not be used with \"%s\" probes",
				  s->attach->provider->name);
	return &type_u64;
}

static struct operand emit_reg(struct emit *e, struct node *n)
{
	return opd_value(reg(e, regs_offset(n->list->name)));
}

/* As long as the longest name: maps and variables hold the names of all matches. */
static const struct type *check_probe(struct sema *s, struct node *n)
{
	size_t size = 1;

	(void)n;
	if (!s->probe_is_text)
		return type_plain(s->types, TY_PROBE, 8);
	for (const struct probe_match *m = s->attach->matches; m; m = m->next)
		size = strlen(m->name) + 1 > size ? strlen(m->name) + 1 : size;
	return type_string(s->types, (uint32_t)size);
}

/* A number into the table of match names. */
static struct operand emit_probe(struct emit *e, struct node *n)
{
	bool func = strcmp(n->name, "func") == 0;
	const char *slot;

	if (n->type->kind == TY_STRING) {
		slot = em_slot(e, n->type->size);
		em_string_literal(e, slot, n->type->size, e->match->name, strlen(e->match->name));
		return opd_mem(slot);
	}
	if (e->n_matches > 1 &&
	    (e->attach->kind == PROBE_UPROBE || e->attach->kind == PROBE_URETPROBE))
		return opd_value(em_tmp(
			e, false, func ? "attach_cookie(ctx) >> 32" : "(u32)attach_cookie(ctx)"));
	return opd_value(emf(e, "%uull",
			     func ? cookie_func(e->first_cookie) : cookie_probe(e->first_cookie)));
}

/* The number that stands for the name among this attach point's matches; none: 2^32. */
static uint64_t number_of_name(const struct emit *e, const char *name, bool func)
{
	const struct probe_match *m = e->attach->matches;
	const struct script_code *c = e->code;
	size_t i = c->n_matches;

	while (m && i > 0 && c->matches[i - 1] != m)
		i--;
	for (i -= i > 0; m && i < c->n_matches; i++) {
		const char *have = func ? c->matches[i]->func : c->matches[i]->name;

		if (have && strcmp(have, name) == 0)
			return func ? cookie_func(c->cookies[i]) : cookie_probe(c->cookies[i]);
	}
	return 1ull << 32;
}

const char *em_equal_name(struct emit *e, struct node *a, struct node *b)
{
	struct node *literal = a->kind == N_STR ? a : b->kind == N_STR ? b : NULL;
	struct node *other = a == literal ? b : a;

	if (!literal)
		return emf(e, "(%s) == (%s)", em_value(e, a), em_value(e, b));
	return emf(
		e, "(%s) == %lluull", em_value(e, other),
		(unsigned long long)number_of_name(e, literal->name, other->type->kind == TY_FUNC));
}

static const struct type *check_func(struct sema *s, struct node *n)
{
	enum probe_kind kind = kind_of(s);

	if (kind == PROBE_UPROBE || kind == PROBE_URETPROBE || kind == PROBE_USDT)
		return type_plain(s->types, TY_FUNC, 8);
	return sema_error(s, n, "The func builtin can not be used with '%s' probes",
			  s->attach ? s->attach->provider->name : "none");
}

/* The probes that llmprobe fires itself share one name. */
static const char *probetype(const struct attach *a)
{
	enum probe_kind kind = a->kind;

	return kind == PROBE_BEGIN || kind == PROBE_END || kind == PROBE_SELF ? "special"
									      : a->provider->name;
}

static const struct type *check_probetype(struct sema *s, struct node *n)
{
	(void)n;
	return type_string(s->types, (uint32_t)strlen(probetype(s->attach)) + 1);
}

static struct operand emit_probetype(struct emit *e, struct node *n)
{
	const char *name = probetype(e->attach), *slot = em_slot(e, n->type->size);

	em_string_literal(e, slot, n->type->size, name, strlen(name));
	return opd_mem(slot);
}

static const struct type *check_usermode(struct sema *s, struct node *n)
{
	if (has_registers(kind_of(s)))
		return &type_u64;
	return sema_error(s, n, "The usermode builtin can not be used with '%s' probes",
			  s->attach ? s->attach->provider->name : "none");
}

static struct operand emit_usermode(struct emit *e, struct node *n)
{
	(void)n;
#if defined(__x86_64__)
	return opd_value(emf(e, "(u64)((%s & 3) == 3)", reg(e, regs_offset("cs"))));
#else
	return opd_value(emf(e, "(u64)((%s & 15) == 0)", reg(e, regs_offset("pstate"))));
#endif
}

#define NAME_OR_CALL BUILTIN_NAME | BUILTIN_CALL

/* clang-format off */
const struct builtin builtins_args[] = {
	{.name = "args", NAME_OR_CALL, 0, 0, check_args, emit_args, .help = "arguments by name"},
	{.name = "argN", BUILTIN_NAME, 0, 0, check_arg, emit_arg, .help = "argument by position"},
	{.name = "sargN", BUILTIN_NAME, 0, 0, check_sarg, emit_sarg,
	 .help = "argument on the stack by position"},
	{.name = "retval", NAME_OR_CALL, 0, 0, check_retval, emit_retval, .help = "return value"},
	{.name = "ctx", NAME_OR_CALL, 0, 0, check_ctx, emit_ctx, .help = "the program's context"},
	{.name = "reg", BUILTIN_CALL, 1, 1, check_reg, emit_reg, .help = "register by name"},
	{.name = "probe", NAME_OR_CALL, 0, 0, check_probe, emit_probe,
	 .help = "name of the probe"},
	{.name = "probetype", NAME_OR_CALL, 0, 0, check_probetype, emit_probetype,
	 .help = "kind of the probe"},
	{.name = "func", NAME_OR_CALL, 0, 0, check_func, emit_probe, .help = "traced function"},
	{.name = "usermode", NAME_OR_CALL, 0, 0, check_usermode, emit_usermode,
	 .help = "1 in user mode"},
	{.name = NULL},
};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* What a script says: printf and its kin, time, join, exit, and commands it runs. */
#include <string.h>
#include <time.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"
#include "script/fn/format.h"
#include "script/run/runtime.h"

enum { JOIN_ARGS = 16, JOIN_ROOM = 1024, TRACE_ARGS = 3 };

static const struct type *bad_args(struct sema *s, struct node *n, int have, int want)
{
	return sema_error(s, n, "%s arguments for format string (%d supplied, %d expected)",
			  have < want ? "not enough" : "too many", have, want);
}

static bool check_conversion(struct sema *s, struct node *n, const struct conversion *c,
			     struct node **arg)
{
	for (int i = 0; i < c->width_arg + c->precision_arg && *arg; i++) {
		if ((*arg)->type->kind != TY_NONE && !type_is_int((*arg)->type)) {
			sema_error(s, n, "unsupported format specifier for type '%s': *",
				   type_text((*arg)->type, (char[128]){0}));
			return false;
		}
		*arg = (*arg)->next;
	}
	if (!*arg || c->conv[0] == '%')
		return true;
	if (!conversion_known(c)) {
		sema_error(s, n, "unsupported format specifier: %s", c->conv);
		return false;
	}
	if ((*arg)->type->kind != TY_NONE && !conversion_takes(c, (*arg)->type)) {
		sema_error(s, n, "unsupported format specifier for type '%s': %s",
			   type_text((*arg)->type, (char[128]){0}), c->conv);
		return false;
	}
	*arg = (*arg)->next;
	return true;
}

static const struct type *check_printf(struct sema *s, struct node *n)
{
	struct node *fmt = n->list, *arg = fmt->next;
	int have = call_args(n) - 1, want = 0;
	struct conversion c;
	const char *pos;

	sema_expr(s, fmt);
	if (fmt->kind != N_STR)
		return sema_error(s, n, "%s() expects a string literal (%s provided)", n->name,
				  type_word(fmt->type));
	for (struct node *a = arg; a; a = a->next)
		sema_expr(s, a);
	for (pos = fmt->name; format_next(&pos, &c);)
		want += c.conv[0] == '%' ? 0 : 1 + c.width_arg + c.precision_arg;
	if (have != want)
		return bad_args(s, n, have, want);
	for (pos = fmt->name; format_next(&pos, &c);)
		if (!check_conversion(s, n, &c, &arg))
			break;
	return &type_none;
}

static struct operand emit_printf(struct emit *e, struct node *n)
{
	struct action *a = em_action(e, n->builtin, n);
	int count = call_args(n) - 1, i = 0;
	struct node **args = arena_alloc(e->arena, ((size_t)count + 1) * sizeof(*args));

	a->text = n->list->name;
	for (struct node *x = n->list->next; x; x = x->next) {
		args[i++] = x;
		em_action_arg(e, a, type_value_of(e->s->types, x->type));
	}
	em_send(e, a, args);
	return opd_none();
}

/* ---- debugf: the kernel's own trace, not a record of ours ---- */

static const struct type *check_debugf(struct sema *s, struct node *n)
{
	struct node *arg = n->list->next;
	struct conversion c;
	const char *pos;

	if (check_printf(s, n) == &type_none && n->list->kind != N_STR)
		return &type_none;
	pos = n->list->name; /* folded by now */
	sema_warn(
		s, n,
		"The debugf() builtin is not recommended for production use. For more information "
		"see bpf_trace_printk in bpf-helpers(7).");
	if (call_args(n) - 1 > TRACE_ARGS)
		return sema_error(s, n, "cannot use more than %d conversion specifiers",
				  TRACE_ARGS);
	for (; arg && format_next(&pos, &c); arg = c.conv[0] == '%' ? arg : arg->next) {
		bool is_text = arg->type->kind == TY_STRING;

		if (c.conv[0] == '%' || arg->type->kind == TY_NONE)
			continue;
		if (!strchr("duxps", c.conv[0]))
			return sema_error(s, n->list, "Invalid format specifier for `debugf`: %s",
					  c.conv);
		if (is_text != (c.conv[0] == 's') || !(is_text || type_in_register(arg->type)))
			return sema_error(s, arg, "Type does not match format specifier: %s",
					  c.conv);
	}
	return &type_none;
}

static struct operand emit_debugf(struct emit *e, struct node *n)
{
	uint32_t size = n->list->len + 1;
	const char *fmt = em_slot(e, size), *args = "";

	em_string_literal(e, fmt, size, n->list->name, n->list->len);
	for (struct node *a = n->list->next; a; a = a->next)
		args = emf(e, "%s, %s", args,
			   a->type->kind == TY_STRING
				   ? emf(e, "(u64)%s", em_memory(e, a))
				   : em_tmp(e, a->type->is_signed, "%s", em_value(e, a)));
	em(e, "trace_print(%s, %u%s);", fmt, size, args);
	return opd_none();
}

/* ---- time, strftime ---- */

static const struct type *check_time(struct sema *s, struct node *n)
{
	if (n->list && sema_expr(s, n->list) && n->list->kind != N_STR)
		return sema_error(s, n, "time() expects a string literal (%s provided)",
				  type_word(n->list->type));
	return &type_none;
}

static struct operand emit_time(struct emit *e, struct node *n)
{
	struct action *a = em_action(e, n->builtin, n);

	a->text = n->list ? n->list->name : "%H:%M:%S\n";
	em_send(e, a, NULL);
	return opd_none();
}

static const struct type *check_strftime(struct sema *s, struct node *n)
{
	const struct type *t;

	sema_expr(s, n->list);
	t = sema_expr(s, n->list->next);
	if (n->list->kind != N_STR)
		return sema_error(s, n, "strftime() expects a string literal (%s provided)",
				  type_word(n->list->type));
	if (t->kind != TY_NONE && !type_is_int(t))
		return sema_error(s, n, "strftime() only supports int arguments (%s provided)",
				  type_word(t));
	if (t->clock == CLOCK_MONOTONIC)
		return sema_error(s, n, "strftime() can not take a monotonic timestamp");
	return type_plain(s->types, TY_TIMESTAMP, 16);
}

/* The format is known by the number of an action that is never sent. */
static void strftime_into(struct emit *e, struct node *n, const char *dst, uint32_t size)
{
	struct action *a = em_action(e, n->builtin, n);
	const char *ns = em_value(e, n->list->next);

	(void)size;
	a->text = n->list->name;
	a->num[0] = n->list->next->type->clock;
	em(e, "*(u64 *)%s = %d;", dst, a->id);
	em(e, "*(u64 *)(%s + 8) = %s;", dst, ns);
}

static struct operand emit_strftime(struct emit *e, struct node *n)
{
	const char *slot = em_slot(e, 16);

	strftime_into(e, n, slot, 16);
	return opd_mem(slot);
}

/* ---- join ---- */

static const struct type *check_join(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);

	if (t->kind != TY_NONE && !type_is_int(t) && t->kind != TY_PTR)
		return sema_error(s, n,
				  "join() only supports int or pointer arguments (%s provided)",
				  type_word(t));
	if (n->list->next && sema_expr(s, n->list->next) && n->list->next->kind != N_STR)
		return sema_error(s, n, "join() expects a string literal (%s provided)",
				  type_word(n->list->next->type));
	return &type_none;
}

/* A char ** up to its NULL: each string in a room of its own, whatever max_strlen is. */
static struct operand emit_join(struct emit *e, struct node *n)
{
	struct action *a = em_action(e, n->builtin, n);
	uint32_t room = JOIN_ROOM;
	const char *p = em_tmp(e, false, "%s", em_value(e, n->list));
	int id = e->tmp++;

	a->text = n->list->next ? n->list->next->name : " ";
	a->num[0] = room;
	a->size = 8 + JOIN_ARGS * room;
	em(e, "u64 *r%d = ring_reserve(EXTERN_MAP(%d), %u, 0);", id, EXTERN_RING, a->size + 8);
	em_open(e, "if (!r%d)", id);
	em(e, "lp_lost();");
	em_close(e);
	em_open(e, "else");
	em(e, "r%d[0] = %d;", id, a->id);
	em(e, "r%d[1] = 0;", id);
	buf_puts(e->out, "#pragma unroll\n");
	em_open(e, "for (u32 i = 0; i < %d; i++)", JOIN_ARGS);
	em(e, "u64 s = 0;");
	em(e, "if (r%d[1] == i)", id);
	em(e, "\tlp_read(&s, 8, %s + i * 8);", p);
	em_open(e, "if (s)");
	em(e, "lp_read_str((char *)r%d + 16 + i * %u, %u, s);", id, room, room);
	em(e, "r%d[1] = i + 1;", id);
	em_close(e);
	em_close(e);
	em(e, "lp_submit(r%d);", id);
	em_close(e);
	return opd_none();
}

/* ---- exit ---- */

static const struct type *check_unwatch(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);

	if (t->kind != TY_NONE && t->kind != TY_PTR && !type_is_int(t))
		return sema_error(s, n, "unwatch() takes an address, not %s", type_word(t));
	return &type_none;
}

static struct operand emit_unwatch(struct emit *e, struct node *n)
{
	struct action *a = em_action(e, n->builtin, n);
	struct node *args[1] = {n->list};

	em_action_arg(e, a, &type_u64);
	em_send(e, a, args);
	return opd_none();
}

static const struct type *check_exit(struct sema *s, struct node *n)
{
	const struct type *t = n->list ? sema_expr(s, n->list) : &type_i64;

	if (t->kind != TY_NONE && !type_is_int(t))
		return sema_error(s, n, "exit() only supports int arguments (%s provided)",
				  type_word(t));
	return &type_none;
}

static struct operand emit_exit(struct emit *e, struct node *n)
{
	struct action *a = em_action(e, n->builtin, n);
	struct node *args[1] = {n->list};

	a->ends = true;
	if (n->list)
		em_action_arg(e, a, &type_i64);
	em_send(e, a, args);
	em_return(e);
	return opd_none();
}

/* clang-format off */
const struct builtin builtins_output[] = {
	{.name = "printf", BUILTIN_CALL | BUILTIN_VOID, 1, -1, check_printf, emit_printf,
	 .run = run_printf, .help = "formatted output"},
	{.name = "errorf", BUILTIN_CALL | BUILTIN_VOID, 1, -1, check_printf, emit_printf,
	 .run = run_errorf, .help = "printf to stderr, as an error"},
	{.name = "warnf", BUILTIN_CALL | BUILTIN_VOID, 1, -1, check_printf, emit_printf,
	 .run = run_errorf, .help = "printf to stderr, as a warning"},
	{.name = "debugf", BUILTIN_CALL | BUILTIN_VOID, 1, -1, check_debugf, emit_debugf,
	 .help = "printf to the kernel's trace pipe"},
	{.name = "cat", BUILTIN_CALL | BUILTIN_VOID, 1, -1, check_printf, emit_printf,
	 .run = run_cat, .help = "content of a file"},
	{.name = "system", BUILTIN_CALL | BUILTIN_VOID | BUILTIN_UNSAFE, 1, -1, check_printf,
	 emit_printf, .run = run_system, .help = "runs a command"},
	{.name = "time", BUILTIN_CALL | BUILTIN_VOID, 0, 1, check_time, emit_time,
	 .run = run_time, .help = "prints the time of day"},
	{.name = "strftime", BUILTIN_CALL, 2, 2, check_strftime, emit_strftime,
	 .emit_into = strftime_into, .help = "time as text"},
	{.name = "join", BUILTIN_CALL | BUILTIN_VOID, 1, 2, check_join, emit_join,
	 .run = run_join, .help = "prints an array of strings"},
	{.name = "unwatch", BUILTIN_CALL | BUILTIN_VOID, 1, 1, check_unwatch, emit_unwatch,
	 .run = run_unwatch, .help = "takes off the watchpoints of an address"},
	{.name = "exit", BUILTIN_CALL | BUILTIN_VOID | BUILTIN_ENDS, 0, 1, check_exit, emit_exit,
	 .run = run_exit, .help = "ends the script"},
	{.name = NULL},
};
/* clang-format on */

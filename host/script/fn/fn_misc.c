/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, cgroups, assertions, options of the script. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"
#include "script/fn/format.h"
#include "script/run/runtime.h"
#include "util/text.h"

static int signal_number(const char *name)
{
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *abbrev = sigabbrev_np(i);

		if (abbrev && strcmp(abbrev, name) == 0)
			return i;
	}
	return -1;
}

static const struct type *check_signal(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);
	int64_t v;

	if (t->kind == TY_NONE)
		return t;
	if (n->list->kind == N_STR && signal_number(n->list->name) < 0)
		return sema_error(s, n, "%s is not a valid signal", n->list->name);
	if (n->list->kind != N_STR && !type_is_int(t))
		return sema_error(s, n, "signal only accepts string literals or integers");
	if (const_eval(s->types, n->list, &v) && (v < 1 || v > 64))
		return sema_error(s, n, "%lld is not a valid signal, allowed range: [1,64]",
				  (long long)v);
	return &type_none;
}

static struct operand emit_signal(struct emit *e, struct node *n)
{
	const char *fn = strcmp(n->name, "signal") == 0 ? "send_signal_" : "send_signal_thread";

	if (n->list->kind == N_STR)
		em(e, "%s(%d);", fn, signal_number(n->list->name));
	else
		em(e, "%s(%s);", fn, em_value(e, n->list));
	return opd_none();
}

static const struct type *check_cgroupid(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);
	struct stat st;

	if (n->list->kind != N_STR)
		return sema_error(s, n, "cgroupid() expects a string literal (%s provided)",
				  type_word(t));
	if (stat(n->list->name, &st) != 0)
		return sema_error(s, n, "cgroupid(): %s does not exist", n->list->name);
	n->value = st.st_ino;
	return &type_u64;
}

static struct operand emit_number(struct emit *e, struct node *n)
{
	return opd_value(emf(e, "%lluull", (unsigned long long)n->value));
}

static const struct type *check_cgroup_path(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);

	if (n->list->next)
		sema_expr(s, n->list->next);
	if (t->kind == TY_NONE)
		return t;
	if (!type_is_int(t))
		return sema_error(s, n, "cgroup_path() only supports int arguments (%s provided)",
				  type_word(t));
	return type_plain(s->types, TY_CGROUP_PATH, 8);
}

static struct operand emit_first(struct emit *e, struct node *n)
{
	return opd_value(em_value(e, n->list));
}

static const struct type *check_memcmp(struct sema *s, struct node *n)
{
	int64_t v;

	sema_expr(s, n->list);
	sema_expr(s, n->list->next);
	if (!sema_literal(s, call_arg(n, 2), "memcmp() length", &v))
		return &type_none;
	if (v < 0 || v > (int64_t)s->settings->max_strlen)
		return sema_error(s, n, "memcmp() length must be 0..%llu",
				  (unsigned long long)s->settings->max_strlen);
	n->value = (uint64_t)v;
	return &type_i64;
}

static struct operand emit_memcmp(struct emit *e, struct node *n)
{
	const char *side[2], *addr;
	int t = e->tmp++;
	bool own;

	for (int i = 0; i < 2; i++) {
		side[i] = em_slot(e, (uint32_t)n->value);
		addr = em_address(e, call_arg(n, i), &own);
		em(e, "read_kernel(%s, %llu, 0);", side[i], (unsigned long long)n->value);
		if (own)
			em(e, "read_kernel(%s, %llu, (void *)%s);", side[i],
			   (unsigned long long)n->value, addr);
		else
			em(e, "lp_read(%s, %llu, %s);", side[i], (unsigned long long)n->value,
			   addr);
	}
	if (em_is_long_text(e, (uint32_t)n->value)) {
		addr = em_byte_loop(
			e, n->value,
			emf(e,
			    "\tu64 in = i < %llu;\n"
			    "\ts64 x = in ? ((u8 *)%s)[i] : 0, y = in ? ((u8 *)%s)[i] : 0;\n"
			    "\tr = !in || x != y;\n"
			    "\tw[0] = i + 1;\n"
			    "\tw[1] = x - y;\n",
			    (unsigned long long)n->value, side[0], side[1]),
			1);
		return opd_value(addr);
	}
	em(e, "s64 q%d = 0;", t);
	em_open(e, "for (u32 i = 0; i < %llu; i++)", (unsigned long long)n->value);
	em(e, "q%d = (s64)((u8 *)%s)[i] - (s64)((u8 *)%s)[i];", t, side[0], side[1]);
	em(e, "if (q%d)", t);
	em(e, "\tbreak;");
	em_close(e);
	return opd_value(emf(e, "q%d", t));
}

/* ---- assertions ---- */

static const struct type *check_static_assert(struct sema *s, struct node *n)
{
	int64_t v;

	if (!sema_literal(s, n->list, "static_assert() condition", &v))
		return &type_none;
	sema_expr(s, n->list->next);
	if (!v)
		return sema_error(s, n, "%s",
				  n->list->next->kind == N_STR ? n->list->next->name : "false");
	return &type_none;
}

static struct operand emit_nothing(struct emit *e, struct node *n)
{
	(void)e;
	(void)n;
	return opd_none();
}

/* The message is known now: its arguments are literals. */
static char *fail_text(const struct node *n)
{
	const struct node *arg = n->list->next;
	const char *pos = n->list->name, *from = pos;
	struct conversion c;
	struct buf out = {0};

	for (; format_next(&pos, &c); from = pos) {
		buf_add(&out, from, (size_t)(c.start - from));
		if (c.conv[0] == '%' || !arg) {
			buf_puts(&out, "%");
			continue;
		}
		if (arg->kind == N_STR)
			buf_puts(&out, arg->name);
		else if (arg->kind == N_BOOL)
			buf_puts(&out, arg->value ? "true" : "false");
		else
			buf_printf(&out, c.conv[0] == 'x' ? "%llx" : "%lld", (long long)arg->value);
		arg = arg->next;
	}
	buf_puts(&out, from);
	return buf_take(&out);
}

static const struct type *check_fail(struct sema *s, struct node *n)
{
	char *text;

	for (struct node *a = n->list; a; a = a->next) {
		sema_expr(s, a);
		if (a->kind != N_STR && a->kind != N_INT && a->kind != N_BOOL)
			return sema_error(s, n, "fail() arguments need to be literals");
	}
	if (n->list->kind != N_STR)
		return sema_error(s, n, "first argument to fail() must be a string literal");
	text = fail_text(n);
	sema_error(s, n, "%s", text);
	free(text);
	return &type_none;
}

static const struct type *check_assert(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n->list);

	sema_expr(s, n->list->next);
	if (t->kind != TY_NONE && !type_in_register(t))
		return sema_error(s, n, "assert() only supports int arguments (%s provided)",
				  type_word(t));
	if (n->list->next->kind != N_STR)
		return sema_error(s, n, "assert() expects a string literal as its second argument");
	return &type_none;
}

static struct operand emit_assert(struct emit *e, struct node *n)
{
	struct action *a = em_action(e, n->builtin, n);

	a->text = n->list->next->name;
	a->ends = true;
	em_open(e, "if (!(%s))", em_value(e, n->list));
	em_send(e, a, NULL);
	em_return(e);
	em_close(e);
	return opd_none();
}

/* ---- getopt: the script's own options, known before the run ---- */

/* The text behind --name=, "" for a bare --name, NULL when it was not given. */
static const char *option_text(const struct sema *s, const char *name)
{
	size_t n = strlen(name);

	for (int i = 0; i < s->args->n_options; i++) {
		const char *a = s->args->options[i];

		if (strncmp(a + 2, name, n) != 0)
			continue;
		if (a[2 + n] == '=')
			return a + 3 + n;
		if (!a[2 + n])
			return "";
	}
	return NULL;
}

static const struct type *check_getopt(struct sema *s, struct node *n)
{
	struct node *def = n->list->next;
	const struct type *t = def ? sema_expr(s, def) : &type_bool;
	const char *text;
	int64_t v;

	sema_expr(s, n->list);
	if (n->list->kind != N_STR)
		return sema_error(s, n, "First argument to 'getopt' must be a string literal.");
	if (def && def->kind != N_STR && def->kind != N_BOOL && !const_eval(s->types, def, &v))
		return sema_error(s, n,
				  "Second argument to 'getopt' must be a string literal, integer "
				  "literal, or a boolean literal.");
	text = option_text(s, n->list->name);
	if (!def || def->kind == N_BOOL) {
		n->value = text ? strcmp(text, "false") != 0 && strcmp(text, "0") != 0
				: def && def->value;
		return &type_bool;
	}
	if (def->kind == N_STR) {
		n->d = def;
		if (text) {
			def->name = text;
			def->len = (uint32_t)strlen(text);
			def->type = type_string(s->types, def->len + 1);
		}
		return def->type;
	}
	if (text && text_to_i64(text, &v) != 0)
		return sema_error(s, n, "Invalid value for %s, expected a number: %s",
				  n->list->name, text);
	n->value = (uint64_t)v;
	return t;
}

static struct operand emit_getopt(struct emit *e, struct node *n)
{
	if (n->type->kind == TY_STRING)
		return em_expr(e, n->list->next);
	return opd_value(emf(e, "%lldll", (long long)n->value));
}

/* clang-format off */
const struct builtin builtins_misc[] = {
	{.name = "signal", BUILTIN_CALL | BUILTIN_VOID | BUILTIN_UNSAFE, 1, 1, check_signal,
	 emit_signal, .help = "sends a signal to the process"},
	{.name = "signal_thread", BUILTIN_CALL | BUILTIN_VOID | BUILTIN_UNSAFE, 1, 1,
	 check_signal, emit_signal, .help = "sends a signal to the thread"},
	{.name = "cgroupid", BUILTIN_CALL, 1, 1, check_cgroupid, emit_number,
	 .help = "id of a cgroup"},
	{.name = "cgroup_path", BUILTIN_CALL, 1, 2, check_cgroup_path, emit_first,
	 .help = "path of a cgroup id"},
	{.name = "memcmp", BUILTIN_CALL, 3, 3, check_memcmp, emit_memcmp,
	 .help = "compares bytes"},
	{.name = "assert", BUILTIN_CALL | BUILTIN_VOID | BUILTIN_ENDS, 2, 2, check_assert, emit_assert,
	 .run = run_assert, .help = "ends the script when false"},
	{.name = "static_assert", BUILTIN_CALL | BUILTIN_VOID, 2, 2, check_static_assert,
	 emit_nothing, .help = "refuses the script when false"},
	{.name = "fail", BUILTIN_CALL | BUILTIN_VOID, 1, -1, check_fail, emit_nothing,
	 .help = "refuses the script"},
	{.name = "getopt", BUILTIN_CALL, 1, 3, check_getopt, emit_getopt,
	 .help = "option of the script"},
	{.name = NULL},
};
/* clang-format on */

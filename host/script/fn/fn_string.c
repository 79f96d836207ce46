/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and bytes. */
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"
#include "script/run/runtime.h"

/* The kernel's limit of a loop. */
enum { MAX_ROUNDS = 1 << 23 };

static bool is_address(const struct type *t)
{
	return type_is_int(t) || t->kind == TY_PTR || t->kind == TY_ARRAY || t->kind == TY_STRING ||
	       t->kind == TY_BUFFER;
}

static const struct type *check_str(struct sema *s, struct node *n)
{
	struct node *p = n->list, *len = p->next;
	uint32_t size = (uint32_t)s->settings->max_strlen;
	const struct type *t;
	struct type *out;
	int64_t v;

	if (p->kind == N_PARAM) {
		const char *text =
			p->value <= (uint64_t)s->args->argc ? s->args->argv[p->value - 1] : "";

		p->kind = N_STR;
		p->name = text;
		p->len = (uint32_t)strlen(text);
	}
	t = sema_text(s, p);
	if (t->kind == TY_NONE)
		return t;
	if (!is_address(t))
		return sema_error(s, n,
				  "str() expects a string, integer or a pointer type as first "
				  "argument (%s provided)",
				  type_text(t, (char[128]){0}));
	if (t->kind == TY_STRING && !len)
		return t;
	if (len) {
		t = sema_expr(s, len);
		if (t->kind != TY_NONE && !type_is_int(t))
			return sema_error(s, n, "str() only supports int arguments (%s provided)",
					  type_word(t));
		if (const_eval(s->types, len, &v)) {
			if (v < 0)
				return sema_error(s, n, "strcannot use negative length (%lld)",
						  (long long)v);
			if ((uint64_t)v + 1 > size)
				sema_warn(s, n,
					  "length param (%lld) is too long and will be shortened "
					  "to %u bytes (see BPFTRACE_MAX_STRLEN)",
					  (long long)v, size);
			else
				size = (uint32_t)v + 1;
		}
	}
	out = type_alloc(s->types, TY_STRING);
	out->align = 1;
	out->size = size;
	out->may_truncate = !len;
	return out;
}

static void str_into(struct emit *e, struct node *n, const char *dst, uint32_t size)
{
	struct node *len = n->list->next;
	bool own;
	const char *p = em_address(e, n->list, &own), *l;
	int64_t v;

	em_zero(e, dst, size);
	if (own || (len && !const_eval(e->s->types, len, &v))) {
		l = len ? em_tmp(e, false, "(%s) + 1", em_value(e, len))
			: emf(e, "%u", n->type->size);
		if (len) {
			em(e, "if (%s > %u)", l, n->type->size);
			em(e, "\t%s = %u;", l, n->type->size);
		}
		if (own)
			em(e, "read_kernel_str(%s, %s, (void *)%s);", dst, l, p);
		else
			em_read(e, p, "lp_read_str(%s, %s, %s)", dst, l, p);
		return;
	}
	em_read(e, p, "lp_read_str(%s, %u, %s)", dst, n->type->size, p);
}

static struct operand emit_str(struct emit *e, struct node *n)
{
	const char *slot;

	if (n->list->type->kind == TY_STRING && !n->list->next)
		return em_expr(e, n->list);
	slot = em_slot(e, n->type->size);
	str_into(e, n, slot, n->type->size);
	return opd_mem(slot);
}

static void str_into_checked(struct emit *e, struct node *n, const char *dst, uint32_t size)
{
	if (n->list->type->kind == TY_STRING && !n->list->next)
		em_store(e, em_expr(e, n->list), n->list->type, dst,
			 type_string(e->s->types, size));
	else
		str_into(e, n, dst, size);
}

static const struct type *check_buf(struct sema *s, struct node *n)
{
	struct node *p = n->list, *len = p->next;
	const struct type *t = sema_expr(s, p);
	int64_t size = (int64_t)s->settings->max_strlen;

	if (t->kind == TY_NONE)
		return t;
	if (!is_address(t))
		return sema_error(s, n,
				  "buf() expects an integer, string, or array argument but saw %s",
				  type_word(t));
	if (len) {
		const struct type *lt = sema_expr(s, len);

		if (lt->kind != TY_NONE && !type_is_int(lt))
			return sema_error(s, n, "buf() only supports int arguments (%s provided)",
					  type_word(lt));
		if (!const_eval(s->types, len, &size) || size > (int64_t)s->settings->max_strlen)
			size = (int64_t)s->settings->max_strlen;
		if (size < 0)
			return sema_error(s, n, "bufcannot use negative length (%lld)",
					  (long long)size);
	} else if (t->kind == TY_ARRAY || t->kind == TY_STRING) {
		size = t->size;
	} else {
		return sema_error(s, n, "buf() expects a length argument for non-array type %s",
				  t->kind == TY_PTR ? "pointer" : "int");
	}
	return type_buffer(s->types, (uint32_t)size);
}

static void buf_into(struct emit *e, struct node *n, const char *dst, uint32_t size)
{
	struct node *len = n->list->next;
	uint32_t max = n->type->size - 4;
	bool own;
	const char *p = em_address(e, n->list, &own);
	const char *l = em_tmp(e, false, "%s", len ? em_value(e, len) : emf(e, "%u", max));

	em_zero(e, dst, size);
	em(e, "if (%s > %u)", l, max);
	em(e, "\t%s = %u;", l, max);
	em(e, "*(u32 *)%s = %s;", dst, l);
	em(e, "%s(%s + 4, %s, %s%s);", own ? "read_kernel" : "lp_read", dst, l,
	   own ? "(void *)" : "", p);
}

static struct operand emit_buf(struct emit *e, struct node *n)
{
	const char *slot = em_slot(e, n->type->size);

	buf_into(e, n, slot, n->type->size);
	return opd_mem(slot);
}

static bool two_strings(struct sema *s, struct node *n)
{
	for (int i = 0; i < 2; i++) {
		const struct type *t = sema_text(s, call_arg(n, i));

		if (t->kind == TY_NONE)
			return false;
		if (t->kind != TY_STRING) {
			sema_error(s, n, "%s() only supports string arguments (%s provided)",
				   n->name, type_word(t));
			return false;
		}
	}
	return true;
}

/* What holds text for these functions: a string, and what C programs keep text in. */
static bool is_text(const struct type *t)
{
	return t->kind == TY_STRING || ((t->kind == TY_PTR || t->kind == TY_ARRAY) &&
					type_is_int(t->elem) && t->elem->size == 1);
}

static bool check_texts(struct sema *s, struct node *n)
{
	for (struct node *a = n->list; a; a = a->next) {
		const struct type *t = sema_text(s, a);

		if (t->kind == TY_NONE)
			return false;
		if (!is_text(t)) {
			sema_error(s, n, "%s() only supports string arguments (%s provided)",
				   n->name, type_word(t));
			return false;
		}
	}
	return true;
}

/* The bytes of a text and how many there are at most; the end may be marked by a 0. */
static const char *text_memory(struct emit *e, struct node *n, uint32_t *size)
{
	const char *slot, *from;

	*size = n->kind == N_STR ? n->len : n->type->size;
	if (n->type->kind != TY_PTR)
		return em_memory(e, n);
	*size = (uint32_t)e->s->settings->max_strlen;
	from = em_address(e, n, NULL);
	slot = em_slot(e, *size);
	em_zero(e, slot, *size);
	em_read(e, from, "lp_read_str(%s, %u, %s)", slot, *size, from);
	return slot;
}

static const struct type *check_strncmp(struct sema *s, struct node *n)
{
	int64_t v;

	if (!two_strings(s, n))
		return &type_none;
	sema_expr(s, call_arg(n, 2));
	if (!const_eval(s->types, call_arg(n, 2), &v) || v < 0)
		return sema_error(s, n, "Builtin strncmp requires a non-negative literal");
	n->value = (uint64_t)v;
	return &type_u64;
}

static const char *long_compare(struct emit *e, const char *x, const char *y, uint32_t len)
{
	return em_byte_loop(e, len,
			    emf(e,
				"\tchar x = i < %u ? %s[i] : 0, y = i < %u ? %s[i] : 0;\n"
				"\tw[0] = i + 1;\n"
				"\tr = x != y || !x;\n"
				"\tif (x != y)\n"
				"\t\tw[1] = 1;\n",
				len, x, len, y),
			    1);
}

static struct operand emit_strncmp(struct emit *e, struct node *n)
{
	struct node *a = n->list, *b = a->next;
	const char *x = em_memory(e, a), *y = em_memory(e, b);
	uint32_t size = a->type->size < b->type->size ? a->type->size : b->type->size;
	uint64_t len = n->value < size ? n->value : size;
	int t = e->tmp++;

	if (em_is_long_text(e, (uint32_t)len))
		return opd_value(long_compare(e, em_scratch_text(e, x, size),
					      em_scratch_text(e, y, size), (uint32_t)len));
	em(e, "u64 q%d = 0;", t);
	/* behind the room of the shorter one only the end of the text can be equal */
	em_open(e, "for (u32 i = 0; i < %llu; i++)", (unsigned long long)len);
	em(e, "char x = ((char *)%s)[i], y = ((char *)%s)[i];", x, y);
	em_open(e, "if (x != y)");
	em(e, "q%d = 1;", t);
	em(e, "break;");
	em_close(e);
	em(e, "if (!x)");
	em(e, "\tbreak;");
	em_close(e);
	return opd_value(emf(e, "q%d", t));
}

static const struct type *check_strcontains(struct sema *s, struct node *n)
{
	return check_texts(s, n) ? (n->name[3] == 'c' ? &type_bool : &type_i64) : &type_none;
}

static struct operand found(struct emit *e, const struct node *n, int t)
{
	return opd_value(n->name[3] == 'c' ? emf(e, "(u64)(q%d >= 0)", t) : emf(e, "q%d", t));
}

/* i is where the needle might start, j how much of it is there. */
static const char *long_search(struct emit *e, const char *x, uint32_t hay, const char *y,
			       uint32_t needle)
{
	uint64_t rounds = (uint64_t)hay * (needle + 1);

	x = em_scratch_text(e, x, hay);
	y = em_scratch_text(e, y, needle);
	return em_byte_loop(e, rounds < MAX_ROUNDS ? rounds : MAX_ROUNDS,
			    emf(e,
				"\tu64 at = i + j;\n"
				"\tchar y = j < %u ? %s[j] : 0, x = at < %u ? %s[at] : 0;\n"
				"\tif (!y)\n"
				"\t\tw[2] = i;\n"
				"\tr = !y || (x != y && !x);\n"
				"\tw[0] = x == y ? i : i + 1;\n"
				"\tw[1] = x == y ? j + 1 : z;\n",
				needle, y, hay, x),
			    2);
}

/*
 * Where the needle starts in the haystack, -1 when it does not. One pass with the state of a
 * matcher: at each byte either the match goes on or it starts over behind its first byte.
 */
static struct operand emit_strcontains(struct emit *e, struct node *n)
{
	uint32_t hay, needle;
	const char *x = text_memory(e, n->list, &hay);
	const char *y = text_memory(e, n->list->next, &needle);
	int t = e->tmp++;

	if (em_is_long_text(e, hay + needle)) {
		em(e, "s64 q%d = %s;", t, long_search(e, x, hay, y, needle));
		return found(e, n, t);
	}
	em(e, "s64 q%d = *(char *)%s ? -1 : 0;", t, y);
	em_open(e, "for (u32 i = 0; i < %u; i++)", hay);
	em(e, "u32 j;");
	em(e, "if (q%d >= 0 || !((char *)%s)[i])", t, x);
	em(e, "\tbreak;");
	em_open(e, "for (j = 0; j < %u; j++)", needle);
	em(e, "if (!((char *)%s)[j])", y);
	em(e, "\tbreak;");
	em(e, "if (i + j >= %u || ((char *)%s)[i + j] != ((char *)%s)[j])", hay, x, y);
	em(e, "\tgoto no%d;", t);
	em_close(e);
	em(e, "q%d = i;", t);
	e->indent--;
	em(e, "no%d:;", t);
	e->indent++;
	em_close(e);
	return found(e, n, t);
}

static const struct type *check_strlen(struct sema *s, struct node *n)
{
	return check_texts(s, n) ? &type_u64 : &type_none;
}

static struct operand emit_strlen(struct emit *e, struct node *n)
{
	uint32_t size;
	const char *x = text_memory(e, n->list, &size);
	int t = e->tmp++;

	if (em_is_long_text(e, size)) {
		x = em_scratch_text(e, x, size);
		return opd_value(em_byte_loop(e, size,
					      emf(e,
						  "\tr = i >= %u || !%s[i];\n"
						  "\tw[0] = r ? i : i + 1;\n",
						  size, x),
					      0));
	}
	em(e, "u64 q%d = 0;", t);
	em_open(e, "for (u32 i = 0; i < %u; i++)", size);
	em(e, "if (!((char *)%s)[i])", x);
	em(e, "\tbreak;");
	em(e, "q%d = i + 1;", t);
	em_close(e);
	return opd_value(emf(e, "q%d", t));
}

/* A pointer's room is not known: it is as long as its text. */
static struct operand emit_strcap(struct emit *e, struct node *n)
{
	if (n->list->type->kind == TY_PTR)
		return emit_strlen(e, n);
	return opd_value(emf(e, "%uull", n->list->type->size));
}

static const struct type *check_concat(struct sema *s, struct node *n)
{
	const struct type *a = sema_text(s, n->list), *b = sema_text(s, n->list->next);

	if (a->kind != TY_STRING || b->kind != TY_STRING)
		return a->kind == TY_NONE || b->kind == TY_NONE
			       ? &type_none
			       : sema_error(s, n, "str_concat() only supports string arguments");
	return type_string(s->types, a->size + b->size);
}

static struct operand emit_concat(struct emit *e, struct node *n)
{
	struct node *a = n->list, *b = a->next;
	const char *x = em_memory(e, a), *y = em_memory(e, b), *slot = em_slot(e, n->type->size);
	const char *l;

	em_zero(e, slot, n->type->size);
	l = em_tmp(e, false, "read_kernel_str(%s, %u, %s)", slot, a->type->size, x);
	em(e, "if (%s > %u)", l, a->type->size);
	em(e, "\t%s = 1;", l);
	em(e, "read_kernel_str(%s + %s - 1, %u, %s);", slot, l, b->type->size, y);
	return opd_mem(slot);
}

/* ---- numbers that have names ---- */

static const struct type *named_number(struct sema *s, struct node *n, enum type_kind kind)
{
	const struct type *t = sema_expr(s, n->list);
	struct buf text = {0};
	int64_t v;

	if (t->kind == TY_NONE)
		return t;
	if (!type_is_int(t))
		return sema_error(s, n, "%s() only supports int arguments (%s provided)", n->name,
				  type_word(t));
	if (const_eval(s->types, n->list, &v)) {
		number_name(kind, (uint64_t)v, &text);
		node_become(n, &(struct node){.kind = N_STR,
					      .name = arena_strdup(s->arena, buf_str(&text)),
					      .len = (uint32_t)text.len});
		buf_free(&text);
		return sema_expr(s, n);
	}
	return type_plain(s->types, kind, 8);
}

static const struct type *check_strerror(struct sema *s, struct node *n)
{
	return named_number(s, n, TY_STRERROR);
}

static const struct type *check_signal_name(struct sema *s, struct node *n)
{
	return named_number(s, n, TY_SIGNAL);
}

static const struct type *check_syscall_name(struct sema *s, struct node *n)
{
	return named_number(s, n, TY_SYSCALL);
}

static struct operand emit_same(struct emit *e, struct node *n)
{
	return opd_value(em_value(e, n->list));
}

static const struct type *check_pointer(struct sema *s, struct node *n)
{
	return sema_expr(s, n->list);
}

/* clang-format off */
const struct builtin builtins_string[] = {
	{.name = "str", BUILTIN_CALL, 1, 2, check_str, emit_str, .emit_into = str_into_checked,
	 .help = "string at an address"},
	{.name = "buf", BUILTIN_CALL, 1, 2, check_buf, emit_buf, .emit_into = buf_into,
	 .help = "bytes at an address"},
	{.name = "strncmp", BUILTIN_CALL, 3, 3, check_strncmp, emit_strncmp,
	 .help = "0 when the first n bytes are equal"},
	{.name = "strcontains", BUILTIN_CALL, 2, 2, check_strcontains, emit_strcontains,
	 .help = "whether a string holds another"},
	{.name = "strstr", BUILTIN_CALL, 2, 2, check_strcontains, emit_strcontains,
	 .help = "where a string holds another, -1: nowhere"},
	{.name = "strlen", BUILTIN_CALL, 1, 1, check_strlen, emit_strlen, .help = "length"},
	{.name = "strcap", BUILTIN_CALL, 1, 1, check_strlen, emit_strcap,
	 .help = "room of a string"},
	{.name = "str_concat", BUILTIN_CALL, 2, 2, check_concat, emit_concat, .help = "a and b"},
	{.name = "strerror", BUILTIN_CALL, 1, 1, check_strerror, emit_same,
	 .help = "text of an errno"},
	{.name = "signal_name", BUILTIN_CALL, 1, 1, check_signal_name, emit_same,
	 .help = "name of a signal"},
	{.name = "syscall_name", BUILTIN_CALL, 1, 1, check_syscall_name, emit_same,
	 .help = "name of a system call"},
	{.name = "kptr", BUILTIN_CALL, 1, 1, check_pointer, emit_same,
	 .help = "a kernel address"},
	{.name = "uptr", BUILTIN_CALL, 1, 1, check_pointer, emit_same, .help = "a user address"},
	{.name = NULL},
};
/* clang-format on */

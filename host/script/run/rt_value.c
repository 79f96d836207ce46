/* SPDX-License-Identifier: Apache-2.0 */
/* Values as text and as JSON. */
#include <arpa/inet.h>
#include <ctype.h>
#include <linux/bpf.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/kmap.h"
#include "script/fn/builtin.h"
#include "script/fn/format.h"
#include "script/run/runtime.h"
#include "script/probe/syscalls.h"
#include "util/clock.h"

static uint64_t word(const uint8_t *p, size_t i)
{
	uint64_t v;

	memcpy(&v, p + i * 8, 8);
	return v;
}

static uint64_t c_word(const struct type *t, const uint8_t *p)
{
	uint64_t v = 0;

	memcpy(&v, p, t->size <= 8 ? t->size : 8);
	if (t->is_signed && t->size < 8)
		v = (uint64_t)((int64_t)(v << (64 - 8 * t->size)) >> (64 - 8 * t->size));
	return v;
}

static void put_int(struct buf *out, const struct type *t, uint64_t v)
{
	const char *name = t->kind == TY_ENUM ? type_enum_name(t, (int64_t)v) : NULL;

	if (name)
		buf_puts(out, name);
	else if (t->kind == TY_BOOL)
		buf_puts(out, v ? "true" : "false");
	else if (t->is_signed)
		buf_printf(out, "%lld", (long long)v);
	else
		buf_printf(out, "%llu", (unsigned long long)v);
}

static void put_string(struct runtime *r, struct buf *out, const struct type *t,
		       const uint8_t *data)
{
	size_t n = strnlen((const char *)data, t->size);

	buf_add(out, data, n);
	if (t->may_truncate && n + 1 >= t->size)
		buf_puts(out, r->settings->str_trunc_trailer);
}

static void put_buffer(struct buf *out, const struct type *t, const uint8_t *data, char mode)
{
	uint32_t len;

	memcpy(&len, data, 4);
	if (len > t->size - 4)
		len = t->size - 4;
	for (uint32_t i = 0; i < len; i++) {
		uint8_t c = data[4 + i];

		if (mode == 'h')
			buf_printf(out, "%s%02x", i ? " " : "", c);
		else if (mode == 'x' || c < 32 || c > 126 || c == '\\')
			buf_printf(out, "\\x%02x", c);
		else
			buf_putc(out, (char)c);
	}
}

/* ---- names ---- */

static void put_symbol(struct runtime *r, struct buf *out, const struct type *t,
		       const uint8_t *data)
{
	struct symbol_at at;
	uint64_t address = word(data, 0);
	bool found = t->kind == TY_KSYM
			     ? symbols_kernel(r->symbols, address, &at)
			     : symbols_user(r->symbols, (pid_t)word(data, 1), address, &at);

	if (found)
		buf_puts(out, at.name);
	else
		buf_printf(out, "0x%llx", (unsigned long long)address);
}

static void put_inet(struct buf *out, const uint8_t *data)
{
	char text[INET6_ADDRSTRLEN] = "";
	int af = (int)word(data, 0);

	if ((af == AF_INET || af == AF_INET6) && inet_ntop(af, data + 8, text, sizeof(text)))
		buf_puts(out, text);
}

static void put_mac(struct buf *out, const uint8_t *d)
{
	buf_printf(out, "%02X:%02X:%02X:%02X:%02X:%02X", d[0], d[1], d[2], d[3], d[4], d[5]);
}

static void put_cookie(struct runtime *r, struct buf *out, const struct type *t, uint64_t cookie)
{
	const struct probe_match *m;

	if (cookie >= r->code->n_matches)
		return;
	m = r->code->matches[cookie];
	if (t->kind == TY_PROBE)
		buf_puts(out, m->name);
	else if (m->func)
		buf_puts(out, symbols_demangle(r->symbols, m->func));
}

static void put_username(struct buf *out, uint64_t uid)
{
	struct passwd *pw = getpwuid((uid_t)uid);

	if (pw)
		buf_puts(out, pw->pw_name);
	else
		buf_printf(out, "%llu", (unsigned long long)uid);
}

/* Nothing when the process is gone. */
static void put_comm(struct buf *out, uint64_t pid)
{
	char path[64], name[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%llu/comm", (unsigned long long)pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(name, sizeof(name), f))
		buf_add(out, name, strcspn(name, "\n"));
	fclose(f);
}

static void put_signal(struct buf *out, uint64_t n)
{
	const char *name = n < NSIG ? sigabbrev_np((int)n) : NULL;

	if (name)
		buf_printf(out, "SIG%s", name);
	else
		buf_printf(out, "Unknown signal: %llu", (unsigned long long)n);
}

void number_name(enum type_kind kind, uint64_t n, struct buf *out)
{
	if (kind == TY_STRERROR)
		buf_puts(out, strerror((int)n));
	else if (kind == TY_SIGNAL)
		put_signal(out, n);
	else
		put_syscall_name(out, n);
}

void format_time(struct buf *out, const char *fmt, clockid_t clock, uint64_t ns)
{
	char *with_us = xstrdup(fmt), *p, text[512];
	uint64_t t = ns + clock_read(CLOCK_REALTIME) - clock_read(clock);
	time_t sec = (time_t)(t / 1000000000);
	struct tm tm;

	localtime_r(&sec, &tm);
	while ((p = strstr(with_us, "%f"))) {
		char *next = xasprintf("%.*s%06u%s", (int)(p - with_us), with_us,
				       (unsigned)(t % 1000000000 / 1000), p + 2);

		free(with_us);
		with_us = next;
	}
	if (strftime(text, sizeof(text), with_us, &tm))
		buf_puts(out, text);
	free(with_us);
}

static void put_timestamp(struct runtime *r, struct buf *out, const uint8_t *data)
{
	uint64_t id = word(data, 0);
	const struct action *a = id < r->code->n_actions ? r->actions[id] : NULL;

	if (a && a->text)
		format_time(out, a->text, a->num[0] ? (clockid_t)a->num[0] : CLOCK_MONOTONIC,
			    word(data, 1));
}

static bool put_special(struct runtime *r, struct buf *out, const struct type *t,
			const uint8_t *data, int indent)
{
	switch (t->kind) {
	case TY_KSTACK:
	case TY_USTACK:
		stack_text(r, out, t, data, indent);
		return true;
	case TY_KSYM:
	case TY_USYM:
		put_symbol(r, out, t, data);
		return true;
	case TY_INET:
		put_inet(out, data);
		return true;
	case TY_MAC:
		put_mac(out, data);
		return true;
	case TY_USERNAME:
		put_username(out, word(data, 0));
		return true;
	case TY_COMM:
		put_comm(out, word(data, 0));
		return true;
	case TY_TIMESTAMP:
		put_timestamp(r, out, data);
		return true;
	case TY_CGROUP_PATH:
		put_cgroup_path(out, word(data, 0));
		return true;
	case TY_STRERROR:
	case TY_SIGNAL:
	case TY_SYSCALL:
		number_name(t->kind, word(data, 0), out);
		return true;
	case TY_PROBE:
	case TY_FUNC:
		put_cookie(r, out, t, word(data, 0));
		return true;
	default:
		return false;
	}
}

/* ---- composed ---- */

static void put_value(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data,
		      int indent, bool c_layout);

static uint64_t bitfield(const struct field *f, const uint8_t *data)
{
	uint64_t v = c_word(type_int(f->type->size, false), data);

	v <<= 64 - f->bit_size - f->bit_offset;
	return f->type->is_signed ? (uint64_t)((int64_t)v >> (64 - f->bit_size))
				  : v >> (64 - f->bit_size);
}

/* Members of an anonymous struct or union stand among those of the one around it. */
static void put_members(struct runtime *r, struct buf *out, const struct type *t,
			const uint8_t *data, int indent, bool *first)
{
	bool c_layout = t->kind == TY_STRUCT;

	for (size_t i = 0; i < t->fields->n; i++) {
		const struct field *f = &t->fields->v[i];

		if (c_layout && (f->offset + f->type->size > t->size || (!f->name && f->bit_size)))
			continue;
		if (c_layout && !f->name && f->type->kind == TY_STRUCT) {
			put_members(r, out, f->type, data + f->offset, indent, first);
			continue;
		}
		buf_puts(out, *first ? "" : ", ");
		*first = false;
		if (f->name)
			buf_printf(out, ".%s = ", f->name);
		if (f->bit_size)
			put_int(out, f->type, bitfield(f, data + f->offset));
		else
			put_value(r, out, f->type, data + f->offset, indent, c_layout);
	}
}

static void put_fields(struct runtime *r, struct buf *out, const struct type *t,
		       const uint8_t *data, int indent)
{
	bool first = true;

	if (!t->fields->n) {
		buf_puts(out, t->kind == TY_TUPLE ? "()" : "{}");
		return;
	}
	buf_puts(out, t->kind == TY_TUPLE ? "(" : "{ ");
	put_members(r, out, t, data, indent, &first);
	buf_puts(out, t->kind == TY_TUPLE ? ")" : " }");
}

static void put_array(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data,
		      int indent)
{
	if (t->elem->is_char) {
		buf_add(out, data, strnlen((const char *)data, t->size));
		return;
	}
	buf_putc(out, '[');
	for (uint32_t i = 0; i < t->count; i++) {
		buf_puts(out, i ? "," : "");
		put_value(r, out, t->elem, data + i * t->elem->size, indent, true);
	}
	buf_putc(out, ']');
}

static void put_value(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data,
		      int indent, bool c_layout)
{
	switch (t->kind) {
	case TY_BOOL:
	case TY_INT:
	case TY_ENUM:
		put_int(out, t, c_layout ? c_word(t, data) : word(data, 0));
		break;
	case TY_PTR:
		buf_printf(out, "0x%llx", (unsigned long long)word(data, 0));
		break;
	case TY_STRING:
		put_string(r, out, t, data);
		break;
	case TY_BUFFER:
		put_buffer(out, t, data, 'r');
		break;
	case TY_ARRAY:
		put_array(r, out, t, data, indent);
		break;
	case TY_STRUCT:
	case TY_TUPLE:
	case TY_RECORD:
		put_fields(r, out, t, data, indent);
		break;
	default:
		put_special(r, out, t, data, indent);
	}
}

void value_text(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data,
		int indent)
{
	put_value(r, out, t, data, indent, false);
}

void value_key_text(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data)
{
	if (t->kind != TY_TUPLE) {
		put_value(r, out, t, data, 4, false);
		return;
	}
	for (size_t i = 0; i < t->fields->n; i++) {
		buf_puts(out, i ? ", " : "");
		put_value(r, out, t->fields->v[i].type, data + t->fields->v[i].offset, 4, false);
	}
}

/* ---- JSON ---- */

void json_string(struct buf *out, const char *s, size_t len)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		static const char esc[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
		const char *p = c ? strchr(esc, c) : NULL;

		if (p)
			buf_printf(out, "\\%c", names[p - esc]);
		else if (c < 32)
			buf_printf(out, "\\u%04x", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
}

static void json_int(struct buf *out, const struct type *t, uint64_t v)
{
	/* not exact as a double: most readers would round it */
	bool exact = t->is_signed ? llabs((long long)v) <= 1ll << 53 : v <= 1ull << 53;

	if (t->kind == TY_BOOL) {
		buf_puts(out, v ? "true" : "false");
		return;
	}
	buf_printf(out, exact ? "" : "\"");
	buf_printf(out, t->is_signed ? "%lld" : "%llu", (long long)v);
	buf_printf(out, exact ? "" : "\"");
}

static void json_value(struct runtime *r, struct buf *out, const struct type *t,
		       const uint8_t *data, bool c_layout);

static void json_array(struct runtime *r, struct buf *out, const struct type *t,
		       const uint8_t *data)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < t->count; i++) {
		buf_puts(out, i ? "," : "");
		json_value(r, out, t->elem, data + i * t->elem->size, true);
	}
	buf_putc(out, ']');
}

static void json_members(struct runtime *r, struct buf *out, const struct type *t,
			 const uint8_t *data, bool *first)
{
	bool named = t->kind != TY_TUPLE, c_layout = t->kind == TY_STRUCT;

	for (size_t i = 0; i < t->fields->n; i++) {
		const struct field *f = &t->fields->v[i];

		if (c_layout && !f->name && f->type->kind == TY_STRUCT) {
			json_members(r, out, f->type, data + f->offset, first);
			continue;
		}
		buf_puts(out, *first ? "" : named ? ", " : ",");
		*first = false;
		if (named) {
			json_string(out, f->name ? f->name : "", f->name ? strlen(f->name) : 0);
			buf_puts(out, ": ");
		}
		if (f->bit_size)
			json_int(out, f->type, bitfield(f, data + f->offset));
		else
			json_value(r, out, f->type, data + f->offset, c_layout);
	}
}

static void json_fields(struct runtime *r, struct buf *out, const struct type *t,
			const uint8_t *data)
{
	bool named = t->kind != TY_TUPLE, first = true;

	buf_putc(out, named ? '{' : '[');
	json_members(r, out, t, data, &first);
	buf_putc(out, named ? '}' : ']');
}

/* Bytes need not be text: a list of numbers, of signed ones as char is. */
static void json_buffer(struct buf *out, const struct type *t, const uint8_t *data)
{
	uint32_t len;

	memcpy(&len, data, 4);
	buf_putc(out, '[');
	for (uint32_t i = 0; i < len && i + 4 < t->size; i++)
		buf_printf(out, "%s%d", i ? "," : "", (int8_t)data[4 + i]);
	buf_putc(out, ']');
}

static void json_value(struct runtime *r, struct buf *out, const struct type *t,
		       const uint8_t *data, bool c_layout)
{
	struct buf text = {0};

	switch (t->kind) {
	case TY_BOOL:
	case TY_INT:
	case TY_ENUM:
		json_int(out, t, c_layout ? c_word(t, data) : word(data, 0));
		return;
	case TY_PTR:
		json_int(out, &type_u64, word(data, 0));
		return;
	case TY_BUFFER:
		json_buffer(out, t, data);
		return;
	case TY_ARRAY:
		if (!t->elem->is_char) {
			json_array(r, out, t, data);
			return;
		}
		break;
	case TY_STRUCT:
	case TY_TUPLE:
	case TY_RECORD:
		json_fields(r, out, t, data);
		return;
	default:
		break;
	}
	put_value(r, &text, t, data, 4, false);
	json_string(out, buf_str(&text), text.len);
	buf_free(&text);
}

void value_json(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data)
{
	json_value(r, out, t, data, false);
}

/* ---- printf ---- */

static void put_padded(struct buf *out, const struct conversion *c, int width, int precision,
		       const char *text, size_t len)
{
	bool left = strchr(c->flags, '-') || width < 0;
	size_t w = width < 0 ? (size_t)-width : (size_t)width;

	if (precision >= 0 && (size_t)precision < len)
		len = (size_t)precision;
	if (width == -1 && !left)
		w = 0;
	if (!left)
		buf_printf(out, "%*s", (int)(w > len ? w - len : 0), "");
	buf_add(out, text, len);
	if (left)
		buf_printf(out, "%*s", (int)(w > len ? w - len : 0), "");
}

/* The conversion again with our own length: every integer is 64 bits here. */
static void put_number(struct buf *out, const struct conversion *c, int width, int precision,
		       uint64_t v)
{
	char fmt[48];
	size_t n = 0;
	char conv = c->conv[0] == 'p' ? 'x' : c->conv[0] == 'g' ? 'x' : c->conv[0];

	if (c->size < 8)
		v = strchr("di", conv)
			    ? (uint64_t)((int64_t)(v << (64 - 8 * c->size)) >> (64 - 8 * c->size))
			    : v & ((1ull << 8 * c->size) - 1);
	if (c->conv[0] == 'p')
		buf_puts(out, width > 0 ? "" : "0x");
	n += (size_t)snprintf(fmt + n, sizeof(fmt) - n, "%%%s", c->flags);
	if (c->conv[0] == 'p' && width > 0)
		n += (size_t)snprintf(fmt + n, sizeof(fmt) - n, "#");
	if (width >= 0)
		n += (size_t)snprintf(fmt + n, sizeof(fmt) - n, "%d", width);
	if (precision >= 0)
		n += (size_t)snprintf(fmt + n, sizeof(fmt) - n, ".%d", precision);
	if (conv == 'c') {
		snprintf(fmt + n, sizeof(fmt) - n, "c");
		buf_printf(out, fmt, (int)v);
		return;
	}
	snprintf(fmt + n, sizeof(fmt) - n, "ll%c", conv);
	buf_printf(out, fmt, (long long)v);
}

static void put_conversion(struct runtime *r, struct buf *out, const struct conversion *c,
			   int width, int precision, const struct type *t, const uint8_t *data)
{
	struct buf text = {0};

	switch (c->conv[0]) {
	case 's':
		value_text(r, &text, t, data, 8);
		put_padded(out, c, width, precision, buf_str(&text), text.len);
		break;
	case 'r':
		put_buffer(&text, t, data, c->conv[1] ? c->conv[1] : 'r');
		put_padded(out, c, width, -1, buf_str(&text), text.len);
		break;
	default:
		put_number(out, c, width, precision, word(data, 0));
	}
	buf_free(&text);
}

void format_values(struct runtime *r, struct buf *out, const struct action *a, const uint8_t *data)
{
	const char *pos = a->text, *from = pos;
	struct conversion c;
	size_t i = 0;

	for (; format_next(&pos, &c); from = pos) {
		int width = c.width, precision = c.precision;

		buf_add(out, from, (size_t)(c.start - from));
		if (c.conv[0] == '%') {
			buf_putc(out, '%');
			continue;
		}
		if (c.width_arg && i < a->n_args)
			width = (int)word(data + a->args[i++].offset, 0);
		if (c.precision_arg && i < a->n_args)
			precision = (int)word(data + a->args[i++].offset, 0);
		if (i < a->n_args) {
			put_conversion(r, out, &c, width, precision, a->args[i].type,
				       data + a->args[i].offset);
			i++;
		}
	}
	buf_puts(out, from);
}

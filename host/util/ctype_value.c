/* SPDX-License-Identifier: Apache-2.0 */
/* Values of C types: as text and as JSON. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util/ctype.h"

static bool is_number(const struct ctype *t)
{
	return t->kind == CTYPE_INT || t->kind == CTYPE_BOOL || t->kind == CTYPE_CHAR ||
	       t->kind == CTYPE_POINTER;
}

static uint64_t read_bytes(const void *data, uint32_t size)
{
	uint64_t v = 0;

	memcpy(&v, data, size);
	return v;
}

static int64_t extend(uint64_t v, unsigned bits, bool is_signed)
{
	if (is_signed && bits < 64 && (v >> (bits - 1) & 1))
		v |= ~0ULL << bits;
	return (int64_t)v;
}

bool ctype_integer(const struct ctype *t, const void *data, size_t len, int64_t *out)
{
	if (!is_number(t) || t->size > 8 || len < t->size)
		return false;
	*out = extend(read_bytes(data, t->size), t->size * 8, t->is_signed);
	return true;
}

static bool field_integer(const struct ctype_field *f, const void *data, size_t len, int64_t *out)
{
	uint64_t v;

	if (!f->bits)
		return ctype_integer(f->type, data, len, out);
	if (len < f->type->size)
		return false;
	v = read_bytes(data, f->type->size) >> f->bit;
	if (f->bits < 64)
		v &= (1ULL << f->bits) - 1;
	*out = extend(v, f->bits, f->type->is_signed);
	return true;
}

static const char *enum_name(const struct ctype *t, int64_t v)
{
	for (size_t i = 0; i < t->n_enums; i++)
		if (t->enums[i].value == v || t->enums[i].value == (int32_t)v)
			return t->enums[i].name;
	return NULL;
}

static void print_integer(const struct ctype *t, int64_t v, struct buf *out)
{
	const char *name = enum_name(t, v);

	if (name)
		buf_puts(out, name);
	else if (t->kind == CTYPE_BOOL)
		buf_puts(out, v ? "true" : "false");
	else if (t->kind == CTYPE_POINTER)
		buf_printf(out, "0x%llx", (unsigned long long)v);
	else if (t->is_signed)
		buf_printf(out, "%lld", (long long)v);
	else
		buf_printf(out, "%llu", (unsigned long long)v);
}

/* Plain chars up to the first NUL are text; unsigned ones are bytes. */
static bool is_text(const struct ctype *t)
{
	return t->kind == CTYPE_ARRAY && t->elem->kind == CTYPE_CHAR;
}

/* Bytes that are no printable ASCII are written \xNN. */
static void print_text(const char *s, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len && s[i]; i++) {
		if (isprint((unsigned char)s[i]) && s[i] != '\\')
			buf_putc(out, s[i]);
		else
			buf_printf(out, s[i] == '\\' ? "\\\\" : "\\x%02x", (unsigned char)s[i]);
	}
}

static void print_wide(const void *data, struct buf *out)
{
	uint64_t half[2];

	memcpy(half, data, sizeof(half));
	buf_printf(out, "0x%016llx%016llx", (unsigned long long)half[1],
		   (unsigned long long)half[0]);
}

static double read_float(const struct ctype *t, const void *data)
{
	float f;
	double d;

	if (t->size == sizeof(f)) {
		memcpy(&f, data, sizeof(f));
		return f;
	}
	memcpy(&d, data, sizeof(d));
	return d;
}

static void print_array(const struct ctype *t, const char *data, size_t len, struct buf *out)
{
	if (is_text(t)) {
		print_text(data, len < t->size ? len : t->size, out);
		return;
	}
	buf_putc(out, '[');
	for (uint32_t i = 0; i < t->count; i++) {
		size_t at = (size_t)i * t->elem->size;

		if (i)
			buf_puts(out, ", ");
		ctype_print(t->elem, data + (at < len ? at : len), at < len ? len - at : 0, out);
	}
	buf_putc(out, ']');
}

static void print_members(const struct ctype *t, const char *data, size_t len, bool *first,
			  struct buf *out)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct ctype_field *f = &t->fields[i];
		size_t at = f->offset < len ? f->offset : len;
		int64_t v;

		if (f->pad)
			continue;
		if (!*f->name && f->type->n_fields) {
			print_members(f->type, data + at, len - at, first, out);
			continue;
		}
		buf_printf(out, "%s%s = ", *first ? "" : ", ", f->name);
		*first = false;
		if (f->bits && field_integer(f, data + at, len - at, &v))
			print_integer(f->type, v, out);
		else
			ctype_print(f->type, data + at, len - at, out);
	}
}

void ctype_print(const struct ctype *t, const void *data, size_t len, struct buf *out)
{
	bool first = true;
	int64_t v;

	if (t->kind == CTYPE_ARRAY) {
		print_array(t, data, len, out);
	} else if (t->kind == CTYPE_STRUCT || t->kind == CTYPE_UNION) {
		buf_putc(out, '{');
		print_members(t, data, len, &first, out);
		buf_putc(out, '}');
	} else if (len < t->size) {
		buf_putc(out, '?');
	} else if (ctype_integer(t, data, len, &v)) {
		print_integer(t, v, out);
	} else if (t->kind == CTYPE_FLOAT) {
		buf_printf(out, "%.6g", read_float(t, data));
	} else {
		print_wide(data, out);
	}
}

/* Numbers that a double cannot hold are written digit by digit. */
static cJSON *integer_value(const struct ctype *t, int64_t v)
{
	struct buf text = {0};
	cJSON *out;

	print_integer(t, v, &text);
	if (t->kind == CTYPE_BOOL)
		out = cJSON_CreateBool(v != 0);
	else if (enum_name(t, v) || t->kind == CTYPE_POINTER)
		out = cJSON_CreateString(buf_str(&text));
	else
		out = cJSON_CreateRaw(buf_str(&text));
	buf_free(&text);
	return out;
}

static cJSON *text_value(const struct ctype *t, const void *data, size_t len)
{
	struct buf text = {0};
	cJSON *out;

	ctype_print(t, data, len, &text);
	out = cJSON_CreateString(buf_str(&text));
	buf_free(&text);
	return out;
}

static cJSON *array_value(const struct ctype *t, const char *data, size_t len)
{
	cJSON *out = cJSON_CreateArray();

	for (uint32_t i = 0; i < t->count; i++) {
		size_t at = (size_t)i * t->elem->size;

		cJSON_AddItemToArray(out, ctype_value(t->elem, data + (at < len ? at : len),
						      at < len ? len - at : 0));
	}
	return out;
}

static void add_members(cJSON *out, const struct ctype *t, const char *data, size_t len)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct ctype_field *f = &t->fields[i];
		size_t at = f->offset < len ? f->offset : len;
		int64_t v;

		if (f->pad)
			continue;
		if (!*f->name && f->type->n_fields)
			add_members(out, f->type, data + at, len - at);
		else if (f->bits && field_integer(f, data + at, len - at, &v))
			cJSON_AddItemToObject(out, f->name, integer_value(f->type, v));
		else
			cJSON_AddItemToObject(out, f->name,
					      ctype_value(f->type, data + at, len - at));
	}
}

cJSON *ctype_value(const struct ctype *t, const void *data, size_t len)
{
	cJSON *out;
	int64_t v;

	if (t->kind == CTYPE_STRUCT || t->kind == CTYPE_UNION) {
		out = cJSON_CreateObject();
		add_members(out, t, data, len);
		return out;
	}
	if (t->kind == CTYPE_ARRAY)
		return is_text(t) ? text_value(t, data, len) : array_value(t, data, len);
	if (len < t->size)
		return cJSON_CreateNull();
	return ctype_integer(t, data, len, &v) ? integer_value(t, v) : text_value(t, data, len);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "util/ctype.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum ctype_kind kind;
	bool is_signed;
	uint32_t size;
} basics[] = {
	{"char", CTYPE_CHAR, true, 1},
	{"signed char", CTYPE_INT, true, 1},
	{"unsigned char", CTYPE_INT, false, 1},
	{"_Bool", CTYPE_BOOL, false, 1},
	{"bool", CTYPE_BOOL, false, 1},
	{"short", CTYPE_INT, true, 2},
	{"unsigned short", CTYPE_INT, false, 2},
	{"int", CTYPE_INT, true, 4},
	{"unsigned int", CTYPE_INT, false, 4},
	{"unsigned", CTYPE_INT, false, 4},
	{"long", CTYPE_INT, true, 8},
	{"unsigned long", CTYPE_INT, false, 8},
	{"long long", CTYPE_INT, true, 8},
	{"unsigned long long", CTYPE_INT, false, 8},
	{"__int128", CTYPE_INT, true, 16},
	{"unsigned __int128", CTYPE_INT, false, 16},
	{"float", CTYPE_FLOAT, true, 4},
	{"double", CTYPE_FLOAT, true, 8},
	{"u8", CTYPE_INT, false, 1},
	{"u16", CTYPE_INT, false, 2},
	{"u32", CTYPE_INT, false, 4},
	{"u64", CTYPE_INT, false, 8},
	{"s8", CTYPE_INT, true, 1},
	{"s16", CTYPE_INT, true, 2},
	{"s32", CTYPE_INT, true, 4},
	{"s64", CTYPE_INT, true, 8},
	{"uint8_t", CTYPE_INT, false, 1},
	{"uint16_t", CTYPE_INT, false, 2},
	{"uint32_t", CTYPE_INT, false, 4},
	{"uint64_t", CTYPE_INT, false, 8},
	{"int8_t", CTYPE_INT, true, 1},
	{"int16_t", CTYPE_INT, true, 2},
	{"int32_t", CTYPE_INT, true, 4},
	{"int64_t", CTYPE_INT, true, 8},
	{"__u8", CTYPE_INT, false, 1},
	{"__u16", CTYPE_INT, false, 2},
	{"__u32", CTYPE_INT, false, 4},
	{"__u64", CTYPE_INT, false, 8},
	{"__s32", CTYPE_INT, true, 4},
	{"__s64", CTYPE_INT, true, 8},
	{"size_t", CTYPE_INT, false, 8},
	{"ssize_t", CTYPE_INT, true, 8},
	{"pid_t", CTYPE_INT, true, 4},
	{"uid_t", CTYPE_INT, false, 4},
	{"gid_t", CTYPE_INT, false, 4},
	{"dev_t", CTYPE_INT, false, 4},
	{"uintptr_t", CTYPE_INT, false, 8},
	{"loff_t", CTYPE_INT, true, 8},
};

static struct ctype *new_type(enum ctype_kind kind, const char *name, uint32_t size)
{
	struct ctype *t = xcalloc(1, sizeof(*t));

	t->kind = kind;
	t->name = xstrdup(name);
	t->size = t->align = size;
	return t;
}

void ctype_free(struct ctype *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_fields; i++) {
		free(t->fields[i].name);
		ctype_free(t->fields[i].type);
	}
	for (size_t i = 0; i < t->n_enums; i++)
		free(t->enums[i].name);
	ctype_free(t->elem);
	free(t->fields);
	free(t->enums);
	free(t->name);
	free(t);
}

static struct ctype *basic(const char *name, size_t len)
{
	static const char *const skip[] = {"const ", "volatile ", "enum "};

	for (size_t i = 0; i < ARRAY_LEN(skip); i++) {
		size_t n = strlen(skip[i]);

		if (len > n && memcmp(name, skip[i], n) == 0)
			return i == 2 ? new_type(CTYPE_INT, "unsigned int", 4)
				      : basic(name + n, len - n);
	}
	if (len && name[len - 1] == '*')
		return new_type(CTYPE_POINTER, "void *", 8);
	for (size_t i = 0; i < ARRAY_LEN(basics); i++)
		if (strlen(basics[i].name) == len && memcmp(basics[i].name, name, len) == 0) {
			struct ctype *t = new_type(basics[i].kind, basics[i].name, basics[i].size);

			t->is_signed = basics[i].is_signed;
			return t;
		}
	return NULL;
}

static struct ctype *array_of(struct ctype *elem, uint64_t count)
{
	struct ctype *t;

	if (!elem || count > CTYPE_SIZE_MAX || count * elem->size > CTYPE_SIZE_MAX) {
		ctype_free(elem);
		return NULL;
	}
	t = new_type(CTYPE_ARRAY, "", (uint32_t)count * elem->size);
	t->align = elem->align;
	t->elem = elem;
	t->count = (uint32_t)count;
	return t;
}

struct ctype *ctype_of_name(const char *name)
{
	size_t len = strcspn(name, "[");
	const char *dims = name + len;
	uint64_t count[CTYPE_DEPTH_MAX];
	struct ctype *t;
	int n = 0;

	while (len && name[len - 1] == ' ')
		len--;
	for (; *dims; n++) {
		char *end;

		if (*dims != '[' || n == CTYPE_DEPTH_MAX)
			return NULL;
		count[n] = strtoull(dims + 1, &end, 10);
		if (end == dims + 1 || *end != ']')
			return NULL;
		dims = end + 1;
	}
	t = basic(name, len);
	while (t && n--)
		t = array_of(t, count[n]);
	return t;
}

static struct ctype_field *add_field(struct ctype *st, const char *name, struct ctype *type)
{
	struct ctype_field *f;

	st->fields = xreallocarray(st->fields, st->n_fields + 1, sizeof(*st->fields));
	f = &st->fields[st->n_fields++];
	*f = (struct ctype_field){.name = xstrdup(name), .type = type};
	f->pad = strncmp(name, "__pad_", 6) == 0;
	return f;
}

static uint32_t align_up(uint32_t n, uint32_t to)
{
	return to ? (n + to - 1) / to * to : n;
}

void ctype_add(struct ctype *st, const char *name, struct ctype *type)
{
	struct ctype_field *f = add_field(st, name, type);

	if (type->align > st->align)
		st->align = type->align;
	f->offset = align_up(st->size, type->align);
	st->size = f->offset + type->size;
}

struct ctype *ctype_struct_new(const char *name)
{
	struct ctype *t = new_type(CTYPE_STRUCT, name, 0);

	t->align = 1;
	return t;
}

static struct ctype *parse(const cJSON *json, int depth);

/* Where the next member goes, in bits from the start. */
struct cursor {
	uint64_t bit;
	bool packed, is_union;
};

/* Bit fields lie as gcc and clang put them: never across a boundary of their own type's size. */
static void place_bits(struct cursor *c, struct ctype_field *f, unsigned bits)
{
	uint64_t unit = (uint64_t)f->type->size * 8;

	if (c->bit / unit != (c->bit + bits - 1) / unit)
		c->bit = (c->bit + unit - 1) / unit * unit;
	f->offset = (uint32_t)(c->bit / unit * f->type->size);
	f->bit = (uint8_t)(c->bit % unit);
	f->bits = (uint8_t)bits;
	c->bit += bits;
}

static void place(struct cursor *c, struct ctype_field *f)
{
	uint32_t at = (uint32_t)((c->bit + 7) / 8);

	if (!c->packed)
		at = align_up(at, f->type->align);
	f->offset = at;
	c->bit = ((uint64_t)at + f->type->size) * 8;
}

static bool parse_field(struct ctype *st, struct cursor *c, const cJSON *json, int depth)
{
	const cJSON *name = cJSON_GetArrayItem(json, 0), *type = cJSON_GetArrayItem(json, 1);
	const cJSON *extra = cJSON_GetArrayItem(json, 2);
	/* an unnamed struct or union stands there as it is */
	struct ctype *t =
		cJSON_IsString(name) ? parse(cJSON_IsString(extra) ? json : type, depth) : NULL;
	struct ctype_field *f;

	for (const cJSON *dim = cJSON_IsArray(extra) ? extra : NULL; t && dim; dim = dim->next) {
		const cJSON *n = cJSON_GetArrayItem(dim, 0);

		if (!cJSON_IsNumber(n) ||
		    !(n->valuedouble >= 0 && n->valuedouble < CTYPE_SIZE_MAX)) {
			ctype_free(t);
			return false;
		}
		t = array_of(t, (uint64_t)n->valuedouble);
	}
	if (!t)
		return false;
	f = add_field(st, name->valuestring, t);
	if (c->is_union)
		c->bit = 0;
	if (cJSON_IsNumber(extra) && extra->valuedouble >= 1 && t->size && t->size <= 8 &&
	    extra->valuedouble <= t->size * 8.0)
		place_bits(c, f, (unsigned)extra->valuedouble);
	else
		place(c, f);
	if (t->align > st->align)
		st->align = t->align;
	if ((c->bit + 7) / 8 > st->size)
		st->size = (uint32_t)((c->bit + 7) / 8);
	return st->size <= CTYPE_SIZE_MAX && st->n_fields <= CTYPE_FIELDS_MAX;
}

static struct ctype *parse_struct(const cJSON *json, int depth)
{
	const cJSON *name = cJSON_GetArrayItem(json, 0), *fields = cJSON_GetArrayItem(json, 1);
	const cJSON *how = cJSON_GetArrayItem(json, 2), *f;
	struct cursor c = {0};
	struct ctype *t;

	if (!cJSON_IsString(name) || !cJSON_IsArray(fields) || !cJSON_IsString(how))
		return NULL;
	t = ctype_struct_new(name->valuestring);
	c.packed = strcmp(how->valuestring, "struct_packed") == 0;
	c.is_union = strcmp(how->valuestring, "union") == 0;
	if (c.is_union)
		t->kind = CTYPE_UNION;
	cJSON_ArrayForEach(f, fields)
	{
		if (parse_field(t, &c, f, depth + 1))
			continue;
		ctype_free(t);
		return NULL;
	}
	if (!c.packed)
		t->size = align_up(t->size, t->align);
	return t;
}

/* {"type": .., "enum": {"NAME": value}}: our own addition to libbcc's form. */
static struct ctype *parse_enum(const cJSON *json, int depth)
{
	struct ctype *t = parse(cJSON_GetObjectItemCaseSensitive(json, "type"), depth + 1);
	const cJSON *v;

	if (!t || t->kind != CTYPE_INT) {
		ctype_free(t);
		return NULL;
	}
	cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(json, "enum"))
	{
		if (!cJSON_IsNumber(v) || !v->string)
			continue;
		t->enums = xreallocarray(t->enums, t->n_enums + 1, sizeof(*t->enums));
		t->enums[t->n_enums++] = (struct ctype_enum){xstrdup(v->string), v->valueint};
	}
	return t;
}

/* {"array": N, "of": type}: as above, for what is no member. */
static struct ctype *parse_array(const cJSON *json, int depth)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(json, "array");

	if (!cJSON_IsNumber(n) || !(n->valuedouble >= 0 && n->valuedouble < CTYPE_SIZE_MAX))
		return NULL;
	return array_of(parse(cJSON_GetObjectItemCaseSensitive(json, "of"), depth + 1),
			(uint64_t)n->valuedouble);
}

static struct ctype *parse(const cJSON *json, int depth)
{
	if (depth > CTYPE_DEPTH_MAX)
		return NULL;
	if (cJSON_IsString(json))
		return ctype_of_name(json->valuestring);
	if (cJSON_IsArray(json))
		return parse_struct(json, depth);
	if (cJSON_HasObjectItem(json, "enum"))
		return parse_enum(json, depth);
	return cJSON_HasObjectItem(json, "array") ? parse_array(json, depth) : NULL;
}

struct ctype *ctype_from_json(const cJSON *json)
{
	return json ? parse(json, 0) : NULL;
}

struct ctype *ctype_of_text(const char *json)
{
	cJSON *j = cJSON_Parse(json);
	struct ctype *t = ctype_from_json(j);

	cJSON_Delete(j);
	return t;
}

static cJSON *enums_to_json(const struct ctype *t)
{
	cJSON *o = cJSON_CreateObject(), *e;

	cJSON_AddStringToObject(o, "type", t->name);
	e = cJSON_AddObjectToObject(o, "enum");
	for (size_t i = 0; i < t->n_enums; i++)
		cJSON_AddNumberToObject(e, t->enums[i].name, (double)t->enums[i].value);
	return o;
}

/* Filler makes the offsets explicit, so every struct can be written as a packed one. */
static void pad_to(cJSON *fields, uint32_t *at, uint32_t offset)
{
	cJSON *pad, *n;

	if (offset <= *at)
		return;
	pad = cJSON_CreateArray();
	n = cJSON_CreateArray();
	cJSON_AddItemToArray(n, cJSON_CreateNumber(offset - *at));
	cJSON_AddItemToArray(pad, cJSON_CreateString("__pad_"));
	cJSON_AddItemToArray(pad, cJSON_CreateString("char"));
	cJSON_AddItemToArray(pad, n);
	cJSON_AddItemToArray(fields, pad);
	*at = offset;
}

static bool has_bits(const struct ctype *t)
{
	for (size_t i = 0; i < t->n_fields; i++)
		if (t->fields[i].bits)
			return true;
	return false;
}

static cJSON *struct_to_json(const struct ctype *t)
{
	cJSON *out = cJSON_CreateArray(), *fields = cJSON_CreateArray();
	bool packed = t->kind == CTYPE_STRUCT && !has_bits(t);
	uint32_t at = 0;

	for (size_t i = 0; i < t->n_fields; i++) {
		const struct ctype_field *f = &t->fields[i];
		cJSON *item = cJSON_CreateArray();

		if (packed)
			pad_to(fields, &at, f->offset);
		cJSON_AddItemToArray(item, cJSON_CreateString(f->name));
		cJSON_AddItemToArray(item, ctype_to_json(f->type));
		if (f->bits)
			cJSON_AddItemToArray(item, cJSON_CreateNumber(f->bits));
		cJSON_AddItemToArray(fields, item);
		at = f->offset + f->type->size;
	}
	if (packed)
		pad_to(fields, &at, t->size);
	cJSON_AddItemToArray(out, cJSON_CreateString(t->name));
	cJSON_AddItemToArray(out, fields);
	cJSON_AddItemToArray(out, cJSON_CreateString(t->kind == CTYPE_UNION ? "union"
						     : packed		    ? "struct_packed"
									    : "struct"));
	return out;
}

cJSON *ctype_to_json(const struct ctype *t)
{
	cJSON *o;

	switch (t->kind) {
	case CTYPE_STRUCT:
	case CTYPE_UNION:
		return struct_to_json(t);
	case CTYPE_ARRAY:
		o = cJSON_CreateObject();
		cJSON_AddNumberToObject(o, "array", t->count);
		cJSON_AddItemToObject(o, "of", ctype_to_json(t->elem));
		return o;
	default:
		if (t->kind == CTYPE_POINTER)
			return cJSON_CreateString("void *");
		return t->n_enums ? enums_to_json(t) : cJSON_CreateString(t->name);
	}
}

const struct ctype_field *ctype_member(const struct ctype *t, const char *name, uint32_t *at)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct ctype_field *f = &t->fields[i], *inner;
		uint32_t below = 0;

		if (strcmp(f->name, name) == 0) {
			*at = f->offset;
			return f;
		}
		inner = *f->name ? NULL : ctype_member(f->type, name, &below);
		if (inner) {
			*at = f->offset + below;
			return inner;
		}
	}
	return NULL;
}

void ctype_print_name(const struct ctype *t, struct buf *out)
{
	const struct ctype *e = t;

	while (e->kind == CTYPE_ARRAY)
		e = e->elem;
	if (e->kind == CTYPE_STRUCT || e->kind == CTYPE_UNION)
		buf_printf(out, "%s%s%s", e->kind == CTYPE_UNION ? "union" : "struct",
			   *e->name ? " " : "", e->name);
	else
		buf_puts(out, e->name);
	for (e = t; e->kind == CTYPE_ARRAY; e = e->elem)
		buf_printf(out, "[%u]", e->count);
}

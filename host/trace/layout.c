/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/layout.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "util/alloc.h"

struct type {
	char *name;
	double bytes; /* per element */
};

struct layout {
	int64_t type, ne, op, src, n_src, view_src, name, name_len, flags, ne_width;
	char **ops;
	size_t n_ops;
	struct type *types;
	size_t n_types;
	unsigned id;
	UT_hash_handle hh;
};

struct layouts {
	struct layout *by_id;
	struct layout **all; /* replaced ones too: their strings are referred to */
	size_t count, cap;
};

/* Elements and bytes of a block, for targets whose type table could not be read whole. */
static const struct {
	const char *name;
	int elements, bytes;
} known_types[] = {
	{"f32", 1, 4},	     {"f16", 1, 2},	   {"bf16", 1, 2},	 {"q4_0", 32, 18},
	{"q4_1", 32, 20},    {"q5_0", 32, 22},	   {"q5_1", 32, 24},	 {"q8_0", 32, 34},
	{"q8_1", 32, 36},    {"q2_K", 256, 84},	   {"q3_K", 256, 110},	 {"q4_K", 256, 144},
	{"q5_K", 256, 176},  {"q6_K", 256, 210},   {"q8_K", 256, 292},	 {"iq2_xxs", 256, 66},
	{"iq2_xs", 256, 74}, {"iq3_xxs", 256, 98}, {"iq1_s", 256, 50},	 {"iq4_nl", 32, 18},
	{"iq3_s", 256, 110}, {"iq2_s", 256, 82},   {"iq4_xs", 256, 136}, {"i8", 1, 1},
	{"i16", 1, 2},	     {"i32", 1, 4},	   {"i64", 1, 8},	 {"f64", 1, 8},
	{"iq1_m", 256, 56},  {"tq1_0", 256, 54},   {"tq2_0", 256, 66},	 {"mxfp4", 32, 17},
	{"nvfp4", 64, 36},   {"q1_0", 128, 18},	   {"q2_0", 64, 18},
};

static double known_type(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(known_types); i++)
		if (strcasecmp(name, known_types[i].name) == 0)
			return (double)known_types[i].bytes / known_types[i].elements;
	return 0;
}

static int64_t number(const struct cJSON *note, const char *key, int64_t none)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(note, key);

	if (!cJSON_IsNumber(v) || v->valuedouble < 0 || v->valuedouble > 1 << 20)
		return none;
	return (int64_t)v->valuedouble;
}

static void read_ops(struct layout *l, const cJSON *names)
{
	const cJSON *n;
	size_t cap = 0;

	cJSON_ArrayForEach(n, names)
	{
		const char *s = cJSON_GetStringValue(n);

		*VEC_PUSH(l->ops, l->n_ops, cap) = xstrdup(s ? s : "?");
	}
}

static void read_types(struct layout *l, const struct cJSON *note)
{
	const cJSON *blck = cJSON_GetObjectItemCaseSensitive(note, "type_blck");
	const cJSON *size = cJSON_GetObjectItemCaseSensitive(note, "type_size"), *n;
	size_t cap = 0;
	int i = 0;

	cJSON_ArrayForEach(n, cJSON_GetObjectItemCaseSensitive(note, "type_names"))
	{
		struct type *t = VEC_PUSH(l->types, l->n_types, cap);
		const char *s = cJSON_GetStringValue(n);
		const cJSON *b = cJSON_GetArrayItem(blck, i), *z = cJSON_GetArrayItem(size, i);

		t->name = xstrdup(s ? s : "?");
		t->bytes = cJSON_IsNumber(b) && cJSON_IsNumber(z) && b->valuedouble > 0
				   ? z->valuedouble / b->valuedouble
				   : known_type(t->name);
		if (t->bytes <= 0)
			t->bytes = known_type(t->name);
		i++;
	}
}

struct layouts *layouts_new(void)
{
	return xcalloc(1, sizeof(struct layouts));
}

void layouts_add(struct layouts *ls, const struct cJSON *note)
{
	struct layout *l = xcalloc(1, sizeof(*l)), *old;

	l->id = (unsigned)number(note, "id", 0);
	l->type = number(note, "type", 0);
	l->ne = number(note, "ne", -1);
	l->op = number(note, "op", -1);
	l->src = number(note, "src", -1);
	l->n_src = number(note, "n_src", 0);
	l->view_src = number(note, "view_src", -1);
	l->name = number(note, "name", -1);
	l->name_len = number(note, "name_len", 0);
	l->flags = number(note, "flags", -1);
	l->ne_width = number(note, "ne_width", 8);
	read_ops(l, cJSON_GetObjectItemCaseSensitive(note, "op_names"));
	read_types(l, note);
	HASH_FIND(hh, ls->by_id, &l->id, sizeof(l->id), old);
	if (old)
		HASH_DEL(ls->by_id, old);
	HASH_ADD(hh, ls->by_id, id, sizeof(l->id), l);
	*VEC_PUSH(ls->all, ls->count, ls->cap) = l;
}

void layouts_free(struct layouts *ls)
{
	if (!ls)
		return;
	HASH_CLEAR(hh, ls->by_id);
	for (size_t i = 0; i < ls->count; i++) {
		struct layout *l = ls->all[i];

		for (size_t k = 0; k < l->n_ops; k++)
			free(l->ops[k]);
		for (size_t k = 0; k < l->n_types; k++)
			free(l->types[k].name);
		free(l->ops);
		free(l->types);
		free(l);
	}
	free(ls->all);
	free(ls);
}

struct bytes {
	const uint8_t *data;
	size_t len;
};

static uint64_t field(struct bytes b, int64_t at, size_t width, uint64_t none)
{
	uint64_t v = 0;

	if (at < 0 || (size_t)at + width > b.len)
		return none;
	memcpy(&v, b.data + at, width);
	return v;
}

/* Control bytes would break every table and file the name ends up in. */
static void read_name(const struct layout *l, struct bytes b, char *out)
{
	size_t n = (size_t)l->name_len, i;

	if (l->name < 0 || (size_t)l->name >= b.len)
		n = 0;
	else if (n > b.len - (size_t)l->name)
		n = b.len - (size_t)l->name;
	if (n >= LAYOUT_MAX_NAME)
		n = LAYOUT_MAX_NAME - 1;
	for (i = 0; i < n && b.data[l->name + (int64_t)i]; i++) {
		uint8_t c = b.data[l->name + (int64_t)i];

		out[i] = c < 32 || c > 126 ? '?' : (char)c;
	}
	out[i] = '\0';
}

static void read_shape(const struct layout *l, struct bytes b, struct tensor_raw *out)
{
	bool wide = l->ne_width != 4;

	for (int i = 0; i < 4; i++) {
		uint64_t v = l->ne < 0
				     ? UINT64_MAX
				     : field(b, l->ne + i * l->ne_width, wide ? 8 : 4, UINT64_MAX);

		out->ne[i] = v > INT64_MAX ? -1 : (int64_t)v;
	}
}

int layouts_decode(const struct layouts *ls, unsigned id, const void *raw, size_t len,
		   struct tensor_raw *out)
{
	struct bytes b = {raw, len};
	const struct layout *l;
	uint64_t op, type;

	HASH_FIND(hh, ls->by_id, &id, sizeof(id), l);
	if (!l)
		return -ENOENT;
	memset(out, 0, sizeof(*out));
	op = field(b, l->op, 4, UINT64_MAX);
	type = field(b, l->type, 4, UINT64_MAX);
	out->op = op < l->n_ops ? l->ops[op] : "?";
	out->type = type < l->n_types ? l->types[type].name : "?";
	out->type_bytes = type < l->n_types ? l->types[type].bytes : 0;
	out->view_src = field(b, l->view_src, 8, 0);
	out->flags = (uint32_t)field(b, l->flags, 4, 0);
	for (int i = 0; l->src >= 0 && i < LAYOUT_MAX_SRC && i < l->n_src; i++)
		out->src[i] = field(b, l->src + 8 * i, 8, 0);
	read_shape(l, b, out);
	read_name(l, b, out->name);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "script/type/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "script/type/debug_info.h"

struct named {
	UT_hash_handle hh;
	const char *name;
	const struct type *type;
	const char *macro;
	struct enum_value value;
};

struct type_table {
	struct arena *arena;
	struct named *types, *macros, *values;
	struct kernel_types *kernel; /* borrowed, as is the next */
	struct debug_info *programs;
};

const struct type type_none = {.kind = TY_NONE, .align = 1};
const struct type type_void = {.kind = TY_VOID, .align = 1};
const struct type type_bool = {.kind = TY_BOOL, .size = 1, .align = 1};
static const struct type ints[2][4] = {
	{
		{.kind = TY_INT, .size = 1, .align = 1},
		{.kind = TY_INT, .size = 2, .align = 2},
		{.kind = TY_INT, .size = 4, .align = 4},
		{.kind = TY_INT, .size = 8, .align = 8},
	},
	{
		{.kind = TY_INT, .size = 1, .align = 1, .is_signed = true},
		{.kind = TY_INT, .size = 2, .align = 2, .is_signed = true},
		{.kind = TY_INT, .size = 4, .align = 4, .is_signed = true},
		{.kind = TY_INT, .size = 8, .align = 8, .is_signed = true},
	},
};
const struct type type_i64 = {.kind = TY_INT, .size = 8, .align = 8, .is_signed = true};
const struct type type_char = {
	.kind = TY_INT, .size = 1, .align = 1, .is_signed = true, .is_char = true};
const struct type type_u64 = {.kind = TY_INT, .size = 8, .align = 8};
const struct type type_u32 = {.kind = TY_INT, .size = 4, .align = 4};
const struct type type_i32 = {.kind = TY_INT, .size = 4, .align = 4, .is_signed = true};

static const struct {
	const char *name;
	unsigned size;
	bool is_signed;
} int_names[] = {
	{"int8", 1, true},	{"int16", 2, true},	{"int32", 4, true},
	{"int64", 8, true},	{"uint8", 1, false},	{"uint16", 2, false},
	{"uint32", 4, false},	{"uint64", 8, false},	{"int8_t", 1, true},
	{"int16_t", 2, true},	{"int32_t", 4, true},	{"int64_t", 8, true},
	{"uint8_t", 1, false},	{"uint16_t", 2, false}, {"uint32_t", 4, false},
	{"uint64_t", 8, false}, {"u8", 1, false},	{"u16", 2, false},
	{"u32", 4, false},	{"u64", 8, false},	{"s8", 1, true},
	{"s16", 2, true},	{"s32", 4, true},	{"s64", 8, true},
	{"__u8", 1, false},	{"__u16", 2, false},	{"__u32", 4, false},
	{"__u64", 8, false},	{"__s8", 1, true},	{"__s16", 2, true},
	{"__s32", 4, true},	{"__s64", 8, true},	{"__be16", 2, false},
	{"__be32", 4, false},	{"__be64", 8, false},	{"__le16", 2, false},
	{"__le32", 4, false},	{"__le64", 8, false},	{"size_t", 8, false},
	{"ssize_t", 8, true},	{"pid_t", 4, true},	{"uid_t", 4, false},
	{"gid_t", 4, false},	{"off_t", 8, true},	{"loff_t", 8, true},
	{"dev_t", 4, false},	{"mode_t", 4, false},	{"uintptr_t", 8, false},
	{"intptr_t", 8, true},	{"time_t", 8, true},	{"sector_t", 8, false},
	{"gfp_t", 4, false},	{"ushort", 2, false},	{"uint", 4, false},
	{"ulong", 8, false},	{"short", 2, true},	{"int", 4, true},
	{"long", 8, true},	{"_Bool", 1, false},
};

struct type_table *type_table_new(struct arena *arena)
{
	struct type_table *t = xcalloc(1, sizeof(*t));

	t->arena = arena;
	return t;
}

void type_table_free(struct type_table *t)
{
	if (!t)
		return;
	HASH_CLEAR(hh, t->types);
	HASH_CLEAR(hh, t->macros);
	HASH_CLEAR(hh, t->values);
	free(t);
}

struct arena *type_table_arena(struct type_table *t)
{
	return t->arena;
}

void type_table_use_programs(struct type_table *t, struct debug_info *d)
{
	t->programs = d;
}

void type_table_use_kernel(struct type_table *t, struct kernel_types *k)
{
	t->kernel = k;
}

const struct type *type_rawtp_args(struct type_table *t, const char *name)
{
	return t->kernel ? kernel_rawtp_args(t->kernel, t, name) : NULL;
}

struct type *type_alloc(struct type_table *t, enum type_kind kind)
{
	struct type *ty = arena_alloc(t->arena, sizeof(*ty));

	ty->kind = kind;
	ty->align = 8;
	return ty;
}

const struct type *type_int(unsigned size, bool is_signed)
{
	return &ints[is_signed][size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3];
}

static uint32_t c_align(const struct type *t)
{
	uint32_t align = 1;

	if (t->kind != TY_TUPLE && t->kind != TY_RECORD)
		return type_in_register(t) ? t->size : t->align ? t->align : 1;
	for (size_t i = 0; i < t->fields->n; i++) {
		uint32_t a = c_align(t->fields->v[i].type);

		align = a > align ? a : align;
	}
	return align;
}

uint32_t type_c_size(const struct type *t)
{
	uint32_t size = 0, align = c_align(t);

	if (t->kind == TY_BUFFER)
		return t->size - 4;
	if (t->kind != TY_TUPLE && t->kind != TY_RECORD)
		return t->size;
	for (size_t i = 0; i < t->fields->n; i++) {
		const struct type *f = t->fields->v[i].type;
		uint32_t a = c_align(f);

		if (a)
			size = (size + a - 1) / a * a;
		size += type_c_size(f);
	}
	return align ? (size + align - 1) / align * align : size;
}

const struct type *type_plain(struct type_table *t, enum type_kind kind, uint32_t size)
{
	struct type *ty = type_alloc(t, kind);

	ty->size = size;
	return ty;
}

const struct type *type_string(struct type_table *t, uint32_t size)
{
	struct type *ty = type_alloc(t, TY_STRING);

	ty->size = size;
	ty->align = 1;
	return ty;
}

const struct type *type_buffer(struct type_table *t, uint32_t size)
{
	struct type *ty = type_alloc(t, TY_BUFFER);

	ty->size = size + 4; /* the length in front */
	ty->align = 4;
	return ty;
}

const struct type *type_ptr(struct type_table *t, const struct type *to)
{
	struct type *ty = type_alloc(t, TY_PTR);

	ty->size = 8;
	ty->elem = to;
	return ty;
}

const struct type *type_array(struct type_table *t, const struct type *elem, uint32_t n)
{
	struct type *ty = type_alloc(t, TY_ARRAY);

	ty->elem = elem;
	ty->count = n;
	ty->align = elem->align;
	if (__builtin_mul_overflow(elem->size, n, &ty->size))
		ty->size = 0;
	return ty;
}

const struct type *type_stack(struct type_table *t, bool kernel, enum stack_mode mode,
			      uint32_t limit)
{
	struct type *ty = type_alloc(t, kernel ? TY_KSTACK : TY_USTACK);

	ty->size = 24; /* hash, number of frames and pid, probe and nothing */
	ty->stack_mode = mode;
	ty->stack_limit = limit;
	return ty;
}

const struct type *type_tuple(struct type_table *t, const struct type *const *elems,
			      const char *const *names, size_t n)
{
	struct type *ty = type_alloc(t, names ? TY_RECORD : TY_TUPLE);

	ty->fields = arena_alloc(t->arena, sizeof(*ty->fields));
	ty->fields->complete = true;
	for (size_t i = 0; i < n; i++) {
		struct field *f = fields_add(t, ty->fields);

		f->name = names ? names[i] : NULL;
		f->type = elems[i];
		f->offset = ty->size;
		ty->size += (elems[i]->size + 7) & ~7u;
	}
	return ty;
}

const struct type *type_value_of(struct type_table *t, const struct type *agg)
{
	static const char *const names[] = {"count", "average", "total"};
	const struct type *word = agg->is_signed ? &type_i64 : &type_u64;
	const struct type *const elems[] = {&type_u64, word, word};

	switch (agg->kind) {
	case TY_COUNT:
		return &type_u64;
	case TY_SUM:
	case TY_MIN:
	case TY_MAX:
	case TY_AVG:
		return word;
	case TY_STATS:
		return type_tuple(t, elems, names, 3);
	default:
		return agg;
	}
}

struct field *fields_add(struct type_table *t, struct fields *f)
{
	if (f->n == f->cap) {
		struct field *v;

		f->cap = f->cap ? f->cap * 2 : 8;
		v = arena_alloc(t->arena, f->cap * sizeof(*v));
		if (f->n)
			memcpy(v, f->v, f->n * sizeof(*v));
		f->v = v;
	}
	return &f->v[f->n++];
}

static struct named *named_add(struct type_table *t, struct named **table, const char *name)
{
	struct named *n;

	HASH_FIND_STR(*table, name, n);
	if (n)
		return n;
	n = arena_alloc(t->arena, sizeof(*n));
	n->name = arena_strdup(t->arena, name);
	HASH_ADD_KEYPTR(hh, *table, n->name, strlen(n->name), n);
	return n;
}

void type_define(struct type_table *t, const char *name, const struct type *type)
{
	named_add(t, &t->types, name)->type = type;
}

void type_define_enum_value(struct type_table *t, const char *name, int64_t value,
			    const struct type *type)
{
	struct named *n = named_add(t, &t->values, name);

	n->value = (struct enum_value){n->name, value, type};
}

void type_define_macro(struct type_table *t, const char *name, const char *value)
{
	named_add(t, &t->macros, name)->macro = arena_strdup(t->arena, value);
}

void type_undef_macro(struct type_table *t, const char *name)
{
	struct named *n;

	HASH_FIND_STR(t->macros, name, n);
	if (n)
		HASH_DEL(t->macros, n);
}

const char *type_macro(struct type_table *t, const char *name)
{
	struct named *n;

	HASH_FIND_STR(t->macros, name, n);
	return n ? n->macro : NULL;
}

const char *type_expansion(struct type_table *t, const char *name)
{
	const char *text = type_macro(t, name);

	return text && strcmp(text, name) == 0 ? NULL : text;
}

const struct enum_value *type_enum_value(struct type_table *t, const char *name)
{
	const struct type *type = NULL;
	struct named *n;
	int64_t v;

	HASH_FIND_STR(t->values, name, n);
	if (!n && t->kernel && kernel_enum_value(t->kernel, t, name, &v, &type)) {
		type_define_enum_value(t, name, v, type);
		HASH_FIND_STR(t->values, name, n);
	}
	return n ? &n->value : NULL;
}

const char *type_enum_name(const struct type *e, int64_t value)
{
	for (size_t i = 0; e->fields && i < e->fields->n; i++)
		if (e->fields->v[i].value == value)
			return e->fields->v[i].name;
	return NULL;
}

static const struct type *int_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(int_names); i++)
		if (strcmp(int_names[i].name, name) == 0)
			return type_int(int_names[i].size, int_names[i].is_signed);
	if (strcmp(name, "void") == 0)
		return &type_void;
	if (strcmp(name, "char") == 0)
		return &type_char;
	if (strcmp(name, "bool") == 0)
		return &type_bool;
	return NULL;
}

const struct type *type_defined(struct type_table *t, const char *name)
{
	struct named *n;

	HASH_FIND_STR(t->types, name, n);
	return n ? n->type : NULL;
}

const struct type *type_by_name(struct type_table *t, const char *name)
{
	const struct type *ty = int_by_name(name);
	struct named *n;

	if (ty)
		return ty;
	HASH_FIND_STR(t->types, name, n);
	if (n && (n->type->kind != TY_STRUCT || n->type->fields->complete))
		return n->type;
	ty = t->programs ? debug_info_type(t->programs, name) : NULL;
	if (!ty)
		ty = t->kernel ? kernel_type_import(t->kernel, t, name) : NULL;
	return ty ? ty : n ? n->type : NULL;
}

const char *type_name_at(const struct type_table *t, size_t i)
{
	for (struct named *n = t->types; n; n = n->hh.next)
		if (i-- == 0)
			return n->name;
	return NULL;
}

const struct field *type_field(const struct type *st, const char *name, uint32_t *offset)
{
	for (size_t i = 0; st->fields && i < st->fields->n; i++) {
		const struct field *f = &st->fields->v[i], *inner;
		uint32_t off = 0;

		if (f->name && strcmp(f->name, name) == 0) {
			*offset = f->offset;
			return f;
		}
		if (f->name || f->type->kind != TY_STRUCT)
			continue;
		inner = type_field(f->type, name, &off);
		if (inner) {
			*offset = f->offset + off;
			return inner;
		}
	}
	return NULL;
}

bool type_is_scalar_name(const char *name)
{
	return int_by_name(name) || strcmp(name, "string") == 0 || strcmp(name, "buffer") == 0 ||
	       strcmp(name, "ksym_t") == 0 || strcmp(name, "usym_t") == 0;
}

bool type_is_int(const struct type *t)
{
	return t->kind == TY_INT || t->kind == TY_BOOL || t->kind == TY_ENUM;
}

bool type_is_stack(const struct type *t)
{
	return t->kind == TY_KSTACK || t->kind == TY_USTACK;
}

bool type_is_aggregate(enum type_kind k)
{
	return k >= TY_COUNT;
}

bool type_in_register(const struct type *t)
{
	switch (t->kind) {
	case TY_BOOL:
	case TY_INT:
	case TY_ENUM:
	case TY_PTR:
	case TY_KSYM:
	case TY_USERNAME:
	case TY_COMM:
	case TY_CGROUP_PATH:
	case TY_STRERROR:
	case TY_SIGNAL:
	case TY_SYSCALL:
	case TY_MAC:
	case TY_PROBE:
	case TY_FUNC:
		return true;
	case TY_COUNT:
	case TY_SUM:
	case TY_MIN:
	case TY_MAX:
	case TY_AVG:
		return true; /* read in an expression: summed over CPUs */
	default:
		return false;
	}
}

static bool same_fields(const struct type *a, const struct type *b)
{
	if (a->fields->n != b->fields->n)
		return false;
	for (size_t i = 0; i < a->fields->n; i++) {
		const char *x = a->fields->v[i].name, *y = b->fields->v[i].name;

		if ((x && (!y || strcmp(x, y) != 0)) ||
		    !type_same(a->fields->v[i].type, b->fields->v[i].type))
			return false;
	}
	return true;
}

bool type_same(const struct type *a, const struct type *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case TY_INT:
	case TY_STRING:
	case TY_BUFFER:
		return a->size == b->size && a->is_signed == b->is_signed;
	case TY_PTR:
		return type_same(a->elem, b->elem);
	case TY_ARRAY:
		return a->count == b->count && type_same(a->elem, b->elem);
	case TY_STRUCT:
	case TY_ENUM:
		return a->name && b->name && strcmp(a->name, b->name) == 0;
	case TY_TUPLE:
	case TY_RECORD:
		return same_fields(a, b);
	case TY_KSTACK:
	case TY_USTACK:
		return a->stack_mode == b->stack_mode && a->stack_limit == b->stack_limit;
	case TY_SUM:
	case TY_MIN:
	case TY_MAX:
	case TY_AVG:
	case TY_STATS:
		return true;
	default:
		return memcmp(a->args, b->args, sizeof(a->args)) == 0;
	}
}

static const char *const words[] = {
	[TY_NONE] = "none",
	[TY_VOID] = "void",
	[TY_BOOL] = "bool",
	[TY_KSTACK] = "kstack",
	[TY_USTACK] = "ustack",
	[TY_KSYM] = "ksym_t",
	[TY_USYM] = "usym_t",
	[TY_INET] = "inet",
	[TY_MAC] = "mac_address",
	[TY_USERNAME] = "username",
	[TY_COMM] = "comm",
	[TY_TIMESTAMP] = "timestamp",
	[TY_CGROUP_PATH] = "cgroup_path_t",
	[TY_STRERROR] = "strerror",
	[TY_SIGNAL] = "signal",
	[TY_SYSCALL] = "syscall",
	[TY_STACK_MODE] = "stack_mode",
	[TY_PROBE] = "string",
	[TY_FUNC] = "string",
	[TY_COUNT] = "count_t",
	[TY_SUM] = "sum_t",
	[TY_MIN] = "min_t",
	[TY_MAX] = "max_t",
	[TY_AVG] = "avg_t",
	[TY_STATS] = "stats_t",
	[TY_HIST] = "hist_t",
	[TY_LHIST] = "lhist_t",
	[TY_TSERIES] = "tseries_t",
};

const char *type_word(const struct type *t)
{
	switch (t->kind) {
	case TY_INT:
	case TY_ENUM:
		return "int";
	case TY_STRING:
		return "string";
	case TY_BUFFER:
		return "buffer";
	case TY_PTR:
		return "pointer";
	case TY_ARRAY:
		return "array";
	case TY_STRUCT:
		return "c_struct";
	case TY_TUPLE:
		return "tuple";
	case TY_RECORD:
		return "record";
	default:
		return words[t->kind];
	}
}

static void text_of(const struct type *t, struct buf *b)
{
	switch (t->kind) {
	case TY_INT:
		buf_printf(b, "%sint%u", t->is_signed ? "" : "u", t->size * 8);
		break;
	case TY_STRING:
		buf_printf(b, "string[%u]", t->size);
		break;
	case TY_BUFFER:
		buf_printf(b, "buffer[%u]", t->size - 4);
		break;
	case TY_PTR:
		text_of(t->elem, b);
		buf_puts(b, " *");
		break;
	case TY_ARRAY:
		text_of(t->elem, b);
		buf_printf(b, "[%u]", t->count);
		break;
	case TY_STRUCT:
	case TY_ENUM:
		buf_puts(b, t->name ? t->name : "struct <anonymous>");
		break;
	case TY_TUPLE:
	case TY_RECORD:
		buf_putc(b, '(');
		for (size_t i = 0; i < t->fields->n; i++) {
			buf_puts(b, i ? "," : "");
			if (t->fields->v[i].name)
				buf_printf(b, "%s=", t->fields->v[i].name);
			text_of(t->fields->v[i].type, b);
		}
		buf_putc(b, ')');
		break;
	default:
		buf_puts(b, words[t->kind]);
	}
}

const char *type_text(const struct type *t, char out[128])
{
	struct buf b = {0};

	text_of(t, &b);
	snprintf(out, 128, "%s", buf_str(&b));
	buf_free(&b);
	return out;
}

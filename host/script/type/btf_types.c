/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel types from /sys/kernel/btf/vmlinux, imported one by one as scripts name them. */
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/kbtf.h"
#include "script/type/btf_print.h"
#include "script/type/types.h"

/* libbpf before 1.0 has no name for the kind nor for its values. */
enum { MAX_IMPORT_DEPTH = 64, KIND_ENUM64 = 19 };
struct wide_value {
	uint32_t name_off, low, high;
};

struct kernel_types {
	struct btf *btf;
	bool tried;
};

struct kernel_types *kernel_types_new(void)
{
	return xcalloc(1, sizeof(struct kernel_types));
}

void kernel_types_free(struct kernel_types *k)
{
	if (!k)
		return;
	btf__free(k->btf);
	free(k);
}

static const struct btf *kernel_btf(struct kernel_types *k)
{
	int err;

	if (!k->tried)
		k->btf = btf_of_kernel(&err);
	k->tried = true;
	return k->btf;
}

int kernel_types_print(struct kernel_types *k, const char *pattern, bool text, FILE *out)
{
	return btf_print_types(kernel_btf(k), pattern, text, out);
}

static const struct type *import_id(const struct btf *btf, struct type_table *t, uint32_t id,
				    int depth);

static const char *name_of(const struct btf *btf, struct type_table *t, const struct btf_type *bt,
			   const char *tag)
{
	const char *name = btf__name_by_offset(btf, bt->name_off);

	return name && *name ? arena_printf(type_table_arena(t), "%s %s", tag, name) : NULL;
}

/* Members that are structs themselves are imported now, pointers only when they are followed. */
static const struct type *import_struct(const struct btf *btf, struct type_table *t,
					const struct btf_type *bt, int depth)
{
	const struct btf_member *m = btf_members(bt);
	const char *name = name_of(btf, t, bt, btf_is_union(bt) ? "union" : "struct");
	struct type *st = type_alloc(t, TY_STRUCT);

	st->name = name;
	st->size = bt->size;
	st->align = 8;
	st->is_union = btf_is_union(bt);
	st->fields = arena_alloc(type_table_arena(t), sizeof(*st->fields));
	st->fields->complete = true;
	if (name)
		type_define(t, name, st);
	for (int i = 0; i < btf_vlen(bt); i++) {
		struct field *f = fields_add(t, st->fields);
		uint32_t bit = btf_member_bit_offset(bt, (uint32_t)i);
		const char *fname = btf__name_by_offset(btf, m[i].name_off);

		f->name = fname && *fname ? fname : NULL;
		f->type = import_id(btf, t, m[i].type, depth + 1);
		f->bit_size = (uint8_t)btf_member_bitfield_size(bt, (uint32_t)i);
		f->offset = bit / 8;
		if (f->bit_size && f->type->size) {
			f->offset = bit / 8 / f->type->size * f->type->size;
			f->bit_offset = (uint8_t)(bit - f->offset * 8);
		}
	}
	return st;
}

static const struct type *import_enum(const struct btf *btf, struct type_table *t,
				      const struct btf_type *bt)
{
	struct type *e = type_alloc(t, TY_ENUM);

	e->name = name_of(btf, t, bt, "enum");
	e->size = e->align = bt->size;
	e->is_signed = btf_kflag(bt);
	e->fields = arena_alloc(type_table_arena(t), sizeof(*e->fields));
	for (int i = 0; i < btf_vlen(bt); i++) {
		struct field *f = fields_add(t, e->fields);
		const struct wide_value *wide = btf_kind(bt) == KIND_ENUM64
							? (const struct wide_value *)(bt + 1) + i
							: NULL;

		f->name =
			btf__name_by_offset(btf, wide ? wide->name_off : btf_enum(bt)[i].name_off);
		f->value = wide		  ? (int64_t)((uint64_t)wide->high << 32 | wide->low)
			   : e->is_signed ? (int64_t)btf_enum(bt)[i].val
					  : (int64_t)(uint32_t)btf_enum(bt)[i].val;
	}
	return e;
}

/* A pointer remembers the pointed-to struct by name; its fields come when it is followed. */
static const struct type *import_pointee(const struct btf *btf, struct type_table *t, uint32_t id,
					 int depth)
{
	const struct btf_type *bt = btf__type_by_id(btf, id);
	struct type *st;
	const char *name;

	while (bt && (btf_is_mod(bt) || btf_is_typedef(bt)))
		bt = btf__type_by_id(btf, bt->type);
	if (!bt || btf_is_void(bt) || btf_is_func_proto(bt))
		return &type_void;
	if (!btf_is_composite(bt) && !btf_is_fwd(bt))
		return import_id(btf, t, id, depth + 1);
	name = name_of(btf, t, bt,
		       btf_is_union(bt) || (btf_is_fwd(bt) && btf_kflag(bt)) ? "union" : "struct");
	if (!name)
		return import_id(btf, t, id, depth + 1);
	st = type_alloc(t, TY_STRUCT);
	st->name = name;
	st->size = btf_is_fwd(bt) ? 0 : bt->size;
	st->fields = arena_alloc(type_table_arena(t), sizeof(*st->fields));
	return st;
}

static const struct type *import_id(const struct btf *btf, struct type_table *t, uint32_t id,
				    int depth)
{
	const struct btf_type *bt = btf__type_by_id(btf, id);
	const struct type *known;
	const char *name;

	while (bt && (btf_is_mod(bt) || btf_is_typedef(bt)))
		bt = btf__type_by_id(btf, bt->type);
	if (!bt || depth > MAX_IMPORT_DEPTH)
		return &type_void;
	switch (btf_kind(bt)) {
	case BTF_KIND_INT:
		if (btf_int_encoding(bt) & BTF_INT_BOOL)
			return &type_bool;
		name = btf__name_by_offset(btf, bt->name_off);
		if (bt->size == 1 && name && strcmp(name, "char") == 0)
			return &type_char;
		return type_int(bt->size, btf_int_encoding(bt) & BTF_INT_SIGNED);
	case BTF_KIND_PTR:
		return type_ptr(t, import_pointee(btf, t, bt->type, depth));
	case BTF_KIND_ARRAY:
		return type_array(t, import_id(btf, t, btf_array(bt)->type, depth + 1),
				  btf_array(bt)->nelems);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		name = name_of(btf, t, bt, btf_is_union(bt) ? "union" : "struct");
		known = name ? type_defined(t, name) : NULL;
		return known && known->fields->complete ? known : import_struct(btf, t, bt, depth);
	case BTF_KIND_ENUM:
	case KIND_ENUM64:
		return import_enum(btf, t, bt);
	default:
		return &type_void;
	}
}

static int find_named(const struct btf *btf, const char *name)
{
	static const struct {
		const char *tag;
		uint32_t kind;
	} tags[] = {
		{"struct ", BTF_KIND_STRUCT},
		{"union ", BTF_KIND_UNION},
		{"enum ", BTF_KIND_ENUM},
	};

	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		size_t n = strlen(tags[i].tag);

		if (strncmp(name, tags[i].tag, n) == 0)
			return btf__find_by_name_kind(btf, name + n, tags[i].kind);
	}
	return btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
}

const struct type *kernel_type_import(struct kernel_types *k, struct type_table *t,
				      const char *name)
{
	const struct btf *btf = kernel_btf(k);
	const struct btf_type *bt;
	int id = btf ? find_named(btf, name) : -1;

	if (id <= 0 && btf && !strchr(name, ' '))
		id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
	if (id <= 0)
		return NULL;
	bt = btf__type_by_id(btf, (uint32_t)id);
	/* straight to the struct: looking its own name up again would come back here */
	if (btf_is_composite(bt))
		return import_struct(btf, t, bt, 0);
	return import_id(btf, t, (uint32_t)id, 0);
}

bool kernel_enum_value(struct kernel_types *k, struct type_table *t, const char *name,
		       int64_t *value, const struct type **type)
{
	const struct btf *btf = kernel_btf(k);
	const struct btf_type *bt;

	for (uint32_t id = 1; btf && (bt = btf__type_by_id(btf, id)); id++) {
		if (!btf_is_enum(bt))
			continue;
		for (int i = 0; i < btf_vlen(bt); i++) {
			const struct btf_enum *e = &btf_enum(bt)[i];

			if (strcmp(btf__name_by_offset(btf, e->name_off), name) != 0)
				continue;
			*value = btf_kflag(bt) ? e->val : (int64_t)(uint32_t)e->val;
			*type = bt->name_off ? import_id(btf, t, id, 0) : NULL;
			return true;
		}
	}
	return false;
}

const struct type *kernel_rawtp_args(struct kernel_types *k, struct type_table *t, const char *name)
{
	const struct btf *btf = kernel_btf(k);
	/* the first two have names for the arguments, the last only their types */
	static const struct {
		const char *format;
		uint32_t kind;
	} forms[] = {
		{"__bpf_trace_%s", BTF_KIND_FUNC},
		{"__traceiter_%s", BTF_KIND_FUNC},
		{"btf_trace_%s", BTF_KIND_TYPEDEF},
	};
	char tname[128];
	const struct btf_type *bt = NULL;
	struct type *st;
	int id;

	for (size_t i = 0; btf && !bt && i < ARRAY_LEN(forms); i++) {
		snprintf(tname, sizeof(tname), forms[i].format, name);
		id = btf__find_by_name_kind(btf, tname, forms[i].kind);
		bt = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	}
	while (bt && !btf_is_func_proto(bt) &&
	       (btf_is_typedef(bt) || btf_is_ptr(bt) || btf_is_mod(bt) || btf_is_func(bt)))
		bt = btf__type_by_id(btf, bt->type);
	if (!bt || !btf_is_func_proto(bt))
		return NULL;
	st = type_alloc(t, TY_STRUCT);
	st->name = arena_printf(type_table_arena(t), "struct rawtracepoint_%s_args", name);
	st->fields = arena_alloc(type_table_arena(t), sizeof(*st->fields));
	st->fields->complete = true;
	for (int i = 1; i < btf_vlen(bt); i++) { /* 0 is the void * of the registration */
		const char *pname = btf__name_by_offset(btf, btf_params(bt)[i].name_off);
		struct field *f = fields_add(t, st->fields);

		f->name =
			pname && *pname ? pname : arena_printf(type_table_arena(t), "arg%d", i - 1);
		f->type = import_id(btf, t, btf_params(bt)[i].type, 0);
		f->offset = (uint32_t)(i - 1) * 8;
	}
	st->size = (uint32_t)st->fields->n * 8;
	return st;
}

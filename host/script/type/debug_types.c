/* SPDX-License-Identifier: Apache-2.0 */
#include "script/type/debug_types.h"

#include <dwarf.h>
#include <string.h>

#include "script/probe/usdt.h"

enum { MAX_DEPTH = 32, MAX_FIELDS = 4096, MAX_PARAMS = 64, MAX_DIMS = 8 };

static const struct type *import(struct type_table *t, Dwarf_Die *die, int depth);

const char *debug_type_tag(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		return "struct ";
	case DW_TAG_union_type:
		return "union ";
	case DW_TAG_enumeration_type:
		return "enum ";
	case DW_TAG_typedef:
		return "";
	default:
		return NULL;
	}
}

static bool type_of(Dwarf_Die *die, Dwarf_Die *out)
{
	Dwarf_Attribute attr;

	return dwarf_attr_integrate(die, DW_AT_type, &attr) && dwarf_formref_die(&attr, out);
}

/* What stands behind const, volatile and typedefs. */
static void peel(Dwarf_Die *die)
{
	for (int i = 0; i < MAX_DEPTH; i++) {
		int tag = dwarf_tag(die);
		Dwarf_Die next;

		if ((tag != DW_TAG_const_type && tag != DW_TAG_volatile_type &&
		     tag != DW_TAG_restrict_type && tag != DW_TAG_typedef &&
		     tag != DW_TAG_atomic_type) ||
		    !type_of(die, &next))
			return;
		*die = next;
	}
}

static uint32_t size_of(Dwarf_Die *die)
{
	Dwarf_Word size;

	return dwarf_aggregate_size(die, &size) == 0 && size < 1u << 24 ? (uint32_t)size : 0;
}

static uint64_t number(Dwarf_Die *die, unsigned name, uint64_t other)
{
	Dwarf_Attribute attr;
	Dwarf_Word v;

	return dwarf_attr_integrate(die, name, &attr) && dwarf_formudata(&attr, &v) == 0 ? v
											 : other;
}

static const char *full_name(struct type_table *t, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);

	return name ? arena_printf(type_table_arena(t), "%s%s", debug_type_tag(die), name) : NULL;
}

/* Floating-point values cannot be worked with, only kept. */
static const struct type *import_base(struct type_table *t, Dwarf_Die *die)
{
	uint64_t encoding = number(die, DW_AT_encoding, 0);
	const char *name = dwarf_diename(die);
	uint32_t size = size_of(die);

	if (encoding == DW_ATE_boolean)
		return &type_bool;
	if (size == 1 && name && strcmp(name, "char") == 0)
		return &type_char;
	if (encoding == DW_ATE_float || encoding == DW_ATE_complex_float ||
	    (size != 1 && size != 2 && size != 4 && size != 8))
		return type_array(t, type_int(1, false), size);
	return type_int(size, encoding == DW_ATE_signed || encoding == DW_ATE_signed_char);
}

static const struct type *import_enum(struct type_table *t, Dwarf_Die *die)
{
	struct type *e = type_alloc(t, TY_ENUM);
	Dwarf_Die item;

	e->name = full_name(t, die);
	e->size = e->align = size_of(die);
	e->fields = arena_alloc(type_table_arena(t), sizeof(*e->fields));
	if (e->name)
		type_define(t, e->name, e);
	if (dwarf_child(die, &item) != 0)
		return e;
	do {
		Dwarf_Attribute attr;
		Dwarf_Sword value;
		struct field *f;

		if (dwarf_tag(&item) != DW_TAG_enumerator || e->fields->n >= MAX_FIELDS ||
		    !dwarf_attr(&item, DW_AT_const_value, &attr) ||
		    dwarf_formsdata(&attr, &value) != 0 || !dwarf_diename(&item))
			continue;
		f = fields_add(t, e->fields);
		f->name = arena_strdup(type_table_arena(t), dwarf_diename(&item));
		f->value = value;
		e->is_signed |= value < 0;
		type_define_enum_value(t, f->name, value, e);
	} while (dwarf_siblingof(&item, &item) == 0);
	return e;
}

static void place_bitfield(Dwarf_Die *die, struct field *f)
{
	uint64_t bits = number(die, DW_AT_bit_size, 0), at;

	if (!bits || !f->type->size)
		return;
	at = number(die, DW_AT_data_bit_offset, UINT64_MAX);
	if (at == UINT64_MAX) /* DWARF 3 counts from the other end of the unit */
		at = f->offset * 8 + f->type->size * 8 - number(die, DW_AT_bit_offset, 0) - bits;
	f->offset = (uint32_t)(at / 8 / f->type->size * f->type->size);
	f->bit_offset = (uint8_t)(at - f->offset * 8ull);
	f->bit_size = (uint8_t)bits;
}

static void add_member(struct type_table *t, struct type *st, Dwarf_Die *die, int depth)
{
	bool base = dwarf_tag(die) == DW_TAG_inheritance;
	const char *name = dwarf_diename(die);
	struct field *f;
	Dwarf_Die type;

	if ((!base && dwarf_tag(die) != DW_TAG_member) || st->fields->n >= MAX_FIELDS ||
	    dwarf_hasattr(die, DW_AT_external) || !type_of(die, &type))
		return;
	f = fields_add(t, st->fields);
	f->name = base || !name ? NULL : arena_strdup(type_table_arena(t), name);
	f->type = import(t, &type, depth + 1);
	f->offset = (uint32_t)number(die, DW_AT_data_member_location, 0);
	place_bitfield(die, f);
}

static const struct type *import_struct(struct type_table *t, Dwarf_Die *die, int depth)
{
	struct type *st = type_alloc(t, TY_STRUCT);
	Dwarf_Die member;

	st->name = full_name(t, die);
	st->size = size_of(die);
	st->align = 8;
	st->is_union = dwarf_tag(die) == DW_TAG_union_type;
	st->fields = arena_alloc(type_table_arena(t), sizeof(*st->fields));
	st->fields->complete = !dwarf_hasattr(die, DW_AT_declaration);
	if (st->name && st->fields->complete)
		type_define(t, st->name, st);
	if (dwarf_child(die, &member) != 0)
		return st;
	do {
		add_member(t, st, &member, depth);
	} while (dwarf_siblingof(&member, &member) == 0);
	return st;
}

static const struct type *import_array(struct type_table *t, Dwarf_Die *die, int depth)
{
	const struct type *elem;
	Dwarf_Die type, range;
	uint32_t dims[MAX_DIMS];
	int n_dims = 0;

	if (!type_of(die, &type))
		return &type_void;
	elem = import(t, &type, depth + 1);
	if (dwarf_child(die, &range) != 0)
		return type_array(t, elem, 0);
	do {
		uint64_t n = number(&range, DW_AT_count, number(&range, DW_AT_upper_bound, -1) + 1);

		if (dwarf_tag(&range) == DW_TAG_subrange_type && n_dims < MAX_DIMS)
			dims[n_dims++] = n < 1u << 20 ? (uint32_t)n : 0;
	} while (dwarf_siblingof(&range, &range) == 0);
	while (n_dims--)
		elem = type_array(t, elem, dims[n_dims]);
	return elem;
}

/* A named struct behind a pointer is completed when it is followed: it may point back. */
static const struct type *import_pointer(struct type_table *t, Dwarf_Die *die, int depth)
{
	struct type *st;
	Dwarf_Die to;
	const char *tag;

	if (!type_of(die, &to))
		return type_ptr(t, &type_void);
	peel(&to);
	tag = debug_type_tag(&to);
	if (dwarf_tag(&to) == DW_TAG_subroutine_type)
		return type_ptr(t, &type_void);
	if (!tag || !dwarf_diename(&to) || dwarf_tag(&to) == DW_TAG_enumeration_type)
		return type_ptr(t, import(t, &to, depth + 1));
	st = type_alloc(t, TY_STRUCT);
	st->name = full_name(t, &to);
	st->size = size_of(&to);
	st->fields = arena_alloc(type_table_arena(t), sizeof(*st->fields));
	return type_ptr(t, st);
}

/* A name that is known already, unless it only stands for something to come. */
static const struct type *known(struct type_table *t, Dwarf_Die *die)
{
	const char *name = full_name(t, die);
	const struct type *ty = name ? type_defined(t, name) : NULL;

	return ty && (ty->kind != TY_STRUCT || ty->fields->complete) ? ty : NULL;
}

static const struct type *import(struct type_table *t, Dwarf_Die *from, int depth)
{
	Dwarf_Die die = *from;
	const struct type *ty;

	peel(&die);
	if (depth > MAX_DEPTH)
		return &type_void;
	switch (dwarf_tag(&die)) {
	case DW_TAG_base_type:
		return import_base(t, &die);
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
		return import_pointer(t, &die, depth);
	case DW_TAG_array_type:
		return import_array(t, &die, depth);
	case DW_TAG_enumeration_type:
		ty = known(t, &die);
		return ty ? ty : import_enum(t, &die);
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
		ty = known(t, &die);
		return ty ? ty : import_struct(t, &die, depth);
	default:
		return &type_void;
	}
}

const struct type *debug_type_import(struct type_table *t, Dwarf_Die *die)
{
	return import(t, die, 0);
}

/* ---- parameters ---- */

/* Where the next parameter of each class lies. */
struct param_walk {
	struct type_table *t;
	struct type *st;
	int next_reg;
	uint32_t stack;
};

static bool is_float(Dwarf_Die *type)
{
	Dwarf_Die die = *type;

	peel(&die);
	return dwarf_tag(&die) == DW_TAG_base_type &&
	       number(&die, DW_AT_encoding, 0) == DW_ATE_float;
}

/* Structs of up to two registers that hold numbers only; others are left out of the walk. */
static bool in_registers(struct param_walk *w, const struct type *type, uint32_t *offset)
{
	int words = type->size > 8 ? 2 : 1, at = regs_arg(w->next_reg);

	if (type->kind == TY_STRUCT && type->size > 16)
		return false;
	if (at < 0 || regs_arg(w->next_reg + words - 1) < 0)
		return false;
	*offset = (uint32_t)at;
	w->next_reg += words;
	return true;
}

/* The type as C writes it: "const char *". */
static void type_words(Dwarf_Die *die, int depth, struct buf *out)
{
	int tag = die ? dwarf_tag(die) : DW_TAG_base_type;
	const char *name = die ? dwarf_diename(die) : NULL, *mark = NULL;
	Dwarf_Die of;
	bool has_type = die && type_of(die, &of);

	if (!die || depth > MAX_DEPTH) {
		buf_puts(out, "void");
		return;
	}
	switch (tag) {
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
		buf_puts(out, tag == DW_TAG_const_type ? "const " : "volatile ");
		type_words(has_type ? &of : NULL, depth + 1, out);
		return;
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
		type_words(has_type ? &of : NULL, depth + 1, out);
		return;
	case DW_TAG_pointer_type:
		mark = "*";
		break;
	case DW_TAG_reference_type:
		mark = "&";
		break;
	case DW_TAG_rvalue_reference_type:
		mark = "&&";
		break;
	case DW_TAG_subroutine_type:
		buf_puts(out, "void");
		return;
	default:
		buf_printf(out, "%s%s", debug_type_tag(die) ? debug_type_tag(die) : "",
			   name ? name : "(anonymous)");
		return;
	}
	type_words(has_type ? &of : NULL, depth + 1, out);
	if (out->len && !strchr("*&", out->data[out->len - 1]))
		buf_putc(out, ' ');
	buf_puts(out, mark);
}

static void add_param(struct param_walk *w, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);
	const struct type *type;
	uint32_t offset;
	struct field *f;
	Dwarf_Die of;
	bool on_stack;

	if (!type_of(die, &of) || is_float(&of))
		return;
	type = import(w->t, &of, 0);
	on_stack = !in_registers(w, type, &offset);
	if (on_stack) {
		offset = PARAMS_ON_STACK + w->stack;
		w->stack += (type->size + 7) & ~7u;
	}
	/* two registers do not lie side by side in memory */
	if (!name || (type->size > 8 && !on_stack))
		return;
	f = fields_add(w->t, w->st->fields);
	f->name = arena_strdup(type_table_arena(w->t), name);
	f->type = type;
	f->offset = offset;
	f->is_on_stack = on_stack;
	offset += on_stack ? (type->size + 7) & ~7u : 8;
	if (offset > w->st->size)
		w->st->size = offset;
}

/* A struct that does not fit in two registers comes back through a hidden first parameter. */
static bool has_hidden_parameter(Dwarf_Die *function)
{
	Dwarf_Die type;

	if (!type_of(function, &type))
		return false;
	peel(&type);
	return debug_type_tag(&type) && size_of(&type) > 16;
}

static void list_param(Dwarf_Die *die, struct buf *out)
{
	const char *name = dwarf_diename(die);
	Dwarf_Die of;

	if (!name || !type_of(die, &of))
		return;
	buf_puts(out, "    ");
	type_words(&of, 0, out);
	buf_printf(out, " %s\n", name);
}

const struct type *debug_type_params(struct type_table *t, Dwarf_Die *function)
{
	struct param_walk w = {.t = t, .st = type_alloc(t, TY_STRUCT), .stack = 8};
	struct buf listing = {0};
	int n = 0;
	Dwarf_Die die;

#if defined(__x86_64__)
	w.next_reg = has_hidden_parameter(function);
#else
	(void)has_hidden_parameter;
	w.stack = 0;
#endif
	w.st->name = "struct args";
	w.st->fields = arena_alloc(type_table_arena(t), sizeof(*w.st->fields));
	w.st->fields->complete = true;
	if (dwarf_child(function, &die) != 0)
		return w.st;
	do {
		if (dwarf_tag(&die) != DW_TAG_formal_parameter || n++ >= MAX_PARAMS)
			continue;
		add_param(&w, &die);
		list_param(&die, &listing);
	} while (dwarf_siblingof(&die, &die) == 0);
	w.st->fields->listing = arena_strndup(type_table_arena(t), buf_str(&listing), listing.len);
	buf_free(&listing);
	return w.st;
}

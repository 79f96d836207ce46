/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's own tables of operator and type names, and its version strings. */
#include <stdlib.h>
#include <string.h>

#include "target/layout_impl.h"
#include "util/alloc.h"

enum { ANCHORS = 64, TABLE_LEAST = 8 };

/* What a name of one kind of table looks like. */
static bool is_upper_name(const char *s)
{
	if (*s < 'A' || *s > 'Z')
		return false;
	for (; *s; s++)
		if (!(*s >= 'A' && *s <= 'Z') && !(*s >= '0' && *s <= '9') && *s != '_')
			return false;
	return true;
}

static const char *cell_string(const struct elf *e, uint64_t cell)
{
	uint64_t at;

	return elf_pointer(e, cell, &at) && at ? elf_string(e, at, 48) : NULL;
}

/* Another table of names may follow directly: the gated unary functions stand behind the unary
 * ones, and those may stand behind the operators, which name them themselves only before UNARY
 * existed. */
static bool starts_next_table(const char *first, const char *s, bool has_unary)
{
	if (!strcmp(first, "NONE"))
		return !strcmp(s, "NONE") || (has_unary && !strcmp(s, "ABS"));
	return !strcmp(s, first) || !strcmp(s, "REGLU") || !strcmp(s, "NONE");
}

/* Names up to the end of the table. */
static size_t count_names(const struct elf *e, uint64_t table)
{
	const char *first = NULL;
	bool has_unary = false;
	size_t n = 0;

	for (; n < NAMES_MAX; n++) {
		const char *s = cell_string(e, table + 8 * n);

		if (!s || !is_upper_name(s) || (first && starts_next_table(first, s, has_unary)))
			break;
		has_unary |= !strcmp(s, "UNARY");
		if (!first)
			first = s;
	}
	return n;
}

/* Strings that follow each other in a table of pointers: where the first of them lies. */
static bool find_run(const struct elf *e, const char *const run[3], uint64_t *table)
{
	uint64_t text[ANCHORS], cell[ANCHORS];
	size_t n_text = elf_find_string(e, run[1], text, ANCHORS), n_cell;

	for (size_t i = 0; i < n_text; i++) {
		n_cell = elf_find_pointers(e, text[i], cell, ANCHORS);
		for (size_t k = 0; k < n_cell; k++) {
			const char *before = cell_string(e, cell[k] - 8);
			const char *after = cell_string(e, cell[k] + 8);

			if (before && after && !strcmp(before, run[0]) && !strcmp(after, run[2]) &&
			    count_names(e, cell[k] - 8) >= TABLE_LEAST) {
				*table = cell[k] - 8;
				return true;
			}
		}
	}
	return false;
}

/* A table of names that starts with `first` and whose address the function takes. */
static const struct elf *table_of(struct infer *in, const char *function, const char *first,
				  uint64_t *table)
{
	struct elf_func f;
	const struct elf *e = infer_find(in, function, &f);

	if (!e || !infer_eval(in, function, 90))
		return NULL;
	for (size_t i = 0; i < in->eval->n_address; i++) {
		uint64_t at = in->eval->address[i];
		const char *name = cell_string(e, at);

		if (name && !strcmp(name, first) && count_names(e, at) >= TABLE_LEAST) {
			*table = at;
			return e;
		}
	}
	return NULL;
}

static size_t take_names(const struct elf *e, uint64_t table, char **out)
{
	size_t n = count_names(e, table);

	for (size_t i = 0; i < n; i++)
		out[i] = xstrdup(cell_string(e, table + 8 * i));
	return n;
}

static void infer_name_table(struct infer *in, const char *function, const char *const run[3],
			     char **out, size_t *n)
{
	uint64_t table = 0, found;
	const struct elf *e = table_of(in, function, run[0], &table);

	for (size_t i = 0; i < in->n_searched; i++) {
		const struct elf *file = in->searched[i];

		if (e && (e != file || elf_file_size(e) > (64 << 20)))
			continue;
		if (!find_run(file, run, &found))
			continue;
		if (e && found != table)
			diag_add(in->d, DIAG_WARNING,
				 "%s reads its names from 0x%llx of %s, but a table of such names "
				 "also lies at 0x%llx; using the first",
				 function, (unsigned long long)table, elf_name(e),
				 (unsigned long long)found);
		if (!e) {
			e = file;
			table = found;
		}
	}
	if (e)
		*n = take_names(e, table, out);
}

/* Where the parts of one row of the type table lie. */
struct type_table {
	const struct elf *e;
	uint64_t at;
	uint64_t stride;
	uint64_t size_at; /* of the block size in bytes inside a row, 0: rows hold only names */
	uint64_t blck_table, size_table;
};

static bool is_block(uint64_t n)
{
	return n == 1 || n == 16 || n == 32 || n == 64 || n == 128 || n == 256;
}

/* Numbers that were given up keep a row with a note instead of a name. */
static bool is_given_up(const char *name)
{
	return !strcmp(name, "DEPRECATED") || strstr(name, "REMOVED") || strstr(name, "removed");
}

enum row_kind { ROW_EMPTY, ROW_TYPE, ROW_GIVEN_UP, ROW_FOREIGN };

static enum row_kind read_row(const struct type_table *t, size_t i, struct layout_type *out)
{
	uint64_t row = t->at + i * t->stride, size = 0, at;
	uint32_t blck = 0;
	const char *name = elf_pointer(t->e, row, &at) && at ? elf_string(t->e, at, 128) : NULL;

	memset(out, 0, sizeof(*out));
	if (!name || !*name)
		return ROW_EMPTY;
	if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z')))
		return ROW_FOREIGN;
	if (is_given_up(name))
		return ROW_GIVEN_UP;
	if (t->size_at) {
		elf_u32(t->e, row + 8, &blck);
		elf_u64(t->e, row + t->size_at, &size);
	} else {
		if (t->blck_table)
			elf_u32(t->e, t->blck_table + 4 * i, &blck);
		if (t->size_table)
			elf_u64(t->e, t->size_table + 8 * i, &size);
	}
	if (is_block(blck) && size && size < 65536) {
		out->blck = (int32_t)blck;
		out->size = (int32_t)size;
	} else if (t->size_at) {
		return ROW_FOREIGN;
	}
	snprintf(out->name, sizeof(out->name), "%s", name);
	return ROW_TYPE;
}

/* Rows up to the last named one; three empty rows in a sequence are the end. */
static size_t read_types(const struct type_table *t, struct layout_type *out)
{
	size_t last = 0;

	for (size_t n = 0; n < TYPES_MAX && n - last < 4; n++) {
		enum row_kind kind = read_row(t, n, &out[n]);

		if (kind == ROW_FOREIGN)
			break;
		if (kind != ROW_EMPTY)
			last = n + 1;
	}
	return last;
}

/* Rows with more than a name hold f32's block size 1 at 8 and its 4 bytes at 16 or 24. */
static void find_row_form(struct type_table *t)
{
	uint64_t size;
	uint32_t blck;

	t->size_at = 0;
	if (t->stride < 24 || !elf_u32(t->e, t->at + 8, &blck) || blck != 1)
		return;
	for (uint64_t at = 16; at <= 24 && at + 8 <= t->stride && !t->size_at; at += 8)
		if (elf_u64(t->e, t->at + at, &size) && size == 4)
			t->size_at = at;
}

/* Before the rows there were three arrays; the accessors name the other two. */
static void find_side_tables(struct infer *in, struct type_table *t)
{
	uint32_t blck;
	uint64_t size;

	if (infer_eval(in, "ggml_blck_size", 60))
		for (size_t i = 0; i < in->eval->n_address && !t->blck_table; i++)
			if (elf_u32(t->e, in->eval->address[i], &blck) && blck == 1)
				t->blck_table = in->eval->address[i];
	if (infer_eval(in, "ggml_type_size", 60))
		for (size_t i = 0; i < in->eval->n_address && !t->size_table; i++)
			if (elf_u64(t->e, in->eval->address[i], &size) && size == 4)
				t->size_table = in->eval->address[i];
}

/* Tries every distance between the cells that point at "f32" and at "f16". */
static void try_cell(struct infer *in, const struct elf *e, uint64_t f16_cell)
{
	struct layout_type rows[TYPES_MAX];

	for (uint64_t stride = 8; stride <= 160; stride += 8) {
		struct type_table t = {.e = e, .at = f16_cell - stride, .stride = stride};
		const char *f32 = cell_string(e, t.at);
		size_t n;

		if (!f32 || strcmp(f32, "f32"))
			continue;
		find_row_form(&t);
		if (stride > 8 && !t.size_at)
			continue;
		if (stride == 8)
			find_side_tables(in, &t);
		n = read_types(&t, rows);
		if (n > in->l->n_types) {
			memcpy(in->l->types, rows, n * sizeof(rows[0]));
			in->l->n_types = n;
		}
	}
}

static void infer_types(struct infer *in)
{
	uint64_t text[ANCHORS], cell[ANCHORS];

	for (size_t i = 0; i < in->n_searched && in->l->n_types < 8; i++) {
		const struct elf *e = in->searched[i];
		size_t n_text = elf_find_string(e, "f16", text, ANCHORS);

		for (size_t k = 0; k < n_text; k++) {
			size_t n = elf_find_pointers(e, text[k], cell, ANCHORS);

			for (size_t c = 0; c < n; c++)
				try_cell(in, e, cell[c]);
		}
	}
}

static void infer_string(struct infer *in, const char *function, char *out, size_t size)
{
	struct elf_func f;
	const struct elf *e = infer_find(in, function, &f);
	const char *s = NULL;

	if (!e || !infer_eval(in, function, 20))
		return;
	for (size_t i = 0; i < in->eval->n_address && !s; i++) {
		uint64_t at = in->eval->address[i], through;

		s = elf_string(e, at, size);
		/* Position-independent code may go through the global offset table. */
		if ((!s || !*s) && elf_pointer(e, at, &through))
			s = elf_string(e, through, size);
	}
	if (s)
		snprintf(out, size, "%s", s);
}

/* Names of enumerators in DWARF: a check of the table, or its substitute. */
static void merge_dwarf_ops(struct infer *in)
{
	struct layout *l = in->l;

	if (!l->n_ops) {
		for (size_t i = 0; i < in->n_dwarf_ops; i++)
			l->ops[i] = xstrdup(in->dwarf_ops[i]);
		l->n_ops = in->n_dwarf_ops;
		return;
	}
	for (size_t i = 0; i < in->n_dwarf_ops && i < l->n_ops; i++)
		if (in->dwarf_ops[i][0] && strcmp(in->dwarf_ops[i], l->ops[i])) {
			diag_add(in->d, DIAG_WARNING,
				 "operator %zu is %s in the table of names, but %s in DWARF; using "
				 "the table",
				 i, l->ops[i], in->dwarf_ops[i]);
			return;
		}
}

void infer_names(struct infer *in)
{
	static const char *const ops[3] = {"NONE", "DUP", "ADD"};
	static const char *const unary[3] = {"ABS", "SGN", "NEG"};
	struct layout *l = in->l;

	infer_name_table(in, "ggml_op_name", ops, l->ops, &l->n_ops);
	merge_dwarf_ops(in);
	/* The oldest builds number unary functions among the operators. */
	if (layout_op_number(l, "ABS") < 0)
		infer_name_table(in, "ggml_unary_op_name", unary, l->unary, &l->n_unary);
	infer_types(in);
	infer_string(in, "ggml_version", l->version, sizeof(l->version));
	infer_string(in, "ggml_commit", l->commit, sizeof(l->commit));
}

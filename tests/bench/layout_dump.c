/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the inferred layout of the engine files named on the command line, one value per line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/layout.h"

static void print_field(void *ctx, const char *name, const struct layout_value *v)
{
	fprintf(ctx, "%s %d # %s: %s\n", name, v->value, layout_how_name(v->how), v->source);
}

static void print_layout(const struct layout *l)
{
	static const char *const ops[] = {"ADD",      "RMS_NORM", "MUL_MAT", "MUL_MAT_ID",
					  "GET_ROWS", "SOFT_MAX", "ROPE",    "FLASH_ATTN_EXT",
					  "UNARY",    "GLU"};

	layout_each_field(l, print_field, stdout);
	printf("ops %zu\n", layout_op_count(l));
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		printf("op.%s %d\n", ops[i], layout_op_number(l, ops[i]));
	printf("unary %zu\ntypes %zu\n", layout_unary_count(l), layout_type_count(l));
	for (size_t i = 0; i < layout_type_count(l); i++) {
		const struct layout_type *t = layout_type(l, i);

		printf("type.%zu %s %d %d\n", i, t->name[0] ? t->name : "-", t->blck, t->size);
	}
	printf("version %s\ncommit %s\n", layout_version(l), layout_commit(l));
}

int main(int argc, char **argv)
{
	struct elf *files[16];
	struct layout_sources src = {.files = files, .root = ""};
	struct diag *d = diag_new();
	struct layout *l;

	for (int i = 1; i < argc && src.count < 16; i++) {
		if (!strcmp(argv[i], "--no-symbols"))
			src.no_symbols = true;
		else if (!strcmp(argv[i], "--no-dwarf"))
			src.no_dwarf = true;
		else if ((files[src.count] = elf_open(argv[i], d)))
			src.count++;
	}
	l = layout_infer(&src, d);
	if (l)
		print_layout(l);
	fflush(stdout);
	diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	layout_free(l);
	for (size_t i = 0; i < src.count; i++)
		elf_close(files[i]);
	diag_free(d);
	return l ? 0 : 1;
}

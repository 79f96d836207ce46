/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an engine's file: symbols, extents, sites, layout. */
#include <stdint.h>
#include <stddef.h>

#include "target/elf.h"
#include "target/layout.h"
#include "target/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUNCTIONS = 64 };

static void try_function(const struct elf *e, uint64_t vaddr)
{
	struct elf_func f;
	struct site site;
	struct site_exits exits;

	if (!elf_func_at(e, vaddr, &f))
		return;
	site_entry(e, &f, 0x83, true, &site);
	site_return(e, &f, &site);
	site_exits(e, &f, SITE_VALUE_ANYWHERE, &exits);
	site_may_throw(e, &f, NULL, 0);
}

static int match(void *ctx, const struct elf_symbol *sym)
{
	(void)sym;
	return ++*(int *)ctx > FUNCTIONS;
}

static void try_layout(struct elf *e, struct diag *d)
{
	struct layout_sources src = {.files = &e, .count = 1, .no_dwarf = true};

	layout_free(layout_infer(&src, d));
	src.no_symbols = true;
	layout_free(layout_infer(&src, d));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diag *d = diag_new();
	struct elf *e = elf_open_mem(data, size, "input", d);
	struct elf_symbol s;
	int matches = 0;

	for (size_t i = 0; e && i < FUNCTIONS && elf_symbol(e, i, &s); i++)
		try_function(e, s.vaddr);
	if (e) {
		elf_match(e, "llama_context::*(", match, &matches);
		elf_match(e, "ggml_*", match, &matches);
		elf_imports(e, "malloc");
		try_layout(e, d);
	}
	elf_close(e);
	diag_free(d);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files site*.c share. */
#ifndef LLMPROBE_TARGET_SITE_IMPL_H
#define LLMPROBE_TARGET_SITE_IMPL_H

#include "target/site.h"

/* Where the direct jumps of a function go, sorted. */
struct targets {
	uint64_t *at;
	size_t count, cap;
};

void targets_collect(struct targets *t, const struct insn_list *l);
void targets_free(struct targets *t);
bool targets_has(const struct targets *t, uint64_t vaddr);
/* Describes `in` as a site; the stack pointer counts as unknown. */
void site_fill(const struct elf *e, const struct elf_func *f, const struct insn *in,
	       struct site *out);

/* The address of a function that the file defines, 0: it does not. */
uint64_t site_address(const struct elf *e, const char *name);
/* The instruction calls (or jumps to) the function at `vaddr` (0: none), or the imported `name`. */
bool site_is_call(const struct elf *e, const struct insn *in, uint64_t vaddr, const char *name);
/*
 * Of the functions that call `callee` and reach `within`, the one that none of the others calls.
 * Compilers merge functions as they like: what runs inside `within`'s caller may call `callee`,
 * too. False when there is none, or more than one.
 */
bool site_find_caller(const struct elf *e, const char *callee, const char *within,
		      struct elf_func *out);

#endif

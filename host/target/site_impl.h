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

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files insn*.c and the layout inference share. */
#ifndef LLMPROBE_TARGET_INSN_IMPL_H
#define LLMPROBE_TARGET_INSN_IMPL_H

#include "target/insn.h"

/*
 * Calls `fn` with capstone's handle and cs_insn (details on) for each instruction from the
 * function's start (aarch64: an unknown word has id 0 and no details), until it returns non-zero,
 * `max` were seen or one cannot be decoded. `*end` is the vaddr after the last one. Returns 0 or
 * -errno.
 */
typedef int insn_walk_fn(void *ctx, size_t cs, const void *cs_insn);
int insn_walk(const struct elf *e, const struct elf_func *f, size_t max, insn_walk_fn *fn,
	      void *ctx, uint64_t *end);

/* Fill everything of `out` but vaddr, size and text, which are there. */
void insn_describe_x86(size_t cs, const void *cs_insn, struct insn *out);
void insn_describe_arm(size_t cs, const void *cs_insn, struct insn *out);

/* The number of a general register in any of its widths, -1 for others. */
int insn_x86_register(unsigned capstone_reg);
int insn_arm_register(unsigned capstone_reg);

/* An aarch64 load or store that changes its base register. */
struct insn_writeback {
	bool pre, post;
	unsigned base; /* register number, 31: sp */
	int32_t amount;
};
struct insn_writeback insn_arm_writeback(uint32_t word);

#endif

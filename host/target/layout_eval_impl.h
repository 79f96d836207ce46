/* SPDX-License-Identifier: Apache-2.0 */
/* The machine state of the symbolic walk, shared by its per-architecture halves. */
#ifndef LLMPROBE_TARGET_LAYOUT_EVAL_IMPL_H
#define LLMPROBE_TARGET_LAYOUT_EVAL_IMPL_H

#include "target/layout_eval.h"

enum { SLOTS = 48, SNAPSHOTS = 64 };

struct eval_slot {
	int64_t off; /* from the stack pointer at entry */
	struct eval_value value;
};

struct eval_state {
	struct eval_value reg[32];
	struct eval_value vec[32][2]; /* low and high half of a vector register */
	struct eval_slot slot[SLOTS];
	size_t n_slots;
};

struct eval_snapshot {
	uint64_t at;
	struct eval_state state;
};

struct eval_machine {
	const struct elf *e;
	struct elf_func func;
	struct eval *out;
	struct eval_state s;
	struct eval_snapshot *snap;
	size_t n_snap, cap_snap;
	bool dead;	 /* the previous instruction does not fall through */
	bool after_call; /* the previous instruction, nops aside, was a call */
	int calls;
};

void eval_x86(struct eval_machine *m, const void *cs_insn);
void eval_arm(struct eval_machine *m, const void *cs_insn);

/* base + off for the roots that carry an offset, else nothing known. */
struct eval_value eval_add(struct eval_value v, int64_t off);
/* The value of memory at `address`; stack slots give what was stored there. */
struct eval_value eval_load(struct eval_machine *m, struct eval_value address, size_t size,
			    bool indexed, uint64_t at);
void eval_store(struct eval_machine *m, struct eval_value address, size_t size, bool indexed,
		struct eval_value stored, uint64_t at);
void eval_compare_to(struct eval_machine *m, struct eval_value what, int64_t imm);
/* Notes `what + imm` and returns its value. */
struct eval_value eval_advance_by(struct eval_machine *m, struct eval_value what, int64_t imm);
/* Notes a read at `pointer` + `off`, when a load has given the pointer. */
void eval_read_behind(struct eval_machine *m, struct eval_value pointer, int64_t off, size_t size);
/* The address `base` plus an index that is not known. */
struct eval_value eval_shift(struct eval_value base);
void eval_set_constant(struct eval_machine *m, int reg, int64_t value);
void eval_take_address(struct eval_machine *m, uint64_t vaddr);
/* A call: `target` 0 when it is indirect through `through`. Clobbers `clobbered`, sets `ret`. */
void eval_call(struct eval_machine *m, uint64_t target, struct eval_value through,
	       uint32_t clobbered, int ret);
/* Remembers the state for code at `target`, a jump's destination inside the function. */
void eval_branch(struct eval_machine *m, uint64_t target);
/* A jump that does not fall through. */
void eval_jump(struct eval_machine *m, uint64_t target, struct eval_value through);
void eval_return(struct eval_machine *m, struct eval_value v);

#endif

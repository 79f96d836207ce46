/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a function a probe goes: cheap for the target and still right. */
#ifndef LLMPROBE_TARGET_SITE_H
#define LLMPROBE_TARGET_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/insn.h"

/* Where a value lies while a loop runs. */
enum loop_place_kind {
	LOOP_NO_PLACE,
	LOOP_REGISTER,	    /* in a register */
	LOOP_STACK_SLOT,    /* in memory at a base register + disp */
	LOOP_STACK_ADDRESS, /* it is the base register + disp itself */
	LOOP_ENTRY,	    /* nowhere: the loop has not begun */
};

struct loop_place {
	enum loop_place_kind kind;
	int8_t reg;   /* its, or the base register's, number in struct insn's masks */
	int32_t disp; /* LOOP_STACK_*: bytes */
	int32_t add;  /* to be added to what lies there */
};

/* The values of the loop over a graph's nodes where one of them ends. */
struct node_loop {
	struct loop_place params; /* address of the worker's struct ggml_compute_params */
	struct loop_place graph;  /* address of the struct ggml_cgraph */
	struct loop_place next;	  /* index of the node that follows; LOOP_ENTRY: none has begun */
};

bool node_loop_equal(const struct node_loop *a, const struct node_loop *b);

struct site {
	uint64_t vaddr;
	uint64_t file_offset; /* what a uprobe is attached to */
	uint64_t offset;      /* from the function's first byte */
	enum insn_class class;
	char text[INSN_TEXT_MAX]; /* the instruction */
	/* Bytes that the stack pointer lies below its value at function entry. Stack argument k of
	 * x86-64 is at sp + sp_adjust + 8 + 8*k, the return address at sp + sp_adjust. */
	int32_t sp_adjust;
	bool sp_known;
	/* At an exit: the number of the register that the function's value is in there (its bit in
	 * struct insn's masks); -1: where a return leaves it. */
	int8_t value_reg;
	struct node_loop loop; /* of site_node_ends */
	char why[96];	       /* one line: why here */
};

/*
 * The cheapest instruction at or after the entry of `f` that runs exactly once per call and at
 * which the arguments in `arg_mask` (bit i: integer argument i) are still in their registers and,
 * when `needs_sp`, the distance to the entry's stack pointer is known. Never past a jump target, a
 * conditional jump or a call. The entry itself is the answer when nothing is better. Returns 0 or
 * -errno (-ENOENT: no code there, -EOPNOTSUPP: the kernel refuses every candidate).
 */
int site_entry(const struct elf *e, const struct elf_func *f, uint32_t arg_mask, bool needs_sp,
	       struct site *out);
/*
 * Where a return probe may be placed: at the entry, or behind instructions that every call runs and
 * that leave the return address where it is, at the top of the stack (x86-64) or in the link
 * register (aarch64). Prefers the cheaper of these. Returns 0 or -errno.
 */
int site_return(const struct elf *e, const struct elf_func *f, struct site *out);

enum { SITE_EXITS_MAX = 64 };

struct site_exits {
	struct site at[SITE_EXITS_MAX];
	size_t count;
	bool complete; /* false: some way out of the function has no site; `why` says which */
	char why[96];
};
/* What a probe at an exit does with the function's value. */
enum site_value {
	SITE_VALUE_UNUSED,
	SITE_VALUE_ANYWHERE, /* reads it from site.value_reg */
	SITE_VALUE_IN_PLACE, /* reads it from where a return leaves it */
};
/*
 * Sites that together see every normal end of the function without a return probe: each returning
 * instruction, each tail call, or an emulated instruction shortly before one in the same
 * straight-line code with no call between them. The check of the stack protector counts as straight
 * code: where it jumps to, the program ends. With `needs_value` what the function returns is known
 * at each site (value_reg). Returns 0 or -errno.
 */
int site_exits(const struct elf *e, const struct elf_func *f, enum site_value value,
	       struct site_exits *out);

/*
 * The calls of `callee` in the function that calls `within`, itself or through one more function,
 * for probes that not every call of `callee` shall pay for. Returns 0 or -errno (-ENOENT: no such
 * function, or more than one; -EOPNOTSUPP: a call is dear to probe).
 */
int site_calls(const struct elf *e, const char *callee, const char *within, struct site_exits *out);

/* Offsets in ggml's structs that tell its loop over nodes, < 0: not known. */
struct loop_layout {
	int32_t n_nodes, flags;
};
/*
 * The jumps that end a node in the loop over a graph's nodes, which computes each by calling
 * `within` and then calls `callee` unless it is the last one, and the entry of the loop's function:
 * with where the loop's values lie. Only for builds of x86-64 whose loop leaves out nodes without
 * the flag COMPUTE (2026-01 and later). Returns 0 or -errno (-ENOENT: no such loop; -EOPNOTSUPP:
 * one that is not understood).
 */
int site_node_ends(const struct elf *e, const char *callee, const char *within,
		   const struct loop_layout *layout, struct site_exits *out);

enum site_throw { SITE_THROW_NO, SITE_THROW_MAYBE, SITE_THROW_YES };
/*
 * Estimates whether a C++ exception can pass out of the function, which would end the target if a
 * return probe sat on it. NO is only said when every call that can be reached from it was followed.
 * `why` (may be NULL) gets one line of at most `n` bytes.
 */
enum site_throw site_may_throw(const struct elf *e, const struct elf_func *f, char *why, size_t n);

#endif

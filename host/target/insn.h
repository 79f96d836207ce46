/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions of one function and what a uprobe on each of them costs. */
#ifndef LLMPROBE_TARGET_INSN_H
#define LLMPROBE_TARGET_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/elf.h"

/* How the kernel runs a probed instruction; cheapest first. */
enum insn_class {
	INSN_EMULATED, /* the kernel does its work itself, without a step in the target */
	INSN_PUSH,     /* emulated, with a write to the target's stack: some 50 ns more */
	INSN_NOP,      /* a multi-byte nop: emulated on recent kernels only */
	INSN_NOP5,     /* 0f 1f 44 00 00: rewritten to a call on recent kernels */
	INSN_STEPPED,  /* single-stepped out of line: ten times dearer in virtual machines */
	INSN_REFUSED,  /* the kernel does not accept a probe here */
};

enum {
	INSN_TEXT_MAX = 48,
	INSN_BYTES_MAX = 15,
	INSN_REGISTERS = 32,
	INSN_VALUE_REGISTER = 0, /* what a function returns is in rax or x0 */
};

/* General registers as bits: x86-64 by their encoding number (rax 0, rcx 1, rdx 2, rbx 3, rsp 4,
 * rbp 5, rsi 6, rdi 7, r8..r15), aarch64 x0..x30 by number and sp as 31. */
struct insn {
	uint64_t vaddr;
	uint8_t size;
	enum insn_class class;
	bool is_jump; /* direct or indirect, conditional or not */
	bool is_conditional;
	bool is_call;
	bool is_ret;
	bool has_target; /* direct jump or call: `target` is its vaddr */
	bool sp_known;	 /* sp_delta says exactly what the instruction does to the stack pointer */
	uint64_t target;
	int32_t sp_delta;	/* bytes added to the stack pointer, negative for a push */
	uint32_t reads, writes; /* general registers, implicit ones included */
	char text[INSN_TEXT_MAX];
};

struct insn_list {
	struct insn *at;
	size_t count;
	uint64_t end; /* vaddr after the last decoded byte; short of the function when it stopped */
	bool complete; /* every byte of the function was decoded */
};

/* The disassembler's tables are some 5 MB, so it is opened when a function is decoded. Opening it
 * before tells why that fails: 0, or -ENOSYS with an error that names the package. */
int insn_ready(struct diag *d);
/* Closes it until the next time. */
void insn_rest(void);

/* Decodes the function, at most `max` instructions (0: as many as it has). Returns 0 or -errno
 * (-ENOENT no bytes there, -ENOTSUP this architecture is not in the disassembler, -ENOSYS there is
 * none). */
int insn_decode(const struct elf *e, const struct elf_func *f, size_t max, struct insn_list *out);
void insn_list_free(struct insn_list *l);
/* Index of the instruction that starts at `vaddr`, or -1. */
long insn_index(const struct insn_list *l, uint64_t vaddr);
/* "emulated", "emulated push", "nop", "nop5", "single-stepped", "refused". */
const char *insn_class_name(enum insn_class c);
/* Rank for choosing between sites: 0 is the cheapest, of any emulated instruction. */
int insn_class_cost(enum insn_class c);
/* The register bit that carries integer argument `i` of a C function; 0 past the last one. */
uint32_t insn_arg_register(enum elf_arch arch, int i);
int insn_arg_count(enum elf_arch arch);
uint32_t insn_sp_register(enum elf_arch arch);

#endif

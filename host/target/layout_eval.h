/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one function does with its arguments and with what its calls return, found by walking its
 * instructions once with symbolic values. No loops are followed; after a jump the state of the
 * branch that leads to the next reachable instruction is taken up again.
 */
#ifndef LLMPROBE_TARGET_LAYOUT_EVAL_H
#define LLMPROBE_TARGET_LAYOUT_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/elf.h"

enum eval_root {
	ROOT_NONE, /* nothing known */
	ROOT_ARG,  /* argument `index` plus `off` */
	ROOT_RET,  /* what the latest call returned, plus `off` */
	ROOT_SP,   /* the stack pointer at entry plus `off` */
	ROOT_CONST,
	ROOT_ADDRESS, /* a vaddr of the file */
	ROOT_LOAD,    /* the content of memory at (`base` root, index) + `off` */
	ROOT_SHIFTED, /* same, plus some unknown index */
};

struct eval_value {
	enum eval_root root;
	enum eval_root base; /* ROOT_LOAD and ROOT_SHIFTED: of the address */
	int index;	     /* argument number, or number of the call */
	int64_t off;	     /* offset, constant or address */
};

struct eval_access {
	uint64_t at;	      /* of the instruction */
	struct eval_value to; /* address: ROOT_ARG or ROOT_RET */
	uint8_t size;
	bool is_write, has_imm, indexed;
	int64_t imm;		  /* has_imm: constant written */
	struct eval_value stored; /* value written */
};

struct eval_compare {
	struct eval_value what; /* ROOT_LOAD */
	int64_t imm;
};

/* A constant added to a loaded value: how far a pointer walks. */
struct eval_advance {
	struct eval_value what; /* ROOT_LOAD */
	int64_t imm;
};

/* A read at `off` behind a loaded pointer. */
struct eval_behind {
	struct eval_value pointer; /* ROOT_LOAD */
	int64_t off;
	uint8_t size;
};

/* A constant that was put into a register. */
struct eval_const {
	int reg; /* register number as in target/insn.h */
	int64_t value;
};

enum {
	EVAL_MAX = 256,
	EVAL_RESULT_ARG = 8, /* index of the hidden result argument on aarch64; it is 0 on x86-64 */
};

struct eval {
	struct eval_access access[EVAL_MAX];
	size_t n_access;
	struct eval_compare compare[EVAL_MAX];
	size_t n_compare;
	struct eval_advance advance[EVAL_MAX];
	size_t n_advance;
	struct eval_behind behind[EVAL_MAX];
	size_t n_behind;
	struct eval_const constant[EVAL_MAX];
	size_t n_constant;
	uint64_t address[EVAL_MAX]; /* file addresses taken or read through */
	size_t n_address;
	struct eval_value jump[EVAL_MAX]; /* ROOT_LOAD: indirect calls and jumps through memory */
	size_t n_jump;
	struct eval_value returned[EVAL_MAX]; /* value of the return register at each return */
	size_t n_returned;
	uint64_t call[EVAL_MAX]; /* direct calls and tail calls */
	size_t n_call;
	bool found; /* the function exists and was decoded */
};

/* Walks at most `max` instructions of the function. */
void eval_func(const struct elf *e, const struct elf_func *f, size_t max, struct eval *out);

/* The first read or write of `size` bytes (0: any) relative to argument `arg`; NULL: none. */
const struct eval_access *eval_read(const struct eval *v, int arg, size_t size);
const struct eval_access *eval_write(const struct eval *v, int arg, size_t size);

#endif

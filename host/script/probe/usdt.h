/* SPDX-License-Identifier: Apache-2.0 */
/* Static user-space probes (.note.stapsdt) of a file. */
#ifndef LLMPROBE_SCRIPT_USDT_H
#define LLMPROBE_SCRIPT_USDT_H

#include <stdbool.h>
#include <stdint.h>

#include "script/syntax/arena.h"

struct usdt_site {
	const char *provider, *name;
	const char *args;    /* "-4@%edi 8@8(%rbp)" */
	uint64_t vaddr;	     /* as the file is linked */
	uint64_t offset;     /* in the file */
	uint64_t sem_offset; /* of the semaphore in the file, 0: none */
	struct usdt_site *next;
};

/* All sites of the file, in file order; NULL when there are none or it cannot be read. */
struct usdt_site *usdt_sites(const char *path, struct arena *arena);

/*
 * The text of the site's arguments with numbers for the symbols in it: "-4@8+table(%rip)" becomes
 * "-4@DISTANCE(%rip)", which is from the probe's own address, and "-4@table" becomes "-4@ADDRESS".
 * `find` gives a symbol's address; what it does not know stays as it is.
 */
const char *usdt_resolve(const struct usdt_site *site, struct arena *arena,
			 bool (*find)(void *ctx, const char *symbol, uint64_t *vaddr), void *ctx);

/* One argument of a site. */
struct usdt_arg {
	int size; /* bytes, negative: signed */
	enum { USDT_CONST, USDT_REG, USDT_MEM } kind;
	int64_t value; /* constant, or offset of the memory operand */
	int reg;       /* offset of the register in struct pt_regs; -1: none */
	int index_reg; /* -1: none */
	int scale;
};
/* Parses argument `n`; false when there is none or its form is unknown. x86-64 and aarch64. */
bool usdt_arg(const char *args, int n, struct usdt_arg *out);

/* Offset of a register in struct pt_regs by its name ("rdi", "edi", "x0"), -1 when unknown. */
int regs_offset(const char *name);
/* Offset of integer argument n, of the return value, of sp, ip; -1 beyond the registers. */
int regs_arg(int n);
int regs_retval(void);
int regs_sp(void);
int regs_ip(void);

#endif

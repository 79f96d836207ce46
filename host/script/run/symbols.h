/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of addresses. What a process had mapped is read when it is first heard of and kept, so that
 * its addresses still have names after it is gone.
 */
#ifndef LLMPROBE_SCRIPT_SYMBOLS_H
#define LLMPROBE_SCRIPT_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"

struct symbols;

struct symbols *symbols_new(bool demangle);
void symbols_free(struct symbols *s); /* NULL is fine */
/* Reads the process's mappings now, unless that was done; `again` reads what is new. */
void symbols_note(struct symbols *s, pid_t pid, bool again);

struct symbols_mapping {
	uint64_t begin, end, offset; /* addresses; place in the file */
	uint64_t inode;
	const char *path; /* as the process sees it */
};
/* What the kernel tells of processes as it happens: code was mapped, a child begins with its
 * parent's mappings, a process has ended. */
void symbols_map(struct symbols *s, pid_t pid, const struct symbols_mapping *m);
void symbols_fork(struct symbols *s, pid_t pid, pid_t parent);
void symbols_exit(struct symbols *s, pid_t pid);
/* Drops processes whose end was told before the last call of this, unless they were noted. */
void symbols_forget(struct symbols *s);

struct symbol_at {
	const char *name;   /* demangled; NULL: none. Borrowed */
	uint64_t offset;    /* from the symbol's start */
	const char *module; /* file; NULL: none. Borrowed */
	uint64_t module_offset;
	const char *file; /* the module as it can be opened from here; NULL: it cannot. Borrowed */
	uint64_t vaddr;	  /* in the file */
};
bool symbols_user(struct symbols *s, pid_t pid, uint64_t address, struct symbol_at *out);
bool symbols_kernel(struct symbols *s, uint64_t address, struct symbol_at *out);
/* The C++ name behind a mangled one, else the name itself. Borrowed. */
const char *symbols_demangle(struct symbols *s, const char *name);

/* 0 when there is none. */
uint64_t symbol_kernel_address(const char *name);
/* A symbol of a file, and the code that is probed in it. */
struct symbol_place {
	uint64_t vaddr; /* of the symbol */
	uint64_t size;
	uint64_t probe; /* vaddr of the probed instruction */
	bool is_pic;	/* where it is loaded is only known at run time */
};
/* `offset` is the probe's in the file. False when the file has no such symbol. */
bool symbol_in_file(const char *path, const char *name, uint64_t offset, struct symbol_place *out);

#endif

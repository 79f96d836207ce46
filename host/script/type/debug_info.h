/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the debug information (DWARF, in the file or in its separate debug file) of probed files
 * tells a script: types by name, parameters of functions, addresses of source lines. Files are
 * opened when they are first asked, so that scripts that need none of it do not pay.
 */
#ifndef LLMPROBE_SCRIPT_DEBUG_INFO_H
#define LLMPROBE_SCRIPT_DEBUG_INFO_H

#include "script/type/types.h"

struct debug_info;

/* Types are made in `t`, which must live as long as they are used. */
struct debug_info *debug_info_new(struct type_table *t);
void debug_info_free(struct debug_info *d); /* NULL is fine */
/* Adds a file whose types debug_info_type looks through; a known one is ignored. */
void debug_info_add(struct debug_info *d, const char *path);
/* Imports "struct x", "union x", "enum x" or a typedef of the added files; NULL when none has it.
 */
const struct type *debug_info_type(struct debug_info *d, const char *name);
/*
 * The parameters of the function at `vaddr` as a struct whose fields lie in struct pt_regs, or on
 * the stack where is_on_stack is set. Those in floating-point registers are left out. NULL when
 * the file has no debug information for it.
 */
const struct type *debug_info_params(struct debug_info *d, const char *path, uint64_t vaddr);
/* A place in the source; function is that of inlined code, else NULL. Borrowed. */
struct debug_place {
	const char *function, *file;
	int line;
};
/*
 * Where the instruction at `vaddr` comes from: the innermost inlined function first, the function
 * that has its code last. Returns how many of at most `max` places there are, 0 without debug
 * information.
 */
size_t debug_info_places(struct debug_info *d, const char *path, uint64_t vaddr,
			 struct debug_place *out, size_t max);
/*
 * Calls fn for each address that begins a statement of that source line ("dir/file.c" or its end);
 * col 0: any. Returns the number of calls, or -ENOENT when the file has no line table.
 */
int debug_info_lines(struct debug_info *d, const char *path, const char *source, int line, int col,
		     void (*fn)(void *ctx, uint64_t vaddr), void *ctx);

#endif

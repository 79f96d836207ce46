/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs with callbacks, which libbcc does not know. The text has a marked constant where the
 * address of callback N belongs, and the callback as a program of its own: "cb_N" for a helper that
 * visits the elements of a map, "cc_N" for bpf_loop. Here they are joined to the program that uses
 * them, with the type information that the kernel asks for.
 *
 * A callback is written with one argument; it takes the others from their registers first of all:
 *     int cc_0(void *index) { u64 *c; asm volatile("%0 = r2" : "=r"(c)); ... }
 */
#ifndef LLMPROBE_BPF_CALLBACK_H
#define LLMPROBE_BPF_CALLBACK_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/code.h"

enum { CALLBACK_MARK = 0x4c580000 }; /* upper half of the constant; the lower one is N */

/* True for the name of a callback, which is no program to load by itself. */
bool callback_is_name(const char *name);
bool callback_used_by(const struct code_program *p);

/* A program with its callbacks behind it. */
struct callback_joined {
	struct code_program program; /* the name is borrowed */
	struct bpf_func_info *funcs; /* one per part */
	uint32_t n_funcs;
	int btf_fd; /* what `funcs` refers to */
};

/*
 * Joins `p` of `code` with the callbacks that it and they use. Returns 0 or -errno with an error in
 * `d`; free `out` in any case.
 */
int callback_join(const struct bpf_code *code, const struct code_program *p,
		  struct callback_joined *out, struct diag *d);
void callback_joined_free(struct callback_joined *j);

#endif

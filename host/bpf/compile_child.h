/* SPDX-License-Identifier: Apache-2.0 */
/* The child's side of bpf_compile: the only code that touches libbcc. */
#ifndef LLMPROBE_BPF_COMPILE_CHILD_H
#define LLMPROBE_BPF_COMPILE_CHILD_H

#include <stddef.h>

/* What the child says: this byte, then the encoded code or a message. */
enum { CHILD_CODE = 'C', CHILD_ERROR = 'E', CHILD_REFUSED = 'R' };

struct compile_child {
	const char *text;
	const char *const *cflags;
	size_t n_cflags;
	unsigned debug;	     /* libbcc's flags for what it prints on the way */
	const char *headers; /* the stub tree, NULL: libbcc looks for the kernel's own */
	int out;	     /* pipe for the answer */
};

/* Compiles and writes the answer; to be called in a forked child that then ends with _exit. */
void compile_child_run(const struct compile_child *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs with callbacks. The compiler leaves a marked constant where the address of callback N
 * belongs and the callback as a program of its own ("cb_N" for maps, "cc_N" for counted loops);
 * here they are joined and loaded with the type information that the kernel asks of such programs.
 */
#ifndef LLMPROBE_SCRIPT_CALLBACK_H
#define LLMPROBE_SCRIPT_CALLBACK_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/code.h"
#include "bpf/module.h"

enum { CALLBACK_MARK = 0x4c580000 }; /* upper half of the constant; the lower one is N */

bool callback_used_by(const struct code_program *p);
/* Loads the program `name` with its callbacks. Returns the descriptor or -errno. */
int callback_load(const struct bpf_code *code, const char *name, enum bpf_kind kind,
		  const struct bpf_extern *externs, size_t n_externs, struct diag *d);
/* Runs a program of kind RAW_TRACEPOINT once. */
int callback_run(int fd, void *ctx, size_t len);

#endif

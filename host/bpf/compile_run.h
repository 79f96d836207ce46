/* SPDX-License-Identifier: Apache-2.0 */
/* Compilers that run in children of their own, seen from the parent. */
#ifndef LLMPROBE_BPF_COMPILE_RUN_H
#define LLMPROBE_BPF_COMPILE_RUN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/compile_child.h"
#include "util/buf.h"

/* Outcomes are there after compile_run_end. */
struct compile_run {
	pid_t pid;
	int answer_fd, log_fd; /* -1: read to the end */
	uint64_t deadline_ns;  /* of clock_now() */
	struct buf answer;     /* what compile_child_run wrote */
	struct buf log;	       /* what libbcc and clang said */
	int err;	       /* -ETIMEDOUT, -EFBIG: the child was killed for it */
	int status;	       /* of waitpid, -1 when there is none */
};

/* Starts a child; what `c` points to is not needed any more afterwards. Returns 0 or -errno. */
int compile_run_start(struct compile_run *r, struct compile_child *c, unsigned timeout_ms);
/* Reads from `n` > 0 children until one of them has said all or its time is up; returns which. */
size_t compile_run_await(struct compile_run *const *r, size_t n);
/* Collects the child that compile_run_await has named. */
void compile_run_end(struct compile_run *r);
/* Frees the outcomes. */
void compile_run_free(struct compile_run *r);

#endif

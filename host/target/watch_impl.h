/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways of watching behind watch.h. */
#ifndef LLMPROBE_TARGET_WATCH_IMPL_H
#define LLMPROBE_TARGET_WATCH_IMPL_H

#include <stdint.h>

#include "target/watch.h"

/* A way of watching: what it found goes to `emit` when it is drained. */
typedef void (*watch_emit)(void *ctx, const struct watch_event *e);

/*
 * Holding targets (watch_hold.c, watch_tracer.c): a process of ours traces them with ptrace, and a
 * probe on the loader's debugger hook stops a thread that has just mapped something.
 */
struct watch_hold;
struct watch_hold *watch_hold_new(const pid_t *pids, size_t n, struct diag *d);
int watch_hold_fd(const struct watch_hold *h);
int watch_hold_drain(struct watch_hold *h, watch_emit emit, void *ctx);
int watch_hold_resume(struct watch_hold *h, pid_t pid);
void watch_hold_free(struct watch_hold *h);

/* What travels between the tool and its tracer. */
enum tracer_kind { TRACER_EVENT, TRACER_READY, TRACER_RESUME };
struct tracer_message {
	enum tracer_kind kind;
	int err; /* TRACER_READY: 0 or -errno of seizing the targets */
	struct watch_event event;
};
/* The tracer's life; never returns. `fd` is its end of a SOCK_SEQPACKET pair. */
__attribute__((noreturn)) void watch_tracer_run(int fd, const pid_t *pids, size_t n);

/* Listening (watch_perf.c): perf records of every CPU, filtered by process. */
struct watch_perf;
/* NULL when the kernel does not allow it; not an error. */
struct watch_perf *watch_perf_new(void);
int watch_perf_fd(const struct watch_perf *p);
/* Reports mappings, forks and execs of all processes. Returns records lost. */
unsigned long watch_perf_drain(struct watch_perf *p, watch_emit emit, void *ctx);
void watch_perf_free(struct watch_perf *p);

#endif

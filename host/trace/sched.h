/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduler intervals of the target's threads, from switches, wake-ups and looks at /proc.
 *
 * States: running; runnable (waiting for a CPU; by: the task that took it, or that had it when the
 * thread got it at last); sleeping; blocked (uninterruptible, usually input or output); stopped;
 * dead.
 */
#ifndef LLMPROBE_TRACE_SCHED_H
#define LLMPROBE_TRACE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "probes/record.h"
#include "trace/writer.h"

struct sched;

struct sched *sched_new(struct writer *w);
void sched_free(struct sched *s);
/* A thread of the target and when it was first known; `state` is a letter of /proc, 0: unknown. */
void sched_thread(struct sched *s, uint32_t tid, int64_t at, char state, int cpu);
/* The level was switched on or off. */
void sched_level(struct sched *s, int64_t at, bool on);
void sched_switch(struct sched *s, const struct rec_switch *r);
void sched_wakeup(struct sched *s, const struct rec_wakeup *r);
/* Closes the intervals that are open at the end of the recording. */
void sched_finish(struct sched *s, int64_t end);

/* How often a thread left or came to its CPU without a record of it; such an interval has no row.
 */
uint64_t sched_unseen(const struct sched *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters per operator and thread (trace_pmc). Perf events are opened per thread, so that what
 * other tasks do and moves between CPUs do not count; figures that the kernel keeps per thread
 * anyway (faults, switches, run delay) are read from its task_struct instead, which is cheaper.
 */
#ifndef LLMPROBE_BPF_COUNTER_H
#define LLMPROBE_BPF_COUNTER_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bpf/kbtf.h"
#include "util/buf.h"
#include "util/diag.h"

enum counter_method {
	COUNTER_EVENT, /* a perf event of the thread, read inside the program */
	COUNTER_TASK,  /* sum of up to two fields of task_struct */
};

struct counter {
	const char *name; /* as the user wrote it */
	enum counter_method method;
	const char *unit;	     /* "events", "ns" */
	struct perf_event_attr attr; /* COUNTER_EVENT */
	enum task_field fields[2];   /* COUNTER_TASK */
	unsigned n_fields;
};

enum { COUNTERS_MAX = 16 };

struct counters;

/*
 * Understands generic ("cycles"), cache ("L1-dcache-load-misses"), raw ("r01c2"), software
 * ("page-faults", "run-delay") and libpfm4 names ("RETIRED_INSTRUCTIONS"), each with ":u" or ":k"
 * for user or kernel mode only. NULL with an error per bad name, which names the nearest.
 */
struct counters *counters_parse(const char *const *names, size_t n, struct diag *d);
void counters_free(struct counters *c); /* NULL is fine; closes everything */

size_t counters_count(const struct counters *c);
const struct counter *counters_get(const struct counters *c, size_t i);
/* True for a hardware counter: it counts with the other ones of its thread or, where others want
 * the hardware too, not at all. */
bool counter_is_grouped(const struct counter *c);
/* True when COUNTER_TASK counters are among them: task_offsets are needed. */
bool counters_need_offsets(const struct counters *c);

/*
 * Opens all events on the calling thread for a moment. Returns 0, or -errno with an error that says
 * which counter was refused, why, and what this machine has; more hardware events than fit at once
 * are refused with the number that does.
 */
int counters_check(const struct counters *c, struct diag *d);

/* The perf event array for EXTERN_MAP, made for up to `threads` threads; or -errno with an error.
 */
int counters_map(struct counters *c, unsigned threads, struct diag *d);
/*
 * Opens the events of thread `tid` in slot `slot` (below `threads`); what was there is closed.
 * Returns 0, -ESRCH when the thread is gone, or -errno with an error.
 */
int counters_open(struct counters *c, pid_t tid, unsigned slot, struct diag *d);
void counters_close(struct counters *c, unsigned slot);

/*
 * Appends BPF C: `#define COUNTERS n` and
 *   static int counters_read(void *task, u32 slot, u64 *v)
 * which fills v[n] and behind it the enabled and running time in ns (0, 0 without perf events) of
 * the current thread, whose task_struct is `task`. Non-zero: an event could not be read, v is not
 * to be used. `map` is the number n of EXTERN_MAP(n). Values grow; take differences.
 */
void counters_text(const struct counters *c, const struct task_offsets *o, unsigned map,
		   struct buf *out);

/* All names that need no libpfm4, for lists and completion; NULL beyond the last. */
const char *counter_name(size_t i);

#endif

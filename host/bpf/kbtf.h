/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets of kernel structs from the running kernel's BTF, so that no kernel header is needed. */
#ifndef LLMPROBE_BPF_KBTF_H
#define LLMPROBE_BPF_KBTF_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"

struct btf;

/*
 * The running kernel's types, also where libbpf is too old for some of their kinds (those come as
 * btf_plain makes them). Free with btf__free. NULL: -errno in `err`. Prints nothing.
 */
struct btf *btf_of_kernel(int *err);
/* The same from raw bytes, always by way of btf_plain. */
struct btf *btf_from_raw(const void *data, size_t len, int *err);

/* Fields of task_struct that probes read. Bytes; -1: this kernel has no such field. */
enum task_field {
	TASK_PID,
	TASK_TGID,
	TASK_COMM,
	TASK_STATE, /* __state, or state before 5.14 */
	TASK_WAKE_CPU,
	TASK_CPU,
	TASK_PRIO,
	TASK_GROUP_LEADER,
	TASK_MM,
	TASK_SUM_EXEC_RUNTIME,
	TASK_VRUNTIME,
	TASK_RUN_DELAY,
	TASK_PCOUNT,
	TASK_UTIME,
	TASK_STIME,
	TASK_NVCSW,
	TASK_NIVCSW,
	TASK_MIN_FLT,
	TASK_MAJ_FLT,
	TASK_START_TIME,
	TASK_FIELD_COUNT
};

struct task_offsets {
	int32_t at[TASK_FIELD_COUNT];
	/* Which argument of the sched_switch tracepoint is the state that the thread leaves with:
	 * 3, or 1 in some 5.18. -1: none, as before 5.18. Arguments count from 0. */
	int32_t switch_state;
};

/*
 * Reads the offsets, from the cache when `cache_dir` (may be NULL) has them for this kernel: the
 * parse takes 15 to 35 ms. Returns 0 or -errno with an error in `d`.
 */
int btf_task_offsets(const char *cache_dir, struct task_offsets *out, struct diag *d);
/* Appends `#define TASK_OFF_PID 1264` and so on, SWITCH_STATE_ARG, and SWITCH_TASKS, which is the
 * argument of the thread that leaves, before that of the one that comes. What is absent gives no
 * line. */
void btf_task_defines(const struct task_offsets *o, struct buf *out);
/* "PID": the part behind TASK_OFF_. */
const char *btf_task_field_name(enum task_field f);

/* BTF id of the type behind a tp_btf tracepoint or of a kernel function; -errno when absent. */
int btf_tracepoint_id(const char *event);
int btf_function_id(const char *function);

#endif

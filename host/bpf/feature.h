/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel and the process's rights allow, found by trying. Each feature is tried when it is
 * first asked for and remembered; all of them together take under 20 ms, the very first time on a
 * kernel 40 ms more to read its BTF.
 */
#ifndef LLMPROBE_BPF_FEATURE_H
#define LLMPROBE_BPF_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

enum feature {
	FEATURE_BPF,		/* maps and tracing programs may be loaded at all */
	FEATURE_UPROBE_MULTI,	/* one link for many probes */
	FEATURE_UPROBE_SESSION, /* one program for entry and return */
	FEATURE_UPROBE_PMU,	/* perf uprobe events */
	FEATURE_PROCESS_FILTER, /* probes of one process do not fire in others */
	FEATURE_RINGBUF,
	FEATURE_TASK_STORAGE, /* usable from uprobe programs */
	FEATURE_ATTACH_COOKIE,
	FEATURE_BPF_LOOP,
	FEATURE_BTF,	/* /sys/kernel/btf/vmlinux readable */
	FEATURE_TP_BTF, /* typed tracepoint programs load */
	FEATURE_RAW_TRACEPOINT,
	FEATURE_TRACEFS,
	FEATURE_SW_COUNTERS,
	FEATURE_HW_COUNTERS,
	FEATURE_BPF_STATS,
	FEATURE_KERNEL_HEADERS, /* only for programs that include them */
	FEATURE_LIBBCC,
	FEATURE_COUNT
};

struct feature_result {
	bool ok;
	int err;	 /* -errno of the attempt, 0 when ok */
	char reason[96]; /* "" when ok: what the kernel said */
	char fix[160];	 /* "" when there is none: what to do about it */
};

struct features;

struct features *features_new(void);
void features_free(struct features *f);
/* Tries the feature on first use; the result is borrowed. */
const struct feature_result *feature_get(struct features *f, enum feature what);
bool feature_ok(struct features *f, enum feature what);
/* "uprobe_multi": for doctor's table. */
const char *feature_name(enum feature what);
/* What it is good for, one line. */
const char *feature_purpose(enum feature what);

/* "6.18.44-..", and as number major << 16 | minor << 8 | patch. */
const char *feature_kernel_release(struct features *f);
uint32_t feature_kernel_version(struct features *f);
/* Effective capabilities of this process as bits (1 << CAP_*). */
uint64_t feature_caps(struct features *f);
/* "CAP_BPF, CAP_PERFMON": what the process lacks of the capabilities that nothing works without, or
 * (`all`) also of those that only some targets need; "" when none. */
const char *feature_caps_missing(struct features *f, bool all);

#endif

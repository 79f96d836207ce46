/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/feature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bpf/compile.h"
#include "bpf/headers.h"
#include "bpf/feature_try.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/file.h"

struct features {
	struct feature_result results[FEATURE_COUNT];
	bool tried[FEATURE_COUNT];
	struct utsname uts;
	uint64_t caps;
	bool caps_known;
	char missing[128];
};

static int try_libbcc(void)
{
	char version[32];

	return *bpf_compiler_version(version) ? 0 : -ENOENT;
}

/* Multi links of 6.6 to 6.9 filter by thread. Trying would need a thread of another process. */
static int try_process_filter(void)
{
	struct utsname uts;

	uname(&uts);
	return headers_kernel_version(uts.release) >= (6 << 16 | 10 << 8) ? 0 : -EOPNOTSUPP;
}

static int try_headers(void)
{
	struct utsname uts;

	uname(&uts);
	return headers_installed(uts.release) ? 0 : -ENOENT;
}

static const char need_caps[] = "run as root or with CAP_BPF and CAP_PERFMON";

static const struct {
	const char *name, *purpose;
	int (*attempt)(void);
	const char *denied; /* fix for EPERM and EACCES */
	const char *absent; /* fix for everything else */
} table[FEATURE_COUNT] = {
	[FEATURE_BPF] = {"bpf", "load maps and probe programs", feature_try_bpf, need_caps,
			 "needs a kernel with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS"},
	[FEATURE_UPROBE_MULTI] = {"uprobe_multi", "attach and detach all probes at once",
				  feature_try_uprobe_multi, need_caps,
				  "needs Linux 6.6; without it detaching takes longer"},
	[FEATURE_UPROBE_SESSION] = {"uprobe_session", "one program for entry and return",
				    feature_try_uprobe_session, need_caps,
				    "needs Linux 6.13; entry and return probes are used instead"},
	[FEATURE_UPROBE_PMU] = {"uprobe_pmu", "single probes on kernels without multi links",
				feature_try_uprobe_pmu, "needs CAP_SYS_ADMIN before Linux 6.6",
				"needs a kernel with CONFIG_UPROBE_EVENTS"},
	[FEATURE_PROCESS_FILTER] = {"process_filter", "leave other processes of an engine in peace",
				    try_process_filter, "",
				    "needs Linux 6.10; programs skip other processes themselves"},
	[FEATURE_RINGBUF] = {"ringbuf", "one event buffer for all CPUs", feature_try_ringbuf,
			     need_caps, "needs Linux 5.8; set buffer.type: perf"},
	[FEATURE_TASK_STORAGE] = {"task_storage", "per-thread state without a hash",
				  feature_try_task_storage, need_caps,
				  "needs Linux 5.15; a hash by thread id is used instead"},
	[FEATURE_ATTACH_COOKIE] = {"attach_cookie", "one program for many probe points",
				   feature_try_attach_cookie, need_caps,
				   "needs Linux 5.15; probes are told apart by address"},
	[FEATURE_BPF_LOOP] = {"bpf_loop", "long loops in programs", feature_try_bpf_loop, need_caps,
			      "needs Linux 5.17; loops are unrolled"},
	[FEATURE_BTF] = {"btf", "offsets of kernel structs without headers", feature_try_btf,
			 "make /sys/kernel/btf/vmlinux readable",
			 "needs a kernel with CONFIG_DEBUG_INFO_BTF"},
	[FEATURE_TP_BTF] = {"tp_btf", "typed kernel tracepoints for the scheduler level",
			    feature_try_tp_btf, need_caps,
			    "needs Linux 5.5 with CONFIG_DEBUG_INFO_BTF"},
	[FEATURE_RAW_TRACEPOINT] = {"raw_tracepoint", "kernel tracepoints at low cost",
				    feature_try_raw_tracepoint, need_caps, "needs Linux 4.17"},
	[FEATURE_TRACEFS] = {"tracefs", "kernel tracepoints by name", feature_try_tracefs,
			     "run as root or with CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN",
			     "mount -t tracefs nodev /sys/kernel/tracing"},
	[FEATURE_SW_COUNTERS] = {"sw_counters", "page faults, context switches, task clock",
				 feature_try_sw_counters,
				 "lower /proc/sys/kernel/perf_event_paranoid or add CAP_PERFMON",
				 "needs a kernel with CONFIG_PERF_EVENTS"},
	[FEATURE_HW_COUNTERS] = {"hw_counters", "cycles, instructions, cache misses",
				 feature_try_hw_counters,
				 "lower /proc/sys/kernel/perf_event_paranoid or add CAP_PERFMON",
				 "this (virtual) machine shows no performance counters; enable the "
				 "vPMU or use software counters"},
	[FEATURE_BPF_STATS] = {"bpf_stats", "measure the time that programs take",
			       feature_try_bpf_stats, "needs CAP_SYS_ADMIN", "needs Linux 5.8"},
	[FEATURE_KERNEL_HEADERS] = {"kernel_headers",
				    "only for plugins that include kernel headers", try_headers, "",
				    "install linux-headers (Debian, Ubuntu) or kernel-devel "
				    "(Fedora) of the running kernel, if a plugin asks for it"},
	[FEATURE_LIBBCC] = {"libbcc", "compile programs that are not in the cache", try_libbcc, "",
			    "install libbpfcc (Debian, Ubuntu) or bcc (Fedora)"},
};

struct features *features_new(void)
{
	struct features *f = xcalloc(1, sizeof(*f));

	uname(&f->uts);
	return f;
}

void features_free(struct features *f)
{
	free(f);
}

/* LLMPROBE_WITHOUT=NAME,NAME: the ways that older kernels need, on this one. */
static bool left_out(const char *name)
{
	const char *list = getenv("LLMPROBE_WITHOUT");
	size_t len = strlen(name), n;

	for (; list && *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == len && !strncmp(list, name, n))
			return true;
	}
	return false;
}

const struct feature_result *feature_get(struct features *f, enum feature what)
{
	struct feature_result *r = &f->results[what];
	bool denied;

	if (f->tried[what])
		return r;
	f->tried[what] = true;
	if (left_out(table[what].name)) {
		r->err = -ENOTSUP;
		snprintf(r->reason, sizeof(r->reason), "left out by LLMPROBE_WITHOUT");
		return r;
	}
	r->err = table[what].attempt();
	r->ok = r->err >= 0;
	if (r->ok) {
		r->err = 0;
		return r;
	}
	denied = r->err == -EPERM || r->err == -EACCES;
	snprintf(r->reason, sizeof(r->reason), "%s", strerror(-r->err));
	snprintf(r->fix, sizeof(r->fix), "%s", denied ? table[what].denied : table[what].absent);
	return r;
}

bool feature_ok(struct features *f, enum feature what)
{
	return feature_get(f, what)->ok;
}

const char *feature_name(enum feature what)
{
	return table[what].name;
}

const char *feature_purpose(enum feature what)
{
	return table[what].purpose;
}

const char *feature_kernel_release(struct features *f)
{
	return f->uts.release;
}

uint32_t feature_kernel_version(struct features *f)
{
	return headers_kernel_version(f->uts.release);
}

uint64_t feature_caps(struct features *f)
{
	struct buf b = {0};
	const char *at;

	if (f->caps_known)
		return f->caps;
	if (!file_read("/proc/self/status", &b, 65536)) {
		at = strstr(buf_str(&b), "CapEff:");
		f->caps = at ? strtoull(at + 7, NULL, 16) : 0;
	}
	buf_free(&b);
	f->caps_known = true;
	return f->caps;
}

const char *feature_caps_missing(struct features *f, bool all)
{
	static const struct {
		const char *name;
		int bit;
		bool needed; /* by everything; CAP_SYS_ADMIN, their elder, has these in it */
	} wanted[] = {
		{"CAP_BPF", 39, true},	       {"CAP_PERFMON", 38, true},
		{"CAP_SYS_PTRACE", 19, false}, {"CAP_DAC_READ_SEARCH", 2, false},
		{"CAP_SYS_ADMIN", 21, false},
	};
	uint64_t caps = feature_caps(f);
	bool admin = caps >> 21 & 1;
	size_t i, len = 0;

	f->missing[0] = '\0';
	for (i = 0; i < ARRAY_LEN(wanted); i++) {
		if (caps >> wanted[i].bit & 1 || (wanted[i].needed ? admin : !all))
			continue;
		len += snprintf(f->missing + len, sizeof(f->missing) - len, "%s%s", len ? ", " : "",
				wanted[i].name);
	}
	return f->missing;
}

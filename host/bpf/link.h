/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching programs. A struct bpf_links is a set that is attached step by step and detached as
 * one. Detaching never blocks the caller: the kernel needs 25 ms to seconds for it, so descriptors
 * go to a reaper.
 */
#ifndef LLMPROBE_BPF_LINK_H
#define LLMPROBE_BPF_LINK_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/reaper.h"
#include "util/diag.h"

enum link_method {
	LINK_AUTO,
	LINK_UPROBE_MULTI, /* one link for all probes, kernels from 6.6 */
	LINK_TRACEFS,	   /* one tracefs event of many probes; no cookies */
	LINK_PERF,	   /* one perf event per probe; no cookies before 5.15 */
};

struct uprobe_site {
	uint64_t offset; /* in the file */
	uint64_t cookie; /* bpf_get_attach_cookie() */
};

struct uprobe_opts {
	const char *path; /* may be /proc/PID/root/... */
	const struct uprobe_site *sites;
	size_t n_sites;
	bool is_return; /* return probes; never where an exception can pass */
	bool session;	/* the program is of BPF_KIND_SESSION */
	/* Only this process; 0: every one. A program should check the process id all the same: see
	 * uprobe_result.pid_filtered. */
	pid_t pid;
	enum link_method method; /* LINK_AUTO outside of tests */
	bool no_multi;		 /* LINK_AUTO: multi links are known not to be had */
};

struct uprobe_result {
	enum link_method method; /* what was used */
	bool cookies;		 /* bpf_get_attach_cookie works; else tell probes apart by ip */
	bool pid_filtered; /* the kernel skips other processes; not so on 6.6 to 6.9 multi links */
	size_t attached, failed; /* failed sites were warned about, the first 8 by offset */
};

struct bpf_links;

/* `r` is borrowed and must live longer. */
struct bpf_links *links_new(struct reaper *r);

/*
 * Attaches `prog_fd` (BPF_KIND_UPROBE) to all sites of one file. When only some sites fail the rest
 * stays attached, the failed ones are warned about and counted. Returns 0 when at least one was
 * attached, else -errno with an error in `d`. `res` may be NULL.
 */
int links_uprobes(struct bpf_links *l, int prog_fd, const struct uprobe_opts *o,
		  struct uprobe_result *res, struct diag *d);

/* Each attaches one program. Return 0 or -errno with an error in `d`. */
int links_tracepoint(struct bpf_links *l, int prog_fd, const char *category, const char *event,
		     struct diag *d);
int links_raw_tracepoint(struct bpf_links *l, int prog_fd, const char *event, struct diag *d);
/* BPF_KIND_TP_BTF, _FENTRY, _FEXIT: the target was fixed at load. */
int links_tracing(struct bpf_links *l, int prog_fd, struct diag *d);
/* Kernel function by name, BPF_KIND_UPROBE program. */
int links_kprobe(struct bpf_links *l, int prog_fd, const char *function, uint64_t offset,
		 bool is_return, struct diag *d);
/* Opens the event on `cpu` (-1: every online one) and `pid` (-1: every process) and attaches a
 * BPF_KIND_PERF_EVENT program to it. */
int links_perf_event(struct bpf_links *l, int prog_fd, const struct perf_event_attr *attr,
		     pid_t pid, int cpu, struct diag *d);

/* The same on every thread of a process and on those that they start. */
int links_perf_process(struct bpf_links *l, int prog_fd, const struct perf_event_attr *attr,
		       pid_t pid, struct diag *d);

/* Number of descriptors and of probe sites now attached. */
size_t links_count(const struct bpf_links *l);
size_t links_sites(const struct bpf_links *l);

/* Detaches the uprobes that were for that process alone, which has ended; returns at once. */
void links_drop(struct bpf_links *l, pid_t pid);

/*
 * Detaches all and frees the set; returns at once. Programs may still run until reaper_flush of
 * its reaper returns 0. Do it before exit too: exit() with attached probes waits for the kernel.
 * NULL is fine.
 */
void links_free(struct bpf_links *l);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct bpf_links, shared by link.c and uprobe.c. */
#ifndef LLMPROBE_BPF_LINK_SET_H
#define LLMPROBE_BPF_LINK_SET_H

#include <stddef.h>

#include "bpf/link.h"
#include "util/buf.h"

struct link {
	int fd;
	size_t sites;
	pid_t pid; /* of the only process that it is for; 0: no such */
};

struct bpf_links {
	struct reaper *reaper;
	struct link *at;
	size_t n, cap;
	pid_t pid;	   /* of those that are being added */
	struct buf events; /* commands that remove tracefs events, one per line */
	unsigned n_events; /* made so far, for names */
	int tracefs;	   /* -1 until needed */
};

/* Takes the descriptor, which stands for `sites` probe sites. */
void links_add(struct bpf_links *l, int fd, size_t sites);
/* tracefs, opened once per set; borrowed, or -errno with an error in `d`. */
int links_need_tracefs(struct bpf_links *l, struct diag *d);
/* Attaches a program to a perf event, with a cookie where the kernel can, and switches it on. The
 * event is the set's afterwards, or closed. Returns 0 or -errno; `*cookies` as uprobe_result. */
int links_perf(struct bpf_links *l, int prog_fd, int event_fd, uint64_t cookie, size_t sites,
	       bool *cookies);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices what targets do to the plan: files mapped later, forks, execs, exits.
 *
 * A command that we start is held at each of these points until watch_resume, so that nothing of it
 * runs unseen. A process that ran before us is never stopped: its new mappings are learnt from the
 * kernel's perf records, and from a scan where those are not to be had.
 */
#ifndef LLMPROBE_TARGET_WATCH_H
#define LLMPROBE_TARGET_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/diag.h"

/* WATCH_STOP: a held target's thread that a BPF program has sent SIGSTOP. Nobody but this watch
 * sees the signal; loaders cause some of these as well, before they map something. */
enum watch_kind { WATCH_MAP, WATCH_FORK, WATCH_EXEC, WATCH_EXIT, WATCH_STOP };

struct watch_event {
	enum watch_kind kind;
	pid_t pid;
	pid_t tid;    /* the thread that did it; the held one */
	pid_t parent; /* WATCH_FORK: who forked `pid` */
	bool held;    /* the thread waits for watch_resume */
};

struct watch_opts {
	bool hold;	  /* stop the targets at each event; only for processes we started */
	unsigned scan_ms; /* look at the maps this often as well; 0: 500 ms when perf records
			   * cannot be had, else never */
};

struct watch;

/*
 * Watches the processes `pids` and whatever they fork from now on. With `hold` each must be a held
 * struct spawn's child of this process. Returns NULL with an error in `d`.
 */
struct watch *watch_new(const pid_t *pids, size_t n, const struct watch_opts *opts, struct diag *d);
/* Adds a process that was not forked by a watched one. Returns 0 or -errno. */
int watch_add(struct watch *w, pid_t pid, struct diag *d);
/*
 * Readable when something may have happened. The kernel tells of perf records once: whoever polls
 * it, or polls a descriptor that polls it, must call watch_drain whatever a later look says.
 */
int watch_fd(const struct watch *w);
/*
 * Calls `fn` for each pending event; repeated mappings of one process are folded into one event.
 * Returns the number of events or -errno.
 */
int watch_drain(struct watch *w, void (*fn)(void *ctx, const struct watch_event *e), void *ctx);
/* Lets every held thread of `pid` go on; nothing when none is held. Returns 0 or -errno. */
int watch_resume(struct watch *w, pid_t pid);
/* True when targets are held, so that WATCH_STOP is told. */
bool watch_holds(const struct watch *w);
/* How it works here, in words for doctor: "held by ptrace and a probe in the loader", "perf
 * records". */
const char *watch_method(const struct watch *w);
/* Events that the kernel dropped; a scan followed each loss. */
unsigned long watch_lost(const struct watch *w);
/* Ends watching; held threads go on. NULL is fine. */
void watch_free(struct watch *w);

#endif

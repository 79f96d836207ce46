/* SPDX-License-Identifier: Apache-2.0 */
/* The intervals in which threads had no CPU, one after the other, and who had it instead. */
#ifndef LLMPROBE_VIEW_WAITS_H
#define LLMPROBE_VIEW_WAITS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum wait_state { WAIT_RUNNABLE, WAIT_SLEEPING, WAIT_BLOCKED, WAIT_OTHER };

struct wait_task {
	char comm[24]; /* "": not known */
	int64_t tid;
	bool own; /* a thread of the target */
};

struct wait {
	int64_t tid;
	bool worker; /* the thread ran operators */
	double begin, end;
	enum wait_state state;
	struct wait_task first,
		last; /* on the CPU: right after the thread, and right before it again */
};

/*
 * Calls `fn` for each, in any order. One pass over the rows, of which there may be millions: those
 * of a thread lie in order of time, so the one that tells who was last follows the one that waited.
 */
void waits_each(sqlite3 *db, void (*fn)(void *ctx, const struct wait *w), void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* For what runs beside the levels of a session: plugins, scripts. */
#ifndef LLMPROBE_SESSION_RIDER_H
#define LLMPROBE_SESSION_RIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/diag.h"

struct cJSON;
struct plan;
struct reaper;
struct session;

/* Called by the session, each may be absent. */
struct session_rider {
	void *ctx;
	/* A target came or has mapped something new; a held one waits for the return. The plan
	 * knows about it already. */
	void (*process)(void *ctx, pid_t pid, struct diag *d);
	/* A target has ended. */
	void (*gone)(void *ctx, pid_t pid);
	/* Once per drain interval. */
	void (*drain)(void *ctx, struct diag *d);
	/* A recording began: notes that explain later records are due. */
	void (*started)(void *ctx);
	/* Now and then while recording, and at its end: sums and losses are due. */
	void (*sync)(void *ctx, bool last);
	/* Events lost so far. */
	uint64_t (*lost)(void *ctx);
	/* The session goes away: detach. */
	void (*ending)(void *ctx);
};

enum { SESSION_RIDERS_MAX = 4 };

/* Adds a rider, which is copied; it is told of the targets there are by the caller. Returns 0 or
 * -ENOSPC. */
int session_ride(struct session *s, const struct session_rider *r);
void session_unride(struct session *s, const void *ctx);

/* Living target number i; 0 after the last. */
pid_t session_pid(const struct session *s, size_t i);
struct plan *session_plan(struct session *s);
struct reaper *session_reaper(struct session *s);
/* Hash u32 tgid -> u32 of the targets, for programs. */
int session_target_map(const struct session *s);
/* Uprobes can be limited to one process by the kernel. */
bool session_can_filter(struct session *s);

/* Into the spool of the recording; without one they are dropped. `note` is taken, records are
 * struct rec_head and what belongs to it. */
void session_add_note(struct session *s, struct cJSON *note);
int session_add_record(struct session *s, const void *rec, size_t len);

#endif

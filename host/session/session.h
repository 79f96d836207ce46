/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running trace: targets, their probe plan, the levels that are on, the transport and, while a
 * recording runs, the spool. One thread; the owner polls session_fd and calls session_dispatch.
 *
 * Levels are independent BPF modules over shared maps, so switching one does not touch another.
 */
#ifndef LLMPROBE_SESSION_SESSION_H
#define LLMPROBE_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "bpf/transport.h"
#include "probes/record.h"
#include "util/diag.h"

struct session_opts {
	enum transport_kind transport;
	uint64_t buffer_bytes;
	uint64_t drain_ns;     /* between two drains */
	const char *cache_dir; /* compiled programs; NULL: none */
	const char *engine;    /* name of an engine file; NULL: any */
	bool names;	       /* keep tensor names for session_each_op and session_on_op */
	bool summary;	       /* operators are summed up in the kernel */
	/* Which operators, see level/filter.h; borrowed for the call of session_new only. */
	const char *const *include, *const *exclude;
	size_t n_include, n_exclude;
	/* Barrier wait is taken during one of so many stretches of decodes; 1: always, 0: never. */
	unsigned barrier_every;
	bool barrier_asked; /* by the user: wait counts more than a cheaper way without it */
	bool no_dimensions; /* tensors are recorded without their shape */
	const char *const *counters; /* names, borrowed for the session's life */
	size_t n_counters;
	bool default_counters;	 /* instead: what this machine has */
	double overhead_cap;	 /* share of the target's time (0.02), 0: no governor */
	const char *config_text; /* for the run table; NULL: none */
};

struct session;

/* Checks the rights and makes the shared maps. NULL with an error in `d` that names what is
 * missing. */
struct session *session_new(const struct session_opts *o, struct diag *d);
/* Detaches everything (at most 100 ms) and leaves the targets alone. NULL is fine. */
void session_free(struct session *s);

/*
 * Targets. A running process is planned at once; -ENOENT with the reasons when no level has a
 * point. A command is held before its first instruction until session_launch; children of targets
 * are targets. -E2BIG: several candidates, listed in `d`. With a file those that map it now and
 * those that will, so there may be none yet.
 */
int session_target_pid(struct session *s, pid_t pid, struct diag *d);
int session_target_exe(struct session *s, const char *path, struct diag *d);
int session_target_any(struct session *s, struct diag *d);
int session_target_command(struct session *s, char *const argv[], struct diag *d);
int session_launch(struct session *s, struct diag *d);

/*
 * Levels. Enabling one that no target has a point for yet is remembered: it is attached when a
 * library that has it is mapped. Returns 0 or -errno with an error that gives the reason.
 */
int session_enable(struct session *s, enum rec_level level, struct diag *d);
int session_disable(struct session *s, enum rec_level level, struct diag *d);
/* Compiles what these levels will need side by side, so that enabling them, one after the other, is
 * quick. What goes wrong with that is said by session_enable; `d` takes what there is to know about
 * the choice of probes. */
void session_prepare(struct session *s, const bool levels[LEVEL_COUNT], struct diag *d);
bool session_level_on(const struct session *s, enum rec_level level);
/* On, but not one probe could be placed so far; the text says why. "" when it has probes. */
const char *session_level_reason(struct session *s, enum rec_level level);

/* Recording into a spool. One at a time. */
int session_start(struct session *s, const char *spool_path, bool force, struct diag *d);
/* Collects what is in flight, writes the closing notes and closes the spool. */
int session_stop(struct session *s, struct diag *d);
bool session_recording(const struct session *s);
const char *session_spool_path(const struct session *s);
/* Writes everything known so far into the spool, so that it can be read while recording goes on. */
int session_sync(struct session *s, struct diag *d);

/* A decode or encode call that ended. Times in ns of CLOCK_MONOTONIC. */
struct session_token {
	pid_t pid, tid;
	uint64_t context;
	int32_t n_tokens;
	bool is_prefill; /* several tokens of one sequence */
	uint64_t begin_ns, end_ns;
};
typedef void (*session_token_fn)(void *ctx, const struct session_token *t);
/* `fn` is called from session_dispatch for each token row while the token level is on; NULL ends
 * it. */
void session_on_token(struct session *s, session_token_fn fn, void *ctx);

/* Sums of one tensor on one thread since the session began, in summary mode; or one operator row.
 */
struct session_op {
	const char *op, *name; /* "?" and "" while the tensor is not known */
	pid_t tid;
	unsigned thread_index;
	uint64_t count, compute_ns, wait_ns;
};
typedef void (*session_op_fn)(void *ctx, const struct session_op *op);
void session_each_op(struct session *s, session_op_fn fn, void *ctx);
/* `fn` is called from session_dispatch for each operator row (count 1) while operators are recorded
 * as events; needs opts.names. NULL ends it. */
void session_on_op(struct session *s, session_op_fn fn, void *ctx);
/* Pid of the first target, 0 without one. */
pid_t session_first_pid(const struct session *s);

/*
 * Settings that can change while the session runs. The operator level is off for some ms where it
 * is on. Each returns 0 or -errno with an error in `d`.
 */
int session_set_barrier_every(struct session *s, unsigned every, struct diag *d);
/* True where operators are seen at their ends alone (see `operators.barrier`): the setting then
 * changes nothing. */
bool session_waits_are_free(struct session *s);
int session_set_summary(struct session *s, bool summary, struct diag *d);
/* 0: none. What the governor had switched off comes back. */
int session_set_cap(struct session *s, double share, struct diag *d);
struct session_counters {
	bool defaults;
	const char *const *names; /* borrowed for the session's life */
	size_t n;
};
/* -EBUSY during a recording. */
int session_set_counters(struct session *s, const struct session_counters *c, struct diag *d);

/* One descriptor to poll for reading. */
int session_fd(const struct session *s);
/* Handles whatever is due. Problems of a target are warnings; a failed spool is an error. */
int session_dispatch(struct session *s, struct diag *d);
/* True when every target has ended. */
bool session_ended(const struct session *s);
/* The command's wait status once it ended, -1 before and for other targets. */
int session_exit_status(const struct session *s);

/* What a level did so far, over the life of the session. */
struct session_level_stats {
	bool on;
	size_t sites;	/* probes attached now */
	uint64_t hits;	/* program runs */
	uint64_t lost;	/* events lost in the kernel */
	double cost_ns; /* estimate: time the hits took from the targets */
	double share;	/* estimate: of the target's CPU time since it was enabled, 0 to 1 */
};
void session_level_stats(struct session *s, enum rec_level level, struct session_level_stats *out);
/* Sums over all levels. */
uint64_t session_lost(struct session *s);
/* Operators that were asked for, but not one of them ran; why, as far as is known. "" otherwise. */
const char *session_nothing_matched(struct session *s);

/* Texts for people. */
void session_print_status(struct session *s, FILE *out);
void session_print_targets(struct session *s, FILE *out);
void session_print_plan(struct session *s, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of a script's engine probes: its processes, the plan of its files, and the fronts that
 * lead from the plan's points to the script's programs. Fronts come and go with the target's
 * libraries; the script's programs are the same for every engine.
 */
#ifndef LLMPROBE_SCRIPT_ENGINE_ATTACH_H
#define LLMPROBE_SCRIPT_ENGINE_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bpf/module.h"
#include "bpf/reaper.h"
#include "util/diag.h"

enum engine_source { ENGINE_TOKEN, ENGINE_GRAPH, ENGINE_OP, ENGINE_EXPERT, ENGINE_SCHED };

/* What a program of the script wants. */
struct engine_want {
	enum engine_source source;
	bool at_end;		       /* of token, graph and op */
	char *filter_op, *filter_name; /* globs, NULL: all; freed with the targets */
	bool op, type, ne, name, thread_index, backend; /* what it uses of an operator */
	bool token;					/* what it uses of the token call */
};

struct engine_targets;

struct engine_targets_opts {
	struct reaper *reaper; /* borrowed */
	const char *engine;    /* only this engine file; NULL: all */
};

/* Makes the maps. NULL with an error in `d`. */
struct engine_targets *engine_targets_new(const struct engine_targets_opts *o, struct diag *d);
/* Detaches all. NULL is fine. */
void engine_targets_free(struct engine_targets *t);
/* Adds a program; its number, or -errno with an error in `d`. The want stays writable through
 * engine_targets_want until the program is attached. */
int engine_targets_add(struct engine_targets *t, const struct engine_want *want, struct diag *d);
struct engine_want *engine_targets_want(struct engine_targets *t, int program);
/* Numbers behind EXTERN_MAP of a program's state and of what is under way. */
unsigned engine_targets_state(int program);
unsigned engine_targets_work(int program);
/* The kernel lets one hit stand for several events. */
bool engine_targets_can_loop(const struct engine_targets *t);
size_t engine_targets_externs(struct engine_targets *t, struct bpf_extern *ext);
/*
 * The loaded program, borrowed; events lead to it from now on. `tracepoint` is a scheduler event's
 * own, NULL for those of the target.
 */
int engine_targets_program(struct engine_targets *t, int program, const char *tracepoint, int fd,
			   struct diag *d);

/*
 * Attaches to running processes, once all programs are added. Nothing counts before
 * engine_targets_go. Return 0 or -errno with an error in `d`.
 */
int engine_targets_pid(struct engine_targets *t, pid_t pid, struct diag *d);
int engine_targets_exe(struct engine_targets *t, const char *path, struct diag *d);
/* The one running process with a known engine. */
int engine_targets_any(struct engine_targets *t, struct diag *d);
/* A held child of ours: from its release on it is stopped at each new library until the probes are
 * in. */
int engine_targets_child(struct engine_targets *t, pid_t pid, struct diag *d);
/* From here on the events of all attached processes count. */
int engine_targets_go(struct engine_targets *t, struct diag *d);
/* 0 when every program has had a point in the target, else -ENOENT; an error has said which had
 * none and why. */
int engine_targets_check(struct engine_targets *t, struct diag *d);
/* Operators that were not seen for want of room. */
uint64_t engine_targets_lost(const struct engine_targets *t);

/* Readable when engine_targets_ready has something to do; -1: nothing to watch. */
int engine_targets_fd(const struct engine_targets *t);
void engine_targets_ready(struct engine_targets *t, struct diag *d);
/* No process of the target lives. */
bool engine_targets_ended(const struct engine_targets *t);
/* Probe sites that are attached. */
size_t engine_targets_sites(const struct engine_targets *t);
/* Takes the probes off; programs may run until the reaper is flushed. */
void engine_targets_stop(struct engine_targets *t);

#endif

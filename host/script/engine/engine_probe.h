/* SPDX-License-Identifier: Apache-2.0 */
/* Typed probes on the traced inference engine: op:end, token:begin, ... */
#ifndef LLMPROBE_SCRIPT_ENGINE_PROBE_H
#define LLMPROBE_SCRIPT_ENGINE_PROBE_H

#include "script/type/types.h"
#include "util/buf.h"

enum engine_arg_kind { ENGINE_ARG_INT, ENGINE_ARG_STRING, ENGINE_ARG_INT4 };

struct engine_arg {
	const char *name;
	enum engine_arg_kind kind;
	const char *help; /* one line with the unit */
};

enum { ENGINE_MAX_ARGS = 18, ENGINE_MAX_EXTERNS = 72 };

struct bpf_extern;

struct engine_event {
	const char *provider, *event;
	bool has_filter; /* op:MUL_MAT:end */
	bool is_kernel;	 /* its programs are raw tracepoints, else probes in the target */
	const char *help;
	struct engine_arg args[ENGINE_MAX_ARGS]; /* ended by name == NULL */
};

/* Ended by provider == NULL. */
extern const struct engine_event typed_events[];

const struct engine_event *engine_event_find(const char *provider, const char *event);
const char *engine_event_nearest(const char *provider, const char *event);
/* The struct behind `args`: 8 bytes per number, 64 per string, in table order. */
const struct type *engine_event_args(struct type_table *t, const struct engine_event *e);

/*
 * How the plan of a target gives these events to a script. Whoever knows the plan fills this in;
 * without one, scripts with engine probes stop at attach with a message.
 *
 * The texts are BPF C. `prologue` is put before the programs (maps, helpers, offsets). For each
 * event, `entry` opens the function body: it must leave early (return 0) where the event did not
 * happen. `arg` appends statements that write the value of an argument to `dst`, a char * to the
 * zeroed slot of engine_event_args. Filters come as `filter_op` and `filter_name`, globs or NULL.
 */
struct script_engine_binding {
	void *ctx;
	void (*prologue)(void *ctx, struct buf *out);
	int (*entry)(void *ctx, const struct engine_event *e, const char *filter_op,
		     const char *filter_name, struct buf *out, struct diag *d);
	/*
	 * One hit may stand for several events. Appends the C expression of how many: the body is
	 * run for each, with the text of `entry` in front and `left`, the number of those still to
	 * come. False: one hit is one event, and `left` is 0.
	 */
	bool (*rounds)(void *ctx, const struct engine_event *e, struct buf *out);
	int (*arg)(void *ctx, const struct engine_event *e, const struct engine_arg *arg,
		   const char *dst, struct buf *out, struct diag *d);
	/* Attaches the loaded program to the plan's probe points. */
	int (*attach)(void *ctx, const struct engine_event *e, int prog_fd, struct diag *d);
	/* Appends the maps that the texts name to `ext`, at most ENGINE_MAX_EXTERNS; their number.
	 */
	size_t (*externs)(void *ctx, struct bpf_extern *ext);
};

#endif

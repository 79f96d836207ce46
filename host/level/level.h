/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace level: which BPF files it is made of, which events of the probe plan feed it, and what it
 * needs defined. One file per level, registered in level.c; adding one means that file, its
 * probes/<name>.c and a line in the table.
 *
 * The text of a module is
 *     defines (transport, kernel, layout) + the level's files + one PROGRAM_<macro>(...) line per
 *     probe point
 * and depends on nothing else, so equal engines give equal text and hit the compile cache.
 */
#ifndef LLMPROBE_LEVEL_LEVEL_H
#define LLMPROBE_LEVEL_LEVEL_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/counter.h"
#include "bpf/kbtf.h"
#include "bpf/module.h"
#include "bpf/transport.h"
#include "probes/record.h"
#include "target/layout.h"
#include "util/buf.h"
#include "util/diag.h"

enum { LEVEL_ARGS_MAX = 4 };

/* How an event of the plan becomes a program: PROGRAM_<macro>(name, point, args...). */
struct level_event {
	const char *event;		  /* as engine files say: "op_begin" */
	const char *macro;		  /* "op_begin", or another use of the same point */
	const char *args[LEVEL_ARGS_MAX]; /* argument names in the macro's order, then NULL */
	bool is_barrier;		  /* left out when operators are traced begin-only */
	bool is_common; /* sees all operators: not used where their own functions are probed */
	bool is_node;	/* sees them where they end, instead of the other common ones */
	bool is_own;	/* an operator's own function: used there only */
	bool is_end;	/* attached first: a begin whose end is not seen yet would stay open */
	bool open_args; /* the point's own arguments, up to LEVEL_ARGS_MAX */
};

/* A program with a fixed name: a tracepoint, or the target of a tail call. */
struct level_program {
	const char *name;
	const char *tracepoint; /* attached to it; NULL: a uprobe program for tail calls */
	int jump;		/* index in MAP_JUMP, -1: none */
};

/* What the defines are made from. Borrowed during the call. */
struct level_input {
	const struct transport *transport;
	const struct layout *layout; /* NULL: none is known, or none needed */
	unsigned layout_id;	     /* number of the layout note */
	const struct task_offsets *task;
	const struct counters *counters; /* read around each operator; NULL: none */
	bool task_storage;		 /* thread slots by task storage */
	bool filter_tgid;		 /* probes fire for other processes too */
	bool typed_sched;		 /* tp_btf programs load */
	bool bpf_loop;			 /* programs can have callbacks */
	bool summary;			 /* operators.mode: summary */
	bool node_ends;		     /* operators are seen where the loop over nodes ends them */
	const struct filter *filter; /* which operators; NULL: all */
};

struct level {
	enum rec_level id;
	const char *help;
	const char *const *files;	      /* NULL-terminated, after the common ones */
	const struct level_event *events;     /* ended by event == NULL */
	const struct level_program *programs; /* ended by name == NULL; may be NULL */
	bool needs_layout;
	/* Appends the level's own defines; returns 0 or -errno with an error that says what is
	 * lacking. Absent: none needed. */
	int (*defines)(struct buf *out, const struct level_input *in, struct diag *d);
};

/* One program to instantiate. */
struct level_instance {
	char name[48];	   /* of the program, unique within the module */
	const char *macro; /* level_event.macro */
	unsigned point;
	const char *args[LEVEL_ARGS_MAX]; /* C expressions, NULL after the last */
};

/* NULL for ids that have no programs of their own (LEVEL_COUNTERS, LEVEL_PLUGIN). */
const struct level *level_get(enum rec_level id);
/* "token": the name used in configs, records and views. */
const char *level_name(enum rec_level id);
/* The event of a level by the name that engine files use; NULL: the level has no program for it. */
const struct level_event *level_event_find(const struct level *l, const char *event);
/* The id of a name, or -1. */
int level_by_name(const char *name);

/* Writes the module's whole BPF text; without a layout, for a level that needs one, that is the
 * text of API calls alone, which look at no struct. Returns 0 or -errno with an error in `d`. */
int level_text(const struct level *l, const struct level_input *in,
	       const struct level_instance *instances, size_t n, struct buf *out, struct diag *d);

/* `#define NAME value` of a layout field; false when the field is unknown (nothing written). */
bool level_define_field(struct buf *out, const struct layout *l, enum layout_field f,
			const char *name);
/* Same for a field that the level cannot do without: adds an error that names it. */
int level_require_field(struct buf *out, const struct layout *l, enum layout_field f,
			const char *name, struct diag *d);

extern const struct level level_token, level_graph, level_operator, level_scheduler;

#endif

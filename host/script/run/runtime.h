/* SPDX-License-Identifier: Apache-2.0 */
/* The user-space half of a running script: records in, text or JSON out. */
#ifndef LLMPROBE_SCRIPT_RUNTIME_H
#define LLMPROBE_SCRIPT_RUNTIME_H

#include <stdio.h>
#include <time.h>

#include "script/emit/emit.h"
#include "script/run/symbols.h"

enum script_format { SCRIPT_TEXT, SCRIPT_JSON };

struct runtime {
	const struct sema *s;
	const struct script_code *code;
	const struct settings *settings;
	struct symbols *symbols;
	struct debug_info *debug; /* borrowed; NULL: none */
	FILE *out;
	FILE *err; /* warnings of the run */
	enum script_format format;
	const struct action **actions; /* by number */
	int *map_fds;		       /* by symbol id */
	int *stack_fds;		       /* by stack map id */
	uint64_t *warned;	       /* by action number: how often a warning came */
	bool *zeroed;		       /* by symbol id: zero() was the last word on the map */
	bool unsafe, no_warnings;
	bool exiting;
	bool ending; /* only end probes are heard: the others fire until the kernel has let go */
	int exit_code;
	void (*unwatch)(void *script, uint64_t address); /* takes watchpoints off */
	void *script;
};

/* One record: the action's number, then its data. Unknown numbers and short data are ignored. */
void runtime_record(struct runtime *r, const void *data, size_t len);
/* All maps that hold something, in order of their names. */
void runtime_print_maps(struct runtime *r);

/* The asynchronous halves of the built-ins. */
void run_printf(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_errorf(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_cat(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_system(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_time(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_join(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_exit(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_unwatch(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_assert(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_print(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_clear(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
void run_zero(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);

/* The name of an errno, a signal or a system call: kind TY_STRERROR, TY_SIGNAL or TY_SYSCALL. */
void number_name(enum type_kind kind, uint64_t n, struct buf *out);
/* Text of a value (rt_value.c). `indent` is that of stack frames. */
void value_text(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data,
		int indent);
/* A stack, each frame on a line of its own (rt_stack.c). */
void stack_text(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data,
		int indent);
/* The same between the brackets of a map key: strings bare, the outermost parentheses dropped. */
void value_key_text(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data);
void value_json(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data);
void json_string(struct buf *out, const char *s, size_t len);
/* A format with the action's arguments. */
void format_values(struct runtime *r, struct buf *out, const struct action *a, const uint8_t *data);
/* strftime with %f; ns is a time of that clock. */
void format_time(struct buf *out, const char *fmt, clockid_t clock, uint64_t ns);

/* One map (rt_map.c). top 0: all; div 0 or 1: none. */
void map_print(struct runtime *r, const struct symbol *m, uint64_t top, uint64_t div, bool at_exit);

/* Histogram rows (rt_hist.c): counts[n] per bucket of type t. */
void hist_text(struct buf *out, const struct type *t, const uint64_t *counts, size_t n,
	       uint64_t div);
void hist_json(struct buf *out, const struct type *t, const uint64_t *counts, size_t n,
	       uint64_t div);

/* A time series (rt_series.c). */
struct series {
	const struct type *type;
	const uint64_t *values; /* by bucket */
	const uint64_t *stamps; /* { interval number, count } of each bucket */
	size_t n;
	uint64_t last;	      /* the latest interval of the whole map */
	const int64_t *range; /* what the width stands for, NULL: least to greatest value */
};

void series_text(struct buf *out, const struct series *s);
void series_json(struct buf *out, const struct series *s);

/* {"type": T, "data": D} */
void output_json(struct runtime *r, const char *type, const char *data);
/* {"type": T, "msg": M, .. "filename": F, "line": L, "col": C}: a message about a place in the
 * script. `more` stands as it is between them. */
void output_json_message(struct runtime *r, const char *type, const struct node *at,
			 const char *msg, const char *more);
/* Text as it is, or as JSON of that type. */
void output_text(struct runtime *r, const char *type, const char *text, size_t len);

#endif

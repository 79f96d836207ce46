/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top: what a running target does, full screen. Where the figures come from is the caller's
 * business: it fills struct top_figures, and is told which keys were pressed.
 */
#ifndef LLMPROBE_VIEW_TOP_H
#define LLMPROBE_VIEW_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/buf.h"
#include "util/diag.h"

struct top_operator {
	const char *name;
	double share; /* of the workers' time in the last interval, 0..1 */
	double mean_ns;
	uint64_t count; /* in the last interval */
};

/*
 * Shares of the last interval, 0..1. Off-CPU time lies within the other two when an operator was
 * interrupted, so the three may add up to more than 1.
 */
struct top_thread {
	int64_t tid;
	const char *name;
	double compute, wait, off_cpu;
};

struct top_level {
	const char *name;
	char key; /* that switches it */
	bool on;
	const char *state; /* why it is as it is ("off: governor"), may be NULL */
	double hits_per_s;
	uint64_t lost; /* since the start */
	double cost;   /* of one CPU, 0..1; negative: not measured */
};

/* One reading. Strings and arrays stay the source's, valid until the next reading. */
struct top_figures {
	const char *target; /* "pid 123: llama-server" */
	double elapsed_s;
	const char *phase;	   /* of the running or last call; NULL: none yet */
	double tokens_per_s;	   /* of the last interval; negative: none */
	uint64_t tokens;	   /* since the start */
	double ttft_ns, tpot_ns;   /* last ones; negative: none */
	const double *tpot_series; /* ns, oldest first */
	size_t n_series;
	const struct top_operator *operators; /* largest share first */
	size_t n_operators;
	const struct top_thread *threads;
	size_t n_threads;
	const struct top_level *levels;
	size_t n_levels;
	double cost; /* of all levels, 0..1 of the target's time; negative: not measured */
};

struct top_source {
	void *ctx;
	/* Handles events for at most `ms` and returns; false when the target is gone. `fd`, when
	 * not negative, is one that ends the wait early when it can be read. */
	bool (*pump)(void *ctx, int fd, int ms);
	void (*read)(void *ctx, struct top_figures *out);
	/* Switches a level; an error text for the status line goes to `d`. */
	int (*toggle)(void *ctx, size_t level, struct diag *d);
};

struct top_opts {
	int interval_ms; /* 0: 1000 */
	bool plain;	 /* lines even on a terminal */
	bool ascii, colour;
	int readings; /* end after so many, 0: never */
};

/*
 * Shows figures until q is pressed or the target is gone. On a terminal (`out` and standard input)
 * full screen, else one line per reading. Returns 0 or -errno with an error in `d`.
 */
int top_run(const struct top_source *s, const struct top_opts *o, FILE *out, struct diag *d);

/* The screen as lines separated by \n, at most `height` of them and `width` columns wide. */
void top_render(const struct top_figures *f, const struct top_opts *o, int width, int height,
		const char *status, struct buf *out);
/* The one line of the plain form, without a newline. */
void top_line(const struct top_figures *f, struct buf *out);

#endif

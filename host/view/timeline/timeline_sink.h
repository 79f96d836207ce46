/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a timeline format must be able to write. The feeder (timeline.c) walks the run once and
 * calls these; it hands out slices of one track in order of time and never overlapping.
 */
#ifndef LLMPROBE_VIEW_TIMELINE_SINK_H
#define LLMPROBE_VIEW_TIMELINE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/diag.h"

/* Strings that many slices share, by number. Number 0 is "no string". */
struct tl_strings;
struct tl_strings *tl_strings_new(void);
void tl_strings_free(struct tl_strings *s);
/* The number of `text`, the same for the same text. NULL gives 0. */
uint32_t tl_strings_id(struct tl_strings *s, const char *text);
const char *tl_strings_text(const struct tl_strings *s, uint32_t id);
uint32_t tl_strings_count(const struct tl_strings *s); /* with number 0 */

enum tl_track_kind { TL_TRACK_PROCESS, TL_TRACK_THREAD, TL_TRACK_PLAIN, TL_TRACK_COUNTER };

struct tl_track {
	enum tl_track_kind kind;
	uint32_t parent;  /* track number, 0: none */
	int64_t pid, tid; /* PROCESS and THREAD; the others name their owner's */
	const char *name; /* borrowed during the call */
	const char *unit; /* COUNTER */
	int order;	  /* among siblings */
};

struct tl_arg {
	uint32_t name;	    /* string number */
	uint32_t text;	    /* string number, or 0 */
	const char *direct; /* a string seen once, or NULL: `value` counts */
	int64_t value;
};

enum { TL_MAX_ARGS = 6 };

struct tl_slice {
	uint32_t track;
	uint64_t begin_ns, end_ns; /* CLOCK_MONOTONIC */
	uint32_t name, category;   /* string numbers; name 0: `text` */
	const char *text;
	int n_args;
	struct tl_arg args[TL_MAX_ARGS];
	/* Slices with the same flow number are joined by arrows in time order; the first
	 * n_flow_starts of them start here. */
	const uint64_t *flows;
	size_t n_flows, n_flow_starts;
};

struct tl_task {
	int64_t tid;
	const char *comm; /* never NULL */
};

struct tl_clocks {
	uint64_t monotonic_ns;
	int64_t boottime_offset_ns, realtime_offset_ns; /* add to CLOCK_MONOTONIC */
	bool realtime_known;
};

struct tl_totals {
	uint64_t items;	     /* packets or JSON events */
	uint64_t bytes;	     /* before compression */
	uint64_t file_bytes; /* written */
};

struct tl_sink;

struct tl_sink_ops {
	const char *name;
	/* `strings` is borrowed and may grow later. NULL with an error in `d` when it cannot start.
	 */
	struct tl_sink *(*open)(FILE *out, const struct tl_strings *strings,
				const struct tl_clocks *clocks, bool compress, struct diag *d);
	/* A thread of the target, with slices or without; `command` of its process, NULL: not
	 * known. */
	void (*thread)(struct tl_sink *s, const struct tl_track *thread, const char *command);
	/* Declares track `id`, numbered by the feeder from 1 upwards. */
	void (*track)(struct tl_sink *s, uint32_t id, const struct tl_track *t);
	void (*slice)(struct tl_sink *s, const struct tl_slice *slice);
	/* Uses only track, begin_ns, name, category, args of `at`. */
	void (*instant)(struct tl_sink *s, const struct tl_slice *at);
	void (*counter)(struct tl_sink *s, uint32_t track, uint64_t at_ns, double value);
	/* `prev` leaves and `next` enters `cpu`; prev_state in raw kernel bits. */
	void (*sched_switch)(struct tl_sink *s, int cpu, uint64_t at_ns, const struct tl_task *prev,
			     int64_t prev_state, const struct tl_task *next);
	void (*sched_waking)(struct tl_sink *s, int cpu, uint64_t at_ns, int64_t waker,
			     const struct tl_task *wakee, int target_cpu);
	/* Writes what is left and frees the sink. Returns 0 or -errno of the output. */
	int (*close)(struct tl_sink *s, struct tl_totals *totals);
};

extern const struct tl_sink_ops tl_sink_perfetto;
extern const struct tl_sink_ops tl_sink_chrome;

#endif

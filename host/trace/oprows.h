/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operator rows: slots of the threads put in order of time, joined with tensor, graph and token,
 * and with the experts and counters that belong to them.
 */
#ifndef LLMPROBE_TRACE_OPROWS_H
#define LLMPROBE_TRACE_OPROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/record.h"
#include "trace/catalog.h"
#include "trace/spans.h"
#include "trace/writer.h"

struct oprows;

/* How many counters a record may carry. */
enum { OPROWS_COUNTERS = 16 };

/* The counters of a record, in order. Grouped ones counted only while the hardware was theirs. */
struct oprows_counters {
	int64_t id[OPROWS_COUNTERS];
	bool grouped[OPROWS_COUNTERS];
	size_t n;
};

struct oprows_figures {
	uint64_t rows;
	uint64_t unknown_tensor; /* rows whose tensor was not sent or lost */
	uint64_t outside;	 /* rows outside of any graph row, where there are graph rows */
	uint64_t late;		 /* rows whose id is not in order of time */
	uint64_t missing;	 /* gaps in the running numbers of the threads */
	uint64_t uncounted;	 /* rows without the counter values that were asked for */
	uint64_t displaced;	 /* rows without those of hardware counters: others had it */
	uint64_t bad;		 /* slots that end before they begin */
};

struct oprows *oprows_new(struct writer *w, struct catalog *c, const struct spans *s);
void oprows_free(struct oprows *o);
/* A whole REC_OPS of `len` bytes; `counters` (NULL: not known) lives until oprows_finish. */
void oprows_ops(struct oprows *o, const void *rec, size_t len,
		const struct oprows_counters *counters);
void oprows_expert(struct oprows *o, const void *rec, size_t len);
/* Rows before this time (ns) are written; what belongs to them is not needed any more. */
int64_t oprows_mark(const struct oprows *o);
void oprows_finish(struct oprows *o);
struct oprows_figures oprows_figures(const struct oprows *o);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distinct tensors of a run, and which of them an address meant at which time: an address keeps
 * its meaning until a newer record for it comes. Tensor and edge rows are written when a tensor is
 * first asked about.
 */
#ifndef LLMPROBE_TRACE_CATALOG_H
#define LLMPROBE_TRACE_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/layout.h"
#include "trace/writer.h"

struct catalog;

struct catalog_query {
	uint32_t pid;
	uint64_t addr;
	int64_t at; /* ns; INT64_MAX: now. Questions come nearly in order of time. */
	bool fused; /* the pair that starts at addr; the tensor itself when no consumer is known */
};

struct catalog *catalog_new(struct writer *w);
void catalog_free(struct catalog *c);
/*
 * A tensor was found as `raw` says at time `at` in a graph. Older meanings of the address that were
 * over before `keep_from` are forgotten.
 */
void catalog_add(struct catalog *c, uint32_t pid, int64_t at, uint64_t graph,
		 const struct tensor_raw *raw, int64_t keep_from);
/* The tensor id, 0 when the address is unknown. `graph` (NULL: not wanted) gets the graph in which
 * it was found. */
uint32_t catalog_find(struct catalog *c, const struct catalog_query *q, uint64_t *graph);
/* Index of the tensor's operator name, see catalog_op_name. */
uint32_t catalog_op(const struct catalog *c, uint32_t id);
const char *catalog_op_name(const struct catalog *c, uint32_t op);
/* Notes how many distinct experts one execution of this MUL_MAT_ID used. */
void catalog_experts(struct catalog *c, uint32_t id, unsigned distinct);
/* Writes what is left: tensors nobody asked about, edges of fused pairs, bytes by recorded
 * experts. */
void catalog_finish(struct catalog *c);
/* Layer from a tensor name, -1 when it names none. */
int catalog_layer(const char *name);

#endif

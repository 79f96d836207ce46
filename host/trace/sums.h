/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over operator rows that are made on the way, so that reports need not read the rows. */
#ifndef LLMPROBE_TRACE_SUMS_H
#define LLMPROBE_TRACE_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/catalog.h"
#include "trace/spans.h"
#include "trace/writer.h"

struct sums;

struct sums_op {
	enum token_phase phase;
	int64_t token;	 /* id, WRITER_NULL: none */
	uint32_t tensor; /* id, 0: unknown */
	uint32_t tid;
	uint16_t ith;
	int64_t compute, wait; /* ns; wait WRITER_NULL: not seen */
};

struct sums *sums_new(struct writer *w, const struct catalog *c);
void sums_free(struct sums *s);
void sums_add(struct sums *s, const struct sums_op *op);
void sums_counter(struct sums *s, const struct sums_op *op, int64_t name_id, uint64_t value,
		  bool scaled);
/* Writes everything that was not written yet. */
void sums_finish(struct sums *s);

#endif

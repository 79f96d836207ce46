/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token and graph rows: begin and end records paired per thread, and the question which of them a
 * moment belongs to. There is one graph row per hundreds of operators, so all are kept.
 */
#ifndef LLMPROBE_TRACE_SPANS_H
#define LLMPROBE_TRACE_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/record.h"

enum token_phase {
	PHASE_NONE,
	PHASE_PREFILL,
	PHASE_DECODE,
	PHASE_ENCODE,
	PHASE_UNKNOWN,
	PHASE_COUNT
};

/* "" for PHASE_NONE. */
const char *phase_name(enum token_phase p);

struct token_span {
	int64_t id, begin, end;
	uint32_t pid, tid;
	uint64_t context;
	int32_t n_tokens, ret;
	enum token_phase phase;
	int64_t first_op, last_op; /* ids, 0: none */
};

struct graph_span {
	int64_t id, begin, end;
	uint32_t pid, tid;
	uint64_t graph, backend_addr;
	uint32_t depth;
	int32_t n_nodes;
	uint16_t point;
	uint8_t guid[16];
	struct token_span *token; /* NULL outside */
	int64_t first_op, last_op;
};

/* What did not come in pairs. */
struct span_problems {
	uint64_t unfinished; /* begins without an end */
	uint64_t unbegun;    /* ends without a begin: running when the recording started */
	uint64_t nested;     /* inner calls, left out on purpose */
};

struct spans;

struct spans *spans_new(void);
void spans_free(struct spans *s);
/* `encode`: the probe point belongs to an encode call. */
void spans_token(struct spans *s, const struct rec_token *r, bool encode);
void spans_graph(struct spans *s, const struct rec_graph *r);
/* Pairs everything; what is still open ends at `last_ns`. Call once, before the questions. */
void spans_close(struct spans *s, int64_t last_ns);

struct token_span *spans_tokens(const struct spans *s, size_t *n);
struct graph_span *spans_graphs(const struct spans *s, size_t *n);
struct span_problems spans_problems(const struct spans *s);

/*
 * Graphs of a process that were running at `t`, innermost first: pass NULL to start, the result to
 * go on; NULL at the end.
 */
struct graph_span *spans_graph_at(const struct spans *s, uint32_t pid, int64_t t,
				  const struct graph_span *after);
/* The call of the process that was running at `t`, that of the same thread first; NULL: none. */
struct token_span *spans_token_at(const struct spans *s, uint32_t pid, uint32_t tid, int64_t t);

#endif

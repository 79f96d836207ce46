/* SPDX-License-Identifier: Apache-2.0 */
/* Prepared inserts into a new run file, all in one transaction. */
#ifndef LLMPROBE_TRACE_WRITER_H
#define LLMPROBE_TRACE_WRITER_H

#include <stdint.h>
#include <sqlite3.h>

#include "util/diag.h"

enum writer_table {
	W_RUN,
	W_TOKEN,
	W_GRAPH,
	W_GRAPH_ASYNC,
	W_TENSOR,
	W_EDGE,
	W_OP,
	W_OP_SUM,
	W_COUNTER_NAME,
	W_COUNTER,
	W_SCHED,
	W_THREAD,
	W_EXPERT,
	W_CALL,
	W_PLUGIN,
	W_LOSS,
	W_COST,
	W_NOTE,
	W_OP_PHASE,
	W_OP_TOKEN,
	W_COUNTER_PHASE,
	W_TENSOR_COST,	/* update: bytes, weight_bytes by id */
	W_TENSOR_LAYER, /* update: layer by id */
	W_COUNT
};

/* The value that becomes NULL in an 'I' column. */
#define WRITER_NULL INT64_MIN

struct writer;

struct writer_op {
	int64_t id, token, graph, tensor, tid, thread_index, cpu, begin, compute, wait;
};

/* Creates the file at `path` (it must not exist) with the schema. NULL with an error in `d`. */
struct writer *writer_new(const char *path, struct diag *d);
/* Commits and closes; 0 or -errno with an error in `d`. Frees the writer either way. */
int writer_finish(struct writer *w, struct diag *d);
/* Closes without a commit. NULL is fine. */
void writer_abort(struct writer *w);
/*
 * Inserts a row. `fmt` types the values: 'i' int64_t, 'I' int64_t or NULL, 'd' double, 's' text or
 * NULL. Errors are remembered and come out of writer_error and writer_finish.
 */
void writer_add(struct writer *w, enum writer_table table, const char *fmt, ...);
void writer_op(struct writer *w, const struct writer_op *op);
/* Runs other SQL inside the transaction. */
void writer_exec(struct writer *w, const char *sql);
/* The SQLite result code of the first failure, 0: none. */
int writer_error(const struct writer *w);

#endif

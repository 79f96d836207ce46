/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When asynchronous backends were done with a graph: their compute function returns once the work
 * is queued; it is over when a wait for that backend returns, at the latest.
 */
#ifndef LLMPROBE_TRACE_ASYNC_H
#define LLMPROBE_TRACE_ASYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/spans.h"

struct async_waits;

struct async_waits *async_new(void);
void async_free(struct async_waits *a);
/* False for backends (by name, NULL: unknown) that have computed a graph when their function
 * returns, or leave it to a server. */
bool async_backend(const char *name);
/* A wait of process `pid` for the backend at `backend` that returned at `end`. */
void async_wait(struct async_waits *a, uint32_t pid, uint64_t backend, int64_t end);
/*
 * Writes to submitted[i] the end of graph i's compute function and moves the graph's end to the
 * first later return of a wait for its backend, or to the begin of the backend's next graph when
 * that comes first; 0 when there was no such wait: then the end stays. Graphs for which `is_async`
 * is false are left alone. Graphs are in order of their begin.
 */
void async_close(struct async_waits *a, struct graph_span *graphs, size_t n, const bool *is_async,
		 int64_t *submitted);

#endif

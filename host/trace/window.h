/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts records that arrive nearly in order of time into order, with bounded memory: up to a fixed
 * number wait, then the older half goes on. Buffers of several CPUs and batches of several threads
 * lag by a drain interval at most, which is far less than the window holds.
 */
#ifndef LLMPROBE_TRACE_WINDOW_H
#define LLMPROBE_TRACE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct window;

/* `emit` gets the items in order of time; `item` is `size` bytes and valid during the call. */
struct window *window_new(size_t capacity, size_t size, void (*emit)(void *ctx, void *item),
			  void *ctx);
void window_free(struct window *w);
/* Room for a new item of that time; fill it before the next call. May emit others first. */
void *window_add(struct window *w, int64_t time);
/* Emits everything. */
void window_flush(struct window *w);
/* Items that came when younger ones had been emitted already. */
uint64_t window_late(const struct window *w);
/* Time of the last item emitted, INT64_MIN: none. */
int64_t window_mark(const struct window *w);

#endif

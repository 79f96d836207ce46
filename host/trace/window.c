/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/window.h"

#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

struct key {
	int64_t time;
	size_t slot;
};

struct window {
	size_t capacity, size, count;
	struct key *keys, *spare;
	size_t *runs; /* where the ascending runs of `keys` start */
	size_t *free; /* stack of unused slots */
	size_t n_free;
	char *items;
	void (*emit)(void *ctx, void *item);
	void *ctx;
	uint64_t late;
	int64_t mark;
};

struct window *window_new(size_t capacity, size_t size, void (*emit)(void *ctx, void *item),
			  void *ctx)
{
	struct window *w = xcalloc(1, sizeof(*w));

	*w = (struct window){.capacity = capacity,
			     .size = size,
			     .emit = emit,
			     .ctx = ctx,
			     .mark = INT64_MIN,
			     .keys = xcalloc(capacity, sizeof(struct key)),
			     .spare = xcalloc(capacity, sizeof(struct key)),
			     .runs = xcalloc(capacity + 1, sizeof(size_t)),
			     .free = xcalloc(capacity, sizeof(size_t)),
			     .items = xcalloc(capacity, size)};
	for (size_t i = 0; i < capacity; i++)
		w->free[w->n_free++] = capacity - 1 - i;
	return w;
}

void window_free(struct window *w)
{
	if (!w)
		return;
	free(w->keys);
	free(w->spare);
	free(w->runs);
	free(w->free);
	free(w->items);
	free(w);
}

static void merge(const struct key *a, size_t n, const struct key *b, size_t m, struct key *out)
{
	while (n && m) {
		if (b->time < a->time) {
			*out++ = *b++;
			m--;
		} else {
			*out++ = *a++;
			n--;
		}
	}
	memcpy(out, n ? a : b, (n ? n : m) * sizeof(*out));
}

static size_t find_runs(struct window *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->count; i++)
		if (i == 0 || w->keys[i].time < w->keys[i - 1].time)
			w->runs[n++] = i;
	w->runs[n] = w->count;
	return n;
}

/* Merge sort over the runs that are there: batches of one thread come in order. Stable. */
static void sort(struct window *w)
{
	size_t n = find_runs(w);

	while (n > 1) {
		size_t out = 0;
		struct key *swap = w->keys;

		for (size_t r = 0; r < n; r += 2) {
			size_t a = w->runs[r], b = w->runs[r + 1];
			size_t c = r + 2 <= n ? w->runs[r + 2] : b;

			merge(w->keys + a, b - a, w->keys + b, c - b, w->spare + a);
			w->runs[out++] = a;
		}
		w->runs[out] = w->count;
		n = out;
		w->keys = w->spare;
		w->spare = swap;
	}
}

static void emit_first(struct window *w, size_t n)
{
	sort(w);
	for (size_t i = 0; i < n; i++) {
		w->mark = w->keys[i].time;
		w->emit(w->ctx, w->items + w->keys[i].slot * w->size);
		w->free[w->n_free++] = w->keys[i].slot;
	}
	w->count -= n;
	memmove(w->keys, w->keys + n, w->count * sizeof(*w->keys));
}

void *window_add(struct window *w, int64_t time)
{
	size_t slot;

	if (w->count == w->capacity)
		emit_first(w, (w->capacity + 1) / 2);
	w->late += time < w->mark;
	slot = w->free[--w->n_free];
	w->keys[w->count++] = (struct key){time, slot};
	return w->items + slot * w->size;
}

void window_flush(struct window *w)
{
	emit_first(w, w->count);
}

uint64_t window_late(const struct window *w)
{
	return w->late;
}

int64_t window_mark(const struct window *w)
{
	return w->mark;
}

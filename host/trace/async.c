/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/async.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"

struct key {
	uint64_t backend, pid;
};

/* The waits for one backend by their ends, and the graph that it was given last. */
struct backend {
	struct key key;
	int64_t *ends;
	size_t n, cap;
	int64_t next_graph; /* begin of the one after that looked at; 0: none */
	UT_hash_handle hh;
};

struct async_waits {
	struct backend *backends;
};

struct async_waits *async_new(void)
{
	return xcalloc(1, sizeof(struct async_waits));
}

void async_free(struct async_waits *a)
{
	struct backend *b, *tmp;

	if (!a)
		return;
	HASH_ITER (hh, a->backends, b, tmp) {
		HASH_DEL(a->backends, b);
		free(b->ends);
		free(b);
	}
	free(a);
}

static struct backend *find(struct async_waits *a, uint32_t pid, uint64_t backend)
{
	struct key key = {backend, pid};
	struct backend *b;

	HASH_FIND(hh, a->backends, &key, sizeof(key), b);
	return b;
}

bool async_backend(const char *name)
{
	return name && strcmp(name, "CPU") != 0 && strcmp(name, "BLAS") != 0 &&
	       strcmp(name, "RPC") != 0;
}

void async_wait(struct async_waits *a, uint32_t pid, uint64_t backend, int64_t end)
{
	struct backend *b = find(a, pid, backend);

	if (!b) {
		b = xcalloc(1, sizeof(*b));
		b->key = (struct key){backend, pid};
		HASH_ADD(hh, a->backends, key, sizeof(b->key), b);
	}
	*VEC_PUSH(b->ends, b->n, b->cap) = end;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The first end of a wait at `t` or later, 0 for none. */
static int64_t first_wait(const struct backend *b, int64_t t)
{
	size_t lo = 0, hi = b->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->ends[mid] < t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < b->n ? b->ends[lo] : 0;
}

static int64_t close_one(struct backend *b, struct graph_span *g)
{
	int64_t end = first_wait(b, g->end), next = b->next_graph, submitted = g->end;

	b->next_graph = g->begin;
	if (next >= g->end && next && (!end || next < end))
		end = next;
	if (!end)
		return 0;
	g->end = end;
	return submitted;
}

void async_close(struct async_waits *a, struct graph_span *graphs, size_t n, const bool *is_async,
		 int64_t *submitted)
{
	for (struct backend *b = a->backends; b; b = b->hh.next)
		qsort(b->ends, b->n, sizeof(*b->ends), by_value);
	/* From the last, so that each knows the begin of the backend's next graph. */
	for (size_t i = n; i > 0; i--) {
		struct graph_span *g = &graphs[i - 1];
		struct backend *b = is_async[i - 1] ? find(a, g->pid, g->backend_addr) : NULL;

		submitted[i - 1] = b ? close_one(b, g) : 0;
	}
}

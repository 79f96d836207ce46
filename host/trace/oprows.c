/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/oprows.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "trace/sums.h"
#include "trace/window.h"
#include "util/alloc.h"

/*
 * More than all threads together compute between two drains, and still only some MB. Larger would
 * fall out of the cache.
 */
enum { WINDOW = 1 << 16, SWEEP_EVERY = 1 << 14, MAX_EXPERTS = 4096 };

struct values {
	const struct oprows_counters *which;
	size_t n;
	uint64_t enabled, running;
	uint64_t value[OPROWS_COUNTERS];
};

struct item {
	uint32_t pid, tid;
	struct op_slot slot;
	struct values *counters; /* NULL: none */
};

/* The running numbers of one thread's slots, to notice what is missing. */
struct sequence {
	uint32_t tid;
	uint64_t seen, begin, end; /* from the first one that was sent in this recording */
	uint64_t sent_ns;	   /* the latest time of sending */
	UT_hash_handle hh;
};

/* Experts wait for the row of the operator that used them. */
struct pending {
	uint64_t tensor;
	uint32_t pid;
	int64_t ts;
	uint32_t first, n_tokens, n_used;
	int32_t *experts;
	struct pending *next;
};

struct oprows {
	struct writer *w;
	struct catalog *catalog;
	const struct spans *spans;
	struct sums *sums;
	struct window *window;
	struct pending *pending, **pending_end;
	struct sequence *sequences;
	struct oprows_figures figures;
	bool has_graphs;
};

static void emit(void *ctx, void *item);

struct oprows *oprows_new(struct writer *w, struct catalog *c, const struct spans *s)
{
	struct oprows *o = xcalloc(1, sizeof(*o));
	size_t n;

	o->w = w;
	o->catalog = c;
	o->spans = s;
	o->sums = sums_new(w, c);
	o->window = window_new(WINDOW, sizeof(struct item), emit, o);
	o->pending_end = &o->pending;
	spans_graphs(s, &n);
	o->has_graphs = n > 0;
	return o;
}

void oprows_free(struct oprows *o)
{
	struct sequence *q, *tmp;

	if (!o)
		return;
	while (o->pending) {
		struct pending *p = o->pending;

		o->pending = p->next;
		free(p->experts);
		free(p);
	}
	HASH_ITER (hh, o->sequences, q, tmp) {
		HASH_DEL(o->sequences, q);
		free(q);
	}
	window_free(o->window);
	sums_free(o->sums);
	free(o);
}

/* Reading. */

static uint64_t missing(const struct sequence *q)
{
	uint64_t range = q->end - q->begin;

	return q->seen < range ? range - q->seen : 0;
}

/*
 * Batches of a thread that moved between CPUs with buffers of their own may be read in another
 * order than they were sent in; only one that was sent after all others begins the numbers anew:
 * another thread has got the id.
 */
static void count_sequence(struct oprows *o, const struct rec_ops *r)
{
	struct sequence *q;

	HASH_FIND(hh, o->sequences, &r->head.tid, sizeof(r->head.tid), q);
	if (!q) {
		q = xcalloc(1, sizeof(*q));
		q->tid = r->head.tid;
		q->begin = r->first;
		HASH_ADD(hh, o->sequences, tid, sizeof(q->tid), q);
	}
	if (r->first == 0 && q->seen && r->head.ts_ns > q->sent_ns) {
		o->figures.missing += missing(q);
		q->seen = q->begin = q->end = 0;
	}
	q->seen += r->n;
	if (r->first < q->begin)
		q->begin = r->first;
	if ((uint64_t)r->first + r->n > q->end)
		q->end = (uint64_t)r->first + r->n;
	if (r->head.ts_ns > q->sent_ns)
		q->sent_ns = r->head.ts_ns;
}

static struct values *read_counters(const uint8_t *p, size_t n, const struct oprows_counters *which)
{
	struct values *v;

	if (!n || n > OPROWS_COUNTERS || !which)
		return NULL;
	v = xmalloc(sizeof(*v));
	v->which = which;
	v->n = n < which->n ? n : which->n;
	memcpy(v->value, p, n * sizeof(uint64_t));
	memcpy(&v->enabled, p + n * sizeof(uint64_t), sizeof(uint64_t));
	memcpy(&v->running, p + (n + 1) * sizeof(uint64_t), sizeof(uint64_t));
	return v;
}

void oprows_ops(struct oprows *o, const void *rec, size_t len,
		const struct oprows_counters *counters)
{
	const uint8_t *p = (const uint8_t *)rec + sizeof(struct rec_ops);
	struct rec_ops r;
	size_t stride;

	memcpy(&r, rec, sizeof(r));
	stride = sizeof(struct op_slot) + (r.n_counters ? (r.n_counters + 2u) * 8u : 0);
	if (r.n * stride > len - sizeof(r))
		r.n = (u16)((len - sizeof(r)) / stride);
	count_sequence(o, &r);
	for (unsigned i = 0; i < r.n; i++, p += stride) {
		struct op_slot slot;
		struct item *item;

		memcpy(&slot, p, sizeof(slot));
		item = window_add(o->window, (int64_t)slot.begin_ns);
		*item = (struct item){.pid = r.head.pid, .tid = r.head.tid, .slot = slot};
		if (slot.flags & OP_COUNTED)
			item->counters = read_counters(p + sizeof(slot), r.n_counters, counters);
		else if (r.n_counters)
			o->figures.uncounted++;
	}
}

void oprows_expert(struct oprows *o, const void *rec, size_t len)
{
	struct rec_expert r;
	struct pending *p;
	size_t bytes;

	memcpy(&r, rec, sizeof(r));
	bytes = (size_t)r.n_tokens * r.n_used * sizeof(int32_t);
	if (!bytes || bytes > len - sizeof(r))
		return;
	p = xmalloc(sizeof(*p));
	*p = (struct pending){.tensor = r.tensor,
			      .pid = r.head.pid,
			      .ts = (int64_t)r.head.ts_ns,
			      .first = r.first_token,
			      .n_tokens = r.n_tokens,
			      .n_used = r.n_used,
			      .experts = xmalloc(bytes)};
	memcpy(p->experts, (const uint8_t *)rec + sizeof(r), bytes);
	*o->pending_end = p;
	o->pending_end = &p->next;
}

/* Experts. */

static void write_experts(struct oprows *o, const struct pending *p, int64_t op, uint32_t tensor,
			  uint8_t *seen, unsigned *distinct)
{
	for (uint32_t i = 0; i < p->n_tokens * p->n_used; i++) {
		int32_t e = p->experts[i];

		writer_add(o->w, W_EXPERT, "IIiii", op, tensor ? (int64_t)tensor : WRITER_NULL,
			   (int64_t)p->first + i / p->n_used, (int64_t)(i % p->n_used), (int64_t)e);
		if (e >= 0 && e < MAX_EXPERTS && !(seen[e / 8] & 1 << e % 8)) {
			seen[e / 8] |= (uint8_t)(1 << e % 8);
			++*distinct;
		}
	}
}

static void unlink_pending(struct oprows *o, struct pending **at)
{
	struct pending *p = *at;

	*at = p->next;
	if (!p->next)
		o->pending_end = at;
	free(p->experts);
	free(p);
}

/* Records of several threads are in order to within this. */
enum { EXPERT_DISORDER_NS = 100000000 };

static bool has_experts(const struct oprows *o, const struct item *it, uint32_t tensor)
{
	return o->pending && it->slot.ith == 0 && tensor &&
	       strcmp(catalog_op_name(o->catalog, catalog_op(o->catalog, tensor)), "MUL_MAT_ID") ==
		       0;
}

static void take_experts(struct oprows *o, const struct item *it, int64_t op, uint32_t tensor)
{
	uint8_t seen[MAX_EXPERTS / 8] = {0};
	struct pending **at = &o->pending;
	unsigned distinct = 0;

	while (*at && (*at)->ts <= (int64_t)it->slot.begin_ns + EXPERT_DISORDER_NS) {
		struct pending *p = *at;

		if (p->tensor == it->slot.tensor && p->pid == it->pid &&
		    p->ts == (int64_t)it->slot.begin_ns) {
			write_experts(o, p, op, tensor, seen, &distinct);
			unlink_pending(o, at);
		} else {
			at = &p->next;
		}
	}
	if (distinct)
		catalog_experts(o->catalog, tensor, distinct);
}

/* Experts whose operator row was lost or never recorded. */
static void drop_experts(struct oprows *o, int64_t before)
{
	while (o->pending && o->pending->ts < before) {
		uint8_t seen[MAX_EXPERTS / 8] = {0};
		unsigned distinct = 0;
		struct pending *p = o->pending;
		struct catalog_query q = {p->pid, p->tensor, p->ts, false};
		uint32_t tensor = catalog_find(o->catalog, &q, NULL);

		write_experts(o, p, WRITER_NULL, tensor, seen, &distinct);
		if (tensor)
			catalog_experts(o->catalog, tensor, distinct);
		unlink_pending(o, &o->pending);
	}
}

/* Writing. */

/* Of the graphs running then that in which the tensor was found, else the innermost. */
static struct graph_span *graph_of(struct oprows *o, const struct item *it, uint64_t addr)
{
	int64_t t = (int64_t)it->slot.begin_ns;
	struct graph_span *first = spans_graph_at(o->spans, it->pid, t, NULL), *g = first;

	while (g && g->graph != addr)
		g = spans_graph_at(o->spans, it->pid, t, g);
	return g ? g : first;
}

static void times(struct oprows *o, const struct item *it, const struct graph_span *g,
		  struct sums_op *op)
{
	int64_t begin = (int64_t)it->slot.begin_ns, end = (int64_t)it->slot.end_ns;
	int64_t next = (int64_t)it->slot.next_ns;
	bool barrier = it->slot.flags & OP_HAS_BARRIER;

	if (g && next > g->end)
		next = g->end;
	if (!barrier || (g && end > g->end))
		end = next;
	if (end < begin) {
		end = begin;
		o->figures.bad++;
	}
	op->compute = end - begin;
	op->wait = barrier ? (next > end ? next - end : 0) : WRITER_NULL;
}

static void mark_ops(int64_t *first, int64_t *last, int64_t id)
{
	if (!*first)
		*first = id;
	*last = id;
}

static void write_counters(struct oprows *o, const struct item *it, const struct sums_op *op,
			   int64_t id)
{
	struct values *v = it->counters;
	bool shared = v->running < v->enabled, displaced = false;

	for (size_t i = 0; i < v->n; i++) {
		bool scaled = shared && v->which->grouped[i];
		uint64_t value = v->value[i];

		if (scaled && !v->running) {
			displaced = true; /* never on the hardware: nothing to scale */
			continue;
		}
		if (scaled)
			value = (uint64_t)((double)value * (double)v->enabled / (double)v->running);
		writer_add(o->w, W_COUNTER, "iiii", id, v->which->id[i], (int64_t)value,
			   (int64_t)scaled);
		sums_counter(o->sums, op, v->which->id[i], value, scaled);
	}
	o->figures.displaced += displaced;
	free(v);
}

static void write_row(struct oprows *o, const struct item *it, const struct sums_op *op,
		      const struct graph_span *g, int64_t id)
{
	struct writer_op row = {.id = id,
				.token = op->token,
				.graph = g ? g->id : WRITER_NULL,
				.tensor = op->tensor ? (int64_t)op->tensor : WRITER_NULL,
				.tid = it->tid,
				.thread_index = it->slot.ith,
				.cpu = it->slot.cpu,
				.begin = (int64_t)it->slot.begin_ns,
				.compute = op->compute,
				.wait = op->wait};

	writer_op(o->w, &row);
}

static void emit(void *ctx, void *item)
{
	struct oprows *o = ctx;
	const struct item *it = item;
	struct sums_op op = {.tid = it->tid, .ith = it->slot.ith, .token = WRITER_NULL};
	struct catalog_query q = {it->pid, it->slot.tensor, (int64_t)it->slot.begin_ns,
				  it->slot.flags & OP_FUSED};
	int64_t id = (int64_t)++o->figures.rows;
	struct token_span *t;
	struct graph_span *g;
	uint64_t graph = 0;

	op.tensor = catalog_find(o->catalog, &q, &graph);
	g = graph_of(o, it, graph);
	t = g ? g->token : NULL;
	if (!t)
		t = spans_token_at(o->spans, it->pid, it->tid, (int64_t)it->slot.begin_ns);
	o->figures.unknown_tensor += !op.tensor;
	o->figures.outside += !g && o->has_graphs;
	times(o, it, g, &op);
	if (g)
		mark_ops(&g->first_op, &g->last_op, id);
	if (t) {
		mark_ops(&t->first_op, &t->last_op, id);
		op.token = t->id;
		op.phase = t->phase;
	}
	write_row(o, it, &op, g, id);
	sums_add(o->sums, &op);
	if (has_experts(o, it, op.tensor))
		take_experts(o, it, id, op.tensor);
	if (it->counters)
		write_counters(o, it, &op, id);
	if (o->figures.rows % SWEEP_EVERY == 0)
		drop_experts(o, (int64_t)it->slot.begin_ns - EXPERT_DISORDER_NS);
}

void oprows_finish(struct oprows *o)
{
	struct sequence *q;

	window_flush(o->window);
	drop_experts(o, INT64_MAX);
	sums_finish(o->sums);
	for (q = o->sequences; q; q = q->hh.next)
		o->figures.missing += missing(q);
	o->figures.late = window_late(o->window);
}

int64_t oprows_mark(const struct oprows *o)
{
	return window_mark(o->window);
}

struct oprows_figures oprows_figures(const struct oprows *o)
{
	return o->figures;
}

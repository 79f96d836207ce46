/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/spans.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"

enum { MAX_NEST = 32 };

struct event {
	int64_t ts;
	size_t order; /* in the file, for equal times */
	bool graph, begin, encode;
	union {
		struct rec_token token;
		struct rec_graph g;
	};
};

/* What runs on one thread while the events are replayed. */
struct stack {
	uint32_t tid;
	size_t token; /* index + 1, 0: none */
	int token_nest;
	uint16_t token_point;
	size_t graphs[MAX_NEST]; /* index + 1 */
	int n_graphs;
	UT_hash_handle hh;
};

/* The spans of a process by begin; latest[i] is the latest end of the first i + 1. */
struct process {
	uint32_t pid;
	struct graph_span **graphs;
	struct token_span **tokens;
	int64_t *graph_latest, *token_latest;
	size_t n_graphs, graphs_cap, n_tokens, tokens_cap;
	UT_hash_handle hh;
};

struct spans {
	struct event *events;
	size_t n_events, events_cap;
	struct token_span *tokens;
	size_t n_tokens, tokens_cap;
	struct graph_span *graphs;
	size_t n_graphs, graphs_cap;
	struct stack *stacks;
	struct process *processes;
	struct span_problems problems;
};

const char *phase_name(enum token_phase p)
{
	static const char *const names[] = {"", "prefill", "decode", "encode", "unknown"};

	return names[p];
}

struct spans *spans_new(void)
{
	return xcalloc(1, sizeof(struct spans));
}

void spans_free(struct spans *s)
{
	struct process *p, *tmp;

	if (!s)
		return;
	HASH_ITER (hh, s->processes, p, tmp) {
		HASH_DEL(s->processes, p);
		free(p->graphs);
		free(p->tokens);
		free(p->graph_latest);
		free(p->token_latest);
		free(p);
	}
	free(s->events);
	free(s->tokens);
	free(s->graphs);
	free(s);
}

void spans_token(struct spans *s, const struct rec_token *r, bool encode)
{
	struct event *e = VEC_PUSH(s->events, s->n_events, s->events_cap);

	e->ts = (int64_t)r->head.ts_ns;
	e->order = s->n_events;
	e->begin = r->head.kind == REC_TOKEN_BEGIN;
	e->encode = encode;
	e->token = *r;
}

void spans_graph(struct spans *s, const struct rec_graph *r)
{
	struct event *e = VEC_PUSH(s->events, s->n_events, s->events_cap);

	e->ts = (int64_t)r->head.ts_ns;
	e->order = s->n_events;
	e->graph = true;
	e->begin = r->head.kind == REC_GRAPH_BEGIN;
	e->g = *r;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static struct stack *stack_of(struct spans *s, uint32_t tid)
{
	struct stack *k;

	HASH_FIND(hh, s->stacks, &tid, sizeof(tid), k);
	if (!k) {
		k = xcalloc(1, sizeof(*k));
		k->tid = tid;
		HASH_ADD(hh, s->stacks, tid, sizeof(k->tid), k);
	}
	return k;
}

static enum token_phase phase_of(const struct event *e)
{
	if (e->encode)
		return PHASE_ENCODE;
	if (e->token.n_tokens <= 0)
		return PHASE_UNKNOWN;
	return e->token.flags & TOKEN_PREFILL ? PHASE_PREFILL : PHASE_DECODE;
}

static void token_begin(struct spans *s, struct stack *k, const struct event *e)
{
	struct token_span *t;

	/* The same function cannot be inside itself: its end was lost. */
	if (k->token && k->token_point == e->token.head.point) {
		s->tokens[k->token - 1].end = e->ts;
		s->problems.unfinished++;
		k->token = 0;
	}
	if (k->token) {
		k->token_nest++;
		s->problems.nested++;
		return;
	}
	t = VEC_PUSH(s->tokens, s->n_tokens, s->tokens_cap);
	*t = (struct token_span){.begin = e->ts,
				 .end = -1,
				 .pid = e->token.head.pid,
				 .tid = e->token.head.tid,
				 .context = e->token.context,
				 .n_tokens = e->token.n_tokens,
				 .phase = phase_of(e)};
	k->token = s->n_tokens;
	k->token_point = e->token.head.point;
	k->token_nest = 0;
}

static void token_end(struct spans *s, struct stack *k, const struct event *e)
{
	struct token_span *t;

	if (!k->token) {
		s->problems.unbegun++;
		return;
	}
	if (k->token_nest > 0) {
		k->token_nest--;
		return;
	}
	t = &s->tokens[k->token - 1];
	t->end = e->ts;
	t->ret = e->token.ret;
	k->token = 0;
}

static void graph_pop(struct spans *s, struct stack *k, int64_t ts, bool lost)
{
	s->graphs[k->graphs[--k->n_graphs] - 1].end = ts;
	s->problems.unfinished += lost;
}

static void graph_begin(struct spans *s, struct stack *k, const struct event *e)
{
	struct graph_span *g;

	while (k->n_graphs && (k->n_graphs == MAX_NEST || (uint32_t)k->n_graphs > e->g.depth))
		graph_pop(s, k, e->ts, true);
	g = VEC_PUSH(s->graphs, s->n_graphs, s->graphs_cap);
	*g = (struct graph_span){.begin = e->ts,
				 .end = -1,
				 .pid = e->g.head.pid,
				 .tid = e->g.head.tid,
				 .graph = e->g.graph,
				 .backend_addr = e->g.backend,
				 .depth = e->g.depth,
				 .n_nodes = e->g.n_nodes,
				 .point = e->g.head.point};
	memcpy(g->guid, e->g.guid, sizeof(g->guid));
	k->graphs[k->n_graphs++] = s->n_graphs;
}

static void graph_end(struct spans *s, struct stack *k, const struct event *e)
{
	int at = k->n_graphs;

	while (at && s->graphs[k->graphs[at - 1] - 1].graph != e->g.graph)
		at--;
	if (!at) {
		s->problems.unbegun++;
		return;
	}
	while (k->n_graphs > at)
		graph_pop(s, k, e->ts, true);
	graph_pop(s, k, e->ts, false);
}

static void replay(struct spans *s)
{
	for (size_t i = 0; i < s->n_events; i++) {
		const struct event *e = &s->events[i];
		struct stack *k = stack_of(s, e->graph ? e->g.head.tid : e->token.head.tid);

		if (e->graph && e->begin)
			graph_begin(s, k, e);
		else if (e->graph)
			graph_end(s, k, e);
		else if (e->begin)
			token_begin(s, k, e);
		else
			token_end(s, k, e);
	}
}

static struct process *process_of(struct spans *s, uint32_t pid)
{
	struct process *p;

	HASH_FIND(hh, s->processes, &pid, sizeof(pid), p);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->pid = pid;
		HASH_ADD(hh, s->processes, pid, sizeof(p->pid), p);
	}
	return p;
}

static void index_tokens(struct spans *s)
{
	for (size_t i = 0; i < s->n_tokens; i++) {
		struct process *p = process_of(s, s->tokens[i].pid);

		s->tokens[i].id = (int64_t)i + 1;
		*VEC_PUSH(p->tokens, p->n_tokens, p->tokens_cap) = &s->tokens[i];
	}
}

static void index_graphs(struct spans *s)
{
	for (size_t i = 0; i < s->n_graphs; i++) {
		struct graph_span *g = &s->graphs[i];
		struct process *p = process_of(s, g->pid);

		g->id = (int64_t)i + 1;
		g->token = spans_token_at(s, g->pid, g->tid, g->begin);
		*VEC_PUSH(p->graphs, p->n_graphs, p->graphs_cap) = g;
	}
}

static void latest_tokens(struct spans *s)
{
	for (struct process *p = s->processes; p; p = p->hh.next) {
		p->token_latest = xcalloc(p->n_tokens + 1, sizeof(int64_t));
		for (size_t i = 0; i < p->n_tokens; i++) {
			int64_t before = i ? p->token_latest[i - 1] : INT64_MIN;
			int64_t end = p->tokens[i]->end;

			p->token_latest[i] = end > before ? end : before;
		}
	}
}

static void latest_graphs(struct spans *s)
{
	for (struct process *p = s->processes; p; p = p->hh.next) {
		p->graph_latest = xcalloc(p->n_graphs + 1, sizeof(int64_t));
		if (!p->token_latest)
			p->token_latest = xcalloc(1, sizeof(int64_t));
		for (size_t i = 0; i < p->n_graphs; i++) {
			int64_t before = i ? p->graph_latest[i - 1] : INT64_MIN;
			int64_t end = p->graphs[i]->end;

			p->graph_latest[i] = end > before ? end : before;
		}
	}
}

void spans_close(struct spans *s, int64_t last)
{
	struct stack *k, *tmp;

	if (s->n_events)
		qsort(s->events, s->n_events, sizeof(*s->events), by_time);
	replay(s);
	free(s->events);
	s->events = NULL;
	s->n_events = s->events_cap = 0;
	HASH_ITER (hh, s->stacks, k, tmp) {
		if (k->token) {
			s->tokens[k->token - 1].end = last;
			s->problems.unfinished++;
		}
		while (k->n_graphs)
			graph_pop(s, k, last, true);
		HASH_DEL(s->stacks, k);
		free(k);
	}
	index_tokens(s);
	latest_tokens(s);
	index_graphs(s);
	latest_graphs(s);
}

struct token_span *spans_tokens(const struct spans *s, size_t *n)
{
	*n = s->n_tokens;
	return s->tokens;
}

struct graph_span *spans_graphs(const struct spans *s, size_t *n)
{
	*n = s->n_graphs;
	return s->graphs;
}

struct span_problems spans_problems(const struct spans *s)
{
	return s->problems;
}

static const struct process *find_process(const struct spans *s, uint32_t pid)
{
	struct process *p;

	HASH_FIND(hh, s->processes, &pid, sizeof(pid), p);
	return p;
}

/* Number of graphs that began at or before `t`. */
static size_t begun(const struct process *p, int64_t t)
{
	size_t lo = 0, hi = p->n_graphs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->graphs[mid]->begin <= t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct graph_span *spans_graph_at(const struct spans *s, uint32_t pid, int64_t t,
				  const struct graph_span *after)
{
	const struct process *p = find_process(s, pid);
	size_t i;

	if (!p)
		return NULL;
	i = begun(p, after ? after->begin : t);
	/* Of several that began together those behind `after` were given out already. */
	while (after && i > 0 && p->graphs[i - 1] >= after)
		i--;
	while (i > 0 && p->graph_latest[i - 1] >= t) {
		if (p->graphs[i - 1]->end >= t)
			return p->graphs[i - 1];
		i--;
	}
	return NULL;
}

struct token_span *spans_token_at(const struct spans *s, uint32_t pid, uint32_t tid, int64_t t)
{
	const struct process *p = find_process(s, pid);
	struct token_span *other = NULL;
	size_t lo = 0, hi = p ? p->n_tokens : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->tokens[mid]->begin <= t)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo > 0 && p->token_latest[lo - 1] >= t; lo--) {
		struct token_span *k = p->tokens[lo - 1];

		if (k->end < t)
			continue;
		if (k->tid == tid)
			return k;
		if (!other)
			other = k;
	}
	return other;
}

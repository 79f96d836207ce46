/* SPDX-License-Identifier: Apache-2.0 */
/* What the readings of a spool collected, as rows: calls, graphs, threads, losses, the run itself.
 */
#include "trace/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/backend.h"
#include "util/alloc.h"

static const char *backend_name(const struct convert *c, const struct graph_span *g)
{
	const char *known_name = backend_of_guid(g->guid);
	const struct point *p = convert_point(c, g->point);

	if (known_name)
		return known_name;
	return p && p->backend[0] ? p->backend : NULL;
}

/* Once the operators have found their graphs, which run on threads and not on devices. */
static void close_async(struct convert *c)
{
	size_t n;
	struct graph_span *g = spans_graphs(c->spans, &n);
	bool *is_async = xcalloc(n + 1, sizeof(*is_async));
	int64_t *submitted = xcalloc(n + 1, sizeof(*submitted));

	for (size_t i = 0; i < n; i++)
		is_async[i] = async_backend(backend_name(c, &g[i]));
	async_close(c->waits, g, n, is_async, submitted);
	for (size_t i = 0; i < n; i++)
		if (submitted[i])
			writer_add(c->w, W_GRAPH_ASYNC, "ii", g[i].id, submitted[i]);
	free(is_async);
	free(submitted);
}

static void write_spans(struct convert *c)
{
	size_t n;
	const struct token_span *t = spans_tokens(c->spans, &n);

	for (size_t i = 0; i < n; i++, t++)
		writer_add(c->w, W_TOKEN, "iiiiiisIiII", t->id, t->begin, t->end, (int64_t)t->pid,
			   (int64_t)t->tid, (int64_t)t->context, phase_name(t->phase),
			   t->n_tokens > 0 ? (int64_t)t->n_tokens : WRITER_NULL, (int64_t)t->ret,
			   t->first_op ? t->first_op : WRITER_NULL,
			   t->last_op ? t->last_op : WRITER_NULL);

	const struct graph_span *g = spans_graphs(c->spans, &n);

	for (size_t i = 0; i < n; i++, g++)
		writer_add(c->w, W_GRAPH, "iIiiiisiiII", g->id,
			   g->token ? g->token->id : WRITER_NULL, g->begin, g->end, (int64_t)g->pid,
			   (int64_t)g->tid, backend_name(c, g), (int64_t)g->n_nodes,
			   (int64_t)g->depth, g->first_op ? g->first_op : WRITER_NULL,
			   g->last_op ? g->last_op : WRITER_NULL);
}

static void write_threads(struct convert *c)
{
	for (struct thread *t = c->threads; t; t = t->hh.next)
		writer_add(c->w, W_THREAD, "iisII", (int64_t)t->tid, (int64_t)t->pid, t->name,
			   t->run[0] == WRITER_NULL ? WRITER_NULL : t->run[1] - t->run[0],
			   t->wait[0] == WRITER_NULL ? WRITER_NULL : t->wait[1] - t->wait[0]);
}

static void write_losses(struct convert *c)
{
	struct oprows_figures f = oprows_figures(c->ops);
	int64_t noted = 0;

	for (struct loss *l = c->losses; l; l = l->hh.next) {
		char *tab = strchr(l->key, '\t');

		*tab = '\0';
		if (strcmp(l->key, "operator") == 0)
			noted += l->lost;
		writer_add(c->w, W_LOSS, "ssi", l->key, tab + 1, l->lost);
	}
	/* Holes in the running numbers are the same losses seen from the other side. */
	if (f.missing && !noted)
		writer_add(c->w, W_LOSS, "ssi", "operator", "running numbers", (int64_t)f.missing);
}

static void problem(struct convert *c, uint64_t n, const char *fmt)
{
	char text[256];

	if (!n)
		return;
	snprintf(text, sizeof(text), fmt, (unsigned long long)n);
	writer_add(c->w, W_NOTE, "Iss", WRITER_NULL, "conversion", text);
}

static void write_problems(struct convert *c)
{
	struct span_problems s = spans_problems(c->spans);
	struct oprows_figures f = oprows_figures(c->ops);

	problem(c, s.unfinished, "%llu calls or graphs have no end; closed at the last time known");
	problem(c, s.unbegun, "%llu calls or graphs were running when the recording began");
	problem(c, s.nested, "%llu calls inside other calls were left out");
	problem(c, f.unknown_tensor, "%llu operator rows have no known tensor");
	problem(c, f.outside, "%llu operator rows lie outside of every graph");
	problem(c, f.late, "%llu operator rows came late; their ids are not in order of time");
	problem(c, f.missing, "%llu operator rows are missing by the threads' running numbers");
	problem(c, f.uncounted,
		"%llu operator rows have no counter values: the counters of their "
		"thread were not open yet");
	problem(c, f.displaced,
		"%llu operator rows have no values of hardware counters: others had the hardware "
		"then (another profiler, or the kernel's NMI watchdog); sums are over the rest");
	problem(c, sched_unseen(c->sched),
		"%llu scheduler intervals have an end that was not recorded; left out");
	problem(c, f.bad, "%llu operator rows end before they begin; counted as 0 ns");
	problem(c, c->bad_layout, "%llu tensors have no description of their layout");
	problem(c, c->foreign, "%llu records are of no known kind or too short");
}

static void run_number(struct convert *c, const char *key, int64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	writer_add(c->w, W_RUN, "ss", key, text);
}

static void write_run(struct convert *c, bool whole)
{
	run_number(c, "begin_ns", c->begin);
	run_number(c, "end_ns", c->end);
	run_number(c, "complete", whole && c->end_note && c->complete);
	run_number(c, "op_rows", (int64_t)oprows_figures(c->ops).rows);
	run_number(c, "schema", STORE_VERSION);
	writer_add(c->w, W_RUN, "ss", "converted_by", "llmprobe " LLMPROBE_VERSION);
	if (!whole)
		writer_add(c->w, W_RUN, "ss", "recovered", "the spool was cut or damaged");
	else if (!c->end_note || !c->complete)
		writer_add(c->w, W_RUN, "ss", "recovered", "the recording was not closed");
}

void convert_write(struct convert *c, bool whole)
{
	close_async(c);
	write_spans(c);
	write_threads(c);
	write_losses(c);
	write_problems(c);
	write_run(c, whole);
}

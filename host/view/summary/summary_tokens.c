/* SPDX-License-Identifier: Apache-2.0 */
/* Rates and latencies from the token rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/median.h"
#include "view/summary/summary.h"

struct call {
	double begin, end;
	int64_t tokens, context, pid;
	enum summary_phase phase;
};

struct calls {
	struct call *v;
	size_t n, cap;
};

static int phase_index(const char *name)
{
	for (int i = 0; i < SUM_PHASES; i++)
		if (strcmp(name, summary_phase_name((enum summary_phase)i)) == 0)
			return i;
	return -1;
}

static struct calls read_calls(sqlite3 *db)
{
	sqlite3_stmt *q = view_query(db, NULL,
				     "SELECT begin_ns, end_ns, n_tokens, context, pid, phase"
				     " FROM token ORDER BY pid, context, begin_ns",
				     NULL);
	struct calls c = {0};

	while (view_step(q)) {
		int phase = phase_index(view_text(q, 5));

		if (phase < 0)
			continue;
		*VEC_PUSH(c.v, c.n, c.cap) = (struct call){.begin = sqlite3_column_double(q, 0),
							   .end = sqlite3_column_double(q, 1),
							   .tokens = sqlite3_column_int64(q, 2),
							   .context = sqlite3_column_int64(q, 3),
							   .pid = sqlite3_column_int64(q, 4),
							   .phase = (enum summary_phase)phase};
	}
	return c;
}

/*
 * A pause that ends a sequence: longer than sampling takes. A benchmark that makes a new context at
 * the same address, or a server waiting for the next request, takes longer than this. A slow decode
 * has slow sampling; after a prompt its length says nothing.
 */
static bool breaks(const struct call *a, const struct call *b)
{
	double gap = b->begin - a->end, call = a->end - a->begin;

	if (a->phase != SUM_DECODE || call < 2e7)
		call = 0;
	return a->context != b->context || a->pid != b->pid || gap > 5e6 + call / 4;
}

static bool new_sequence(const struct call *a, const struct call *b)
{
	return a->phase != b->phase || breaks(a, b);
}

static void add_sample(struct summary_phase_figures *f, double ns)
{
	f->samples = xreallocarray(f->samples, f->n_samples + 1, sizeof(double));
	f->samples[f->n_samples++] = ns;
}

/* Calls v[0..n) of one sequence; `fresh`: nothing ran in this context right before. */
static struct summary_sequence sequence(struct summary *s, const struct call *v, size_t n,
					bool fresh, bool answered)
{
	struct summary_phase_figures *f = &s->phase[v->phase];
	struct summary_sequence q = {.phase = v->phase,
				     .calls = (int64_t)n,
				     .begin = v[0].begin,
				     .end = v[n - 1].end,
				     .ttft = NAN};
	size_t from;

	/* A prompt comes first in real use; a decode out of nothing is a benchmark warming up. */
	q.warmup = fresh && v->phase == SUM_DECODE && n > 1;
	from = q.warmup;
	for (size_t i = 0; i < n; i++) {
		q.tokens += v[i].tokens;
		f->wall += v[i].end - v[i].begin;
		if (i < from)
			continue;
		if (v->phase == SUM_DECODE && i > from)
			add_sample(f, v[i].end - v[i - 1].end);
		else
			add_sample(f, v[i].end - v[i].begin);
	}
	f->calls += q.calls;
	f->tokens += q.tokens;
	/* A run without numbers of tokens, as an imported one, has no rates. */
	q.rate = q.tokens > 0 ? (double)(q.tokens - (from ? v[0].tokens : 0)) * 1e9 /
					(q.end - v[from].begin)
			      : NAN;
	if (v->phase == SUM_PREFILL && answered)
		q.ttft = q.end - q.begin;
	return q;
}

static void over_sequences(struct summary *s, enum summary_phase p)
{
	double *rates = xcalloc(s->n_sequences + 1, sizeof(double));
	double *ttfts = xcalloc(s->n_sequences + 1, sizeof(double));
	size_t n = 0, n_ttft = 0;

	for (size_t i = 0; i < s->n_sequences; i++) {
		const struct summary_sequence *q = &s->sequences[i];

		if (q->phase != p)
			continue;
		/* A single decode is a warm-up where longer sequences exist. */
		if (!isnan(q->rate) && (p != SUM_DECODE || q->calls > 1 || s->phase[p].calls == 1))
			rates[n++] = q->rate;
		if (!isnan(q->ttft))
			ttfts[n_ttft++] = q->ttft;
	}
	s->phase[p].tokens_per_s = median(rates, n);
	s->phase[p].ttft = median(ttfts, n_ttft);
	free(rates);
	free(ttfts);
}

static int by_begin(const void *a, const void *b)
{
	const struct summary_sequence *x = a, *y = b;

	return (x->begin > y->begin) - (x->begin < y->begin);
}

static void percentiles(struct summary_phase_figures *f)
{
	double *v = xcalloc(f->n_samples + 1, sizeof(double)), sum = 0;

	for (size_t i = 0; i < f->n_samples; i++)
		sum += v[i] = f->samples[i];
	qsort(v, f->n_samples, sizeof(double), view_cmp_double);
	f->mean = f->n_samples ? sum / (double)f->n_samples : NAN;
	f->p50 = view_percentile(v, f->n_samples, 50);
	f->p95 = view_percentile(v, f->n_samples, 95);
	f->p99 = view_percentile(v, f->n_samples, 99);
	free(v);
}

/*
 * A benchmark repeats a prompt of one length back to back, once more to warm up: then the mean of
 * the single calls without the first is what it prints.
 */
static void repeated_prefill(struct summary *s, const struct calls *c)
{
	double sum = 0;
	int64_t tokens = 0;
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct call *k = &c->v[i];

		if (k->phase != SUM_PREFILL || k->end <= k->begin)
			continue;
		if (n++ == 0)
			tokens = k->tokens;
		else if (k->tokens != tokens)
			return;
		else
			sum += (double)k->tokens * 1e9 / (k->end - k->begin);
	}
	if (n > 2)
		s->phase[SUM_PREFILL].tokens_per_s = sum / (double)(n - 1);
}

void summary_tokens(sqlite3 *db, struct summary *s)
{
	struct calls c = read_calls(db);
	size_t cap = 0;

	for (size_t i = 0, n; i < c.n; i += n) {
		bool fresh = i == 0 || breaks(&c.v[i - 1], &c.v[i]), answered;

		for (n = 1; i + n < c.n && !new_sequence(&c.v[i + n - 1], &c.v[i + n]); n++)
			;
		answered = i + n < c.n && c.v[i + n].phase == SUM_DECODE &&
			   !breaks(&c.v[i + n - 1], &c.v[i + n]);
		*VEC_PUSH(s->sequences, s->n_sequences, cap) =
			sequence(s, &c.v[i], n, fresh, answered);
	}
	if (s->n_sequences)
		qsort(s->sequences, s->n_sequences, sizeof(*s->sequences), by_begin);
	for (int p = 0; p < SUM_PHASES; p++) {
		over_sequences(s, (enum summary_phase)p);
		percentiles(&s->phase[p]);
	}
	repeated_prefill(s, &c);
	free(c.v);
}

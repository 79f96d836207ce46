/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorded runs of a sweep measured: the figures of report, over repetitions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/store.h"
#include "util/median.h"
#include "view/summary/summary.h"
#include "view/sweep/sweep_internal.h"

struct samples {
	double *values;
	size_t count, cap;
};

static void add(struct samples *s, double value)
{
	if (!isnan(value))
		*VEC_PUSH(s->values, s->count, s->cap) = value;
}

static void add_all(struct samples *s, const struct summary_phase_figures *p)
{
	for (size_t i = 0; i < p->n_samples; i++)
		add(s, p->samples[i]);
}

/* A figure of each run. */
enum figure { RATE, PREFILL_RATE, PREFILL_MFU, DECODE_MBU, BARRIER, FIGURES };

struct gathered {
	struct samples figures[FIGURES];
	struct samples tpot, prefill;
};

static void gather(struct gathered *g, const struct summary *s)
{
	const struct summary_phase_figures *prefill = &s->phase[SUM_PREFILL],
					   *decode = &s->phase[SUM_DECODE];

	add(&g->figures[RATE], decode->tokens_per_s);
	add(&g->figures[PREFILL_RATE], prefill->tokens_per_s);
	add(&g->figures[PREFILL_MFU], prefill->mfu);
	add(&g->figures[DECODE_MBU], decode->mbu);
	add(&g->figures[BARRIER], summary_wait_share(decode->calls ? decode : prefill));
	add_all(&g->tpot, decode);
	add_all(&g->prefill, prefill);
}

/* False when there is no such run, or none that can be read. */
static bool read_run(const char *path, const char *peaks, struct gathered *g)
{
	struct view_opts o = {.peaks = peaks};
	struct diag *quiet = diag_new();
	struct summary s = {0};
	sqlite3 *db = access(path, R_OK) == 0 ? store_open(path, quiet) : NULL;
	bool ok = db && summary_make(db, &o, &s, quiet) == 0;

	if (ok)
		gather(g, &s);
	summary_free(&s);
	sqlite3_close(db);
	diag_free(quiet);
	return ok;
}

static double percentile(const struct samples *s, double p)
{
	double *sorted = xcalloc(s->count + 1, sizeof(*sorted)), v;

	if (s->count)
		memcpy(sorted, s->values, s->count * sizeof(*sorted));
	qsort(sorted, s->count, sizeof(*sorted), view_cmp_double);
	v = view_percentile(sorted, s->count, p);
	free(sorted);
	return v;
}

static double middle(struct gathered *g, enum figure f)
{
	return median(g->figures[f].values, g->figures[f].count);
}

struct sweep_result sweep_result(const struct sweep *s, size_t combination, const char *peaks)
{
	struct gathered g = {0};
	struct sweep_result r = {0};

	for (int i = 1; i <= s->o.repeat; i++) {
		char *path = sweep_run_path(s, combination, i);
		bool ok = read_run(path, peaks, &g);

		r.runs += ok;
		r.failed += !ok;
		free(path);
	}
	r.tokens_per_s = middle(&g, RATE);
	r.prefill_per_s = middle(&g, PREFILL_RATE);
	r.prefill_mfu = middle(&g, PREFILL_MFU);
	r.decode_mbu = middle(&g, DECODE_MBU);
	r.barrier_share = middle(&g, BARRIER);
	r.tpot_p50_ns = percentile(&g.tpot, 50);
	r.tpot_p95_ns = percentile(&g.tpot, 95);
	r.tpot = g.tpot.values;
	r.n_tpot = g.tpot.count;
	r.prefill = g.prefill.values;
	r.n_prefill = g.prefill.count;
	for (int f = 0; f < FIGURES; f++)
		free(g.figures[f].values);
	return r;
}

void sweep_result_free(struct sweep_result *r)
{
	free(r->tpot);
	free(r->prefill);
	*r = (struct sweep_result){0};
}

double sweep_rate(const struct sweep_result *r)
{
	return isnan(r->tokens_per_s) ? r->prefill_per_s : r->tokens_per_s;
}

long sweep_best(const struct sweep *s, const struct sweep_result *results)
{
	long best = -1;

	for (size_t i = 0; i < s->n_combinations; i++) {
		double rate = sweep_rate(&results[i]);

		if (!isnan(rate) && (best < 0 || rate > sweep_rate(&results[best])))
			best = (long)i;
	}
	return best;
}

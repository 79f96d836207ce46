/* SPDX-License-Identifier: Apache-2.0 */
/* Imported profiles of an accelerator: its own figures instead of models from shapes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/summary/summary.h"

static enum bound bound_of(enum neuron_bound b)
{
	static const enum bound bounds[] = {
		[NEURON_UNKNOWN] = BOUND_UNKNOWN, [NEURON_MEMORY] = BOUND_MEMORY,
		[NEURON_COMPUTE] = BOUND_COMPUTE, [NEURON_ENGINE] = BOUND_ENGINE,
		[NEURON_LATENCY] = BOUND_LATENCY,
	};

	return bounds[b];
}

static double metric(const struct neuron_profile *p, const char *name)
{
	double v;

	return neuron_metric(p, name, &v) ? v : NAN;
}

/* The profiles of a phase; the longest of them says what binds. */
static void phase(struct summary_phase_figures *f, const char *name, const struct neuron_set *set)
{
	struct neuron_set own = {0};
	struct buf why = {0};
	double longest = -1;

	for (size_t i = 0; i < set->count; i++) {
		const struct neuron_profile *p = &set->profiles[i];
		double time = metric(p, "total_time");

		if (strcmp(neuron_phase(p->name), name) != 0)
			continue;
		*VEC_PUSH(own.profiles, own.count, own.cap) = *p;
		if (fmax(time, 0) > longest) {
			longest = fmax(time, 0);
			f->bound = bound_of(neuron_verdict(p, &why));
			f->intensity = metric(p, "mm_arithmetic_intensity");
			f->ridge = metric(p, "peak_flops_bandwidth_ratio");
		}
	}
	f->mfu = f->mbu = f->traffic_use = NAN;
	for (const struct neuron_figure *n = neuron_figures; n->key; n++) {
		if (strcmp(n->key, "mfu") == 0 && !neuron_figure_mean(n, &own, &f->mfu))
			f->mfu = NAN;
		if (strcmp(n->key, "mbu") == 0 && !neuron_figure_mean(n, &own, &f->mbu))
			f->mbu = NAN;
	}
	/* The times are those of profiled executions, not of tokens. */
	f->ttft = f->mean = f->p50 = f->p95 = f->p99 = NAN;
	f->n_samples = 0;
	/* Engines are no workers that share one product. */
	f->threads = 0;
	f->thread_max = f->thread_mean = NAN;
	free(own.profiles); /* what is in them belongs to `set` */
	buf_free(&why);
}

static void read_given(sqlite3 *db, struct summary *s)
{
	sqlite3_stmt *q = view_query(db, NULL,
				     "SELECT substr(key, 8), value FROM run WHERE key GLOB"
				     " 'figure.*' ORDER BY 1",
				     NULL);
	size_t cap = 0;

	while (view_step(q)) {
		char *end;
		double value = strtod(view_text(q, 1), &end);

		end += strspn(end, " ");
		*VEC_PUSH(s->given, s->n_given, cap) =
			(struct summary_given){xstrdup(view_text(q, 0)), xstrdup(end), value};
	}
}

void summary_neuron(sqlite3 *db, struct summary *s)
{
	struct neuron_set set = {0};

	neuron_load(&set, db);
	s->neuron = set.count > 0;
	for (int i = 0; i < NEURON_FIGURES; i++)
		if (!neuron_figure_mean(&neuron_figures[i], &set, &s->neuron_means[i]))
			s->neuron_means[i] = NAN;
	for (int p = 0; p < SUM_PHASES && s->neuron; p++)
		phase(&s->phase[p], summary_phase_name((enum summary_phase)p), &set);
	if (s->neuron)
		s->peak = NULL; /* those of a CPU say nothing here */
	neuron_set_free(&set);
	read_given(db, s);
}

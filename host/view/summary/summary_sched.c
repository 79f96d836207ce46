/* SPDX-License-Identifier: Apache-2.0 */
/* Time off the CPU within the graphs of each phase, and who had the CPU. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/median.h"
#include "view/culprit.h"
#include "view/summary/summary.h"
#include "view/summary/waits.h"

/* From this many times the median on, a graph or a call is slow. */
static const double slow = 1.5;

struct interval {
	double begin, end;
	int phase;
	double runnable; /* ns of all workers */
};

struct intervals {
	struct interval *v;
	size_t n, cap;
};

/* Outermost graphs, or calls where the graph level was off; they do not overlap per process. */
static struct intervals read_intervals(sqlite3 *db, bool graphs)
{
	sqlite3_stmt *q =
		view_query(db, NULL,
			   graphs ? "SELECT g.begin_ns, g.end_ns, coalesce(t.phase, '') FROM"
				    " graph_t g LEFT JOIN token_t t ON t.id = g.token_id WHERE"
				    " g.depth = 0 ORDER BY g.begin_ns"
				  : "SELECT begin_ns, end_ns, phase FROM token_t ORDER BY begin_ns",
			   NULL);
	struct intervals in = {0};

	while (view_step(q)) {
		for (int p = 0; p < SUM_PHASES; p++) {
			if (strcmp(view_text(q, 2), summary_phase_name((enum summary_phase)p)) != 0)
				continue;
			*VEC_PUSH(in.v, in.n, in.cap) = (struct interval){
				sqlite3_column_double(q, 0), sqlite3_column_double(q, 1), p, 0};
		}
	}
	return in;
}

struct culprit {
	char comm[16];
	bool own; /* a thread of the target */
	double ns;
};

struct culprits {
	struct culprit *v;
	size_t n, cap;
};

static void blame(struct culprits *c, const char *comm, bool own, double ns)
{
	size_t i = 0;

	while (i < c->n &&
	       (c->v[i].own != own || strncmp(c->v[i].comm, comm, sizeof(c->v[i].comm) - 1) != 0))
		i++;
	if (i == c->n) {
		struct culprit *k = VEC_PUSH(c->v, c->n, c->cap);

		*k = (struct culprit){.own = own};
		snprintf(k->comm, sizeof(k->comm), "%.15s", comm);
	}
	c->v[i].ns += ns;
}

/* If those who came first and last are two, see culprit_first_share. */
static void blame_both(struct culprits *c, const struct wait *w, double ns)
{
	double part = culprit_first_share(w->first.comm, w->last.comm);

	if (part > 0 && *w->first.comm)
		blame(c, w->first.comm, w->first.own, ns * part);
	if (part < 1 && *w->last.comm)
		blame(c, w->last.comm, w->last.own, ns * (1 - part));
}

static void add(struct summary *s, int phase, const struct wait *w, double ns, struct culprits *c)
{
	struct summary_phase_figures *f = &s->phase[phase];

	if (w->state == WAIT_RUNNABLE) {
		f->runnable += ns;
		blame_both(&c[phase], w, ns);
	} else if (w->state == WAIT_SLEEPING) {
		f->sleeping += ns;
	} else if (w->state == WAIT_BLOCKED) {
		f->blocked += ns;
	}
}

/* First interval that ends after `t`. */
static size_t first_after(const struct intervals *in, double t)
{
	size_t lo = 0, hi = in->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (in->v[mid].end <= t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct gathering {
	struct summary *summary;
	const struct intervals *in;
	struct culprits *culprits; /* per phase */
};

/* Workers count, or all threads where no operators say who works. */
static void one_wait(void *ctx, const struct wait *w)
{
	const struct gathering *g = ctx;
	const struct intervals *in = g->in;

	if (g->summary->levels.op && !w->worker)
		return;
	for (size_t i = first_after(in, w->begin); i < in->n && in->v[i].begin < w->end; i++) {
		double from = fmax(w->begin, in->v[i].begin), to = fmin(w->end, in->v[i].end);

		if (to <= from)
			continue;
		add(g->summary, in->v[i].phase, w, to - from, g->culprits);
		if (w->state == WAIT_RUNNABLE)
			in->v[i].runnable += to - from;
	}
}

static double median_length(const struct intervals *in, int phase)
{
	double *v = xcalloc(in->n + 1, sizeof(*v)), middle;
	size_t n = 0;

	for (size_t i = 0; i < in->n; i++)
		if (in->v[i].phase == phase)
			v[n++] = in->v[i].end - in->v[i].begin;
	middle = median(v, n);
	free(v);
	return middle;
}

/* Whether what makes some calls of a phase slow is that their workers had no CPU. */
static void slow_ones(struct summary_phase_figures *f, const struct intervals *in, int phase,
		      double threads)
{
	double limit = slow * median_length(in, phase), wall[2] = {0}, runnable[2] = {0};

	for (size_t i = 0; i < in->n; i++) {
		const struct interval *v = &in->v[i];
		bool is_slow = v->end - v->begin > limit;

		if (v->phase != phase)
			continue;
		wall[is_slow] += (v->end - v->begin) * threads;
		runnable[is_slow] += v->runnable;
	}
	if (!(wall[0] > 0) || !(wall[1] > 0))
		return;
	f->other_runnable = runnable[0] / wall[0];
	f->slow_runnable = runnable[1] / wall[1];
}

static void sum_up(struct summary_phase_figures *f, const struct culprit *c, double *top_own,
		   const char **own)
{
	if (c->own) {
		f->own_ns += c->ns;
		*own = c->ns > *top_own ? c->comm : *own;
		*top_own = fmax(*top_own, c->ns);
		return;
	}
	f->strangers_ns += c->ns;
	if (c->ns > f->stranger_ns) {
		f->stranger_ns = c->ns;
		memcpy(f->stranger, c->comm, sizeof(f->stranger));
	}
}

static void worst(struct summary_phase_figures *f, struct culprits *c)
{
	const char *own = "";
	double top_own = 0;

	for (size_t i = 0; i < c->n; i++)
		sum_up(f, &c->v[i], &top_own, &own);
	f->culprit_own = f->own_ns > f->strangers_ns;
	f->culprit_ns = f->culprit_own ? top_own : f->stranger_ns;
	snprintf(f->culprit, sizeof(f->culprit), "%s", f->culprit_own ? own : f->stranger);
	free(c->v);
}

/* Workers are known from their operators; without those every thread counts. */
static double worker_count(sqlite3 *db, bool operators)
{
	return view_double(db, 0,
			   operators ? "SELECT count(DISTINCT tid) FROM sched_t WHERE tid IN"
				       " (SELECT tid FROM op_phase_t)"
				     : "SELECT count(DISTINCT tid) FROM sched_t",
			   NULL);
}

void summary_sched(sqlite3 *db, struct summary *s)
{
	struct intervals in = read_intervals(db, s->levels.graph);
	struct culprits c[SUM_PHASES] = {0};
	double threads = worker_count(db, s->levels.op);
	struct gathering g = {s, &in, c};

	waits_each(db, one_wait, &g);
	for (size_t i = 0; i < in.n; i++)
		s->phase[in.v[i].phase].sched_wall += (in.v[i].end - in.v[i].begin) * threads;
	for (int p = 0; p < SUM_PHASES; p++) {
		worst(&s->phase[p], &c[p]);
		slow_ones(&s->phase[p], &in, p, threads);
	}
	free(in.v);
}

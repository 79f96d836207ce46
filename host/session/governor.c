/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The governor keeps the estimated cost of tracing under a cap. Above it, it sheds one step at a
 * time in the order of the table below; when there is room again, it takes the last step back.
 * The token level is never shed.
 *
 * A step is taken back only when the cost is well below the cap and what the step saved would fit
 * as well; so it cannot swing to and fro, and it acts at most once a second in any case.
 */
#include "session/internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	EVALUATE_NS = 1000000000,
	CALM_NS = 5000000000u,	      /* below the cap for so long before a step is taken back */
	TARGET_CPU_MIN_NS = 50000000, /* an idle target says nothing about shares */
};

struct step {
	int level;			     /* that it switches as a whole; -1: none */
	const char *shed, *restored;	     /* what the user is told */
	bool (*possible)(struct session *s); /* something is on that it would take off */
	int (*apply)(struct session *s, bool shed, struct diag *d);
};

static bool has_counters(struct session *s)
{
	return s->level[LEVEL_OPERATOR].on && s->counters && !s->counters_shed;
}

/* The operator level with other settings is another module: it is put on anew. What threads hold is
 * collected before, as it was written by the old settings. */
static int operators_anew(struct session *s, bool *setting, bool value, struct diag *d)
{
	bool on = s->level[LEVEL_OPERATOR].on;

	session_operators_off(s);
	*setting = value;
	return on ? session_enable(s, LEVEL_OPERATOR, d) : 0;
}

static int step_counters(struct session *s, bool shed, struct diag *d)
{
	return operators_anew(s, &s->counters_shed, shed, d);
}

static bool has_scheduler(struct session *s)
{
	return s->level[LEVEL_SCHEDULER].on;
}

static int step_scheduler(struct session *s, bool shed, struct diag *d)
{
	return shed ? session_disable(s, LEVEL_SCHEDULER, d)
		    : session_enable(s, LEVEL_SCHEDULER, d);
}

/* Where the end of a node is the one thing that is seen of it, its wait costs nothing. */
static bool has_barrier(struct session *s)
{
	return s->level[LEVEL_OPERATOR].on && s->opts.barrier_every && !s->barrier_shed &&
	       !s->own_functions && !session_node_ends(s, -1);
}

static int step_barrier(struct session *s, bool shed, struct diag *d)
{
	return session_set_barrier(s, !shed, d);
}

static bool has_events(struct session *s)
{
	return s->level[LEVEL_OPERATOR].on && !s->opts.summary;
}

static int step_summary(struct session *s, bool shed, struct diag *d)
{
	return operators_anew(s, &s->opts.summary, shed, d);
}

static bool has_operators(struct session *s)
{
	return s->level[LEVEL_OPERATOR].on;
}

static int step_operators(struct session *s, bool shed, struct diag *d)
{
	return shed ? session_disable(s, LEVEL_OPERATOR, d) : session_enable(s, LEVEL_OPERATOR, d);
}

static bool has_graph(struct session *s)
{
	return s->level[LEVEL_GRAPH].on;
}

static int step_graph(struct session *s, bool shed, struct diag *d)
{
	return shed ? session_disable(s, LEVEL_GRAPH, d) : session_enable(s, LEVEL_GRAPH, d);
}

static const struct step steps[] = {
	{-1, "counters are off", "counters are on again", has_counters, step_counters},
	{LEVEL_SCHEDULER, "the scheduler level is off", "the scheduler level is on again",
	 has_scheduler, step_scheduler},
	{-1, "barrier wait is no longer taken", "barrier wait is taken again", has_barrier,
	 step_barrier},
	{-1, "operators are summed up in the kernel instead of recorded one by one",
	 "operators are recorded one by one again", has_events, step_summary},
	{LEVEL_OPERATOR, "the operator level is off", "the operator level is on again",
	 has_operators, step_operators},
	{LEVEL_GRAPH, "the graph level is off", "the graph level is on again", has_graph,
	 step_graph},
};
enum { N_STEPS = ARRAY_LEN(steps) };

struct governor {
	uint64_t evaluated_ns, calm_since_ns;
	double cost_ns;	       /* estimated, all levels, at the last evaluation */
	uint64_t cpu_ns;       /* of the targets, then */
	uint64_t tokens;       /* decoded, then */
	size_t taken[N_STEPS]; /* steps in the order they were taken */
	double saved[N_STEPS]; /* share of the target's time that each saved; < 0: not known yet */
	size_t n_taken;
	bool told_floor;
};

static double total_cost(struct session *s)
{
	double sum = 0;

	for (int i = 0; i < LEVEL_COUNT; i++) {
		struct level_count c;

		if (!level_get(i))
			continue;
		session_level_count(s, i, &c);
		sum += session_cost_ns(s, i, c.hits);
	}
	return sum;
}

static void tell(struct session *s, const char *what, double share, double rate, struct diag *d)
{
	char *text = xasprintf("governor: %s: tracing took %.2f %% of the target's time "
			       "(estimate), the cap is %.2f %%; %.1f decodes/s",
			       what, 100 * share, 100 * s->opts.overhead_cap, rate);

	session_note_text(s, "governor", text);
	diag_add(d, DIAG_NOTE, "%s", text);
	free(text);
}

static void shed(struct session *s, struct governor *g, double share, double rate, struct diag *d)
{
	for (size_t i = 0; i < N_STEPS; i++) {
		if (!steps[i].possible(s))
			continue;
		if (steps[i].apply(s, true, d))
			return;
		g->taken[g->n_taken] = i;
		g->saved[g->n_taken++] = -share;
		tell(s, steps[i].shed, share, rate, d);
		return;
	}
	if (!g->told_floor)
		tell(s, "the token level alone is above the cap and stays on", share, rate, d);
	g->told_floor = true;
}

static void restore(struct session *s, struct governor *g, double share, double rate,
		    struct diag *d)
{
	size_t i = g->taken[--g->n_taken];

	if (steps[i].apply(s, false, d)) {
		g->n_taken++;
		return;
	}
	tell(s, steps[i].restored, share, rate, d);
}

/* Nothing is known of an idle target's share, but nothing is taken from it either: all steps come
 * back in time, and go again when it works on. */
static void decide_idle(struct session *s, struct governor *g, double rate, uint64_t now,
			struct diag *d)
{
	if (!g->n_taken || now - g->calm_since_ns < CALM_NS)
		return;
	g->calm_since_ns = now;
	restore(s, g, 0, rate, d);
}

static void decide(struct session *s, struct governor *g, double share, double rate, uint64_t now,
		   struct diag *d)
{
	double cap = s->opts.overhead_cap, *saved = g->n_taken ? &g->saved[g->n_taken - 1] : NULL;

	/* The first figure after a step tells what the step was worth. */
	if (saved && *saved < 0)
		*saved = -*saved > share ? -*saved - share : 0;
	if (share > cap) {
		g->calm_since_ns = now;
		if (g->n_taken < N_STEPS)
			shed(s, g, share, rate, d);
		return;
	}
	if (share > cap * 0.7 || !saved)
		g->calm_since_ns = now;
	else if (now - g->calm_since_ns >= CALM_NS && share + *saved < cap * 0.9) {
		g->calm_since_ns = now;
		restore(s, g, share, rate, d);
	}
}

static void evaluate(struct session *s, struct governor *g, uint64_t now, struct diag *d)
{
	uint64_t cpu = session_target_cpu_ns(s) - g->cpu_ns;
	double cost = total_cost(s) - g->cost_ns;
	double rate = (double)(s->n_tokens - g->tokens) * 1e9 / (double)(now - g->evaluated_ns);

	if (cpu > TARGET_CPU_MIN_NS)
		decide(s, g, cost / (double)cpu, rate, now, d);
	else if (s->n_tokens == g->tokens)
		decide_idle(s, g, rate, now, d);
}

void session_govern(struct session *s, struct diag *d)
{
	struct governor *g = s->governor;
	uint64_t now = session_now_ns();

	if (s->opts.overhead_cap <= 0)
		return;
	if (!g)
		g = s->governor = xcalloc(1, sizeof(*g));
	if (now - g->evaluated_ns < EVALUATE_NS)
		return;
	if (g->evaluated_ns)
		evaluate(s, g, now, d);
	g->evaluated_ns = session_now_ns();
	g->cost_ns = total_cost(s);
	g->cpu_ns = session_target_cpu_ns(s);
	g->tokens = s->n_tokens;
}

void session_governor_forget(struct session *s, enum rec_level level)
{
	struct governor *g = s->governor;
	size_t kept = 0;

	for (size_t i = 0; g && i < g->n_taken; i++) {
		if (steps[g->taken[i]].level == (int)level)
			continue;
		g->taken[kept] = g->taken[i];
		g->saved[kept++] = g->saved[i];
	}
	if (g)
		g->n_taken = kept;
}

int session_set_summary(struct session *s, bool summary, struct diag *d)
{
	return summary == s->opts.summary ? 0 : operators_anew(s, &s->opts.summary, summary, d);
}

int session_set_cap(struct session *s, double share, struct diag *d)
{
	struct governor *g = s->governor;
	int err = 0;

	s->opts.overhead_cap = share;
	if (share > 0 || !g)
		return 0;
	while (g->n_taken && !err)
		err = steps[g->taken[--g->n_taken]].apply(s, false, d);
	return err;
}

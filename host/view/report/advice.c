/* SPDX-License-Identifier: Apache-2.0 */
#include "view/report/advice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/text.h"
#include "view/culprit.h"

/* Thresholds of the rules, as shares. */
static const double wait_high = 0.15, wait_bad = 0.3;
static const double runnable_high = 0.02, runnable_bad = 0.1;
static const double imbalance_high = 0.1, blocked_high = 0.01;
static const double mbu_good = 0.6, mbu_low = 0.4, mfu_good = 0.5, mfu_low = 0.2;
static const double skew_high = 4, cost_high = 0.05, tail_high = 1.5;
/* Workers that wait at a barrier for one without a CPU: from this part on, that is the cause. */
static const double explains = 0.3;
/* Of that time, from which a task beside the first is named as well. */
static const double takes_part = 0.15;

const char *severity_name(enum severity s)
{
	static const char *const names[] = {"good", "note", "warning", "bad"};

	return names[s];
}

/* Takes both strings. */
static void add(struct findings *f, enum severity s, char *text, char *try)
{
	*VEC_PUSH(f->v, f->n, f->cap) = (struct finding){s, text, try};
}

static void bandwidth(const struct summary_phase_figures *p, const char *name, struct findings *f)
{
	char *try = NULL;

	if (p->bound != BOUND_MEMORY || isnan(p->mbu))
		return;
	if (p->mbu < mbu_low)
		try = xasprintf(
			"%s reaches %.1f %% of the memory bandwidth: try more threads, one per "
			"physical core, huge pages, or memory on the same node",
			name, p->mbu * 100);
	else if (p->mbu >= mbu_good)
		try = xasprintf("%s already uses %.0f %% of the memory bandwidth: only fewer bytes "
				"help (smaller quantisation, quantised KV cache, speculative "
				"decoding), or faster memory",
				name, p->mbu * 100);
	add(f, p->mbu < mbu_low ? SEVERITY_WARN : SEVERITY_GOOD,
	    xasprintf("%s reads weights and KV cache at %.1f %% of the peak memory bandwidth (MBU)",
		      name, p->mbu * 100),
	    try);
}

/* More than all of a peak means that the peak is wrong. */
static void beyond(const struct summary_phase_figures *p, const char *name, struct findings *f)
{
	static const double rounding = 1.02;
	double use = fmax(p->mbu, p->mfu);

	if (!(use > rounding))
		return;
	add(f, SEVERITY_WARN,
	    xasprintf("%s uses %.0f %% of a peak, which cannot be: the peaks are too low or of "
		      "another "
		      "machine",
		      name, use * 100),
	    xasprintf("%.0f %% of a peak in %s: run llmprobe calibrate when the machine is idle, "
		      "or give "
		      "--peaks",
		      use * 100, name));
}

static void arithmetic(const struct summary_phase_figures *p, const char *name, struct findings *f)
{
	char *try = NULL;

	if (p->bound != BOUND_COMPUTE || isnan(p->mfu))
		return;
	if (p->mfu < mfu_low)
		try = xasprintf(
			"%s reaches %.1f %% of the arithmetic peak: check that the build has "
			"kernels for this CPU and type (repacked weights, tinyBLAS), and the "
			"batch size (-b, -ub)",
			name, p->mfu * 100);
	else if (p->mfu >= mfu_good)
		try = xasprintf(
			"%s uses %.0f %% of the arithmetic peak: more cores or another backend "
			"help, settings hardly",
			name, p->mfu * 100);
	add(f, p->mfu < mfu_low ? SEVERITY_WARN : SEVERITY_GOOD,
	    xasprintf("%s computes at %.1f %% of the arithmetic peak (MFU)", name, p->mfu * 100),
	    try);
}

/* Whether missing CPUs account for what is seen as wait or imbalance. */
static bool starved(const struct summary_phase_figures *p, double share)
{
	double runnable = summary_runnable_share(p);

	return runnable > runnable_high && runnable > share * explains;
}

static void waiting(const struct summary *s, const struct summary_phase_figures *p,
		    const char *name, struct findings *f)
{
	double share = summary_wait_share(p);
	bool cpu = starved(p, share);

	if (!(share >= wait_high))
		return;
	add(f, share > wait_bad && !cpu ? SEVERITY_BAD : SEVERITY_WARN,
	    xasprintf("%s: workers wait at barriers for %.1f %% of their time%s%s", name,
		      share * 100, p->wait_known < 0.99 ? " (sampled)" : "",
		      cpu ? ", much of it for workers that have no CPU" : ""),
	    cpu ? NULL
		: xasprintf("%.0f %% barrier wait in %s: try fewer threads (-t), or cores of one "
			    "kind only (taskset); see the workers' balance below%s",
			    share * 100, name,
			    s->levels.sched ? ""
					    : "; the scheduler level would tell whether they had "
					      "their CPUs"));
}

static void imbalance(const struct summary_phase_figures *p, const char *name, struct findings *f)
{
	double over = p->thread_max / p->thread_mean - 1;
	bool cpu = starved(p, over);

	if (p->threads < 2 || !(over > imbalance_high))
		return;
	add(f, SEVERITY_WARN,
	    xasprintf("%s: the busiest worker computes %.0f %% longer than the average%s", name,
		      over * 100,
		      cpu ? ", as time without a CPU within an operator counts as computing" : ""),
	    cpu ? NULL
		: xasprintf(
			  "%.0f %% imbalance in %s: something slows one worker (a slower core, or "
			  "a neighbour on its core); pin the threads or leave that core out",
			  over * 100, name));
}

/* " busyloop had it for 45.2 ms of those 80.1 ms, the target's own threads for 20.0 ms" */
static char *culprit_text(const struct summary_phase_figures *p)
{
	double much = p->runnable * takes_part, others = p->strangers_ns - p->stranger_ns;
	char had[32], all[32], rest[32], own[32];
	struct buf text = {0};

	if (!p->culprit[0])
		return xstrdup("; who had it is not known");
	text_ns(p->runnable, all);
	text_ns(p->own_ns, own);
	text_ns(others, rest);
	text_ns(p->stranger_ns, had);
	if (p->culprit_own)
		buf_printf(&text, "; the target's own %s threads had it for %s of those %s",
			   p->culprit, own, all);
	else
		buf_printf(&text, "; %s had it for %s of those %s", p->culprit, had, all);
	/* A stranger on one core makes the target's threads crowd on the others. */
	if (p->culprit_own && p->strangers_ns > much)
		buf_printf(&text, ", %s for %s", p->stranger, had);
	if (others > much)
		buf_printf(&text, ", other tasks for %s", rest);
	if (!p->culprit_own && p->own_ns > much)
		buf_printf(&text, ", the target's own threads for %s", own);
	return buf_take(&text);
}

/* What to do about the task that takes the CPU; "" is none. */
static char *against(const struct summary_phase_figures *p)
{
	const char *by = p->stranger;

	if (strcmp(by, "llmprobe") == 0)
		return xstrdup(
			"llmprobe itself takes it: leave it a core (one thread less, -t), or "
			"record fewer levels");
	if (culprit_is_kernel(by))
		return xasprintf("the kernel's %s takes it: leave it a core (one thread less, -t)",
				 by);
	if (p->culprit_own)
		return xasprintf("stop %s, whose core the target's threads leave for each other's, "
				 "or use fewer threads (-t)",
				 by);
	return xasprintf("stop %s, move it to another core (taskset), or use one thread less (-t)",
			 by);
}

static char *cpu_try(const struct summary_phase_figures *p, const char *name, double share)
{
	char *head = xasprintf("%.1f %% waiting for a CPU in %s", share * 100, name), *all, *what;
	bool strangers = p->strangers_ns > p->runnable * takes_part;

	if (!p->culprit[0])
		what = xstrdup(": use fewer threads (-t) than free cores");
	else if (!strangers)
		what = xstrdup(", most of all because of other threads of the target: use fewer "
			       "threads (-t) than free cores");
	else if (p->stranger_ns < p->strangers_ns * explains)
		what = xasprintf(": many tasks share the CPUs, %s most of all; stop some, or use "
				 "fewer threads (-t)",
				 p->stranger);
	else {
		char *measure = against(p);

		what = xasprintf(": %s", measure);
		free(measure);
	}
	all = xasprintf("%s%s", head, what);
	free(head);
	free(what);
	return all;
}

static void off_cpu(const struct summary_phase_figures *p, const char *name, struct findings *f)
{
	double run = summary_runnable_share(p);
	double io = p->sched_wall > 0 ? p->blocked / p->sched_wall : 0;

	if (run > runnable_high) {
		char *who = culprit_text(p);

		add(f, run > runnable_bad ? SEVERITY_BAD : SEVERITY_WARN,
		    xasprintf("%s: workers are ready but have no CPU for %.1f %% of the time%s",
			      name, run * 100, who),
		    cpu_try(p, name, run));
		free(who);
	}
	if (io > blocked_high)
		add(f, SEVERITY_WARN,
		    xasprintf("%s: workers wait for input or output for %.1f %% of the time", name,
			      io * 100),
		    xasprintf(
			    "%.1f %% blocked in %s: the model is read from disk while it computes; "
			    "use --mlock or --no-mmap, or more memory",
			    io * 100, name));
}

/* What the slow tokens have that the others have not: ", in those workers had no CPU for 60 % ..".
 */
static char *tail_cause(const struct summary_phase_figures *p, bool *cpu)
{
	*cpu = p->slow_runnable > runnable_bad && p->slow_runnable > 2 * p->other_runnable;
	if (isnan(p->slow_runnable))
		return xstrdup("");
	return xasprintf("; in those workers had no CPU for %.1f %% of the time, in the others for "
			 "%.1f %%",
			 p->slow_runnable * 100, p->other_runnable * 100);
}

static void tail(const struct summary *s, struct findings *f)
{
	const struct summary_phase_figures *p = &s->phase[SUM_DECODE];
	double ratio = p->p95 / p->p50;
	char *cause;
	bool cpu;

	if (p->n_samples < 20 || !(ratio > tail_high))
		return;
	cause = tail_cause(p, &cpu);
	add(f, SEVERITY_WARN,
	    xasprintf("decode: P95 is %.1f times P50: some tokens take far longer%s", ratio, cause),
	    cpu ? xasprintf("P95/P50 of %.1f: the slow tokens are those whose workers lost their "
			    "CPU; "
			    "what helps against that helps here",
			    ratio)
		: xasprintf("P95/P50 of %.1f: %slook at the slow tokens in timeline", ratio,
			    s->levels.sched ? "" : "record the scheduler level and "));
	free(cause);
}

static void experts(const struct summary *s, struct findings *f)
{
	if (!s->expert_uses || isnan(s->expert_skew))
		return;
	add(f, s->expert_skew > skew_high ? SEVERITY_NOTE : SEVERITY_GOOD,
	    xasprintf(
		    "experts: %lld of %lld were used; the hottest %.1f times as often as the mean",
		    (long long)s->experts_used, (long long)s->experts_all, s->expert_skew),
	    s->expert_skew > skew_high
		    ? xasprintf("a skew of %.1f: keep the hot experts in fast memory (see stat "
				"--table experts)",
				s->expert_skew)
		    : NULL);
}

/* What llmprobe lost, and what it cost. */
static void own_part(const struct summary *s, struct findings *f)
{
	bool dear = s->cost_share > cost_high;

	if (s->lost > 0)
		add(f, SEVERITY_BAD,
		    xasprintf("%lld events were lost: sums are too small", (long long)s->lost),
		    xasprintf("%lld lost events: raise buffer.size, or record fewer operators "
			      "(operators.include)",
			      (long long)s->lost));
	if (isnan(s->cost_share))
		return;
	add(f, dear ? SEVERITY_WARN : SEVERITY_GOOD,
	    xasprintf("llmprobe itself took about %.2g %% of the workers' time (estimate)%s",
		      s->cost_share * 100, s->lost ? "" : "; no event was lost"),
	    dear ? xasprintf("%.2g %% own cost: set overhead.cap, or operators.mode: summary",
			     s->cost_share * 100)
		 : NULL);
}

static void recording(const struct summary *s, struct findings *f)
{
	if (s->so_far)
		add(f, SEVERITY_NOTE,
		    xstrdup("still recording: what follows covers what was recorded so far"), NULL);
	else if (!s->complete)
		add(f, SEVERITY_WARN,
		    xstrdup("the recording was interrupted: what follows covers its saved part"),
		    NULL);
	if (s->batches > 0)
		add(f, SEVERITY_NOTE,
		    xasprintf("%lld of the prefill calls ask for a result of every token: they "
			      "check drafts, or decode several sequences in an engine whose "
			      "batches could not be read",
			      (long long)s->batches),
		    NULL);
	if (*s->only)
		add(f, SEVERITY_NOTE,
		    xasprintf("only some operators were recorded (%s): shares, FLOPs and bytes are "
			      "those of these alone",
			      s->only),
		    NULL);
	own_part(s, f);
}

static int worse(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (x->severity != y->severity)
		return x->severity > y->severity ? -1 : 1;
	return x < y ? -1 : x > y;
}

void findings_make(const struct summary *s, struct findings *f)
{
	*f = (struct findings){0};
	recording(s, f);
	for (int i = 0; i < SUM_PHASES; i++) {
		const struct summary_phase_figures *p = &s->phase[i];
		const char *name = summary_phase_title((enum summary_phase)i);

		if (!summary_has_phase(s, (enum summary_phase)i))
			continue;
		off_cpu(p, name, f);
		waiting(s, p, name, f);
		imbalance(p, name, f);
		beyond(p, name, f);
		bandwidth(p, name, f);
		arithmetic(p, name, f);
	}
	tail(s, f);
	experts(s, f);
	if (f->n)
		qsort(f->v, f->n, sizeof(*f->v), worse);
}

void findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].text);
		free(f->v[i].try);
	}
	free(f->v);
	*f = (struct findings){0};
}

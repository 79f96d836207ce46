/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of a run that report, diff and html show, computed once. Times are ns, rates per
 * second; NAN means that the run does not tell (see `missing`). Nothing here reads operator rows:
 * the sums made at conversion are enough, so a run of any size takes about the same time.
 */
#ifndef LLMPROBE_VIEW_SUMMARY_H
#define LLMPROBE_VIEW_SUMMARY_H

#include "view/neuron/neuron.h"
#include "view/peaks/peaks.h"
#include "view/view.h"

/* SUM_OUTSIDE: what was computed outside of any call, as by programs that are no LLM. */
enum summary_phase { SUM_PREFILL, SUM_DECODE, SUM_ENCODE, SUM_OUTSIDE, SUM_PHASES };

/* Which side of the roofline, or neither. */
enum bound {
	BOUND_UNKNOWN,
	BOUND_MEMORY,
	BOUND_COMPUTE,
	BOUND_SYNC,
	BOUND_SCHED,
	BOUND_LATENCY,
	BOUND_BACKEND, /* another backend than the CPU computes most of the time */
	BOUND_ENGINE,  /* of an accelerator: another one than that of the matrix products */
};

struct summary_class {
	double compute; /* ns, all threads */
	double wait;
	double flops, bytes;
	int64_t count;
};

/* Consecutive calls of a phase in one context without a break: one prompt, one answer. */
struct summary_sequence {
	enum summary_phase phase;
	int64_t calls, tokens;
	double begin, end;
	double rate; /* tokens/s; decode: without a warm-up call, see `warmup` */
	double ttft; /* prefill that a decode follows: begin to end of the last prefill call */
	bool warmup; /* the first call was the first of its context and is left out of rate */
};

struct summary_phase_figures {
	int64_t calls, tokens;
	double wall;	     /* sum of the calls */
	double tokens_per_s; /* median over the sequences, all calls together when one */
	double ttft;	     /* median */
	double *samples;     /* decode: ns from end to end of consecutive calls; else each call */
	size_t n_samples;    /* in order of time */
	double mean, p50, p95, p99; /* of the samples */
	/* From operators; wall time is that of the graphs (or calls) in which they were recorded.
	 */
	double op_wall, compute, wait;
	double op_mean;	   /* wall time per operator */
	double wait_known; /* share of operator rows whose barrier wait was seen */
	double flops, bytes, weight_bytes, kv_bytes;
	double gflops, gbs;	 /* achieved, 1e9/s, modelled from shapes */
	double intensity, ridge; /* flop/byte */
	double mfu, mbu;	 /* of the peaks; mbu counts weights and KV cache only */
	double traffic_use;	 /* all modelled bytes against the peak bandwidth */
	/* The backend other than the CPU that computed longest, "": none, and its share of the time
	 * of all graphs. What it does inside is not seen. */
	char backend[24];
	double backend_share;
	enum bound bound;
	struct summary_class classes[CLASS_COUNT];
	int threads;			/* workers seen */
	double thread_max, thread_mean; /* compute ns of the busiest worker and on average */
	/* Off the CPU within the phase's graphs (or calls), summed over the worker threads. */
	double runnable, sleeping, blocked, sched_wall; /* sched_wall: wall time x threads */
	/* Share of the workers' time without a CPU in the slow graphs (or calls) of the phase,
	 * those that take far longer than the median, and in the others; NAN when there are no
	 * such. */
	double slow_runnable, other_runnable;
	/* Who had the CPU instead: the target's own threads together, all others together, and of
	 * the side that had more the task that had most. */
	double own_ns, strangers_ns;
	char culprit[16]; /* "": not known */
	double culprit_ns;
	bool culprit_own;  /* it is a thread of the target itself */
	char stranger[16]; /* the first of those that are not the target's, "": none */
	double stranger_ns;
};

struct summary {
	struct view_levels levels;
	bool complete;
	double duration;
	int64_t op_rows;
	int64_t batches; /* prefill calls that look like decodes of several sequences at once */
	struct summary_phase_figures phase[SUM_PHASES];
	struct summary_sequence *sequences;
	size_t n_sequences;
	bool has_peaks;
	struct peaks peaks;
	const struct peaks_entry *peak; /* for the number of workers */
	bool quantised;			/* most weights are: products run on 8-bit integers */
	double peak_gflops;		/* the arithmetic peak that mfu and ridge refer to */
	int64_t lost;
	char only[256]; /* the operators that were asked for, "": all */
	bool so_far;	/* still being recorded; set by who knows */
	/* Estimate of llmprobe's own time, and its share of the workers' time, or of the calls'
	 * where they wait for another backend. */
	double cost_ns, cost_share;
	/* Imported profiles of an accelerator: means of neuron_figures in their order. */
	bool neuron;
	double neuron_means[NEURON_FIGURES];
	/* What a benchmark measured beside them, as the user said. */
	struct summary_given {
		char *name, *unit;
		double value;
	} * given;
	size_t n_given;
	/* Experts: uses of the hottest one over the mean, and how many of all were used. */
	double expert_skew;
	int64_t experts_used, experts_all, expert_uses;
};

/* Returns 0 or -errno with an error in `d`. `s` is freed by summary_free in both cases. */
int summary_make(sqlite3 *db, const struct view_opts *o, struct summary *s, struct diag *d);
void summary_free(struct summary *s);
/* As the run writes it, "" outside of any call; and in words. */
const char *summary_phase_name(enum summary_phase p);
const char *summary_phase_title(enum summary_phase p);
/* Whether there is anything to say of a phase; a call cut off by the begin of the recording is not
 * enough. */
bool summary_has_phase(const struct summary *s, enum summary_phase p);
const char *summary_bound_name(enum bound b);
/* The side of the roofline that the arithmetic intensity lies on, whatever else slows the phase:
 * BOUND_MEMORY, BOUND_COMPUTE, or BOUND_UNKNOWN when neither peaks nor the intensity tell. */
enum bound summary_side(const struct summary_phase_figures *f);
/* Shares of the workers' time, NAN when not known; of the barrier wait also with one worker. */
double summary_wait_share(const struct summary_phase_figures *f);
double summary_runnable_share(const struct summary_phase_figures *f);

/* The single figures by name, for diff and JSON: "tpot_p50", "prefill_tokens_per_s".. */
struct summary_figure {
	const char *name, *title, *unit; /* unit: ns, /s, %, GB/s.. */
	int better;			 /* +1: more is better, -1: less, 0: neither */
	double value;
};
enum { SUMMARY_FIGURES = 96 }; /* with those given by the user, of which more are left out */
size_t summary_figures(const struct summary *s, struct summary_figure out[SUMMARY_FIGURES]);

/* Parts of summary_make, one per file. */
void summary_tokens(sqlite3 *db, struct summary *s);
void summary_ops(sqlite3 *db, struct summary *s);
void summary_sched(sqlite3 *db, struct summary *s);
/* After the others, and after bound_of: what a Neuron run says by itself replaces what was made of
 * its operators. */
void summary_neuron(sqlite3 *db, struct summary *s);

#endif

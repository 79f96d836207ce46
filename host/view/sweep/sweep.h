/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep: records a command once per combination of parameter values, again and again in random
 * order, and sums the runs up. All state is in one folder, so that an interrupted sweep goes on
 * where it stopped: sweep.jsonl has a line per finished run, and the runs stay for diff.
 */
#ifndef LLMPROBE_VIEW_SWEEP_H
#define LLMPROBE_VIEW_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sqlite3.h>

#include "util/diag.h"

struct sweep_param {
	char *name;
	char **values;
	size_t n_values, cap_values;
};

struct sweep_opts {
	char *const *command;	  /* ended by NULL; "{name}" stands for a parameter's value */
	const char *folder;	  /* made when missing */
	int repeat;		  /* recorded runs per combination, at least 1 */
	int warmup;		  /* runs per combination before that, not kept */
	uint64_t seed;		  /* of the order */
	const char *recorder;	  /* program that records, NULL: this one */
	char *const *record_args; /* further arguments of its record command, ended by NULL; may be
				   * NULL */
	/* Called before each run; may be NULL. `what` is "threads=4,batch=8". */
	void (*progress)(void *ctx, size_t done, size_t total, const char *what);
	/* True ends the sweep between two runs; may be NULL. */
	bool (*stop)(void *ctx);
	void *ctx;
};

struct sweep;

/* Parses parameters ("threads=1,2,4") against the command. NULL with an error in `d`: a name that
 * the command does not use, one it uses without values, no values, a name given twice. */
struct sweep *sweep_new(const struct sweep_opts *o, char *const *params, size_t n, struct diag *d);
void sweep_free(struct sweep *s);
size_t sweep_combinations(const struct sweep *s);
/* "threads=4,batch=8" of a combination; borrowed. */
const char *sweep_label(const struct sweep *s, size_t combination);
/* The command with the values of a combination filled in, ended by NULL; free with
 * sweep_argv_free. */
char **sweep_argv(const struct sweep *s, size_t combination);
void sweep_argv_free(char **argv);
/*
 * Runs what sweep.jsonl does not have yet. A run that fails is noted there and in `d` as a warning,
 * and the sweep goes on. Returns 0, -EINTR when stopped, or -errno with an error in `d`.
 */
int sweep_run(struct sweep *s, struct diag *d);

/* What the runs of a combination measured; NAN where nothing was recorded. Shares and rates are
 * medians over the runs. */
struct sweep_result {
	size_t runs, failed;
	double tokens_per_s, prefill_per_s;
	double tpot_p50_ns, tpot_p95_ns; /* of all decode calls of all runs */
	double prefill_mfu, decode_mbu;	 /* NAN without the machine's peaks, too */
	double barrier_share;		 /* of the workers' time in decodes, else in prefills */
	double *tpot, *prefill;		 /* ns of each decode and prefill call, for rank tests */
	size_t n_tpot, n_prefill;
};
/* Reads the recorded runs of one combination. `peaks`: as --peaks, NULL for each run's own. */
struct sweep_result sweep_result(const struct sweep *s, size_t combination, const char *peaks);
void sweep_result_free(struct sweep_result *r);
/* What the combinations are ranked by: decode tokens per second, those of prefill when nothing was
 * decoded. */
double sweep_rate(const struct sweep_result *r);
/* The combination with the highest rate, -1 when none was measured. */
long sweep_best(const struct sweep *s, const struct sweep_result *results);

struct view_opts;
/* The table of all combinations, the first one being what the others are compared with. Returns 0,
 * 1 when a combination has no run, or -errno with an error in `d`. */
int sweep_print(const struct sweep *s, const struct view_opts *o, FILE *out, struct diag *d);

#endif

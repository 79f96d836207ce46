/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics for fleets: sums over what was traced, as Prometheus text and over HTTP. The recording
 * thread adds, the listener's thread reads; each call locks.
 */
#ifndef LLMPROBE_VIEW_PROMETHEUS_H
#define LLMPROBE_VIEW_PROMETHEUS_H

#include <sqlite3.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"
#include "view/view.h"

struct metrics;

/* `engine` and `model` become labels; NULL: "unknown". */
struct metrics *metrics_new(const char *engine, const char *model);
void metrics_free(struct metrics *m);
/* The model that a command line names (-m, --model, -hf), without its folder; NULL: none. Free it.
 */
char *metrics_model_of(const char *command);
/*
 * A finished decode or encode call. Calls of one context in order of time: a prefill after decodes
 * begins a new request; time to first token is from a request's first prefill to the end of its
 * last, time per output token the mean over its decodes.
 */
void metrics_call(struct metrics *m, int64_t context, const char *phase, int64_t n_tokens,
		  int64_t begin_ns, int64_t end_ns);
/*
 * Operators of one class: how many, and their times over all threads. Until some were added there
 * are no series of operators, not zeros.
 */
void metrics_operators(struct metrics *m, enum op_class c, uint64_t count, uint64_t compute_ns,
		       uint64_t wait_ns);
/* Sums since the start of the recording, not differences. `level` is copied. */
void metrics_operator_sums(struct metrics *m, enum op_class c, uint64_t count, uint64_t compute_ns,
			   uint64_t wait_ns);
void metrics_loss(struct metrics *m, const char *level, uint64_t lost);
void metrics_cost(struct metrics *m, const char *level, uint64_t hits, uint64_t run_ns);
/* Ends the requests that are still open, for a recording that is over. */
void metrics_finish(struct metrics *m);
/* Everything of a recorded run. */
void metrics_add_run(struct metrics *m, sqlite3 *db);
/* The same as new metrics with the run's engine and model as labels. */
struct metrics *metrics_of_run(sqlite3 *db);

enum { METRICS_BUCKETS_MAX = 24 };
struct metrics_histogram {
	const char *name, *unit, *help; /* OpenTelemetry's name */
	const double *bounds;
	size_t n_bounds;
	uint64_t counts[METRICS_BUCKETS_MAX + 1]; /* per bucket, the last one above all bounds */
	uint64_t count;
	double sum;
};
enum metrics_histogram_id {
	METRICS_TTFT,
	METRICS_TPOT,
	METRICS_REQUEST,
	METRICS_INPUT_TOKENS,
	METRICS_OUTPUT_TOKENS,
	METRICS_HISTOGRAMS
};
/* A copy of a histogram. */
struct metrics_histogram metrics_histogram(struct metrics *m, enum metrics_histogram_id id);
/* Calls back for each counter: Prometheus name, label ("phase=\"decode\"", may be ""), value, help.
 */
void metrics_counters(struct metrics *m,
		      void (*fn)(void *ctx, const char *name, const char *label_name,
				 const char *label, double value, const char *help),
		      void *ctx);
const char *metrics_engine(const struct metrics *m);
const char *metrics_model(const struct metrics *m);

/* The text exposition format, version 0.0.4. */
void prometheus_text(struct metrics *m, struct buf *out);

struct prometheus_server;
/*
 * Serves GET /metrics at "HOST:PORT", ":PORT" or "PORT" (port 0: any) from a thread of its own.
 * `m` is borrowed. NULL with an error in `d`.
 */
struct prometheus_server *prometheus_listen(struct metrics *m, const char *address, struct diag *d);
int prometheus_port(const struct prometheus_server *s);
void prometheus_close(struct prometheus_server *s); /* NULL is fine */

#endif

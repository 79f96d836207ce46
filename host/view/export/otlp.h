/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry's protocol, JSON over HTTP: a run's metrics, and its calls and graphs as spans. */
#ifndef LLMPROBE_VIEW_OTLP_H
#define LLMPROBE_VIEW_OTLP_H

#include <sqlite3.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"
#include "view/export/prometheus.h"

/* Wall times of the run, ns since 1970. */
struct otlp_times {
	uint64_t start_ns, end_ns;
};

/* Body for /v1/metrics. */
void otlp_metrics(struct metrics *m, const struct otlp_times *t, struct buf *out);
/*
 * Body for /v1/traces with at most `limit` token rows after row `*after` and their graphs; sets
 * *after to the last row. Returns how many spans it holds, 0 at the end of the run.
 */
size_t otlp_spans(sqlite3 *db, const char *service, int64_t *after, size_t limit, struct buf *out);
/*
 * Sends everything of a run to URL/v1/metrics and URL/v1/traces. What the receiver refuses is an
 * error with its answer. 0 or -errno with an error in `d`.
 */
int otlp_send(sqlite3 *db, const char *url, struct diag *d);

#endif

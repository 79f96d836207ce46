/* SPDX-License-Identifier: Apache-2.0 */
/* stat: one function per table, listed in stat.c. */
#ifndef LLMPROBE_VIEW_STAT_H
#define LLMPROBE_VIEW_STAT_H

#include "util/buf.h"
#include "view/table.h"
#include "view/view.h"

/* Each makes the table of a run; the caller frees it. NULL with an error in `d`. `foot` gets lines
 * to print below the table, if any (text form only). */
typedef struct table *stat_fn(sqlite3 *db, const struct view_opts *o, struct buf *foot,
			      struct diag *d);

stat_fn stat_ops, stat_threads, stat_counters, stat_backends, stat_devices;
stat_fn stat_series, stat_growth, stat_complexity;
stat_fn stat_experts, stat_reuse, stat_latency, stat_heat;

/* Why a run has no counters, as a line. */
const char *stat_no_counters(sqlite3 *db);

/* The one table of several runs: operators at different numbers of workers. */
struct table *stat_ratios(const struct view_run *runs, size_t n, const struct view_opts *o,
			  struct buf *foot, struct diag *d);

/* Least squares of y over x. */
struct stat_fit {
	double slope, intercept, r2; /* NAN when x does not vary */
};
struct stat_fit stat_fit(const double *x, const double *y, size_t n);

/* One counter over another, each a comma list of names of which the first that was counted stands.
 */
struct stat_ratio {
	const char *title, *above, *below;
	bool percent;
};
/* Ratio number `i` of the ratios that stat prints; false after the last. */
bool stat_ratio(size_t i, struct stat_ratio *out);

#endif

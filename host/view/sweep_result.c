/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorded runs of a sweep measured. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "view/sweep_internal.h"
#include "view/view.h"

struct samples {
	double *values;
	size_t count, cap;
};

static double percentile(struct samples *s, double p)
{
	double v = NAN;

	if (s->count) {
		qsort(s->values, s->count, sizeof(*s->values), view_cmp_double);
		v = view_percentile(s->values, s->count, p);
	}
	return v;
}

static void add(struct samples *s, double value)
{
	if (!isnan(value))
		*VEC_PUSH(s->values, s->count, s->cap) = value;
}

static double tokens_per_s(sqlite3 *db, const char *phase)
{
	return view_double(db, NAN,
			   "SELECT 1e9 * sum(n_tokens) / sum(end_ns - begin_ns) FROM token "
			   "WHERE phase = ?1 AND end_ns > begin_ns AND n_tokens > 0",
			   "s", phase);
}

static void read_run(sqlite3 *db, struct samples *speed, struct samples *prefill,
		     struct samples *tpot, struct samples *barrier)
{
	sqlite3_stmt *row =
		view_query(db, NULL,
			   "SELECT 1.0 * (end_ns - begin_ns) / n_tokens FROM token WHERE "
			   "phase = 'decode' AND n_tokens > 0 AND end_ns > begin_ns",
			   NULL);

	while (view_step(row))
		add(tpot, sqlite3_column_double(row, 0));
	add(speed, tokens_per_s(db, "decode"));
	add(prefill, tokens_per_s(db, "prefill"));
	add(barrier,
	    view_double(db, NAN,
			"SELECT 1.0 * sum(wait_ns) / (sum(compute_ns) + sum(wait_ns)) FROM "
			"op_phase_t WHERE wait_known > 0",
			NULL));
}

struct sweep_result sweep_result(const struct sweep *s, size_t combination)
{
	struct samples speed = {0}, prefill = {0}, tpot = {0}, barrier = {0};
	struct sweep_result r = {0};

	for (int i = 1; i <= s->o.repeat; i++) {
		char *path = sweep_run_path(s, combination, i);
		sqlite3 *db = NULL;

		if (access(path, R_OK) == 0 &&
		    sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
		    view_int(db, -1, "SELECT count(*) FROM token", NULL) >= 0) {
			read_run(db, &speed, &prefill, &tpot, &barrier);
			r.runs++;
		} else {
			r.failed++;
		}
		sqlite3_close(db);
		free(path);
	}
	r.tokens_per_s = percentile(&speed, 50);
	r.prefill_per_s = percentile(&prefill, 50);
	r.tpot_p50_ns = percentile(&tpot, 50);
	r.tpot_p95_ns = percentile(&tpot, 95);
	r.barrier_share = percentile(&barrier, 50);
	free(speed.values);
	free(prefill.values);
	free(tpot.values);
	free(barrier.values);
	return r;
}

long sweep_best(const struct sweep *s, const struct sweep_result *results)
{
	long best = -1;

	for (size_t i = 0; i < s->n_combinations; i++)
		if (!isnan(results[i].tokens_per_s) &&
		    (best < 0 || results[i].tokens_per_s > results[best].tokens_per_s))
			best = (long)i;
	return best;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the operators computed and moved, from the sums made at conversion. */
#include <math.h>
#include <string.h>

#include "util/text.h"
#include "view/summary/summary.h"

static void add_class(struct summary_phase_figures *f, sqlite3_stmt *q)
{
	struct summary_class *c = &f->classes[view_op_class(view_text(q, 0))];
	double runs = sqlite3_column_double(q, 1), rows = sqlite3_column_double(q, 4);
	double flops = sqlite3_column_double(q, 5) * runs,
	       bytes = sqlite3_column_double(q, 6) * runs;

	c->count += (int64_t)runs;
	c->compute += sqlite3_column_double(q, 2);
	c->wait += sqlite3_column_double(q, 3);
	c->flops += flops;
	c->bytes += bytes;
	f->compute += sqlite3_column_double(q, 2);
	f->wait += sqlite3_column_double(q, 3);
	f->wait_known += sqlite3_column_double(q, 9);
	f->flops += flops;
	f->bytes += bytes;
	f->weight_bytes += sqlite3_column_double(q, 7) * runs;
	f->kv_bytes += sqlite3_column_double(q, 8) * runs;
	f->op_wall += rows; /* for now: number of rows, see phase_ops */
}

/* Wall time in which operators were recorded: the level may have been off for a part. */
static double wall_with_ops(sqlite3 *db, const char *phase)
{
	double graphs =
		view_double(db, 0,
			    "SELECT sum(g.end_ns - g.begin_ns) FROM graph_t g LEFT JOIN token_t t"
			    " ON t.id = g.token_id WHERE coalesce(t.phase, '') = ?1 AND g.first_op"
			    " NOT NULL AND g.depth = 0",
			    "s", phase);

	if (graphs > 0)
		return graphs;
	return view_double(
		db, 0,
		"SELECT sum(end_ns - begin_ns) FROM token_t WHERE phase = ?1 AND first_op"
		" NOT NULL",
		"s", phase);
}

static void threads(sqlite3 *db, struct summary_phase_figures *f, const char *phase)
{
	sqlite3_stmt *q = view_query(db, NULL,
				     "SELECT sum(compute_ns) FROM op_phase_t WHERE phase = ?1"
				     " GROUP BY thread_index",
				     "s", phase);
	double sum = 0;

	while (view_step(q)) {
		double compute = sqlite3_column_double(q, 0);

		f->threads++;
		sum += compute;
		f->thread_max = compute > f->thread_max ? compute : f->thread_max;
	}
	f->thread_mean = f->threads ? sum / f->threads : NAN;
}

static void phase_ops(sqlite3 *db, struct summary_phase_figures *f, const char *phase)
{
	/* Every worker has a row of every execution: the most of any is the number of executions.
	 */
	sqlite3_stmt *q = view_query(
		db, NULL,
		"SELECT coalesce(t.op, '?'), max(p.n), sum(p.c), sum(p.w), sum(p.n), t.flops, "
		"t.bytes,"
		" t.weight_bytes, t.kv_bytes, sum(p.k) FROM (SELECT tensor_id, thread_index,"
		" sum(count) n, sum(compute_ns) c, sum(wait_ns) w, sum(wait_known) k FROM "
		"op_phase_t"
		" WHERE phase = ?1 GROUP BY tensor_id, thread_index) p LEFT JOIN tensor_t t"
		" ON t.id = p.tensor_id GROUP BY p.tensor_id",
		"s", phase);
	double runs = 0;

	while (view_step(q))
		add_class(f, q);
	f->wait_known = f->op_wall > 0 ? f->wait_known / f->op_wall : NAN;
	f->op_wall = wall_with_ops(db, phase);
	if (f->flops > 0 && f->bytes > 0)
		f->intensity = f->flops / f->bytes;
	threads(db, f, phase);
	if (f->op_wall <= 0 || !f->threads)
		return;
	for (int c = 0; c < CLASS_COUNT; c++)
		runs += (double)f->classes[c].count;
	f->op_mean = f->op_wall / runs;
	if (f->flops > 0)
		f->gflops = f->flops / f->op_wall;
	if (f->bytes > 0)
		f->gbs = f->bytes / f->op_wall;
}

static void against_peak(struct summary_phase_figures *f, const struct peaks_entry *peak,
			 double gflops)
{
	if (peak->gbs <= 0 || gflops <= 0)
		return;
	f->ridge = gflops / peak->gbs;
	if (!(f->op_wall > 0))
		return;
	f->mfu = f->gflops / gflops;
	f->traffic_use = f->gbs / peak->gbs;
	f->mbu = (f->weight_bytes + f->kv_bytes) / f->op_wall / peak->gbs;
}

/* Async backends' graphs last until somebody waited for them, as graph_t has it. */
static void backends(sqlite3 *db, struct summary_phase_figures *f, const char *phase)
{
	sqlite3_stmt *q = view_query(
		db, NULL,
		"SELECT coalesce(g.backend, ''), sum(g.end_ns - g.begin_ns) FROM graph_t g LEFT "
		"JOIN"
		" token_t t ON t.id = g.token_id WHERE coalesce(t.phase, '') = ?1 AND g.depth = 0"
		" GROUP BY 1 ORDER BY 2 DESC",
		"s", phase);
	double all = 0, longest = 0;

	while (view_step(q)) {
		const char *name = view_text(q, 0);

		all += sqlite3_column_double(q, 1);
		if (!*name || text_starts(name, "CPU") || longest > 0)
			continue;
		longest = sqlite3_column_double(q, 1);
		snprintf(f->backend, sizeof(f->backend), "%s", name);
	}
	f->backend_share = all > 0 ? longest / all : 0;
}

/* ggml multiplies quantised weights as 8-bit integers. */
static bool mostly_quantised(sqlite3 *db)
{
	return view_double(
		       db, 0,
		       "SELECT avg(type NOT IN ('f32', 'f16', 'bf16', 'f64')) FROM tensor_t WHERE"
		       " kind = 'weight' AND ne1 > 1",
		       NULL) > 0.5;
}

void summary_ops(sqlite3 *db, struct summary *s)
{
	int workers = 0;

	for (int p = 0; p < SUM_PHASES; p++) {
		phase_ops(db, &s->phase[p], summary_phase_name((enum summary_phase)p));
		backends(db, &s->phase[p], summary_phase_name((enum summary_phase)p));
		if (s->phase[p].threads > workers)
			workers = s->phase[p].threads;
	}
	s->peak = s->has_peaks ? peaks_for(&s->peaks, workers ? workers : 1) : NULL;
	s->quantised = mostly_quantised(db);
	if (s->peak)
		s->peak_gflops = s->quantised && s->peak->gops8 > s->peak->gflops ? s->peak->gops8
										  : s->peak->gflops;
	for (int p = 0; p < SUM_PHASES; p++)
		if (s->phase[p].compute > 0 && s->peak)
			against_peak(&s->phase[p], s->peak, s->peak_gflops);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of report, the same in text and JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/text.h"
#include "view/culprit.h"
#include "view/place.h"
#include "view/report/report_tables.h"
#include "view/summary/waits.h"

struct table *report_phases(const struct summary *s)
{
	struct table *t = table_new();

	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "calls", "calls", TABLE_COUNT);
	table_column(t, "tokens", "tokens", TABLE_COUNT);
	table_column(t, "tokens_per_s", "tokens/s", TABLE_NUMBER);
	table_column(t, "call_ns", "per call", TABLE_NS);
	table_column(t, "ttft_ns", "TTFT", TABLE_NS);
	table_column(t, "mean_ns", "TPOT mean", TABLE_NS);
	table_column(t, "p50_ns", "P50", TABLE_NS);
	table_column(t, "p95_ns", "P95", TABLE_NS);
	table_column(t, "p99_ns", "P99", TABLE_NS);
	for (int i = 0; i < SUM_PHASES; i++) {
		const struct summary_phase_figures *p = &s->phase[i];
		bool decode = i == SUM_DECODE;

		if (!p->calls)
			continue;
		table_row(t);
		table_text(t, summary_phase_name((enum summary_phase)i));
		table_number(t, (double)p->calls);
		table_number(t, (double)p->tokens);
		table_number(t, p->tokens_per_s);
		table_number(t, p->wall / (double)p->calls);
		table_number(t, p->ttft);
		table_number(t, decode ? p->mean : NAN);
		table_number(t, decode ? p->p50 : NAN);
		table_number(t, decode ? p->p95 : NAN);
		table_number(t, decode ? p->p99 : NAN);
	}
	return t;
}

struct table *report_classes(const struct summary_phase_figures *p)
{
	struct table *t = table_new();

	table_column(t, "class", "class", TABLE_TEXT);
	table_column(t, "count", "runs", TABLE_COUNT);
	table_column(t, "compute_ns", "compute", TABLE_NS);
	table_column(t, "wait_ns", "wait", TABLE_NS);
	table_column(t, "share", "share", TABLE_PERCENT);
	table_column(t, "bar", "", TABLE_BAR);
	table_column(t, "gflops", "GFLOP/s", TABLE_NUMBER);
	table_column(t, "gbs", "GB/s", TABLE_NUMBER);
	for (int c = 0; c < CLASS_COUNT; c++) {
		const struct summary_class *k = &p->classes[c];
		double all = p->compute + p->wait, own = k->compute + k->wait;

		if (!k->count)
			continue;
		table_row(t);
		table_text(t, view_class_name((enum op_class)c));
		table_number(t, (double)k->count);
		table_number(t, k->compute);
		table_number(t, p->wait_known > 0 ? k->wait : NAN);
		table_number(t, all > 0 ? own / all : NAN);
		table_number(t, all > 0 ? own / all : NAN);
		/* All workers together spent `own`; side by side that is own / threads. */
		table_number(t, own > 0 && k->flops > 0 ? k->flops * p->threads / own : NAN);
		table_number(t, own > 0 && k->bytes > 0 ? k->bytes * p->threads / own : NAN);
	}
	table_sort(t, "share", NULL);
	return t;
}

struct table *report_operators(sqlite3 *db, const char *phase, bool tensors)
{
	struct table *t = table_new();
	/* Several tensors of a layer share a name: the product and what is done to its result. */
	char *sql = xasprintf(
		"SELECT coalesce(%s, '?'), sum(p.count), sum(p.compute_ns), sum(p.wait_ns),"
		" sum(p.wait_known) FROM op_phase_t p LEFT JOIN tensor_t t ON t.id = p.tensor_id"
		" LEFT JOIN temp.place l ON l.id = p.tensor_id"
		" WHERE p.phase = ?1 GROUP BY 1 ORDER BY sum(p.compute_ns) DESC",
		tensors ? "l.label || ' (' || t.op || ')'" : "t.op");
	double all =
		view_double(db, 0,
			    "SELECT sum(compute_ns) + coalesce(sum(wait_ns), 0) FROM op_phase_t"
			    " WHERE phase = ?1",
			    "s", phase);
	sqlite3_stmt *q;

	place_tensors(db);
	q = view_query(db, NULL, sql, "s", phase);
	table_column(t, "name", tensors ? "tensor" : "operator", TABLE_TEXT);
	table_column(t, "rows", "rows", TABLE_COUNT);
	table_column(t, "compute_ns", "compute", TABLE_NS);
	table_column(t, "wait_ns", "wait", TABLE_NS);
	table_column(t, "mean_ns", "mean", TABLE_NS);
	table_column(t, "share", "share", TABLE_PERCENT);
	table_column(t, "bar", "", TABLE_BAR);
	while (view_step(q)) {
		double compute = sqlite3_column_double(q, 2), wait = sqlite3_column_double(q, 3);

		table_row(t);
		table_text(t, view_text(q, 0));
		table_number(t, sqlite3_column_double(q, 1));
		table_number(t, compute);
		table_number(t, sqlite3_column_int64(q, 4) ? wait : NAN);
		table_number(t, compute / sqlite3_column_double(q, 1));
		table_number(t, all > 0 ? (compute + wait) / all : NAN);
		table_number(t, all > 0 ? (compute + wait) / all : NAN);
	}
	free(sql);
	return t;
}

/* The intervals, which may be millions, are added up once per connection. */
static void add_up_states(sqlite3 *db)
{
	sqlite3_exec(db,
		     "CREATE TEMP TABLE IF NOT EXISTS state_sum AS SELECT tid, state, sum(end_ns -"
		     " begin_ns) ns FROM sched_t GROUP BY 1, 2",
		     NULL, NULL, NULL);
}

static double in_state(sqlite3 *db, int64_t tid, const char *state)
{
	return view_double(db, 0, "SELECT ns FROM temp.state_sum WHERE tid = ?1 AND state = ?2",
			   "is", tid, state);
}

struct table *report_threads(sqlite3 *db, const struct summary *s)
{
	struct table *t = table_new();
	sqlite3_stmt *q =
		view_query(db, NULL,
			   "SELECT p.thread_index, p.tid, sum(p.compute_ns),"
			   " sum(p.wait_ns), sum(p.wait_known), sum(p.count),"
			   " (SELECT name FROM thread_t WHERE tid = p.tid) FROM op_phase_t p"
			   " GROUP BY 1, 2 ORDER BY 1, 3 DESC",
			   NULL);

	add_up_states(db);
	table_column(t, "thread_index", "worker", TABLE_COUNT);
	table_column(t, "tid", "tid", TABLE_NUMBER);
	table_column(t, "name", "name", TABLE_TEXT);
	table_column(t, "rows", "rows", TABLE_COUNT);
	table_column(t, "compute_ns", "compute", TABLE_NS);
	table_column(t, "wait_ns", "wait", TABLE_NS);
	table_column(t, "wait_share", "wait share", TABLE_PERCENT);
	table_column(t, "runnable_ns", "no CPU", TABLE_NS);
	table_column(t, "sleeping_ns", "sleeping", TABLE_NS);
	while (view_step(q)) {
		double compute = sqlite3_column_double(q, 2), wait = sqlite3_column_double(q, 3);
		bool known = sqlite3_column_int64(q, 4) > 0;
		int64_t tid = sqlite3_column_int64(q, 1);

		table_row(t);
		table_number(t, sqlite3_column_double(q, 0));
		table_number(t, (double)tid);
		table_text(t, view_text(q, 6));
		table_number(t, sqlite3_column_double(q, 5));
		table_number(t, compute);
		table_number(t, known ? wait : NAN);
		table_number(t, known && compute + wait > 0 ? wait / (compute + wait) : NAN);
		table_number(t, s->levels.sched ? in_state(db, tid, "runnable") : NAN);
		table_number(t, s->levels.sched ? in_state(db, tid, "sleeping") : NAN);
	}
	return t;
}

/* A task that had a CPU which some thread was waiting for. */
struct task {
	struct {
		char comm[24];
		int64_t tid;
	} key;
	bool own;
	double times, total, longest;
	UT_hash_handle hh;
};

static void had_cpu(struct task **all, const struct wait_task *who, double ns)
{
	struct task key = {0}, *t;

	memcpy(key.key.comm, who->comm, sizeof(key.key.comm));
	key.key.tid = *who->comm ? who->tid : 0;
	HASH_FIND(hh, *all, &key.key, sizeof(key.key), t);
	if (!t) {
		t = xcalloc(1, sizeof(*t));
		t->key = key.key;
		t->own = *who->comm && who->own;
		HASH_ADD(hh, *all, key, sizeof(t->key), t);
	}
	t->times++;
	t->total += ns;
	t->longest = fmax(t->longest, ns);
}

static void share_wait(void *ctx, const struct wait *w)
{
	double part = culprit_first_share(w->first.comm, w->last.comm), ns = w->end - w->begin;

	if (w->state != WAIT_RUNNABLE)
		return;
	if (part > 0)
		had_cpu(ctx, &w->first, ns * part);
	if (part < 1)
		had_cpu(ctx, &w->last, ns * (1 - part));
}

struct table *report_culprits(sqlite3 *db)
{
	struct table *t = table_new();
	struct task *all = NULL, *k, *next;
	double sum = 0;

	waits_each(db, share_wait, &all);
	table_column(t, "task", "task on the CPU instead", TABLE_TEXT);
	table_column(t, "tid", "tid", TABLE_NUMBER);
	table_column(t, "times", "times", TABLE_COUNT);
	table_column(t, "total_ns", "total", TABLE_NS);
	table_column(t, "share", "share", TABLE_PERCENT);
	table_column(t, "longest_ns", "longest", TABLE_NS);
	table_column(t, "note", "", TABLE_TEXT);
	HASH_ITER (hh, all, k, next)
		sum += k->total;
	HASH_ITER (hh, all, k, next) {
		bool nobody = !*k->key.comm;

		table_row(t);
		table_text(t, nobody ? "(not known)" : k->key.comm);
		table_number(t, nobody ? NAN : (double)k->key.tid);
		table_number(t, k->times);
		table_number(t, k->total);
		table_number(t, sum > 0 ? k->total / sum : NAN);
		table_number(t, k->longest);
		table_text(t, k->own ? "of the target" : "");
		HASH_DEL(all, k);
		free(k);
	}
	table_sort(t, "total_ns", NULL);
	return t;
}

struct table *report_sequences(const struct summary *s)
{
	struct table *t = table_new();

	table_column(t, "phase", "sequence", TABLE_TEXT);
	table_column(t, "at_ns", "at", TABLE_NS);
	table_column(t, "calls", "calls", TABLE_COUNT);
	table_column(t, "tokens", "tokens", TABLE_COUNT);
	table_column(t, "tokens_per_s", "tokens/s", TABLE_NUMBER);
	table_column(t, "ttft_ns", "TTFT", TABLE_NS);
	table_column(t, "note", "", TABLE_TEXT);
	for (size_t i = 0; i < s->n_sequences; i++) {
		const struct summary_sequence *q = &s->sequences[i];

		table_row(t);
		table_text(t, summary_phase_name(q->phase));
		table_number(t, q->begin - s->sequences[0].begin);
		table_number(t, (double)q->calls);
		table_number(t, (double)q->tokens);
		table_number(t, q->rate);
		table_number(t, q->ttft);
		table_text(t, q->warmup ? "first call is a warm-up, not in tokens/s" : "");
	}
	return t;
}

static struct table *pair_table(sqlite3 *db, const char *sql, const char *const *keys,
				const enum table_type *types, int n)
{
	sqlite3_stmt *q = view_query(db, NULL, sql, NULL);
	struct table *t = table_new();

	for (int i = 0; i < n; i++)
		table_column(t, keys[i], keys[i], types[i]);
	while (view_step(q)) {
		table_row(t);
		for (int i = 0; i < n; i++) {
			bool null = sqlite3_column_type(q, i) == SQLITE_NULL;

			if (types[i] == TABLE_TEXT)
				table_text(t, view_text(q, i));
			else
				table_number(t, null ? NAN : sqlite3_column_double(q, i));
		}
	}
	return t;
}

struct table *report_losses(sqlite3 *db)
{
	return pair_table(db, "SELECT level, buffer, lost FROM loss",
			  (const char *const[]){"level", "buffer", "lost"},
			  (const enum table_type[]){TABLE_TEXT, TABLE_TEXT, TABLE_COUNT}, 3);
}

struct table *report_notes(sqlite3 *db)
{
	return pair_table(
		db,
		"SELECT at_ns - (SELECT value FROM run WHERE key = 'begin_ns'), kind, text FROM"
		" note WHERE kind != 'level' ORDER BY at_ns",
		(const char *const[]){"at_ns", "kind", "text"},
		(const enum table_type[]){TABLE_NS, TABLE_TEXT, TABLE_TEXT}, 3);
}

struct table *report_cost(sqlite3 *db)
{
	return pair_table(
		db,
		"SELECT level, sum(hits), sum(run_ns), sum(estimate_ns), sum(hits) * 1e9 /"
		" nullif(max(end_ns) - min(begin_ns), 0) FROM cost GROUP BY level",
		(const char *const[]){"level", "hits", "run_ns", "estimate_ns", "hits_per_s"},
		(const enum table_type[]){TABLE_TEXT, TABLE_COUNT, TABLE_NS, TABLE_NS, TABLE_COUNT},
		5);
}

/* operators.mode: summary keeps sums per tensor and thread over the whole recording. */
struct table *report_kept_sums(sqlite3 *db)
{
	return pair_table(
		db,
		"SELECT coalesce(t.op, '?'), sum(s.count), sum(s.compute_ns), sum(s.wait_ns),"
		" sum(s.compute_ns) * 1.0 / nullif(sum(s.count), 0), min(s.min_ns), max(s.max_ns) "
		"FROM"
		" op_sum_t s LEFT JOIN tensor_t t ON t.id = s.tensor_id GROUP BY 1 ORDER BY 3 DESC",
		(const char *const[]){"operator", "rows", "compute", "wait", "mean", "min", "max"},
		(const enum table_type[]){TABLE_TEXT, TABLE_COUNT, TABLE_NS, TABLE_NS, TABLE_NS,
					  TABLE_NS, TABLE_NS},
		7);
}

struct table *report_counters(sqlite3 *db)
{
	return pair_table(
		db,
		"WITH r AS (SELECT p.phase, coalesce(t.op, '?') AS op, sum(p.count) AS n FROM"
		" op_phase_t p LEFT JOIN tensor_t t ON t.id = p.tensor_id GROUP BY 1, 2)"
		" SELECT c.phase, coalesce(t.op, '?') AS op, n.name, sum(c.value), sum(c.value) /"
		" sum(c.count), CASE WHEN max(c.scaled) THEN 'scaled' ELSE '' END ||"
		" CASE WHEN sum(c.count) < 0.99 * r.n THEN printf('%s%.1f %% of the rows',"
		" iif(max(c.scaled), ', ', ''), 100.0 * sum(c.count) / r.n) ELSE '' END FROM"
		" counter_phase_t c JOIN counter_name_t n ON n.id = c.name_id LEFT JOIN tensor_t t"
		" ON t.id = c.tensor_id LEFT JOIN r ON r.phase = c.phase AND r.op ="
		" coalesce(t.op, '?') GROUP BY 1, 2, 3 ORDER BY 1, 3, 4 DESC",
		(const char *const[]){"phase", "operator", "counter", "sum", "per_row", "note"},
		(const enum table_type[]){TABLE_TEXT, TABLE_TEXT, TABLE_TEXT, TABLE_NUMBER,
					  TABLE_NUMBER, TABLE_TEXT},
		6);
}

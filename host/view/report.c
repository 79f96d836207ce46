/* SPDX-License-Identifier: Apache-2.0 */
/* report: the first screen says what binds; the tables behind it say where the time went. */
#include "view/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/advice.h"
#include "view/table.h"

static const char *const colours[] = {"\033[32m", "\033[36m", "\033[33m", "\033[31m"};

static void mark(FILE *out, const struct view_opts *o, enum severity s)
{
	static const char *const plain[] = {"ok  ", "note", "WARN", "BAD "};
	static const char *const dots[] = {"●", "●", "▲", "■"};

	if (o->colour)
		fprintf(out, "%s%s\033[0m ", colours[s], dots[s]);
	else
		fprintf(out, "%s ", plain[s]);
}

static void title(FILE *out, const struct view_opts *o, const char *text)
{
	fprintf(out, o->colour ? "\n\033[1;4m%s\033[0m\n" : "\n%s\n", text);
	for (size_t i = 0; !o->colour && i < table_width(text); i++)
		fputc('-', out);
	if (!o->colour)
		fputc('\n', out);
}

static void print_head(const struct view_run *run, const struct summary *s, FILE *out)
{
	static const char *const keys[] = {"engine", "model", "executable", "cpu", "host", "pid"};
	char ns[32], rows[32];

	fprintf(out, "%s: %s", run->name, text_ns(s->duration, ns));
	if (s->op_rows)
		fprintf(out, ", %s operator rows", text_count((uint64_t)s->op_rows, rows));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		char *v = view_run_value(run->db, keys[i]);

		if (v && *v)
			fprintf(out, ", %s %s", keys[i], v);
		free(v);
	}
	fputc('\n', out);
}

static const char *verdict_reason(const struct summary_phase_figures *p)
{
	switch (p->bound) {
	case BOUND_MEMORY:
		return "bytes from memory, not arithmetic, set the pace";
	case BOUND_COMPUTE:
		return "arithmetic, not memory, sets the pace";
	case BOUND_SYNC:
		return "workers wait for each other at barriers";
	case BOUND_SCHED:
		return "workers are kept off the CPU";
	case BOUND_LATENCY:
		return "neither memory nor arithmetic is busy: overhead per operator sets the pace";
	default:
		return isnan(p->intensity) ? "needs the operator level with dimensions"
					   : "needs the machine's peaks: llmprobe calibrate";
	}
}

static void print_verdict(const struct summary *s, enum summary_phase i, const struct view_opts *o,
			  FILE *out)
{
	const struct summary_phase_figures *p = &s->phase[i];

	if (!p->calls)
		return;
	mark(out, o,
	     p->bound == BOUND_SYNC || p->bound == BOUND_SCHED ? SEVERITY_BAD
	     : p->bound == BOUND_UNKNOWN		       ? SEVERITY_NOTE
	     : p->bound == BOUND_LATENCY		       ? SEVERITY_WARN
							       : SEVERITY_GOOD);
	if (p->bound == BOUND_UNKNOWN)
		fprintf(out, "%s: what binds is not known; %s\n", summary_phase_name(i),
			verdict_reason(p));
	else
		fprintf(out, "%s is %s-bound: %s\n", summary_phase_name(i),
			summary_bound_name(p->bound), verdict_reason(p));
	if (isnan(p->intensity))
		return;
	fprintf(out, "     %.3g GB/s, %.3g GFLOP/s, %.3g flop/byte (modelled from shapes)", p->gbs,
		p->gflops, p->intensity);
	if (!isnan(p->mbu))
		fprintf(out, "; MBU %.1f %%, MFU %.1f %%, ridge %.1f flop/byte", p->mbu * 100,
			p->mfu * 100, p->ridge);
	fputc('\n', out);
}

static void print_peaks(const struct summary *s, FILE *out)
{
	if (s->peak) {
		char threads[32] = "in all";

		if (s->peak->threads)
			snprintf(threads, sizeof(threads), "with %d threads", s->peak->threads);
		fprintf(out, "     peaks: %.1f GB/s and %.1f %s %s, %s (%s)\n", s->peak->gbs,
			s->peak_gflops,
			s->peak_gflops > s->peak->gflops ? "G 8-bit operations/s" : "GFLOP/s",
			threads, s->peaks.name, s->peaks.source);
	} else if (s->levels.op) {
		fputs("     peaks: not known, so no MBU or MFU; run `llmprobe calibrate` on this "
		      "machine or give --peaks\n",
		      out);
	}
}

static struct table *phase_table(const struct summary *s)
{
	struct table *t = table_new();

	table_column(t, "phase", "phase", TABLE_TEXT);
	table_column(t, "calls", "calls", TABLE_COUNT);
	table_column(t, "tokens", "tokens", TABLE_COUNT);
	table_column(t, "tokens_per_s", "tokens/s", TABLE_NUMBER);
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
		table_number(t, p->ttft);
		table_number(t, decode ? p->mean : NAN);
		table_number(t, decode ? p->p50 : NAN);
		table_number(t, decode ? p->p95 : NAN);
		table_number(t, decode ? p->p99 : NAN);
	}
	return t;
}

static struct table *class_table(const struct summary_phase_figures *p)
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

/* Several tensors of a layer share a name: the product and what is done to its result. */
#define BY_TENSOR "t.name || ' (' || t.op || ')'"

static struct table *op_table(sqlite3 *db, const char *phase, const char *key)
{
	struct table *t = table_new();
	char *sql = xasprintf(
		"SELECT coalesce(%s, '?'), sum(p.count), sum(p.compute_ns), sum(p.wait_ns),"
		" sum(p.wait_known) FROM op_phase_t p LEFT JOIN tensor_t t ON t.id = p.tensor_id"
		" WHERE p.phase = ?1 GROUP BY 1 ORDER BY sum(p.compute_ns) DESC",
		key);
	double all =
		view_double(db, 0,
			    "SELECT sum(compute_ns) + coalesce(sum(wait_ns), 0) FROM op_phase_t"
			    " WHERE phase = ?1",
			    "s", phase);
	sqlite3_stmt *q = view_query(db, NULL, sql, "s", phase);

	table_column(t, "name", strstr(key, "name") ? "tensor" : "operator", TABLE_TEXT);
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

/* Sums of a thread's intervals by state; only some of the threads are workers. */
static double in_state(sqlite3 *db, int64_t tid, const char *state)
{
	return view_double(
		db, 0, "SELECT sum(end_ns - begin_ns) FROM sched_t WHERE tid = ?1 AND state = ?2",
		"is", tid, state);
}

static struct table *thread_table(sqlite3 *db, const struct summary *s)
{
	struct table *t = table_new();
	sqlite3_stmt *q =
		view_query(db, NULL,
			   "SELECT p.thread_index, p.tid, sum(p.compute_ns),"
			   " sum(p.wait_ns), sum(p.wait_known), sum(p.count),"
			   " (SELECT name FROM thread_t WHERE tid = p.tid) FROM op_phase_t p"
			   " GROUP BY 1, 2 ORDER BY 1, 3 DESC",
			   NULL);

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

static struct table *culprit_table(sqlite3 *db)
{
	struct table *t = table_new();
	sqlite3_stmt *q = view_query(db, NULL,
				     "SELECT coalesce(by_comm, '(not known)'), by_tid, count(*),"
				     " sum(end_ns - begin_ns), max(end_ns - begin_ns) FROM sched_t"
				     " WHERE state = 'runnable' GROUP BY 1, 2 ORDER BY 4 DESC",
				     NULL);

	table_column(t, "task", "task on the CPU instead", TABLE_TEXT);
	table_column(t, "tid", "tid", TABLE_NUMBER);
	table_column(t, "times", "times", TABLE_COUNT);
	table_column(t, "total_ns", "total", TABLE_NS);
	table_column(t, "longest_ns", "longest", TABLE_NS);
	while (view_step(q)) {
		table_row(t);
		table_text(t, view_text(q, 0));
		table_number(t, sqlite3_column_type(q, 1) == SQLITE_NULL
					? NAN
					: sqlite3_column_double(q, 1));
		table_number(t, sqlite3_column_double(q, 2));
		table_number(t, sqlite3_column_double(q, 3));
		table_number(t, sqlite3_column_double(q, 4));
	}
	return t;
}

static struct table *sequence_table(const struct summary *s)
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

static struct table *loss_table(sqlite3 *db)
{
	return pair_table(db, "SELECT level, buffer, lost FROM loss",
			  (const char *const[]){"level", "buffer", "lost"},
			  (const enum table_type[]){TABLE_TEXT, TABLE_TEXT, TABLE_COUNT}, 3);
}

static struct table *cost_table(sqlite3 *db)
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
static struct table *kept_sums_table(sqlite3 *db)
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

static struct table *counter_table(sqlite3 *db)
{
	return pair_table(
		db,
		"SELECT c.phase, coalesce(t.op, '?'), n.name, sum(c.value), sum(c.value) /"
		" sum(c.count), CASE WHEN max(c.scaled) THEN 'scaled' ELSE '' END FROM"
		" counter_phase_t c JOIN counter_name_t n ON n.id = c.name_id LEFT JOIN tensor_t t"
		" ON t.id = c.tensor_id GROUP BY 1, 2, 3 ORDER BY 1, 3, 4 DESC",
		(const char *const[]){"phase", "operator", "counter", "sum", "per_row", "note"},
		(const enum table_type[]){TABLE_TEXT, TABLE_TEXT, TABLE_TEXT, TABLE_NUMBER,
					  TABLE_NUMBER, TABLE_TEXT},
		6);
}

/* Takes the table. */
static void section(struct table *t, const char *head, const struct view_opts *o, size_t dflt,
		    FILE *out)
{
	if (table_rows(t)) {
		title(out, o, head);
		table_print(t, o, dflt, out);
	}
	table_free(t);
}

static void print_findings(const struct summary *s, const struct view_opts *o, FILE *out)
{
	struct findings f;
	size_t n = 0;

	findings_make(s, &f);
	for (size_t i = 0; i < f.n; i++) {
		mark(out, o, f.v[i].severity);
		fprintf(out, "%s\n", f.v[i].text);
		n += f.v[i].try != NULL;
	}
	if (n)
		title(out, o, "what to try");
	for (size_t i = 0; i < f.n; i++)
		if (f.v[i].try)
			fprintf(out, "  - %s\n", f.v[i].try);
	findings_free(&f);
}

static const struct {
	const char *what, *why;
	size_t offset;
} level_texts[] = {
	{"calls (rates and latencies)", "the token level was off or no call was made",
	 offsetof(struct view_levels, token)},
	{"graphs", "the graph level was off", offsetof(struct view_levels, graph)},
	{"operators", "the operator level was off", offsetof(struct view_levels, op)},
	{"barrier wait", "operators were recorded without barriers (begin-only)",
	 offsetof(struct view_levels, wait)},
	{"off-CPU time", "the scheduler level was off", offsetof(struct view_levels, sched)},
};

static bool is_missing(const struct summary *s, size_t i)
{
	if (*(const bool *)((const char *)&s->levels + level_texts[i].offset))
		return false;
	/* Without operators there is no barrier wait to speak of. */
	return level_texts[i].offset != offsetof(struct view_levels, wait) || s->levels.op;
}

static bool wait_sampled(const struct summary *s, double *share)
{
	const struct summary_phase_figures *p = &s->phase[SUM_DECODE];

	*share = p->wait_known;
	return p->wait_known > 0 && p->wait_known < 0.99;
}

static void print_missing(const struct summary *s, const struct view_opts *o, FILE *out)
{
	bool any = false;
	double share;

	for (size_t i = 0; i < ARRAY_LEN(level_texts); i++) {
		bool sums = s->levels.op_sum && strcmp(level_texts[i].what, "operators") == 0;

		if (!is_missing(s, i))
			continue;
		if (!any)
			title(out, o, "not recorded");
		any = true;
		fprintf(out, "  - %s: %s\n", level_texts[i].what,
			sums ? "only sums were kept (operators.mode: summary), see below"
			     : level_texts[i].why);
	}
	if (wait_sampled(s, &share))
		fprintf(out,
			"%sbarrier wait was sampled: seen on %.1f %% of the decode rows, and "
			"all wait figures are of those\n",
			any ? "  - " : "\n", share * 100);
}

static void print_phase(sqlite3 *db, const struct summary *s, enum summary_phase i,
			const struct view_opts *o, FILE *out)
{
	const struct summary_phase_figures *p = &s->phase[i];
	const char *name = summary_phase_name(i);
	char head[96];

	if (!(p->compute > 0) || (o->phase && strcmp(o->phase, name) != 0))
		return;
	snprintf(head, sizeof(head), "%s: time of all workers by class of operator", name);
	section(class_table(p), head, o, 0, out);
	snprintf(head, sizeof(head), "%s: by operator", name);
	section(op_table(db, name, "t.op"), head, o, 8, out);
	snprintf(head, sizeof(head), "%s: by tensor", name);
	section(op_table(db, name, BY_TENSOR), head, o, 8, out);
}

static void print_text(const struct view_run *run, const struct summary *s,
		       const struct view_opts *o, FILE *out)
{
	print_head(run, s, out);
	fputc('\n', out);
	for (int i = 0; i < SUM_PHASES; i++)
		print_verdict(s, (enum summary_phase)i, o, out);
	print_peaks(s, out);
	section(phase_table(s), "rates", o, 0, out);
	fputc('\n', out);
	print_findings(s, o, out);
	print_missing(s, o, out);
	for (int i = 0; i < SUM_PHASES; i++)
		print_phase(run->db, s, (enum summary_phase)i, o, out);
	section(kept_sums_table(run->db), "operators, sums over the whole recording", o, 20, out);
	if (s->levels.op)
		section(thread_table(run->db, s), "workers", o, 0, out);
	if (s->levels.sched)
		section(culprit_table(run->db), "who had the CPU while threads were ready", o, 5,
			out);
	if (s->n_sequences > 1)
		section(sequence_table(s), "sequences", o, 10, out);
	section(counter_table(run->db), "counters", o, 20, out);
	section(loss_table(run->db), "losses", o, 0, out);
	section(cost_table(run->db), "llmprobe's own cost (estimate)", o, 0, out);
}

/* JSON. */

static void add_number(cJSON *to, const char *key, double v)
{
	if (isfinite(v))
		cJSON_AddNumberToObject(to, key, v);
	else
		cJSON_AddNullToObject(to, key);
}

static void add_table(cJSON *to, const char *key, struct table *t)
{
	cJSON_AddItemToObject(to, key, table_json(t, 0));
	table_free(t);
}

static cJSON *phase_json(sqlite3 *db, const struct summary *s, enum summary_phase i)
{
	const struct summary_phase_figures *p = &s->phase[i];
	const char *name = summary_phase_name(i);
	cJSON *j = cJSON_CreateObject();
	const struct {
		const char *key;
		double v;
	} numbers[] = {
		{"calls", (double)p->calls},
		{"tokens", (double)p->tokens},
		{"wall_ns", p->wall},
		{"tokens_per_s", p->tokens_per_s},
		{"ttft_ns", p->ttft},
		{"sample_mean_ns", p->mean},
		{"sample_p50_ns", p->p50},
		{"sample_p95_ns", p->p95},
		{"sample_p99_ns", p->p99},
		{"operator_wall_ns", p->op_wall},
		{"compute_ns", p->compute},
		{"wait_ns", p->wait_known > 0 ? p->wait : NAN},
		{"wait_known_share", p->wait_known},
		{"flops", p->flops},
		{"bytes", p->bytes},
		{"weight_bytes", p->weight_bytes},
		{"kv_bytes", p->kv_bytes},
		{"gflops_per_s", p->gflops},
		{"gbytes_per_s", p->gbs},
		{"intensity", p->intensity},
		{"ridge", p->ridge},
		{"mfu", p->mfu},
		{"mbu", p->mbu},
		{"threads", p->threads},
		{"runnable_ns", s->levels.sched ? p->runnable : NAN},
		{"sleeping_ns", s->levels.sched ? p->sleeping : NAN},
		{"blocked_ns", s->levels.sched ? p->blocked : NAN},
		{"culprit_ns", s->levels.sched ? p->culprit_ns : NAN},
	};

	for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
		add_number(j, numbers[k].key, numbers[k].v);
	cJSON_AddStringToObject(j, "bound", summary_bound_name(p->bound));
	cJSON_AddStringToObject(j, "culprit", p->culprit);
	add_table(j, "classes", class_table(p));
	add_table(j, "operators", op_table(db, name, "t.op"));
	add_table(j, "tensors", op_table(db, name, BY_TENSOR));
	return j;
}

static cJSON *peaks_json(const struct summary *s)
{
	cJSON *j;

	if (!s->peak)
		return cJSON_CreateNull();
	j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "name", s->peaks.name);
	cJSON_AddStringToObject(j, "source", s->peaks.source);
	cJSON_AddNumberToObject(j, "threads", s->peak->threads);
	cJSON_AddNumberToObject(j, "gbytes_per_s", s->peak->gbs);
	cJSON_AddNumberToObject(j, "gflops_per_s", s->peak->gflops);
	cJSON_AddNumberToObject(j, "arithmetic_peak", s->peak_gflops);
	return j;
}

static cJSON *findings_json(const struct summary *s)
{
	cJSON *list = cJSON_CreateArray();
	struct findings f;

	findings_make(s, &f);
	for (size_t i = 0; i < f.n; i++) {
		cJSON *j = cJSON_CreateObject();

		cJSON_AddStringToObject(j, "severity", severity_name(f.v[i].severity));
		cJSON_AddStringToObject(j, "text", f.v[i].text);
		if (f.v[i].try)
			cJSON_AddStringToObject(j, "try", f.v[i].try);
		cJSON_AddItemToArray(list, j);
	}
	findings_free(&f);
	return list;
}

static cJSON *run_json(sqlite3 *db)
{
	sqlite3_stmt *q = view_query(db, NULL, "SELECT key, value FROM run", NULL);
	cJSON *j = cJSON_CreateObject();

	while (view_step(q))
		cJSON_AddStringToObject(j, view_text(q, 0), view_text(q, 1));
	return j;
}

struct cJSON *report_json(sqlite3 *db, const struct summary *s)
{
	cJSON *j = cJSON_CreateObject(), *phases = cJSON_AddObjectToObject(j, "phases");
	cJSON *figures = cJSON_AddObjectToObject(j, "figures");
	struct summary_figure list[SUMMARY_FIGURES];
	size_t n = summary_figures(s, list);

	cJSON_AddItemToObject(j, "run", run_json(db));
	for (size_t i = 0; i < n; i++)
		add_number(figures, list[i].name, list[i].value);
	for (int i = 0; i < SUM_PHASES; i++)
		if (s->phase[i].calls)
			cJSON_AddItemToObject(phases, summary_phase_name((enum summary_phase)i),
					      phase_json(db, s, (enum summary_phase)i));
	cJSON_AddItemToObject(j, "peaks", peaks_json(s));
	cJSON_AddItemToObject(j, "findings", findings_json(s));
	add_table(j, "threads", thread_table(db, s));
	add_table(j, "culprits", culprit_table(db));
	add_table(j, "sequences", sequence_table(s));
	add_table(j, "counters", counter_table(db));
	add_table(j, "operator_sums", kept_sums_table(db));
	add_table(j, "losses", loss_table(db));
	add_table(j, "cost", cost_table(db));
	return j;
}

static int report_print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
			struct diag *d)
{
	struct summary s;
	int err = summary_make(runs[0].db, o, &s, d);

	(void)n;
	if (!err && o->json) {
		cJSON *j = report_json(runs[0].db, &s);
		char *text = cJSON_Print(j);

		fprintf(out, "%s\n", text);
		free(text);
		cJSON_Delete(j);
	} else if (!err) {
		print_text(&runs[0], &s, o, out);
	}
	summary_free(&s);
	return err;
}

const struct view view_report = {
	.name = "report",
	.args = "RUN",
	.help = "what binds, per phase: rates, latencies, operators, workers, what to try",
	.options = "json ascii limit phase peaks",
	.min_runs = 1,
	.max_runs = 1,
	.print = report_print,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "view/html/html_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "view/html/html_page.h"
#include "view/place.h"
#include "view/stat/stat.h"
#include "view/summary/summary.h"

enum {
	STEPS_SHOWN = 2000,   /* points of the series of decode steps */
	EXPERT_COLUMNS = 300, /* of the heat map over time */
	PERCENTILE_STEPS = 200,
};

static void separate(struct json_out *j, const char *key)
{
	if (j->comma)
		fputc(',', j->out);
	j->comma = true;
	if (key)
		fprintf(j->out, "\"%s\":", key);
}

void json_open(struct json_out *j, const char *key, char bracket)
{
	separate(j, key);
	fputc(bracket, j->out);
	j->comma = false;
}

void json_close(struct json_out *j, char bracket)
{
	fputc(bracket, j->out);
	j->comma = true;
}

void json_text(struct json_out *j, const char *key, const char *text)
{
	separate(j, key);
	buf_reset(&j->text);
	html_json_string(&j->text, text);
	fputs(buf_str(&j->text), j->out);
}

void json_number(struct json_out *j, const char *key, double value)
{
	separate(j, key);
	if (!isfinite(value))
		fputs("null", j->out);
	else if (fabs(value) < 1e18 && value == floor(value))
		fprintf(j->out, "%.0f", value);
	else
		fprintf(j->out, "%.6g", value);
}

void json_row(struct json_out *j, sqlite3_stmt *row)
{
	json_open(j, NULL, '[');
	for (int i = 0; i < sqlite3_column_count(row); i++)
		switch (sqlite3_column_type(row, i)) {
		case SQLITE_NULL:
			json_number(j, NULL, NAN);
			break;
		case SQLITE_TEXT:
			json_text(j, NULL, view_text(row, i));
			break;
		default:
			json_number(j, NULL, sqlite3_column_double(row, i));
		}
	json_close(j, ']');
}

void json_query(struct json_out *j, sqlite3 *db, const char *key, const char *sql)
{
	sqlite3_stmt *row = view_query(db, NULL, sql, NULL);

	json_open(j, key, '[');
	while (view_step(row))
		json_row(j, row);
	json_close(j, ']');
}

/* One row per operator, layer and phase: its shapes over the run are summed. */
static void put_operators(struct json_out *j, sqlite3 *db)
{
	sqlite3_stmt *row = view_query(
		db, NULL,
		"SELECT l.label, t.op, t.type, t.layer, p.phase, sum(p.compute_ns), "
		"sum(p.wait_ns), "
		"max(p.n), sum(p.n * t.flops), sum(p.n * t.bytes), max(p.busiest / p.n) FROM "
		"(SELECT phase, tensor_id, sum(compute_ns) AS compute_ns, sum(wait_ns) AS wait_ns, "
		"max(count) AS n, max(compute_ns) AS busiest FROM op_phase_t GROUP BY 1, 2) p "
		"JOIN tensor t ON t.id = p.tensor_id JOIN temp.place l ON l.id = t.id "
		"GROUP BY l.label, t.op, t.type, t.layer, "
		"p.phase "
		"ORDER BY 6 DESC",
		NULL);

	json_open(j, "operators", '[');
	while (view_step(row)) {
		json_open(j, NULL, '[');
		for (int i = 0; i < 11; i++)
			if (sqlite3_column_type(row, i) == SQLITE_TEXT)
				json_text(j, NULL, view_text(row, i));
			else if (sqlite3_column_type(row, i) == SQLITE_NULL)
				json_number(j, NULL, NAN);
			else
				json_number(j, NULL, sqlite3_column_double(row, i));
		json_text(j, NULL, view_class_name(view_op_class(view_text(row, 1))));
		json_close(j, ']');
	}
	json_close(j, ']');
}

/* What was counted during each of those operators, and which ratios say something. */
static void put_counters(struct json_out *j, sqlite3 *db)
{
	struct stat_ratio r;

	json_query(j, db, "counter_names", "SELECT name FROM counter_name_t ORDER BY id");
	json_query(j, db, "counters",
		   "SELECT l.label, t.op, t.type, t.layer, c.phase, n.name, sum(c.value) FROM "
		   "counter_phase_t c JOIN counter_name_t n ON n.id = c.name_id JOIN tensor t ON "
		   "t.id = c.tensor_id JOIN temp.place l ON l.id = t.id GROUP BY 1, 2, 3, 4, 5, 6");
	json_open(j, "ratios", '[');
	for (size_t i = 0; stat_ratio(i, &r); i++) {
		json_open(j, NULL, '[');
		json_text(j, NULL, r.title);
		json_text(j, NULL, r.above);
		json_text(j, NULL, r.below);
		json_number(j, NULL, r.percent);
		json_close(j, ']');
	}
	json_close(j, ']');
}

/* Sums of the decode steps that fall on one point of the series. */
struct step {
	double total_ns, n, class_ns[CLASS_COUNT];
};

struct step_map {
	int64_t *ids; /* of the decode rows, in order of time, which is that of their ids */
	size_t count, cap;
	struct step *points;
	size_t n_points;
};

static size_t point_of(const struct step_map *m, size_t i)
{
	return m->count > STEPS_SHOWN ? i * STEPS_SHOWN / m->count : i;
}

static int compare_ids(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void load_steps(sqlite3 *db, struct step_map *m)
{
	sqlite3_stmt *row =
		view_query(db, NULL,
			   "SELECT id FROM token WHERE phase = 'decode' AND end_ns IS NOT "
			   "NULL ORDER BY id",
			   NULL);
	double threads =
		view_double(db, 1, "SELECT count(DISTINCT thread_index) FROM op_phase_t", NULL);
	const int64_t *at;

	while (view_step(row))
		*VEC_PUSH(m->ids, m->count, m->cap) = sqlite3_column_int64(row, 0);
	m->n_points = m->count ? point_of(m, m->count - 1) + 1 : 0;
	m->points = xcalloc(m->n_points + 1, sizeof(*m->points));
	row = view_query(db, NULL,
			 "SELECT id, end_ns - begin_ns FROM token WHERE phase = 'decode' AND "
			 "end_ns IS NOT NULL",
			 NULL);
	while (view_step(row)) {
		int64_t id = sqlite3_column_int64(row, 0);

		at = bsearch(&id, m->ids, m->count, sizeof(id), compare_ids);
		m->points[point_of(m, (size_t)(at - m->ids))].total_ns +=
			sqlite3_column_double(row, 1);
		m->points[point_of(m, (size_t)(at - m->ids))].n++;
	}
	row = view_query(db, NULL, "SELECT token_id, op, compute_ns FROM op_token_t", NULL);
	while (view_step(row)) {
		int64_t id = sqlite3_column_int64(row, 0);

		at = m->count ? bsearch(&id, m->ids, m->count, sizeof(id), compare_ids) : NULL;
		if (at)
			m->points[point_of(m, (size_t)(at - m->ids))]
				.class_ns[view_op_class(view_text(row, 1))] +=
				sqlite3_column_double(row, 2) / fmax(threads, 1);
	}
}

static void put_steps(struct json_out *j, sqlite3 *db)
{
	struct step_map m = {0};

	load_steps(db, &m);
	json_open(j, "classes", '[');
	for (int c = 0; c < CLASS_COUNT; c++)
		json_text(j, NULL, view_class_name((enum op_class)c));
	json_close(j, ']');
	json_number(j, "decodes", (double)m.count);
	/* Each: number of the first step, mean ns of the step, mean ns per class. */
	json_open(j, "steps", '[');
	for (size_t i = 0; i < m.n_points; i++) {
		json_open(j, NULL, '[');
		json_number(j, NULL,
			    (double)(m.count > STEPS_SHOWN ? i * m.count / STEPS_SHOWN : i));
		json_number(j, NULL, round(m.points[i].total_ns / m.points[i].n));
		for (int c = 0; c < CLASS_COUNT; c++)
			json_number(j, NULL, round(m.points[i].class_ns[c] / m.points[i].n));
		json_close(j, ']');
	}
	json_close(j, ']');
	free(m.ids);
	free(m.points);
}

/* Calls, tokens and times per call, as the report has them. */
static void put_phase(struct json_out *j, const struct summary *s, enum summary_phase p)
{
	const struct summary_phase_figures *f = &s->phase[p];

	json_open(j, NULL, '{');
	json_text(j, "phase", summary_phase_name(p));
	json_number(j, "calls", (double)f->calls);
	json_number(j, "tokens", (double)f->tokens);
	json_number(j, "rate", f->tokens_per_s);
	json_text(j, "bound", summary_bound_name(f->bound));
	json_open(j, "percentiles", '[');
	if (f->n_samples)
		qsort(f->samples, f->n_samples, sizeof(*f->samples), view_cmp_double);
	for (int i = 0; f->n_samples && i <= PERCENTILE_STEPS; i++)
		json_number(j, NULL,
			    round(view_percentile(f->samples, f->n_samples,
						  100.0 * i / PERCENTILE_STEPS)));
	json_close(j, ']');
	json_close(j, '}');
}

/* The figures of report and diff: name, title, unit, which way is better, value. */
static int put_figures(struct json_out *j, sqlite3 *db, const struct view_opts *o, struct diag *d)
{
	struct summary_figure figures[SUMMARY_FIGURES];
	struct summary s;
	int err = summary_make(db, o, &s, d);
	size_t n = err ? 0 : summary_figures(&s, figures);

	json_open(j, "figures", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(j, NULL, '[');
		json_text(j, NULL, figures[i].name);
		json_text(j, NULL, figures[i].title);
		json_text(j, NULL, figures[i].unit);
		json_number(j, NULL, figures[i].better);
		json_number(j, NULL, figures[i].value);
		json_close(j, ']');
	}
	json_close(j, ']');
	json_open(j, "phases", '[');
	for (int p = 0; p < SUM_PHASES && !err; p++)
		if (s.phase[p].calls)
			put_phase(j, &s, (enum summary_phase)p);
	json_close(j, ']');
	if (!err && s.levels.expert) {
		json_open(j, "expert_figures", '{');
		json_number(j, "used", (double)s.experts_used);
		json_number(j, "all", (double)s.experts_all);
		json_number(j, "uses", (double)s.expert_uses);
		json_number(j, "skew", s.expert_skew);
		json_close(j, '}');
	}
	summary_free(&s);
	return err;
}

/* Uses by layer and expert, and by expert over the calls in order of time. */
static void put_experts(struct json_out *j, sqlite3 *db)
{
	int64_t n = view_int(db, 0, "SELECT max(expert) + 1 FROM expert", NULL);
	int64_t calls = view_int(db, 0,
				 "SELECT count(DISTINCT token_id) FROM op_t WHERE id IN"
				 " (SELECT op_id FROM expert_t)",
				 NULL),
		seen = -1, last = -1;
	sqlite3_stmt *row;
	double *uses;

	json_number(j, "n_experts", (double)n);
	json_number(j, "expert_calls", (double)calls);
	json_query(j, db, "expert_layers",
		   "SELECT t.layer, e.expert, count(*) FROM expert e JOIN op o ON o.id = e.op_id "
		   "JOIN tensor t ON t.id = o.tensor_id GROUP BY 1, 2 ORDER BY 1, 2");
	json_open(j, "expert_time", '[');
	uses = xcalloc((size_t)n * EXPERT_COLUMNS + 1, sizeof(*uses));
	row = n > 0 ? view_query(
			      db, NULL,
			      "SELECT o.token_id, e.expert FROM expert_t e JOIN op_t o ON o.id = "
			      "e.op_id WHERE o.token_id IS NOT NULL ORDER BY 1",
			      NULL)
		    : NULL;
	while (view_step(row)) {
		int64_t column, expert = sqlite3_column_int64(row, 1);

		seen += sqlite3_column_int64(row, 0) != last;
		last = sqlite3_column_int64(row, 0);
		column = seen * EXPERT_COLUMNS / (calls > EXPERT_COLUMNS ? calls : EXPERT_COLUMNS);
		if (expert >= 0)
			uses[expert * EXPERT_COLUMNS + column]++;
	}
	for (int64_t e = 0; e < n; e++) {
		json_open(j, NULL, '[');
		for (int c = 0; c < EXPERT_COLUMNS && c < calls; c++)
			json_number(j, NULL, uses[e * EXPERT_COLUMNS + c]);
		json_close(j, ']');
	}
	json_close(j, ']');
	free(uses);
}

int html_run_data(struct json_out *j, const struct view_run *run, const struct view_opts *o,
		  struct diag *d)
{
	sqlite3 *db = run->db;
	int err;

	json_open(j, NULL, '{');
	json_text(j, "name", run->name);
	/* Long values, such as the config, would only make the page large. */
	json_query(j, db, "info",
		   "SELECT key, substr(value, 1, 500) FROM run WHERE key NOT GLOB 'neuron.*' "
		   "ORDER BY key");
	place_tensors(db);
	err = put_figures(j, db, o, d);
	put_operators(j, db);
	put_counters(j, db);
	put_steps(j, db);
	json_query(j, db, "matmuls",
		   "SELECT t.flops, sum(p.compute_ns) * 1.0 / sum(p.count), l.label, p.phase FROM "
		   "(SELECT phase, tensor_id, thread_index, sum(compute_ns) AS compute_ns, "
		   "sum(count) AS count FROM op_phase_t GROUP BY 1, 2, 3) p JOIN tensor t "
		   "ON t.id = p.tensor_id JOIN temp.place l ON l.id = t.id WHERE t.op IN "
		   "('MUL_MAT', 'MUL_MAT_ID') AND t.flops > 0 "
		   "GROUP BY p.phase, p.tensor_id ORDER BY 1 LIMIT 5000");
	json_query(j, db, "threads",
		   "SELECT p.tid, h.name, p.thread_index, sum(p.compute_ns), sum(p.wait_ns), "
		   "sum(p.count) FROM op_phase_t p LEFT JOIN thread h ON h.tid = p.tid "
		   "GROUP BY 1, 3 ORDER BY 3, 1");
	json_query(
		j, db, "sched",
		"SELECT s.tid, h.name, s.state, sum(s.end_ns - s.begin_ns), count(*) FROM sched s "
		"LEFT JOIN thread h ON h.tid = s.tid GROUP BY 1, 3 ORDER BY 1, 3");
	json_query(
		j, db, "culprits",
		"SELECT by_comm, sum(end_ns - begin_ns), count(*) FROM sched WHERE "
		"state = 'runnable' AND by_comm IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 10");
	put_experts(j, db);
	json_query(j, db, "notes", "SELECT at_ns, kind, text FROM note ORDER BY 1 LIMIT 500");
	json_query(j, db, "loss", "SELECT level, buffer, lost FROM loss");
	json_query(j, db, "cost",
		   "SELECT level, sum(hits), sum(ifnull(run_ns, estimate_ns)), "
		   "max(end_ns) - min(begin_ns) FROM cost GROUP BY 1");
	if (!err)
		err = html_timeline(j, db, o, d);
	json_close(j, '}');
	return err;
}

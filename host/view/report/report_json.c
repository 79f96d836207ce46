/* SPDX-License-Identifier: Apache-2.0 */
/* report as JSON: every figure, whatever the text leaves out. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "util/text.h"
#include "view/ratio.h"
#include "view/report/advice.h"
#include "view/report/report.h"
#include "view/report/report_tables.h"

static void add_number(cJSON *to, const char *key, double v)
{
	if (isfinite(v))
		cJSON_AddNumberToObject(to, key, v);
	else
		cJSON_AddNullToObject(to, key);
}

/* JSON is UTF-8, whatever a run of another version holds. */
static void add_text(cJSON *to, const char *key, const char *text)
{
	char *valid = text_to_utf8(text);

	cJSON_AddStringToObject(to, key, valid);
	free(valid);
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
		{"wait_share", summary_wait_share(p)},
		{"runnable_share", summary_runnable_share(p)},
		{"runnable_ns", s->levels.sched ? p->runnable : NAN},
		{"sleeping_ns", s->levels.sched ? p->sleeping : NAN},
		{"blocked_ns", s->levels.sched ? p->blocked : NAN},
		{"culprit_ns", s->levels.sched ? p->culprit_ns : NAN},
		{"own_threads_ns", s->levels.sched ? p->own_ns : NAN},
		{"other_tasks_ns", s->levels.sched ? p->strangers_ns : NAN},
		{"slow_runnable_share", p->slow_runnable},
		{"other_runnable_share", p->other_runnable},
		{"imbalance", p->threads > 1 ? p->thread_max / p->thread_mean - 1 : NAN},
	};

	for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
		add_number(j, numbers[k].key, numbers[k].v);
	cJSON_AddStringToObject(j, "bound", summary_bound_name(p->bound));
	cJSON_AddStringToObject(j, "roofline_side", summary_bound_name(summary_side(p)));
	add_text(j, "culprit", p->culprit);
	cJSON_AddBoolToObject(j, "culprit_is_target", p->culprit_own);
	add_text(j, "stranger", p->stranger);
	add_text(j, "other_backend", p->backend);
	add_number(j, "other_backend_share", p->backend_share);
	add_number(j, "stranger_ns", s->levels.sched ? p->stranger_ns : NAN);
	for (size_t k = 0; k < RATIOS; k++)
		add_number(j, ratios[k].key, ratio_value(db, &ratios[k], NULL, name));
	add_table(j, "classes", report_classes(p));
	add_table(j, "operators", report_operators(db, name, false));
	add_table(j, "tensors", report_operators(db, name, true));
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
		add_text(j, "text", f.v[i].text);
		if (f.v[i].try)
			add_text(j, "try", f.v[i].try);
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
		add_text(j, view_text(q, 0), view_text(q, 1));
	return j;
}

static cJSON *missing_json(const struct summary *s)
{
	cJSON *list = cJSON_CreateArray();
	const char *what, *why;

	for (size_t i = 0; (what = report_missing(s, &i, &why));) {
		cJSON *j = cJSON_CreateObject();

		cJSON_AddStringToObject(j, "what", what);
		cJSON_AddStringToObject(j, "why", why);
		cJSON_AddItemToArray(list, j);
	}
	return list;
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
		if (summary_has_phase(s, (enum summary_phase)i))
			cJSON_AddItemToObject(phases,
					      i == SUM_OUTSIDE ? "outside" : summary_phase_name(i),
					      phase_json(db, s, (enum summary_phase)i));
	cJSON_AddItemToObject(j, "peaks", peaks_json(s));
	cJSON_AddItemToObject(j, "findings", findings_json(s));
	cJSON_AddItemToObject(j, "not_recorded", missing_json(s));
	add_table(j, "threads", report_threads(db, s));
	add_table(j, "culprits", report_culprits(db));
	add_table(j, "sequences", report_sequences(s));
	add_table(j, "counters", report_counters(db));
	add_table(j, "operator_sums", report_kept_sums(db));
	add_table(j, "losses", report_losses(db));
	add_table(j, "notes", report_notes(db));
	add_table(j, "cost", report_cost(db));
	return j;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff: the figures of two or more runs side by side. Whether a latency changed is judged by a rank
 * test on the single decodes, not by the mean, which one outlier moves.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/diff/diff_operators.h"
#include "view/diff/rank.h"
#include "view/summary/summary.h"
#include "view/table.h"

struct side {
	struct summary summary;
	struct summary_figure figures[SUMMARY_FIGURES];
	size_t n;
};

/* The figure of that name on another side; a run may know others than the first one. */
static struct summary_figure same_figure(const struct side *s, const struct summary_figure *f)
{
	struct summary_figure none = *f;

	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->figures[i].name, f->name) == 0)
			return s->figures[i];
	none.value = NAN;
	return none;
}

enum verdict {
	NO_VERDICT,
	TOO_FEW,
	CALLS_DIFFER,
	NO_CHANGE,
	ABOUT_SAME,
	NO_DIFFERENCE,
	BETTER,
	WORSE,
	CHANGED
};

static const char *const verdict_texts[] = {
	[NO_VERDICT] = "",
	[TOO_FEW] = "too few calls",
	[CALLS_DIFFER] = "the calls differ",
	[NO_CHANGE] = "no change",
	[ABOUT_SAME] = "about the same",
	[NO_DIFFERENCE] = "no difference shown",
	[BETTER] = "better",
	[WORSE] = "worse",
	[CHANGED] = "different",
};

/* A figure of two runs. */
struct pair {
	struct summary_figure first, other;
	double change, relative;
	double p; /* of a figure that stands on single calls, NAN otherwise */
	enum verdict verdict;
};

/* Figures that stand on the single calls, and what of those they are. */
static const struct sampled {
	const char *name;
	enum summary_phase phase;
	enum { MEDIAN, MEAN, TAIL } of;
	double percentile;
} sampled_figures[] = {
	{"ttft", SUM_PREFILL, MEDIAN, 0},      {"prefill_tokens_per_s", SUM_PREFILL, MEAN, 0},
	{"tokens_per_s", SUM_DECODE, MEAN, 0}, {"tpot_mean", SUM_DECODE, MEAN, 0},
	{"tpot_p50", SUM_DECODE, MEDIAN, 0},   {"tpot_p95", SUM_DECODE, TAIL, 95},
	{"tpot_p99", SUM_DECODE, TAIL, 99},
};

/* NULL for a figure with one value per run. */
static const struct sampled *sampled(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(sampled_figures); i++)
		if (strcmp(name, sampled_figures[i].name) == 0)
			return &sampled_figures[i];
	return NULL;
}

static double tokens_per_call(const struct summary_phase_figures *f)
{
	return f->calls ? (double)f->tokens / (double)f->calls : NAN;
}

/* Calls of different sizes take different times, which says nothing about the machine. */
static bool same_calls(const struct summary_phase_figures *x, const struct summary_phase_figures *y)
{
	double a = tokens_per_call(x), b = tokens_per_call(y);

	return isnan(a) || isnan(b) || fabs(a - b) <= 0.01 * fmax(a, b);
}

static double samples_p(const struct summary_phase_figures *x,
			const struct summary_phase_figures *y, const struct sampled *f)
{
	switch (f->of) {
	case MEAN:
		return rank_mean_test(x->samples, x->n_samples, y->samples, y->n_samples);
	case TAIL:
		return rank_tail_test(x->samples, x->n_samples, y->samples, y->n_samples,
				      f->percentile);
	default:
		return rank_test(x->samples, x->n_samples, y->samples, y->n_samples);
	}
}

static enum verdict direction(const struct pair *r)
{
	if (!r->first.better)
		return CHANGED;
	return (r->change > 0) == (r->first.better > 0) ? BETTER : WORSE;
}

/* What is measured once has no noise to compare with: only its size is said. */
static enum verdict by_size(const struct pair *r)
{
	bool share = strcmp(r->first.unit, "%") == 0;
	double change = share ? fabs(r->change) : fabs(r->relative);
	double nothing = 0.001, little = share ? 0.005 : 0.01;

	if (r->change == 0 || change < nothing)
		return NO_CHANGE;
	return change < little || fabs(r->relative) < 0.01 ? ABOUT_SAME : direction(r);
}

static void by_samples(struct pair *r, const struct summary_phase_figures *x,
		       const struct summary_phase_figures *y, const struct sampled *f)
{
	if (!same_calls(x, y)) {
		r->verdict = CALLS_DIFFER;
		return;
	}
	r->p = samples_p(x, y, f);
	r->verdict = isnan(r->p)		       ? TOO_FEW
		     : rank_differs(r->p, r->relative) ? direction(r)
						       : NO_DIFFERENCE;
}

static struct pair compare(const struct side *a, const struct side *b, size_t i)
{
	struct pair r = {.first = a->figures[i], .other = same_figure(b, &a->figures[i]), .p = NAN};
	const struct sampled *f = sampled(r.first.name);

	r.change = r.other.value - r.first.value;
	r.relative = r.first.value != 0 ? r.change / fabs(r.first.value) : NAN;
	if (isnan(r.change))
		return r;
	if (f)
		by_samples(&r, &a->summary.phase[f->phase], &b->summary.phase[f->phase], f);
	else
		r.verdict = by_size(&r);
	return r;
}

static char *show_value(const struct summary_figure *f, double value)
{
	char out[32];

	if (isnan(value))
		return xstrdup("-");
	if (strcmp(f->unit, "ns") == 0)
		return xstrdup(text_ns(value, out));
	if (strcmp(f->unit, "%") == 0)
		return xasprintf("%.2f %%", value * 100);
	return xasprintf("%.4g%s%s", value, *f->unit ? " " : "", f->unit);
}

static char *show_change(const struct pair *r)
{
	const char *sign = r->change < 0 ? "-" : "+";
	char *text, *whole;

	if (isnan(r->change))
		return xstrdup("-");
	if (strcmp(r->first.unit, "%") == 0)
		return xasprintf("%+.2f points", r->change * 100);
	text = show_value(&r->first, fabs(r->change));
	if (isnan(r->relative))
		whole = xasprintf("%s%s", sign, text);
	else
		whole = xasprintf("%s%s (%+.1f %%)", sign, text, r->relative * 100);
	free(text);
	return whole;
}

/* Columns need no folders. */
static const char *short_name(const struct view_run *run)
{
	const char *slash = strrchr(run->name, '/');

	return slash && slash[1] ? slash + 1 : run->name;
}

/* The words with a mark in front, for the eye that runs down the column. */
static char *marked(enum verdict v, bool ascii)
{
	static const char *const marks[][2] = {
		[NO_VERDICT] = {"", ""},       [TOO_FEW] = {"? ", "? "},
		[CALLS_DIFFER] = {"? ", "? "}, [NO_CHANGE] = {"= ", "= "},
		[ABOUT_SAME] = {"= ", "= "},   [NO_DIFFERENCE] = {"= ", "= "},
		[BETTER] = {"✔ ", "+ "},       [WORSE] = {"✘ ", "! "},
		[CHANGED] = {"~ ", "~ "},
	};

	return xasprintf("%s%s", marks[v][ascii], verdict_texts[v]);
}

static void pair_row(struct table *t, const struct pair *r, bool ascii)
{
	char *a = show_value(&r->first, r->first.value), *b = show_value(&r->first, r->other.value),
	     *change = show_change(r), *verdict = marked(r->verdict, ascii);

	table_row(t);
	table_text(t, r->first.name);
	table_text(t, a);
	table_text(t, b);
	table_text(t, change);
	table_text(t, verdict);
	free(a);
	free(b);
	free(change);
	free(verdict);
}

/* For other programs: bare numbers in base units, all pairs in one table. */
static void pair_row_csv(struct table *t, const struct pair *r, const char *run)
{
	table_row(t);
	table_text(t, run);
	table_text(t, r->first.name);
	table_text(t, r->first.unit);
	table_number(t, r->first.value);
	table_number(t, r->other.value);
	table_number(t, r->change);
	table_number(t, r->relative);
	table_number(t, r->p);
	table_text(t, verdict_texts[r->verdict]);
}

static struct table *csv_table(void)
{
	struct table *t = table_new();

	table_column(t, "run", "run", TABLE_TEXT);
	table_column(t, "figure", "figure", TABLE_TEXT);
	table_column(t, "unit", "unit", TABLE_TEXT);
	table_column(t, "first", "first", TABLE_NUMBER);
	table_column(t, "other", "other", TABLE_NUMBER);
	table_column(t, "absolute", "absolute", TABLE_NUMBER);
	table_column(t, "relative", "relative", TABLE_NUMBER);
	table_column(t, "p", "p", TABLE_NUMBER);
	table_column(t, "verdict", "verdict", TABLE_TEXT);
	return t;
}

static struct table *text_table(const struct view_run *runs, size_t k)
{
	struct table *t = table_new();

	table_column(t, "figure", "figure", TABLE_TEXT);
	table_column(t, "first", short_name(&runs[0]), TABLE_TEXT);
	table_column(t, "other", short_name(&runs[k]), TABLE_TEXT);
	table_column(t, "change", "change", TABLE_TEXT);
	table_column(t, "verdict", "verdict", TABLE_TEXT);
	return t;
}

/* Adds the figures that one of the runs has. `csv` names the other run, NULL for text. */
static void add_pairs(struct table *t, const struct side *sides, size_t k, const char *csv,
		      bool ascii)
{
	for (size_t i = 0; i < sides[0].n; i++) {
		struct pair r = compare(&sides[0], &sides[k], i);

		if (isnan(r.first.value) && isnan(r.other.value))
			continue;
		if (csv)
			pair_row_csv(t, &r, csv);
		else
			pair_row(t, &r, ascii);
	}
}

static void in_words(const struct side *a, const struct side *b, const char *name,
		     enum summary_phase phase, FILE *out)
{
	const struct summary_phase_figures *x = &a->summary.phase[phase],
					   *y = &b->summary.phase[phase];
	double p = rank_test(x->samples, x->n_samples, y->samples, y->n_samples);
	double change = y->p50 / x->p50 - 1;

	if (!x->n_samples || !y->n_samples)
		return;
	fprintf(out, "%s: ", name);
	if (!same_calls(x, y)) {
		fprintf(out, "not compared, as the calls differ: %.4g and %.4g tokens each\n",
			tokens_per_call(x), tokens_per_call(y));
		return;
	}
	if (isnan(p)) {
		fprintf(out, "too few calls to tell a change from noise (%zu and %zu)\n",
			x->n_samples, y->n_samples);
		return;
	}
	if (rank_differs(p, change))
		fprintf(out, "%s by %.1f %% in the median", change < 0 ? "better" : "worse",
			fabs(change) * 100);
	else
		fprintf(out, "no difference shown");
	fprintf(out, " (rank test on %zu and %zu calls, p = %.2g, medians differ by %+.1f %%)\n",
		x->n_samples, y->n_samples, p, change * 100);
}

/* What was run, where that differs. */
static void print_commands(const struct view_run *a, const struct view_run *b, FILE *out)
{
	char *x = view_run_value(a->db, "command"), *y = view_run_value(b->db, "command");

	if (x && y && strcmp(x, y) != 0)
		fprintf(out, "%s: %s\n%s: %s\n", short_name(a), x, short_name(b), y);
	free(x);
	free(y);
}

static void print_operators(const struct view_run *runs, size_t k, const struct view_opts *o,
			    FILE *out)
{
	static const enum summary_phase phases[] = {SUM_DECODE, SUM_PREFILL};

	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		struct table *t = diff_operators(runs[0].db, runs[k].db, phases[i],
						 short_name(&runs[0]), short_name(&runs[k]));

		if (table_rows(t)) {
			fputc('\n', out);
			table_print(t, o, 12, out);
		}
		table_free(t);
	}
}

static void print_words(const struct view_run *runs, const struct side *s, size_t k, FILE *out)
{
	fprintf(out, "%s%s -> %s\n", k > 1 ? "\n" : "", runs[0].name, runs[k].name);
	print_commands(&runs[0], &runs[k], out);
	in_words(&s[0], &s[k], "time per decode", SUM_DECODE, out);
	in_words(&s[0], &s[k], "time per prefill call", SUM_PREFILL, out);
	fputc('\n', out);
}

static void print_csv(const struct view_run *runs, const struct side *s, size_t n,
		      const struct view_opts *o, FILE *out)
{
	struct table *t = csv_table();

	for (size_t k = 1; k < n; k++)
		add_pairs(t, s, k, runs[k].name, false);
	table_print(t, o, 0, out);
	table_free(t);
}

static void print_tables(const struct view_run *runs, const struct side *s, size_t n,
			 const struct view_opts *o, FILE *out)
{
	for (size_t k = 1; k < n; k++) {
		struct table *t = text_table(runs, k);

		print_words(runs, s, k, out);
		add_pairs(t, s, k, NULL, o->ascii);
		table_print(t, o, 0, out);
		table_free(t);
		print_operators(runs, k, o, out);
	}
}

static void add_number(cJSON *to, const char *key, double v)
{
	if (isfinite(v))
		cJSON_AddNumberToObject(to, key, v);
	else
		cJSON_AddNullToObject(to, key);
}

static cJSON *pair_json(const struct pair *r)
{
	cJSON *f = cJSON_CreateObject();

	cJSON_AddStringToObject(f, "unit", r->first.unit);
	add_number(f, "first", r->first.value);
	add_number(f, "other", r->other.value);
	add_number(f, "absolute", r->change);
	add_number(f, "relative", r->relative);
	add_number(f, "p", r->p);
	cJSON_AddStringToObject(f, "verdict", verdict_texts[r->verdict]);
	return f;
}

static void add_operators(cJSON *to, const struct view_run *a, const struct view_run *b,
			  enum summary_phase phase, const char *key)
{
	struct table *t = diff_operators(a->db, b->db, phase, "", "");

	cJSON_AddItemToObject(to, key, table_json(t, 0));
	table_free(t);
}

static void print_json(const struct view_run *runs, const struct side *s, size_t n, FILE *out)
{
	cJSON *j = cJSON_CreateArray();
	char *text;

	for (size_t k = 1; k < n; k++) {
		cJSON *runs_pair = cJSON_CreateObject(), *figures;

		cJSON_AddStringToObject(runs_pair, "first", runs[0].name);
		cJSON_AddStringToObject(runs_pair, "other", runs[k].name);
		figures = cJSON_AddObjectToObject(runs_pair, "figures");
		for (size_t i = 0; i < s[0].n; i++) {
			struct pair r = compare(&s[0], &s[k], i);

			cJSON_AddItemToObject(figures, r.first.name, pair_json(&r));
		}
		add_operators(runs_pair, &runs[0], &runs[k], SUM_DECODE, "decode_operators");
		add_operators(runs_pair, &runs[0], &runs[k], SUM_PREFILL, "prefill_operators");
		cJSON_AddItemToArray(j, runs_pair);
	}
	text = cJSON_Print(j);
	fprintf(out, "%s\n", text);
	free(text);
	cJSON_Delete(j);
}

/* Rules: NAME (>|<) [+-]NUMBER[%], separated by commas. */

struct rule {
	size_t figure;
	bool above, relative;
	double limit;
};

static int bad_rule(const struct source *src, size_t at, size_t len, const char *what,
		    struct diag *d)
{
	struct span span = {1, (int)at + 1, 0, (int)(at + (len ? len : 1)) + 1};

	return diag_fail_at(d, -EINVAL, src, span, "%s", what);
}

static int rule_name(const struct source *src, const struct side *s, size_t *at, struct rule *r,
		     struct diag *d)
{
	const char *names[SUMMARY_FIGURES], *near;
	size_t len = strcspn(src->text + *at, " \t<>,");
	char *name = xstrndup(src->text + *at, len), *what;
	int err = 0;

	for (r->figure = 0; r->figure < s->n; r->figure++) {
		names[r->figure] = s->figures[r->figure].name;
		if (strcmp(name, s->figures[r->figure].name) == 0)
			break;
	}
	if (r->figure == s->n) {
		near = text_nearest_of(name, names, s->n);
		what = xasprintf("no figure '%s'%s%s", name, near ? "; did you mean " : "",
				 near ? near : "; names are those of diff --json");
		err = bad_rule(src, *at, len, what, d);
		free(what);
	}
	free(name);
	*at += len;
	return err;
}

static size_t blanks(const struct source *src, size_t at)
{
	return at + strspn(src->text + at, " \t");
}

static int parse_rule(const struct source *src, const struct side *s, size_t *at, struct rule *r,
		      struct diag *d)
{
	char *end;
	int err = rule_name(src, s, at, r, d);

	if (err)
		return err;
	*at = blanks(src, *at);
	if (src->text[*at] != '>' && src->text[*at] != '<')
		return bad_rule(src, *at, 1, "expected > or <, as in 'tpot_p50 > +3%'", d);
	r->above = src->text[(*at)++] == '>';
	*at = blanks(src, *at);
	r->limit = strtod(src->text + *at, &end);
	if (end == src->text + *at || !isfinite(r->limit))
		return bad_rule(src, *at, 1, "expected a number, as in 'tpot_p50 > +3%'", d);
	*at = blanks(src, (size_t)(end - src->text));
	r->relative = src->text[*at] == '%';
	*at = blanks(src, *at + r->relative);
	if (src->text[*at] && src->text[*at] != ',')
		return bad_rule(src, *at, 1, "expected a comma or the end", d);
	*at += src->text[*at] == ',';
	*at = blanks(src, *at);
	return 0;
}

/* True when the change is what the rule forbids. */
static bool broken(const struct rule *r, const struct side *a, const struct side *b,
		   const struct view_run *run, struct diag *d)
{
	struct pair pair = compare(a, b, r->figure);
	double change = r->relative ? pair.relative * 100 : pair.change;
	const char *unit = r->relative ? " %" : "";

	if (isnan(change)) {
		diag_add(
			d, DIAG_WARNING,
			pair.change == 0 || isnan(pair.change)
				? "%s is not known in both runs; the rule says nothing"
				: "%s is 0 in the first run, so there is no change in percent; the "
				  "rule says nothing",
			pair.first.name);
		return false;
	}
	if (r->above ? !(change > r->limit) : !(change < r->limit))
		return false;
	diag_add(d, DIAG_NOTE, "%s: %s changed by %+.4g%s, the limit is %s %+.4g%s", run->name,
		 pair.first.name, change, unit, r->above ? "above" : "below", r->limit, unit);
	return true;
}

/* Returns 0, 1 when a rule is broken, or -EINVAL. `print` false: only check the text. */
static int check_rules(const struct view_run *runs, const struct side *s, size_t n,
		       const char *rules, bool test, struct diag *d)
{
	struct source src = {"--fail-if", rules, strlen(rules)};
	size_t at = blanks(&src, 0);
	int failed = 0;

	if (!src.text[at])
		return bad_rule(&src, at, 1, "there is no rule; write it like 'tpot_p50 > +3%'", d);
	while (src.text[at]) {
		struct rule r = {0};
		int err = parse_rule(&src, &s[0], &at, &r, d);

		if (err)
			return err;
		for (size_t k = 1; test && k < n; k++)
			failed |= broken(&r, &s[0], &s[k], &runs[k], d);
	}
	return failed;
}

static int diff_print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
		      struct diag *d)
{
	struct side *s = xcalloc(n, sizeof(*s));
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		err = summary_make(runs[i].db, o, &s[i].summary, d);
		s[i].n = summary_figures(&s[i].summary, s[i].figures);
	}
	if (!err && o->fail_if)
		err = check_rules(runs, s, n, o->fail_if, false, d);
	if (!err && o->json)
		print_json(runs, s, n, out);
	else if (!err && o->csv)
		print_csv(runs, s, n, o, out);
	else if (!err)
		print_tables(runs, s, n, o, out);
	if (!err && o->fail_if)
		err = check_rules(runs, s, n, o->fail_if, true, d);
	for (size_t i = 0; i < n; i++)
		summary_free(&s[i].summary);
	free(s);
	return err;
}

const struct view view_diff = {
	.name = "diff",
	.args = "RUN RUN...",
	.help = "figures of runs side by side, and whether a change is more than noise",
	.about = "Latencies and rates are judged by tests on the single calls (better, worse, no "
		 "difference shown), figures with one value per run by their size. --fail-if takes "
		 "rules with the names in the table: NAME > or < a change, in percent of the first "
		 "run or in the figure's own unit (ns, shares of 1), separated by commas; exit "
		 "status 1 when one holds.",
	.options = "json csv ascii limit peaks fail-if",
	.min_runs = 2,
	.max_runs = 16,
	.print = diff_print,
};

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
#include "view/rank.h"
#include "view/summary.h"
#include "view/table.h"

struct side {
	struct summary summary;
	struct summary_figure figures[SUMMARY_FIGURES];
	size_t n;
};

enum verdict { NOT_TESTED, NO_DIFFERENCE, BETTER, WORSE, CHANGED };

static const char *const verdict_texts[] = {"", "no difference shown", "better", "worse",
					    "different"};

/* Which samples a figure stands on, if any. */
static bool sampled(const char *name, enum summary_phase *p)
{
	*p = text_starts(name, "prefill") || strcmp(name, "ttft") == 0 ? SUM_PREFILL : SUM_DECODE;
	return text_starts(name, "tpot") || strcmp(name, "tokens_per_s") == 0 ||
	       strcmp(name, "prefill_tokens_per_s") == 0 || strcmp(name, "ttft") == 0;
}

static enum verdict judge(const struct side *a, const struct side *b, size_t i, double *p)
{
	const struct summary_figure *x = &a->figures[i], *y = &b->figures[i];
	double change = (y->value - x->value) / fabs(x->value);
	enum summary_phase phase;

	*p = NAN;
	if (isnan(x->value) || isnan(y->value) || !sampled(x->name, &phase))
		return NOT_TESTED;
	*p = rank_test(a->summary.phase[phase].samples, a->summary.phase[phase].n_samples,
		       b->summary.phase[phase].samples, b->summary.phase[phase].n_samples);
	if (isnan(*p))
		return NOT_TESTED;
	if (!rank_differs(*p, change))
		return NO_DIFFERENCE;
	if (!x->better)
		return CHANGED;
	return (change > 0) == (x->better > 0) ? BETTER : WORSE;
}

static char *show_value(const struct summary_figure *f)
{
	char out[32];

	if (isnan(f->value))
		return xstrdup("-");
	if (strcmp(f->unit, "ns") == 0)
		return xstrdup(text_ns(f->value, out));
	if (strcmp(f->unit, "%") == 0)
		return xasprintf("%.2f %%", f->value * 100);
	return xasprintf("%.4g%s%s", f->value, *f->unit ? " " : "", f->unit);
}

static char *show_change(const struct summary_figure *a, const struct summary_figure *b)
{
	double d = b->value - a->value;
	struct summary_figure abs = *a;
	char *text, *whole;

	if (isnan(d))
		return xstrdup("-");
	abs.value = fabs(d);
	if (strcmp(a->unit, "%") == 0)
		return xasprintf("%+.2f points", d * 100);
	text = show_value(&abs);
	if (a->value != 0)
		whole = xasprintf("%s%s (%+.1f %%)", d < 0 ? "-" : "+", text,
				  d / fabs(a->value) * 100);
	else
		whole = xasprintf("%s%s", d < 0 ? "-" : "+", text);
	free(text);
	return whole;
}

/* Columns need no folders. */
static const char *short_name(const struct view_run *run)
{
	const char *slash = strrchr(run->name, '/');

	return slash && slash[1] ? slash + 1 : run->name;
}

static void print_pair(const struct view_run *runs, const struct side *sides, size_t k,
		       const struct view_opts *o, FILE *out)
{
	struct table *t = table_new();

	table_column(t, "figure", "figure", TABLE_TEXT);
	table_column(t, "first", short_name(&runs[0]), TABLE_TEXT);
	table_column(t, "other", short_name(&runs[k]), TABLE_TEXT);
	table_column(t, "change", "change", TABLE_TEXT);
	table_column(t, "verdict", "verdict", TABLE_TEXT);
	for (size_t i = 0; i < sides[0].n; i++) {
		const struct summary_figure *a = &sides[0].figures[i], *b = &sides[k].figures[i];
		char *va = show_value(a), *vb = show_value(b), *change = show_change(a, b);
		double p;

		if (!isnan(a->value) || !isnan(b->value)) {
			table_row(t);
			table_text(t, a->name);
			table_text(t, va);
			table_text(t, vb);
			table_text(t, change);
			table_text(t, verdict_texts[judge(&sides[0], &sides[k], i, &p)]);
		}
		free(va);
		free(vb);
		free(change);
	}
	table_print(t, o, 0, out);
	table_free(t);
}

static void in_words(const struct side *a, const struct side *b, const char *name,
		     enum summary_phase phase, FILE *out)
{
	const struct summary_phase_figures *x = &a->summary.phase[phase],
					   *y = &b->summary.phase[phase];
	double p = rank_test(x->samples, x->n_samples, y->samples, y->n_samples);
	double change = y->p50 / x->p50 - 1;

	if (isnan(p)) {
		fprintf(out, "%s: too few calls to tell a change from noise (%zu and %zu)\n", name,
			x->n_samples, y->n_samples);
		return;
	}
	fprintf(out, "%s: ", name);
	if (rank_differs(p, change))
		fprintf(out, "%s by %.1f %% in the median", change < 0 ? "better" : "worse",
			fabs(change) * 100);
	else
		fprintf(out, "no difference shown");
	fprintf(out, " (rank test on %zu and %zu calls, p = %.2g, medians differ by %+.1f %%)\n",
		x->n_samples, y->n_samples, p, change * 100);
}

/* Operators that changed most, by their time per decode. */
static void print_operators(const struct view_run *runs, size_t k, const struct view_opts *o,
			    FILE *out)
{
	static const char sql[] = "SELECT coalesce(t.op, '?'), sum(p.compute_ns) * 1.0 / (SELECT"
				  " count(*) FROM token_t WHERE phase = 'decode') FROM op_phase_t p"
				  " LEFT JOIN tensor_t t ON t.id = p.tensor_id WHERE p.phase ="
				  " 'decode' GROUP BY 1 ORDER BY 2 DESC";
	static const char one[] =
		"SELECT sum(p.compute_ns) * 1.0 / (SELECT count(*) FROM token_t"
		" WHERE phase = 'decode') FROM op_phase_t p LEFT JOIN tensor_t t ON"
		" t.id = p.tensor_id WHERE p.phase = 'decode' AND"
		" coalesce(t.op, '?') = ?1";
	sqlite3_stmt *q = view_query(runs[0].db, NULL, sql, NULL);
	struct table *t = table_new();

	table_column(t, "op", "operator, compute per decode", TABLE_TEXT);
	table_column(t, "first_ns", short_name(&runs[0]), TABLE_NS);
	table_column(t, "other_ns", short_name(&runs[k]), TABLE_NS);
	table_column(t, "change", "change", TABLE_PERCENT);
	while (view_step(q)) {
		double a = sqlite3_column_double(q, 1);
		double b = view_double(runs[k].db, NAN, one, "s", view_text(q, 0));

		table_row(t);
		table_text(t, view_text(q, 0));
		table_number(t, a);
		table_number(t, b);
		table_number(t, b / a - 1);
	}
	if (table_rows(t)) {
		fputc('\n', out);
		table_print(t, o, 12, out);
	}
	table_free(t);
}

static void print_text(const struct view_run *runs, const struct side *s, size_t n,
		       const struct view_opts *o, FILE *out)
{
	for (size_t k = 1; k < n; k++) {
		fprintf(out, "%s%s -> %s\n", k > 1 ? "\n" : "", runs[0].name, runs[k].name);
		if (s[0].summary.phase[SUM_DECODE].calls && s[k].summary.phase[SUM_DECODE].calls)
			in_words(&s[0], &s[k], "time per decode", SUM_DECODE, out);
		if (s[0].summary.phase[SUM_PREFILL].calls && s[k].summary.phase[SUM_PREFILL].calls)
			in_words(&s[0], &s[k], "time per prefill call", SUM_PREFILL, out);
		fputc('\n', out);
		print_pair(runs, s, k, o, out);
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

static void print_json(const struct view_run *runs, const struct side *s, size_t n, FILE *out)
{
	cJSON *j = cJSON_CreateArray();
	char *text;

	for (size_t k = 1; k < n; k++) {
		cJSON *pair = cJSON_CreateObject(), *figures;

		cJSON_AddStringToObject(pair, "first", runs[0].name);
		cJSON_AddStringToObject(pair, "other", runs[k].name);
		figures = cJSON_AddObjectToObject(pair, "figures");
		for (size_t i = 0; i < s[0].n; i++) {
			const struct summary_figure *a = &s[0].figures[i], *b = &s[k].figures[i];
			cJSON *f = cJSON_AddObjectToObject(figures, a->name);
			double p;
			enum verdict v = judge(&s[0], &s[k], i, &p);

			add_number(f, "first", a->value);
			add_number(f, "other", b->value);
			add_number(f, "absolute", b->value - a->value);
			add_number(f, "relative", (b->value - a->value) / fabs(a->value));
			add_number(f, "p", p);
			cJSON_AddStringToObject(f, "verdict", verdict_texts[v]);
		}
		cJSON_AddItemToArray(j, pair);
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
	size_t len = strspn(src->text + *at, "abcdefghijklmnopqrstuvwxyz_0123456789");
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
	const struct summary_figure *x = &a->figures[r->figure], *y = &b->figures[r->figure];
	double change = y->value - x->value;

	if (r->relative)
		change = change / fabs(x->value) * 100;
	if (isnan(change)) {
		diag_add(d, DIAG_WARNING, "%s is not known in both runs; the rule says nothing",
			 x->name);
		return false;
	}
	if (r->above ? !(change > r->limit) : !(change < r->limit))
		return false;
	diag_add(d, DIAG_NOTE, "%s: %s changed by %+.2f%s, the limit is %s %+.2f%s", run->name,
		 x->name, change, r->relative ? " %" : "", r->above ? "above" : "below", r->limit,
		 r->relative ? " %" : "");
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
	else if (!err)
		print_text(runs, s, n, o, out);
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
	.options = "json csv ascii limit peaks fail-if",
	.min_runs = 2,
	.max_runs = 16,
	.print = diff_print,
};

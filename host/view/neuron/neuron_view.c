/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of imported Neuron profiles, side by side. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/neuron/neuron.h"
#include "view/table.h"
#include "view/view.h"

enum { RUNS_MAX = 16 };

static const char *value_text(const struct neuron_figure *f, double v, char out[64])
{
	char part[32];

	switch (f->unit) {
	case NEURON_FRACTION:
		snprintf(out, 64, "%.2f %%", v * 100);
		break;
	case NEURON_TRAFFIC:
		/* Like bandwidths, by thousands. */
		snprintf(out, 64, "%.2f MB", v / 1e6);
		break;
	case NEURON_BYTES:
		snprintf(out, 64, "%s", text_bytes(v, part));
		break;
	case NEURON_SECONDS:
		snprintf(out, 64, "%s", text_ns(v * 1e9, part));
		break;
	case NEURON_FLOPS:
		snprintf(out, 64, "%.2f GFLOP", v / 1e9);
		break;
	case NEURON_NUMBER:
		snprintf(out, 64, "%.3g", v);
	}
	return out;
}

static void value_cell(struct table *t, const struct neuron_figure *f, bool known, double v,
		       bool raw)
{
	char text[64];

	if (raw)
		table_number(t, known ? v : NAN);
	else
		table_text(t, known ? value_text(f, v, text) : NULL);
}

enum { COLUMNS_MAX = 6 };

static void lowest_and_highest(const struct neuron_figure *f, const struct neuron_set *s,
			       struct table *t)
{
	double v, low = NAN, high = NAN;

	for (size_t i = 0; i < s->count; i++)
		if (neuron_figure_value(f, &s->profiles[i], &v)) {
			low = fmin(low, v);
			high = fmax(high, v);
		}
	value_cell(t, f, !isnan(low), low, false);
	value_cell(t, f, !isnan(high), high, false);
}

/* A column per profile and one for their mean; levels only where more would be better. */
void neuron_print(const struct neuron_set *s, const struct view_opts *o, FILE *out)
{
	struct table *t = table_new();
	bool raw = o->json || o->csv, each = raw || s->count <= COLUMNS_MAX;
	double v;

	table_column(t, "figure", "figure", TABLE_TEXT);
	for (size_t i = 0; i < s->count && each; i++)
		table_column(t, s->profiles[i].name, s->profiles[i].name,
			     raw ? TABLE_NUMBER : TABLE_TEXT);
	if (!each) {
		table_column(t, "lowest", "lowest", TABLE_TEXT);
		table_column(t, "highest", "highest", TABLE_TEXT);
	}
	table_column(t, "mean", "mean", raw ? TABLE_NUMBER : TABLE_TEXT);
	table_column(t, "level", "", TABLE_TEXT);
	for (const struct neuron_figure *f = neuron_figures; f->key; f++) {
		bool known;

		table_row(t);
		table_text(t, raw ? f->key : f->title);
		for (size_t i = 0; i < s->count && each; i++) {
			known = neuron_figure_value(f, &s->profiles[i], &v);
			value_cell(t, f, known, v, raw);
		}
		if (!each)
			lowest_and_highest(f, s, t);
		known = neuron_figure_mean(f, s, &v);
		value_cell(t, f, known, v, raw);
		table_text(t,
			   known && f->metric && f->unit == NEURON_FRACTION ? neuron_level(v) : "");
	}
	table_print(t, o, 0, out);
	table_free(t);
}

/* The means of several runs, each with its change against the first. */
static void print_several(const struct neuron_set *sets, const struct view_run *runs, size_t n,
			  const struct view_opts *o, FILE *out)
{
	struct table *t = table_new();
	bool raw = o->json || o->csv;
	char text[64];

	table_column(t, "figure", "figure", TABLE_TEXT);
	for (size_t i = 0; i < n; i++) {
		table_column(t, runs[i].name, runs[i].name, raw ? TABLE_NUMBER : TABLE_TEXT);
		if (i)
			table_column(t, "change", "change", raw ? TABLE_NUMBER : TABLE_TEXT);
	}
	for (const struct neuron_figure *f = neuron_figures; f->key; f++) {
		double first = NAN, v;

		table_row(t);
		table_text(t, raw ? f->key : f->title);
		for (size_t i = 0; i < n; i++) {
			bool known = neuron_figure_mean(f, &sets[i], &v);
			double change = known ? v / first - 1 : NAN;

			value_cell(t, f, known, v, raw);
			if (!i)
				first = known ? v : NAN;
			else if (raw)
				table_number(t, change);
			else if (!isfinite(change))
				table_text(t, NULL);
			else if (fabs(change) < 0.001)
				table_text(t, "no change");
			else {
				snprintf(text, sizeof(text), "%+.1f %%", change * 100);
				table_text(t, text);
			}
		}
	}
	table_print(t, o, 0, out);
	table_free(t);
}

void neuron_print_verdicts(const struct neuron_set *s, const struct view_opts *o, FILE *out)
{
	struct buf text = {0};

	for (size_t i = 0; i < s->count; i++) {
		const struct neuron_profile *p = &s->profiles[i];

		buf_reset(&text);
		neuron_verdict(p, &text);
		fprintf(out, "\n%s: ", p->name);
		table_wrap(buf_str(&text), o->width, 5, out);
		buf_reset(&text);
		neuron_alarms(p, &text);
		fputs(buf_str(&text), out);
	}
	buf_free(&text);
}

static int print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
		 struct diag *d)
{
	struct neuron_set sets[RUNS_MAX] = {0};
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		neuron_load(&sets[i], runs[i].db);
		if (!sets[i].count)
			err = diag_fail(d, -ENOENT,
					"%s holds no Neuron profile; make such a run with llmprobe "
					"import neuron",
					runs[i].name);
	}
	if (!err && n == 1)
		neuron_print(&sets[0], o, out);
	else if (!err)
		print_several(sets, runs, n, o, out);
	for (size_t i = 0; i < n; i++) {
		if (!err && !o->json && !o->csv)
			neuron_print_verdicts(&sets[i], o, out);
		neuron_set_free(&sets[i]);
	}
	return err;
}

const struct view view_neuron = {
	.name = "neuron",
	.args = "RUN...",
	.help = "engine use, DMA, HBM traffic, MFU and MBU of imported Neuron profiles",
	.options = "json csv",
	.min_runs = 1,
	.max_runs = RUNS_MAX,
	.print = print,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "view/view.h"

#include <errno.h>
#include <string.h>

#include "util/buf.h"
#include "util/text.h"

const struct view *const views[] = {&view_report,   &view_stat,	  &view_diff,	&view_calibrate,
				    &view_timeline, &view_dag,	  &view_export, &view_html,
				    &view_buckets,  &view_neuron, NULL};

#define OPT(letter, type, field, name, arg, help)                                                  \
	{                                                                                          \
		name, letter, type, arg, help, offsetof(struct view_opts, field), NULL             \
	}
#define OPT_ONE_OF(list, field, name, arg, help)                                                   \
	{                                                                                          \
		name, 0, VIEW_STRING, arg, help, offsetof(struct view_opts, field), list           \
	}

static const char *const phases[] = {"prefill", "decode", "encode", NULL};

const struct view_option view_options[] = {
	OPT(0, VIEW_FLAG, json, "json", NULL, "print JSON"),
	OPT(0, VIEW_FLAG, csv, "csv", NULL, "print comma-separated values"),
	OPT('f', VIEW_FLAG, force, "force", NULL, "replace an existing output file"),
	OPT(0, VIEW_FLAG, ascii, "ascii", NULL, "no characters beyond ASCII"),
	OPT('n', VIEW_INT, limit, "limit", "N", "rows per table, -1: all"),
	OPT('s', VIEW_STRING, sort, "sort", "COLUMN", "sort by a column; -COLUMN turns it round"),
	OPT(0, VIEW_STRING, filter, "filter", "GLOBS", "only operators or tensors that match"),
	OPT_ONE_OF(phases, phase, "phase", "PHASE", "only prefill, decode or encode"),
	OPT(0, VIEW_STRING, layers, "layers", "N[-M]", "only these layers"),
	OPT('b', VIEW_STRING, by, "by", "KEY",
	    "group by op, tensor, layer, class, thread, type or kind"),
	OPT('t', VIEW_STRING, table, "table", "NAME", "which table"),
	OPT(0, VIEW_STRING, format, "format", "NAME", "output format"),
	OPT('o', VIEW_STRING, output, "output", "FILE", "write to a file"),
	OPT(0, VIEW_STRING, colour_by, "colour-by", "WHAT",
	    "time, share, bandwidth, experts or the name of a counter"),
	OPT(0, VIEW_STRING, peaks, "peaks", "MACHINE",
	    "peaks to compare with: a file or a name of yaml/machines"),
	OPT(0, VIEW_STRING, levels, "levels", "LIST", "only these trace levels"),
	OPT(0, VIEW_STRING, fold, "fold", "LIST", "fold views, weights, layers, or none"),
	OPT(0, VIEW_STRING, fail_if, "fail-if", "RULES",
	    "exit with 1 when a figure changed so: 'tpot_p50 > +3%, tokens_per_s < -2%'"),
	OPT(0, VIEW_STRING, from, "from", "TIME", "from this time after the start, as 1.5s"),
	OPT(0, VIEW_STRING, to, "to", "TIME", "up to this time after the start"),
	OPT(0, VIEW_STRING, otlp, "otlp", "URL", "send metrics and spans to an OTLP receiver"),
	OPT(0, VIEW_STRING, sizes, "sizes", "LIST", "bucket sizes to judge, as 64,128,256"),
	OPT(0, VIEW_INT, count, "count", "N", "choose the best 1 to N bucket sizes (6)"),
	OPT(0, VIEW_INT, step, "step", "N", "sizes are multiples of N (1)"),
	{0},
};

const struct view *view_find(const char *name)
{
	for (const struct view *const *v = views; *v; v++)
		if (strcmp((*v)->name, name) == 0)
			return *v;
	return NULL;
}

bool view_takes(const struct view *v, const struct view_option *opt)
{
	size_t len = strlen(opt->name);

	for (const char *p = v->options; p && *p; p += strcspn(p, " "), p += strspn(p, " "))
		if (strcspn(p, " ") == len && strncmp(p, opt->name, len) == 0)
			return true;
	return false;
}

static int check_choice(const struct view_option *opt, const char *value, struct diag *d)
{
	struct buf list = {0};
	const char *near;
	size_t n = 0;
	int err;

	for (; opt->choices[n]; n++) {
		if (strcmp(opt->choices[n], value) == 0) {
			buf_free(&list);
			return 0;
		}
		buf_printf(&list, "%s%s", n ? ", " : "", opt->choices[n]);
	}
	near = text_nearest_of(value, opt->choices, n);
	err = diag_fail(d, -EINVAL, "--%s takes one of %s, not '%s'%s%s%s", opt->name,
			buf_str(&list), value, near ? "; did you mean " : "", near ? near : "",
			near ? "?" : "");
	buf_free(&list);
	return err;
}

int view_option_set(struct view_opts *o, const struct view_option *opt, const char *value,
		    struct diag *d)
{
	char *field = (char *)o + opt->offset;

	switch (opt->type) {
	case VIEW_FLAG:
		*(bool *)field = true;
		return 0;
	case VIEW_STRING:
		if (opt->choices && check_choice(opt, value, d))
			return -EINVAL;
		*(const char **)field = value;
		return 0;
	case VIEW_INT:
		if (text_to_i64(value, (int64_t *)field) < 0)
			return diag_fail(d, -EINVAL, "--%s takes a whole number, not '%s'",
					 opt->name, value);
		return 0;
	}
	return -EINVAL;
}

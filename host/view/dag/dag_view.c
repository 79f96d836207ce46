/* SPDX-License-Identifier: Apache-2.0 */
/* The operator graph as one of the views of the command line. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "view/dag/dag.h"
#include "view/export/export_file.h"
#include "view/html/html.h"
#include "view/view.h"

enum dag_format { FORMAT_DOT, FORMAT_SVG, FORMAT_HTML };

/* Pictures that dag does not write; any other ending is a name that says nothing of a format. */
static bool other_picture(const char *ending)
{
	static const char *const endings[] = {"png", "pdf", "ps", "jpg", "jpeg", "gif", "webp"};

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (!strcmp(ending, endings[i]))
			return true;
	return false;
}

static int format_of(const struct view_opts *o, enum dag_format *format, struct diag *d)
{
	static const char *const names[] = {"dot", "svg", "html"};
	const char *ending = o->output ? strrchr(o->output, '.') : NULL;
	const char *name = o->format ? o->format : ending ? ending + 1 : "dot";

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i])) {
			*format = (enum dag_format)i;
			return 0;
		}
	*format = FORMAT_DOT;
	if (!o->format && !other_picture(name))
		return 0;
	return diag_fail(d, -EINVAL, "dag has no format '%s'; it writes dot, svg and html", name);
}

int dag_opts_of(const struct view_opts *o, struct dag_opts *out, struct diag *d)
{
	int err = view_layers(o->layers, &out->first_layer, &out->last_layer, d);

	out->phase = o->phase;
	out->colour_by = o->colour_by;
	out->fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS | (o->layers ? 0 : DAG_FOLD_LAYERS);
	if (!err && o->fold)
		err = dag_parse_fold(o->fold, &out->fold, d);
	return err;
}

static int write_formatted(const struct buf *dot, enum dag_format format, FILE *out, struct diag *d)
{
	struct buf svg = {0};
	int err;

	if (format == FORMAT_DOT) {
		fputs(buf_str(dot), out);
		return 0;
	}
	err = dag_svg(buf_str(dot), &svg, d);
	if (!err && format == FORMAT_SVG)
		fputs(buf_str(&svg), out);
	else if (!err)
		err = html_dag_page(buf_str(&svg), out, d);
	buf_free(&svg);
	return err;
}

static int draw(const struct view_run *runs, size_t n, const struct dag_opts *o, struct buf *dot,
		struct diag *d)
{
	struct dag *graphs = xcalloc(n, sizeof(*graphs));
	const char **titles = xcalloc(n, sizeof(*titles));
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		titles[i] = runs[i].name;
		err = dag_load(runs[i].db, o, &graphs[i], d);
	}
	if (!err)
		dag_dot(graphs, titles, n, o, dot);
	for (size_t i = 0; i < n; i++)
		dag_free(&graphs[i]);
	free(graphs);
	free(titles);
	return err;
}

static int print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
		 struct diag *d)
{
	enum dag_format format;
	struct dag_opts options;
	struct export_file f;
	struct buf dot = {0};
	int err = format_of(o, &format, d);

	if (!err)
		err = dag_opts_of(o, &options, d);
	if (!err)
		err = draw(runs, n, &options, &dot, d);
	if (!err)
		err = export_file_open(&f, o->output, out, o->force, false, d);
	if (!err)
		err = export_file_close(&f, write_formatted(&dot, format, f.out, d), d);
	buf_free(&dot);
	return err;
}

const struct view view_dag = {
	.name = "dag",
	.args = "RUN [RUN]",
	.help = "draw the operator graph: DOT, SVG or a page to look around in",
	.options = "format output force layers phase colour-by fold",
	.min_runs = 1,
	.max_runs = 4,
	.print = print,
};

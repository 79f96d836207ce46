/* SPDX-License-Identifier: Apache-2.0 */
#include "view/html/html.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"
#include "view/dag/dag.h"
#include "view/export/export_file.h"
#include "view/html/html_data.h"
#include "view/html/html_page.h"
#include "view/view.h"

/* Graphs beyond that take graphviz minutes; the page then says how to draw a part. */
enum { GRAPH_NODES_MAX = 1500, PRINT_WIDTH = 100 };

struct page {
	const struct view_run *runs;
	size_t n;
	const struct view_opts *o;
};

static int write_data(void *ctx, FILE *out, struct diag *d)
{
	struct page *p = ctx;
	struct json_out j = {.out = out};
	int err = 0;

	json_open(&j, NULL, '[');
	for (size_t i = 0; i < p->n && !err; i++)
		err = html_run_data(&j, &p->runs[i], p->o, d);
	json_close(&j, ']');
	buf_free(&j.text);
	return err;
}

/* What another view prints, to be freed; NULL with an error in `d` when it cannot. */
static char *view_prints(const struct page *p, const char *name, size_t n, struct view_opts o,
			 struct diag *d)
{
	const struct view *v = view_find(name);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int rc;

	o.width = PRINT_WIDTH;
	o.peaks = p->o->peaks;
	rc = v && f ? v->print(p->runs, n, &o, f, d) : -ENOENT;

	if (f)
		fclose(f);
	if (rc >= 0)
		return text;
	free(text);
	return NULL;
}

/* The text of another view, escaped; why there is none when it cannot. */
static int write_view(const struct page *p, const char *name, size_t n, FILE *out)
{
	struct diag *d = diag_new();
	struct buf escaped = {0};
	char *text = view_prints(p, name, n, (struct view_opts){0}, d);

	html_escape(&escaped, text ? text : diag_first_error(d));
	fputs(buf_str(&escaped), out);
	buf_free(&escaped);
	free(text);
	diag_free(d);
	return 0;
}

static int write_report(void *ctx, FILE *out, struct diag *d)
{
	struct page *p = ctx;

	(void)d;
	return write_view(p, "report", 1, out);
}

static int write_diff(void *ctx, FILE *out, struct diag *d)
{
	struct page *p = ctx;

	(void)d;
	return p->n > 1 ? write_view(p, "diff", p->n, out) : 0;
}

/* How soon experts come again, and what it costs when they do not: tables of stat. */
static int write_experts(void *ctx, FILE *out, struct diag *d)
{
	static const char *const tables[] = {"reuse", "latency"};
	struct page *p = ctx;
	struct buf escaped = {0};

	(void)d;
	for (size_t i = 0; view_levels(p->runs[0].db).expert && i < ARRAY_LEN(tables); i++) {
		struct diag *own = diag_new();
		char *text = view_prints(p, "stat", 1, (struct view_opts){.table = tables[i]}, own);

		html_escape(&escaped, text ? text : "");
		buf_puts(&escaped, "\n");
		free(text);
		diag_free(own);
	}
	fputs(buf_str(&escaped), out);
	buf_free(&escaped);
	return 0;
}

/* The same comparison as data, so that the page judges no figure otherwise than diff does. */
static int write_verdicts(void *ctx, FILE *out, struct diag *d)
{
	struct page *p = ctx;
	struct diag *own = diag_new();
	char *text = p->n > 1 ? view_prints(p, "diff", p->n, (struct view_opts){.json = true}, own)
			      : NULL;

	(void)d;
	/* Names may hold the end of the element that this is in; in JSON < is only part of strings.
	 */
	for (const char *c = text ? text : "[]"; *c; c++)
		if (*c == '<')
			fputs("\\u003c", out);
		else
			fputc(*c, out);
	free(text);
	diag_free(own);
	return 0;
}

static size_t visible_nodes(const struct dag *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_nodes; i++)
		n += !g->nodes[i].gone;
	return n;
}

static int draw_graphs(const struct page *p, struct buf *svg, struct diag *d)
{
	struct dag_opts o = {.first_layer = -1,
			     .last_layer = INT_MAX,
			     .fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS | DAG_FOLD_LAYERS};
	struct dag graphs[4] = {0};
	const char *titles[4];
	struct buf dot = {0};
	size_t nodes = 0;
	int err = 0;

	for (size_t i = 0; i < p->n && !err; i++) {
		titles[i] = p->runs[i].name;
		err = dag_load(p->runs[i].db, &o, &graphs[i], d);
		nodes += visible_nodes(&graphs[i]);
	}
	if (!err && nodes > GRAPH_NODES_MAX)
		err = diag_fail(d, -E2BIG,
				"the graph has %zu nodes; draw some layers with "
				"llmprobe dag --layers 0 --format svg",
				nodes);
	if (!err) {
		dag_dot(graphs, titles, p->n, &o, &dot);
		err = dag_svg(buf_str(&dot), svg, d);
	}
	for (size_t i = 0; i < p->n; i++)
		dag_free(&graphs[i]);
	buf_free(&dot);
	return err;
}

static int write_graph(void *ctx, FILE *out, struct diag *d)
{
	struct diag *own = diag_new();
	struct buf svg = {0}, why = {0};
	int err = draw_graphs(ctx, &svg, own);

	(void)d;
	/* A page without a graph is still a page: it says what is missing. */
	if (err) {
		html_escape(&why, diag_first_error(own));
		fprintf(out, "<p class=\"missing\">%s</p>", buf_str(&why));
	} else {
		fputs(html_svg_body(buf_str(&svg)), out);
	}
	buf_free(&svg);
	buf_free(&why);
	diag_free(own);
	return 0;
}

static int write_asset(void *ctx, FILE *out, struct diag *d)
{
	char *text = data_file_read(ctx);

	if (!text)
		return diag_fail(d, -ENOENT, "%s is missing from the data directory",
				 (const char *)ctx);
	fputs(text, out);
	free(text);
	return 0;
}

static int write_page(struct page *p, FILE *out, struct diag *d)
{
	struct buf title = {0};
	struct html_slot slots[] = {
		{"TITLE", NULL, NULL, NULL},
		{"REPORT", NULL, write_report, p},
		{"DIFF", NULL, write_diff, p},
		{"VERDICTS", NULL, write_verdicts, p},
		{"EXPERTS", NULL, write_experts, p},
		{"GRAPH", NULL, write_graph, p},
		{"DATA", NULL, write_data, p},
		{"UPLOT_JS", NULL, write_asset, (void *)"third_party/uplot/uPlot.iife.min.js"},
		{"UPLOT_CSS", NULL, write_asset, (void *)"third_party/uplot/uPlot.min.css"},
		{"CSS", NULL, write_asset, (void *)"host/view/assets/report.css"},
		{"GRAPH_JS", NULL, write_asset, (void *)"host/view/assets/graph.js"},
		{"STRIP_JS", NULL, write_asset, (void *)"host/view/assets/strip.js"},
		{"REPORT_JS", NULL, write_asset, (void *)"host/view/assets/report.js"},
	};
	int err;

	for (size_t i = 0; i < p->n; i++) {
		buf_puts(&title, i ? ", " : "");
		html_escape(&title, p->runs[i].name);
	}
	slots[0].text = buf_str(&title);
	err = html_page("host/view/assets/report.html", slots, ARRAY_LEN(slots), out, d);
	buf_free(&title);
	return err;
}

static int print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
		 struct diag *d)
{
	struct page p = {runs, n, o};
	struct export_file f;
	int err = export_file_open(&f, o->output, out, o->force, true, d);

	if (err)
		return err;
	return export_file_close(&f, write_page(&p, f.out, d), d);
}

const struct view view_html = {
	.name = "html",
	.args = "RUN [RUN]",
	.help = "write everything about one run, or two, into one page that needs no network",
	.options = "output force peaks",
	.min_runs = 1,
	.max_runs = 2,
	.print = print,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/dag/dag.h"
#include "view/html/html_page.h"
#include "view/place.h"
#include "view/view.h"

/* The part of the scale above which black letters cannot be read. */
static const double DARK = 0.6;

struct style {
	const char *shape, *border;
	const char *more; /* attributes beyond those of every node */
};

static const struct style class_styles[CLASS_COUNT] = {
	[CLASS_MATMUL] = {"box", "#1f4e9c", ""},
	[CLASS_ATTENTION] = {"octagon", "#6a2c91", ""},
	[CLASS_NORM] = {"box", "#1b7837", ", style=\"filled,rounded\""},
	[CLASS_ELEMENT] = {"ellipse", "#666666", ", margin=\"0.02,0.02\""},
	[CLASS_MOVE] = {"hexagon", "#8c510a", ", margin=\"0,0\""},
	[CLASS_OTHER] = {"box", "#666666", ""},
};

/*
 * Text inside a quoted DOT string. Control characters of a hostile name become blanks, what is no
 * UTF-8, as when a name was cut in the middle of a character, question marks.
 */
static void put_quoted(struct buf *out, const char *text)
{
	while (*text) {
		size_t n = text_utf8_len(text);

		if (*text == '"' || *text == '\\')
			buf_putc(out, '\\');
		if (n > 1)
			buf_add(out, text, n);
		else if (*text == '&')
			buf_puts(out, "&amp;"); /* DOT knows the entities of HTML */
		else
			buf_putc(out, !n ? '?' : (unsigned char)*text < 0x20 ? ' ' : *text);
		text += n ? n : 1;
	}
}

/* A name that is cut in the middle when it is longer than a node should be. */
static void put_name(struct buf *out, const char *name)
{
	enum { SHOWN = 48 };
	size_t len = strlen(name);
	char *cut;

	if (len <= SHOWN) {
		put_quoted(out, name);
		return;
	}
	cut = xasprintf("%.*s...%s", SHOWN / 2, name, name + len - SHOWN / 2);
	put_quoted(out, cut);
	free(cut);
}

/* Nothing for a run without dimensions. */
static void put_shape(struct buf *out, const struct dag_node *n)
{
	int last = 3;

	if (n->ne[0] <= 0)
		return;
	while (last > 0 && n->ne[last] <= 1)
		last--;
	for (int i = 0; i <= last; i++)
		buf_printf(out, "%s%" PRId64, i ? "x" : " ", n->ne[i]);
}

static void put_colour(struct buf *out, double t)
{
	static const double stops[][3] = {
		{255, 247, 236}, {253, 174, 97}, {215, 48, 39}, {103, 0, 13}};
	double x = fmin(fmax(t, 0), 1) * 3;
	int i = x >= 3 ? 2 : (int)x;

	buf_puts(out, "#");
	for (int c = 0; c < 3; c++)
		buf_printf(out, "%02x",
			   (unsigned int)lround(stops[i][c] +
						(stops[i + 1][c] - stops[i][c]) * (x - i)));
}

static void counter_text(const char *name, double v, char out[64])
{
	static const char *const units[] = {"", " k", " M", " G", " T"};
	size_t unit = 0;

	while (v >= 1000 && unit + 1 < ARRAY_LEN(units)) {
		v /= 1000;
		unit++;
	}
	snprintf(out, 64, "%.3g%s %.40s", v, units[unit], name);
}

static const char *value_text(const char *by, double v, char out[64])
{
	char ns[32];

	if (!strcmp(by, "time"))
		snprintf(out, 64, "%s", text_ns(v, ns));
	else if (!strcmp(by, "share"))
		snprintf(out, 64, "%.1f %%", v * 100);
	else if (!strcmp(by, "bandwidth"))
		snprintf(out, 64, "%.3g GB/s", v);
	else if (!strcmp(by, "experts"))
		snprintf(out, 64, "hottest %.2f x mean", v);
	else
		counter_text(by, v, out);
	return out;
}

/* The same tensor of another run; one without a name is told by its operator and layer. */
static bool alike(const struct dag_node *a, const struct dag_node *b)
{
	if (place_unnamed(a->name) && place_unnamed(b->name) && a->layer >= 0)
		return !strcmp(a->op, b->op) && a->layer == b->layer;
	return !strcmp(a->key, b->key) && (b->copies > 1 || a->layer == b->layer);
}

static const struct dag_node *same_node(const struct dag *g, const struct dag_node *n)
{
	for (size_t i = 0; i < g->n_nodes; i++)
		if (!g->nodes[i].gone && alike(&g->nodes[i], n))
			return &g->nodes[i];
	return NULL;
}

static void put_figures(const struct dag *g, const struct dag *base, const struct dag_node *n,
			const char *by, struct buf *out)
{
	double v = dag_value(g, n, by);
	char text[64], a[32], b[32], c[32];

	if (n->count) {
		buf_printf(out, "\\n%s", text_ns(n->time_ns, a));
		if (g->total_cpu_ns > 0)
			buf_printf(out, ", %.1f %%", 100 * n->cpu_ns / g->total_cpu_ns);
	}
	if (n->copies > 1 && n->count)
		buf_printf(out, "\\nmin %s, median %s, max %s", text_ns(n->min_ns, a),
			   text_ns(n->time_ns, b), text_ns(n->max_ns, c));
	if (v >= 0 && strcmp(by, "time") != 0 && strcmp(by, "share") != 0)
		buf_printf(out, "\\n%s", value_text(by, v, text));
	if (base && base != g && n->count) {
		const struct dag_node *old = same_node(base, n);

		if (!old)
			buf_puts(out, "\\nnot in the first run");
		else if (old->time_ns > 0)
			buf_printf(out, "\\n%+.1f %%", 100 * (n->time_ns / old->time_ns - 1));
	}
}

static void put_tooltip(const struct dag *g, const struct dag_node *n, struct buf *out)
{
	char t[32];

	put_quoted(out, n->name);
	buf_puts(out, "\\n");
	put_quoted(out, n->op);
	buf_printf(out, " ");
	put_quoted(out, n->type);
	put_shape(out, n);
	if (n->count) {
		buf_printf(out, "\\nexecuted %" PRIu64 " times", n->count);
		buf_printf(out, "\\ntime %s (slowest thread)", text_ns(n->time_ns, t));
		buf_printf(out, "\\nbarrier wait %s (mean of threads)", text_ns(n->wait_ns, t));
		buf_printf(out, "\\n%.2f %% of all compute",
			   g->total_cpu_ns > 0 ? 100 * n->cpu_ns / g->total_cpu_ns : 0);
	}
	if (n->count && n->flops > 0)
		buf_printf(out, "\\n%.3g GFLOP/s (modelled)", n->flops / n->time_ns);
	if (n->count && n->bytes > 0)
		buf_printf(out, "\\n%.3g GB/s (modelled)", n->bytes / n->time_ns);
	if (n->experts)
		buf_printf(out, "\\n%d experts used, hottest %.2f x mean", n->experts, n->skew);
	if (n->weights.len) {
		buf_puts(out, "\\nweights: ");
		put_quoted(out, buf_str(&n->weights));
	}
}

static struct style style_of(const struct dag_node *n)
{
	if (!strcmp(n->kind, "kv"))
		return (struct style){"cylinder", "#8c510a", ""};
	if (!strcmp(n->kind, "weight") || !strcmp(n->kind, "input"))
		return (struct style){"note", "#666666", ""};
	return class_styles[view_op_class(n->op)];
}

/* What the nodes of all graphs are drawn with. */
struct drawing {
	const struct dag *base; /* the first graph */
	const char *by;
	double max;
};

static void put_node(const struct drawing *d, const struct dag *g, size_t run, size_t i,
		     struct buf *out)
{
	const struct dag_node *n = &g->nodes[i];
	struct style s = style_of(n);
	double v = dag_value(g, n, d->by), t = d->max > 0 && v >= 0 ? v / d->max : -1;
	/* A running number tells nobody anything. */
	bool named = n->outside || !place_unnamed(n->name);

	buf_printf(out, "    r%zu_%zu [id=\"r%zu_%zu\", shape=%s, color=\"%s\"%s, label=\"", run, i,
		   run, i, s.shape, s.border, s.more);
	if (named)
		put_name(out, n->name);
	if (!n->outside) {
		if (named)
			buf_puts(out, "\\n");
		/* What is only stored has no operator. */
		if (strcmp(n->op, "NONE") != 0)
			put_quoted(out, n->op);
		put_shape(out, n);
		if (n->weights.len) {
			buf_puts(out, "\\n[");
			put_name(out, buf_str(&n->weights));
			buf_puts(out, "]");
		}
		put_figures(g, d->base, n, d->by, out);
	}
	buf_puts(out, "\", tooltip=\"");
	put_tooltip(g, n, out);
	buf_puts(out, "\"");
	if (n->outside) {
		buf_puts(out, ", style=\"dashed\"");
	} else if (t >= 0) {
		buf_puts(out, ", fillcolor=\"");
		put_colour(out, t);
		buf_printf(out, "\", fontcolor=\"%s\"", t > DARK ? "white" : "black");
	}
	buf_puts(out, "];\n");
}

/* What a layer does before and after its attention, under its number. */
static void put_attention(const struct dag *g, int layer, struct buf *out)
{
	char *text = dag_attention(g, layer), *save = NULL;

	if (!text)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		buf_puts(out, "\\n");
		put_quoted(out, line);
	}
	free(text);
}

static void put_layer(const struct drawing *d, const struct dag *g, size_t run,
		      const struct dag_layer *l, struct buf *out)
{
	if (!l->copies)
		return;
	buf_printf(out,
		   "   subgraph cluster_r%zu_l%d {\n    style=\"rounded\"; color=\"#999999\"; "
		   "labeljust=l; label=\"",
		   run, l->layer);
	if (l->copies > 1)
		buf_printf(out, "layers %s (%d alike)", l->members, l->copies);
	else
		buf_printf(out, "layer %d", l->layer);
	put_attention(g, l->layer, out);
	buf_puts(out, "\";\n");
	for (size_t i = 0; i < g->n_nodes; i++)
		if (!g->nodes[i].gone && !g->nodes[i].outside && g->nodes[i].layer == l->layer)
			put_node(d, g, run, i, out);
	buf_puts(out, "   }\n");
}

static void put_graph(const struct drawing *d, const struct dag *g, size_t run, const char *title,
		      struct buf *out)
{
	buf_printf(out, "  subgraph cluster_r%zu {\n   color=\"#cccccc\"; label=\"", run);
	put_quoted(out, title);
	buf_printf(out, "%s%s\";\n", *g->phase ? ", " : "", g->phase);
	for (size_t i = 0; i < g->n_layers; i++)
		put_layer(d, g, run, &g->layers[i], out);
	for (size_t i = 0; i < g->n_nodes; i++)
		if (!g->nodes[i].gone && (g->nodes[i].layer < 0 || g->nodes[i].outside))
			put_node(d, g, run, i, out);
	for (size_t i = 0; i < g->n_edges; i++)
		buf_printf(out, "   r%zu_%zu -> r%zu_%zu%s;\n", run, g->edges[i].src, run,
			   g->edges[i].dst,
			   g->edges[i].next_layer
				   ? " [style=dashed, constraint=false, label=\"next layer\"]"
				   : "");
	buf_puts(out, "  }\n");
}

static double largest(const struct dag *graphs, size_t n, const char *by)
{
	double max = 0;

	for (size_t g = 0; g < n; g++)
		for (size_t i = 0; i < graphs[g].n_nodes; i++)
			if (!graphs[g].nodes[i].gone && !graphs[g].nodes[i].outside)
				max = fmax(max, dag_value(&graphs[g], &graphs[g].nodes[i], by));
	return max;
}

/* What the fill colours mean, from nothing to the largest value. */
static void put_scale(const struct drawing *d, struct buf *out)
{
	enum { STEPS = 5 };
	char text[64];

	buf_puts(out, "<TR><TD>");
	html_escape(out, d->by);
	buf_puts(out, "</TD>");
	for (int i = 0; i < STEPS; i++) {
		double t = (double)i / (STEPS - 1);

		buf_puts(out, "<TD BGCOLOR=\"");
		put_colour(out, t);
		buf_printf(out, "\"><FONT COLOR=\"%s\">", t > DARK ? "white" : "black");
		html_escape(out, value_text(d->by, t * d->max, text));
		buf_puts(out, "</FONT></TD>");
	}
	buf_puts(out, "</TR>");
}

/* Which class of operators has which border. */
static void put_classes(struct buf *out)
{
	buf_puts(out, "<TR><TD>border</TD>");
	for (int c = 0; c < CLASS_OTHER; c++)
		buf_printf(out,
			   "<TD BORDER=\"2\" COLOR=\"%s\"%s BGCOLOR=\"white\"><FONT "
			   "COLOR=\"black\">%s</FONT></TD>",
			   class_styles[c].border, c == CLASS_NORM ? " STYLE=\"ROUNDED\"" : "",
			   view_class_name((enum op_class)c));
	buf_puts(out, "</TR>");
}

static void put_legend(const struct drawing *d, struct buf *out)
{
	buf_puts(out, "  labelloc=t; label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"6\" "
		      "CELLPADDING=\"4\">");
	if (d->max > 0)
		put_scale(d, out);
	put_classes(out);
	buf_puts(out, "</TABLE>>;\n");
}

void dag_dot(const struct dag *graphs, const char *const *titles, size_t n,
	     const struct dag_opts *o, struct buf *out)
{
	const char *by = o->colour_by ? o->colour_by : "time";
	struct drawing d = {graphs, by, largest(graphs, n, by)};

	buf_puts(out, "digraph llmprobe {\n  rankdir=TB; compound=true; bgcolor=\"transparent\";\n"
		      "  fontname=\"Helvetica,Arial,sans-serif\"; fontsize=12;\n");
	put_legend(&d, out);
	buf_puts(out, "  node [fontname=\"Helvetica,Arial,sans-serif\", fontsize=10, "
		      "style=\"filled\", fillcolor=\"#f4f4f4\", penwidth=2];\n"
		      "  edge [color=\"#777777\", arrowsize=0.6, fontsize=9, "
		      "fontname=\"Helvetica,Arial,sans-serif\"];\n");
	for (size_t i = 0; i < n; i++)
		put_graph(&d, &graphs[i], i, titles[i], out);
	buf_puts(out, "}\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "view/top/top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/table.h"

enum { BAR_CELLS = 20, NAME_CELLS = 24 };

/* Appends at most `width` columns of `text`; a character is never cut in two. */
static void put_cut(struct buf *out, const char *text, int width)
{
	int columns = 0;

	for (const char *p = text; *p;) {
		size_t n = 1;

		while ((p[n] & 0xc0) == 0x80)
			n++;
		if (++columns > width)
			return;
		buf_add(out, p, n);
		p += n;
	}
}

struct screen {
	struct buf *out;
	int width, left; /* columns, lines that are left */
	bool ascii;
};

static void line(struct screen *s, const struct buf *text)
{
	if (s->left <= 0)
		return;
	if (s->out->len)
		buf_putc(s->out, '\n');
	put_cut(s->out, buf_str(text), s->width);
	s->left--;
}

static PRINTF_LIKE(2, 3) void linef(struct screen *s, const char *fmt, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	line(s, &text);
	buf_free(&text);
}

static const char *ns_or_dash(double ns, char out[32])
{
	return ns < 0 ? "-" : text_ns(ns, out);
}

static const char *number_or_dash(double v, const char *unit, char out[32])
{
	if (v < 0)
		return "-";
	snprintf(out, 32, v < 100 ? "%.1f%s" : "%.0f%s", v, unit);
	return out;
}

static void put_head(struct screen *s, const struct top_figures *f)
{
	char a[32], b[32], c[32], d[32];

	linef(s, "%s  %s  %.0f s  tracing costs %s", f->target ? f->target : "no target",
	      f->phase ? f->phase : "idle", f->elapsed_s,
	      number_or_dash(f->cost < 0 ? -1 : f->cost * 100, " %", a));
	linef(s, "tokens/s %s   TPOT %s   TTFT %s   tokens %s",
	      number_or_dash(f->tokens_per_s, "", a), ns_or_dash(f->tpot_ns, b),
	      ns_or_dash(f->ttft_ns, c), text_count(f->tokens, d));
	if (f->n_series) {
		char *spark = table_spark(f->tpot_series, f->n_series,
					  s->width > 16 ? (size_t)(s->width - 8) : 8, s->ascii);

		linef(s, "TPOT    %s", spark);
		free(spark);
	}
}

static void put_levels(struct screen *s, const struct top_figures *f)
{
	if (!f->n_levels)
		return;
	linef(s, "%s", "");
	linef(s, "key level        state          hits/s     lost     cost");
	for (size_t i = 0; i < f->n_levels; i++) {
		const struct top_level *l = &f->levels[i];
		char hits[32], lost[32], cost[32];

		linef(s, " %c  %-12s %-12s %8s %8s %8s", l->key, l->name,
		      l->state ? l->state
		      : l->on  ? "on"
			       : "off",
		      number_or_dash(l->hits_per_s, "", hits), text_count(l->lost, lost),
		      number_or_dash(l->cost < 0 ? -1 : l->cost * 100, " %", cost));
	}
}

/* `text` in exactly `cells` columns. */
static void put_padded(struct buf *out, const char *text, int cells)
{
	int width = (int)table_width(text);

	put_cut(out, text, cells);
	for (; width < cells; width++)
		buf_putc(out, ' ');
}

/* Compute, wait and off-CPU time of a thread as one bar of three kinds of cells. */
static void put_stack(struct screen *s, const struct top_thread *t, struct buf *out)
{
	static const char *const cells[2][4] = {{"\u2588", "\u2592", "!", "\u00b7"},
						{"#", "-", "!", "."}};
	double edge[3] = {t->compute, t->compute + t->wait, t->compute + t->wait + t->off_cpu};

	for (int i = 0; i < BAR_CELLS; i++) {
		double at = (i + 0.5) / BAR_CELLS;
		int kind = 0;

		while (kind < 3 && at > edge[kind])
			kind++;
		buf_puts(out, cells[s->ascii][kind]);
	}
}

static void put_threads(struct screen *s, const struct top_figures *f)
{
	struct buf text = {0};

	if (!f->n_threads)
		return;
	linef(s, "%s", "");
	linef(s, "thread                   compute    wait off-CPU");
	for (size_t i = 0; i < f->n_threads; i++) {
		const struct top_thread *t = &f->threads[i];
		char name[64];

		buf_reset(&text);
		snprintf(name, sizeof(name), "%.40s %lld", t->name ? t->name : "thread",
			 (long long)t->tid);
		put_padded(&text, name, NAME_CELLS);
		buf_printf(&text, " %6.1f%% %6.1f%% %6.1f%%  ", t->compute * 100, t->wait * 100,
			   t->off_cpu * 100);
		put_stack(s, t, &text);
		line(s, &text);
	}
	buf_free(&text);
}

static void put_operators(struct screen *s, const struct top_figures *f)
{
	char bar[4 * BAR_CELLS + 1], mean[32], count[32];
	struct buf text = {0};

	if (!f->n_operators)
		return;
	linef(s, "%s", "");
	linef(s, "operator                   share      mean     count");
	for (size_t i = 0; i < f->n_operators && s->left > 0; i++) {
		const struct top_operator *op = &f->operators[i];

		buf_reset(&text);
		put_padded(&text, op->name, NAME_CELLS);
		buf_printf(&text, " %6.1f%% %9s %9s  %s", op->share * 100,
			   text_ns(op->mean_ns, mean), text_count(op->count, count),
			   table_bar(op->share, BAR_CELLS, s->ascii, bar));
		line(s, &text);
	}
	buf_free(&text);
}

void top_render(const struct top_figures *f, const struct top_opts *o, int width, int height,
		const char *status, struct buf *out)
{
	struct screen s = {out, width, height - 1, o->ascii};

	put_head(&s, f);
	put_levels(&s, f);
	put_threads(&s, f);
	put_operators(&s, f);
	while (s.left > 0)
		linef(&s, "%s", "");
	s.left = height > 0;
	linef(&s, "%s",
	      status && *status ? status
				: "q quits, space pauses, the keys above switch "
				  "levels");
}

void top_line(const struct top_figures *f, struct buf *out)
{
	char a[32], b[32], c[32];

	buf_printf(out, "%.0f s  %s  tokens/s %s  TPOT %s  cost %s", f->elapsed_s,
		   f->phase ? f->phase : "idle", number_or_dash(f->tokens_per_s, "", a),
		   ns_or_dash(f->tpot_ns, b),
		   number_or_dash(f->cost < 0 ? -1 : f->cost * 100, " %", c));
	for (size_t i = 0; i < f->n_operators && i < 3; i++)
		buf_printf(out, "  %s %.0f %%", f->operators[i].name, f->operators[i].share * 100);
	for (size_t i = 0; i < f->n_levels; i++)
		if (f->levels[i].lost)
			buf_printf(out, "  lost %s: %s", f->levels[i].name,
				   text_count(f->levels[i].lost, a));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "view/top/top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/table.h"

enum {
	NAME_CELLS = 24,
	BAR_CELLS = 20, /* at most */
	BEFORE_BAR = NAME_CELLS + 26,
	TARGET_MIN = 12, /* columns that a target needs to tell anything */
	LOW_SCREEN = 24, /* lines below which the levels share one */
};

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
	int bar;	 /* cells of a bar */
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

/* The target is the first to give way where there is little room. */
static void put_target(struct screen *s, const struct top_figures *f)
{
	char state[128], cost[32];
	struct buf text = {0};
	int room;

	snprintf(state, sizeof(state), "%s  %.0f s  tracing costs %s", f->phase ? f->phase : "idle",
		 f->elapsed_s, number_or_dash(f->cost < 0 ? -1 : f->cost * 100, " %", cost));
	room = s->width - (int)strlen(state) - 2;
	if (room >= TARGET_MIN) {
		put_cut(&text, f->target ? f->target : "no target", room);
		buf_puts(&text, "  ");
	}
	buf_puts(&text, state);
	line(s, &text);
	buf_free(&text);
}

/* The last decodes and between which times they lie. */
static void put_series(struct screen *s, const struct top_figures *f)
{
	double min = INFINITY, max = 0;
	char range[80], a[32], b[32];
	char *spark;
	int cells;

	for (size_t i = 0; i < f->n_series; i++) {
		min = fmin(min, f->tpot_series[i]);
		max = fmax(max, f->tpot_series[i]);
	}
	snprintf(range, sizeof(range), "  %s to %s", text_ns(min, a), text_ns(max, b));
	cells = s->width - 8 - (int)strlen(range);
	spark = table_spark(f->tpot_series, f->n_series, cells > 8 ? (size_t)cells : 8, s->ascii);
	linef(s, "TPOT    %s%s", spark, range);
	free(spark);
}

static void put_head(struct screen *s, const struct top_figures *f)
{
	char a[32], b[32], c[32], d[32];

	put_target(s, f);
	linef(s, "tokens/s %s   TPOT %s   TTFT %s   tokens %s",
	      number_or_dash(f->tokens_per_s, "", a), ns_or_dash(f->tpot_ns, b),
	      ns_or_dash(f->ttft_ns, c), text_count(f->tokens, d));
	if (f->n_series)
		put_series(s, f);
}

static const char *level_state(const struct top_level *l)
{
	return l->state ? l->state : l->on ? "on" : "off";
}

/* One line for all levels, for screens that need theirs for what is measured. */
static void put_levels_short(struct screen *s, const struct top_figures *f)
{
	struct buf text = {0};
	uint64_t lost = 0;
	char count[32];

	for (size_t i = 0; i < f->n_levels; i++) {
		buf_printf(&text, "%c %s  ", f->levels[i].key, level_state(&f->levels[i]));
		lost += f->levels[i].lost;
	}
	buf_printf(&text, "lost %s", text_count(lost, count));
	line(s, &text);
	buf_free(&text);
}

static void put_levels(struct screen *s, const struct top_figures *f)
{
	linef(s, "%s", "");
	linef(s, "key level        state          hits/s     lost     cost");
	for (size_t i = 0; i < f->n_levels; i++) {
		const struct top_level *l = &f->levels[i];
		char hits[32], lost[32], cost[32];

		linef(s, " %c  %-12s %-12s %8s %8s %8s", l->key, l->name, level_state(l),
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
	double busy = fmin(fmax(t->compute + t->wait, t->off_cpu), 1);

	for (int i = 0; i < s->bar; i++) {
		double at = (i + 0.5) / s->bar;
		int kind = at > busy ? 3 : at > busy - t->off_cpu ? 2 : at > t->compute ? 1 : 0;

		buf_puts(out, cells[s->ascii][kind]);
	}
}

static void put_thread(struct screen *s, const char *name, const struct top_thread *t)
{
	struct buf text = {0};

	put_padded(&text, name, NAME_CELLS);
	buf_printf(&text, " %6.1f%% %6.1f%% %6.1f%%  ", t->compute * 100, t->wait * 100,
		   t->off_cpu * 100);
	put_stack(s, t, &text);
	line(s, &text);
	buf_free(&text);
}

/* The threads from number `first` on as one, by their means. */
static void put_other_threads(struct screen *s, const struct top_figures *f, size_t first)
{
	double n = (double)(f->n_threads - first);
	struct top_thread mean = {0};
	char name[64];

	for (size_t i = first; i < f->n_threads; i++) {
		mean.compute += f->threads[i].compute / n;
		mean.wait += f->threads[i].wait / n;
		mean.off_cpu += f->threads[i].off_cpu / n;
	}
	snprintf(name, sizeof(name), "%.0f more, mean", n);
	put_thread(s, name, &mean);
}

/* Half of what is left of the screen belongs to the operators. */
static void put_threads(struct screen *s, const struct top_figures *f)
{
	size_t room = s->left > 6 ? (size_t)(s->left - 2) / 2 : 2;
	size_t shown = f->n_threads <= room ? f->n_threads : room - 1;

	if (!f->n_threads)
		return;
	linef(s, "%s", "");
	linef(s, "thread                   compute    wait off-CPU");
	for (size_t i = 0; i < shown; i++) {
		const struct top_thread *t = &f->threads[i];
		char name[64];

		snprintf(name, sizeof(name), "%.40s %lld", t->name ? t->name : "thread",
			 (long long)t->tid);
		put_thread(s, name, t);
	}
	if (shown < f->n_threads)
		put_other_threads(s, f, shown);
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
			   table_bar(op->share, s->bar, s->ascii, bar));
		line(s, &text);
	}
	buf_free(&text);
}

void top_render(const struct top_figures *f, const struct top_opts *o, int width, int height,
		const char *status, struct buf *out)
{
	int bar = width - BEFORE_BAR;
	struct screen s = {
		.out = out,
		.width = width,
		.left = height - 1,
		.bar = bar < 1		 ? 1
		       : bar > BAR_CELLS ? BAR_CELLS
					 : bar,
		.ascii = o->ascii,
	};

	put_head(&s, f);
	if (f->n_levels && height < LOW_SCREEN)
		put_levels_short(&s, f);
	else if (f->n_levels)
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Time series: one row per interval, a star where the value lies between least and greatest. */
#include <string.h>
#include <time.h>

#include "script/run/runtime.h"

enum { WIDTH = 53, MIN_WIDTH = 21, NS_DIGITS = 9 };

/* What is drawn: intervals first..last, and the values at the two edges. */
struct frame {
	uint64_t first, last;
	int64_t min, max;
	const char *unit; /* of the fractions of a second */
	int digits;	  /* of them, 0: none */
	int time_width;
};

static bool has(const struct series *s, uint64_t at)
{
	size_t b = at % s->n;

	return s->stamps[b * 2] == at && s->stamps[b * 2 + 1];
}

static int64_t value_at(const struct series *s, uint64_t at)
{
	return (int64_t)s->values[at % s->n];
}

static bool less(const struct series *s, int64_t a, int64_t b)
{
	return s->type->is_signed ? a < b : (uint64_t)a < (uint64_t)b;
}

/* a - b, whichever way the numbers are meant. */
static float distance(const struct series *s, int64_t a, int64_t b)
{
	return s->type->is_signed ? (float)((__int128)a - b)
				  : (float)((__int128)(uint64_t)a - (uint64_t)b);
}

/* A single value gets room on both sides. */
static void set_range(const struct series *s, struct frame *f)
{
	bool any = false;

	for (uint64_t at = f->first; at <= f->last; at++) {
		int64_t v = value_at(s, at);

		if (!has(s, at))
			continue;
		f->min = !any || less(s, v, f->min) ? v : f->min;
		f->max = !any || less(s, f->max, v) ? v : f->max;
		any = true;
	}
	if (f->min == f->max) {
		f->min -= f->min != (s->type->is_signed ? INT64_MIN : 0);
		f->max += f->max != (s->type->is_signed ? INT64_MAX : -1);
	}
	if (s->range) {
		f->min = s->range[0];
		f->max = s->range[1];
	}
}

static void set_unit(const struct series *s, struct frame *f)
{
	static const struct {
		uint64_t least;
		const char *unit;
		int digits;
	} units[] = {
		{1000000000, "", 0}, {1000000, ".ms", 3}, {1000, ".\u03bcs", 6}, {0, ".ns", 9}};
	uint64_t interval = f->first < f->last ? (uint64_t)s->type->args[0] : 0;
	size_t i = 0;

	while (interval < units[i].least)
		i++;
	f->unit = units[i].unit;
	f->digits = units[i].digits;
	f->time_width = 8 + (f->digits ? 1 + f->digits : 0);
}

/* false: nothing within the last n intervals. What is older was not overwritten yet. */
static bool frame_of(const struct series *s, struct frame *f)
{
	*f = (struct frame){.last = s->last};
	f->first = s->last >= s->n ? s->last - s->n + 1 : 0;
	while (f->first < f->last && !has(s, f->first))
		f->first++;
	if (!has(s, f->first))
		return false;
	set_range(s, f);
	set_unit(s, f);
	return true;
}

static void put_edges(struct buf *out, const struct series *s, const struct frame *f)
{
	buf_printf(out, s->type->is_signed ? "%*s%-*lld%*lld\n" : "%*s%-*llu%*llu\n",
		   f->time_width + 1, "", MIN_WIDTH, (long long)f->min, WIDTH - MIN_WIDTH,
		   (long long)f->max);
}

/* Where a value lies, counted in `steps` between the edges. */
static int column(const struct series *s, const struct frame *f, int64_t v, int steps)
{
	int at = f->min == f->max ? WIDTH / 2
				  : (int)((float)steps * distance(s, v, f->min) /
					  distance(s, f->max, f->min));

	return at < 0 ? 0 : at >= WIDTH ? WIDTH - 1 : at;
}

/* The time of day at which interval `at` began. */
static void put_time(struct buf *out, const char *fmt, uint64_t ns, int digits)
{
	char text[32], fraction[16];
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;

	localtime_r(&sec, &tm);
	strftime(text, sizeof(text), fmt, &tm);
	snprintf(fraction, sizeof(fraction), "%09u", (unsigned)(ns % 1000000000));
	buf_printf(out, "%s%s%.*s", text, digits ? "." : "", digits, fraction);
}

static void put_row(struct buf *out, const struct series *s, const struct frame *f, uint64_t at)
{
	char row[WIDTH + 1];

	memset(row, ' ', WIDTH);
	row[WIDTH] = 0;
	row[0] = row[WIDTH - 1] = '|';
	if (s->type->is_signed && f->min < 0 && f->max > 0)
		row[column(s, f, 0, WIDTH)] = '.';
	if (has(s, at))
		row[column(s, f, value_at(s, at), WIDTH - 1)] = '*';
	put_time(out, "%H:%M:%S", at * (uint64_t)s->type->args[0], f->digits);
	buf_printf(out, " %s ", row);
	if (has(s, at))
		buf_printf(out, s->type->is_signed ? "%lld\n" : "%llu\n",
			   (long long)value_at(s, at));
	else
		buf_puts(out, "-\n");
}

void series_text(struct buf *out, const struct series *s)
{
	static const char line[] = "___________________________________________________";
	struct frame f;

	if (!frame_of(s, &f)) {
		buf_puts(out, "<no data>\n");
		return;
	}
	put_edges(out, s, &f);
	buf_printf(out, "hh:mm:ss%-*s|%s|\n", f.time_width + 1 - 8, f.unit, line);
	for (uint64_t at = f.first; at <= f.last; at++)
		put_row(out, s, &f, at);
	buf_printf(out, "%*sv%sv\n", f.time_width + 1, "", line);
	put_edges(out, s, &f);
	buf_putc(out, '\n');
}

void series_json(struct buf *out, const struct series *s)
{
	const char *sep = "";
	struct frame f;
	bool any = frame_of(s, &f);

	buf_putc(out, '[');
	for (uint64_t at = f.first; any && at <= f.last; at++) {
		if (!has(s, at))
			continue;
		buf_printf(out, "%s{\"interval_start\": \"", sep);
		put_time(out, "%Y-%m-%dT%H:%M:%S", at * (uint64_t)s->type->args[0], NS_DIGITS);
		buf_printf(out,
			   s->type->is_signed ? "\", \"value\": %lld}" : "\", \"value\": %llu}",
			   (long long)value_at(s, at));
		sep = ", ";
	}
	buf_putc(out, ']');
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of histograms. */
#include <string.h>
#include <time.h>

#include "script/fn/builtin.h"
#include "script/run/runtime.h"

enum { BAR = 52 };

struct range {
	int64_t low, high; /* [low, high) */
	bool below, above; /* open to that side */
};

static struct range log_range(const struct type *t, uint64_t bucket)
{
	uint64_t k = (uint64_t)t->args[0], one = 1ull << k, j = bucket - 1, l;

	if (bucket == 0)
		return (struct range){.high = 0, .below = true};
	if (j < one)
		return (struct range){.low = (int64_t)j, .high = (int64_t)j + 1};
	l = (j - one) >> k;
	j -= l << k;
	return (struct range){.low = (int64_t)(j << l), .high = (int64_t)((j + 1) << l)};
}

static struct range linear_range(const struct type *t, uint64_t bucket)
{
	int64_t min = t->args[0], max = t->args[1], step = t->args[2];

	if (bucket == 0)
		return (struct range){.high = min, .below = true};
	if (bucket > (uint64_t)((max - min) / step))
		return (struct range){.low = max, .above = true};
	min += (int64_t)(bucket - 1) * step;
	return (struct range){.low = min, .high = min + step};
}

static struct range range_of(const struct type *t, uint64_t bucket)
{
	return t->kind == TY_HIST ? log_range(t, bucket) : linear_range(t, bucket);
}

/* 1024 as 1K, where the value is a whole number of them. */
static void put_bound(struct buf *b, int64_t bound, bool suffixes)
{
	static const char units[] = " KMGTPE";
	/* the end of the last bucket is 2^63 */
	__int128 v = bound == INT64_MIN ? (__int128)1 << 63 : bound;
	int u = 0;

	while (suffixes && v && v % 1024 == 0 && u < 6) {
		v /= 1024;
		u++;
	}
	buf_printf(b, "%lld", (long long)v);
	if (u)
		buf_putc(b, units[u]);
}

static void put_label(struct buf *b, const struct type *t, uint64_t bucket)
{
	struct range r = range_of(t, bucket);
	bool suffixes = t->kind == TY_HIST || t->args[2] % 1024 == 0;

	if (r.below) {
		buf_puts(b, "(..., ");
		put_bound(b, r.high, suffixes);
		buf_putc(b, ')');
		return;
	}
	buf_putc(b, '[');
	put_bound(b, r.low, suffixes);
	if (r.above) {
		buf_puts(b, ", ...)");
	} else if (r.high == r.low + 1) {
		buf_putc(b, ']');
	} else {
		buf_puts(b, ", ");
		put_bound(b, r.high, suffixes);
		buf_putc(b, ')');
	}
}

static bool extent(const uint64_t *counts, size_t n, size_t *first, size_t *last, uint64_t *max)
{
	*max = 0;
	for (size_t i = 0; i < n; i++) {
		if (!counts[i])
			continue;
		if (!*max)
			*first = i;
		*last = i;
		if (counts[i] > *max)
			*max = counts[i];
	}
	return *max > 0;
}

void hist_text(struct buf *out, const struct type *t, const uint64_t *counts, size_t n,
	       uint64_t div)
{
	size_t first = 0, last = 0;
	uint64_t max;

	if (t->kind != TY_HIST || !div)
		div = 1;
	for (bool any = extent(counts, n, &first, &last, &max); any && first <= last; first++) {
		struct buf label = {0};
		int bar = (int)((double)BAR * (double)counts[first] / (double)max);

		put_label(&label, t, first);
		buf_printf(out, "%-16s%8llu |", buf_str(&label),
			   (unsigned long long)(counts[first] / div));
		for (int i = 0; i < BAR; i++)
			buf_putc(out, i < bar ? '@' : ' ');
		buf_puts(out, "|\n");
		buf_free(&label);
	}
	buf_putc(out, '\n');
}

void hist_json(struct buf *out, const struct type *t, const uint64_t *counts, size_t n,
	       uint64_t div)
{
	size_t first = 0, last = 0;
	uint64_t max;
	const char *sep = "";

	if (t->kind != TY_HIST || !div)
		div = 1;
	buf_putc(out, '[');
	for (bool any = extent(counts, n, &first, &last, &max); any && first <= last; first++) {
		struct range r = range_of(t, first);

		buf_printf(out, "%s{", sep);
		if (!r.below)
			buf_printf(out, "\"min\": %lld, ", (long long)r.low);
		if (!r.above)
			buf_printf(out, "\"max\": %lld, ", (long long)r.high - 1);
		buf_printf(out, "\"count\": %llu}", (unsigned long long)(counts[first] / div));
		sep = ", ";
	}
	buf_putc(out, ']');
}

/* ---- time series ---- */

enum { SERIES_WIDTH = 52 };

struct series {
	const uint64_t *values, *stamps;
	size_t n;
	uint64_t first, last;
	int64_t min, max;
};

static bool series_has(const struct series *s, uint64_t at)
{
	size_t b = at % s->n;

	return s->stamps[b * 2] == at && s->stamps[b * 2 + 1];
}

static void series_range(struct series *s, const int64_t *range)
{
	bool any = false;

	for (size_t b = 0; b < s->n; b++)
		s->last = s->stamps[b * 2 + 1] && s->stamps[b * 2] > s->last ? s->stamps[b * 2]
									     : s->last;
	s->first = s->last;
	for (size_t b = 0; b < s->n; b++) {
		uint64_t at = s->stamps[b * 2];
		int64_t v = (int64_t)s->values[b];

		/* what is older than the window was not overwritten yet, but is no part of it */
		if (!s->stamps[b * 2 + 1] || at + s->n <= s->last)
			continue;
		s->first = at < s->first ? at : s->first;
		s->min = !any || v < s->min ? v : s->min;
		s->max = !any || v > s->max ? v : s->max;
		any = true;
	}
	if (range) {
		s->min = range[0];
		s->max = range[1];
	}
}

static int series_column(const struct series *s, int64_t v)
{
	v = v < s->min ? s->min : v > s->max ? s->max : v;
	return s->max > s->min ? (int)((__int128)(v - s->min) * SERIES_WIDTH / (s->max - s->min))
			       : 0;
}

static void series_frame(struct buf *out, const struct series *s, bool top)
{
	char line[SERIES_WIDTH];

	memset(line, '_', sizeof(line));
	if (top)
		buf_printf(out, "%-13s%-52lld%lld\n", "", (long long)s->min, (long long)s->max);
	buf_printf(out, "%-13s%c%.51s%c\n", top ? "hh:mm:ss.ms" : "", top ? '|' : 'v', line,
		   top ? '|' : 'v');
	if (!top)
		buf_printf(out, "%-13s%-52lld%lld\n", "", (long long)s->min, (long long)s->max);
}

static void series_row(struct buf *out, const struct series *s, uint64_t at, uint64_t span)
{
	char row[SERIES_WIDTH + 2];

	memset(row, ' ', SERIES_WIDTH + 1);
	row[SERIES_WIDTH + 1] = 0;
	if (s->min < 0 && s->max > 0)
		row[series_column(s, 0)] = '.';
	row[0] = row[SERIES_WIDTH] = '|';
	if (series_has(s, at))
		row[series_column(s, (int64_t)s->values[at % s->n])] = '*';
	format_time(out, "%H:%M:%S", at * span);
	buf_printf(out, ".%03llu %s ", (unsigned long long)(at * span / 1000000 % 1000), row);
	if (series_has(s, at))
		buf_printf(out, "%lld\n", (long long)s->values[at % s->n]);
	else
		buf_puts(out, "-\n");
}

void tseries_text(struct buf *out, const struct type *t, const uint64_t *values,
		  const uint64_t *stamps, size_t n, const int64_t *range)
{
	struct series s = {.values = values, .stamps = stamps, .n = n};

	series_range(&s, range);
	series_frame(out, &s, true);
	for (uint64_t at = s.first; at <= s.last && s.last; at++)
		series_row(out, &s, at, (uint64_t)t->args[0]);
	series_frame(out, &s, false);
	buf_putc(out, '\n');
}

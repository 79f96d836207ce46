/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of histograms. */
#include <string.h>

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
		return (struct range){.low = min + (max - min) / step * step, .above = true};
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

/* In single precision, as others draw them: the same figures give the same bars. */
static int bar_width(uint64_t count, uint64_t max)
{
	return max ? (int)((float)count / (float)max * BAR) : 0;
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
		int bar = bar_width(counts[first] / div, max / div);

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

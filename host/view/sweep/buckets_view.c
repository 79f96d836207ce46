/* SPDX-License-Identifier: Apache-2.0 */
/* buckets as one of the views of the command line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "view/sweep/buckets.h"
#include "view/table.h"
#include "view/view.h"

enum { BUCKETS_DEFAULT = 6, BUCKETS_MAX = 64 };

static void size_list(const int64_t *sizes, size_t n, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%lld", i ? "," : "", (long long)sizes[i]);
}

static void add_row(struct table *t, const char *what, const struct buckets_length *lengths,
		    size_t n, const int64_t *sizes, size_t k)
{
	struct buckets_cost c = {0};
	struct buf list = {0};

	buckets_cost(lengths, n, sizes, k, &c);
	size_list(sizes, k, &list);
	table_row(t);
	table_text(t, what);
	table_number(t, (double)k);
	table_number(t, (double)c.tokens);
	table_number(t, (double)c.padding);
	table_number(t,
		     c.tokens + c.padding ? (double)c.padding / (double)(c.tokens + c.padding) : 0);
	table_number(t, (double)c.unserved);
	table_text(t, buf_str(&list));
	buf_free(&list);
}

static struct table *new_table(void)
{
	struct table *t = table_new();

	table_column(t, "choice", "buckets", TABLE_TEXT);
	table_column(t, "count", "count", TABLE_COUNT);
	table_column(t, "tokens", "tokens", TABLE_COUNT);
	table_column(t, "padding", "padding", TABLE_COUNT);
	table_column(t, "padding_share", "of the work", TABLE_PERCENT);
	table_column(t, "unserved", "too long", TABLE_COUNT);
	table_column(t, "sizes", "sizes", TABLE_TEXT);
	return t;
}

static int print(const struct view_run *runs, size_t n_runs, const struct view_opts *o, FILE *out,
		 struct diag *d)
{
	int64_t *given = NULL, best[BUCKETS_MAX];
	size_t n, n_given = 0, k = o->count > 0 ? (size_t)o->count : BUCKETS_DEFAULT;
	struct buckets_length *lengths;
	struct table *t;
	int err = 0;

	(void)n_runs;
	if (k > BUCKETS_MAX || o->step < 0)
		return diag_fail(d, -EINVAL,
				 "buckets chooses 1 to %d sizes, of a step of 1 or more",
				 BUCKETS_MAX);
	if (o->sizes)
		err = buckets_parse(o->sizes, &given, &n_given, d);
	if (!err)
		err = buckets_lengths(runs[0].db, &lengths, &n, d);
	if (err) {
		free(given);
		return err;
	}
	t = new_table();
	if (given)
		add_row(t, "given", lengths, n, given, n_given);
	for (size_t i = 1, before = 0; i <= k; i++) {
		size_t used = buckets_best(lengths, n, i, o->step ? o->step : 1, best);

		if (used == before)
			break; /* more sizes than lengths gain nothing */
		add_row(t, "best", lengths, n, best, used);
		before = used;
	}
	table_print(t, o, 0, out);
	table_free(t);
	free(lengths);
	free(given);
	return 0;
}

const struct view view_buckets = {
	.name = "buckets",
	.args = "RUN",
	.help = "what padding prompts to fixed sizes costs, and the sizes that cost least",
	.options = "sizes count step json csv",
	.min_runs = 1,
	.max_runs = 1,
	.print = print,
};

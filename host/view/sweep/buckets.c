/* SPDX-License-Identifier: Apache-2.0 */
#include "view/sweep/buckets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/text.h"
#include "view/view.h"

int buckets_lengths(sqlite3 *db, struct buckets_length **out, size_t *n, struct diag *d)
{
	sqlite3_stmt *row =
		view_query(db, d,
			   "SELECT n_tokens, count(*) FROM token WHERE phase = 'prefill' "
			   "AND n_tokens > 0 GROUP BY 1 ORDER BY 1",
			   NULL);
	size_t cap = 0;

	*out = NULL;
	*n = 0;
	while (view_step(row))
		*VEC_PUSH(*out, *n, cap) = (struct buckets_length){sqlite3_column_int64(row, 0),
								   sqlite3_column_int64(row, 1)};
	if (!*n)
		return diag_fail(d, -ENOENT,
				 "the run has no prefill: no prompt lengths to look at");
	return 0;
}

int buckets_parse(const char *text, int64_t **sizes, size_t *n, struct diag *d)
{
	char *copy = xstrdup(text), *save = NULL;
	size_t cap = 0;
	int err = 0;

	*sizes = NULL;
	*n = 0;
	for (char *w = strtok_r(copy, ", ", &save); w && !err; w = strtok_r(NULL, ", ", &save)) {
		int64_t v;

		if (text_to_i64(w, &v) || v <= 0 || (*n && v <= (*sizes)[*n - 1]))
			err = diag_fail(d, -EINVAL,
					"'%s' in bucket sizes '%s': write rising whole numbers, as "
					"64,128,256",
					w, text);
		else
			*VEC_PUSH(*sizes, *n, cap) = v;
	}
	free(copy);
	if (!err && !*n)
		err = diag_fail(d, -EINVAL, "no bucket sizes given; write them as 64,128,256");
	if (err) {
		free(*sizes);
		*sizes = NULL;
	}
	return err;
}

void buckets_cost(const struct buckets_length *lengths, size_t n, const int64_t *sizes, size_t k,
		  struct buckets_cost *out)
{
	size_t b = 0;

	out->tokens = out->padding = out->unserved = 0;
	for (size_t i = 0; i < k && out->used; i++)
		out->used[i] = 0;
	for (size_t i = 0; i < n; i++) {
		while (b < k && sizes[b] < lengths[i].length)
			b++;
		if (b == k) {
			out->unserved += lengths[i].count;
			continue;
		}
		out->tokens += lengths[i].length * lengths[i].count;
		out->padding += (sizes[b] - lengths[i].length) * lengths[i].count;
		if (out->used)
			out->used[b] += lengths[i].count;
	}
}

/* Tokens of the prompts i..j when all are padded to the length of the last, on a step. */
struct prefix {
	int64_t count, tokens;
};

static int64_t padded(int64_t length, int64_t step)
{
	return (length + step - 1) / step * step;
}

/*
 * best[b][j]: least padding of prompts 0..j with b+1 buckets, the last of them ending at j. A best
 * bucket always ends at a prompt's (padded) length, so looking at those is exact.
 */
size_t buckets_best(const struct buckets_length *lengths, size_t n, size_t k, int64_t step,
		    int64_t *sizes)
{
	size_t rows = k < n ? k : n, used = 0;
	struct prefix *sum = xcalloc(n + 1, sizeof(*sum));
	int64_t *best = xcalloc(rows * n + 1, sizeof(*best));
	size_t *from = xcalloc(rows * n + 1, sizeof(*from));

	for (size_t i = 0; i < n; i++)
		sum[i + 1] = (struct prefix){sum[i].count + lengths[i].count,
					     sum[i].tokens + lengths[i].count * lengths[i].length};
	for (size_t b = 0; b < rows; b++)
		for (size_t j = 0; j < n; j++) {
			int64_t size = padded(lengths[j].length, step);

			best[b * n + j] = size * sum[j + 1].count - sum[j + 1].tokens;
			from[b * n + j] = 0;
			for (size_t i = 1; b && i <= j; i++) {
				int64_t cost = best[(b - 1) * n + i - 1] +
					       size * (sum[j + 1].count - sum[i].count) -
					       (sum[j + 1].tokens - sum[i].tokens);

				if (cost < best[b * n + j]) {
					best[b * n + j] = cost;
					from[b * n + j] = i;
				}
			}
		}
	if (n && rows) {
		size_t b = rows - 1, j = n - 1;

		for (;;) {
			sizes[used++] = padded(lengths[j].length, step);
			if (!from[b * n + j])
				break;
			j = from[b * n + j] - 1;
			b--;
		}
	}
	for (size_t i = 0; i < used / 2; i++) {
		int64_t tmp = sizes[i];

		sizes[i] = sizes[used - 1 - i];
		sizes[used - 1 - i] = tmp;
	}
	free(sum);
	free(best);
	free(from);
	return used;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "view/diff/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "view/view.h"

enum { MIN_SAMPLES = 8, MIN_TAIL = 5 };

struct value {
	double v;
	int first; /* of the first side */
};

static int by_value(const void *a, const void *b)
{
	const struct value *x = a, *y = b;

	return (x->v > y->v) - (x->v < y->v);
}

/* Sum of the ranks of the first side; equal values share their mean rank. */
static double rank_sum(const struct value *v, size_t n, double *ties)
{
	double sum = 0;

	for (size_t i = 0, k; i < n; i = k) {
		for (k = i; k < n && v[k].v == v[i].v; k++)
			;
		double equal = (double)(k - i), rank = (double)(i + 1 + k) / 2;

		for (size_t j = i; j < k; j++)
			sum += v[j].first ? rank : 0;
		*ties += equal * equal * equal - equal;
	}
	return sum;
}

static const double alpha = 0.01, min_change = 0.005;

bool rank_differs(double p, double change)
{
	return p <= alpha && fabs(change) >= min_change;
}

double rank_test(const double *a, size_t n, const double *b, size_t m)
{
	double x = (double)n, y = (double)m, all = x + y, ties = 0, u, sd, z;
	struct value *v;

	if (n < MIN_SAMPLES || m < MIN_SAMPLES)
		return NAN;
	v = xcalloc(n + m, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = (struct value){a[i], 1};
	for (size_t i = 0; i < m; i++)
		v[n + i] = (struct value){b[i], 0};
	qsort(v, n + m, sizeof(*v), by_value);
	u = rank_sum(v, n + m, &ties) - x * (x + 1) / 2;
	free(v);
	sd = sqrt(x * y / 12 * (all + 1 - ties / (all * (all - 1))));
	if (!(sd > 0))
		return 1; /* all equal */
	z = fmax(0, fabs(u - x * y / 2) - 0.5) / sd;
	return erfc(z / sqrt(2));
}

static void mean_and_variance(const double *v, size_t n, double *mean, double *variance)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		sum += v[i];
	*mean = sum / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (v[i] - *mean) * (v[i] - *mean);
	*variance = squares / (double)(n - 1);
}

double rank_mean_test(const double *a, size_t n, const double *b, size_t m)
{
	double mean_a, mean_b, var_a, var_b, sd;

	if (n < MIN_SAMPLES || m < MIN_SAMPLES)
		return NAN;
	mean_and_variance(a, n, &mean_a, &var_a);
	mean_and_variance(b, m, &mean_b, &var_b);
	sd = sqrt(var_a / (double)n + var_b / (double)m);
	if (!(sd > 0))
		return mean_a == mean_b; /* no spread at all: equal, or surely not */
	return erfc(fabs(mean_a - mean_b) / sd / sqrt(2));
}

static double above(const double *v, size_t n, double limit)
{
	double count = 0;

	for (size_t i = 0; i < n; i++)
		count += v[i] > limit;
	return count;
}

double rank_tail_test(const double *a, size_t n, const double *b, size_t m, double q)
{
	double x = (double)n, all = (double)(n + m), limit, tail, high, expected, sd;
	double *both;

	if ((double)(n < m ? n : m) * (1 - q / 100) < MIN_TAIL)
		return NAN;
	both = xcalloc(n + m, sizeof(*both));
	memcpy(both, a, n * sizeof(*both));
	memcpy(both + n, b, m * sizeof(*both));
	qsort(both, n + m, sizeof(*both), view_cmp_double);
	limit = view_percentile(both, n + m, q);
	free(both);
	high = above(a, n, limit);
	tail = high + above(b, m, limit);
	/* Of `tail` marked among all, how many fall to the first side: hypergeometric. */
	expected = tail * x / all;
	sd = sqrt(expected * (1 - x / all) * (all - tail) / (all - 1));
	if (!(sd > 0))
		return 1;
	return erfc(fmax(0, fabs(high - expected) - 0.5) / sd / sqrt(2));
}

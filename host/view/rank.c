/* SPDX-License-Identifier: Apache-2.0 */
#include "view/rank.h"

#include <math.h>
#include <stdlib.h>

#include "util/alloc.h"

enum { MIN_SAMPLES = 8 };

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

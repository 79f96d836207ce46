/* SPDX-License-Identifier: Apache-2.0 */
/* The rank test of Mann, Whitney and Wilcoxon. */
#ifndef LLMPROBE_VIEW_RANK_H
#define LLMPROBE_VIEW_RANK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Two-sided p of the samples coming from the same distribution, by the normal approximation with
 * corrections for ties and continuity; NAN when one side has fewer than 8 samples.
 */
double rank_test(const double *a, size_t n, const double *b, size_t m);
/*
 * Whether two sides differ: p is small enough, and the relative change of their medians (or of what
 * is compared) is worth a word. Both are asked for, as of many samples any trifle is significant.
 */
bool rank_differs(double p, double change);

#endif

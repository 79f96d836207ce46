/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of whether two sets of samples differ. All give a two-sided p, by normal approximation. */
#ifndef LLMPROBE_VIEW_RANK_H
#define LLMPROBE_VIEW_RANK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Mann, Whitney and Wilcoxon: whether one side tends to be larger, whatever a few outliers do. With
 * corrections for ties and continuity; NAN when one side has fewer than 8 samples.
 */
double rank_test(const double *a, size_t n, const double *b, size_t m);
/* Welch: whether the means differ; NAN when one side has fewer than 8 samples. */
double rank_mean_test(const double *a, size_t n, const double *b, size_t m);
/* Whether one side has more of its samples above the percentile `q` (0..100) of both together; NAN
 * when fewer than 5 would be expected there of either side. */
double rank_tail_test(const double *a, size_t n, const double *b, size_t m, double q);
/*
 * Whether two sides differ: p is small enough, and the relative change of their medians (or of what
 * is compared) is worth a word. Both are asked for, as of many samples any trifle is significant.
 */
bool rank_differs(double p, double change);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The rank test of Mann, Whitney and Wilcoxon. */
#ifndef LLMPROBE_VIEW_RANK_H
#define LLMPROBE_VIEW_RANK_H

#include <stddef.h>

/*
 * Two-sided p of the samples coming from the same distribution, by the normal approximation with
 * corrections for ties and continuity; NAN when one side has fewer than 8 samples.
 */
double rank_test(const double *a, size_t n, const double *b, size_t m);

#endif

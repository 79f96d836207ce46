/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LLMPROBE_UTIL_MEDIAN_H
#define LLMPROBE_UTIL_MEDIAN_H

#include <stddef.h>

/* Sorts `v`; of an even number the middle two's mean, of none NAN. */
double median(double *v, size_t n);

#endif

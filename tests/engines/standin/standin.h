/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STANDIN_H
#define STANDIN_H

#include <time.h>

/* Busy for so many microseconds. */
static inline void standin_work(long us)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	do
		clock_gettime(CLOCK_MONOTONIC, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000 < us);
}

/* A function of any library that takes up to six integers or pointers and returns a status. */
#define STANDIN_CALL(name)                                                                         \
	int name(long a, long b, long c, long d, long e, long f)                                   \
	{                                                                                          \
		standin_work(3);                                                                   \
		return !(a && b && c && d && e && f);                                              \
	}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks as plain nanoseconds. */
#ifndef LLMPROBE_UTIL_CLOCK_H
#define LLMPROBE_UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* CLOCK_MONOTONIC: the clock of every record. */
static inline uint64_t clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

#endif

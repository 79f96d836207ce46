/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the test programs themselves as the targets of probes. */
#ifndef LLMPROBE_TESTS_OWN_CODE_H
#define LLMPROBE_TESTS_OWN_CODE_H

#include <stdint.h>
#include <stdio.h>

/* Called as it stands, whatever the compiler sees of it. */
#ifdef __clang__
#define KEPT_APART __attribute__((noinline, optnone))
#else
#define KEPT_APART __attribute__((noinline, noipa))
#endif

#ifdef __aarch64__
#define SAVED_REGISTER "x19"
#else
#define SAVED_REGISTER "rbx"
#endif

/* On x86 its first instruction is a push, which the kernel emulates. */
#define PROBE_TARGET(name)                                                                         \
	KEPT_APART void name(long value);                                                          \
	KEPT_APART void name(long value)                                                           \
	{                                                                                          \
		__asm__ volatile("" : : "r"(value) : SAVED_REGISTER, "memory");                    \
	}

/* The offset in its file of an address of this program, 0 when it is in none. */
static inline uint64_t own_offset(const void *address)
{
	unsigned long start, end, offset, at = (unsigned long)address;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	uint64_t found = 0;

	while (maps && !found && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && at >= start &&
		    at < end)
			found = at - start + offset;
	if (maps)
		fclose(maps);
	return found;
}

#endif

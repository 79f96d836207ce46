/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/counter_names.h"

#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

#define HW(event) PERF_TYPE_HARDWARE, PERF_COUNT_HW_##event
#define SW(event) PERF_TYPE_SOFTWARE, PERF_COUNT_SW_##event
#define CACHE(which, op, result)                                                                   \
	PERF_TYPE_HW_CACHE, (PERF_COUNT_HW_CACHE_##which | PERF_COUNT_HW_CACHE_OP_##op << 8 |      \
			     PERF_COUNT_HW_CACHE_RESULT_##result << 16)
#define CACHE_FAMILY(name, which)                                                                  \
	{name "-loads", CACHE(which, READ, ACCESS)},                                               \
		{name "-load-misses", CACHE(which, READ, MISS)},                                   \
		{name "-stores", CACHE(which, WRITE, ACCESS)},                                     \
		{name "-store-misses", CACHE(which, WRITE, MISS)},                                 \
		{name "-prefetches", CACHE(which, PREFETCH, ACCESS)},                              \
	{                                                                                          \
		name "-prefetch-misses", CACHE(which, PREFETCH, MISS)                              \
	}

static const struct {
	const char *name;
	uint32_t type;
	uint64_t config;
} events[] = {
	{"cycles", HW(CPU_CYCLES)},
	{"cpu-cycles", HW(CPU_CYCLES)},
	{"instructions", HW(INSTRUCTIONS)},
	{"cache-references", HW(CACHE_REFERENCES)},
	{"cache-misses", HW(CACHE_MISSES)},
	{"branches", HW(BRANCH_INSTRUCTIONS)},
	{"branch-instructions", HW(BRANCH_INSTRUCTIONS)},
	{"branch-misses", HW(BRANCH_MISSES)},
	{"bus-cycles", HW(BUS_CYCLES)},
	{"ref-cycles", HW(REF_CPU_CYCLES)},
	{"stalled-cycles-frontend", HW(STALLED_CYCLES_FRONTEND)},
	{"stalled-cycles-backend", HW(STALLED_CYCLES_BACKEND)},
	{"cpu-clock", SW(CPU_CLOCK)},
	{"task-clock", SW(TASK_CLOCK)},
	{"cpu-migrations", SW(CPU_MIGRATIONS)},
	{"migrations", SW(CPU_MIGRATIONS)},
	{"alignment-faults", SW(ALIGNMENT_FAULTS)},
	{"emulation-faults", SW(EMULATION_FAULTS)},
	CACHE_FAMILY("L1-dcache", L1D),
	CACHE_FAMILY("LLC", LL),
	CACHE_FAMILY("dTLB", DTLB),
	CACHE_FAMILY("node", NODE),
	{"L1-icache-loads", CACHE(L1I, READ, ACCESS)},
	{"L1-icache-load-misses", CACHE(L1I, READ, MISS)},
	{"iTLB-loads", CACHE(ITLB, READ, ACCESS)},
	{"iTLB-load-misses", CACHE(ITLB, READ, MISS)},
	{"branch-loads", CACHE(BPU, READ, ACCESS)},
	{"branch-load-misses", CACHE(BPU, READ, MISS)},
};

static const struct {
	const char *name, *unit;
	enum task_field fields[2];
	unsigned n;
} task_values[] = {
	{"page-faults", "events", {TASK_MIN_FLT, TASK_MAJ_FLT}, 2},
	{"faults", "events", {TASK_MIN_FLT, TASK_MAJ_FLT}, 2},
	{"minor-faults", "events", {TASK_MIN_FLT}, 1},
	{"major-faults", "events", {TASK_MAJ_FLT}, 1},
	{"context-switches", "events", {TASK_NVCSW, TASK_NIVCSW}, 2},
	{"cs", "events", {TASK_NVCSW, TASK_NIVCSW}, 2},
	{"voluntary-switches", "events", {TASK_NVCSW}, 1},
	{"involuntary-switches", "events", {TASK_NIVCSW}, 1},
	{"run-delay", "ns", {TASK_RUN_DELAY}, 1},
};

const char *counter_name(size_t i)
{
	if (i < ARRAY_LEN(events))
		return events[i].name;
	i -= ARRAY_LEN(events);
	return i < ARRAY_LEN(task_values) ? task_values[i].name : NULL;
}

static bool same(const char *name, const char *word, size_t len)
{
	return strlen(name) == len && !strncmp(name, word, len);
}

static bool is_raw(const char *name, size_t len)
{
	return len > 1 && len <= 17 && name[0] == 'r' &&
	       strspn(name + 1, "0123456789abcdefABCDEF") >= len - 1;
}

bool counter_lookup(const char *name, size_t len, struct counter *out)
{
	size_t i;

	out->unit = "events";
	for (i = 0; i < ARRAY_LEN(task_values); i++) {
		if (!same(task_values[i].name, name, len))
			continue;
		out->method = COUNTER_TASK;
		out->unit = task_values[i].unit;
		out->n_fields = task_values[i].n;
		memcpy(out->fields, task_values[i].fields, sizeof(out->fields));
		return true;
	}
	out->method = COUNTER_EVENT;
	for (i = 0; i < ARRAY_LEN(events); i++) {
		if (!same(events[i].name, name, len))
			continue;
		out->attr.type = events[i].type;
		out->attr.config = events[i].config;
		if (events[i].type == PERF_TYPE_SOFTWARE &&
		    (events[i].config == PERF_COUNT_SW_CPU_CLOCK ||
		     events[i].config == PERF_COUNT_SW_TASK_CLOCK))
			out->unit = "ns";
		return true;
	}
	if (!is_raw(name, len))
		return false;
	out->attr.type = PERF_TYPE_RAW;
	out->attr.config = strtoull(name + 1, NULL, 16);
	return true;
}

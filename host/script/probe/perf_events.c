/* SPDX-License-Identifier: Apache-2.0 */
/* Counted events that software: and hardware: probes name. */
#include <linux/perf_event.h>
#include <string.h>

#include "script/probe/probe.h"

const struct perf_event_name perf_event_names[] = {
	{"alignment-faults", "", PROBE_SOFTWARE, PERF_COUNT_SW_ALIGNMENT_FAULTS, 1},
	{"bpf-output", "", PROBE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT, 1},
	{"context-switches", "cs", PROBE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, 1000},
	{"cpu-clock", "cpu", PROBE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 1000000},
	{"cpu-migrations", "", PROBE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, 1},
	{"dummy", "", PROBE_SOFTWARE, PERF_COUNT_SW_DUMMY, 1},
	{"emulation-faults", "", PROBE_SOFTWARE, PERF_COUNT_SW_EMULATION_FAULTS, 1},
	{"major-faults", "", PROBE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ, 1},
	{"minor-faults", "", PROBE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN, 100},
	{"page-faults", "faults", PROBE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 100},
	{"task-clock", "", PROBE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, 1},
	{"backend-stalls", "", PROBE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND, 1000000},
	{"branch-instructions", "branches", PROBE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
	 100000},
	{"branch-misses", "", PROBE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES, 100000},
	{"bus-cycles", "", PROBE_HARDWARE, PERF_COUNT_HW_BUS_CYCLES, 100000},
	{"cache-misses", "", PROBE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, 1000000},
	{"cache-references", "", PROBE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES, 1000000},
	{"cpu-cycles", "cycles", PROBE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 1000000},
	{"frontend-stalls", "", PROBE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND, 1000000},
	{"instructions", "", PROBE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, 1000000},
	{"ref-cycles", "", PROBE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES, 1000000},
	{.name = NULL},
};

const struct perf_event_name *perf_event_find(enum probe_kind kind, const char *name)
{
	for (const struct perf_event_name *e = perf_event_names; e->name; e++)
		if (e->kind == kind && (strcmp(e->name, name) == 0 || strcmp(e->alias, name) == 0))
			return e;
	return NULL;
}

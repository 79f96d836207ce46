/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Counters of an operator: values at its begin and at the last barrier entry (or its end), the
 * difference goes into the slot.
 *
 * Defines: N_COUNTERS and COUNTER_0.. as counter_task(offset), counter_perf(index) or so on.
 */
#if N_COUNTERS
#define COUNTERS_EACH(x, to)                                                                       \
	do {                                                                                       \
	} while (0)
#endif

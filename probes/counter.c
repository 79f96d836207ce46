/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Counters of an operator: read at its begin and at its last barrier entry; the slot gets the
 * difference. Two kinds, told apart per counter by the host:
 *   counter_task(task, offset, bytes)   a sum that the kernel keeps in task_struct: the thread's
 *                                       own, right under migration and preemption
 *   counter_perf(t, index)              a perf event of this thread or CPU
 *
 * Defines: N_COUNTERS, COUNTER_0.. in terms of `t` and `task`; TASK_OFF_*.
 */
#if N_COUNTERS
struct counter_reading {
	u64 counter, enabled, running;
};

INLINE u64 counter_task(u64 task, u32 offset, u32 bytes)
{
	u64 v = 0;

	read_kernel(&v, bytes, (void *)(task + offset));
	return v;
}

/* One perf event array; counter `index` of thread slot `s` is at s * N_COUNTERS + index. */
INLINE u64 counter_perf(struct thread_state *t, u32 index)
{
	struct counter_reading r = {};

	if (read_counter(EXTERN_MAP(MAP_COUNTER), t->slot * N_COUNTERS + index, &r, sizeof(r)))
		return 0;
	t->read_enabled_ns = r.enabled;
	t->read_running_ns = r.running;
	return r.counter;
}

INLINE void counters_read(struct thread_state *t, u64 *out)
{
	u64 task = current_task();

	out[0] = COUNTER_0;
#if N_COUNTERS > 1
	out[1] = COUNTER_1;
#endif
#if N_COUNTERS > 2
	out[2] = COUNTER_2;
#endif
#if N_COUNTERS > 3
	out[3] = COUNTER_3;
#endif
#if N_COUNTERS > 4
	out[4] = COUNTER_4;
#endif
#if N_COUNTERS > 5
	out[5] = COUNTER_5;
#endif
#if N_COUNTERS > 6
	out[6] = COUNTER_6;
#endif
#if N_COUNTERS > 7
	out[7] = COUNTER_7;
#endif
}

INLINE void counters_begin(struct thread_state *t)
{
	counters_read(t, t->op.counter);
	t->op.enabled_ns = t->read_enabled_ns;
	t->op.running_ns = t->read_running_ns;
}

INLINE void counters_end(struct thread_state *t)
{
	counters_read(t, t->op.counter_end);
}

INLINE void counters_store(struct thread_state *t, u64 *out)
{
	if (!t->op.barrier_ns)
		counters_end(t);
#pragma unroll
	for (int i = 0; i < N_COUNTERS; i++)
		out[i] = t->op.counter_end[i] - t->op.counter[i];
	out[N_COUNTERS] = t->read_enabled_ns - t->op.enabled_ns;
	out[N_COUNTERS + 1] = t->read_running_ns - t->op.running_ns;
}
#endif

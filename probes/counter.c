/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Counters of an operator: read at its begin and at its last barrier entry (or its end); the slot
 * gets the differences. counters_read() is written by the host from the counters' names: it fills
 * N_COUNTERS values and the enabled and running time, of the calling thread alone.
 *
 * A reading that fails (the thread's events are not open yet) leaves the operator without counters
 * rather than with wrong ones.
 */
#if N_COUNTERS
INLINE int counters_take(struct thread_state *t, u64 *v)
{
	return !counters_read((void *)current_task(), t->slot, v);
}

INLINE void counters_begin(struct thread_state *t)
{
	t->op.counted = counters_take(t, t->op.counter);
}

INLINE void counters_end(struct thread_state *t)
{
	if (t->op.counted)
		t->op.counted = counters_take(t, t->op.counter_end);
}

/* Returns the flag that says whether the values are good. */
INLINE u16 counters_store(struct thread_state *t, u64 *out)
{
	if (!t->op.barrier_ns)
		counters_end(t);
#pragma unroll
	for (int i = 0; i < N_COUNTERS + 2; i++)
		out[i] = t->op.counted ? t->op.counter_end[i] - t->op.counter[i] : 0;
	return t->op.counted ? OP_COUNTED : 0;
}
#endif

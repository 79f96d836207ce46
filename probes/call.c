/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Calls of an engine's API (CUDA, Vulkan, Neuron, ggml's own synchronize): one record per call,
 * sent at its return. Begins wait on a small stack per thread; the end of a call has the number of
 * its begin plus one, so a call whose return was missed is found out by the next.
 *
 * Defines: LEVEL_OF_CALLS, the level that the points belong to.
 */
INLINE int call_begin(u32 point, u64 a, u64 b, u64 c, u64 d)
{
	struct thread_state *t = skip_process() ? 0 : thread_state();
	struct call_frame *f;
	u32 n;

	if (!t)
		return 0;
	count_hit(LEVEL_OF_CALLS);
	n = t->n_calls;
	/* A function is not called from within itself: what lies there never returned. */
#pragma clang loop unroll(disable)
	for (int i = CALL_DEPTH - 1; i >= 0; i--)
		if ((u32)i < n && t->call[i].point == point)
			n = i;
	if (n >= CALL_DEPTH) {
		count_loss(LEVEL_OF_CALLS, 1);
		return 0;
	}
	t->n_calls = n + 1;
	barrier_var(n); /* or the compiler drops the mask that the verifier wants */
	f = &t->call[n & (CALL_DEPTH - 1)];
	f->point = point;
	f->arg[0] = a;
	f->arg[1] = b;
	f->arg[2] = c;
	f->arg[3] = d;
	f->begin_ns = now_ns();
	return 0;
}

INLINE int call_end(struct pt_regs *ctx, u32 point, s64 ret)
{
	struct thread_state *t = skip_process() ? 0 : thread_state();
	u32 at = CALL_DEPTH, begin = point - 1;
	u64 end = now_ns();
	struct rec_call rec = {};
	struct call_frame *f;

	if (!t)
		return 0;
	count_hit(LEVEL_OF_CALLS);
#pragma clang loop unroll(disable)
	for (int i = 0; i < CALL_DEPTH; i++)
		if ((u32)i < t->n_calls && t->call[i].point == begin)
			at = i;
	/* Not there: it began before the level was switched on. */
	if (at >= CALL_DEPTH)
		return 0;
	barrier_var(at);
	f = &t->call[at & (CALL_DEPTH - 1)];
	t->n_calls = at;
	fill_head(&rec.head, sizeof(rec), REC_CALL, LEVEL_OF_CALLS, begin);
	rec.head.ts_ns = f->begin_ns;
	rec.end_ns = end;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 4; i++)
		rec.arg[i] = f->arg[i];
	rec.ret = ret;
	emit(ctx, LEVEL_OF_CALLS, &rec, sizeof(rec), 1);
	return 0;
}

#define PROGRAM_call_begin(name, point, a, b, c, d)                                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return call_begin(point, a, b, c, d);                                              \
	}

#define PROGRAM_call_end(name, point, ret)                                                         \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return call_end(ctx, point, (s64)(s32)(ret));                                      \
	}

/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Which backends a scheduler of ggml has: one record per backend, once per scheduler, from which
 * the host learns the addresses of their compute functions. A command that we started waits until
 * it has them, so that the first graph is seen, too.
 *
 * Defines: LAYOUT_SCHED_N_BACKENDS, LAYOUT_SCHED_BACKENDS, LAYOUT_BACKEND_GRAPH_COMPUTE,
 * LAYOUT_BACKEND_GUID (when there is one); without the first three there is nothing to read.
 */
enum { BACKENDS_MAX = 16 /* as many as backends_send sends */, STOP_SIGNAL = 19 /* SIGSTOP */ };

INLINE void backend_send(void *ctx, u32 point, u64 backend)
{
	struct rec_backend rec = {};

	fill_head(&rec.head, sizeof(rec), REC_BACKEND, LEVEL_GRAPH, point);
	rec.backend = backend;
#ifdef LAYOUT_BACKEND_GRAPH_COMPUTE
	rec.compute = RD_U64(backend + LAYOUT_BACKEND_GRAPH_COMPUTE);
#endif
	read_guid(rec.guid, backend);
	if (rec.compute)
		emit(ctx, LEVEL_GRAPH, &rec, sizeof(rec), 1);
}

#if defined(LAYOUT_SCHED_N_BACKENDS) && defined(LAYOUT_SCHED_BACKENDS)
struct backend_loop {
	void *ctx;
	u64 at; /* address of the next pointer */
	u64 point;
};

#ifdef HAVE_BPF_LOOP
int cc_2(void *round)
{
	struct backend_loop *l;

	asm volatile("%0 = r2" : "=r"(l));
	backend_send(l->ctx, l->point, RD_U64(l->at));
	l->at += 8;
	return 0;
}

INLINE void backends_send(struct backend_loop *l, u32 n)
{
	void *send;

	CALLBACK(send, 2);
	loop_rounds(n, send, l, 0);
}
#else
/* One by one: in a loop Linux 6.1 loses its way back (EFAULT), and clang does not unroll it. */
#define SEND(i)                                                                                    \
	if ((i) < n)                                                                               \
	backend_send(l->ctx, l->point, RD_U64(l->at + (i)*8))

INLINE void backends_send(struct backend_loop *l, u32 n)
{
	/* Clang 18 would drop the bound below for the caller's, which the verifier has lost. */
	barrier_var(n);
	SEND(0);
	SEND(1);
	SEND(2);
	SEND(3);
	SEND(4);
	SEND(5);
	SEND(6);
	SEND(7);
	SEND(8);
	SEND(9);
	SEND(10);
	SEND(11);
	SEND(12);
	SEND(13);
	SEND(14);
	SEND(15);
}
#endif

INLINE int scheduler_seen(struct pt_regs *ctx, u32 point, u64 sched)
{
	struct backend_loop l = {ctx, sched + LAYOUT_SCHED_BACKENDS, point};
	struct tensor_key key = {sched, pid_tgid() >> 32};
	u32 n = RD_U32(sched + LAYOUT_SCHED_N_BACKENDS);
	u64 first = RD_U64(sched + LAYOUT_SCHED_BACKENDS), *seen;

	if (skip_process())
		return 0;
	count_hit(LEVEL_GRAPH);
	/* The address may serve another scheduler later. */
	first = (first ^ ((u64)n << 56)) | 1;
	seen = map_lookup(EXTERN_MAP(MAP_SEEN), &key);
	if (n > BACKENDS_MAX || (seen && *seen == first))
		return 0;
	map_update(EXTERN_MAP(MAP_SEEN), &key, &first, 0);
	backends_send(&l, n);
	if (control_get(CONTROL_HOLDS))
		send_signal_thread(STOP_SIGNAL);
	return 0;
}
#else
INLINE int scheduler_seen(struct pt_regs *ctx, u32 point, u64 sched)
{
	return 0;
}
#endif

#define PROGRAM_scheduler_seen(name, point, sched)                                                 \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return scheduler_seen(ctx, point, sched);                                          \
	}

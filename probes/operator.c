/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Operator level. The hot path is one begin hit per operator and thread and one hit per barrier;
 * both touch only the thread's own state. A begin closes the operator before it:
 *
 *   begin A ... barrier entries inside A ... last barrier entry | wait | begin B
 *           '---------- compute ------------'
 *
 * Slots leave in batches. What the tensors are is sent once per graph by the walk (walk.c).
 *
 * Where the engine's loop over nodes tells which node ends, node.c needs one hit only.
 *
 * Where only some kinds of operators are wanted, their own functions are probed instead, at entry
 * (op_own) and exit (op_end).
 *
 * Defines: LAYOUT_PARAMS_ITH, N_COUNTERS, SUMMARY (aggregate here, send nothing), FILTER (the walk
 * marked the tensors that are not wanted).
 */
#define SLOT_BYTES (sizeof(struct op_slot) + (N_COUNTERS ? (N_COUNTERS + 2) * 8 : 0))

/* Slots of a batch: a power of two, so that the verifier sees the index bounded by a mask. */
#if N_COUNTERS == 0
#define OP_BATCH 64
#elif N_COUNTERS <= 4
#define OP_BATCH 32
#else
#define OP_BATCH 16
#endif

INLINE u64 raw_u64(const u8 *raw, u32 offset)
{
	return *(const u64 *)(raw + offset);
}

/* Whether the bit of an operator's number is set in <which>_0 to <which>_3. */
#define OP_BIT(op, which)                                                                          \
	(((op) < 64    ? which##_0                                                                 \
	  : (op) < 128 ? which##_1                                                                 \
	  : (op) < 192 ? which##_2                                                                 \
		       : which##_3) >>                                                             \
		 ((op)&63) &                                                                       \
	 1)

INLINE void batch_send(void *ctx, struct thread_state *t, u32 n)
{
	u32 size = sizeof(t->head) + n * SLOT_BYTES;

	fill_head(&t->head.head, size, REC_OPS, LEVEL_OPERATOR, 0);
	t->head.n = n;
	t->head.n_counters = N_COUNTERS;
	t->head.first = t->first;
	t->first += n;
	t->n_ops = 0;
	emit(ctx, LEVEL_OPERATOR, &t->head, size, n);
}

#ifdef SUMMARY
INLINE u32 log2_bucket(u64 v)
{
	u32 b = 0;

	if (v >> 31)
		return OP_SUM_BUCKETS - 1;
	if (v >> 16) {
		b += 16;
		v >>= 16;
	}
	if (v >> 8) {
		b += 8;
		v >>= 8;
	}
	if (v >> 4) {
		b += 4;
		v >>= 4;
	}
	if (v >> 2) {
		b += 2;
		v >>= 2;
	}
	return b + (v >> 1);
}

INLINE void op_store(void *ctx, struct thread_state *t, u64 end, u64 next, u16 flags)
{
	struct summary_key key = {t->op.tensor, t->tid, t->pid};
	struct op_summary *s = map_lookup(EXTERN_MAP(MAP_SUMMARY), &key);
	u64 compute = end - t->op.begin_ns;

	if (!s) {
		struct op_summary fresh = {};

		fresh.min_ns = ~0ULL;
		map_update(EXTERN_MAP(MAP_SUMMARY), &key, &fresh, 1);
		s = map_lookup(EXTERN_MAP(MAP_SUMMARY), &key);
	}
	if (!s) {
		count_loss(LEVEL_OPERATOR, 1);
		return;
	}
	s->count++;
	s->compute_ns += compute;
	s->wait_ns += next - end;
	s->min_ns = compute < s->min_ns ? compute : s->min_ns;
	s->max_ns = compute > s->max_ns ? compute : s->max_ns;
	s->ith = t->op.ith;
	s->flags |= flags;
	s->log2[log2_bucket(compute) & (OP_SUM_BUCKETS - 1)]++;
}
#else
INLINE void op_store(void *ctx, struct thread_state *t, u64 end, u64 next, u16 flags)
{
	u32 n = t->n_ops & (OP_BATCH - 1);
	struct op_slot *s = (void *)(t->batch + n * SLOT_BYTES);

	s->tensor = t->op.tensor;
	s->begin_ns = t->op.begin_ns;
	s->end_ns = end;
	s->next_ns = next;
	s->cpu = t->op.cpu;
	s->ith = t->op.ith;
#if N_COUNTERS
	flags |= counters_store(t, (u64 *)(s + 1));
#endif
	s->flags = flags;
	s->end_cpu = t->op.barrier_ns ? t->op.barrier_cpu : this_cpu();
	if (n + 1 == OP_BATCH)
		batch_send(ctx, t, OP_BATCH);
	else
		t->n_ops = n + 1;
}
#endif

/* Ends the thread's running operator, if there is one: something else begins at `now`. */
INLINE void op_close(void *ctx, struct thread_state *t, u64 now, u16 flags)
{
	u64 end;

	if (!t->op.tensor)
		return;
	if (t->op.barrier_ns && !t->op.at_end && control_get(CONTROL_NO_BARRIER))
		t->op.barrier_ns = 0;
	end = t->op.barrier_ns;
	flags |= t->op.flags;
	if (end)
		flags |= OP_HAS_BARRIER;
	op_store(ctx, t, end ? end : now, now, flags);
	t->op.tensor = 0;
}

/* A read of user memory costs as much as all the rest of the program, so it is done once per graph:
 * a worker keeps its index while a graph is computed. */
INLINE u16 worker_index(struct thread_state *t, u64 params)
{
	u64 graphs = control_get(CONTROL_GRAPHS);

	if (t->graphs != graphs) {
		t->graphs = graphs;
		t->ith = RD_U32(params + LAYOUT_PARAMS_ITH);
	}
	return t->ith;
}

#ifdef FILTER
/* What the walk has not seen is no node of a graph that was seen from its begin. */
INLINE int op_wanted(struct thread_state *t, u64 tensor)
{
	struct tensor_key key = {tensor, t->pid};
	u64 *seen = map_lookup(EXTERN_MAP(MAP_SEEN), &key);

	return seen && !(*seen & TENSOR_UNWANTED);
}
#else
#define op_wanted(t, tensor) 1
#endif

INLINE void op_start(struct pt_regs *ctx, u32 point, struct thread_state *t, u64 params, u64 tensor,
		     u64 now, u16 flags)
{
	t->op.tensor = tensor;
	t->op.begin_ns = now;
	t->op.barrier_ns = 0;
	t->op.nested = 0;
	t->op.at_end = 0;
	t->op.cpu = this_cpu();
	t->op.ith = worker_index(t, params);
	t->op.flags = flags;
#if N_COUNTERS
	counters_begin(t);
#endif
#ifdef LAYOUT_OP_MUL_MAT_ID
	if (!t->op.ith && control_get(CONTROL_MOE))
		experts_begin(ctx, t, point, tensor);
#endif
}

/* The calling thread's state with the hit counted. */
INLINE struct thread_state *op_hit(void)
{
	struct thread_state *t;

	if (skip_process())
		return 0;
	t = thread_state();
	if (t)
		t->op_hits++;
	else
		count_loss(LEVEL_OPERATOR, 1);
	return t;
}

/* `consumer` is the second tensor of a fused pair, else the same. */
INLINE int op_begin(struct pt_regs *ctx, u32 point, u64 params, u64 tensor, u64 consumer, u16 flags)
{
	u64 now = now_ns();
	struct thread_state *t = op_hit();

	if (!t)
		return 0;
	op_close(ctx, t, now, 0);
	if (control_get(CONTROL_WALKS) && (op_wanted(t, tensor) || op_wanted(t, consumer)))
		op_start(ctx, point, t, params, tensor, now, flags);
	return 0;
}

/* An operator's function may call another one's: the outermost stands for both. One whose end was
 * not seen holds until the next graph at most. */
INLINE int op_own(struct pt_regs *ctx, u32 point, u64 params, u64 tensor, u64 consumer, u16 flags)
{
	u64 now = now_ns();
	struct thread_state *t = op_hit();

	if (!t || !control_get(CONTROL_WALKS))
		return 0;
	if (t->op.tensor && (t->op.tensor == tensor || t->graphs == control_get(CONTROL_GRAPHS))) {
		t->op.nested++;
		return 0;
	}
	t->op.tensor = 0;
	if (op_wanted(t, tensor) || op_wanted(t, consumer))
		op_start(ctx, point, t, params, tensor, now, flags);
	return 0;
}

INLINE int op_end(struct pt_regs *ctx)
{
	u64 now = now_ns();
	struct thread_state *t = op_hit();

	if (!t)
		return 0;
	if (t->op.nested)
		t->op.nested--;
	else
		op_close(ctx, t, now, 0);
	return 0;
}

INLINE int op_barrier(struct pt_regs *ctx)
{
	struct thread_state *t = skip_process() ? 0 : thread_state();

	if (!t)
		return 0;
	t->barrier_hits++;
	if (!t->op.tensor)
		return 0;
	t->op.barrier_ns = now_ns();
	t->op.barrier_cpu = this_cpu();
#if N_COUNTERS
	counters_end(t);
#endif
	return 0;
}

/* The thread that called for the graph returns: its last operator is over. The workers' last ones
 * are closed by their next operator; the converter clips those to the graph's end. */
INLINE int op_graph_end(struct pt_regs *ctx)
{
	struct thread_state *t = skip_process() ? 0 : thread_state();

	if (t)
		op_close(ctx, t, now_ns(), OP_GRAPH_LAST);
	return 0;
}

#define PROGRAM_op_begin(name, point, params, tensor)                                              \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return op_begin(ctx, point, params, tensor, tensor, 0);                            \
	}

#define PROGRAM_op_fused(name, point, params, tensor, consumer)                                    \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return op_begin(ctx, point, params, tensor, consumer, OP_FUSED);                   \
	}

#define PROGRAM_op_own(name, point, params, tensor)                                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return op_own(ctx, point, params, tensor, tensor, 0);                              \
	}

#define PROGRAM_op_own_fused(name, point, params, tensor, consumer)                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return op_own(ctx, point, params, tensor, consumer, OP_FUSED);                     \
	}

#define PROGRAM_op_end(name, point)                                                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return op_end(ctx);                                                                \
	}

#define PROGRAM_op_barrier(name, point)                                                            \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return op_barrier(ctx);                                                            \
	}

#define PROGRAM_op_graph_begin(name, point, graph)                                                 \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return walk_begin(ctx, point, graph);                                              \
	}

#define PROGRAM_op_graph_end(name, point)                                                          \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return op_graph_end(ctx);                                                          \
	}

/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Operators by one hit each, where the loop over a graph's nodes tells which of them ends:
 *
 *   worker 0  ... end of node k | wait | ... end of node k+1
 *   worker 1  ......... end of node k  | ... end of node k+1
 *                                      '- the last arrival: node k+1 begins on all workers
 *
 * A worker's compute time of a node begins with the last arrival of any worker at the end of the
 * node before. By the time of its own arrival that is known for good: nobody passes a barrier
 * before all have arrived, and each arrival is noted before the barrier is entered. Two cells hold
 * the latest arrivals of every other node. The first node of a graph begins where the worker does,
 * and a worker that has no CPU when the last one arrives begins when it has got one.
 *
 * Defines: NODE_ENDS, NODE_GAPS (the module may watch the scheduler), LAYOUT_TENSOR_FLAGS,
 * EMPTY_OPS_0 to _3 (bits of the operators that compute nothing).
 */
#ifdef NODE_ENDS
enum { TENSOR_COMPUTE = 16, FUSED_MAX = 4 };

/* The walk notes what the nodes are. */

INLINE int node_is_computed(const u8 *raw)
{
	u32 op = *(const u32 *)(raw + LAYOUT_TENSOR_OP);
	u64 some = 1;

	if (OP_BIT(op, EMPTY_OPS) || !(*(const u32 *)(raw + LAYOUT_TENSOR_FLAGS) & TENSOR_COMPUTE))
		return 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 4; i++)
		some = raw_u64(raw, LAYOUT_TENSOR_NE + i * 8) ? some : 0;
	return some;
}

INLINE void node_note(struct thread_state *t, u32 index, u64 word)
{
	u32 at = t->walk.run_slot * NODES_MAX + index;

	if (index < NODES_MAX)
		map_update(EXTERN_MAP(MAP_NODE), &at, &word, 0);
}

/* `raw` NULL: it could not be read. */
INLINE void node_learn(struct thread_state *t, const u8 *raw, u64 address, u32 index, u64 marks)
{
	u32 back = t->walk.computed ? index + 1 - t->walk.computed : 0;

	if (raw && node_is_computed(raw)) {
		marks |= NODE_COMPUTED | (back <= 0x3fff ? (u64)back << 2 : 0);
		t->walk.computed = index + 1;
	}
	node_note(t, index, raw ? NODE_WORD(address) | marks : 0);
}

INLINE int run_is_of(const struct graph_run *r, u64 graph, u32 pid)
{
	return r && r->graph == graph && r->pid == pid;
}

INLINE void run_start(struct graph_run *r)
{
	r->run = control_get(CONTROL_GRAPHS);
	r->begin_ns = now_ns();
}

/* The graph's computation begins; false when its nodes are not known (any more). */
INLINE int run_again(u32 slot, u64 graph, u32 pid)
{
	struct graph_run *r = map_lookup(EXTERN_MAP(MAP_RUN), &slot);

	if (!run_is_of(r, graph, pid))
		return 0;
	run_start(r);
	return 1;
}

/* The same for one that is about to be walked: it keeps its slot or gets the one that was given
 * away longest ago. */
INLINE u32 run_new(u32 slot, u64 graph, u32 pid)
{
	struct graph_run *r = map_lookup(EXTERN_MAP(MAP_RUN), &slot);

	if (!run_is_of(r, graph, pid)) {
		if (map_pop(EXTERN_MAP(MAP_RUN_SLOT), &slot))
			return RUN_SLOTS;
		map_push(EXTERN_MAP(MAP_RUN_SLOT), &slot, 0);
		r = map_lookup(EXTERN_MAP(MAP_RUN), &slot);
	}
	if (!r)
		return RUN_SLOTS;
	r->graph = graph;
	r->pid = pid;
	r->n_nodes = 0;
	run_start(r);
	return slot;
}

INLINE void run_walked(const struct thread_state *t)
{
	u32 slot = t->walk.run_slot;
	struct graph_run *r = map_lookup(EXTERN_MAP(MAP_RUN), &slot);

	if (!r)
		return;
	r->n_nodes = t->walk.i;
	/* Not before what is known of its tensors, and without the time that this took. */
	r->begin_ns = now_ns();
}

/* The cell of the node that ended last on the thread. */
#define LAST_CELL(t) (((t)->nodes_ended + 1) & 1)

#ifdef NODE_GAPS
INLINE struct thread_state *thread_of(void *task)
{
	u32 *slot = task_storage(EXTERN_MAP(MAP_THREAD_SLOT), task, 0, 0), index;

	if (!slot || !*slot)
		return 0;
	index = *slot - 1;
	return map_lookup(EXTERN_MAP(MAP_THREAD), &index);
}

/* Of the times without a CPU since the thread's node ended only the last one with an arrival in it
 * can hold the last arrival. */
int node_switch(u64 *ctx)
{
	u64 now = now_ns();
	struct thread_state *prev = thread_of((void *)ctx[1]), *next = thread_of((void *)ctx[2]);
	struct graph_run *r;
	u32 slot;

	if (prev)
		prev->off_ns = now;
	if (!next)
		return 0;
	slot = next->run_slot;
	r = map_lookup(EXTERN_MAP(MAP_RUN), &slot);
	if (r && r->arrival_ns[LAST_CELL(next)] > next->off_ns) {
		next->gap_off_ns = next->off_ns;
		next->gap_on_ns = now;
	}
	return 0;
}
#endif

/* The hits. */

/* The computation that the calling thread takes part in; NULL: of a graph that was not seen to
 * begin, or whose slot another one has got meanwhile. */
INLINE struct graph_run *node_run(struct thread_state *t, u64 graph)
{
	struct graph_key key = {graph, t->pid};
	u32 slot = t->run_slot;
	struct graph_run *r = map_lookup(EXTERN_MAP(MAP_RUN), &slot);
	struct graph_info *g;

	if (run_is_of(r, graph, t->pid))
		return r;
	g = map_lookup(EXTERN_MAP(MAP_GRAPH), &key);
	if (!g)
		return 0;
	slot = g->run_slot;
	r = map_lookup(EXTERN_MAP(MAP_RUN), &slot);
	t->run_slot = slot;
	if (run_is_of(r, graph, t->pid))
		return r;
	count_loss(LEVEL_OPERATOR, 1);
	return 0;
}

/* When all workers had ended the node before, and this one had a CPU to go on with. */
INLINE u64 node_release(const struct thread_state *t, const struct graph_run *r)
{
	u64 at = r->arrival_ns[LAST_CELL(t)];

	if (t->gap_off_ns <= at && at <= t->gap_on_ns)
		at = t->gap_on_ns;
	return at < t->op.barrier_ns ? t->op.barrier_ns : at;
}

/* Ends what the thread ran before, and returns when the node that ends at `now` began. One place
 * that ends operators keeps the text, and with it the time to attach, small. */
INLINE u64 node_begin(struct pt_regs *ctx, struct thread_state *t, const struct graph_run *r,
		      u64 params, u64 now)
{
	int same = t->run_graph == r->graph && t->run == r->run;
	u64 begin = same ? node_release(t, r) : now;

	op_close(ctx, t, begin, same ? 0 : OP_GRAPH_LAST);
	if (same)
		return begin;
	t->run_graph = r->graph;
	t->run = r->run;
	t->node_next = 0;
	t->nodes_ended = 0;
	t->ith = RD_U32(params + LAYOUT_PARAMS_ITH);
	return t->entry_ns > r->begin_ns ? t->entry_ns : r->begin_ns;
}

INLINE u64 node_word(const struct thread_state *t, u32 index)
{
	u32 at = t->run_slot * NODES_MAX + index;
	u64 *word = map_lookup(EXTERN_MAP(MAP_NODE), &at);

	return word ? *word : 0;
}

/* Nodes that are computed and have not ended by themselves were fused with the one that ends: the
 * first of them. */
INLINE u64 node_first(const struct thread_state *t, u64 word, u32 index)
{
	u32 back = NODE_BACK(word);

	for (int i = 0; i < FUSED_MAX; i++) {
		if (!back || back > index || index - back < t->node_next)
			break;
		index -= back;
		word = node_word(t, index);
		back = NODE_BACK(word);
	}
	return word;
}

INLINE int op_node(struct pt_regs *ctx, u32 point, u64 params, u64 graph, u64 next)
{
	u64 now = now_ns(), begin, word, first;
	struct thread_state *t = op_hit();
	struct graph_run *r;
	u32 end, cell;

	if (!t || !control_get(CONTROL_WALKS))
		return 0;
	if (next == NODE_ENTRY) {
		t->entry_ns = now;
		return 0;
	}
	r = node_run(t, graph);
	if (!r)
		return 0;
	begin = node_begin(ctx, t, r, params, now);
	cell = t->nodes_ended++ & 1;
	if (r->arrival_ns[cell] < now)
		r->arrival_ns[cell] = now;
	end = (u32)next;
	if (end <= t->node_next)
		return 0;
	if (end > r->n_nodes || end > NODES_MAX) {
		count_loss(LEVEL_OPERATOR, 1);
		return 0;
	}
	word = node_word(t, end - 1);
	first = node_first(t, word, end - 1);
	t->node_next = end;
	if (!(word & NODE_COMPUTED) ||
	    (!op_wanted(t, NODE_TENSOR(first)) && !op_wanted(t, NODE_TENSOR(word))))
		return 0;
	t->op.tensor = NODE_TENSOR(first);
	t->op.begin_ns = begin;
	t->op.barrier_ns = now;
	t->op.at_end = 1;
	t->op.cpu = t->op.barrier_cpu = this_cpu();
	t->op.ith = t->ith;
	t->op.flags = first != word ? OP_FUSED : 0;
#ifdef LAYOUT_OP_MUL_MAT_ID
	if ((word & NODE_EXPERTS) && !t->ith)
		experts_begin(ctx, t, point, NODE_TENSOR(word));
#endif
	return 0;
}

#define PROGRAM_op_node(name, point, params, graph, next)                                          \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return op_node(ctx, point, params, graph, next);                                   \
	}
#else
#define node_learn(t, raw, address, index, marks)
#define run_walked(t)
#define run_again(slot, graph, pid) 1
#define run_new(slot, graph, pid)   0
#endif

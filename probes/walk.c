/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * The walk over a graph's nodes: sends each tensor struct once per graph, so that operators need
 * carry no more than an address. It runs in the thread that computes the graph, before the
 * operators, and only when the engine's graph id says that the graph is new; an engine without such
 * an id is walked each time, and what did not change is not sent again.
 *
 * The verifier sees the body of bpf_loop once, which is most of the time that the operator level
 * takes to load. Older kernels have a program that tail-calls itself, some nodes at a time.
 *
 * Defines: LAYOUT_TENSOR_SIZE, _OP, _SRC, _NE, LAYOUT_CGRAPH_N_NODES, _NODES, _NODES_INLINE, _UID,
 * LAYOUT_ID, LAYOUT_OP_MUL_MAT_ID, LAYOUT_TYPE_I32 and LAYOUT_TENSOR_DATA, _NB for the experts;
 * FILTER and what level/filter.h names, when not all operators are wanted.
 */
enum {
#ifdef HAVE_BPF_LOOP
	WALK_MAX = 65535, /* nodes; what index of a record can hold */
#else
	WALK_CHUNK = 64, /* tensors per tail call, of which 33 are allowed */
	WALK_MAX = 32 * WALK_CHUNK,
#endif
	NO_NODE = 0xffff,
	WALK_NEAR = 8 << 20, /* bytes: tensors of one graph lie within */
	WALK_SRC = 6, /* sources looked at per node; those beyond are nodes themselves as a rule */
	TENSOR_RECORD = sizeof(struct rec_tensor) + (LAYOUT_TENSOR_SIZE + 7) / 8 * 8,
};

INLINE u64 mix(u64 h, u64 v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 29);
}

/* What makes two tensors at one address the same: op, type, shape, sources, name. */
INLINE u64 tensor_hash(const u8 *raw)
{
	u64 h = mix(*(const u32 *)raw, *(const u32 *)(raw + LAYOUT_TENSOR_OP));

#pragma clang loop unroll(disable)
	for (int i = 0; i < 4; i++)
		h = mix(h, raw_u64(raw, LAYOUT_TENSOR_NE + i * 8));
#pragma clang loop unroll(disable)
	for (int i = 0; i < 3; i++)
		h = mix(h, raw_u64(raw, LAYOUT_TENSOR_SRC + i * 8));
#ifdef LAYOUT_TENSOR_NAME
#pragma clang loop unroll(disable)
	for (int i = 0; i < 3; i++)
		h = mix(h, raw_u64(raw, LAYOUT_TENSOR_NAME + i * 8));
#endif
	return (h & ~(u64)(TENSOR_UNWANTED | TENSOR_UNSENT | TENSOR_LEAF)) | 1;
}

#ifdef FILTER
#if FILTER_WORDS
INLINE u64 name_states(const u8 *name, const struct filter_table *f, u32 word)
{
	u64 states = f->start[word];

	for (int i = 0; i < LAYOUT_TENSOR_NAME_LEN; i++) {
		const struct filter_step *s = &f->step[word][name[i]];

		states = (states << 1 & s->next) | (states & s->keep);
	}
	return states;
}

/* Bit 0: an include pattern matches the name, bit 1: an exclude pattern does. */
INLINE u32 name_match(const u8 *name)
{
	u32 zero = 0, in, out;
	const struct filter_table *f = map_lookup(EXTERN_MAP(MAP_FILTER), &zero);
	u64 states;

	if (!f)
		return 0;
	states = name_states(name, f, 0);
	in = (states & FILTER_IN_NAME_0) != 0;
	out = (states & FILTER_OUT_NAME_0) != 0;
#if FILTER_WORDS > 1
	states = name_states(name, f, 1);
	in |= (states & FILTER_IN_NAME_1) != 0;
	out |= (states & FILTER_OUT_NAME_1) != 0;
#endif
#if FILTER_WORDS > 2
	states = name_states(name, f, 2);
	in |= (states & FILTER_IN_NAME_2) != 0;
	out |= (states & FILTER_OUT_NAME_2) != 0;
#endif
#if FILTER_WORDS > 3
	states = name_states(name, f, 3);
	in |= (states & FILTER_IN_NAME_3) != 0;
	out |= (states & FILTER_OUT_NAME_3) != 0;
#endif
	return in | out << 1;
}
#endif

/* What the hash carries besides: operators of this node are not wanted. */
INLINE u64 node_mark(const u8 *raw)
{
	u32 op = *(const u32 *)(raw + LAYOUT_TENSOR_OP);
	u64 in = OP_BIT(op, FILTER_IN), out = OP_BIT(op, FILTER_OUT);
#if FILTER_WORDS
	u32 name = name_match(raw + LAYOUT_TENSOR_NAME);

	in |= name & 1;
	out |= name >> 1;
#endif
	return (in & ~out & 1) ? 0 : TENSOR_UNWANTED;
}
#endif

/* Reads the tensor into the scratch record and sends it unless it was sent as it is before.
 * Returns the raw bytes, or NULL when they cannot be read. */
INLINE u8 *tensor_send(void *ctx, struct thread_state *t, u64 address, u32 index)
{
	struct rec_tensor *rec = (void *)t->scratch;
	u8 *raw = t->scratch + sizeof(*rec);
	struct tensor_key key = {address, t->pid};
	u64 hash, *seen;

	if (read_user(raw, LAYOUT_TENSOR_SIZE, (void *)address)) {
		count_loss(LEVEL_OPERATOR, 1);
		return 0;
	}
	hash = tensor_hash(raw);
	if (index == NO_NODE)
		hash |= TENSOR_LEAF;
#ifdef FILTER
	if (index != NO_NODE)
		hash |= node_mark(raw);
#endif
	seen = map_lookup(EXTERN_MAP(MAP_SEEN), &key);
	if (seen && *seen == hash)
		return raw;
	fill_head(&rec->head, TENSOR_RECORD, REC_TENSOR, LEVEL_OPERATOR, t->walk.point);
	rec->tensor = address;
	rec->graph = t->walk.graph;
	rec->generation = t->walk.generation;
	rec->layout = LAYOUT_ID;
	rec->index = index;
	rec->raw_len = LAYOUT_TENSOR_SIZE;
	if (emit_raw(ctx, rec, TENSOR_RECORD)) {
		count_lost_tensor();
		t->walk.failed++;
#ifdef FILTER
		/* The mark holds all the same. */
		hash |= TENSOR_UNSENT;
		if (index != NO_NODE)
			map_update(EXTERN_MAP(MAP_SEEN), &key, &hash, 0);
#endif
	} else {
		map_update(EXTERN_MAP(MAP_SEEN), &key, &hash, 0);
	}
	return raw;
}

#ifdef LAYOUT_OP_MUL_MAT_ID
/* gate, up and down of a layer share one ids tensor: the first of them, for which this is true,
 * stands for all. */
INLINE int moe_note(struct thread_state *t, u64 tensor, u64 ids)
{
	struct tensor_key key = {tensor, t->pid};
	struct moe_ids m = {};

	if (!ids || ids == t->walk.last_ids)
		return 0;
	t->walk.last_ids = ids;
	/* For some months after the operator came, the ids were its first source. */
	if (RD_U32(ids) != LAYOUT_TYPE_I32)
		return 0;
	m.data = RD_U64(ids + LAYOUT_TENSOR_DATA);
	m.n_used = RD_U64(ids + LAYOUT_TENSOR_NE);
	m.n_tokens = RD_U64(ids + LAYOUT_TENSOR_NE + 8);
	m.row_bytes = RD_U64(ids + LAYOUT_TENSOR_NB + 8);
	map_update(EXTERN_MAP(MAP_MOE), &key, &m, 0);
	control_add(CONTROL_MOE, 1);
	return 1;
}
#endif

/* Whether a source need not be looked at: nodes have their own turn, and weights stay where and
 * what they are. An input lies beside the nodes, and the next graph puts another one in its place.
 */
INLINE int source_settled(const struct tensor_key *source, u64 node)
{
	u64 *seen = map_lookup(EXTERN_MAP(MAP_SEEN), source);

	if (!seen)
		return 0;
	return !(*seen & TENSOR_LEAF) || source->tensor - node + WALK_NEAR >= 2 * WALK_NEAR;
}

/* Sources that are not settled wait for their turn: one place in the text that sends tensors keeps
 * the verifier's work, and with it the time to attach, within bounds. */
INLINE void walk_sources(struct thread_state *t, const u8 *raw, u64 node)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < WALK_SRC; i++) {
		struct tensor_key key = {raw_u64(raw, LAYOUT_TENSOR_SRC + i * 8), t->pid};
		u32 n = t->walk.n_sources;

		if (!key.tensor || source_settled(&key, node))
			continue;
		t->walk.source[n & (WALK_SOURCES - 1)] = key.tensor;
		t->walk.n_sources = n + 1;
	}
}

INLINE void walk_node(void *ctx, struct thread_state *t, u64 address, u32 index)
{
	u8 *raw = tensor_send(ctx, t, address, index);
	u64 marks = 0;

	if (index == NO_NODE)
		return;
#ifdef LAYOUT_OP_MUL_MAT_ID
	if (raw && *(u32 *)(raw + LAYOUT_TENSOR_OP) == LAYOUT_OP_MUL_MAT_ID &&
	    moe_note(t, address, raw_u64(raw, LAYOUT_TENSOR_SRC + 16)))
		marks = NODE_EXPERTS;
#endif
	node_learn(t, raw, address, index, marks);
	if (raw)
		walk_sources(t, raw, address);
}

/* A graph with tensors that found no room counts as another one, so that its next computation sends
 * them. */
INLINE int walk_end(struct thread_state *t)
{
	struct graph_key key = {t->walk.graph, t->pid};
	struct graph_info *g = map_lookup(EXTERN_MAP(MAP_GRAPH), &key);

	run_walked(t);
	if (g && t->walk.failed)
		g->uid = 0;
	if (control_get(CONTROL_OPERATORS))
		control_add(CONTROL_WALKS, 1);
	return 0;
}

/* One tensor; returns 0 when there is none left. */
INLINE int walk_step(void *ctx, struct thread_state *t)
{
	u32 i = t->walk.i, n = t->walk.n_sources;
	u32 index = NO_NODE;
	u64 address;

	if (n) {
		t->walk.n_sources = n - 1;
		address = t->walk.source[(n - 1) & (WALK_SOURCES - 1)];
	} else {
		if (i >= t->walk.n)
			return 0;
		t->walk.i = i + 1;
		index = i;
		address = RD_U64(t->walk.nodes + (u64)i * 8);
	}
	walk_node(ctx, t, address, index);
	return 1;
}

#ifdef HAVE_BPF_LOOP
int cc_0(void *round)
{
	struct thread_loop *l;

	asm volatile("%0 = r2" : "=r"(l));
	return !walk_step(l->ctx, l->t);
}

int graph_walk(struct pt_regs *ctx)
{
	struct thread_loop l = {ctx, thread_state()};
	void *step;

	if (!l.t)
		return 0;
	CALLBACK(step, 0);
	if (loop_rounds(WALK_MAX, step, &l, 0) == WALK_MAX)
		l.t->walk.failed++;
	return walk_end(l.t);
}
#else
int graph_walk(struct pt_regs *ctx)
{
	struct thread_state *t = thread_state();

	if (!t)
		return 0;
	for (int k = 0; k < WALK_CHUNK; k++)
		if (!walk_step(ctx, t))
			return walk_end(t);
	tail_call(ctx, EXTERN_MAP(MAP_JUMP), JUMP_BASE + JUMP_WALK);
	/* No more calls are allowed: the next computation of the graph sends the rest. */
	t->walk.failed++;
	return walk_end(t);
}
#endif

/* True when the graph was walked before and is still the same. */
INLINE int graph_known(struct thread_state *t, u64 graph, u64 uid, s32 n_nodes)
{
	struct graph_key key = {graph, t->pid};
	struct graph_info fresh = {.uid = uid, .generation = 1, .n_nodes = n_nodes};
	struct graph_info *g = map_lookup(EXTERN_MAP(MAP_GRAPH), &key);

	if (g && uid && g->uid == uid && g->n_nodes == n_nodes &&
	    run_again(g->run_slot, graph, t->pid))
		return 1;
	if (g)
		fresh.generation = g->generation + 1;
	fresh.run_slot = t->walk.run_slot = run_new(g ? g->run_slot : RUN_SLOTS, graph, t->pid);
	map_update(EXTERN_MAP(MAP_GRAPH), &key, &fresh, 0);
	t->walk.generation = fresh.generation;
	return 0;
}

INLINE int walk_begin(struct pt_regs *ctx, u32 point, u64 graph)
{
	struct thread_state *t = skip_process() ? 0 : thread_state();
	s32 n_nodes = RD_S32(graph + LAYOUT_CGRAPH_N_NODES);

	control_add(CONTROL_GRAPHS, 1);
#ifndef NODE_ENDS
	/* Whatever the calling thread ran before is over since long. */
	if (t)
		op_close(ctx, t, now_ns(), OP_GRAPH_LAST);
#endif
	if (!t || n_nodes <= 0 || !control_get(CONTROL_OPERATORS) ||
	    graph_known(t, graph, graph_uid(graph), n_nodes))
		return 0;
	if (n_nodes > WALK_MAX) {
		count_loss(LEVEL_OPERATOR, n_nodes - WALK_MAX);
		n_nodes = WALK_MAX;
	}
	t->walk.graph = graph;
	t->walk.point = point;
	t->walk.n = n_nodes;
	t->walk.i = 0;
	t->walk.n_sources = 0;
	t->walk.computed = 0;
	t->walk.failed = 0;
	t->walk.last_ids = 0;
#ifdef LAYOUT_CGRAPH_NODES_INLINE
	t->walk.nodes = graph + LAYOUT_CGRAPH_NODES;
#else
	t->walk.nodes = RD_U64(graph + LAYOUT_CGRAPH_NODES);
#endif
	tail_call(ctx, EXTERN_MAP(MAP_JUMP), JUMP_BASE + JUMP_WALK);
	return 0;
}

/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Graph level: one record at begin and end of each backend's graph computation. A stack per thread
 * pairs them where computations nest (RPC server, tensor parallel). The end of a computation has
 * the number of its begin plus one.
 *
 * Defines: LAYOUT_CGRAPH_N_NODES, LAYOUT_CGRAPH_UID (when there is one), LAYOUT_BACKEND_GUID.
 */
INLINE void read_guid(u8 *guid, u64 backend)
{
#ifdef LAYOUT_BACKEND_GUID
	u64 address = backend ? RD_U64(backend + LAYOUT_BACKEND_GUID) : 0;

	if (address)
		read_user(guid, 16, (void *)address);
#endif
}

INLINE void emit_graph(struct pt_regs *ctx, u32 kind, const struct graph_frame *f, u32 depth)
{
	struct rec_graph rec = {};

	fill_head(&rec.head, sizeof(rec), kind, LEVEL_GRAPH, f->point);
	rec.graph = f->graph;
	rec.uid = f->uid;
	rec.backend = f->backend;
	rec.n_nodes = f->n_nodes;
	rec.depth = depth;
	if (kind == REC_GRAPH_BEGIN)
		read_guid(rec.guid, f->backend);
	emit(ctx, LEVEL_GRAPH, &rec, sizeof(rec), 1);
}

/* The innermost computation on the thread that began at `point`, of `graph` (0: any); GRAPH_DEPTH
 * when there is none. */
INLINE u32 graph_running(const struct thread_state *t, u32 point, u64 graph)
{
	u32 at = GRAPH_DEPTH;

#pragma clang loop unroll(disable)
	for (int i = 0; i < GRAPH_DEPTH; i++)
		if ((u32)i < t->depth && t->frame[i].point == point &&
		    (!graph || t->frame[i].graph == graph))
			at = i;
	return at;
}

INLINE int graph_begin(struct pt_regs *ctx, u32 point, u64 graph, u64 backend)
{
	struct thread_state *t = skip_process() ? 0 : thread_state();
	struct graph_frame *f;
	u32 depth, stale;

	if (!t)
		return 0;
	count_hit(LEVEL_GRAPH);
	/* No function computes a graph within computing it: that end was not seen, nor were those
	 * of what it called. */
	stale = graph_running(t, point, graph);
	depth = stale < GRAPH_DEPTH ? stale : t->depth;
	t->depth = depth + 1;
	if (depth >= GRAPH_DEPTH) {
		count_loss(LEVEL_GRAPH, 1);
		return 0;
	}
	barrier_var(depth);
	f = &t->frame[depth & (GRAPH_DEPTH - 1)];
	f->graph = graph;
	f->backend = backend;
	f->uid = graph_uid(graph);
	f->n_nodes = RD_S32(graph + LAYOUT_CGRAPH_N_NODES);
	f->point = point;
	/* A backend's general entry and its own compute function see the same graph: one row. */
	f->silent = depth && t->frame[(depth - 1) & (GRAPH_DEPTH - 1)].graph == graph;
	if (!f->silent)
		emit_graph(ctx, REC_GRAPH_BEGIN, f, depth);
	return 0;
}

/* `point` is the number before that of the end. */
INLINE int graph_end(struct pt_regs *ctx, u32 point)
{
	struct thread_state *t = skip_process() ? 0 : thread_state();
	u32 depth;

	if (!t)
		return 0;
	if (t->depth > GRAPH_DEPTH) {
		t->depth--;
		return 0;
	}
	depth = graph_running(t, point, 0);
	/* Not there: it began before the level was switched on. */
	if (depth >= GRAPH_DEPTH)
		return 0;
	count_hit(LEVEL_GRAPH);
	barrier_var(depth);
	depth &= GRAPH_DEPTH - 1;
	t->depth = depth;
	if (!t->frame[depth].silent)
		emit_graph(ctx, REC_GRAPH_END, &t->frame[depth], depth);
	return 0;
}

#define PROGRAM_graph_begin(name, point, graph, backend)                                           \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return graph_begin(ctx, point, graph, backend);                                    \
	}

#define PROGRAM_graph_end(name, point)                                                             \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return graph_end(ctx, (point)-1);                                                  \
	}

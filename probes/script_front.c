/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * The engine's side of a script's engine probes. A front sits at a point of the plan, keeps what
 * runs on the thread, and when the script's event has happened jumps to the script's program.
 *
 * Defines: ENGINE_INDEX (of the program), AT_END or AT_BEGIN (when to jump; neither: only token
 * calls are noted for other programs), SWEEP (a hit may stand for several events), USE_OP,
 * USE_TYPE, USE_NE, USE_NAME, USE_ITH (what is read of an operator), WANTED_OP(op),
 * WANTED_NAME(name), LAYOUT_*, LAYOUT_SLOT.
 */
#define STATE EXTERN_MAP(ENGINE_MAP_STATE + ENGINE_INDEX)
#define WORK  EXTERN_MAP(ENGINE_MAP_WORK + ENGINE_INDEX)

INLINE struct engine_process *front_process(void)
{
	u32 pid = pid_tgid() >> 32;

	return map_lookup(EXTERN_MAP(ENGINE_MAP_PROCESS), &pid);
}

INLINE struct engine_call *front_call(void)
{
	return task_storage(STATE, current_task_btf(), 0, 1);
}

INLINE void front_jump(void *ctx)
{
	tail_call(ctx, EXTERN_MAP(ENGINE_MAP_JUMP), ENGINE_INDEX);
}

/* ---- token calls ---- */

/* An outer call whose end was not seen has left a stack pointer that lies deeper than ours. */
INLINE int front_token_begin(struct pt_regs *ctx, u64 context, s32 n_tokens, u32 is_encode,
			     u32 is_prefill)
{
	struct engine_process *p = front_process();
	struct engine_call *c = p ? front_call() : 0;

	if (!c)
		return 0;
	if (c->depth && SP > c->sp)
		c->depth = 0;
	if (c->depth++)
		return 0;
	c->sp = SP;
	c->token.context = context;
	c->token.n_tokens = n_tokens;
	c->token.phase = is_encode ? ENGINE_ENCODE : is_prefill ? ENGINE_PREFILL : ENGINE_DECODE;
	c->token.id = ++p->ids[ENGINE_INDEX];
	c->token.begin_ns = now_ns();
#ifdef AT_BEGIN
	front_jump(ctx);
#elif !defined(AT_END)
	p->token = c->token;
#endif
	return 0;
}

INLINE int front_token_end(struct pt_regs *ctx, s32 ret)
{
	u64 now = now_ns();
	struct engine_call *c = front_process() ? front_call() : 0;

	if (!c || !c->depth)
		return 0;
	c->depth--;
	if (c->depth)
		return 0;
	c->end_ns = now;
	c->ret = ret;
#ifdef AT_END
	front_jump(ctx);
#endif
	return 0;
}

/* ---- graphs ---- */

#ifdef LAYOUT_CGRAPH_N_NODES
/* By the backend's GUID; an engine file that knows better has named it. */
INLINE void graph_backend(struct engine_frame *f, u64 backend, const char *name, u32 len)
{
	u8 guid[16] = {};
	char *known = 0;

	__builtin_memset(f->backend, 0, sizeof(f->backend));
	__builtin_memcpy(f->backend, name, len);
#ifdef LAYOUT_BACKEND_GUID
	if (backend)
		backend = RD_U64(backend + LAYOUT_BACKEND_GUID);
	if (backend && !read_user(guid, sizeof(guid), (void *)backend))
		known = map_lookup(EXTERN_MAP(ENGINE_MAP_GUIDS), guid);
#endif
	if (known)
		__builtin_memcpy(f->backend, known, sizeof(f->backend));
}

INLINE int front_graph_begin(struct pt_regs *ctx, u64 graph, u64 backend, const char *name, u32 len)
{
	struct engine_call *c = front_process() ? front_call() : 0;
	struct engine_frame *f;
	u32 depth;

	if (!c)
		return 0;
	depth = c->frames;
	if (depth >= ENGINE_DEPTH) {
		c->frames = depth + 1;
		return 0;
	}
	f = &c->frame[depth & (ENGINE_DEPTH - 1)];
	f->graph = graph;
	f->begin_ns = now_ns();
	f->n_nodes = RD_S32(graph + LAYOUT_CGRAPH_N_NODES);
	graph_backend(f, backend, name, len);
	f->silent = depth && c->frame[(depth - 1) & (ENGINE_DEPTH - 1)].graph == graph;
	c->frames = depth + 1;
#ifdef AT_BEGIN
	c->shown = depth;
	if (!f->silent)
		front_jump(ctx);
#endif
	return 0;
}

INLINE int front_graph_end(struct pt_regs *ctx)
{
	struct engine_call *c = front_process() ? front_call() : 0;

	if (!c || !c->frames)
		return 0;
	c->frames--;
	c->end_ns = now_ns();
#ifdef AT_END
	c->shown = c->frames;
	if (c->frames < ENGINE_DEPTH && !c->frame[c->frames & (ENGINE_DEPTH - 1)].silent)
		front_jump(ctx);
#endif
	return 0;
}

#define PROGRAM_graph_begin(name, kind, backend_name, graph, backend)                              \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_graph_begin(ctx, graph, backend, backend_name, sizeof(backend_name)); \
	}
#define PROGRAM_graph_end(name, kind, backend_name)                                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_graph_end(ctx);                                                       \
	}
#endif

/* ---- operators ---- */

INLINE int front_op_graph_begin(void)
{
	struct engine_process *p = front_process();

	if (p)
		__sync_fetch_and_add(&p->graphs, 1);
	return 0;
}

#ifdef LAYOUT_TENSOR_OP
/* What the script uses of a tensor is read while it is there: the next graph may lie in its place.
 */
INLINE void op_look(struct engine_op *o, u64 params, u64 tensor)
{
#ifdef USE_TYPE
	o->type = RD_U32(tensor + LAYOUT_TENSOR_TYPE);
#endif
#ifdef USE_NE
#if LAYOUT_TENSOR_NE_WIDTH == 4
	for (int i = 0; i < 4; i++)
		o->ne[i] = RD_S32(tensor + LAYOUT_TENSOR_NE + 4 * i);
#else
	read_user(o->ne, sizeof(o->ne), (void *)(tensor + LAYOUT_TENSOR_NE));
#endif
#endif
}

#ifdef USE_NAME
INLINE void op_name(struct engine_op *o, u64 tensor)
{
	read_user(o->name, LAYOUT_TENSOR_NAME_LEN, (void *)(tensor + LAYOUT_TENSOR_NAME));
	o->name[ENGINE_TENSOR_NAME - 1] = 0;
}
#endif

/* 0 when the script does not want it. */
INLINE int op_start(struct engine_op *o, u64 params, u64 tensor, u64 now, u32 op,
		    const char *backend, u32 len)
{
#ifdef USE_NAME
	op_name(o, tensor);
#ifdef WANTED_NAME
	if (!(WANTED_NAME(o->name)))
		return 0;
#endif
#endif
	o->tensor = tensor;
	o->op = op;
	o->layout = LAYOUT_SLOT;
	o->cpu = this_cpu();
	o->tid = pid_tgid();
	o->barrier_ns = 0;
	o->begin_ns = o->end_ns = o->next_ns = now;
	__builtin_memset(o->backend, 0, sizeof(o->backend));
	__builtin_memcpy(o->backend, backend, len);
	op_look(o, params, tensor);
	return 1;
}

/*
 * Where the thread works. Workers of one computation share its work area, the fourth member of
 * their parameters; who has no parameters works alone. Read once per graph.
 */
INLINE void worker_place(struct engine_call *c, const struct engine_process *p, u64 params)
{
	if (c->graphs && c->graphs == p->graphs)
		return;
	c->graphs = p->graphs;
	c->worker.tgid = pid_tgid() >> 32;
#ifdef LAYOUT_PARAMS_ITH
	if (params) {
		u32 nth = LAYOUT_PARAMS_ITH + 4;

		c->worker.ith = RD_U32(params + LAYOUT_PARAMS_ITH);
		c->workers = RD_U32(params + nth);
		c->worker.group = RD_U64(params + ((nth + 4 + 7) & ~7) + 8);
		return;
	}
#endif
	c->worker.ith = 0;
	c->workers = 1;
	c->worker.group = (u32)pid_tgid();
}

#ifdef AT_BEGIN
INLINE void op_event(struct pt_regs *ctx, struct engine_call *c, struct engine_process *p,
		     u64 params, u64 tensor, u32 op, const char *backend, u32 len)
{
	if (!op_start(&c->op, params, tensor, now_ns(), op, backend, len))
		return;
#ifdef USE_ITH
	worker_place(c, p, params);
	c->op.ith = c->worker.ith;
#endif
	c->rounds = 1;
	c->sweep = 0;
	front_jump(ctx);
}
#else
/* The operator before is over; a worker's last one was over with its graph. */
INLINE int op_over(struct engine_call *c, const struct engine_process *p, struct engine_op *o,
		   u64 now)
{
	u64 end = o->barrier_ns ? o->barrier_ns : o->begin_ns;

	if (p->graph_end_ns > end && p->graph_end_ns < now)
		now = p->graph_end_ns;
	engine_op_close(&c->op, o, now);
	return 1;
}

INLINE void op_event(struct pt_regs *ctx, struct engine_call *c, struct engine_process *p,
		     u64 params, u64 tensor, u32 op, const char *backend, u32 len, u32 wanted)
{
	u64 now = now_ns();
	u32 over = 0;
	struct engine_op *o;

	worker_place(c, p, params);
	o = map_lookup(WORK, &c->worker);
	if (o && o->tensor)
		over = op_over(c, p, o, now);
	if (wanted && !o) {
		c->op.tensor = 0;
		if (map_update(WORK, &c->worker, &c->op, 0))
			__sync_fetch_and_add(&p->lost, 1);
		o = map_lookup(WORK, &c->worker);
	}
	if (wanted && o && op_start(o, params, tensor, now, op, backend, len))
		o->ith = c->worker.ith;
	c->rounds = 1;
	c->sweep = 0;
	if (over)
		front_jump(ctx);
}
#endif

INLINE int front_op_begin(struct pt_regs *ctx, u64 params, u64 tensor, const char *backend, u32 len)
{
	u32 op = 0, wanted = 1;
	struct engine_process *p = front_process();
	struct engine_call *c;

	if (!p)
		return 0;
#ifdef USE_OP
	op = RD_U32(tensor + LAYOUT_TENSOR_OP);
#endif
#ifdef WANTED_OP
	wanted = WANTED_OP(op);
#endif
#ifdef AT_BEGIN
	if (!wanted)
		return 0;
#endif
	c = front_call();
	if (!c)
		return 0;
#ifdef AT_BEGIN
	op_event(ctx, c, p, params, tensor, op, backend, len);
#else
	op_event(ctx, c, p, params, tensor, op, backend, len, wanted);
#endif
	return 0;
}

INLINE int front_op_barrier(struct pt_regs *ctx)
{
	struct engine_call *c = front_process() ? front_call() : 0;
	struct engine_op *o = c ? map_lookup(WORK, &c->worker) : 0;

	if (o && o->tensor)
		o->barrier_ns = now_ns();
	return 0;
}

/* Behind the last barrier: no worker has anything running. Where one hit cannot stand for several
 * events, workers report their last operator when they begin the next. */
INLINE int front_op_graph_end(struct pt_regs *ctx)
{
	u64 now = now_ns();
	struct engine_process *p = front_process();
	struct engine_call *c = p ? front_call() : 0;

	if (!c)
		return 0;
	p->graph_end_ns = c->end_ns = now;
#ifdef SWEEP
	c->sweep = 1;
	c->rounds = c->workers;
	if (c->workers)
		front_jump(ctx);
#else
	struct engine_op *o = map_lookup(WORK, &c->worker);

	if (o && o->tensor) {
		op_over(c, p, o, now);
		front_jump(ctx);
	}
#endif
	return 0;
}

#define PROGRAM_op_begin(name, kind, backend, params, tensor)                                      \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_op_begin(ctx, params, tensor, backend, sizeof(backend));              \
	}
#define PROGRAM_op_barrier(name, kind, backend)                                                    \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_op_barrier(ctx);                                                      \
	}
#define PROGRAM_op_graph_end(name, kind, backend)                                                  \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_op_graph_end(ctx);                                                    \
	}
#endif

/* ---- experts ---- */

#ifdef LAYOUT_OP_MUL_MAT_ID
/* gate, up and down of a layer share one ids tensor: the first of them stands for all. */
INLINE int front_expert(struct pt_regs *ctx, u64 params, u64 tensor)
{
	struct engine_process *p = front_process();
	struct engine_call *c;
	struct engine_experts *x;
	u64 ids;

	if (!p || RD_U32(tensor + LAYOUT_TENSOR_OP) != LAYOUT_OP_MUL_MAT_ID ||
	    RD_U32(params + LAYOUT_PARAMS_ITH))
		return 0;
	c = front_call();
	ids = RD_U64(tensor + LAYOUT_TENSOR_SRC + 16);
	if (!c || !ids)
		return 0;
	x = &c->experts;
	if (x->ids == ids && x->graphs == p->graphs)
		return 0;
	x->ids = ids;
	x->graphs = p->graphs;
	x->data = RD_U64(ids + LAYOUT_TENSOR_DATA);
	x->row_bytes = RD_U64(ids + LAYOUT_TENSOR_NB + 8);
	x->n_used = RD_U64(ids + LAYOUT_TENSOR_NE);
	x->n_tokens = RD_U64(ids + LAYOUT_TENSOR_NE + 8);
#ifdef USE_NAME
	op_name(&c->op, tensor);
#endif
	c->rounds = (u64)x->n_used * x->n_tokens;
	if (c->rounds)
		front_jump(ctx);
	return 0;
}

#define PROGRAM_expert(name, kind, backend, params, tensor)                                        \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_expert(ctx, params, tensor);                                          \
	}
#endif

#define PROGRAM_op_graph_begin(name, kind, backend)                                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_op_graph_begin();                                                     \
	}

#define PROGRAM_token_begin(name, kind, backend, context, n_tokens, sequence, sequence_before)     \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		s32 n = (s32)(n_tokens);                                                           \
                                                                                                   \
		return front_token_begin(ctx, context, n, kind,                                    \
					 IS_PREFILL(n, sequence, sequence_before));                \
	}
#define PROGRAM_token_end(name, kind, backend, ret)                                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_token_end(ctx, (s32)(ret));                                           \
	}

/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * The engine's side of a script's engine probes. A front sits at a point of the plan, keeps what
 * runs on the thread, and when the script's event has happened jumps to the script's program.
 *
 * Defines: ENGINE_INDEX (of the program), AT_END or AT_BEGIN (when to jump; neither: only token
 * calls are noted for other programs), USE_OP, USE_TYPE, USE_NE, USE_NAME, USE_ITH (what is read of
 * an operator), WANTED_OP(op), WANTED_NAME(name), LAYOUT_*, LAYOUT_SLOT.
 */
#define STATE EXTERN_MAP(ENGINE_MAP_STATE + ENGINE_INDEX)

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
INLINE int front_token_begin(struct pt_regs *ctx, u64 context, s32 n_tokens, u32 is_encode)
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
	c->token.phase = is_encode ? ENGINE_ENCODE : n_tokens > 1 ? ENGINE_PREFILL : ENGINE_DECODE;
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
INLINE int front_graph_begin(struct pt_regs *ctx, u64 graph, const char *backend, u32 len)
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
	__builtin_memset(f->backend, 0, sizeof(f->backend));
	__builtin_memcpy(f->backend, backend, len);
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
		return front_graph_begin(ctx, graph, backend_name, sizeof(backend_name));          \
	}
#define PROGRAM_graph_end(name, kind, backend_name)                                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_graph_end(ctx);                                                       \
	}
#endif

/* ---- operators ---- */

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
#ifdef USE_ITH
	o->ith = RD_U32(params + LAYOUT_PARAMS_ITH);
#endif
}

#ifdef USE_NAME
INLINE void op_name(struct engine_op *o, u64 tensor)
{
	read_user(o->name, LAYOUT_TENSOR_NAME_LEN, (void *)(tensor + LAYOUT_TENSOR_NAME));
	o->name[ENGINE_TENSOR_NAME - 1] = 0;
}
#endif

/* Fills op[running]; 0 when the script does not want it. */
INLINE int op_start(struct engine_call *c, u64 params, u64 tensor, u64 now, u32 op,
		    const char *backend, u32 len)
{
	struct engine_op *o = &c->op[c->running & 1];

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
	o->barrier_ns = 0;
	o->begin_ns = o->end_ns = o->next_ns = now;
	__builtin_memset(o->backend, 0, sizeof(o->backend));
	__builtin_memcpy(o->backend, backend, len);
	op_look(o, params, tensor);
	return 1;
}

/* 1 when an operator of the thread is over by this; a worker's last one was over with its graph. */
INLINE int op_close(struct engine_call *c, struct engine_process *p, u64 now)
{
	struct engine_op *o = &c->op[c->running & 1];
	u64 end, graph_end = p->graph_end_ns;

	if (!o->tensor)
		return 0;
	end = o->barrier_ns ? o->barrier_ns : o->begin_ns;
	if (graph_end > end && graph_end < now)
		now = graph_end;
	o->end_ns = o->barrier_ns ? o->barrier_ns : now;
	o->next_ns = now;
	c->running ^= 1;
	c->op[c->running & 1].tensor = 0;
	return 1;
}

INLINE int front_op_begin(struct pt_regs *ctx, u64 params, u64 tensor, const char *backend, u32 len)
{
	u64 now = now_ns();
	u32 op = 0, wanted = 1, over = 0;
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
#ifdef AT_END
	over = op_close(c, p, now);
	if (wanted)
		op_start(c, params, tensor, now, op, backend, len);
#else
	c->running = 0;
	over = op_start(c, params, tensor, now, op, backend, len);
	c->running = 1;
#endif
	if (over)
		front_jump(ctx);
	return 0;
}

INLINE int front_op_barrier(struct pt_regs *ctx)
{
	struct engine_call *c = front_process() ? front_call() : 0;

	if (c && c->op[c->running & 1].tensor)
		c->op[c->running & 1].barrier_ns = now_ns();
	return 0;
}

INLINE int front_op_graph_end(struct pt_regs *ctx)
{
	u64 now = now_ns();
	struct engine_process *p = front_process();
	struct engine_call *c = p ? front_call() : 0;

	if (!c)
		return 0;
	p->graph_end_ns = now;
	if (op_close(c, p, now))
		front_jump(ctx);
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

#define PROGRAM_token_begin(name, kind, backend, context, n_tokens)                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_token_begin(ctx, context, (s32)(n_tokens), kind);                     \
	}
#define PROGRAM_token_end(name, kind, backend, ret)                                                \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		return front_token_end(ctx, (s32)(ret));                                           \
	}

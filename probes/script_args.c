/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * The script's side of engine probes: engine_PROVIDER_ARG(state map, slot) writes one argument of
 * the event that has happened to `slot`, which is zeroed.
 */
static void *(*engine_storage)(void *map, void *task, void *value, u64 flags) = (void *)156;
static void *(*engine_task)(void) = (void *)158;

INLINE struct engine_call *engine_call(void *state)
{
	return engine_storage(state, engine_task(), 0, 0);
}

INLINE struct engine_op *engine_op(void *state)
{
	struct engine_call *c = engine_call(state);

	return c ? &c->op : 0;
}

/* How many events the hit stands for. */
INLINE u64 engine_rounds(void *state)
{
	struct engine_call *c = engine_call(state);

	return c ? c->rounds : 0;
}

/* Makes ready the event that is `left` before the last one; 0: there is none. */
INLINE int engine_op_round(void *state, void *work, u64 left)
{
	struct engine_call *c = engine_call(state);
	struct engine_worker key;
	struct engine_op *running;

	if (!c || !c->sweep)
		return c != 0;
	key = c->worker;
	key.ith = c->rounds - 1 - left;
	running = map_lookup(work, &key);
	if (!running || !running->tensor)
		return 0;
	engine_op_close(&c->op, running, c->end_ns);
	map_delete(work, &key);
	return 1;
}

INLINE int engine_expert_round(void *state, u64 left)
{
	struct engine_call *c = engine_call(state);
	struct engine_experts *x;
	u64 index;

	if (!c)
		return 0;
	x = &c->experts;
	index = c->rounds - 1 - left;
	x->row = index / x->n_used;
	x->slot = index % x->n_used;
	return read_user(&x->chosen, 4, (void *)(x->data + x->row * x->row_bytes + x->slot * 4)) ==
	       0;
}

INLINE struct engine_frame *engine_frame(void *state)
{
	struct engine_call *c = engine_call(state);

	return c ? &c->frame[c->shown & (ENGINE_DEPTH - 1)] : 0;
}

INLINE struct engine_token *engine_token(void)
{
	u32 pid = pid_tgid() >> 32;

	return map_lookup(EXTERN_MAP(ENGINE_MAP_PROCESS), &pid);
}

INLINE void engine_phase(char *dst, u32 phase)
{
	if (phase == ENGINE_PREFILL)
		__builtin_memcpy(dst, "prefill", 8);
	else if (phase == ENGINE_DECODE)
		__builtin_memcpy(dst, "decode", 7);
	else if (phase == ENGINE_ENCODE)
		__builtin_memcpy(dst, "encode", 7);
}

INLINE void engine_text(char *dst, u32 layout, u32 index)
{
	u32 key = layout * ENGINE_NAMES + index;
	char *text = map_lookup(EXTERN_MAP(ENGINE_MAP_NAMES), &key);

	if (text)
		__builtin_memcpy(dst, text, ENGINE_NAME_BYTES);
}

#define ENGINE_NUMBER(provider, name, type, find, value)                                           \
	INLINE void engine_##provider##_##name(void *state, char *dst)                             \
	{                                                                                          \
		struct type *x = find;                                                             \
		if (x)                                                                             \
			*(s64 *)dst = (s64)(value);                                                \
	}
#define ENGINE_PHASE(provider, type, find, value)                                                  \
	INLINE void engine_##provider##_phase(void *state, char *dst)                              \
	{                                                                                          \
		struct type *x = find;                                                             \
		if (x)                                                                             \
			engine_phase(dst, value);                                                  \
	}
#define ENGINE_CPU(provider)                                                                       \
	INLINE void engine_##provider##_cpu(void *state, char *dst)                                \
	{                                                                                          \
		*(s64 *)dst = this_cpu();                                                          \
	}
/* Of the token call around it. */
#define ENGINE_AROUND(provider)                                                                    \
	ENGINE_PHASE(provider, engine_token, engine_token(), x->phase)                             \
	ENGINE_NUMBER(provider, n_tokens, engine_token, engine_token(), x->n_tokens)               \
	ENGINE_NUMBER(provider, token_id, engine_token, engine_token(), x->id)

ENGINE_PHASE(token, engine_call, engine_call(state), x->token.phase)
ENGINE_NUMBER(token, n_tokens, engine_call, engine_call(state), x->token.n_tokens)
ENGINE_NUMBER(token, context, engine_call, engine_call(state), x->token.context)
ENGINE_NUMBER(token, token_id, engine_call, engine_call(state), x->token.id)
ENGINE_NUMBER(token, dur_ns, engine_call, engine_call(state), x->end_ns - x->token.begin_ns)
ENGINE_NUMBER(token, ret, engine_call, engine_call(state), x->ret)
ENGINE_CPU(token)

INLINE void engine_graph_backend(void *state, char *dst)
{
	struct engine_frame *f = engine_frame(state);

	if (f)
		__builtin_memcpy(dst, f->backend, sizeof(f->backend));
}

ENGINE_NUMBER(graph, n_nodes, engine_frame, engine_frame(state), x->n_nodes)
ENGINE_NUMBER(graph, graph, engine_frame, engine_frame(state), x->graph)

INLINE void engine_graph_dur_ns(void *state, char *dst)
{
	struct engine_call *c = engine_call(state);

	if (c)
		*(s64 *)dst = c->end_ns - c->frame[c->shown & (ENGINE_DEPTH - 1)].begin_ns;
}

ENGINE_AROUND(graph)
ENGINE_CPU(graph)

INLINE void engine_op_name(void *state, char *dst)
{
	struct engine_op *o = engine_op(state);

	if (o)
		__builtin_memcpy(dst, o->name, sizeof(o->name));
}

INLINE void engine_op_backend(void *state, char *dst)
{
	struct engine_op *o = engine_op(state);

	if (o)
		__builtin_memcpy(dst, o->backend, sizeof(o->backend));
}

INLINE void engine_op_ne(void *state, char *dst)
{
	struct engine_op *o = engine_op(state);

	if (o)
		__builtin_memcpy(dst, o->ne, sizeof(o->ne));
}

INLINE void engine_op_op(void *state, char *dst)
{
	struct engine_op *o = engine_op(state);

	if (o && o->op < ENGINE_OP_NAMES)
		engine_text(dst, o->layout, o->op);
}

INLINE void engine_op_type(void *state, char *dst)
{
	struct engine_op *o = engine_op(state);

	if (o && o->type < ENGINE_TYPE_NAMES)
		engine_text(dst, o->layout, ENGINE_OP_NAMES + o->type);
}

/* Where the number of a layer begins: behind the last dash of Qcur-3 and "Vcur-3 (view)", behind
 * the l of cache_k_l3; 0: nowhere. */
INLINE u32 engine_layer_at(const char *name)
{
	char mark = name[0] == 'c' && name[4] == 'e' && name[5] == '_' ? 'l' : '-';
	u32 at = 0;

	for (u32 i = 0; i < ENGINE_TENSOR_NAME; i++) {
		if (!name[i])
			break;
		if (name[i] == mark)
			at = i + 1;
	}
	return at;
}

INLINE void engine_op_layer(void *state, char *dst)
{
	struct engine_op *o = engine_op(state);
	s64 layer = -1;
	u32 at;

	if (!o)
		return;
	at = engine_layer_at(o->name);
	for (int i = 0; i < 4 && at; i++) {
		char c = o->name[(at + i) & (ENGINE_TENSOR_NAME - 1)];

		if (c < '0' || c > '9')
			break;
		layer = (layer < 0 ? 0 : layer * 10) + (c - '0');
	}
	*(s64 *)dst = layer;
}

ENGINE_NUMBER(op, tid, engine_op, engine_op(state), x->tid)
ENGINE_NUMBER(op, tensor, engine_op, engine_op(state), x->tensor)
ENGINE_NUMBER(op, thread_index, engine_op, engine_op(state), x->ith)
ENGINE_NUMBER(op, cpu, engine_op, engine_op(state), x->cpu)
ENGINE_NUMBER(op, dur_ns, engine_op, engine_op(state), x->end_ns - x->begin_ns)
ENGINE_NUMBER(op, wait_ns, engine_op, engine_op(state), x->next_ns - x->end_ns)
ENGINE_AROUND(op)

INLINE void engine_expert_name(void *state, char *dst)
{
	engine_op_name(state, dst);
}

ENGINE_NUMBER(expert, expert, engine_call, engine_call(state), x->experts.chosen)
ENGINE_NUMBER(expert, slot, engine_call, engine_call(state), x->experts.slot)
ENGINE_NUMBER(expert, token_index, engine_call, engine_call(state), x->experts.row)
ENGINE_AROUND(expert)
ENGINE_CPU(expert)

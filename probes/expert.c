/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Experts: at the begin of the first MUL_MAT_ID of a layer on worker 0, the rows of its ids tensor
 * are read with their real stride (they are views into a longer row) and sent in packs.
 */
enum {
	EXPERT_MAX_USED = 31, /* so that a row's bytes fit a mask that the verifier understands */
	EXPERT_PACK = 8,      /* rows per record */
#ifdef HAVE_BPF_LOOP
	EXPERT_MAX_PACKS = 1 << 16,
#else
	EXPERT_PACKS = 16, /* records per tail call, of which 33 are allowed */
#endif
};

INLINE void expert_send(void *ctx, struct thread_state *t, u32 first, u32 n, u32 row_len)
{
	struct rec_expert *rec = (void *)t->scratch;
	/* A mask, not a comparison: verifiers before Linux 6.2 do not see that one holds for a
	 * copy. */
	u32 size = (sizeof(*rec) + n * row_len + 7) & 0x7f8;

	fill_head(&rec->head, size, REC_EXPERT, LEVEL_OPERATOR, t->expert.point);
	rec->head.ts_ns = t->expert.begin_ns;
	rec->tensor = t->expert.tensor;
	rec->first_token = first;
	rec->n_tokens = n;
	rec->n_used = t->expert.n_used;
	emit(ctx, LEVEL_OPERATOR, rec, size, n);
}

INLINE void expert_pack(void *ctx, struct thread_state *t)
{
	u32 first = t->expert.i, row_len = (t->expert.n_used * 4) & 127, n = 0;

	for (int k = 0; k < EXPERT_PACK; k++) {
		if (first + k >= t->expert.n_tokens)
			break;
		read_user(t->scratch + sizeof(struct rec_expert) + k * row_len, row_len,
			  (void *)(t->expert.next + k * t->expert.row_bytes));
		n = k + 1;
	}
	t->expert.i = first + n;
	t->expert.next += n * t->expert.row_bytes;
	expert_send(ctx, t, first, n, row_len);
}

/* Returns 0 when all rows were sent. */
INLINE int expert_step(void *ctx, struct thread_state *t)
{
	if (t->expert.i >= t->expert.n_tokens)
		return 0;
	expert_pack(ctx, t);
	return 1;
}

#ifdef HAVE_BPF_LOOP
int cc_1(void *round)
{
	struct thread_loop *l;

	asm volatile("%0 = r2" : "=r"(l));
	return !expert_step(l->ctx, l->t);
}

int expert_rows(struct pt_regs *ctx)
{
	struct thread_loop l = {ctx, thread_state()};
	void *step;

	if (!l.t)
		return 0;
	CALLBACK(step, 1);
	loop_rounds(EXPERT_MAX_PACKS, step, &l, 0);
	return 0;
}
#else
int expert_rows(struct pt_regs *ctx)
{
	struct thread_state *t = thread_state();

	if (!t)
		return 0;
	for (int k = 0; k < EXPERT_PACKS; k++)
		if (!expert_step(ctx, t))
			return 0;
	tail_call(ctx, EXTERN_MAP(MAP_JUMP), JUMP_BASE + JUMP_EXPERT);
	return 0;
}
#endif

INLINE void experts_begin(struct pt_regs *ctx, struct thread_state *t, u32 point, u64 tensor)
{
	struct tensor_key key = {tensor, t->pid};
	struct moe_ids *m = map_lookup(EXTERN_MAP(MAP_MOE), &key);

	if (!m)
		return;
	if (!m->n_used || m->n_used > EXPERT_MAX_USED) {
		count_loss(LEVEL_OPERATOR, m->n_tokens);
		return;
	}
	t->expert.tensor = tensor;
	t->expert.begin_ns = t->op.begin_ns;
	t->expert.next = m->data;
	t->expert.row_bytes = m->row_bytes;
	t->expert.n_used = m->n_used;
	t->expert.n_tokens = m->n_tokens;
	t->expert.i = 0;
	t->expert.point = point;
	tail_call(ctx, EXTERN_MAP(MAP_JUMP), JUMP_BASE + JUMP_EXPERT);
}

/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Token level: one begin and one end record per decode or encode call. Nested calls (llama_process
 * around an internal decode) are sent too; the converter keeps the outermost.
 */
INLINE int token_record(struct pt_regs *ctx, u32 kind, u32 point, u64 context, s32 n_tokens,
			s32 ret, u32 flags)
{
	struct rec_token rec = {};

	if (skip_process())
		return 0;
	count_hit(LEVEL_TOKEN);
	fill_head(&rec.head, sizeof(rec), kind, LEVEL_TOKEN, point);
	rec.context = context;
	rec.n_tokens = n_tokens;
	rec.ret = ret;
	rec.flags = flags;
	emit(ctx, LEVEL_TOKEN, &rec, sizeof(rec), 1);
	return 0;
}

#define PROGRAM_token_begin(name, point, context, n_tokens, sequence, sequence_before)             \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		s32 n = (s32)(n_tokens);                                                           \
		u32 flags = IS_PREFILL(n, sequence, sequence_before) ? TOKEN_PREFILL : 0;          \
                                                                                                   \
		return token_record(ctx, REC_TOKEN_BEGIN, point, context, n, 0, flags);            \
	}

#define PROGRAM_token_end(name, point, ret)                                                        \
	int name(struct pt_regs *ctx)                                                              \
	{                                                                                          \
		control_add(CONTROL_DECODES, 1);                                                   \
		return token_record(ctx, REC_TOKEN_END, point, 0, 0, (s32)(ret), 0);               \
	}

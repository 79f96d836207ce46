/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at the token records on their way to the spool: who listens learns of each decode as soon
 * as it is drained. Only the heads of other records are touched.
 */
#include "session/internal.h"

#include <linux/bpf.h>
#include <string.h>

static struct session_open_token *open_token(struct session *s, uint32_t tid)
{
	for (size_t i = 0; i < s->n_open_tokens; i++)
		if (s->open_tokens[i].tid == tid)
			return &s->open_tokens[i];
	return NULL;
}

static void token_begin(struct session *s, const struct rec_token *rec)
{
	struct session_open_token *t = open_token(s, rec->head.tid);

	if (!t) {
		t = VEC_PUSH(s->open_tokens, s->n_open_tokens, s->cap_open_tokens);
		t->tid = rec->head.tid;
	}
	if (t->depth++)
		return;
	t->token = (struct session_token){.pid = (pid_t)rec->head.pid,
					  .tid = (pid_t)rec->head.tid,
					  .context = rec->context,
					  .n_tokens = rec->n_tokens,
					  .is_prefill = rec->flags & TOKEN_PREFILL,
					  .begin_ns = rec->head.ts_ns};
}

static void token_end(struct session *s, const struct rec_token *rec)
{
	struct session_open_token *t = open_token(s, rec->head.tid);

	/* Depth 0: it began before the level was on. */
	if (!t || !t->depth || --t->depth)
		return;
	t->token.end_ns = rec->head.ts_ns;
	s->n_tokens++;
	s->stretch.decodes++;
	if (s->on_token)
		s->on_token(s->on_token_ctx, &t->token);
}

/* How many operators came tells whether the filter let any pass. */
static void count_operators(struct session *s, const uint8_t *at, size_t len)
{
	struct rec_ops ops;

	if (len < sizeof(ops))
		return;
	memcpy(&ops, at, sizeof(ops));
	s->n_operators += ops.n;
}

static void look_backend(struct session *s, const uint8_t *at, size_t len)
{
	struct rec_backend rec;

	if (len < sizeof(rec))
		return;
	memcpy(&rec, at, sizeof(rec));
	session_saw_backend(s, &rec);
}

static void look_token(struct session *s, const uint8_t *at, size_t len)
{
	struct rec_token rec;

	if (len < sizeof(rec))
		return;
	memcpy(&rec, at, sizeof(rec));
	if (rec.head.kind == REC_TOKEN_BEGIN)
		token_begin(s, &rec);
	else
		token_end(s, &rec);
}

/* `len` is at least that of a head. */
static void look(struct session *s, const uint8_t *at, size_t len)
{
	switch (at[offsetof(struct rec_head, kind)]) {
	case REC_TENSOR:
		session_judge_tensor(s, at, len);
		session_learn_tensor(s, at, len);
		break;
	case REC_OPS:
		count_operators(s, at, len);
		session_tell_ops(s, at, len);
		break;
	case REC_BACKEND:
		look_backend(s, at, len);
		break;
	case REC_TOKEN_BEGIN:
	case REC_TOKEN_END:
		look_token(s, at, len);
		break;
	}
}

static void walk_ring(struct session *s, const uint8_t *p, size_t len)
{
	while (len >= BPF_RINGBUF_HDR_SZ) {
		uint32_t head, size, step;

		memcpy(&head, p, sizeof(head));
		size = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		step = (size + BPF_RINGBUF_HDR_SZ + 7) & ~7u;
		if (step > len)
			return;
		if (!(head & BPF_RINGBUF_DISCARD_BIT) && size >= sizeof(struct rec_head))
			look(s, p + BPF_RINGBUF_HDR_SZ, size);
		p += step;
		len -= step;
	}
}

static void walk_plain(struct session *s, const uint8_t *p, size_t len)
{
	while (len >= sizeof(struct rec_head)) {
		uint16_t size;

		memcpy(&size, p, sizeof(size));
		if (size < sizeof(struct rec_head) || size > len)
			return;
		look(s, p, size);
		p += size;
		len -= size;
	}
}

void session_look_at(struct session *s, enum record_block kind, const void *data, size_t len)
{
	if (kind == BLOCK_RING)
		walk_ring(s, data, len);
	else
		walk_plain(s, data, len);
}

void session_on_token(struct session *s, session_token_fn fn, void *ctx)
{
	s->on_token = fn;
	s->on_token_ctx = ctx;
}

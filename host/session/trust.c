/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first tensors that come with a layout are judged before they are written. A layout that was
 * inferred wrongly shows in them at once; then the operator level goes off with the reason, and
 * nothing of it reaches the spool.
 */
#include "session/internal.h"

#include <linux/bpf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	ENOUGH = 64, /* tensors that were good: no more are looked at */
	FEW = 8,     /* a verdict takes that many */
};

struct session_trust {
	unsigned looked, bad;
	bool failed, told;
	char why[128]; /* the first objection */
};

static struct session_trust *trust_of(struct session *s, size_t layout)
{
	while (s->n_trust <= layout)
		*VEC_PUSH(s->trust, s->n_trust, s->cap_trust) = (struct session_trust){0};
	return &s->trust[layout];
}

void session_judge_tensor(struct session *s, const uint8_t *at, size_t len)
{
	struct session_trust *t;
	struct rec_tensor rec;
	char why[sizeof(t->why)];

	if (len < sizeof(rec))
		return;
	memcpy(&rec, at, sizeof(rec));
	if (rec.layout >= plan_mark(s->plan).layouts || rec.raw_len > len - sizeof(rec))
		return;
	t = trust_of(s, rec.layout);
	if (t->failed || t->looked >= ENOUGH)
		return;
	t->looked++;
	if (!layout_check_tensor(plan_layout(s->plan, rec.layout)->layout, at + sizeof(rec),
				 rec.raw_len, why, sizeof(why))) {
		if (!t->bad++)
			memcpy(t->why, why, sizeof(why));
		/* One struct may be written to while it is read. */
		t->failed = t->looked >= FEW && t->bad > t->looked / 2;
		s->distrusted |= t->failed;
	}
}

static bool is_distrusted(struct session *s, const uint8_t *at, size_t len)
{
	struct rec_head head;
	int layout;

	if (len < sizeof(head))
		return false;
	memcpy(&head, at, sizeof(head));
	/* Batches mix what a thread computed. */
	if (head.kind == REC_OPS)
		return true;
	if (head.level != LEVEL_OPERATOR || head.point >= plan_mark(s->plan).points)
		return false;
	layout = plan_point(s->plan, head.point)->layout;
	if (layout < 0)
		return false;
	layout = session_layout_id(s, layout);
	return layout >= 0 && (size_t)layout < s->n_trust && s->trust[layout].failed;
}

/* Bytes of the first record of a block and where its payload is; 0: the rest is no record. */
static size_t first_record(enum record_block kind, const uint8_t *p, size_t len,
			   const uint8_t **payload, size_t *payload_len)
{
	uint32_t head = 0;
	uint16_t size;
	size_t step;

	if (kind == BLOCK_RING) {
		if (len < BPF_RINGBUF_HDR_SZ)
			return 0;
		memcpy(&head, p, sizeof(head));
		*payload = p + BPF_RINGBUF_HDR_SZ;
		*payload_len = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		step = (*payload_len + BPF_RINGBUF_HDR_SZ + 7) & ~(size_t)7;
		return step > len ? 0 : step;
	}
	if (len < sizeof(struct rec_head))
		return 0;
	memcpy(&size, p, sizeof(size));
	*payload = p;
	*payload_len = size;
	return size < sizeof(struct rec_head) || size > len ? 0 : size;
}

static uint64_t operators_in(const uint8_t *at, size_t len)
{
	struct rec_ops rec;

	if (len < sizeof(rec))
		return 0;
	memcpy(&rec, at, sizeof(rec));
	return rec.head.kind == REC_OPS ? rec.n : 0;
}

size_t session_trusted_bytes(struct session *s, enum record_block kind, const uint8_t *p,
			     size_t len, size_t *skip)
{
	const uint8_t *payload;
	size_t at = 0, n = 0, step;

	*skip = 0;
	if (!s->distrusted)
		return len;
	while ((step = first_record(kind, p + at, len - at, &payload, &n)) > 0) {
		if (is_distrusted(s, payload, n)) {
			s->distrusted_ops += operators_in(payload, n);
			*skip = step;
			return at;
		}
		at += step;
	}
	return len;
}

void session_apply_trust(struct session *s, struct diag *d)
{
	for (size_t i = 0; s->distrusted && i < s->n_trust; i++) {
		struct session_trust *t = &s->trust[i];
		struct session_level *sl = &s->level[LEVEL_OPERATOR];

		if (!t->failed || t->told)
			continue;
		t->told = true;
		free(sl->reason);
		sl->reason = xasprintf("what was inferred of struct ggml_tensor does not fit the "
				       "process: of the first %u tensors %u cannot be any (%s)",
				       t->looked, t->bad, t->why);
		session_note_text(s, "trust", sl->reason);
		diag_add(d, DIAG_WARNING,
			 "the operator level is off, %s; `llmprobe doctor` shows how each field "
			 "was found, and debug symbols of the engine settle it",
			 sl->reason);
		session_disable(s, LEVEL_OPERATOR, d);
	}
}

void session_trust_anew(struct session *s)
{
	s->n_trust = 0;
	s->distrusted = false;
	free(s->level[LEVEL_OPERATOR].reason);
	s->level[LEVEL_OPERATOR].reason = NULL;
}

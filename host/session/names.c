/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators for live figures. Names of tensors are kept from the tensor records on their way to the
 * spool when somebody asked for them, so that sums and rows by address can be told by operator.
 */
#include "session/internal.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "bpf/kmap.h"

struct session_name {
	struct tensor_key key;
	const char *op; /* of the layout, lives as long as the plan */
	char name[64];
	UT_hash_handle hh;
};

static struct session_name *find(struct session *s, uint64_t tensor, uint32_t pid)
{
	struct tensor_key key = {tensor, pid};
	struct session_name *n;

	HASH_FIND(hh, s->names, &key, sizeof(key), n);
	return n;
}

static struct session_name *find_or_add(struct session *s, uint64_t tensor, uint32_t pid)
{
	struct session_name *n = find(s, tensor, pid);

	if (n)
		return n;
	n = xcalloc(1, sizeof(*n));
	n->key = (struct tensor_key){tensor, pid};
	HASH_ADD(hh, s->names, key, sizeof(n->key), n);
	return n;
}

static const struct layout *layout_of(struct session *s, unsigned id)
{
	return id < plan_mark(s->plan).layouts ? plan_layout(s->plan, id)->layout : NULL;
}

/* Bytes of the raw struct, cut at what was sent. */
static const uint8_t *field(const uint8_t *raw, size_t len, int32_t at, size_t need)
{
	return at >= 0 && (size_t)at + need <= len ? raw + at : NULL;
}

void session_learn_tensor(struct session *s, const uint8_t *at, size_t len)
{
	struct rec_tensor rec;
	const struct layout *l;
	const uint8_t *raw = at + sizeof(rec), *op, *name;
	struct session_name *n;
	uint32_t number;

	if (!s->opts.names || len < sizeof(rec))
		return;
	memcpy(&rec, at, sizeof(rec));
	l = layout_of(s, rec.layout);
	if (!l || rec.raw_len > len - sizeof(rec))
		return;
	op = field(raw, rec.raw_len, layout_get(l, LAYOUT_TENSOR_OP), 4);
	name = field(raw, rec.raw_len, layout_get(l, LAYOUT_TENSOR_NAME), sizeof(n->name));
	if (!op)
		return;
	memcpy(&number, op, sizeof(number));
	n = find_or_add(s, rec.tensor, rec.head.pid);
	n->op = layout_op_name(l, number);
	if (name)
		snprintf(n->name, sizeof(n->name), "%.63s", (const char *)name);
}

struct each_call {
	struct session *s;
	session_op_fn fn;
	void *ctx;
};

static int each_one(void *ctx, const void *key, const void *value)
{
	struct each_call *c = ctx;
	struct summary_key k;
	struct op_summary v;
	const struct session_name *n;

	memcpy(&k, key, sizeof(k));
	memcpy(&v, value, sizeof(v));
	n = find(c->s, k.tensor, k.pid);
	c->fn(c->ctx, &(struct session_op){.op = n && n->op ? n->op : "?",
					   .name = n ? n->name : "",
					   .tid = (pid_t)k.tid,
					   .thread_index = v.ith,
					   .count = v.count,
					   .compute_ns = v.compute_ns,
					   .wait_ns = v.wait_ns});
	return 0;
}

void session_each_op(struct session *s, session_op_fn fn, void *ctx)
{
	struct each_call c = {s, fn, ctx};

	kmap_each(s->map[MAP_SUMMARY], each_one, &c);
}

void session_on_op(struct session *s, session_op_fn fn, void *ctx)
{
	s->on_op = fn;
	s->on_op_ctx = ctx;
}

static void tell_op(struct session *s, const struct rec_ops *rec, const struct op_slot *slot)
{
	const struct session_name *n = find(s, slot->tensor, rec->head.pid);
	bool barrier = slot->flags & OP_HAS_BARRIER;
	uint64_t end = barrier ? slot->end_ns : slot->next_ns;

	s->on_op(s->on_op_ctx,
		 &(struct session_op){
			 .op = n && n->op ? n->op : "?",
			 .name = n ? n->name : "",
			 .tid = (pid_t)rec->head.tid,
			 .thread_index = slot->ith,
			 .count = 1,
			 .compute_ns = end > slot->begin_ns ? end - slot->begin_ns : 0,
			 .wait_ns = barrier && slot->next_ns > end ? slot->next_ns - end : 0});
}

void session_tell_ops(struct session *s, const uint8_t *at, size_t len)
{
	struct rec_ops rec;
	struct op_slot slot;
	size_t stride;

	if (!s->on_op || len < sizeof(rec))
		return;
	memcpy(&rec, at, sizeof(rec));
	stride = sizeof(slot) + (rec.n_counters ? (rec.n_counters + 2u) * sizeof(uint64_t) : 0);
	at += sizeof(rec);
	for (size_t left = len - sizeof(rec); rec.n && left >= stride; rec.n--) {
		memcpy(&slot, at, sizeof(slot));
		tell_op(s, &rec, &slot);
		at += stride;
		left -= stride;
	}
}

void session_names_free(struct session *s)
{
	struct session_name *n, *next;

	HASH_ITER (hh, s->names, n, next) {
		HASH_DEL(s->names, n);
		free(n);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/sums.h"

#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

struct key {
	uint64_t a, b; /* all zero: unused */
};

struct sum {
	struct key key;
	int64_t count, compute, wait, wait_known, min, max;
	double value;
	bool scaled;
};

/* Open addressing; a look-up per operator row is the hottest thing of the conversion. */
struct map {
	struct sum *slots;
	size_t size, used; /* size is a power of two */
};

struct sums {
	struct writer *w;
	const struct catalog *catalog;
	struct map phase, token, counter;
};

/* Tokens are mostly done once this many of their sums exist; then they are written out. */
enum { MAP_START = 1024, TOKEN_SUMS = 8192 };

struct sums *sums_new(struct writer *w, const struct catalog *c)
{
	struct sums *s = xcalloc(1, sizeof(*s));

	s->w = w;
	s->catalog = c;
	return s;
}

void sums_free(struct sums *s)
{
	if (!s)
		return;
	free(s->phase.slots);
	free(s->token.slots);
	free(s->counter.slots);
	free(s);
}

static struct sum *slot(struct map *m, struct key k)
{
	uint64_t h = (k.a * UINT64_C(0x9e3779b97f4a7c15)) ^ (k.b * UINT64_C(0xc2b2ae3d27d4eb4f));
	size_t i = (h ^ h >> 32) & (m->size - 1);

	while (m->slots[i].key.a && (m->slots[i].key.a != k.a || m->slots[i].key.b != k.b))
		i = (i + 1) & (m->size - 1);
	return &m->slots[i];
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->size = old.size ? 2 * old.size : MAP_START;
	m->slots = xcalloc(m->size, sizeof(*m->slots));
	for (size_t i = 0; i < old.size; i++)
		if (old.slots[i].key.a)
			*slot(m, old.slots[i].key) = old.slots[i];
	free(old.slots);
}

static struct sum *get(struct map *m, struct key k)
{
	struct sum *s;

	if (4 * m->used >= 3 * m->size)
		grow(m);
	s = slot(m, k);
	if (!s->key.a) {
		s->key = k;
		m->used++;
	}
	return s;
}

/* Times of a broken run may be any: a sum stops at what a column holds. */
static int64_t plus(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static void add(struct sum *s, const struct sums_op *op)
{
	if (!s->count || op->compute < s->min)
		s->min = op->compute;
	if (!s->count || op->compute > s->max)
		s->max = op->compute;
	s->count++;
	s->compute = plus(s->compute, op->compute);
	if (op->wait != WRITER_NULL) {
		s->wait = plus(s->wait, op->wait);
		s->wait_known++;
	}
}

/* The top bit keeps a used key from being zero. */
static struct key phase_key(const struct sums_op *op)
{
	return (struct key){UINT64_C(1) << 63 | (uint64_t)op->phase << 48 | op->ith,
			    (uint64_t)op->tensor << 32 | op->tid};
}

static void write_tokens(struct sums *s)
{
	for (size_t i = 0; i < s->token.size; i++) {
		const struct sum *v = &s->token.slots[i];
		uint32_t op = (uint32_t)(v->key.b >> 16);

		if (v->key.a)
			writer_add(s->w, W_OP_TOKEN, "isiiiI",
				   (int64_t)(v->key.a & ~(UINT64_C(1) << 63)),
				   op ? catalog_op_name(s->catalog, op - 1) : NULL,
				   (int64_t)(v->key.b & 0xffff), v->count, v->compute,
				   v->wait_known ? v->wait : WRITER_NULL);
	}
	free(s->token.slots);
	s->token = (struct map){0};
}

void sums_add(struct sums *s, const struct sums_op *op)
{
	uint32_t name = op->tensor ? catalog_op(s->catalog, op->tensor) + 1 : 0;

	add(get(&s->phase, phase_key(op)), op);
	if (op->token == WRITER_NULL)
		return;
	add(get(&s->token, (struct key){UINT64_C(1) << 63 | (uint64_t)op->token,
					(uint64_t)name << 16 | op->ith}),
	    op);
	if (s->token.used >= TOKEN_SUMS)
		write_tokens(s);
}

void sums_counter(struct sums *s, const struct sums_op *op, int64_t name_id, uint64_t value,
		  bool scaled)
{
	struct key k = {UINT64_C(1) << 63 | (uint64_t)op->phase << 48 | op->ith,
			(uint64_t)op->tensor << 32 | (uint64_t)name_id};
	struct sum *v = get(&s->counter, k);

	v->count++;
	v->value += (double)value;
	v->scaled |= scaled;
}

static int64_t tensor_of(const struct sum *v)
{
	return v->key.b >> 32 ? (int64_t)(v->key.b >> 32) : WRITER_NULL;
}

static const char *phase_of(const struct sum *v)
{
	return phase_name((enum token_phase)(v->key.a >> 48 & 0x7fff));
}

void sums_finish(struct sums *s)
{
	write_tokens(s);
	for (size_t i = 0; i < s->phase.size; i++) {
		const struct sum *v = &s->phase.slots[i];

		if (v->key.a)
			writer_add(s->w, W_OP_PHASE, "sIiiiiIiii", phase_of(v), tensor_of(v),
				   (int64_t)(v->key.b & UINT32_MAX), (int64_t)(v->key.a & 0xffff),
				   v->count, v->compute, v->wait_known ? v->wait : WRITER_NULL,
				   v->wait_known, v->min, v->max);
	}
	for (size_t i = 0; i < s->counter.size; i++) {
		const struct sum *v = &s->counter.slots[i];

		if (v->key.a)
			writer_add(s->w, W_COUNTER_PHASE, "sIiiidi", phase_of(v), tensor_of(v),
				   (int64_t)(v->key.a & 0xffff), (int64_t)(v->key.b & UINT32_MAX),
				   v->count, v->value, (int64_t)v->scaled);
	}
}

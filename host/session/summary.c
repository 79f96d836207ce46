/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operators.mode: summary. The kernel keeps sums per tensor and thread; the spool gets the growth
 * since the last time, so that several writings add up to the whole.
 */
#include "session/internal.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "bpf/kmap.h"

struct session_summary {
	struct summary_key key;
	struct op_summary written;
	UT_hash_handle hh;
};

static struct session_summary *written_before(struct session *s, const struct summary_key *key)
{
	struct session_summary *e;

	HASH_FIND(hh, s->summaries, key, sizeof(*key), e);
	if (e)
		return e;
	e = xcalloc(1, sizeof(*e));
	e->key = *key;
	HASH_ADD(hh, s->summaries, key, sizeof(e->key), e);
	return e;
}

/* Minimum and maximum are those of the whole time: a part's own are not known. */
static void fill_record(struct rec_op_sum *rec, const struct summary_key *key,
			const struct op_summary *now, const struct op_summary *before)
{
	*rec = (struct rec_op_sum){
		.head = {.size = sizeof(*rec),
			 .kind = REC_OP_SUM,
			 .level = LEVEL_OPERATOR,
			 .tid = key->tid,
			 .pid = key->pid,
			 .ts_ns = session_now_ns()},
		.tensor = key->tensor,
		.count = now->count - before->count,
		.compute_ns = now->compute_ns - before->compute_ns,
		.compute_min_ns = now->min_ns,
		.compute_max_ns = now->max_ns,
		.wait_ns = now->wait_ns - before->wait_ns,
		.ith = now->ith,
		.flags = now->flags,
	};
	for (int i = 0; i < OP_SUM_BUCKETS; i++)
		rec->log2[i] = now->log2[i] - before->log2[i];
}

static int write_one(void *ctx, const void *key, const void *value)
{
	struct session *s = ctx;
	struct session_summary *e = written_before(s, key);
	struct op_summary now;
	struct rec_op_sum rec;

	memcpy(&now, value, sizeof(now));
	if (now.count == e->written.count)
		return 0;
	fill_record(&rec, &e->key, &now, &e->written);
	e->written = now;
	spool_write(s->spool, BLOCK_PLAIN, 0, &rec, sizeof(rec));
	return 0;
}

/* The operator that a thread was in when it ended or its programs were taken off; its barrier wait
 * is not known. */
void session_sum_pending(struct session *s, const struct thread_state *t)
{
	struct summary_key key = {t->op.tensor, t->tid, t->pid};
	struct op_summary sum = {.min_ns = UINT64_MAX};
	uint64_t compute;
	int bucket = 0;

	if (!t->op.tensor || !t->op.barrier_ns)
		return;
	compute = t->op.barrier_ns - t->op.begin_ns;
	kmap_lookup(s->map[MAP_SUMMARY], &key, &sum);
	sum.count++;
	sum.compute_ns += compute;
	sum.min_ns = compute < sum.min_ns ? compute : sum.min_ns;
	sum.max_ns = compute > sum.max_ns ? compute : sum.max_ns;
	sum.ith = t->op.ith;
	sum.flags |= t->op.flags | OP_HAS_BARRIER;
	while (bucket < OP_SUM_BUCKETS - 1 && compute >> (bucket + 1))
		bucket++;
	sum.log2[bucket]++;
	kmap_update(s->map[MAP_SUMMARY], &key, &sum, 0);
}

void session_write_summaries(struct session *s)
{
	if (s->spool)
		kmap_each(s->map[MAP_SUMMARY], write_one, s);
}

void session_summaries_free(struct session *s)
{
	struct session_summary *e, *next;

	HASH_ITER (hh, s->summaries, e, next) {
		HASH_DEL(s->summaries, e);
		free(e);
	}
}

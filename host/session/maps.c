/* SPDX-License-Identifier: Apache-2.0 */
/* The maps that the levels share, and the collection of what threads hold in them. */
#include "session/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/kmap.h"

enum {
	GRAPHS_MAX = 1024,
	TENSORS_MAX = 65536,
	MOE_MAX = 4096,
	TARGETS_MAX = 1024,
	SUMMARIES_MAX = 65536,
	JUMPS_MAX = 64,
	TARGET_WORDS = 64,
};

static const struct kmap_spec specs[MAP_COUNT] = {
	[MAP_LEVEL] = {BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct level_count), LEVEL_COUNT, 0,
		       "lp_level"},
	[MAP_RECENT_SLOT] = {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1, 0, "lp_recent_slot"},
	[MAP_FREE_SLOT] = {BPF_MAP_TYPE_QUEUE, 0, 4, THREAD_SLOTS, 0, "lp_free_slot"},
	[MAP_THREAD] = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct thread_state), THREAD_SLOTS,
			BPF_F_MMAPABLE, "lp_thread"},
	[MAP_GRAPH] = {BPF_MAP_TYPE_LRU_HASH, sizeof(struct graph_key), sizeof(struct graph_info),
		       GRAPHS_MAX, 0, "lp_graph"},
	[MAP_SEEN] = {BPF_MAP_TYPE_LRU_HASH, sizeof(struct tensor_key), 8, TENSORS_MAX, 0,
		      "lp_seen"},
	[MAP_JUMP] = {BPF_MAP_TYPE_PROG_ARRAY, 4, 4, JUMPS_MAX, 0, "lp_jump"},
	[MAP_CONTROL] = {BPF_MAP_TYPE_ARRAY, 4, 8, CONTROL_COUNT, 0, "lp_control"},
	[MAP_MOE] = {BPF_MAP_TYPE_LRU_HASH, sizeof(struct tensor_key), sizeof(struct moe_ids),
		     MOE_MAX, 0, "lp_moe"},
	[MAP_TARGET] = {BPF_MAP_TYPE_HASH, 4, 4, TARGETS_MAX, 0, "lp_target"},
	[MAP_TARGET_BITS] = {BPF_MAP_TYPE_ARRAY, 4, 8, TARGET_WORDS, 0, "lp_target_bits"},
	[MAP_SUMMARY] = {BPF_MAP_TYPE_HASH, sizeof(struct summary_key), sizeof(struct op_summary),
			 SUMMARIES_MAX, BPF_F_NO_PREALLOC, "lp_summary"},
	[MAP_RUN] = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct graph_run), RUN_SLOTS, 0, "lp_run"},
	[MAP_RUN_SLOT] = {BPF_MAP_TYPE_QUEUE, 0, 4, RUN_SLOTS, 0, "lp_run_slot"},
	[MAP_NODE] = {BPF_MAP_TYPE_ARRAY, 4, 8, (RUN_SLOTS * NODES_MAX), 0, "lp_node"},
	[MAP_FILTER] = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct filter_table), 1, 0, "lp_filter"},
};

/* Task storage holds a slot number per thread where uprobe programs may use it; a hash elsewhere.
 */
static int make_slot_map(struct session *s, struct diag *d)
{
	struct kmap_spec spec = {BPF_MAP_TYPE_HASH, 4, 4, 4 * THREAD_SLOTS, 0, "lp_slot"};

	if (feature_ok(s->features, FEATURE_TASK_STORAGE))
		spec = (struct kmap_spec){BPF_MAP_TYPE_TASK_STORAGE, 4, 4, 0, 0, "lp_slot"};
	return kmap_create(&spec, d);
}

static int fill_queue(int map, uint32_t n, struct diag *d)
{
	for (uint32_t i = 0; i < n; i++) {
		int err = kmap_update(map, NULL, &i, 0);

		if (err)
			return diag_fail(d, err, "cannot fill a BPF queue: %s", strerror(-err));
	}
	return 0;
}

static int fill_slots(struct session *s, struct diag *d)
{
	for (uint32_t i = 0; i < THREAD_SLOTS; i++)
		s->slot_order[i] = i;
	s->n_free_slots = THREAD_SLOTS;
	if (fill_queue(s->map[MAP_FREE_SLOT], THREAD_SLOTS, d))
		return -EIO;
	return fill_queue(s->map[MAP_RUN_SLOT], RUN_SLOTS, d);
}

static int map_threads(struct session *s, struct diag *d)
{
	size_t bytes = THREAD_SLOTS * sizeof(struct thread_state);

	s->threads = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->map[MAP_THREAD], 0);
	if (s->threads != MAP_FAILED)
		return 0;
	s->threads = NULL;
	return diag_fail(d, -errno, "cannot map a BPF array: %s (kernels before 5.5 lack this)",
			 strerror(errno));
}

int session_counter_map(struct session *s, struct diag *d)
{
	int fd = counters_map(s->counters, THREAD_SLOTS, d);

	if (fd < 0)
		return fd;
	s->map[MAP_COUNTER] = dup(fd);
	return 0;
}

/* Programs match tensor names by it. */
static int fill_filter(struct session *s, struct diag *d)
{
	struct filter_table *table;
	uint32_t zero = 0;
	int err;

	if (!s->filter)
		return 0;
	table = xcalloc(1, sizeof(*table));
	filter_fill(s->filter, table);
	err = kmap_update(s->map[MAP_FILTER], &zero, table, 0);
	free(table);
	return err ? diag_fail(d, err, "cannot fill a BPF array: %s", strerror(-err)) : 0;
}

int session_maps_make(struct session *s, struct diag *d)
{
	for (int i = 0; i < MAP_COUNT; i++) {
		if (!specs[i].name)
			continue;
		s->map[i] = kmap_create(&specs[i], d);
		if (s->map[i] < 0)
			return s->map[i];
	}
	s->map[MAP_THREAD_SLOT] = make_slot_map(s, d);
	if (s->map[MAP_THREAD_SLOT] < 0)
		return s->map[MAP_THREAD_SLOT];
	if (s->counters && session_counter_map(s, d))
		return -EIO;
	s->map[MAP_EVENTS] = dup(transport_map_fd(s->transport));
	if (fill_slots(s, d) || fill_filter(s, d))
		return -EIO;
	session_tell_new_threads(s, s->counters != NULL);
	return map_threads(s, d);
}

void session_maps_free(struct session *s)
{
	if (s->threads)
		munmap(s->threads, THREAD_SLOTS * sizeof(struct thread_state));
	for (int i = 0; i < MAP_COUNT; i++)
		if (s->map[i] >= 0)
			close(s->map[i]);
}

/* The bit test in front of the hash spares everybody else's switches a look-up. */
static int update_target_bits(struct session *s)
{
	uint64_t words[TARGET_WORDS] = {0};

	for (size_t i = 0; i < s->n_processes; i++) {
		uint32_t pid = (uint32_t)s->processes[i].process.pid;

		if (s->processes[i].alive)
			words[(pid >> 6) % TARGET_WORDS] |= 1ULL << (pid & 63);
	}
	for (uint32_t i = 0; i < TARGET_WORDS; i++) {
		int err = kmap_update(s->map[MAP_TARGET_BITS], &i, &words[i], 0);

		if (err)
			return err;
	}
	return 0;
}

int session_map_target(struct session *s, pid_t pid, bool add)
{
	uint32_t key = (uint32_t)pid, one = 1;
	int err = add ? kmap_update(s->map[MAP_TARGET], &key, &one, 0)
		      : kmap_delete(s->map[MAP_TARGET], &key);

	return err && add ? err : update_target_bits(s);
}

void session_forget_tensors(struct session *s)
{
	uint32_t walks = CONTROL_WALKS, moe = CONTROL_MOE;
	uint64_t zero = 0;

	kmap_clear(s->map[MAP_GRAPH]);
	kmap_clear(s->map[MAP_SEEN]);
	kmap_clear(s->map[MAP_MOE]);
	kmap_clear(s->map[MAP_RUN]);
	kmap_update(s->map[MAP_CONTROL], &walks, &zero, 0);
	kmap_update(s->map[MAP_CONTROL], &moe, &zero, 0);
}

void session_tell_new_threads(struct session *s, bool on)
{
	uint32_t key = CONTROL_COUNTERS;
	uint64_t value = on;

	kmap_update(s->map[MAP_CONTROL], &key, &value, 0);
}

void session_hold_schedulers(struct session *s, bool on)
{
	uint32_t key = CONTROL_HOLDS;
	uint64_t value = on;

	kmap_update(s->map[MAP_CONTROL], &key, &value, 0);
}

void session_want_operators(struct session *s, bool on)
{
	uint32_t wanted = CONTROL_OPERATORS, walks = CONTROL_WALKS;
	uint64_t value = on, zero = 0;

	kmap_update(s->map[MAP_CONTROL], &wanted, &value, 0);
	if (!on)
		kmap_update(s->map[MAP_CONTROL], &walks, &zero, 0);
}

static size_t slot_bytes(size_t n_counters)
{
	return sizeof(struct op_slot) + (n_counters ? (n_counters + 2) * 8 : 0);
}

/* The operator that was running when the programs were taken off: it ends with its graph. */
static size_t add_pending(const struct thread_state *t, size_t n_counters, uint8_t *at)
{
	struct op_slot slot = {
		.tensor = t->op.tensor,
		.begin_ns = t->op.begin_ns,
		.end_ns = t->op.barrier_ns ? t->op.barrier_ns : t->op.begin_ns,
		.next_ns = session_now_ns(),
		.cpu = t->op.cpu,
		.ith = t->op.ith,
		.flags = (uint16_t)(t->op.flags | OP_CUT | (t->op.barrier_ns ? OP_HAS_BARRIER : 0)),
		.end_cpu = t->op.barrier_cpu,
	};

	if (!t->op.tensor)
		return 0;
	memset(at, 0, slot_bytes(n_counters));
	memcpy(at, &slot, sizeof(slot));
	return 1;
}

static void send_batch(struct session *s, struct thread_state *t)
{
	uint8_t rec[sizeof(struct rec_ops) + BATCH_BYTES + 256];
	size_t stride = slot_bytes(s->batch_counters), n = t->n_ops, len;
	struct rec_ops head = {
		.head = {.kind = REC_OPS,
			 .level = LEVEL_OPERATOR,
			 .tid = t->tid,
			 .pid = t->pid,
			 .ts_ns = session_now_ns()},
		.n_counters = (uint16_t)s->batch_counters,
		.first = t->first,
	};

	if (s->opts.summary && !n) {
		session_sum_pending(s, t);
		t->op.tensor = 0;
		return;
	}
	if (n * stride > BATCH_BYTES)
		return;
	memcpy(rec + sizeof(head), t->batch, n * stride);
	n += add_pending(t, s->batch_counters, rec + sizeof(head) + n * stride);
	t->op.tensor = 0;
	t->first += (uint32_t)n;
	t->n_ops = 0;
	len = sizeof(head) + n * stride;
	head.head.size = (uint16_t)len;
	head.n = (uint16_t)n;
	s->n_operators += n;
	memcpy(rec, &head, sizeof(head));
	/* What a batch belongs to is not known without tensors that can be believed. */
	if (s->distrusted)
		s->distrusted_ops += n;
	else if (n && s->spool)
		spool_write(s->spool, BLOCK_PLAIN, 0, rec, len);
}

void session_forget_graphs(struct session *s)
{
	for (uint32_t i = 0; i < THREAD_SLOTS; i++)
		s->threads[i].depth = 0;
}

/* A slot whose thread is gone serves the next new thread. */
static void release_slot(struct session *s, uint32_t i)
{
	uint32_t tid = s->threads[i].tid;

	if (!feature_ok(s->features, FEATURE_TASK_STORAGE))
		kmap_delete(s->map[MAP_THREAD_SLOT], &tid);
	memset(&s->threads[i], 0, sizeof(s->threads[i]));
	kmap_update(s->map[MAP_FREE_SLOT], NULL, &i, 0);
	s->slot_order[(s->next_slot + s->n_free_slots++) % THREAD_SLOTS] = i;
	if (s->counters)
		counters_close(s->counters, i);
}

static bool thread_alive(const struct thread_state *t)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/task/%u", t->pid, t->tid);
	return access(path, F_OK) == 0;
}

/* Slots are handed out in the order of the queue, so only its head can be a new thread. */
void session_new_threads(struct session *s, struct diag *d)
{
	while (s->n_free_slots) {
		uint32_t slot = s->slot_order[s->next_slot];
		uint32_t tid = s->threads[slot].tid;

		if (!tid)
			return;
		s->next_slot = (s->next_slot + 1) % THREAD_SLOTS;
		s->n_free_slots--;
		if (s->counters)
			counters_open(s->counters, (pid_t)tid, slot, d);
	}
}

void session_collect_threads(struct session *s, bool only_dead)
{
	for (uint32_t i = 0; i < THREAD_SLOTS; i++) {
		struct thread_state *t = &s->threads[i];
		bool dead;

		if (!t->tid)
			continue;
		dead = !thread_alive(t);
		if (dead || !only_dead)
			send_batch(s, t);
		if (dead) {
			s->dead_op_hits += t->op_hits;
			s->dead_barrier_hits += t->barrier_hits;
			release_slot(s, i);
		}
	}
}

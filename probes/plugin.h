/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * What stands in front of every plugin: the question whether a process is a target, and a count of
 * what the plugin's own tables and buffers had no room for. EXTERN_MAP(0) is the set of targets.
 */
#define LLMPROBE 1

#ifndef EXTERN_MAP
#define EXTERN_MAP(n) ((void *)bpf_pseudo_fd(1, 0x4c500000 + (n)))
#endif

enum { LLMPROBE_LOST_UPDATES, LLMPROBE_LOST_RECORDS, LLMPROBE_LOST_KINDS };
BPF_PERCPU_ARRAY(llmprobe_lost, u64, LLMPROBE_LOST_KINDS);

static void *(*llmprobe_raw_lookup)(void *map, const void *key) = (void *)1;
static long (*llmprobe_raw_update)(void *map, const void *key, const void *value,
				   u64 flags) = (void *)2;
static u64 (*llmprobe_raw_pid)(void) = (void *)14;
static long (*llmprobe_raw_output)(void *ring, void *data, u64 len, u64 flags) = (void *)130;
static void *(*llmprobe_raw_reserve)(void *ring, u64 len, u64 flags) = (void *)131;

static inline __attribute__((always_inline)) int llmprobe_target(void)
{
	u32 tgid = llmprobe_raw_pid() >> 32;

	return llmprobe_raw_lookup(EXTERN_MAP(0), &tgid) != 0;
}

static inline __attribute__((always_inline)) void llmprobe_count_lost(int kind)
{
	u64 *n = llmprobe_lost.lookup(&kind);

	if (n)
		(*n)++;
}

/* -E2BIG and -ENOMEM: the table is full. -EEXIST and the like are the plugin's own affair. */
static inline __attribute__((always_inline)) int llmprobe_update(void *map, void *key, void *value,
								 u64 flags)
{
	long err = llmprobe_raw_update(map, key, value, flags);

	if (err == -7 || err == -12)
		llmprobe_count_lost(LLMPROBE_LOST_UPDATES);
	return err;
}

/* The host drains by the clock; a wake-up per record would cost the traced thread 7 to 15 us. */
static inline __attribute__((always_inline)) long llmprobe_output(void *ring, void *data, u64 len,
								  u64 flags)
{
	long err = llmprobe_raw_output(ring, data, len, flags ? flags : 1);

	if (err)
		llmprobe_count_lost(LLMPROBE_LOST_RECORDS);
	return err;
}

/* A macro, for the verifier must see the size as a constant. */
#define llmprobe_reserve(ring, len, flags)                                                         \
	({                                                                                         \
		void *llmprobe_room = llmprobe_raw_reserve((void *)(ring), (len), (flags));        \
		if (!llmprobe_room)                                                                \
			llmprobe_count_lost(LLMPROBE_LOST_RECORDS);                                \
		llmprobe_room;                                                                     \
	})

#define bpf_map_update_elem llmprobe_update
#define bpf_ringbuf_output  llmprobe_output
#define bpf_ringbuf_reserve llmprobe_reserve

/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel maps by descriptor. All return 0 or -errno unless said otherwise. */
#ifndef LLMPROBE_BPF_KMAP_H
#define LLMPROBE_BPF_KMAP_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"

struct kmap_spec {
	uint32_t type; /* BPF_MAP_TYPE_* */
	uint32_t key_size, value_size, max_entries, flags;
	const char *name; /* up to 15 characters of [A-Za-z0-9_.], NULL: none */
};

/*
 * Makes a map; the descriptor is close-on-exec. BPF_MAP_TYPE_TASK_STORAGE gets the minimal type
 * information that the kernel wants, its key_size is 4, max_entries 0 and flags
 * BPF_F_NO_PREALLOC (all filled in here). Returns the descriptor or -errno with an error in `d`.
 */
int kmap_create(const struct kmap_spec *s, struct diag *d);

int kmap_lookup(int fd, const void *key, void *value);
int kmap_update(int fd, const void *key, const void *value, uint64_t flags);
int kmap_delete(int fd, const void *key);
/* Key after `key` (NULL: the first); -ENOENT after the last. */
int kmap_next(int fd, const void *key, void *next);
/* Removes the element and hands out its value, for hashes (kernels from 5.14). */
int kmap_take(int fd, const void *key, void *value);

/* Bytes of one CPU's slot in the value buffer of a per-CPU map, and of the whole value. */
size_t kmap_percpu_stride(uint32_t value_size);
size_t kmap_value_bytes(uint32_t type, uint32_t value_size);
bool kmap_is_percpu(uint32_t type);
/* Number of possible CPUs: slots of a per-CPU value. */
unsigned kmap_ncpu(void);

/* Sums u64 word `word` of a per-CPU value over all CPUs. */
int kmap_percpu_sum(int fd, const void *key, uint32_t value_size, unsigned word, uint64_t *sum);

/*
 * Calls `fn` for each element: batched where the kernel can (one system call per 256 elements),
 * else one by one. Elements that are added or removed meanwhile may be missed or seen. `value` of a
 * per-CPU map holds kmap_ncpu() slots. Non-zero from `fn` stops and is returned.
 */
int kmap_each(int fd, int (*fn)(void *ctx, const void *key, const void *value), void *ctx);
/* Removes all elements (hashes) or zeroes them (arrays). */
int kmap_clear(int fd);

struct kmap_info {
	uint32_t type, id, key_size, value_size, max_entries, flags;
	char name[16];
};
int kmap_info(int fd, struct kmap_info *out);

#endif

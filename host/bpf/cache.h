/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of checksummed files, one per key, for things that are dear to make again. An entry that
 * is damaged, of another version or of another key is treated as absent and removed.
 */
#ifndef LLMPROBE_BPF_CACHE_H
#define LLMPROBE_BPF_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct cache_key {
	uint64_t word[2];
};

/* Hashes a length-prefixed piece into the key, so that "ab","c" and "a","bc" differ. Start with a
 * zeroed key. Not cryptographic: the folder is writable by its owner only. */
void cache_key_add(struct cache_key *k, const void *data, size_t len);
void cache_key_adds(struct cache_key *k, const char *s);

/*
 * ${XDG_CACHE_HOME:-/var/cache}/llmprobe, made 0700 if absent; "" when it cannot be used: not ours,
 * writable by others, or a link. `out` holds `size` bytes. LLMPROBE_CACHE=off gives "" too.
 */
const char *bpf_cache_dir(char *out, size_t size);

/* Appends the entry to `out`. Returns 0, -ENOENT, or -EBADMSG for one that was damaged (removed).
 */
int cache_get(const char *dir, const char *kind, const struct cache_key *k, struct buf *out);
/*
 * Writes the entry through a temporary file, then removes the oldest ones until the folder holds at
 * most 32 MiB. Returns 0 or -errno; a failure is no reason to stop.
 */
int cache_put(const char *dir, const char *kind, const struct cache_key *k, const void *data,
	      size_t len);

#endif

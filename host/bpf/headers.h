/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel headers a text needs, and our own stub tree on disk for the time of a compile. */
#ifndef LLMPROBE_BPF_HEADERS_H
#define LLMPROBE_BPF_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/cache.h"
#include "util/diag.h"

/* "6.18.44-x" as KERNEL_VERSION(); 0 when it cannot be read. */
uint32_t headers_kernel_version(const char *release);
/* Whether the kernel's own headers are installed for `release`. */
bool headers_installed(const char *release);
/*
 * Decides from the text's #include lines: `*stubs` says that our tree has all of them. Returns
 * -ENOENT with an error at the line when the kernel's headers are needed and not there.
 */
int headers_choose(const char *text, const char *release, bool *stubs, struct diag *d);
/* Adds the stub tree's content to a cache key. */
void headers_hash(struct cache_key *k);
/* Writes the tree to a new private folder whose path goes to `dir`. Returns 0 or -errno. */
int headers_write(char *dir, size_t size, struct diag *d);
void headers_remove(const char *dir);

#endif

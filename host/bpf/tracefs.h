/* SPDX-License-Identifier: Apache-2.0 */
/* tracefs without touching the system's mounts. */
#ifndef LLMPROBE_BPF_TRACEFS_H
#define LLMPROBE_BPF_TRACEFS_H

#include <stddef.h>

#include "util/buf.h"

/*
 * A descriptor of the root of tracefs: where it is mounted, else of a mount that only this
 * descriptor knows (kernels from 5.2, CAP_SYS_ADMIN). Close it. Or -errno.
 */
int tracefs_open(void);
/* Numeric id of a tracepoint, or -errno (-ENOENT: no such event). */
int tracefs_event_id(int tracefs, const char *category, const char *event);
/* Appends a file's text. Returns 0 or -errno. */
int tracefs_read(int tracefs, const char *path, struct buf *out);
/* Appends one command to uprobe_events. Returns 0 or -errno. */
int tracefs_uprobe_event(int tracefs, const char *command);
/*
 * Calls `fn` per event below events/ that `category` (NULL: all) holds. Returns 0 or -errno.
 */
int tracefs_each_event(int tracefs, const char *category,
		       void (*fn)(void *ctx, const char *category, const char *event), void *ctx);
/* Removes uprobe events of llmprobe processes that no longer live. Returns how many. */
int tracefs_clean_stale(int tracefs);

#endif

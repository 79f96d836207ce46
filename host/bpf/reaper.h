/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closes descriptors whose close() makes the kernel wait (probes: 25 ms for a multi link, 100 ms
 * and more for each perf event). A child process without memory of its own work takes over the
 * references, so neither the caller nor its exit() waits.
 */
#ifndef LLMPROBE_BPF_REAPER_H
#define LLMPROBE_BPF_REAPER_H

#include <stddef.h>

struct reaper;

struct reaper *reaper_new(void);
/* Does not wait. NULL is fine. */
void reaper_free(struct reaper *r);
/*
 * Closes the `n` descriptors here and, for good, in a child; afterwards the child writes `text`
 * (NULL: nothing) line by line to descriptor `text_fd`. When no child can be made everything is
 * done in the calling thread. Not async-signal-safe; one thread at a time.
 */
void reaper_close(struct reaper *r, const int *fds, size_t n, const char *text, int text_fd);
/* Waits until everything is closed. Returns 0 or -ETIMEDOUT. */
int reaper_flush(struct reaper *r, unsigned timeout_ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that map a file, those included that will be started later. */
#ifndef LLMPROBE_TARGET_LOOKOUT_H
#define LLMPROBE_TARGET_LOOKOUT_H

#include "target/process.h"

struct lookout;

/* `path`: an executable or a library. NULL with an error in `d` when it is no regular file. */
struct lookout *lookout_new(const char *path, struct diag *d);
void lookout_free(struct lookout *l); /* NULL is fine */
/*
 * Fills `out` with the processes that map the file and were in no list before; the caller frees it.
 * Meant to be called a few times per second: only what is new or executes something else is looked
 * into. Returns 0 or -errno.
 */
int lookout_look(struct lookout *l, struct process_list *out);

#endif

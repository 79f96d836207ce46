/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a process maps a file, for process_scan.c and lookout.c. */
#ifndef LLMPROBE_TARGET_PROCESS_MATCH_H
#define LLMPROBE_TARGET_PROCESS_MATCH_H

#include <sys/stat.h>

#include "target/process.h"

struct wanted_file {
	struct stat st;
	const char *name; /* of the file alone, borrowed from the path */
};

/* Returns 0 or -errno with an error in `d`: no such file, or no regular one. */
int process_wanted_file(const char *path, struct wanted_file *out, struct diag *d);
/* True when it does; then `out` has an entry more. */
bool process_maps_file(pid_t pid, const struct wanted_file *file, struct process_list *out);

#endif

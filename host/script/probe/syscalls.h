/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the running system gives to numbers. */
#ifndef LLMPROBE_SCRIPT_SYSCALLS_H
#define LLMPROBE_SCRIPT_SYSCALLS_H

#include <stdint.h>

#include "util/buf.h"

/* "openat", or "[unknown: N]". */
void put_syscall_name(struct buf *out, uint64_t nr);
/* The path of a cgroup by its id, below the mount: "unified:/user.slice". */
void put_cgroup_path(struct buf *out, uint64_t id);

#endif

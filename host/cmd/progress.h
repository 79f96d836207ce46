/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LLMPROBE_CMD_PROGRESS_H
#define LLMPROBE_CMD_PROGRESS_H

#include "util/progress.h"

/* A bar that rewrites its line on stderr and is gone at the end; NULL when that is no terminal. */
const struct progress *cmd_progress(void);

#endif

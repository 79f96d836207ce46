/* SPDX-License-Identifier: Apache-2.0 */
/* What an interrupted recording left: a spool without a run file. */
#ifndef LLMPROBE_CMD_RECOVER_H
#define LLMPROBE_CMD_RECOVER_H

#include <stdbool.h>

#include "util/diag.h"

/*
 * When there is no file `run` but its spool, makes the one from the other and removes the spool;
 * `run` may also be the spool's own name, and then `force` replaces an existing run file. Returns
 * the name of the run file (free it) or NULL with an error in `d`. *made says if there was anything
 * to do.
 */
char *cmd_recover(const char *run, bool force, bool *made, struct diag *d);

#endif

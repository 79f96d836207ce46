/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts that run beside the levels of a REPL session: `probe`, `load`, `maps`, `disable`. */
#ifndef LLMPROBE_CMD_SCRIPTS_H
#define LLMPROBE_CMD_SCRIPTS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "util/diag.h"

struct scripts;

/* What scripts print goes to `out`. `exe` (NULL: none) names the targets when there is no pid. */
struct scripts *scripts_new(FILE *out, const char *exe);
/* Stops what still runs; end probes run, maps are not printed. NULL is fine. */
void scripts_free(struct scripts *s);
/*
 * Starts a program; `name` is what messages and `disable` call it (NULL: "script1", ...). With a
 * `pid` it sees that process where the probe kind can, and the engine in it and its children.
 * Returns 0 or -errno with errors in `d`.
 */
int scripts_add(struct scripts *s, const char *name, const char *text, pid_t pid, struct diag *d);
/* The same for a file; it goes by its name without folder and ".bt". */
int scripts_load(struct scripts *s, const char *path, pid_t pid, struct diag *d);
bool scripts_has(const struct scripts *s, const char *name);
/* Ends one and prints its maps. Returns 0 or -ENOENT. */
int scripts_remove(struct scripts *s, const char *name);
void scripts_print_maps(struct scripts *s);
/* One line per script: probes, events lost. */
void scripts_print_status(const struct scripts *s, FILE *out);
/* Name number i, NULL after the last. */
const char *scripts_name(const struct scripts *s, size_t i);
/* One descriptor to poll; readable when something is to be drained. */
int scripts_fd(const struct scripts *s);
/* Prints what has arrived; scripts that called exit() end. Call it every 10 ms or so as well.
 * Messages about new libraries of the target go to `d`. */
void scripts_drain(struct scripts *s, struct diag *d);

#endif

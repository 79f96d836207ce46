/* SPDX-License-Identifier: Apache-2.0 */
/* -l and -lv: probes that match a pattern, with what they hand to a script. */
#ifndef LLMPROBE_SCRIPT_LIST_H
#define LLMPROBE_SCRIPT_LIST_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "util/diag.h"

struct type;

/* One probe with the fields of its arguments (NULL: without). */
void list_probe(FILE *out, const char *name, const struct type *args);
/*
 * Lists to `out`. `pattern` NULL or "": everything that needs no file. "struct x" shows a kernel
 * type. Returns 0 or -errno with an error in `d`; matching nothing is no error.
 */
int script_list(const char *pattern, pid_t pid, bool args, FILE *out, struct diag *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe report, stat, diff, ...: the views' own command line, made from the tables of view.h. */
#ifndef LLMPROBE_CMD_VIEW_H
#define LLMPROBE_CMD_VIEW_H

#include <stddef.h>
#include <stdio.h>

#include "util/diag.h"
#include "view/view.h"

/*
 * Parses `argv` (what follows the view's name), opens the runs, prints the view to stdout or to the
 * file that -o names. Returns the exit code: 2 for a wrong command line, the view's own positive
 * status (diff --fail-if), 1 for failures.
 */
int cmd_view(const struct view *v, int argc, char *const *argv, struct diag *d);
/* The same for a run that is already open, for the REPL; `so_far`: it is still being recorded. */
int cmd_view_run(const struct view *v, const struct view_run *run, bool so_far, int argc,
		 char *const *argv, FILE *out, struct diag *d);
/* Usage and options of one view. */
void cmd_view_help(const struct view *v, FILE *out);

#endif

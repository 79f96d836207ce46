/* SPDX-License-Identifier: Apache-2.0 */
/* What script does with a program besides running it. */
#ifndef LLMPROBE_CMD_SCRIPT_MODES_H
#define LLMPROBE_CMD_SCRIPT_MODES_H

#include "cmd/cmd.h"
#include "script/script.h"

/* What --mode, --fmt, --test and --bench ask for. Returns 0, or -EINVAL with an error where two of
 * them contradict each other. */
int script_mode(const struct config *c, enum config_script_mode *out, struct diag *d);
/* Lays the program out, to stdout or the file of -o. Returns the exit status, as do the others. */
int script_mode_format(const struct cmd_context *ctx, const struct script_opts *o);
/* Compiles it and says nothing where that works. */
int script_mode_codegen(const struct cmd_context *ctx, const struct script_opts *o);
/* Compiles it again and again and prints what the stages take. */
int script_mode_compiler_bench(const struct cmd_context *ctx, const struct script_opts *o);
/* Runs the test or bench probes of a script that is loaded. */
int script_mode_trials(const struct cmd_context *ctx, struct script *s,
		       const struct script_opts *o);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands and views as one list, for help, the man page and completions. */
#ifndef LLMPROBE_CMD_ENTRY_H
#define LLMPROBE_CMD_ENTRY_H

#include "cmd/cmd.h"
#include "view/view.h"

struct cmd_entry {
	const char *name;  /* NULL: the REPL */
	const char *usage; /* what follows the name */
	const char *help, *about;
	int max_args;
	enum completion complete;
	const struct cmd *cmd; /* one of these two */
	const struct view *view;
};

/* Entry i; false after the last. */
bool cmd_entry_at(size_t i, struct cmd_entry *out);
/* By name, "repl" for the one without; false when there is none. */
bool cmd_entry_find(const char *name, struct cmd_entry *out);
/* Option i of an entry with the letter it has there; false after the last. */
bool cmd_entry_option(const struct cmd_entry *e, size_t i, struct option *out);
/* A view's option in the form of the others. */
void cmd_view_option(const struct view_option *o, struct option *out);

#endif

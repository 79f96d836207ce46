/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subcommands. One file per subcommand in cmd/; adding one is that file, a prototype here and a row
 * in the table of cmd/cmd.c. Help, the man page and completions follow from the row.
 */
#ifndef LLMPROBE_CMD_CMD_H
#define LLMPROBE_CMD_CMD_H

#include "config/config.h"
#include "config/options.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What a subcommand's function is given. */
struct cmd_context {
	struct config *config; /* parsed and checked */
	struct diag *diag;     /* printed to stderr when the function returns; see cmd_flush */
	const struct cmd *cmd;
};

struct cmd {
	const char *name; /* NULL: the REPL, which has no subcommand */
	enum command_id id;
	const char *usage;	/* what follows the name: "[-o RUN] [-p PID | -- CMD...]" */
	const char *help;	/* one line, no full stop */
	const char *about;	/* a paragraph for --help and the man page; NULL: help is enough */
	int min_args, max_args; /* positional arguments; max -1: any number */
	enum completion complete; /* of the positional arguments */
	/* Does the work; results go to stdout, messages into ctx->diag. Returns the exit code. */
	int (*run)(const struct cmd_context *ctx);
	/* Called when the arguments are wrong, with what is wrong in ctx->diag; returns the exit
	 * code. NULL: EXIT_USAGE. */
	int (*misused)(const struct cmd_context *ctx);
};

/* Ended by a row without a function. */
extern const struct cmd cmd_table[];

/* Finds the subcommand, parses its arguments, runs it, prints the messages. Returns the exit code.
 */
int cmd_main(int argc, char **argv);
/* Prints what is in the sink so far to stderr (or the log file) and empties it. */
void cmd_flush(const struct cmd_context *ctx);
const struct cmd *cmd_by_name(const char *name);
const struct cmd *cmd_by_id(enum command_id id);
/* Usage, description and options of a command or view (NULL: the REPL); false: there is none. */
bool cmd_print_help(const char *name, FILE *out);
/* What there is altogether. */
void cmd_print_overview(FILE *out);
/* Name number i of the commands and views, for text_nearest. */
const char *cmd_next_name(const void *state, size_t i);
/* Prints words wrapped at 80 columns, each line after `indent` blanks; the cursor stands there. */
void cmd_print_wrapped(const char *text, int indent, FILE *out);
/* The sections of the man page that follow from the tables. */
void cmd_print_man_options(FILE *out);
/* A JSON schema of the configuration file. */
void cmd_print_schema(FILE *out);
/* A completion script; false for an unknown shell. */
bool cmd_print_completion(const char *shell, FILE *out);

/* Topics of `list`, ended by a row without a name. */
struct list_topic {
	const char *name, *help;
	int (*run)(const struct cmd_context *ctx);
};
extern const struct list_topic list_topics[];

/* The subcommands' functions. */
int cmd_record(const struct cmd_context *ctx);
int cmd_sweep(const struct cmd_context *ctx);
int cmd_import(const struct cmd_context *ctx);
int cmd_repl(const struct cmd_context *ctx);
int cmd_top(const struct cmd_context *ctx);
int cmd_doctor(const struct cmd_context *ctx);
int cmd_overhead(const struct cmd_context *ctx);
int cmd_help(const struct cmd_context *ctx);
int cmd_version(const struct cmd_context *ctx);
int cmd_list(const struct cmd_context *ctx);
int cmd_script(const struct cmd_context *ctx);
int cmd_script_misused(const struct cmd_context *ctx);
int cmd_completion(const struct cmd_context *ctx);

#endif

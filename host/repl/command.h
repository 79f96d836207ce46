/* SPDX-License-Identifier: Apache-2.0 */
/* Inside repl/ only: the command table. */
#ifndef LLMPROBE_REPL_COMMAND_H
#define LLMPROBE_REPL_COMMAND_H

#include "repl/repl.h"

/* What a command's function sees. */
struct repl_call {
	struct repl *repl;
	const struct repl_ops *ops;
	void *ctx;
	struct config *config;
	FILE *out;
	struct diag *diag;
	const struct repl_command *command;
	int argc; /* argv[0] is the command's full name */
	char **argv;
};

struct repl_command {
	const char *name, *usage, *help;
	int min_args, max_args; /* without the name; max -1: any number */
	bool raw;		/* takes the rest of the line as it is, unless it is quoted */
	enum completion complete;
	int (*run)(const struct repl_call *call); /* 0 or -errno */
};

/* Ended by a row without a name. */
extern const struct repl_command repl_commands[];

/* By name or unique beginning; NULL with an error that lists the candidates or the nearest. */
const struct repl_command *repl_command_find(const char *word, struct diag *d);
/* Splits a line and runs its command. */
int repl_command_run(struct repl_call *call, const char *line);
/* Completion candidate i for the word at `start` of `line`. */
const char *repl_complete(const struct repl_call *call, const char *line, int start, size_t i,
			  bool *files);

/* For the table's functions: */
/* Waits until CLOCK_MONOTONIC passes `deadline_ns`, or (0) until the target ends. */
void repl_wait(struct repl *r, uint64_t deadline_ns);

#endif

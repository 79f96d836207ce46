/* SPDX-License-Identifier: Apache-2.0 */
/* Completion: which names may stand where the cursor is. */
#include <stdlib.h>
#include <string.h>

#include "repl/command.h"
#include "util/words.h"

static const char *next_key(size_t i)
{
	for (size_t row = 0; row < option_count(); row++) {
		const struct option *o = &option_table[row];

		if (o->key && !(o->flags & OPTION_ALIAS) && o->effect != CONFIG_FIXED && i-- == 0)
			return o->key;
	}
	return NULL;
}

/* Levels, for a session that names nothing else to switch. */
static const char *next_level(size_t i)
{
	static const char prefix[] = "levels.";

	for (size_t row = 0; row < option_count(); row++) {
		const char *key = option_table[row].key;

		if (key && strncmp(key, prefix, strlen(prefix)) == 0 && i-- == 0)
			return key + strlen(prefix);
	}
	return NULL;
}

/* The value of `set KEY`. */
static const char *next_value(const char *key, size_t i, bool *files)
{
	static const char *const truths[] = {"true", "false", NULL};
	static const char *const barriers[] = {"always", "never", NULL};
	static const char *const levels[] = {"token",	 "graph", "operator", "scheduler",
					     "counters", "all",	  "none",     NULL};
	const struct option *o = option_by_key(key);
	const char *const *list = NULL;

	if (!o)
		return NULL;
	*files = o->complete == COMPLETE_FILE || o->complete == COMPLETE_DIR;
	if (o->choices)
		list = o->choices;
	else if (o->type == OPTION_BOOL || o->type == OPTION_COUNTERS)
		list = truths;
	else if (o->type == OPTION_BARRIER)
		list = barriers;
	else if (o->type == OPTION_LEVELS)
		list = levels;
	for (size_t n = 0; list && list[n]; n++)
		if (n == i)
			return list[n];
	return NULL;
}

static const char *next_argument(const struct repl_call *call, const struct repl_command *cmd,
				 const struct words *before, size_t i, bool *files)
{
	switch (cmd->complete) {
	case COMPLETE_COMMAND:
		return repl_commands[i].name;
	case COMPLETE_KEY:
		return before->argc == 1 ? next_key(i) : next_value(before->argv[1], i, files);
	case COMPLETE_NAME:
	case COMPLETE_POINT:
		if (call->ops->name)
			return call->ops->name(call->ctx, cmd->complete, i);
		return cmd->complete == COMPLETE_NAME ? next_level(i) : NULL;
	case COMPLETE_FILE:
	case COMPLETE_RUN:
		*files = true;
		return NULL;
	default:
		return NULL;
	}
}

const char *repl_complete(const struct repl_call *call, const char *line, int start, size_t i,
			  bool *files)
{
	char *head = xstrndup(line, (size_t)start);
	struct words before;
	const char *name = NULL;
	const struct repl_command *cmd;
	struct diag *quiet = diag_new();

	/* An open quote before the word is no error here: a script is being typed. */
	words_split(head, &before, NULL);
	if (before.argc == 0)
		name = repl_commands[i].name;
	else if ((cmd = repl_command_find(before.argv[0], quiet)))
		name = next_argument(call, cmd, &before, i, files);
	diag_free(quiet);
	words_free(&before);
	free(head);
	return name;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/entry.h"

#include <string.h>

bool cmd_entry_at(size_t i, struct cmd_entry *out)
{
	size_t n = 0;

	*out = (struct cmd_entry){0};
	for (const struct cmd *c = cmd_table; c->run; c++) {
		if (n++ != i)
			continue;
		*out = (struct cmd_entry){c->name,     c->usage,    c->help, c->about,
					  c->max_args, c->complete, c,	     NULL};
		return true;
	}
	for (const struct view *const *v = views; *v; v++) {
		if (n++ != i)
			continue;
		*out = (struct cmd_entry){.name = (*v)->name,
					  .usage = (*v)->args,
					  .help = (*v)->help,
					  .about = (*v)->about,
					  .max_args = (*v)->max_runs,
					  .complete = COMPLETE_RUN,
					  .view = *v};
		return true;
	}
	return false;
}

bool cmd_entry_find(const char *name, struct cmd_entry *out)
{
	for (size_t i = 0; cmd_entry_at(i, out); i++)
		if (strcmp(out->name ? out->name : "repl", name) == 0)
			return true;
	return false;
}

static bool table_option(const struct cmd *c, size_t i, struct option *out)
{
	for (const struct option *o = option_table; o->key || o->flag || o->letter; o++) {
		if (!((o->commands >> c->id) & 1) || (!o->flag && !o->letter) || i-- != 0)
			continue;
		*out = *o;
		/* The letter may mean something else in this command. */
		if (o->letter && option_by_letter(o->letter, c->id) != o)
			out->letter = 0;
		return true;
	}
	return false;
}

void cmd_view_option(const struct view_option *o, struct option *out)
{
	*out = (struct option){
		.flag = o->name,
		.letter = o->letter,
		.type = o->type == VIEW_FLAG  ? OPTION_BOOL
			: o->type == VIEW_INT ? OPTION_INT
					      : OPTION_STRING,
		.arg = o->arg,
		.complete = o->arg && strcmp(o->arg, "FILE") == 0 ? COMPLETE_FILE : COMPLETE_NONE,
		.help = o->help,
	};
}

bool cmd_entry_option(const struct cmd_entry *e, size_t i, struct option *out)
{
	if (e->cmd)
		return table_option(e->cmd, i, out);
	for (const struct view_option *o = view_options; o->name; o++) {
		if (!view_takes(e->view, o) || i-- != 0)
			continue;
		cmd_view_option(o, out);
		return true;
	}
	*out = *option_by_letter('h', COMMAND_HELP);
	return i == 0;
}

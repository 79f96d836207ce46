/* SPDX-License-Identifier: Apache-2.0 */
/* Adding a command: a function and a row in the table at the end; help and completion follow. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "repl/command.h"
#include "util/clock.h"
#include "util/text.h"
#include "util/words.h"

static int not_here(const struct repl_call *c)
{
	return diag_fail(c->diag, -ENOTSUP, "%s is not available here", c->argv[0]);
}

/* Calls an operation that takes nothing but the place to print to. */
static int plain(const struct repl_call *c, int (*op)(void *, FILE *, struct diag *))
{
	return op ? op(c->ctx, c->out, c->diag) : not_here(c);
}

/* Calls an operation on one argument, NULL when it was left out. */
static int with_word(const struct repl_call *c,
		     int (*op)(void *, const char *, FILE *, struct diag *))
{
	return op ? op(c->ctx, c->argc > 1 ? c->argv[1] : NULL, c->out, c->diag) : not_here(c);
}

/* The same for each argument in turn; the first failure ends it. */
static int with_each_word(const struct repl_call *c,
			  int (*op)(void *, const char *, FILE *, struct diag *))
{
	int err = 0;

	if (!op)
		return not_here(c);
	for (int i = 1; i < c->argc && err >= 0; i++)
		err = op(c->ctx, c->argv[i], c->out, c->diag);
	return err;
}

static int run_help(const struct repl_call *c)
{
	const struct repl_command *one = NULL;

	if (c->argc > 1 && !(one = repl_command_find(c->argv[1], c->diag)))
		return -ENOENT;
	for (const struct repl_command *cmd = repl_commands; cmd->name; cmd++) {
		int width = 0;

		if (one && cmd != one)
			continue;
		width = fprintf(c->out, "%s%s%s", cmd->name, *cmd->usage ? " " : "", cmd->usage);
		fprintf(c->out, "%*s%s\n", width < 30 ? 32 - width : 2, "", cmd->help);
	}
	if (!one)
		fputs("Commands can be shortened as long as they stay unique.\n", c->out);
	return 0;
}

static int run_target(const struct repl_call *c)
{
	return plain(c, c->ops->target);
}

static int run_plan(const struct repl_call *c)
{
	return plain(c, c->ops->plan);
}

static int run_enable(const struct repl_call *c)
{
	return with_each_word(c, c->ops->enable);
}

static int run_disable(const struct repl_call *c)
{
	return with_each_word(c, c->ops->disable);
}

static int run_status(const struct repl_call *c)
{
	return plain(c, c->ops->status);
}

static int run_start(const struct repl_call *c)
{
	return with_word(c, c->ops->start);
}

static int run_stop(const struct repl_call *c)
{
	return plain(c, c->ops->stop);
}

static int run_maps(const struct repl_call *c)
{
	return plain(c, c->ops->maps);
}

static int run_load(const struct repl_call *c)
{
	return with_word(c, c->ops->load);
}

static int run_save(const struct repl_call *c)
{
	return with_word(c, c->ops->save);
}

static int run_view(const struct repl_call *c)
{
	return c->ops->view ? c->ops->view(c->ctx, c->argc, c->argv, c->out, c->diag) : not_here(c);
}

static int run_probe(const struct repl_call *c)
{
	return with_word(c, c->ops->probe);
}

static int run_quit(const struct repl_call *c)
{
	repl_quit(c->repl);
	return 0;
}

/* The command's only argument, 0 without one. */
static int take_duration(const struct repl_call *c, uint64_t *ns)
{
	*ns = 0;
	if (c->argc > 1 && text_to_duration(c->argv[1], ns) < 0)
		return diag_fail(c->diag, -EINVAL, "'%s' is not a time; write it like 500ms or 10s",
				 c->argv[1]);
	return 0;
}

static int run_top(const struct repl_call *c)
{
	uint64_t ns;
	int err = take_duration(c, &ns);

	if (err)
		return err;
	return c->ops->top ? c->ops->top(c->ctx, ns, c->out, c->diag) : not_here(c);
}

static int run_wait(const struct repl_call *c)
{
	uint64_t ns;
	int err = take_duration(c, &ns);

	if (err)
		return err;
	if (c->argc == 1 && !c->ops->ended)
		return diag_fail(c->diag, -ENOTSUP, "there is no target to wait for; name a time");
	if (c->argc > 1)
		ns += clock_now();
	repl_wait(c->repl, ns);
	return 0;
}

static int list_keys(const struct repl_call *c)
{
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];
		struct buf value = {0};

		if (!o->key || (o->flags & OPTION_ALIAS) || o->effect == CONFIG_FIXED)
			continue;
		option_print(o, c->config, &value);
		fprintf(c->out, "%-24s %s\n", o->key, *buf_str(&value) ? buf_str(&value) : "-");
		buf_free(&value);
	}
	return 0;
}

static int show_key(const struct repl_call *c, const char *key)
{
	const struct option *o = option_by_key(key);
	const char *near = o ? NULL : option_nearest_key(key);
	struct buf value = {0};

	if (!o)
		return diag_fail(c->diag, -ENOENT, "there is no key '%s'%s%s%s", key,
				 near ? "; did you mean '" : "", near ? near : "",
				 near ? "'?" : "");
	option_print(o, c->config, &value);
	fprintf(c->out, "%s: %s\n%s\n", key, buf_str(&value), o->help);
	buf_free(&value);
	return 0;
}

static void join_words(const struct repl_call *c, int first, struct buf *out)
{
	for (int i = first; i < c->argc; i++)
		buf_printf(out, "%s%s", i > first ? " " : "", c->argv[i]);
}

static int set_key(const struct repl_call *c, const char *key, const char *value)
{
	enum config_effect effect;
	struct buf before = {0};
	int err;

	config_get(c->config, key, &before);
	err = config_set(c->config, key, value, &effect, c->diag);
	if (err) {
		buf_free(&before);
		return err;
	}
	if (effect == CONFIG_AT_ONCE)
		err = c->ops->changed ? c->ops->changed(c->ctx, key, c->out, c->diag) : not_here(c);
	if (err < 0) {
		struct buf why = {0};

		option_reset(option_by_key(key), c->config);
		option_parse(option_by_key(key), c->config, buf_str(&before), &why);
		buf_free(&why);
	} else if (effect == CONFIG_AT_START) {
		fprintf(c->out, "%s counts from the next start on\n", key);
	}
	buf_free(&before);
	return err;
}

static int run_set(const struct repl_call *c)
{
	struct buf value = {0};
	int err;

	if (c->argc == 1)
		return list_keys(c);
	if (c->argc == 2)
		return show_key(c, c->argv[1]);
	join_words(c, 2, &value);
	err = set_key(c, c->argv[1], buf_str(&value));
	buf_free(&value);
	return err;
}

const struct repl_command repl_commands[] = {
	{"help", "[COMMAND]", "what the commands do", 0, 1, false, COMPLETE_COMMAND, run_help},
	{"target", "", "the process, its engine and libraries", 0, 0, false, COMPLETE_NONE,
	 run_target},
	{"plan", "", "the probe points of each level and what they cost", 0, 0, false,
	 COMPLETE_NONE, run_plan},
	{"enable", "NAME...", "switch a level, plugin or script on", 1, -1, false, COMPLETE_NAME,
	 run_enable},
	{"disable", "NAME...", "switch a level, plugin or script off", 1, -1, false, COMPLETE_NAME,
	 run_disable},
	{"set", "[KEY [VALUE]]", "change or show a configuration value", 0, -1, false, COMPLETE_KEY,
	 run_set},
	{"status", "", "per level: on or off, hits, events, lost, cost", 0, 0, false, COMPLETE_NONE,
	 run_status},
	{"start", "[FILE]", "start recording into a run file", 0, 1, false, COMPLETE_RUN,
	 run_start},
	{"stop", "", "stop recording and finish the run file", 0, 0, false, COMPLETE_NONE,
	 run_stop},
	{"wait", "[TIME]", "let time pass, or wait for the target to end", 0, 1, false,
	 COMPLETE_NONE, run_wait},
	{"top", "[TIME]", "live view of the target; without a terminal lines, for TIME (1s)", 0, 1,
	 false, COMPLETE_NONE, run_top},
	{"report", "[OPTION...]", "what binds, from what is recorded so far", 0, -1, false,
	 COMPLETE_NONE, run_view},
	{"stat", "[OPTION...]", "tables of what is recorded so far", 0, -1, false, COMPLETE_NONE,
	 run_view},
	{"dag", "[OPTION...]", "operator graph of what is recorded so far", 0, -1, false,
	 COMPLETE_FILE, run_view},
	{"timeline", "[OPTION...]", "timeline of what is recorded so far", 0, -1, false,
	 COMPLETE_FILE, run_view},
	{"probe", "'SCRIPT'", "run a script beside the levels", 1, 1, true, COMPLETE_POINT,
	 run_probe},
	{"load", "FILE", "load a script (.bt) or a plugin (.c)", 1, 1, false, COMPLETE_FILE,
	 run_load},
	{"maps", "", "print the maps of loaded scripts and plugins", 0, 0, false, COMPLETE_NONE,
	 run_maps},
	{"save", "FILE", "write what is recorded so far to a run file", 1, 1, false, COMPLETE_RUN,
	 run_save},
	{"quit", "", "stop, detach and leave", 0, 0, false, COMPLETE_NONE, run_quit},
	{0},
};

bool repl_command_at(size_t i, const char **name, const char **usage, const char **help)
{
	const struct repl_command *c = &repl_commands[i];

	*name = c->name;
	*usage = c->usage;
	*help = c->help;
	return c->name != NULL;
}

static const char *next_command(const void *state, size_t i)
{
	(void)state;
	return repl_commands[i].name;
}

const struct repl_command *repl_command_find(const char *word, struct diag *d)
{
	const struct repl_command *found = NULL;
	struct buf others = {0};
	const char *near;

	for (const struct repl_command *c = repl_commands; c->name; c++) {
		if (strcmp(c->name, word) == 0) {
			buf_free(&others);
			return c;
		}
		if (!text_starts(c->name, word))
			continue;
		buf_printf(&others, "%s%s", found ? ", " : "", c->name);
		found = found ? found : c;
	}
	if (found && !strchr(buf_str(&others), ',')) {
		buf_free(&others);
		return found;
	}
	near = text_nearest(word, next_command, NULL);
	if (found)
		diag_add(d, DIAG_ERROR, "'%s' is short for several commands: %s", word,
			 buf_str(&others));
	else if (near)
		diag_add(d, DIAG_ERROR, "there is no command '%s'; did you mean '%s'?", word, near);
	else
		diag_add(d, DIAG_ERROR, "there is no command '%s'; help lists them", word);
	buf_free(&others);
	return NULL;
}

static int run_words(struct repl_call *call, struct words *w)
{
	const struct repl_command *cmd = repl_command_find(w->argv[0], call->diag);
	int args = (int)w->argc - 1;

	if (!cmd)
		return -ENOENT;
	if (args < cmd->min_args || (cmd->max_args >= 0 && args > cmd->max_args))
		return diag_fail(call->diag, -EINVAL, "usage: %s%s%s", cmd->name,
				 *cmd->usage ? " " : "", cmd->usage);
	call->command = cmd;
	call->argc = (int)w->argc;
	call->argv = w->argv;
	free(w->argv[0]);
	w->argv[0] = xstrdup(cmd->name);
	return cmd->run(call);
}

/* A command that takes its text raw gets one word: what stands behind its name. */
static bool split_raw(const char *line, struct words *w)
{
	size_t start = strspn(line, " \t"), len = strcspn(line + start, " \t\r\n");
	const char *rest = line + start + len + strspn(line + start + len, " \t\r\n");
	char *name = xstrndup(line + start, len);
	struct diag *quiet = diag_new();
	const struct repl_command *cmd = repl_command_find(name, quiet);

	diag_free(quiet);
	if (!cmd || !cmd->raw || !*rest || *rest == '\'' || *rest == '"') {
		free(name);
		return false;
	}
	*VEC_PUSH(w->argv, w->argc, w->cap) = name;
	*VEC_PUSH(w->argv, w->argc, w->cap) = xstrdup(rest);
	*VEC_PUSH(w->argv, w->argc, w->cap) = NULL;
	w->argc--;
	return true;
}

int repl_command_run(struct repl_call *call, const char *line)
{
	struct words w = {0};
	int err = 0;

	if (!split_raw(line, &w))
		err = words_split(line, &w, NULL);
	if (err)
		diag_add(call->diag, DIAG_ERROR, "a quote is not closed");
	else if (w.argc)
		err = run_words(call, &w);
	words_free(&w);
	return err;
}

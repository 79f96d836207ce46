/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: GNU-style options from the table, then `--` and a command. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/state.h"
#include "util/text.h"

/* One option as it was found, applied after the configuration file was read. */
struct given {
	const struct option *option;
	char *value;
	char *spelling; /* "--pid", "-p" */
};

struct args {
	struct config *config;
	enum command_id command;
	unsigned flags;
	int argc, at;
	char *const *argv;
	struct diag *diag;
	struct given *given;
	size_t count, cap;
	int err;
};

static void complain(struct args *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void complain(struct args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_vadd(a->diag, DIAG_ERROR, fmt, ap);
	va_end(ap);
	a->err = -EINVAL;
}

static void add(struct args *a, const struct option *o, const char *spelling, const char *value)
{
	struct given *g = VEC_PUSH(a->given, a->count, a->cap);

	g->option = o;
	g->value = xstrdup(value);
	g->spelling = xstrdup(spelling);
}

/* The next argument as the value of an option; NULL with an error when there is none. */
static const char *take_value(struct args *a, const struct option *o, const char *spelling)
{
	if (a->at + 1 >= a->argc || strcmp(a->argv[a->at + 1], "--") == 0) {
		complain(a, "%s needs a value: %s %s", spelling, spelling, o->arg);
		return NULL;
	}
	return a->argv[++a->at];
}

struct flag_names {
	enum command_id command;
};

static const char *next_flag(const void *state, size_t i)
{
	const struct flag_names *names = state;

	for (size_t row = 0, seen = 0; row < option_count(); row++) {
		const struct option *o = &option_table[row];

		if (o->flag && (o->commands & (1u << names->command)) && seen++ == i)
			return o->flag;
	}
	return NULL;
}

static void unknown_flag(struct args *a, const char *name, size_t len)
{
	char *word = xstrndup(name, len);
	const char *near = text_nearest(word, next_flag, &(struct flag_names){a->command});

	if (near)
		complain(a, "unknown option '--%s'; did you mean '--%s'?", word, near);
	else
		complain(a, "unknown option '--%s'; --help lists the options", word);
	free(word);
}

/* --no-x for a switch --x. */
static const struct option *negated(const struct args *a, const char *name, size_t len)
{
	const struct option *o = NULL;

	if (len > 3 && text_starts(name, "no-"))
		o = option_by_flag(name + 3, len - 3, a->command);
	return o && option_is_switch(o) && o->key ? o : NULL;
}

static void take_long(struct args *a)
{
	const char *name = a->argv[a->at] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *o = option_by_flag(name, len, a->command);
	char *spelling = xasprintf("--%.*s", (int)len, name);
	const char *value = equals ? equals + 1 : NULL;

	if (!o && (o = negated(a, name, len))) {
		if (value)
			complain(a, "%s takes no value", spelling);
		value = "false";
	} else if (!o) {
		unknown_flag(a, name, len);
	} else if (!value) {
		value = option_is_switch(o) ? "true" : take_value(a, o, spelling);
	}
	if (o && value)
		add(a, o, spelling, value);
	free(spelling);
}

static bool is_yaml_name(const char *name)
{
	return text_ends(name, ".yaml") || text_ends(name, ".yml");
}

/* In the short form of script, -c means the configuration when the name says so. */
static const struct option *resolve_c(const struct args *a, const struct option *o,
				      const char *value)
{
	if ((a->flags & CONFIG_ARGS_SHORT_SCRIPT) && o->letter == 'c' && is_yaml_name(value))
		return option_by_flag("config", 6, a->command);
	return o;
}

/* A cluster such as -lv, or a letter with its value: -p12, -p 12. */
static void take_short(struct args *a)
{
	for (const char *p = a->argv[a->at] + 1; *p; p++) {
		const struct option *o = option_by_letter(*p, a->command);
		const char spelling[] = {'-', *p, '\0'};
		const char *value;

		if (!o) {
			complain(a, "unknown option '%s'; --help lists the options", spelling);
			return;
		}
		if (option_is_switch(o)) {
			add(a, o, spelling, "true");
			continue;
		}
		value = p[1] ? p + 1 : take_value(a, o, spelling);
		if (value)
			add(a, resolve_c(a, o, value), spelling, value);
		return;
	}
}

/* What follows `--`: the command to trace, or a script's own arguments. */
static void take_rest(struct args *a)
{
	const struct option *o = option_by_key("target.command");
	bool is_command = o->commands & (1u << a->command);
	struct string_list *to = is_command ? &a->config->target.command : &a->config->args;

	if (is_command && a->at >= a->argc) {
		complain(a, "no command follows --");
		return;
	}
	if (is_command) {
		string_list_clear(to);
		config_origin(a->config, o)->layer = LAYER_ARGS;
	}
	for (; a->at < a->argc; a->at++)
		string_list_add(to, a->argv[a->at], strlen(a->argv[a->at]));
}

/* Sorts the arguments; `--` is left for later, when the file can no longer overwrite it. */
static void scan(struct args *a)
{
	for (; a->at < a->argc; a->at++) {
		const char *arg = a->argv[a->at];

		if (strcmp(arg, "--") == 0)
			return;
		if (text_starts(arg, "--"))
			take_long(a);
		else if (arg[0] == '-' && arg[1])
			take_short(a);
		else
			string_list_add(&a->config->args, arg, strlen(arg));
	}
}

static bool has_flag(const struct args *a, const char *flag)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->given[i].option->flag && strcmp(a->given[i].option->flag, flag) == 0)
			return true;
	return false;
}

/* The file first, so that the command line wins. */
static void load_file(struct args *a)
{
	const char *path = NULL;

	for (size_t i = 0; i < a->count; i++) {
		if (a->given[i].option->offset != offsetof(struct config, config_file))
			continue;
		if (path)
			complain(a, "two configurations are given: %s and %s", path,
				 a->given[i].value);
		path = a->given[i].value;
	}
	if (path && !a->err && config_load(a->config, path, a->diag) < 0)
		a->err = -EINVAL;
}

static void apply(struct args *a, const struct given *g)
{
	const struct option *o = g->option;
	struct config_origin *from = config_origin(a->config, o);
	struct buf why = {0};
	int err;

	if (o->type == OPTION_LIST && from->layer == LAYER_ARGS)
		err = option_append(o, a->config, g->value, &why);
	else
		err = option_parse(o, a->config, g->value, &why);
	if (err)
		complain(a, "%s: %s", g->spelling, buf_str(&why));
	else
		from->layer = LAYER_ARGS;
	buf_free(&why);
}

int config_parse_args(struct config *c, enum command_id command, unsigned flags, int argc,
		      char *const *argv, struct diag *d)
{
	struct args a = {c, command, flags, argc, 0, argv, d, NULL, 0, 0, 0};

	scan(&a);
	if (has_flag(&a, "help") || has_flag(&a, "version")) {
		c->help = has_flag(&a, "help");
		c->version = has_flag(&a, "version");
		a.err = 0;
		diag_clear(d);
	} else {
		load_file(&a);
		for (size_t i = 0; i < a.count; i++)
			apply(&a, &a.given[i]);
		if (a.at < a.argc) {
			a.at++;
			take_rest(&a);
		}
		if (!a.err)
			a.err = config_check(c, command, d);
	}
	for (size_t i = 0; i < a.count; i++) {
		free(a.given[i].value);
		free(a.given[i].spelling);
	}
	free(a.given);
	return a.err;
}

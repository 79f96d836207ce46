/* SPDX-License-Identifier: Apache-2.0 */
/* completion: scripts for bash and zsh, written from the tables of commands and options. */
#include <string.h>

#include "cmd/entry.h"

/* Words for a value, separated by `sep`; nothing when the shell must look itself. */
static void put_words(const struct option *o, const char *sep, FILE *out)
{
	if (o->complete == COMPLETE_LEVEL) {
		fprintf(out, "token%sgraph%soperator%sscheduler%scounters%sall%snone", sep, sep,
			sep, sep, sep, sep);
	} else if (o->choices) {
		for (size_t i = 0; o->choices[i]; i++)
			fprintf(out, "%s%s", i ? sep : "", o->choices[i]);
	} else if (o->type == OPTION_BOOL) {
		fprintf(out, "true%sfalse", sep);
	} else if (o->type == OPTION_BARRIER) {
		fprintf(out, "always%snever", sep);
	}
}

static const char *bash_kind(enum completion kind)
{
	switch (kind) {
	case COMPLETE_DIR:
		return "dir";
	case COMPLETE_PID:
		return "pid";
	case COMPLETE_PROGRAM:
		return "program";
	case COMPLETE_LEVEL:
	case COMPLETE_CHOICES:
		return "words";
	default:
		return "file";
	}
}

static void bash_value(const struct option *o, FILE *out)
{
	fputs("\t\t", out);
	if (o->letter)
		fprintf(out, "-%c%s", o->letter, o->flag ? "|" : "");
	if (o->flag)
		fprintf(out, "--%s", o->flag);
	fprintf(out, ") kind=%s words=\"", bash_kind(o->complete));
	put_words(o, " ", out);
	fputs("\" ;;\n", out);
}

/* Words that positional arguments can be. */
static void put_names(FILE *out)
{
	const char *name;

	for (size_t i = 0; (name = cmd_next_name(NULL, i)); i++)
		fprintf(out, "%s ", name);
}

static void bash_positional(const struct cmd_entry *e, FILE *out)
{
	if (e->complete == COMPLETE_COMMAND) {
		put_names(out);
	} else if (e->complete == COMPLETE_TOPIC) {
		for (const struct list_topic *t = list_topics; t->name; t++)
			fprintf(out, "%s ", t->name);
	} else if (e->complete == COMPLETE_SHELL) {
		fputs("bash zsh", out);
	}
}

static void bash_command(const struct cmd_entry *e, FILE *out)
{
	struct option o;

	fprintf(out, "\t%s)\n\t\tflags=\"", e->name ? e->name : "-*");
	for (size_t i = 0; cmd_entry_option(e, i, &o); i++) {
		if (o.flag)
			fprintf(out, "--%s ", o.flag);
		else
			fprintf(out, "-%c ", o.letter);
	}
	fputs("\"\n\t\targs=\"", out);
	bash_positional(e, out);
	fputs("\"\n\t\tcase \"$prev\" in\n", out);
	for (size_t i = 0; cmd_entry_option(e, i, &o); i++)
		if (!option_is_switch(&o))
			bash_value(&o, out);
	fputs("\t\tesac ;;\n", out);
}

static void print_bash(FILE *out)
{
	struct cmd_entry e;

	fputs("# bash completion for llmprobe\n"
	      "_llmprobe() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal command=${COMP_WORDS[1]} flags=\"\" args=\"\" kind=\"\" words=\"\" i\n"
	      "\tCOMPREPLY=()\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\t[ \"${COMP_WORDS[i]}\" = -- ] || continue\n"
	      "\t\tif ((i + 1 == COMP_CWORD)); then COMPREPLY=($(compgen -c -- \"$cur\"))\n"
	      "\t\telse COMPREPLY=($(compgen -f -- \"$cur\")); fi\n"
	      "\t\treturn\n"
	      "\tdone\n"
	      "\tif ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"",
	      out);
	put_names(out);
	fputs("\" -- \"$cur\") $(compgen -f -X '!*.bt' -- \"$cur\"))\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase \"$command\" in\n",
	      out);
	for (size_t i = 0; cmd_entry_at(i, &e); i++)
		bash_command(&e, out);
	fputs("\tesac\n"
	      "\tcase \"$kind\" in\n"
	      "\tdir) COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"
	      "\tpid) COMPREPLY=($(compgen -W \"$(ps -eo pid=)\" -- \"$cur\")) ;;\n"
	      "\tprogram) COMPREPLY=($(compgen -c -- \"$cur\")) ;;\n"
	      "\twords) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
	      "\tfile) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
	      "\t*)\tif [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
	      "\t\telif [ -n \"$args\" ]; then COMPREPLY=($(compgen -W \"$args\" -- \"$cur\"))\n"
	      "\t\telse COMPREPLY=($(compgen -f -- \"$cur\")); fi ;;\n"
	      "\tesac\n"
	      "}\n"
	      "complete -o filenames -F _llmprobe llmprobe\n",
	      out);
}

/* Text inside '...[...]' of an _arguments spec: quotes, brackets and colons escaped. */
static void zsh_text(const char *s, FILE *out)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", out);
		else if (strchr("[]:\\", *s))
			fprintf(out, "\\%c", *s);
		else
			fputc(*s, out);
	}
}

static void zsh_action(const struct option *o, FILE *out)
{
	switch (o->complete) {
	case COMPLETE_CHOICES:
	case COMPLETE_LEVEL:
		fputc('(', out);
		put_words(o, " ", out);
		fputc(')', out);
		break;
	case COMPLETE_DIR:
		fputs("_files -/", out);
		break;
	case COMPLETE_PID:
		fputs("_pids", out);
		break;
	case COMPLETE_PROGRAM:
		fputs("_command_names -e", out);
		break;
	case COMPLETE_NONE:
		fputc(' ', out);
		break;
	default:
		fputs("_files", out);
		break;
	}
}

static void zsh_spec(const struct option *o, const char *dashes, const char *name, FILE *out)
{
	fprintf(out, " \\\n\t\t\t'*%s%s[", dashes, name);
	zsh_text(o->help, out);
	fputc(']', out);
	if (!option_is_switch(o)) {
		fputc(':', out);
		zsh_text(o->arg, out);
		fputc(':', out);
		zsh_action(o, out);
	}
	fputc('\'', out);
}

static void zsh_positional(const struct cmd_entry *e, FILE *out)
{
	fputs(" \\\n\t\t\t'*:argument:", out);
	if (e->complete != COMPLETE_COMMAND && e->complete != COMPLETE_TOPIC &&
	    e->complete != COMPLETE_SHELL) {
		fputs("_files'\n", out);
		return;
	}
	fputc('(', out);
	bash_positional(e, out);
	fputs(")'\n", out);
}

static void zsh_command(const struct cmd_entry *e, FILE *out)
{
	struct option o;

	fprintf(out, "\t%s)\n\t\t_arguments -s", e->name ? e->name : "-*");
	for (size_t i = 0; cmd_entry_option(e, i, &o); i++) {
		const char letter[] = {o.letter, '\0'};

		if (o.letter)
			zsh_spec(&o, "-", letter, out);
		if (o.flag)
			zsh_spec(&o, "--", o.flag, out);
	}
	zsh_positional(e, out);
	fputs("\t\t;;\n", out);
}

static void print_zsh(FILE *out)
{
	struct cmd_entry e;

	fputs("#compdef llmprobe\n"
	      "_llmprobe() {\n"
	      "\tlocal -a commands\n"
	      "\tcommands=(",
	      out);
	for (size_t i = 0; cmd_entry_at(i, &e); i++) {
		if (!e.name)
			continue;
		fprintf(out, "\n\t\t'%s:", e.name);
		zsh_text(e.help, out);
		fputc('\'', out);
	}
	fputs(")\n"
	      "\tif (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
	      "\t\t_describe command commands\n"
	      "\t\t_files -g '*.bt'\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tlocal command=$words[2]\n"
	      "\tif [[ $command != -* ]]; then shift words; (( CURRENT-- )); fi\n"
	      "\tcase $command in\n",
	      out);
	for (size_t i = 0; cmd_entry_at(i, &e); i++)
		zsh_command(&e, out);
	fputs("\tesac\n"
	      "}\n"
	      "_llmprobe \"$@\"\n",
	      out);
}

bool cmd_print_completion(const char *shell, FILE *out)
{
	if (strcmp(shell, "bash") == 0)
		print_bash(out);
	else if (strcmp(shell, "zsh") == 0)
		print_zsh(out);
	else
		return false;
	return true;
}

int cmd_completion(const struct cmd_context *ctx)
{
	const char *shell = ctx->config->args.items[0];

	if (cmd_print_completion(shell, stdout))
		return EXIT_OK;
	diag_add(ctx->diag, DIAG_ERROR, "there is no completion for '%s'; bash and zsh have one",
		 shell);
	return EXIT_USAGE;
}

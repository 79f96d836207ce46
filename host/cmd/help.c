/* SPDX-License-Identifier: Apache-2.0 */
/* help, version: everything is printed from the tables of commands and options. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "util/text.h"

enum { WIDTH = 80, OPTION_COLUMN = 26 };

void cmd_print_wrapped(const char *text, int indent, FILE *out)
{
	int column = indent;

	while (*text) {
		int len = (int)strcspn(text, " \n");

		if (column > indent && column + 1 + len > WIDTH) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", len, text);
		column += len;
		text += len;
		while (*text == ' ' || *text == '\n')
			text++;
	}
	fputc('\n', out);
}

/* "-o, --output FILE", without a letter that means something else in this command. */
static void option_title(const struct option *o, enum command_id id, struct buf *out)
{
	bool letter = o->letter && option_by_letter(o->letter, id) == o;

	if (letter)
		buf_printf(out, "-%c%s", o->letter, o->flag ? ", " : "");
	else
		buf_puts(out, "    ");
	if (o->flag)
		buf_printf(out, "--%s", o->flag);
	if (o->arg)
		buf_printf(out, " %s", o->arg);
}

static void print_option(const struct option *o, enum command_id id, FILE *out)
{
	struct buf title = {0}, text = {0};

	option_title(o, id, &title);
	buf_puts(&text, o->help);
	for (size_t i = 0; o->choices && o->choices[i]; i++)
		buf_printf(&text, "%s%s", i == 0 ? " One of " : ", ", o->choices[i]);
	if (o->choices)
		buf_putc(&text, '.');
	if (o->def && !option_is_switch(o))
		buf_printf(&text, " Default: %s.", o->def);
	else if (o->def && strcmp(o->def, "true") == 0)
		buf_printf(&text, " On by default; --no-%s switches it off.", o->flag);
	fprintf(out, "  %-*s", OPTION_COLUMN - 2, buf_str(&title));
	if (title.len + 3 > OPTION_COLUMN)
		fprintf(out, "\n%*s", OPTION_COLUMN, "");
	cmd_print_wrapped(buf_str(&text), OPTION_COLUMN, out);
	buf_free(&title);
	buf_free(&text);
}

void cmd_print_help(const struct cmd *cmd, FILE *out)
{
	fprintf(out, "usage: llmprobe%s%s%s%s\n\n", cmd->name ? " " : "",
		cmd->name ? cmd->name : "", *cmd->usage ? " " : "", cmd->usage);
	if (cmd->about)
		cmd_print_wrapped(cmd->about, 0, out);
	else
		fprintf(out, "%s\n", cmd->help);
	fputs("\nOptions:\n", out);
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];

		if ((o->commands & (1u << cmd->id)) && (o->flag || o->letter))
			print_option(o, cmd->id, out);
	}
}

void cmd_print_overview(FILE *out)
{
	fputs("llmprobe watches LLM inference engines from outside: tokens, graphs, operators,\n"
	      "threads. The engine needs no change and no debug build.\n\nusage:\n",
	      out);
	for (const struct cmd *c = cmd_table; c->run; c++) {
		int used =
			fprintf(out, "  llmprobe%s%s", c->name ? " " : "", c->name ? c->name : "");

		used += fprintf(out, "%s%s", *c->usage ? " " : "", c->usage);
		fprintf(out, "%*s", used < 44 ? 46 - used : 2, "");
		fprintf(out, "%s%s\n",
			used < 44 ? "" : "\n                                              ",
			c->help);
	}
	fputs("\nllmprobe help COMMAND explains a command and its options.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage or configuration.\n",
	      out);
}

static const char *next_topic(const void *state, size_t i)
{
	const struct cmd *c = cmd_table;

	(void)state;
	for (; c->run; c++)
		if (c->name && i-- == 0)
			return c->name;
	return NULL;
}

int cmd_help(const struct cmd_context *ctx)
{
	const struct string_list *args = &ctx->config->args;
	const struct cmd *cmd;
	const char *near;

	if (ctx->config->help_man)
		cmd_print_man_options(stdout);
	if (ctx->config->help_schema)
		cmd_print_schema(stdout);
	if (ctx->config->help_man || ctx->config->help_schema)
		return EXIT_OK;
	if (!args->count) {
		cmd_print_overview(stdout);
		return EXIT_OK;
	}
	cmd = strcmp(args->items[0], "repl") == 0 ? cmd_by_id(COMMAND_REPL)
						  : cmd_by_name(args->items[0]);
	if (cmd) {
		cmd_print_help(cmd, stdout);
		return EXIT_OK;
	}
	near = text_nearest(args->items[0], next_topic, NULL);
	diag_add(ctx->diag, DIAG_ERROR, "there is no command '%s'%s%s%s", args->items[0],
		 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return EXIT_USAGE;
}

int cmd_version(const struct cmd_context *ctx)
{
	(void)ctx;
	puts("llmprobe " LLMPROBE_VERSION);
	return EXIT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* help, version: everything is printed from the tables of commands and options. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/entry.h"
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

/* "-o, --output FILE" */
static void option_title(const struct option *o, struct buf *out)
{
	if (o->letter)
		buf_printf(out, "-%c%s", o->letter, o->flag ? ", " : "");
	else
		buf_puts(out, "    ");
	if (o->flag)
		buf_printf(out, "--%s", o->flag);
	if (o->arg)
		buf_printf(out, " %s", o->arg);
}

static void print_option(const struct option *o, FILE *out)
{
	struct buf title = {0}, text = {0};

	option_title(o, &title);
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

static void print_entry_help(const struct cmd_entry *e, FILE *out)
{
	struct option o;

	fprintf(out, "USAGE: llmprobe%s%s%s%s\n\n", e->name ? " " : "", e->name ? e->name : "",
		*e->usage ? " " : "", e->usage);
	/* What a command says about itself begins with what it does; a view's goes on from its
	 * help. */
	if (e->view || !e->about)
		cmd_print_wrapped(e->help, 0, out);
	if (e->view && e->about)
		fputc('\n', out);
	if (e->about)
		cmd_print_wrapped(e->about, 0, out);
	fputs("\nOptions:\n", out);
	for (size_t i = 0; cmd_entry_option(e, i, &o); i++)
		print_option(&o, out);
}

bool cmd_print_help(const char *name, FILE *out)
{
	struct cmd_entry e;

	if (!cmd_entry_find(name ? name : "repl", &e))
		return false;
	print_entry_help(&e, out);
	return true;
}

void cmd_print_overview(FILE *out)
{
	enum { HELP_COLUMN = 44 };
	struct cmd_entry e;

	fputs("llmprobe watches LLM inference engines from outside: tokens, graphs, operators,\n"
	      "threads. The engine needs no change and no debug build.\n\nUSAGE:\n",
	      out);
	for (size_t i = 0; cmd_entry_at(i, &e); i++) {
		int used = fprintf(out, "  llmprobe%s%s%s%s", e.name ? " " : "",
				   e.name ? e.name : "", *e.usage ? " " : "", e.usage);

		if (used + 2 > HELP_COLUMN)
			used = fprintf(out, "\n") - 1;
		fprintf(out, "%*s", HELP_COLUMN - used, "");
		cmd_print_wrapped(e.help, HELP_COLUMN, out);
	}
	fputs("\nllmprobe help COMMAND explains a command and its options.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage or configuration.\n",
	      out);
}

const char *cmd_next_name(const void *state, size_t i)
{
	struct cmd_entry e;

	(void)state;
	return cmd_entry_at(i, &e) ? (e.name ? e.name : "repl") : NULL;
}

int cmd_help(const struct cmd_context *ctx)
{
	const struct string_list *args = &ctx->config->args;
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
	if (cmd_print_help(args->items[0], stdout))
		return EXIT_OK;
	near = text_nearest(args->items[0], cmd_next_name, NULL);
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

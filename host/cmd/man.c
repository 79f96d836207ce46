/* SPDX-License-Identifier: Apache-2.0 */
/* The sections COMMANDS, OPTIONS and CONFIGURATION of the manual page, in man(7) macros. */
#include <string.h>

#include "cmd/entry.h"
#include "repl/repl.h"
#include "util/text.h"

/* roff text: backslashes and dashes escaped, and no line may begin with a control character. */
static void put_text(const char *s, FILE *out)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", out);
		else if (*s == '-')
			fputs("\\-", out);
		else
			fputc(*s, out);
	}
}

static void put_default(const struct option *o, FILE *out)
{
	for (size_t i = 0; o->choices && o->choices[i]; i++)
		fprintf(out, "%s\\fB%s\\fR", i == 0 ? " One of " : ", ", o->choices[i]);
	fputs(o->choices ? "." : "", out);
	if (!o->def || (option_is_switch(o) && !o->key))
		return;
	fputs(" Default: \\fB", out);
	put_text(o->def, out);
	fputs("\\fR.", out);
}

static void put_commands(FILE *out)
{
	struct cmd_entry e;

	fputs(".SH COMMANDS\n", out);
	for (size_t i = 0; cmd_entry_at(i, &e); i++) {
		fprintf(out, ".TP\n\\fBllmprobe%s%s\\fR ", e.name ? " " : "", e.name ? e.name : "");
		put_text(e.usage, out);
		fputc('\n', out);
		put_text(e.help, out);
		fputs(".\n", out);
		if (!e.about)
			continue;
		put_text(e.about, out);
		fputc('\n', out);
	}
}

/* The commands that take an option, as far as this build has them. */
static void put_takers(const struct option *o, FILE *out)
{
	const char *separator = " (";
	bool everywhere = true;

	for (const struct cmd *c = cmd_table; c->run; c++)
		everywhere &= (o->commands >> c->id) & 1;
	if (everywhere)
		return;
	for (const struct cmd *c = cmd_table; c->run; c++) {
		if (!((o->commands >> c->id) & 1))
			continue;
		fprintf(out, "%s%s", separator, c->name ? c->name : "REPL");
		separator = ", ";
	}
	fputs(strcmp(separator, " (") == 0 ? "" : ")", out);
}

static bool is_taken(const struct option *o)
{
	for (const struct cmd *c = cmd_table; c->run; c++)
		if ((o->commands >> c->id) & 1)
			return o->flag || o->letter;
	return false;
}

static void put_title(const struct option *o, FILE *out)
{
	fputs(".TP\n", out);
	if (o->letter)
		fprintf(out, "\\fB\\-%c\\fR%s", o->letter, o->flag ? ", " : "");
	if (o->flag) {
		fputs("\\fB", out);
		put_text("--", out);
		put_text(o->flag, out);
		fputs("\\fR", out);
	}
	fprintf(out, "%s\\fI%s\\fR", o->arg ? " " : "", o->arg ? o->arg : "");
}

static void put_options(FILE *out)
{
	fputs(".SH OPTIONS\nIn brackets the commands that take an option; all take those without "
	      "brackets.\n",
	      out);
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];

		if (!is_taken(o))
			continue;
		put_title(o, out);
		put_takers(o, out);
		fputc('\n', out);
		put_text(o->help, out);
		put_default(o, out);
		fputc('\n', out);
	}
}

static void put_view_options(FILE *out)
{
	fputs(".SH VIEW OPTIONS\nOf the views of recorded runs; in brackets the views that take "
	      "one.\n",
	      out);
	for (const struct view_option *vo = view_options; vo->name; vo++) {
		const char *separator = " (";
		struct option o;

		cmd_view_option(vo, &o);
		for (const struct view *const *v = views; *v; v++) {
			if (!view_takes(*v, vo))
				continue;
			if (strcmp(separator, " (") == 0)
				put_title(&o, out);
			fprintf(out, "%s%s", separator, (*v)->name);
			separator = ", ";
		}
		/* No view of this build takes it. */
		if (strcmp(separator, " (") == 0)
			continue;
		fputs(")\n", out);
		put_text(o.help, out);
		fputs(".\n", out);
	}
}

static void put_config(FILE *out)
{
	static const char *const effects[] = {
		[CONFIG_AT_ONCE] = "at once",
		[CONFIG_AT_START] = "with the next start",
		[CONFIG_FIXED] = "not at all",
	};

	fputs(".SH CONFIGURATION\nKeys of the YAML file. A dot stands for a level of nesting; the "
	      "dotted form is accepted too. The last sentence says when the REPL's \\fBset\\fR "
	      "takes effect.\n",
	      out);
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];

		if (!o->key)
			continue;
		fprintf(out, ".TP\n\\fB%s\\fR: ", o->key);
		put_text(option_expects(o), out);
		fputc('\n', out);
		put_text(o->help, out);
		put_default(o, out);
		fprintf(out, " Set: %s.\n", effects[o->effect]);
	}
}

static void put_prompt_commands(FILE *out)
{
	const char *name, *usage, *help;

	fputs(".SH PROMPT COMMANDS\n", out);
	for (size_t i = 0; repl_command_at(i, &name, &usage, &help); i++) {
		fprintf(out, ".TP\n\\fB%s\\fR ", name);
		put_text(usage, out);
		fputc('\n', out);
		put_text(help, out);
		fputs(".\n", out);
	}
}

void cmd_print_man_options(FILE *out)
{
	put_commands(out);
	put_options(out);
	put_view_options(out);
	put_prompt_commands(out);
	put_config(out);
}

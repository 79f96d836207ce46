/* SPDX-License-Identifier: Apache-2.0 */
#include "repl/line.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/readline.h>
#include <readline/history.h>

#include "util/buf.h"
#include "util/file.h"

enum { HISTORY_LINES = 1000, LONGEST_LINE = 1 << 20 };

struct line {
	struct line_opts opts;
	char *history;
	struct buf pending; /* plain: the beginning of a line whose end has not come */
	bool ended;
	bool shown; /* terminal: the prompt is installed */
};

/* readline's callbacks carry no context. */
static struct line *terminal_line;

static void take_terminal_line(char *text)
{
	struct line *l = terminal_line;

	if (text && *text) {
		const HIST_ENTRY *last =
			history_length ? history_get(history_base + history_length - 1) : NULL;

		if (!last || strcmp(last->line, text) != 0)
			add_history(text);
	}
	if (!text) {
		fputc('\n', l->opts.out);
		line_pause(l);
	}
	l->opts.line(l->opts.ctx, text);
}

struct candidates {
	int start;
	bool files;
};
static struct candidates completing;

static char *next_candidate(const char *text, int state)
{
	static size_t i;
	struct line *l = terminal_line;
	const char *name;
	size_t len = strlen(text);

	if (state == 0)
		i = 0;
	while ((name = l->opts.complete(l->opts.ctx, rl_line_buffer, completing.start, i,
					&completing.files))) {
		i++;
		if (strncmp(name, text, len) == 0)
			return xstrdup(name);
	}
	return NULL;
}

static char **complete_word(const char *text, int start, int end)
{
	char **matches;

	(void)end;
	completing = (struct candidates){.start = start};
	matches = rl_completion_matches(text, next_candidate);
	/* No file names where words are wanted. */
	rl_attempted_completion_over = !completing.files;
	return matches;
}

static void open_history(struct line *l)
{
	char *slash;

	using_history();
	clear_history();
	stifle_history(HISTORY_LINES);
	if (!l->history)
		return;
	slash = strrchr(l->history, '/');
	if (slash && slash != l->history) {
		*slash = '\0';
		file_mkdirs(l->history, 0700);
		*slash = '/';
	}
	read_history(l->history);
}

static void open_terminal(struct line *l)
{
	FILE *in = l->opts.fd == STDIN_FILENO ? stdin : fdopen(dup(l->opts.fd), "r");

	terminal_line = l;
	setlocale(LC_CTYPE, "");
	rl_readline_name = "llmprobe";
	rl_instream = in;
	rl_outstream = l->opts.out;
	/* The owner turns signals into calls; readline must not take them away. */
	rl_catch_signals = 0;
	rl_attempted_completion_function = l->opts.complete ? complete_word : NULL;
	/* Before the user's inputrc is read, which may say otherwise. */
	rl_variable_bind("show-all-if-ambiguous", "on");
	rl_basic_word_break_characters = " \t\n\"'";
	/* A quote opens a script, whose first word does not end it. */
	rl_basic_quote_characters = "";
	open_history(l);
}

struct line *line_open(const struct line_opts *opts)
{
	struct line *l = xcalloc(1, sizeof(*l));

	l->opts = *opts;
	l->history = opts->history ? xstrdup(opts->history) : NULL;
	if (opts->terminal)
		open_terminal(l);
	return l;
}

/* Hands over the whole lines that are pending; at the end of input also the unfinished one. */
static void split_pending(struct line *l)
{
	char *start = l->pending.data, *nl;
	size_t left = l->pending.len;

	while (left && (nl = memchr(start, '\n', left))) {
		size_t len = (size_t)(nl - start);

		l->opts.line(l->opts.ctx,
			     xstrndup(start, len && start[len - 1] == '\r' ? len - 1 : len));
		start = nl + 1;
		left -= len + 1;
	}
	if (left && (l->ended || left > LONGEST_LINE)) {
		l->opts.line(l->opts.ctx, xstrndup(start, left));
		left = 0;
	}
	if (left)
		memmove(l->pending.data, start, left);
	l->pending.len = left;
}

static void read_plain(struct line *l)
{
	char chunk[4096];
	ssize_t n = read(l->opts.fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	l->ended = n <= 0;
	if (n > 0)
		buf_add(&l->pending, chunk, (size_t)n);
	split_pending(l);
	if (l->ended)
		l->opts.line(l->opts.ctx, NULL);
}

void line_readable(struct line *l)
{
	if (!l->opts.terminal && !l->ended)
		read_plain(l);
	else if (l->opts.terminal && l->shown)
		rl_callback_read_char();
}

bool line_interrupt(struct line *l)
{
	bool had = l->opts.terminal && l->shown && rl_end > 0;

	if (!l->opts.terminal || !l->shown)
		return false;
	rl_free_line_state();
	rl_callback_sigcleanup();
	rl_replace_line("", 0);
	fputs("^C\n", l->opts.out);
	return had;
}

void line_pause(struct line *l)
{
	if (!l->shown)
		return;
	rl_callback_handler_remove();
	l->shown = false;
}

void line_resume(struct line *l, const char *prompt)
{
	if (!l->opts.terminal || l->ended)
		return;
	rl_callback_handler_install(prompt, take_terminal_line);
	l->shown = true;
}

void line_hide(struct line *l)
{
	if (l->shown)
		rl_clear_visible_line();
}

void line_show(struct line *l)
{
	if (!l->shown)
		return;
	rl_on_new_line();
	rl_forced_update_display();
}

void line_close(struct line *l)
{
	if (!l)
		return;
	if (l->opts.terminal) {
		line_pause(l);
		if (l->history && write_history(l->history) == 0)
			chmod(l->history, 0600);
		if (rl_instream != stdin)
			fclose(rl_instream);
		terminal_line = NULL;
	}
	buf_free(&l->pending);
	free(l->history);
	free(l);
}

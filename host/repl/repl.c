/* SPDX-License-Identifier: Apache-2.0 */
#include "repl/repl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "repl/command.h"
#include "repl/line.h"
#include "util/clock.h"
#include "util/text.h"
#include "util/words.h"

static const char prompt[] = "llmprobe> ", more_prompt[] = "        > ";

struct repl {
	struct repl_opts opts;
	struct line *line;
	struct diag *diag;
	struct buf joined; /* lines so far of a command whose quote is still open */
	char **queue;	   /* plain input: lines that wait for their turn */
	size_t queue_count, queue_cap, queue_next;
	int line_number, command_line; /* of the line just taken; where its command began */
	bool ended;		       /* no more input will come */
	bool waiting;		       /* a `wait` goes on */
	uint64_t deadline_ns;
	int interrupts; /* ^C in a row */
	bool done, failed;
};

/* Plain input: "llmprobe: " in front of a message becomes the place of the command. */
static void print_with_line(struct repl *r, struct diag *d)
{
	static const char own[] = "llmprobe: ";
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	diag_print(d, f, DIAG_STYLE_FIELD, false);
	fclose(f);
	if (len && !text_starts(text, own))
		fprintf(r->opts.err, "stdin:%d: error in this command:\n", r->command_line);
	for (char *p = text; *p;) {
		size_t n = strcspn(p, "\n");
		bool mine = text_starts(p, own);
		size_t skip = mine ? strlen(own) : 0;

		if (mine)
			fprintf(r->opts.err, "stdin:%d: ", r->command_line);
		fprintf(r->opts.err, "%.*s\n", (int)(n - skip), p + skip);
		p += n + (p[n] == '\n');
	}
	free(text);
}

static void print_messages(struct repl *r, struct diag *d)
{
	fflush(r->opts.out);
	if (r->opts.terminal)
		diag_print(d, r->opts.err, DIAG_STYLE_FIELD,
			   config_use_colour(r->opts.config, r->opts.err));
	else
		print_with_line(r, d);
	fflush(r->opts.err);
	diag_clear(d);
}

static struct repl_call make_call(struct repl *r)
{
	return (struct repl_call){
		.repl = r,
		.ops = r->opts.ops,
		.ctx = r->opts.ctx,
		.config = r->opts.config,
		.out = r->opts.out,
		.diag = r->diag,
	};
}

static void note_result(struct repl *r, int err)
{
	r->failed |= err < 0;
	print_messages(r, r->diag);
}

static void run_line(struct repl *r, const char *text)
{
	struct repl_call call = make_call(r);
	int err = repl_command_run(&call, text);

	note_result(r, err);
}

/* An open quote asks for more lines; the end of input closes nothing. */
static bool is_open(const char *text)
{
	struct words w;
	int err = words_split(text, &w, NULL);

	words_free(&w);
	return err < 0;
}

static void take_line(struct repl *r, const char *text)
{
	r->line_number++;
	r->interrupts = 0;
	if (!r->joined.len)
		r->command_line = r->line_number;
	else
		buf_putc(&r->joined, '\n');
	buf_puts(&r->joined, text);
	if (!is_open(buf_str(&r->joined)) || r->ended) {
		char *whole = buf_take(&r->joined);

		run_line(r, whole);
		free(whole);
	}
}

/* The end of input quits, once everything that was typed is done. */
static void take_end(struct repl *r)
{
	r->ended = true;
	if (r->joined.len) {
		char *whole = buf_take(&r->joined);

		run_line(r, whole);
		free(whole);
	}
	if (!r->waiting)
		r->done = true;
}

static void show_prompt(struct repl *r)
{
	if (r->done || r->waiting)
		line_pause(r->line);
	else
		line_resume(r->line, r->joined.len ? more_prompt : prompt);
}

static void on_line(void *ctx, char *text)
{
	struct repl *r = ctx;

	if (!r->opts.terminal) {
		if (text)
			*VEC_PUSH(r->queue, r->queue_count, r->queue_cap) = text;
		r->ended |= !text;
		return;
	}
	line_pause(r->line);
	if (text)
		take_line(r, text);
	else
		take_end(r);
	free(text);
	show_prompt(r);
}

static const char *on_complete(void *ctx, const char *text, int start, size_t i, bool *files)
{
	struct repl_call call = make_call(ctx);

	return repl_complete(&call, text, start, i, files);
}

struct repl *repl_new(const struct repl_opts *opts)
{
	struct repl *r = xcalloc(1, sizeof(*r));
	struct line_opts line = {
		.fd = opts->in_fd,
		.out = opts->out,
		.terminal = opts->terminal,
		.history = opts->history,
		.ctx = r,
		.line = on_line,
		.complete = on_complete,
	};

	r->opts = *opts;
	r->diag = diag_new();
	r->line = line_open(&line);
	show_prompt(r);
	return r;
}

void repl_free(struct repl *r)
{
	if (!r)
		return;
	line_close(r->line);
	for (size_t i = r->queue_next; i < r->queue_count; i++)
		free(r->queue[i]);
	free(r->queue);
	buf_free(&r->joined);
	diag_free(r->diag);
	free(r);
}

static bool has_queue(const struct repl *r)
{
	return r->queue_next < r->queue_count;
}

int repl_fd(const struct repl *r)
{
	return r->done || r->waiting || r->ended || has_queue(r) ? -1 : r->opts.in_fd;
}

int repl_timeout_ms(const struct repl *r)
{
	uint64_t now = clock_now();

	if (r->waiting && r->deadline_ns)
		return r->deadline_ns > now ? (int)((r->deadline_ns - now) / 1000000 + 1) : 0;
	if (r->waiting)
		return 50;
	return has_queue(r) || r->ended ? 0 : -1;
}

void repl_readable(struct repl *r)
{
	if (repl_fd(r) < 0)
		return;
	r->interrupts = 0;
	line_readable(r->line);
}

static void finish_wait(struct repl *r, int err)
{
	r->waiting = false;
	note_result(r, err);
	if (r->ended)
		r->done |= !has_queue(r);
	show_prompt(r);
}

static bool wait_is_over(const struct repl *r)
{
	return r->deadline_ns ? clock_now() >= r->deadline_ns : r->opts.ops->ended(r->opts.ctx);
}

void repl_tick(struct repl *r)
{
	if (r->waiting && wait_is_over(r))
		finish_wait(r, 0);
	if (r->done || r->waiting || r->opts.terminal)
		return;
	if (has_queue(r)) {
		char *text = r->queue[r->queue_next++];

		take_line(r, text);
		free(text);
	}
	if (!has_queue(r))
		r->queue_count = r->queue_next = 0;
	if (r->ended && !has_queue(r))
		take_end(r);
}

void repl_sigint(struct repl *r)
{
	if (++r->interrupts > 1) {
		repl_quit(r);
		show_prompt(r);
	} else if (r->waiting) {
		diag_add(r->diag, DIAG_NOTE, "interrupted");
		finish_wait(r, -EINTR);
	} else if (!r->opts.terminal) {
		repl_quit(r);
	} else {
		bool dropped = line_interrupt(r->line) || r->joined.len;

		line_pause(r->line);
		buf_reset(&r->joined);
		if (!dropped)
			fputs("(once more to quit)\n", r->opts.out);
		show_prompt(r);
	}
}

void repl_report(struct repl *r, struct diag *d)
{
	size_t n = 0;

	/* Called every turn of the loop: an empty sink must not redraw the prompt. */
	for (int sev = DIAG_ERROR; sev <= DIAG_NOTE; sev++)
		n += diag_count(d, (enum diag_severity)sev);
	if (!n)
		return;
	repl_hide(r);
	fflush(r->opts.out);
	diag_print(d, r->opts.err, DIAG_STYLE_FIELD,
		   config_use_colour(r->opts.config, r->opts.err));
	fflush(r->opts.err);
	diag_clear(d);
	repl_show(r);
}

void repl_hide(struct repl *r)
{
	line_hide(r->line);
}

void repl_show(struct repl *r)
{
	fflush(r->opts.out);
	line_show(r->line);
}

bool repl_done(const struct repl *r)
{
	return r->done;
}

int repl_status(const struct repl *r)
{
	return r->failed && !r->opts.terminal;
}

void repl_quit(struct repl *r)
{
	r->done = true;
}

void repl_wait(struct repl *r, uint64_t deadline_ns)
{
	r->waiting = true;
	r->deadline_ns = deadline_ns;
}

char *repl_history_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state && *state == '/')
		return xasprintf("%s/llmprobe/history", state);
	return home && *home == '/' ? xasprintf("%s/.local/state/llmprobe/history", home) : NULL;
}

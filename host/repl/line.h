/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the REPL's lines come from: readline on a terminal, plain lines otherwise. Nothing here
 * blocks: the owner polls the descriptor and calls line_readable.
 *
 * readline keeps its state in globals, so there is at most one terminal line reader at a time.
 */
#ifndef LLMPROBE_REPL_LINE_H
#define LLMPROBE_REPL_LINE_H

#include <stdbool.h>
#include <stdio.h>

struct line_opts {
	int fd;
	FILE *out;	     /* terminal: prompt and echo */
	bool terminal;	     /* use readline */
	const char *history; /* file, made when missing; NULL: none is kept */
	void *ctx;
	/* A whole line without its newline (owned by the callee), or NULL at the end of input. */
	void (*line)(void *ctx, char *text);
	/*
	 * Terminal: candidate number `i` for the word that starts at `start` of `line`; NULL after
	 * the last. `*files` set to true asks for file names instead. May be NULL.
	 */
	const char *(*complete)(void *ctx, const char *line, int start, size_t i, bool *files);
};

struct line;

struct line *line_open(const struct line_opts *opts);
/* Takes what can be read now; calls `line` for each whole line. */
void line_readable(struct line *l);
/* Forgets what was typed so far. True when there was something. */
bool line_interrupt(struct line *l);
/* Saves the history, restores the terminal. NULL is fine. */
void line_close(struct line *l);

/* Terminal only, otherwise without effect: */
/* Takes the prompt away and gives the terminal its ordinary mode, or shows `prompt` again. */
void line_pause(struct line *l);
void line_resume(struct line *l, const char *prompt);
/* Clears the prompt so that others can print whole lines, and draws it again after them. */
void line_hide(struct line *l);
void line_show(struct line *l);

#endif

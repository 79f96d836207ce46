/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REPL: a table of commands over a running session, driven by the owner's poll loop.
 *
 *   while (!repl_done(r)) {
 *           struct pollfd fds[] = {{repl_fd(r), POLLIN, 0}, ...};   // -1 is ignored by poll
 *           poll(fds, n, min(repl_timeout_ms(r), ...));
 *           if (fds[0].revents)
 *                   repl_readable(r);
 *           if (SIGINT came)
 *                   repl_sigint(r);
 *           repl_tick(r);
 *           ... drain events; around anything printed meanwhile: repl_hide(r) ... repl_show(r)
 *   }
 */
#ifndef LLMPROBE_REPL_REPL_H
#define LLMPROBE_REPL_REPL_H

#include "config/config.h"
#include "config/options.h"

/*
 * What the commands do to the session. Results go to `out`, errors into `d`. An absent callback
 * makes its command say that it is not available here. None but `top` may block for long.
 */
struct repl_ops {
	int (*target)(void *ctx, FILE *out, struct diag *d);
	int (*plan)(void *ctx, FILE *out, struct diag *d);
	/* A level, plugin or script, by name. */
	int (*enable)(void *ctx, const char *name, FILE *out, struct diag *d);
	int (*disable)(void *ctx, const char *name, FILE *out, struct diag *d);
	/* A key was set in the config and counts at once: make it so. An error takes it back. */
	int (*changed)(void *ctx, const char *key, FILE *out, struct diag *d);
	int (*status)(void *ctx, FILE *out, struct diag *d);
	/* `file` is NULL when none was given. */
	int (*start)(void *ctx, const char *file, FILE *out, struct diag *d);
	int (*stop)(void *ctx, FILE *out, struct diag *d);
	/* Shows what the target does for that time; 0: until the user has seen enough. Events are
	 * handled meanwhile. */
	int (*top)(void *ctx, uint64_t duration_ns, FILE *out, struct diag *d);
	/* report, stat, dag, timeline on what is recorded so far; argv[0] is the name. */
	int (*view)(void *ctx, int argc, char *const *argv, FILE *out, struct diag *d);
	int (*probe)(void *ctx, const char *program, FILE *out, struct diag *d);
	int (*load)(void *ctx, const char *file, FILE *out, struct diag *d);
	int (*maps)(void *ctx, FILE *out, struct diag *d);
	int (*save)(void *ctx, const char *file, FILE *out, struct diag *d);
	/* True once the target has ended, for `wait` without a time. */
	bool (*ended)(void *ctx);
	/* Completion: name number i (COMPLETE_NAME, COMPLETE_POINT); NULL after the last. */
	const char *(*name)(void *ctx, enum completion kind, size_t i);
};

struct repl_opts {
	int in_fd;
	FILE *out, *err;
	bool terminal;	     /* readline, prompt, colours; else plain lines and line numbers */
	const char *history; /* NULL: none; see repl_history_path */
	struct config *config;
	const struct repl_ops *ops;
	void *ctx; /* for the ops */
};

struct repl;

/* Opens the REPL and shows the prompt. */
struct repl *repl_new(const struct repl_opts *opts);
/* Restores the terminal, saves the history. NULL is fine. */
void repl_free(struct repl *r);
/* What to poll for POLLIN; -1 during a `wait` or while lines are still to be done. */
int repl_fd(const struct repl *r);
/* How long poll may sleep at most; -1: any time. */
int repl_timeout_ms(const struct repl *r);
void repl_readable(struct repl *r);
/* Once per turn of the loop: carries out a line that is due, ends a `wait`. */
void repl_tick(struct repl *r);
/* ^C: the first drops the line or ends a `wait`, a second one right after it quits. */
void repl_sigint(struct repl *r);
/* Ends it, whatever goes on. */
void repl_quit(struct repl *r);
/* Prints and empties the messages of things that happened outside of a command. */
void repl_report(struct repl *r, struct diag *d);
void repl_hide(struct repl *r);
void repl_show(struct repl *r);
/* True after quit, the end of input or a second ^C. */
bool repl_done(const struct repl *r);
/* 1 when input was no terminal and a command failed, else 0. */
int repl_status(const struct repl *r);
/* Command i of the table, for the manual; false after the last. */
bool repl_command_at(size_t i, const char **name, const char **usage, const char **help);
/* $XDG_STATE_HOME/llmprobe/history or ~/.local/state/llmprobe/history; a new string or NULL. */
char *repl_history_path(void);

#endif

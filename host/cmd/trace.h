/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands that trace have in common: a session made from the config, and its loop. */
#ifndef LLMPROBE_CMD_TRACE_H
#define LLMPROBE_CMD_TRACE_H

#include "cmd/cmd.h"
#include "session/session.h"

struct plugins;

struct trace {
	struct session *session;
	struct plugins *plugins; /* of the config, and what the REPL loads */
	char *config_text;
	bool wants_names; /* set before trace_open: tensor names for session_each_op, _on_op */
	char cache_dir[4096];
	int signal_fd;	 /* once trace_catch_signals was called; -1 before */
	bool terminated; /* SIGTERM or SIGHUP came */
};

/*
 * Makes the session that the config describes and gives it its target; a command is held. Returns
 * EXIT_OK, EXIT_FAILED, or EXIT_USAGE when the target is ambiguous or the config is wrong. Call
 * trace_close in any case.
 */
int trace_open(struct trace *t, const struct cmd_context *ctx);
/* Loads the plugins that the config names. */
int trace_load_plugins(struct trace *t, const struct cmd_context *ctx);
/* Switches on the levels that the config asks for; one without a probe point is warned about. */
int trace_enable_levels(struct trace *t, const struct cmd_context *ctx);
/* SIGINT, SIGTERM and, unless it is ignored (nohup), SIGHUP. */
int trace_catch_signals(struct trace *t, const struct cmd_context *ctx);
/* Which of them came, 0: none. */
int trace_signal(struct trace *t);
/* True when what was asked for has a probe. Those of the scheduler, which every process has, count
 * only where no level wants an engine. */
bool trace_has_probes(const struct trace *t);
/* The first reason of a level that has none; "" when there is no such level. */
const char *trace_why_no_probes(const struct trace *t);
void trace_close(struct trace *t);

/* Where the run of this config goes ("run.llmp" by default) and its spool; free both. */
void trace_paths(const struct config *c, char **run, char **spool);

#endif

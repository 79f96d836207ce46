/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe -c CONFIG: the REPL over a running session. */
#include "repl/repl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/scripts.h"
#include "cmd/trace.h"
#include "cmd/view.h"
#include "level/level.h"
#include "plugin/plugin.h"
#include "trace/store.h"
#include "util/text.h"

struct repl_session {
	const struct cmd_context *ctx;
	struct trace trace;
	struct repl *repl;
	struct scripts *scripts;
	char *run; /* of the recording that runs or ran last; NULL: none yet */
	bool told_ended;
};

static int op_target(void *ctx, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	(void)d;
	session_print_targets(r->trace.session, out);
	return 0;
}

static int op_plan(void *ctx, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	(void)d;
	session_print_plan(r->trace.session, out);
	return 0;
}

static int level_of(const char *name, struct diag *d)
{
	const char *names[LEVEL_COUNT];
	size_t n = 0;
	const char *near;

	for (int i = 0; i < LEVEL_COUNT; i++)
		if (level_get(i) && strcmp(level_name(i), name) == 0)
			return i;
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (level_get(i))
			names[n++] = level_name(i);
	near = text_nearest_of(name, names, n);
	return diag_fail(d, -EINVAL, "there is no level '%s'%s%s%s", name,
			 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int op_enable(void *ctx, const char *name, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;
	const char *why;
	int level, err = plugins_enable(r->trace.plugins, name, d);

	if (err != -ENOENT)
		return err;
	level = level_of(name, d);
	if (level < 0)
		return level;
	err = session_enable(r->trace.session, level, d);
	if (err)
		return err;
	why = session_level_reason(r->trace.session, level);
	if (*why)
		fprintf(out, "%s is on, but has no probe point so far: %s\n", name, why);
	return 0;
}

static int op_disable(void *ctx, const char *name, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;
	int level;

	(void)out;
	if (scripts_has(r->scripts, name))
		return scripts_remove(r->scripts, name);
	if (plugins_disable(r->trace.plugins, name, d) != -ENOENT)
		return 0;
	level = level_of(name, d);
	return level < 0 ? level : session_disable(r->trace.session, level, d);
}

static int op_probe(void *ctx, const char *program, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	return scripts_add(r->scripts, NULL, program, session_first_pid(r->trace.session), out, d);
}

static int op_load(void *ctx, const char *file, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	if (!text_ends(file, ".bt"))
		return plugins_load(r->trace.plugins, file, d);
	return scripts_load(r->scripts, file, session_first_pid(r->trace.session), out, d);
}

static int op_maps(void *ctx, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	(void)d;
	scripts_print_maps(r->scripts);
	plugins_print_tables(r->trace.plugins, NULL, out);
	return 0;
}

static int apply_level(struct repl_session *r, int level, struct diag *d)
{
	struct session *s = r->trace.session;
	bool on = r->ctx->config->level[level];

	if (session_level_on(s, level) == on)
		return 0;
	return on ? session_enable(s, level, d) : session_disable(s, level, d);
}

/* `set levels LIST` means all of them, `set levels.NAME` only that one. */
static int apply_levels(struct repl_session *r, const char *key, struct diag *d)
{
	const char *dot = strchr(key, '.');
	int err = 0, level = dot ? level_of(dot + 1, d) : -1;

	if (dot)
		return level < 0 ? level : apply_level(r, level, d);
	for (int i = 0; i < LEVEL_COUNT && !err; i++)
		if (level_get(i))
			err = apply_level(r, i, d);
	return err;
}

static int set_barrier(struct session *s, const struct config *c, struct diag *d)
{
	return session_set_barrier_every(s, (unsigned)c->operators.barrier_every, d);
}

static int set_mode(struct session *s, const struct config *c, struct diag *d)
{
	if (!c->timestamps && c->operators.mode == CONFIG_OPS_EVENTS)
		return diag_fail(d, -EINVAL,
				 "operators.mode: events are stored with their times, and "
				 "trace_timestamps is false");
	return session_set_summary(s, c->operators.mode == CONFIG_OPS_SUMMARY, d);
}

static int set_counters(struct session *s, const struct config *c, struct diag *d)
{
	struct session_counters wanted = {.defaults = c->pmc && !c->pmc_names.count};

	if (c->pmc) {
		wanted.names = (const char *const *)c->pmc_names.items;
		wanted.n = c->pmc_names.count;
	}
	return session_set_counters(s, &wanted, d);
}

static int set_cap(struct session *s, const struct config *c, struct diag *d)
{
	return session_set_cap(s, c->overhead_cap / 100, d);
}

static const struct {
	const char *key;
	int (*apply)(struct session *s, const struct config *c, struct diag *d);
} settings[] = {
	{"operators.barrier", set_barrier},
	{"operators.mode", set_mode},
	{"trace_pmc", set_counters},
	{"overhead.cap", set_cap},
};

static int op_changed(void *ctx, const char *key, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	(void)out;
	if (text_starts(key, "levels"))
		return apply_levels(r, key, d);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (strcmp(key, settings[i].key) == 0)
			return settings[i].apply(r->trace.session, r->ctx->config, d);
	/* verbose and color are looked up whenever they count. */
	return 0;
}

static int op_status(void *ctx, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	(void)d;
	session_print_status(r->trace.session, out);
	plugins_print_status(r->trace.plugins, out);
	return 0;
}

static int op_start(void *ctx, const char *file, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;
	char *run, *spool;
	int err = 0;

	trace_paths(r->ctx->config, &run, &spool);
	if (file) {
		free(run);
		free(spool);
		run = xstrdup(file);
		spool = xasprintf("%s.spool", file);
	}
	if (access(run, F_OK) == 0 && !r->ctx->config->force)
		err = diag_fail(d, -EEXIST, "%s exists; name another file or `set force true`",
				run);
	if (!err)
		err = session_start(r->trace.session, spool, r->ctx->config->force, d);
	free(spool);
	if (err) {
		free(run);
		return err;
	}
	fprintf(out, "recording to %s\n", run);
	free(r->run);
	r->run = run;
	return session_launch(r->trace.session, d);
}

static int convert(struct repl_session *r, const char *out_path, struct diag *d)
{
	struct store_convert_opts o = {.force = true};
	char *spool = xasprintf("%s.spool", r->run);
	int err = store_convert(spool, out_path, &o, d);

	if (!err && !session_recording(r->trace.session))
		unlink(spool);
	free(spool);
	return err;
}

static int op_stop(void *ctx, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;
	int err = session_stop(r->trace.session, d);

	if (!err)
		err = convert(r, r->run, d);
	if (!err)
		fprintf(out, "recorded to %s\n", r->run);
	return err;
}

/* What is recorded so far, as a run of its own beside the one that is being made. */
static sqlite3 *open_so_far(struct repl_session *r, struct diag *d)
{
	char *copy;
	sqlite3 *db = NULL;

	if (!r->run) {
		diag_fail(d, -ENOENT, "nothing was recorded yet; `start` begins");
		return NULL;
	}
	if (!session_recording(r->trace.session))
		return store_open(r->run, d);
	copy = xasprintf("%s.so-far", r->run);
	if (session_sync(r->trace.session, d) == 0) {
		struct diag *quiet = diag_new();

		/* That the spool has no end yet is no news here. */
		if (convert(r, copy, quiet) == 0)
			db = store_open(copy, d);
		else
			diag_fail(d, -EIO, "%s", diag_first_error(quiet));
		diag_free(quiet);
	}
	unlink(copy);
	free(copy);
	return db;
}

static int op_view(void *ctx, int argc, char *const *argv, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;
	const struct view *v = view_find(argv[0]);
	struct view_run run = {.name = r->run ? r->run : ""};
	int err;

	if (!v)
		return diag_fail(d, -EINVAL, "there is no view '%s' here", argv[0]);
	run.db = open_so_far(r, d);
	if (!run.db)
		return -EIO;
	err = cmd_view_run(v, &run, argc - 1, argv + 1, out, d);
	sqlite3_close(run.db);
	return err > 0 ? -EINVAL : err;
}

static bool op_ended(void *ctx)
{
	struct repl_session *r = ctx;

	return session_ended(r->trace.session);
}

static const struct repl_ops ops = {
	.target = op_target,
	.plan = op_plan,
	.enable = op_enable,
	.disable = op_disable,
	.changed = op_changed,
	.status = op_status,
	.start = op_start,
	.stop = op_stop,
	.view = op_view,
	.probe = op_probe,
	.load = op_load,
	.maps = op_maps,
	.ended = op_ended,
};

static void open_repl(struct repl_session *r, char *history)
{
	struct repl_opts o = {
		.in_fd = STDIN_FILENO,
		.out = stdout,
		.err = stderr,
		.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
		.history = history,
		.config = r->ctx->config,
		.ops = &ops,
		.ctx = r,
	};

	r->repl = repl_new(&o);
}

static void tell_end(struct repl_session *r)
{
	if (r->told_ended || !session_ended(r->trace.session))
		return;
	r->told_ended = true;
	diag_add(r->ctx->diag, DIAG_NOTE, "the target has ended; what was recorded stays");
}

static int loop(struct repl_session *r)
{
	struct session *s = r->trace.session;

	while (!repl_done(r->repl)) {
		struct pollfd fds[4] = {{repl_fd(r->repl), POLLIN, 0},
					{session_fd(s), POLLIN, 0},
					{r->trace.signal_fd, POLLIN, 0},
					{scripts_fd(r->scripts), POLLIN, 0}};
		int err;

		if (poll(fds, 4, repl_timeout_ms(r->repl)) < 0 && errno != EINTR)
			return EXIT_FAILED;
		if (fds[0].revents)
			repl_readable(r->repl);
		if (trace_signal(&r->trace))
			repl_sigint(r->repl);
		repl_tick(r->repl);
		err = session_dispatch(s, r->ctx->diag);
		scripts_drain(r->scripts);
		tell_end(r);
		repl_report(r->repl, r->ctx->diag);
		if (err)
			return EXIT_FAILED;
	}
	return repl_status(r->repl);
}

/* With `output` in the config recording begins at once; else `start` begins it. */
static int begin(struct repl_session *r)
{
	const struct cmd_context *ctx = r->ctx;
	int code = trace_open(&r->trace, ctx);

	if (!code)
		code = trace_catch_signals(&r->trace, ctx);
	if (!code && config_given(ctx->config, "output") && op_start(r, NULL, stdout, ctx->diag))
		code = EXIT_FAILED;
	if (!code)
		code = trace_enable_levels(&r->trace, ctx);
	plugins_set_output(r->trace.plugins, stdout);
	if (!code)
		code = trace_load_plugins(&r->trace, ctx);
	if (!code && session_launch(r->trace.session, ctx->diag))
		code = EXIT_FAILED;
	return code;
}

/* Leaving while a recording runs must not lose it. */
static void end_recording(struct repl_session *r)
{
	if (session_recording(r->trace.session))
		op_stop(r, stdout, r->ctx->diag);
}

int cmd_repl(const struct cmd_context *ctx)
{
	struct repl_session r = {.ctx = ctx};
	char *history = repl_history_path();
	int code = begin(&r);

	cmd_flush(ctx);
	if (!code) {
		r.scripts = scripts_new();
		open_repl(&r, history);
		code = loop(&r);
		repl_free(r.repl);
		scripts_free(r.scripts);
		end_recording(&r);
	}
	trace_close(&r.trace);
	free(r.run);
	free(history);
	return code;
}

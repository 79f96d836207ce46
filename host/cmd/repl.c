/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe -c CONFIG: the REPL over a running session. */
#include "repl/repl.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/live.h"
#include "cmd/scripts.h"
#include "cmd/trace.h"
#include "cmd/view.h"
#include "level/level.h"
#include "plugin/plugin.h"
#include "script/engine/engine_probe.h"
#include "trace/store.h"
#include "util/file.h"
#include "util/text.h"

struct repl_session {
	const struct cmd_context *ctx;
	struct trace trace;
	struct repl *repl;
	struct scripts *scripts;
	/* What scripts and plugins print, until the prompt is out of the way. */
	FILE *beside;
	char *beside_text;
	size_t beside_len;
	char *run; /* of the recording that runs or ran last; NULL: none yet */
	bool told_ended, gave_up;
	char point[32]; /* that completion was given last */
};

/* Prints what has gathered. */
static void flush_beside(struct repl_session *r, FILE *out)
{
	if (fflush(r->beside) != 0 || !r->beside_len)
		return;
	fwrite(r->beside_text, 1, r->beside_len, out);
	rewind(r->beside);
	fflush(out);
}

static void show_beside(struct repl_session *r)
{
	fflush(r->beside);
	if (!r->beside_len)
		return;
	repl_hide(r->repl);
	flush_beside(r, stdout);
	repl_show(r->repl);
}

static bool is_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

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

	if (scripts_has(r->scripts, name)) {
		level = scripts_remove(r->scripts, name);
		flush_beside(r, out);
		malloc_trim(0);
		return level;
	}
	if (plugins_disable(r->trace.plugins, name, d) != -ENOENT)
		return 0;
	level = level_of(name, d);
	return level < 0 ? level : session_disable(r->trace.session, level, d);
}

static int op_probe(void *ctx, const char *program, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	int err = scripts_add(r->scripts, NULL, program, session_first_pid(r->trace.session), d);

	flush_beside(r, out);
	return err;
}

static int op_load(void *ctx, const char *file, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	int err;

	if (!text_ends(file, ".bt"))
		return plugins_load(r->trace.plugins, file, d);
	err = scripts_load(r->scripts, file, session_first_pid(r->trace.session), d);
	flush_beside(r, out);
	return err;
}

static int op_maps(void *ctx, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;

	(void)d;
	scripts_print_maps(r->scripts);
	flush_beside(r, out);
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
	scripts_print_status(r->scripts, out);
	return 0;
}

static void drain_scripts(void *ctx)
{
	struct repl_session *r = ctx;

	scripts_drain(r->scripts, r->ctx->diag);
}

/* Lines for a pipe end by themselves. */
static int op_top(void *ctx, uint64_t duration_ns, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;
	struct live_opts o = {
		.trace = &r->trace,
		.duration_ns = duration_ns,
		.colour = config_use_colour(r->ctx->config, out),
		.turn = drain_scripts,
		.ctx = r,
	};

	if (!duration_ns && !is_terminal())
		o.duration_ns = 1000000000;
	return live_show(&o, out, d);
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
	if (!err && file_is_special(run))
		err = diag_fail(d, -EINVAL, "%s is a device or a pipe; a run is a file", run);
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

	/* The session stays small between recordings. */
	malloc_trim(0);
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
static int convert_so_far(struct repl_session *r, const char *path, struct diag *d)
{
	struct diag *quiet;
	int err;

	if (!r->run)
		return diag_fail(d, -ENOENT, "nothing was recorded yet; `start` begins");
	err = session_sync(r->trace.session, d);
	if (err)
		return err;
	/* That the spool has no end yet is no news here. */
	quiet = diag_new();
	if (convert(r, path, quiet) != 0)
		err = diag_fail(d, -EIO, "%s", diag_first_error(quiet));
	diag_free(quiet);
	return err;
}

static sqlite3 *open_so_far(struct repl_session *r, struct diag *d)
{
	char *copy;
	sqlite3 *db = NULL;

	if (r->run && !session_recording(r->trace.session))
		return store_open(r->run, d);
	copy = xasprintf("%s.so-far", r->run ? r->run : "");
	if (convert_so_far(r, copy, d) == 0)
		db = store_open(copy, d);
	unlink(copy);
	free(copy);
	return db;
}

static int copy_run(const char *from, const char *to, struct diag *d)
{
	struct diag *quiet = diag_new();
	sqlite3 *db = store_open(from, quiet);
	char *error = NULL, *sql = sqlite3_mprintf("VACUUM INTO %Q", to);
	int err = db && sqlite3_exec(db, sql, NULL, NULL, &error) == SQLITE_OK ? 0 : -EIO;

	if (err)
		diag_fail(d, err, "cannot write %s: %s", to,
			  error ? error : diag_first_error(quiet));
	sqlite3_free(error);
	sqlite3_free(sql);
	sqlite3_close(db);
	diag_free(quiet);
	return err;
}

static int op_save(void *ctx, const char *file, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;
	int err;

	if (access(file, F_OK) == 0 && !r->ctx->config->force)
		return diag_fail(d, -EEXIST, "%s exists; name another file or `set force true`",
				 file);
	if (file_is_special(file))
		return diag_fail(d, -EINVAL, "%s is a device or a pipe; a run is a file", file);
	if (access(file, F_OK) == 0)
		unlink(file);
	err = r->run && !session_recording(r->trace.session) ? copy_run(r->run, file, d)
							     : convert_so_far(r, file, d);
	if (!err)
		fprintf(out, "saved to %s\n", file);
	return err;
}

static int op_view(void *ctx, int argc, char *const *argv, FILE *out, struct diag *d)
{
	struct repl_session *r = ctx;
	const struct view *v = view_find(argv[0]);
	struct view_run run = {.name = r->run ? r->run : ""};
	bool so_far = r->run && session_recording(r->trace.session);
	int err;

	if (!v)
		return diag_fail(d, -EINVAL, "there is no view '%s' here", argv[0]);
	run.db = open_so_far(r, d);
	if (!run.db)
		return -EIO;
	err = cmd_view_run(v, &run, so_far, argc - 1, argv + 1, out, d);
	sqlite3_close(run.db);
	return err > 0 ? -EINVAL : err;
}

/* Levels, then plugins, then scripts; or the events of the engine that scripts know. */
static const char *op_name(void *ctx, enum completion kind, size_t i)
{
	struct repl_session *r = ctx;
	const struct engine_event *e = typed_events;
	if (kind == COMPLETE_POINT) {
		while (e->provider && i--)
			e++;
		snprintf(r->point, sizeof(r->point), "%s:%s", e->provider ? e->provider : "",
			 e->provider ? e->event : "");
		return e->provider ? r->point : NULL;
	}
	for (int level = 0; level < LEVEL_COUNT; level++)
		if (level_get(level) && i-- == 0)
			return level_name(level);
	if (i < plugins_count(r->trace.plugins))
		return plugins_name(r->trace.plugins, i);
	return scripts_name(r->scripts, i - plugins_count(r->trace.plugins));
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
	.top = op_top,
	.view = op_view,
	.probe = op_probe,
	.load = op_load,
	.maps = op_maps,
	.save = op_save,
	.name = op_name,
	.ended = op_ended,
};

static void open_repl(struct repl_session *r, char *history)
{
	struct repl_opts o = {
		.in_fd = STDIN_FILENO,
		.out = stdout,
		.err = stderr,
		.terminal = is_terminal(),
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

/* A recording that cannot be written ends; the prompt and the levels go on. */
static bool give_recording_up(struct repl_session *r)
{
	struct diag *quiet;

	if (!session_recording(r->trace.session))
		return false;
	quiet = diag_new();
	session_stop(r->trace.session, quiet);
	diag_free(quiet);
	r->gave_up = true;
	diag_add(r->ctx->diag, DIAG_NOTE,
		 "the recording has ended; the raw events are kept in %s.spool, and where there is "
		 "room for it `llmprobe export %s` makes the run",
		 r->run, r->run);
	return true;
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
		if (trace_signal(&r->trace) == SIGINT)
			repl_sigint(r->repl);
		if (r->trace.terminated)
			repl_quit(r->repl);
		repl_tick(r->repl);
		err = session_dispatch(s, r->ctx->diag);
		scripts_drain(r->scripts, r->ctx->diag);
		show_beside(r);
		tell_end(r);
		if (err && give_recording_up(r))
			err = 0;
		repl_report(r->repl, r->ctx->diag);
		if (err)
			return EXIT_FAILED;
	}
	return r->gave_up ? EXIT_FAILED : repl_status(r->repl);
}

/* With `output` in the config recording begins at once; else `start` begins it. */
static int begin(struct repl_session *r)
{
	const struct cmd_context *ctx = r->ctx;
	int code;

	r->trace.wants_names = true;
	code = trace_open(&r->trace, ctx);

	if (!code)
		code = trace_catch_signals(&r->trace, ctx);
	if (!code && config_given(ctx->config, "output") && op_start(r, NULL, stdout, ctx->diag))
		code = EXIT_FAILED;
	if (!code)
		code = trace_enable_levels(&r->trace, ctx);
	if (!code) {
		plugins_set_output(r->trace.plugins, r->beside);
		code = trace_load_plugins(&r->trace, ctx);
	}
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
	int code;

	r.beside = open_memstream(&r.beside_text, &r.beside_len);
	code = begin(&r);
	cmd_flush(ctx);
	if (!code) {
		r.scripts = scripts_new(r.beside, ctx->config->target.exe);
		open_repl(&r, history);
		code = loop(&r);
		repl_free(r.repl);
		scripts_free(r.scripts);
		end_recording(&r);
	}
	trace_close(&r.trace);
	flush_beside(&r, stdout);
	fclose(r.beside);
	free(r.beside_text);
	free(r.run);
	free(history);
	return code;
}

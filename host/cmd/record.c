/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe record: trace until the target ends, ^C, or the duration is over. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/progress.h"
#include "cmd/serve.h"
#include "cmd/trace.h"
#include "plugin/plugin.h"
#include "trace/store.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/text.h"
#include "view/peaks/peaks.h"

struct recording {
	const struct cmd_context *ctx;
	struct trace trace;
	struct serve *serve; /* --prometheus */
	char *run, *spool;
	uint64_t end_ns; /* CLOCK_MONOTONIC, 0: no limit */
	int signals;	 /* how often the user asked to stop */
	bool probed;	 /* some probe was placed at some time */
};

/* Told before the target runs: it would be a pity to find out afterwards. */
static int check_output(const struct recording *r)
{
	struct stat st;

	if (stat(r->run, &st) == 0 && S_ISDIR(st.st_mode)) {
		diag_fail(r->ctx->diag, -EISDIR, "%s is a folder; -o names a file", r->run);
		return EXIT_FAILED;
	}
	if (file_is_special(r->run)) {
		diag_fail(r->ctx->diag, -EINVAL,
			  "%s is a device or a pipe; a run is a file, which -o names", r->run);
		return EXIT_FAILED;
	}
	if (access(r->run, F_OK) == 0 && !r->ctx->config->force) {
		diag_fail(r->ctx->diag, -EEXIST,
			  "%s exists; -o names another file, --force replaces it", r->run);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int check_levels(const struct recording *r)
{
	const struct config *c = r->ctx->config;

	for (int i = 0; i < LEVEL_COUNT; i++)
		if (c->level[i])
			return EXIT_OK;
	if (c->plugins.count)
		return EXIT_OK;
	config_refuse(c, config_given(c, "levels") ? "levels" : "levels.token",
		      "no level is on and no plugin is named: there is nothing to record",
		      r->ctx->diag);
	return EXIT_USAGE;
}

static int begin(struct recording *r)
{
	const struct cmd_context *ctx = r->ctx;
	int code = check_levels(r);

	if (!code)
		code = check_output(r);

	r->trace.wants_names = ctx->config->prometheus != NULL;
	if (!code)
		code = trace_open(&r->trace, ctx);
	if (!code)
		code = trace_catch_signals(&r->trace, ctx);
	if (!code)
		code = trace_load_plugins(&r->trace, ctx);
	if (!code && ctx->config->prometheus) {
		r->serve = serve_open(ctx, r->trace.session);
		code = r->serve ? EXIT_OK : EXIT_FAILED;
	}
	if (!code && session_start(r->trace.session, r->spool, ctx->config->force, ctx->diag))
		code = EXIT_FAILED;
	if (!code)
		code = trace_enable_levels(&r->trace, ctx);
	if (!code && session_launch(r->trace.session, ctx->diag))
		code = EXIT_FAILED;
	if (ctx->config->duration_ns)
		r->end_ns = clock_now() + ctx->config->duration_ns;
	return code;
}

/* ^C reaches a command of ours too, so it is given the time to end by itself; asked twice, or by
 * who means us alone, we stop. */
static bool wants_stop(struct recording *r)
{
	if (trace_signal(&r->trace))
		r->signals++;
	if (r->trace.terminated || (r->end_ns && clock_now() >= r->end_ns))
		return true;
	return r->signals >= (r->ctx->config->target.command.count ? 2 : 1);
}

static int loop(struct recording *r)
{
	struct session *s = r->trace.session;
	struct pollfd fds[2] = {{session_fd(s), POLLIN, 0}, {r->trace.signal_fd, POLLIN, 0}};
	int err;

	/* ^C may have come while the probes were put in. */
	r->probed = trace_has_probes(&r->trace);
	while (!session_ended(s) && !wants_stop(r)) {
		if (poll(fds, 2, 100) < 0 && errno != EINTR)
			return EXIT_FAILED;
		err = session_dispatch(s, r->ctx->diag);
		serve_tick(r->serve);
		r->probed = r->probed || trace_has_probes(&r->trace);
		if (err)
			return EXIT_FAILED;
		cmd_flush(r->ctx);
	}
	return EXIT_OK;
}

static void print_summary(struct recording *r)
{
	uint64_t lost = session_lost(r->trace.session);
	char text[32];

	if (!r->probed)
		diag_add(r->ctx->diag, DIAG_ERROR, "no probe point was found in the target: %s",
			 trace_why_no_probes(&r->trace));
	if (lost)
		diag_add(
			r->ctx->diag, DIAG_WARNING,
			"%s events were lost; a larger buffer (--buffer-size) or fewer levels help",
			text_count(lost, text));
}

static int finish(struct recording *r)
{
	const struct config *c = r->ctx->config;
	struct store_convert_opts o = {.force = c->force, .progress = cmd_progress()};
	int err = session_stop(r->trace.session, r->ctx->diag);
	const char *nothing = session_nothing_matched(r->trace.session);

	plugins_print_tables(r->trace.plugins, NULL, stdout);
	plugins_warn_missing(r->trace.plugins, r->ctx->diag);
	print_summary(r);
	if (err || store_convert(r->spool, r->run, &o, r->ctx->diag)) {
		diag_add(r->ctx->diag, DIAG_NOTE,
			 "the raw events are kept in %s; where there is room for it, `llmprobe "
			 "export %s` makes the run",
			 r->spool, r->spool);
		return EXIT_FAILED;
	}
	unlink(r->spool);
	peaks_keep(r->run);
	diag_add(r->ctx->diag, DIAG_NOTE, "recorded to %s; `llmprobe report %s` shows it", r->run,
		 r->run);
	if (*nothing)
		diag_add(r->ctx->diag, DIAG_ERROR, "%s", nothing);
	return !r->probed || *nothing ? EXIT_FAILED : EXIT_OK;
}

/* As a shell would report it. */
static int target_code(const struct session *s)
{
	int status = session_exit_status(s);

	if (status < 0)
		return EXIT_OK;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int cmd_record(const struct cmd_context *ctx)
{
	struct recording r = {.ctx = ctx};
	int code, target = EXIT_OK;

	trace_paths(ctx->config, &r.run, &r.spool);
	code = begin(&r);
	if (!code) {
		int failed = loop(&r);

		target = target_code(r.trace.session);
		code = finish(&r);
		code = failed ? failed : code;
	}
	serve_close(r.serve);
	trace_close(&r.trace);
	free(r.run);
	free(r.spool);
	return target ? target : code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe sweep: record a command with every combination of parameters and compare the runs. */
#include "view/sweep/sweep.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/trace.h"
#include "level/level.h"
#include "util/buf.h"
#include "view/view.h"

enum { RECORD_ARGS_MAX = 4 };

struct sweeping {
	const struct cmd_context *ctx;
	struct trace signals; /* nothing but its signal_fd is used */
	char *levels;
	char *record_args[RECORD_ARGS_MAX];
	bool asked; /* to stop */
};

static void progress(void *ctx, size_t done, size_t total, const char *what)
{
	struct sweeping *s = ctx;

	cmd_flush(s->ctx);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%zu of %zu runs %s%s", done, total, what,
			done == total ? "\n" : "");
}

static bool stop(void *ctx)
{
	struct sweeping *s = ctx;

	s->asked = s->asked || trace_signal(&s->signals);
	return s->asked;
}

/* What every recording of the sweep is told beside its own command and file. */
static void record_args(struct sweeping *s)
{
	const struct config *c = s->ctx->config;
	struct buf levels = {0};
	size_t n = 0;

	if (c->config_file) {
		s->record_args[n++] = (char *)"-c";
		s->record_args[n++] = c->config_file;
	}
	if (!config_given(c, "levels"))
		return;
	buf_puts(&levels, "--levels=");
	option_print(option_by_key("levels"), c, &levels);
	s->levels = buf_take(&levels);
	s->record_args[n] = s->levels;
}

static struct sweep *make(struct sweeping *s)
{
	const struct config *c = s->ctx->config;
	struct sweep_opts o = {
		.command = c->target.command.items,
		.folder = c->output,
		.repeat = (int)c->sweep.repeat,
		.warmup = (int)c->sweep.warmup,
		.seed = (uint64_t)c->sweep.seed,
		.record_args = s->record_args,
		.progress = progress,
		.stop = stop,
		.ctx = s,
	};

	if (!c->target.command.count || !c->output || !c->sweep.params.count) {
		diag_add(s->ctx->diag, DIAG_ERROR, "sweep needs %s; see llmprobe help sweep",
			 !c->sweep.params.count ? "a parameter: -P NAME=VALUE,VALUE"
			 : !c->output		? "-o DIR, the folder of its runs"
						: "a command after --");
		return NULL;
	}
	return sweep_new(&o, c->sweep.params.items, c->sweep.params.count, s->ctx->diag);
}

static int run(struct sweeping *s, struct sweep *sweep)
{
	struct view_opts o = {.json = s->ctx->config->json,
			      .colour = config_use_colour(s->ctx->config, stdout)};
	int err = sweep_run(sweep, s->ctx->diag);

	if (err == -EINTR)
		diag_add(s->ctx->diag, DIAG_NOTE,
			 "stopped; the same command goes on where this one ended, the table shows "
			 "what %s holds so far",
			 s->ctx->config->output);
	if (err && err != -EINTR)
		return EXIT_FAILED;
	/* After ^C it is no failure that something was not measured. */
	if (sweep_print(sweep, &o, stdout, s->ctx->diag) && !err)
		return EXIT_FAILED;
	return err ? 128 + SIGINT : EXIT_OK;
}

int cmd_sweep(const struct cmd_context *ctx)
{
	struct sweeping s = {.ctx = ctx, .signals.signal_fd = -1};
	struct sweep *sweep;
	int code = EXIT_USAGE;

	record_args(&s);
	sweep = make(&s);
	if (sweep)
		code = trace_catch_signals(&s.signals, ctx);
	if (sweep && !code)
		code = run(&s, sweep);
	sweep_free(sweep);
	trace_close(&s.signals);
	free(s.levels);
	return code;
}

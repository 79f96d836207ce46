/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bpf/cache.h"
#include "bpf/counter.h"
#include "level/level.h"
#include "plugin/plugin.h"

static const char *cache_dir(struct trace *t, const struct config *c)
{
	const char *dir =
		c->cache_dir ? c->cache_dir : bpf_cache_dir(t->cache_dir, sizeof(t->cache_dir));

	return *dir ? dir : NULL;
}

static void session_options(struct trace *t, const struct config *c, struct session_opts *o)
{
	struct buf text = {0};

	config_write(c, &text);
	t->config_text = buf_take(&text);
	*o = (struct session_opts){
		.transport = c->buffer.type == CONFIG_BUFFER_RING ? TRANSPORT_RING : TRANSPORT_PERF,
		.buffer_bytes = c->buffer.size,
		.drain_ns = c->drain_interval_ns,
		.cache_dir = cache_dir(t, c),
		.names = t->wants_names,
		.summary = c->operators.mode == CONFIG_OPS_SUMMARY || !c->timestamps,
		.include = (const char *const *)c->operators.include.items,
		.n_include = c->operators.include.count,
		.exclude = (const char *const *)c->operators.exclude.items,
		.n_exclude = c->operators.exclude.count,
		.barrier_every = (unsigned)c->operators.barrier_every,
		.barrier_asked = config_given(c, "operators.barrier") && c->operators.barrier_every,
		.overhead_cap = c->overhead_cap / 100,
		.config_text = t->config_text,
	};
	if (c->target.engine && strcmp(c->target.engine, "auto") != 0)
		o->engine = c->target.engine;
	o->no_dimensions = !c->tensor_dimensions;
	o->default_counters = c->pmc && !c->pmc_names.count;
	if (c->pmc) {
		o->counters = (const char *const *)c->pmc_names.items;
		o->n_counters = c->pmc_names.count;
	}
}

static int give_target(struct trace *t, const struct config *c, struct diag *d)
{
	if (c->target.command.count)
		return session_target_command(t->session, c->target.command.items, d);
	if (c->target.pid)
		return session_target_pid(t->session, (pid_t)c->target.pid, d);
	if (c->target.exe)
		return session_target_exe(t->session, c->target.exe, d);
	return session_target_any(t->session, d);
}

/* Names that no machine knows; what this one lacks is told by the session. */
static int check_counters(const struct config *c, struct diag *d)
{
	const char *const *names = (const char *const *)c->pmc_names.items;
	int err = 0;

	for (size_t i = 0; c->pmc && i < c->pmc_names.count; i++) {
		struct diag *own = diag_new();
		struct counters *one = counters_parse(&names[i], 1, own);

		if (!one) {
			config_refuse(c, "trace_pmc", diag_first_error(own), d);
			err = -EINVAL;
		}
		counters_free(one);
		diag_free(own);
	}
	return err;
}

int trace_open(struct trace *t, const struct cmd_context *ctx)
{
	struct session_opts o;
	int err;

	t->signal_fd = -1;
	if (check_counters(ctx->config, ctx->diag))
		return EXIT_USAGE;
	session_options(t, ctx->config, &o);
	t->session = session_new(&o, ctx->diag);
	if (!t->session)
		return EXIT_FAILED;
	t->plugins = plugins_new(t->session, cache_dir(t, ctx->config));
	err = give_target(t, ctx->config, ctx->diag);
	if (!err)
		return EXIT_OK;
	return err == -E2BIG || err == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

int trace_load_plugins(struct trace *t, const struct cmd_context *ctx)
{
	for (size_t i = 0; i < ctx->config->plugins.count; i++)
		if (plugins_load(t->plugins, ctx->config->plugins.items[i], ctx->diag))
			return EXIT_FAILED;
	return EXIT_OK;
}

int trace_enable_levels(struct trace *t, const struct cmd_context *ctx)
{
	session_prepare(t->session, ctx->config->level, ctx->diag);
	for (int i = 0; i < LEVEL_COUNT; i++) {
		const char *why;

		if (!ctx->config->level[i] || !level_get(i))
			continue;
		if (session_enable(t->session, i, ctx->diag))
			return EXIT_FAILED;
		why = session_level_reason(t->session, i);
		if (*why && !ctx->config->target.command.count)
			diag_add(ctx->diag, DIAG_WARNING, "the %s level has no probe point: %s",
				 level_name(i), why);
	}
	return EXIT_OK;
}

int trace_catch_signals(struct trace *t, const struct cmd_context *ctx)
{
	struct sigaction hangup;
	sigset_t set;

	sigemptyset(&set);
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signal_fd >= 0)
		return EXIT_OK;
	diag_fail(ctx->diag, -errno, "cannot catch signals: %s", strerror(errno));
	return EXIT_FAILED;
}

int trace_signal(struct trace *t)
{
	struct signalfd_siginfo info;

	if (read(t->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	t->terminated |= info.ssi_signo != SIGINT;
	return (int)info.ssi_signo;
}

bool trace_has_probes(const struct trace *t)
{
	size_t sites[2] = {0, 0};
	bool wants_engine = false;

	for (int i = 0; i < LEVEL_COUNT; i++) {
		struct session_level_stats st;

		session_level_stats(t->session, i, &st);
		sites[i == LEVEL_SCHEDULER] += st.sites;
		wants_engine |= st.on && i != LEVEL_SCHEDULER;
	}
	return sites[0] || (sites[1] && !wants_engine) || plugins_probes(t->plugins) > 0;
}

const char *trace_why_no_probes(const struct trace *t)
{
	for (int i = 0; i < LEVEL_COUNT; i++) {
		const char *why = level_get(i) ? session_level_reason(t->session, i) : "";

		if (*why)
			return why;
	}
	return "it ended before they were attached";
}

void trace_close(struct trace *t)
{
	plugins_free(t->plugins);
	session_free(t->session);
	if (t->signal_fd >= 0)
		close(t->signal_fd);
	free(t->config_text);
}

void trace_paths(const struct config *c, char **run, char **spool)
{
	*run = xstrdup(c->output ? c->output : "run.llmp");
	*spool = xasprintf("%s.spool", *run);
}

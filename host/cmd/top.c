/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe top: a running target on one screen. Operators are summed up in the kernel. */
#include "cmd/live.h"

static int begin(struct trace *t, const struct cmd_context *ctx)
{
	int code;

	ctx->config->operators.mode = CONFIG_OPS_SUMMARY;
	if (!config_given(ctx->config, "levels"))
		ctx->config->level[LEVEL_OPERATOR] = true;
	t->wants_names = true;
	code = trace_open(t, ctx);
	if (!code)
		code = trace_catch_signals(t, ctx);
	if (!code)
		code = trace_enable_levels(t, ctx);
	if (!code && session_launch(t->session, ctx->diag))
		code = EXIT_FAILED;
	return code;
}

int cmd_top(const struct cmd_context *ctx)
{
	struct trace trace = {0};
	struct live_opts o = {.trace = &trace,
			      .duration_ns = ctx->config->duration_ns,
			      .colour = config_use_colour(ctx->config, stdout)};
	int code = begin(&trace, ctx);

	if (!code)
		code = live_show(&o, stdout, ctx->diag) ? EXIT_FAILED : EXIT_OK;
	if (!code && session_ended(trace.session))
		diag_add(ctx->diag, DIAG_NOTE, "the target has ended");
	trace_close(&trace);
	return code;
}

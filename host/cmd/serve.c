/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and operators are counted as they are drained, losses and costs are asked for once a
 * second; so are the kernel's sums when operators are not recorded one by one.
 */
#include "cmd/serve.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "level/level.h"
#include "target/process.h"
#include "view/export/prometheus.h"

enum { TICK_NS = 1000000000 };

struct serve {
	struct session *session;
	struct metrics *metrics;
	struct prometheus_server *server;
	uint64_t next_ns;
	bool summary;
	struct {
		uint64_t count, compute_ns, wait_ns;
	} classes[CLASS_COUNT];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A prompt of one token cannot be told from a decode here: the batch's logits are not recorded. */
static void on_token(void *ctx, const struct session_token *t)
{
	struct serve *v = ctx;

	metrics_call(v->metrics, (int64_t)t->context, t->n_tokens > 1 ? "prefill" : "decode",
		     t->n_tokens, (int64_t)t->begin_ns, (int64_t)t->end_ns);
}

static void on_op(void *ctx, const struct session_op *op)
{
	struct serve *v = ctx;
	enum op_class c = view_op_class(op->op);

	v->classes[c].count += op->count;
	v->classes[c].compute_ns += op->compute_ns;
	v->classes[c].wait_ns += op->wait_ns;
}

static void take_operators(struct serve *v)
{
	if (v->summary) {
		memset(v->classes, 0, sizeof(v->classes));
		session_each_op(v->session, on_op, v);
	}
	for (int c = 0; c < CLASS_COUNT; c++)
		if (v->classes[c].count)
			metrics_operator_sums(v->metrics, (enum op_class)c, v->classes[c].count,
					      v->classes[c].compute_ns, v->classes[c].wait_ns);
}

static void take_costs(struct serve *v)
{
	for (int i = 0; i < LEVEL_COUNT; i++) {
		struct session_level_stats st;

		if (!level_get(i))
			continue;
		session_level_stats(v->session, i, &st);
		if (!st.on && !st.hits)
			continue;
		metrics_loss(v->metrics, level_name(i), st.lost);
		metrics_cost(v->metrics, level_name(i), st.hits, (uint64_t)st.cost_ns);
	}
}

/* The model in the command line of the target, as far as there is one yet. Free it. */
static char *model_of(const struct config *c)
{
	struct buf command = {0};
	char *text, *model;

	for (size_t i = 0; i < c->target.command.count; i++)
		buf_printf(&command, "%s ", c->target.command.items[i]);
	text = c->target.pid ? process_command((pid_t)c->target.pid) : buf_take(&command);
	model = metrics_model_of(text);
	buf_free(&command);
	free(text);
	return model;
}

struct serve *serve_open(const struct cmd_context *ctx, struct session *s)
{
	const struct config *c = ctx->config;
	bool named = c->target.engine && strcmp(c->target.engine, "auto") != 0;
	struct serve *v = xcalloc(1, sizeof(*v));
	char *model = model_of(c);

	v->session = s;
	v->summary = c->operators.mode == CONFIG_OPS_SUMMARY || !c->timestamps;
	v->metrics = metrics_new(named ? c->target.engine : NULL, model);
	free(model);
	v->server = prometheus_listen(v->metrics, c->prometheus, ctx->diag);
	if (!v->server) {
		serve_close(v);
		return NULL;
	}
	diag_add(ctx->diag, DIAG_NOTE, "metrics are served on port %d at /metrics",
		 prometheus_port(v->server));
	session_on_token(s, on_token, v);
	if (!v->summary)
		session_on_op(s, on_op, v);
	return v;
}

void serve_tick(struct serve *v)
{
	if (!v || now_ns() < v->next_ns)
		return;
	v->next_ns = now_ns() + TICK_NS;
	take_operators(v);
	take_costs(v);
}

void serve_close(struct serve *v)
{
	if (!v)
		return;
	session_on_token(v->session, NULL, NULL);
	session_on_op(v->session, NULL, NULL);
	prometheus_close(v->server);
	metrics_free(v->metrics);
	free(v);
}

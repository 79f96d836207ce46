/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and operators are counted as they are drained, losses and costs are asked for once a
 * second; so are the kernel's sums of operators that are not recorded one by one.
 */
#include "cmd/serve.h"

#include <stdlib.h>
#include <string.h>

#include "level/level.h"
#include "target/process.h"
#include "util/clock.h"
#include "view/export/prometheus.h"

enum { TICK_NS = 1000000000 };

struct class_sum {
	uint64_t count, compute_ns, wait_ns;
};

struct serve {
	struct session *session;
	struct metrics *metrics;
	struct prometheus_server *server;
	uint64_t next_ns;
	struct class_sum rows[CLASS_COUNT], kernel[CLASS_COUNT];
};

/* A prompt of one token cannot be told from a decode here: the batch's logits are not recorded. */
static void on_token(void *ctx, const struct session_token *t)
{
	struct serve *v = ctx;

	metrics_call(v->metrics, (int64_t)t->context, t->is_prefill ? "prefill" : "decode",
		     t->n_tokens, (int64_t)t->begin_ns, (int64_t)t->end_ns);
}

static void on_op(void *ctx, const struct session_op *op)
{
	struct class_sum *s = (struct class_sum *)ctx + view_op_class(op->op);

	s->count += op->count;
	s->compute_ns += op->compute_ns;
	s->wait_ns += op->wait_ns;
}

static void take_operators(struct serve *v)
{
	memset(v->kernel, 0, sizeof(v->kernel));
	session_each_op(v->session, on_op, v->kernel);
	for (int c = 0; c < CLASS_COUNT; c++) {
		const struct class_sum *r = &v->rows[c], *k = &v->kernel[c];

		if (r->count + k->count)
			metrics_operator_sums(v->metrics, (enum op_class)c, r->count + k->count,
					      r->compute_ns + k->compute_ns,
					      r->wait_ns + k->wait_ns);
	}
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
	session_on_op(s, on_op, v->rows);
	return v;
}

void serve_tick(struct serve *v)
{
	if (!v || clock_now() < v->next_ns)
		return;
	v->next_ns = clock_now() + TICK_NS;
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

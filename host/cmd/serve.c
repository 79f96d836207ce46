/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens are counted as they are drained, losses and costs are asked for once a second. Operators
 * are not decoded while they are recorded (the spool takes them as they are, which is what keeps
 * the recorder out of the target's way), so their times are in `export --format prometheus` of the
 * finished run and not here.
 */
#include "cmd/serve.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "level/level.h"
#include "view/prometheus.h"

enum { TICK_NS = 1000000000 };

struct serve {
	struct session *session;
	struct metrics *metrics;
	struct prometheus_server *server;
	uint64_t next_ns;
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

struct serve *serve_open(const struct cmd_context *ctx, struct session *s)
{
	const struct config *c = ctx->config;
	bool named = c->target.engine && strcmp(c->target.engine, "auto") != 0;
	struct serve *v = xcalloc(1, sizeof(*v));

	v->session = s;
	v->metrics = metrics_new(named ? c->target.engine : NULL, NULL);
	v->server = prometheus_listen(v->metrics, c->prometheus, ctx->diag);
	if (!v->server) {
		serve_close(v);
		return NULL;
	}
	diag_add(ctx->diag, DIAG_NOTE, "metrics are served on port %d at /metrics",
		 prometheus_port(v->server));
	session_on_token(s, on_token, v);
	return v;
}

void serve_tick(struct serve *v)
{
	if (!v || now_ns() < v->next_ns)
		return;
	v->next_ns = now_ns() + TICK_NS;
	take_costs(v);
}

void serve_close(struct serve *v)
{
	if (!v)
		return;
	session_on_token(v->session, NULL, NULL);
	prometheus_close(v->server);
	metrics_free(v->metrics);
	free(v);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe top: a running target on one screen. Operators are summed up in the kernel. */
#include "view/top/top.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "cmd/trace.h"
#include "level/level.h"
#include "target/process.h"

enum { SERIES_MAX = 64, THREADS_MAX = 64, OPERATORS_MAX = 32 };

/* Sums of one operator or one thread, now and at the reading before. */
struct sum {
	char key[32];
	uint64_t count, compute_ns, wait_ns;
	uint64_t old_count, old_compute_ns, old_wait_ns;
	uint64_t run_delay_ns, old_run_delay_ns;
	UT_hash_handle hh;
};

struct live {
	const struct cmd_context *ctx;
	struct trace trace;
	struct sum *ops, *threads;
	uint64_t started_ns, read_ns, tokens, interval_tokens, old_hits[LEVEL_COUNT];
	double ttft_ns, tpot_ns, series[SERIES_MAX];
	size_t n_series;
	const char *phase;
	char target[160];
	struct top_operator op_rows[OPERATORS_MAX];
	struct top_thread thread_rows[THREADS_MAX];
	struct top_level level_rows[LEVEL_COUNT];
	enum rec_level level_ids[LEVEL_COUNT];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sum *sum_of(struct sum **table, const char *key)
{
	struct sum *s;

	HASH_FIND_STR(*table, key, s);
	if (s)
		return s;
	s = xcalloc(1, sizeof(*s));
	snprintf(s->key, sizeof(s->key), "%s", key);
	HASH_ADD_STR(*table, key, s);
	return s;
}

static void free_sums(struct sum **table)
{
	struct sum *s, *next;

	HASH_ITER (hh, *table, s, next) {
		HASH_DEL(*table, s);
		free(s);
	}
}

static void on_token(void *ctx, const struct session_token *t)
{
	struct live *l = ctx;
	double ns = (double)(t->end_ns - t->begin_ns);

	l->tokens += (uint64_t)(t->n_tokens > 0 ? t->n_tokens : 0);
	l->interval_tokens += (uint64_t)(t->n_tokens > 0 ? t->n_tokens : 0);
	if (t->n_tokens > 1) {
		l->phase = "prefill";
		l->ttft_ns = ns;
		return;
	}
	l->phase = "decode";
	l->tpot_ns = ns;
	if (l->n_series == SERIES_MAX)
		memmove(l->series, l->series + 1, (--l->n_series) * sizeof(l->series[0]));
	l->series[l->n_series++] = ns;
}

static void on_op(void *ctx, const struct session_op *op)
{
	struct live *l = ctx;
	struct sum *s = sum_of(&l->ops, op->op);
	char tid[16];

	s->count += op->count;
	s->compute_ns += op->compute_ns;
	s->wait_ns += op->wait_ns;
	snprintf(tid, sizeof(tid), "%d", op->tid);
	s = sum_of(&l->threads, tid);
	s->count += op->count;
	s->compute_ns += op->compute_ns;
	s->wait_ns += op->wait_ns;
}

static void keep_old(struct sum *table)
{
	for (struct sum *s = table; s; s = s->hh.next) {
		s->old_count = s->count;
		s->old_compute_ns = s->compute_ns;
		s->old_wait_ns = s->wait_ns;
		s->old_run_delay_ns = s->run_delay_ns;
		s->count = s->compute_ns = s->wait_ns = 0;
	}
}

static int by_share(const void *a, const void *b)
{
	const struct top_operator *x = a, *y = b;

	return (x->share < y->share) - (x->share > y->share);
}

static size_t read_operators(struct live *l)
{
	double total = 0;
	size_t n = 0;

	for (struct sum *s = l->ops; s; s = s->hh.next)
		total += (double)(s->compute_ns + s->wait_ns - s->old_compute_ns - s->old_wait_ns);
	for (struct sum *s = l->ops; s && n < OPERATORS_MAX; s = s->hh.next) {
		uint64_t count = s->count - s->old_count;
		double ns = (double)(s->compute_ns - s->old_compute_ns);

		if (!count)
			continue;
		l->op_rows[n++] = (struct top_operator){
			.name = s->key,
			.share = total > 0 ? (ns + (double)(s->wait_ns - s->old_wait_ns)) / total
					   : 0,
			.mean_ns = ns / (double)count,
			.count = count};
	}
	qsort(l->op_rows, n, sizeof(l->op_rows[0]), by_share);
	return n;
}

static size_t read_threads(struct live *l, double interval_ns)
{
	pid_t pid = session_first_pid(l->trace.session);
	size_t n = 0;

	for (struct sum *s = l->threads; s && n < THREADS_MAX; s = s->hh.next) {
		struct process_thread t;

		if (process_thread(pid, atoi(s->key), &t))
			continue;
		/* The first reading has nothing to compare with. */
		s->old_run_delay_ns = s->run_delay_ns ? s->old_run_delay_ns : t.wait_ns;
		s->run_delay_ns = t.wait_ns;
		l->thread_rows[n++] = (struct top_thread){
			.tid = t.tid,
			.name = "worker",
			.compute = (double)(s->compute_ns - s->old_compute_ns) / interval_ns,
			.wait = (double)(s->wait_ns - s->old_wait_ns) / interval_ns,
			.off_cpu = (double)(s->run_delay_ns - s->old_run_delay_ns) / interval_ns};
	}
	return n;
}

static size_t read_levels(struct live *l, double interval_ns)
{
	size_t n = 0;

	for (int i = 0; i < LEVEL_COUNT; i++) {
		struct session_level_stats st;

		if (!level_get(i))
			continue;
		session_level_stats(l->trace.session, i, &st);
		l->level_ids[n] = i;
		l->level_rows[n++] = (struct top_level){
			.name = level_name(i),
			.key = level_name(i)[0],
			.on = st.on,
			.hits_per_s = (double)(st.hits - l->old_hits[i]) * 1e9 / interval_ns,
			.lost = st.lost,
			.cost = st.on ? st.share : -1};
		l->old_hits[i] = st.hits;
	}
	return n;
}

static void read_figures(void *ctx, struct top_figures *out)
{
	struct live *l = ctx;
	uint64_t now = now_ns();
	double interval = (double)(now - l->read_ns);

	keep_old(l->ops);
	keep_old(l->threads);
	session_each_op(l->trace.session, on_op, l);
	*out = (struct top_figures){
		.target = l->target,
		.elapsed_s = (double)(now - l->started_ns) / 1e9,
		.phase = l->phase,
		.tokens_per_s = (double)l->interval_tokens * 1e9 / interval,
		.tokens = l->tokens,
		.ttft_ns = l->ttft_ns,
		.tpot_ns = l->tpot_ns,
		.tpot_series = l->series,
		.n_series = l->n_series,
		.operators = l->op_rows,
		.n_operators = read_operators(l),
		.threads = l->thread_rows,
		.n_threads = read_threads(l, interval),
		.levels = l->level_rows,
		.n_levels = read_levels(l, interval),
	};
	/* A call tells its phase at its end; before the first one only that something runs is
	 * known. */
	if (!out->n_operators && session_level_on(l->trace.session, LEVEL_OPERATOR))
		out->phase = NULL;
	else if (!out->phase && out->n_operators)
		out->phase = "first call";
	for (size_t i = 0; i < out->n_levels; i++)
		out->cost += l->level_rows[i].cost > 0 ? l->level_rows[i].cost : 0;
	l->interval_tokens = 0;
	l->read_ns = now;
}

static bool pump(void *ctx, int fd, int ms)
{
	struct live *l = ctx;
	struct session *s = l->trace.session;
	uint64_t end = now_ns() + (uint64_t)ms * 1000000u;

	while (now_ns() < end) {
		struct pollfd fds[3] = {{session_fd(s), POLLIN, 0},
					{l->trace.signal_fd, POLLIN, 0},
					{fd, POLLIN, 0}};

		if (poll(fds, 3, ms) < 0 && errno != EINTR)
			return false;
		if (session_dispatch(s, l->ctx->diag) || trace_signal(&l->trace) ||
		    session_ended(s))
			return false;
		if (fds[2].revents)
			break;
	}
	return true;
}

static int toggle(void *ctx, size_t level, struct diag *d)
{
	struct live *l = ctx;
	enum rec_level id = l->level_ids[level];

	return session_level_on(l->trace.session, id) ? session_disable(l->trace.session, id, d)
						      : session_enable(l->trace.session, id, d);
}

static int begin(struct live *l)
{
	const struct cmd_context *ctx = l->ctx;
	int code;

	ctx->config->operators.mode = CONFIG_OPS_SUMMARY;
	if (!config_given(ctx->config, "levels"))
		ctx->config->level[LEVEL_OPERATOR] = true;
	l->trace.wants_names = true;
	code = trace_open(&l->trace, ctx);
	if (!code)
		code = trace_catch_signals(&l->trace, ctx);
	if (!code)
		code = trace_enable_levels(&l->trace, ctx);
	if (!code && session_launch(l->trace.session, ctx->diag))
		code = EXIT_FAILED;
	return code;
}

static void name_target(struct live *l)
{
	pid_t pid = session_first_pid(l->trace.session);
	char *command = process_command(pid);

	snprintf(l->target, sizeof(l->target), "pid %d: %.120s", pid, command);
	free(command);
}

int cmd_top(const struct cmd_context *ctx)
{
	struct live *l = xcalloc(1, sizeof(*l));
	struct top_source source = {l, pump, read_figures, toggle};
	struct top_opts o = {.colour = config_use_colour(ctx->config, stdout)};
	int code;

	l->ctx = ctx;
	l->ttft_ns = l->tpot_ns = -1;
	l->started_ns = l->read_ns = now_ns();
	code = begin(l);
	if (!code) {
		name_target(l);
		session_on_token(l->trace.session, on_token, l);
		if (ctx->config->duration_ns)
			o.readings = (int)(ctx->config->duration_ns / 1000000000u) + 1;
		code = top_run(&source, &o, stdout, ctx->diag) ? EXIT_FAILED : EXIT_OK;
		if (!code && session_ended(l->trace.session))
			diag_add(ctx->diag, DIAG_NOTE, "the target has ended");
	}
	trace_close(&l->trace);
	free_sums(&l->ops);
	free_sums(&l->threads);
	free(l);
	return code;
}

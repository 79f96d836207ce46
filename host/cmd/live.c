/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/live.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "level/level.h"
#include "target/process.h"
#include "util/clock.h"
#include "view/top/top.h"

enum { SERIES_MAX = 64, THREADS_MAX = 64, OPERATORS_MAX = 32 };
enum { READING_NS = 1000000000 };

struct totals {
	uint64_t count, compute_ns, wait_ns;
};

/* One operator or one thread. A level that is switched between recording rows and summing up in the
 * kernel, by the user or the governor, has both. */
struct sum {
	char key[32];
	struct totals rows, kernel; /* told one by one; summed up by the kernel, read anew */
	struct totals before;	    /* both, at the reading before */
	uint64_t run_delay_ns, old_run_delay_ns;
	UT_hash_handle hh;
};

struct live {
	const struct live_opts *opts;
	struct session *session;
	struct diag *diag;
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
	if (t->is_prefill) {
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

static void add(struct totals *to, const struct session_op *op)
{
	to->count += op->count;
	to->compute_ns += op->compute_ns;
	to->wait_ns += op->wait_ns;
}

static struct sum *thread_sum(struct live *l, pid_t tid)
{
	char key[16];

	snprintf(key, sizeof(key), "%d", tid);
	return sum_of(&l->threads, key);
}

static void on_row(void *ctx, const struct session_op *op)
{
	struct live *l = ctx;

	add(&sum_of(&l->ops, op->op)->rows, op);
	add(&thread_sum(l, op->tid)->rows, op);
}

static void on_kernel_sum(void *ctx, const struct session_op *op)
{
	struct live *l = ctx;

	add(&sum_of(&l->ops, op->op)->kernel, op);
	add(&thread_sum(l, op->tid)->kernel, op);
}

static struct totals total_of(const struct sum *s)
{
	return (struct totals){s->rows.count + s->kernel.count,
			       s->rows.compute_ns + s->kernel.compute_ns,
			       s->rows.wait_ns + s->kernel.wait_ns};
}

static struct totals since_before(const struct sum *s)
{
	struct totals t = total_of(s);

	t.count -= s->before.count;
	t.compute_ns -= s->before.compute_ns;
	t.wait_ns -= s->before.wait_ns;
	return t;
}

/* Ends one interval and begins the next. */
static void keep_before(struct sum *table)
{
	for (struct sum *s = table; s; s = s->hh.next) {
		s->before = total_of(s);
		s->old_run_delay_ns = s->run_delay_ns;
	}
}

static void read_kernel_sums(struct live *l)
{
	for (struct sum *s = l->ops; s; s = s->hh.next)
		s->kernel = (struct totals){0};
	for (struct sum *s = l->threads; s; s = s->hh.next)
		s->kernel = (struct totals){0};
	session_each_op(l->session, on_kernel_sum, l);
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
		total += (double)(since_before(s).compute_ns + since_before(s).wait_ns);
	for (struct sum *s = l->ops; s && n < OPERATORS_MAX; s = s->hh.next) {
		struct totals t = since_before(s);
		double ns = (double)t.compute_ns;

		if (!t.count)
			continue;
		l->op_rows[n++] = (struct top_operator){
			.name = s->key,
			.share = total > 0 ? (ns + (double)t.wait_ns) / total : 0,
			.mean_ns = ns / (double)t.count,
			.count = t.count};
	}
	qsort(l->op_rows, n, sizeof(l->op_rows[0]), by_share);
	return n;
}

static size_t read_threads(struct live *l, double interval_ns)
{
	pid_t pid = session_first_pid(l->session);
	size_t n = 0;

	for (struct sum *s = l->threads; s && n < THREADS_MAX; s = s->hh.next) {
		struct totals sum = since_before(s);
		struct process_thread t;

		if (process_thread(pid, atoi(s->key), &t))
			continue;
		/* The first reading has nothing to compare with. */
		s->old_run_delay_ns = s->run_delay_ns ? s->old_run_delay_ns : t.wait_ns;
		s->run_delay_ns = t.wait_ns;
		l->thread_rows[n++] = (struct top_thread){
			.tid = t.tid,
			.name = "worker",
			.compute = (double)sum.compute_ns / interval_ns,
			.wait = (double)sum.wait_ns / interval_ns,
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
		session_level_stats(l->session, i, &st);
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
	uint64_t now = clock_now();
	double interval = (double)(now - l->read_ns);

	read_kernel_sums(l);
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
	if (!out->n_operators && session_level_on(l->session, LEVEL_OPERATOR))
		out->phase = NULL;
	else if (!out->phase && out->n_operators)
		out->phase = "first call";
	for (size_t i = 0; i < out->n_levels; i++)
		out->cost += l->level_rows[i].cost > 0 ? l->level_rows[i].cost : 0;
	l->interval_tokens = 0;
	l->read_ns = now;
	keep_before(l->ops);
	keep_before(l->threads);
}

static bool pump(void *ctx, int fd, int ms)
{
	struct live *l = ctx;
	struct trace *t = l->opts->trace;
	uint64_t now = clock_now(), end = now + (uint64_t)ms * 1000000u;

	for (; now < end; now = clock_now()) {
		struct pollfd fds[3] = {{session_fd(l->session), POLLIN, 0},
					{t->signal_fd, POLLIN, 0},
					{fd, POLLIN, 0}};

		if (poll(fds, 3, (int)((end - now) / 1000000u) + 1) < 0 && errno != EINTR)
			return false;
		if (session_dispatch(l->session, l->diag) || trace_signal(t) ||
		    session_ended(l->session))
			return false;
		if (l->opts->turn)
			l->opts->turn(l->opts->ctx);
		if (fds[2].revents)
			break;
	}
	return true;
}

static int toggle(void *ctx, size_t level, struct diag *d)
{
	struct session *s = ((struct live *)ctx)->session;
	enum rec_level id = ((struct live *)ctx)->level_ids[level];

	return session_level_on(s, id) ? session_disable(s, id, d) : session_enable(s, id, d);
}

static void name_target(struct live *l)
{
	pid_t pid = session_first_pid(l->session);
	char *command = process_command(pid);

	snprintf(l->target, sizeof(l->target), "pid %d: %.120s", pid, command);
	free(command);
}

/* What was before the first interval is none of its business. */
static void start(struct live *l)
{
	name_target(l);
	l->ttft_ns = l->tpot_ns = -1;
	l->started_ns = l->read_ns = clock_now();
	read_levels(l, READING_NS);
	session_on_token(l->session, on_token, l);
	read_kernel_sums(l);
	keep_before(l->ops);
	keep_before(l->threads);
	session_on_op(l->session, on_row, l);
}

static void stop(struct live *l)
{
	session_on_token(l->session, NULL, NULL);
	session_on_op(l->session, NULL, NULL);
	free_sums(&l->ops);
	free_sums(&l->threads);
	free(l);
}

static void set_readings(uint64_t duration_ns, struct top_opts *o)
{
	if (!duration_ns)
		return;
	o->readings = (int)((duration_ns + READING_NS - 1) / READING_NS);
	if (duration_ns < READING_NS)
		o->interval_ms = (int)(duration_ns / 1000000u) + 1;
}

int live_show(const struct live_opts *o, FILE *out, struct diag *d)
{
	struct live *l = xcalloc(1, sizeof(*l));
	struct top_source source = {l, pump, read_figures, toggle};
	struct top_opts top = {.colour = o->colour};
	int err;

	l->opts = o;
	l->session = o->trace->session;
	l->diag = d;
	set_readings(o->duration_ns, &top);
	start(l);
	err = top_run(&source, &top, out, d);
	stop(l);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The workers: every thread walks the whole graph, does its part of each operator, meets the
 * others. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

#ifdef FAKE_OLD
#define BARRIER_LINKAGE static
#else
#define BARRIER_LINKAGE
#endif

struct ggml_threadpool {
	struct fake_options o;
	struct fake_account *account;
	pthread_t thread[FAKE_MAX_THREADS];
	struct worker {
		struct ggml_threadpool *pool;
		int ith;
	} worker[FAKE_MAX_THREADS];
	pthread_mutex_t lock;
	pthread_cond_t start;
	struct ggml_cgraph *graph;
	uint64_t generation; /* graphs started so far */
	int n_threads;	     /* 0: end */
	atomic_int arrived, passed;
};

/* What the running thread is doing, for its account. */
static _Thread_local struct fake_thread *self;
static _Thread_local uint64_t op_begin;

uint64_t fake_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

BARRIER_LINKAGE NOINLINE void ggml_barrier(struct ggml_threadpool *tp)
{
	int round, spins = 0;

	self->barriers++;
	if (tp->n_threads == 1)
		return;
	round = atomic_load(&tp->passed);
	if (atomic_fetch_add(&tp->arrived, 1) == tp->n_threads - 1) {
		atomic_store(&tp->arrived, 0);
		atomic_fetch_add(&tp->passed, 1);
		return;
	}
	while (atomic_load(&tp->passed) == round)
		if (++spins > 200)
			sched_yield();
}

static void busy(uint64_t ns)
{
	uint64_t end = fake_now() + ns;

	while (fake_now() < end)
		;
}

/* One operator's work on one thread: equal pieces with the inner barriers between them. */
static void work(const struct ggml_compute_params *p, const struct ggml_tensor *t)
{
	const struct fake_options *o = &p->threadpool->o;
	uint64_t ns = o->spin_ns + o->spin_ns * (uint64_t)(o->imbalance * p->ith) / 100;
	int inner = t->op == OP_MUL_MAT || t->op == OP_MUL_MAT_ID ? o->inner_barriers : 0, i;

	for (i = 0; i < inner; i++) {
		busy(ns / (uint64_t)(inner + 1));
		self->inner_barriers++;
		ggml_barrier(p->threadpool);
	}
	busy(ns / (uint64_t)(inner + 1));
}

#ifdef FAKE_OLD
static NOINLINE void ggml_compute_forward(struct ggml_compute_params *p, struct ggml_tensor *t)
{
	op_begin = fake_now();
	self->ops++;
	work(p, t);
}
#else
/* True: done here, as an accelerated product is. */
NOINLINE bool ggml_cpu_extra_compute_forward(struct ggml_compute_params *p, struct ggml_tensor *t)
{
	op_begin = fake_now();
	self->ops++;
	if (t->op != OP_MUL_MAT)
		return false;
	work(p, t);
	return true;
}

NOINLINE void ggml_compute_forward_rms_norm_mul_fused(const struct ggml_compute_params *p,
						      struct ggml_tensor *norm,
						      struct ggml_tensor *mul)
{
	op_begin = fake_now();
	self->fused++;
	(void)norm;
	work(p, mul);
}
#endif

static bool is_empty(const struct ggml_tensor *t)
{
	return t->op == OP_NONE || t->op == OP_VIEW || t->op == OP_RESHAPE || t->op == OP_PERMUTE ||
	       t->op == OP_TRANSPOSE;
}

static void note(int i, uint64_t ns)
{
	if (!self->calls[i] || ns < self->min_ns[i])
		self->min_ns[i] = ns;
	self->compute_ns[i] += ns;
	self->calls[i]++;
}

#ifdef FAKE_LOOP
/* As since 2026: nodes without the flag are left out, and the last one ends at a barrier of its
 * own. */
static void walk(struct ggml_threadpool *tp, int ith)
{
	enum { FLAG_COMPUTE = 16 };
	struct ggml_compute_params p = {.ith = ith, .nth = tp->n_threads, .threadpool = tp};
	struct ggml_cgraph *g = tp->graph;

	self = &tp->account->thread[ith];
	self->tid = (int)syscall(SYS_gettid);
	for (int i = 0; i < g->n_nodes; i++) {
		struct ggml_tensor *t = g->nodes[i];

		if (is_empty(t) || !(t->flags & FLAG_COMPUTE))
			continue;
		if (t->op == OP_RMS_NORM && i + 1 < g->n_nodes && g->nodes[i + 1]->op == OP_MUL)
			ggml_compute_forward_rms_norm_mul_fused(&p, t, g->nodes[++i]);
		else if (!ggml_cpu_extra_compute_forward(&p, t))
			work(&p, t);
		note(i, fake_now() - op_begin);
		if (i + 1 < g->n_nodes)
			ggml_barrier(tp);
	}
	ggml_barrier(tp);
}
#else
/* Computes node `i` and returns how many nodes that did. */
static int compute(struct ggml_compute_params *p, struct ggml_cgraph *g, int i)
{
	struct ggml_tensor *t = g->nodes[i];

#ifdef FAKE_OLD
	(void)g;
	ggml_compute_forward(p, t);
	return 1;
#else
	if (t->op == OP_RMS_NORM && i + 1 < g->n_nodes && g->nodes[i + 1]->op == OP_MUL) {
		ggml_compute_forward_rms_norm_mul_fused(p, t, g->nodes[i + 1]);
		return 2;
	}
	if (!ggml_cpu_extra_compute_forward(p, t))
		work(p, t);
	return 1;
#endif
}

static void walk(struct ggml_threadpool *tp, int ith)
{
	struct ggml_compute_params p = {.ith = ith, .nth = tp->n_threads, .threadpool = tp};
	struct ggml_cgraph *g = tp->graph;
	int i = 0;

	self = &tp->account->thread[ith];
	self->tid = (int)syscall(SYS_gettid);
	while (i < g->n_nodes) {
		int n;

		if (is_empty(g->nodes[i])) {
			i++;
			continue;
		}
		n = compute(&p, g, i);
		note(i + n - 1, fake_now() - op_begin);
		ggml_barrier(tp);
		i += n;
	}
}

#endif

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct ggml_threadpool *tp = w->pool;
	uint64_t seen = 0;
	int n;

	for (;;) {
		pthread_mutex_lock(&tp->lock);
		while (tp->generation == seen && tp->n_threads)
			pthread_cond_wait(&tp->start, &tp->lock);
		seen = tp->generation;
		n = tp->n_threads;
		pthread_mutex_unlock(&tp->lock);
		if (!n)
			return NULL;
		walk(tp, w->ith);
	}
}

struct ggml_cplan ggml_graph_plan(const struct ggml_cgraph *g, int n_threads,
				  struct ggml_threadpool *tp)
{
	(void)g;
	return (struct ggml_cplan){.n_threads = n_threads, .threadpool = tp};
}

NOINLINE int ggml_graph_compute(struct ggml_cgraph *g, struct ggml_cplan *plan)
{
	struct ggml_threadpool *tp = plan->threadpool;
	uint64_t begin = fake_now();

	pthread_mutex_lock(&tp->lock);
	tp->graph = g;
	tp->generation++;
	pthread_cond_broadcast(&tp->start);
	pthread_mutex_unlock(&tp->lock);
	walk(tp, 0);
	tp->account->graphs++;
	tp->account->graph_ns += fake_now() - begin;
	return 0;
}

struct ggml_threadpool *fake_pool_new(const struct fake_options *o, struct fake_account *account)
{
	struct ggml_threadpool *tp = calloc(1, sizeof(*tp));
	char name[16];
	int i;

	if (!tp)
		abort();
	tp->o = *o;
	tp->account = account;
	tp->n_threads = o->threads;
	pthread_mutex_init(&tp->lock, NULL);
	pthread_cond_init(&tp->start, NULL);
	for (i = 1; i < o->threads; i++) {
		tp->worker[i] = (struct worker){tp, i};
		if (pthread_create(&tp->thread[i], NULL, worker_main, &tp->worker[i]))
			abort();
		snprintf(name, sizeof(name), "fake-worker-%d", i);
		pthread_setname_np(tp->thread[i], name);
	}
	return tp;
}

void fake_pool_free(struct ggml_threadpool *tp)
{
	int i, n = tp->n_threads;

	pthread_mutex_lock(&tp->lock);
	tp->n_threads = 0;
	pthread_cond_broadcast(&tp->start);
	pthread_mutex_unlock(&tp->lock);
	for (i = 1; i < n; i++)
		pthread_join(tp->thread[i], NULL);
	free(tp);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The two kernels of `calibrate`: a sum over memory and a chain-free multiply-add loop. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/alloc.h"
#include "view/peaks.h"

/* Each loop is compiled for several instruction sets and the best one that runs here is taken. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define BEST_ISA                                                                                   \
	__attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512"), noinline))
#else
#define BEST_ISA __attribute__((noinline))
#endif

enum { LANES = 16, CHAINS = 12, FMA_LOOPS = 20000, READ_MB = 256, ROUNDS = 4 };

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef uint64_t words __attribute__((vector_size(64)));

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	words *data; /* NULL: multiply-adds */
	size_t n;
	double seconds, work;
	volatile double sink; /* keeps the result alive */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

BEST_ISA static double read_all(const words *p, size_t n)
{
	words a = {0}, b = {0}, c = {0}, e = {0};

	for (size_t i = 0; i + 4 <= n; i += 4) {
		a ^= p[i];
		b ^= p[i + 1];
		c ^= p[i + 2];
		e ^= p[i + 3];
	}
	a ^= b ^ c ^ e;
	return (double)a[0];
}

BEST_ISA static double multiply_add(double seed)
{
	vec acc[CHAINS], x = {0}, y = {0};
	float sum = 0;

	for (int k = 0; k < LANES; k++) {
		x[k] = 0.999f;
		y[k] = (float)seed * 1e-3f;
	}
	for (int c = 0; c < CHAINS; c++)
		acc[c] = y;
	for (int i = 0; i < FMA_LOOPS; i++)
#pragma GCC unroll 12
		for (int c = 0; c < CHAINS; c++)
			acc[c] = acc[c] * x + y;
	for (int c = 0; c < CHAINS; c++)
		sum += acc[c][c];
	return (double)sum;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	double start;

	pthread_barrier_wait(w->start);
	start = now();
	if (w->data) {
		w->sink = read_all(w->data, w->n);
		w->work = (double)(w->n * sizeof(words));
	} else {
		for (int i = 0; i < 50; i++)
			w->sink = multiply_add((double)i);
		w->work = 50.0 * FMA_LOOPS * CHAINS * LANES * 2;
	}
	w->seconds = now() - start;
	return NULL;
}

/* One round on all threads: work per second by the slowest. */
static int run_round(struct worker *w, int n, double *rate)
{
	pthread_barrier_t start;
	double slowest = 0, total = 0;
	int made = 0, err;

	pthread_barrier_init(&start, NULL, (unsigned)n);
	for (; made < n; made++) {
		w[made].start = &start;
		err = pthread_create(&w[made].thread, NULL, work, &w[made]);
		if (err) /* the others wait at the barrier for good: nothing to be saved */
			abort();
	}
	for (int i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		slowest = w[i].seconds > slowest ? w[i].seconds : slowest;
		total += w[i].work;
	}
	pthread_barrier_destroy(&start);
	if (slowest > 0 && total / slowest > *rate)
		*rate = total / slowest;
	return 0;
}

static int measure(int threads, struct peaks_entry *e)
{
	struct worker *w = xcalloc((size_t)threads, sizeof(*w));
	size_t bytes = ((size_t)READ_MB << 20) / (size_t)threads / 256 * 256;
	double fma = 0, bandwidth = 0;
	int err = 0;

	for (int r = 0; r < ROUNDS && !err; r++)
		err = run_round(w, threads, &fma);
	for (int i = 0; i < threads && !err; i++) {
		w[i].n = bytes / sizeof(words);
		if (posix_memalign((void **)&w[i].data, 64, bytes))
			err = -ENOMEM;
		else
			memset(w[i].data, i + 1, bytes);
	}
	for (int r = 0; r < ROUNDS && !err; r++)
		err = run_round(w, threads, &bandwidth);
	for (int i = 0; i < threads; i++)
		free(w[i].data);
	free(w);
	*e = (struct peaks_entry){threads, bandwidth / 1e9, fma / 1e9};
	return err;
}

static void describe(struct peaks *p)
{
	char host[64] = "this machine", date[32];
	time_t t = time(NULL);
	struct tm tm;

	gethostname(host, sizeof(host) - 1);
	strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&t, &tm));
	snprintf(p->name, sizeof(p->name), "%s", host);
	snprintf(p->source, sizeof(p->source),
		 "measured %s by llmprobe calibrate: sum over %d MiB, single-precision "
		 "multiply-adds",
		 date, READ_MB);
}

int peaks_measure(struct peaks *p, void (*progress)(void *ctx, double done), void *ctx,
		  struct diag *d)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err = 0, threads = 1;

	memset(p, 0, sizeof(*p));
	describe(p);
	for (;;) {
		err = measure(threads, &p->entry[p->n++]);
		if (progress)
			progress(ctx, (double)threads / (double)cpus);
		if (err || threads >= cpus || p->n == PEAKS_MAX)
			break;
		threads = 2 * threads < cpus ? 2 * threads : (int)cpus;
	}
	if (err)
		return diag_fail(d, err, "cannot measure with %d threads: %s", threads,
				 strerror(-err));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of `calibrate`: a sum over memory, a chain-free multiply-add loop, and dot products
 * of 8-bit integers, which is what products of quantised weights come down to.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "util/alloc.h"
#include "util/clock.h"
#include "view/peaks.h"

/* Each loop is compiled for several instruction sets and the best one that runs here is taken. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define BEST_ISA __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#else
#define BEST_ISA __attribute__((noinline))
#endif

enum { LANES = 16, CHAINS = 12, FMA_LOOPS = 20000, READ_MB = 256, ROUNDS = 12 };

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef uint64_t words __attribute__((vector_size(64)));

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	enum { ADDS, DOTS, READS } kernel;
	words *data; /* READS */
	size_t n;
	double seconds, work;
	volatile double sink; /* keeps the result alive */
};

static double now(void)
{
	return 1e-9 * (double)clock_now();
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

enum { DOT_BYTES = 4096, DOT_LOOPS = 100000 };

static int32_t dot_plain(const int8_t *a, const int8_t *b)
{
	int32_t sum = 0;

	for (int i = 0; i < DOT_BYTES; i++)
		sum += a[i] * b[i];
	return sum;
}

#ifdef __x86_64__
/* Compilers do not find these instructions by themselves. */
__attribute__((target("avx2"))) static int32_t dot_avx2(const int8_t *a, const int8_t *b)
{
	__m256i ones = _mm256_set1_epi16(1), s = _mm256_setzero_si256(), t = s;

	for (int i = 0; i < DOT_BYTES; i += 64) {
		__m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(a + i));
		__m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + i));
		__m256i z = _mm256_loadu_si256((const __m256i *)(const void *)(a + i + 32));
		__m256i w = _mm256_loadu_si256((const __m256i *)(const void *)(b + i + 32));

		s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
		t = _mm256_add_epi32(t, _mm256_madd_epi16(_mm256_maddubs_epi16(z, w), ones));
	}
	return _mm256_extract_epi32(_mm256_add_epi32(s, t), 0);
}

__attribute__((target("avx512f,avx512vnni"))) static int32_t dot_vnni(const int8_t *a,
								      const int8_t *b)
{
	__m512i s[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
			_mm512_setzero_si512()};

	for (int i = 0; i < DOT_BYTES; i += 256)
#pragma GCC unroll 4
		for (int k = 0; k < 4; k++)
			s[k] = _mm512_dpbusd_epi32(s[k], _mm512_loadu_si512(a + i + 64 * k),
						   _mm512_loadu_si512(b + i + 64 * k));
	return _mm512_reduce_add_epi32(
		_mm512_add_epi32(_mm512_add_epi32(s[0], s[1]), _mm512_add_epi32(s[2], s[3])));
}
#endif

static int32_t (*best_dot(void))(const int8_t *, const int8_t *)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512vnni"))
		return dot_vnni;
	if (__builtin_cpu_supports("avx2"))
		return dot_avx2;
#endif
	return dot_plain;
}

static double dots(void)
{
	int32_t (*dot)(const int8_t *, const int8_t *) = best_dot();
	int8_t a[DOT_BYTES], b[DOT_BYTES];
	double sum = 0;

	for (int i = 0; i < DOT_BYTES; i++) {
		a[i] = (int8_t)i;
		b[i] = (int8_t)(i * 7);
	}
	for (int i = 0; i < DOT_LOOPS; i++) {
		a[i % DOT_BYTES]++;
		sum += dot(a, b);
	}
	return sum;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	double start;

	pthread_barrier_wait(w->start);
	start = now();
	if (w->kernel == READS) {
		w->sink = read_all(w->data, w->n);
		w->work = (double)(w->n * sizeof(words));
	} else if (w->kernel == DOTS) {
		w->sink = dots();
		w->work = 2.0 * DOT_LOOPS * DOT_BYTES;
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
	int made = 0, err = 0;

	pthread_barrier_init(&start, NULL, (unsigned)n);
	for (; made < n && !err; made += !err) {
		w[made].start = &start;
		err = pthread_create(&w[made].thread, NULL, work, &w[made]);
	}
	for (int i = 0; i < made; i++) {
		if (err) /* the others never come: waiting for them would be for good */
			pthread_cancel(w[i].thread);
		pthread_join(w[i].thread, NULL);
		slowest = w[i].seconds > slowest ? w[i].seconds : slowest;
		total += w[i].work;
	}
	pthread_barrier_destroy(&start);
	if (!err && slowest > 0 && total / slowest > *rate)
		*rate = total / slowest;
	return -err;
}

static int best_of(struct worker *w, int n, int kernel, double *rate)
{
	int err = 0;

	for (int i = 0; i < n; i++)
		w[i].kernel = kernel;
	for (int r = 0; r < ROUNDS && !err; r++)
		err = run_round(w, n, rate);
	return err;
}

static int measure(int threads, struct peaks_entry *e)
{
	struct worker *w = xcalloc((size_t)threads, sizeof(*w));
	size_t bytes = ((size_t)READ_MB << 20) / (size_t)threads / 256 * 256;
	double fma = 0, int8 = 0, bandwidth = 0;
	int err = best_of(w, threads, ADDS, &fma);

	if (!err)
		err = best_of(w, threads, DOTS, &int8);
	for (int i = 0; i < threads && !err; i++) {
		w[i].n = bytes / sizeof(words);
		if (posix_memalign((void **)&w[i].data, 64, bytes))
			err = -ENOMEM;
		else
			memset(w[i].data, i + 1, bytes);
	}
	if (!err)
		err = best_of(w, threads, READS, &bandwidth);
	for (int i = 0; i < threads; i++)
		free(w[i].data);
	free(w);
	*e = (struct peaks_entry){threads, bandwidth / 1e9, fma / 1e9, int8 / 1e9};
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
		 "multiply-adds, 8-bit dot products",
		 date, READ_MB);
}

int peaks_measure(struct peaks *p, const struct progress *progress, struct diag *d)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err = 0, threads = 1;

	memset(p, 0, sizeof(*p));
	describe(p);
	for (;;) {
		err = measure(threads, &p->entry[p->n++]);
		progress_show(progress, "measuring", (double)threads / (double)cpus);
		if (err || threads >= cpus || p->n == PEAKS_MAX)
			break;
		threads = 2 * threads < cpus ? 2 * threads : (int)cpus;
	}
	if (err)
		return diag_fail(d, err, "cannot measure with %d threads: %s", threads,
				 strerror(-err));
	return 0;
}

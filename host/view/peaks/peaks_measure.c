/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `calibrate`: reads of memory, multiply-adds, and dot products of 8-bit integers, which is what
 * products of quantised weights come down to; on 1, 2, 4.. threads side by side.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/clock.h"
#include "util/file.h"
#include "view/peaks/peaks.h"
#include "view/peaks/peaks_kernels.h"

enum { READ_MB = 256, READ_MB_EACH = 32, ROUNDS = 12 };

/* Each kernel goes on for so long: a machine is not always left alone. */
static const double seconds_each = 0.4;

/* Operations of a round on one thread: some ms. */
static const double round_operations = 2e9;

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	const struct peaks_kernel *kernel; /* NULL: read `data` */
	peaks_words *data;
	size_t n;
	bool touched; /* the data, by a thread that reads it: that decides where it lies */
	double seconds, work;
	volatile double sink; /* keeps the result alive */
};

static double now(void)
{
	return 1e-9 * (double)clock_now();
}

static void *work(void *arg)
{
	struct worker *w = arg;
	double start;

	if (w->data && !w->touched)
		memset(w->data, 1, w->n * sizeof(*w->data));
	w->touched = true;
	pthread_barrier_wait(w->start);
	start = now();
	if (w->kernel) {
		long loops = (long)(round_operations / w->kernel->work);

		w->sink = w->kernel->run(loops);
		w->work = (double)loops * w->kernel->work;
	} else {
		w->sink = peaks_read(w->data, w->n);
		w->work = (double)(w->n * sizeof(peaks_words));
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

static int best_of(struct worker *w, int n, const struct peaks_kernel *kernel, double *rate)
{
	double begin = now();
	int err = 0;

	for (int i = 0; i < n; i++)
		w[i].kernel = kernel;
	for (int r = 0; (r < ROUNDS || now() - begin < seconds_each) && !err; r++)
		err = run_round(w, n, rate);
	return err;
}

/* Far more than a cache holds, far less than the memory. */
static size_t bytes_per_thread(int threads)
{
	size_t all = (size_t)READ_MB << 20, each = (size_t)READ_MB_EACH << 20;
	size_t memory = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);

	if (all < each * (size_t)threads)
		all = each * (size_t)threads;
	if (all > memory / 4)
		all = memory / 4;
	return all / (size_t)threads / 256 * 256;
}

static int get_memory(struct worker *w, int threads)
{
	size_t bytes = bytes_per_thread(threads);

	for (int i = 0; i < threads; i++) {
		w[i].n = bytes / sizeof(peaks_words);
		w[i].touched = false;
		if (posix_memalign((void **)&w[i].data, 64, bytes))
			return -ENOMEM;
	}
	return 0;
}

static int measure(int threads, struct peaks_entry *e)
{
	struct peaks_kernel fma = peaks_fma_kernel(), int8 = peaks_int8_kernel();
	struct worker *w = xcalloc((size_t)threads, sizeof(*w));
	double flops = 0, ops8 = 0, bandwidth = 0;
	int err = best_of(w, threads, &fma, &flops);

	if (!err)
		err = best_of(w, threads, &int8, &ops8);
	if (!err)
		err = get_memory(w, threads);
	if (!err)
		err = best_of(w, threads, NULL, &bandwidth);
	for (int i = 0; i < threads; i++)
		free(w[i].data);
	free(w);
	*e = (struct peaks_entry){threads, bandwidth / 1e9, flops / 1e9, ops8 / 1e9};
	return err;
}

double peaks_busy_seconds(const char *proc_stat)
{
	enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };
	unsigned long long v[FIELDS] = {0};

	if (sscanf(proc_stat, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[USER], &v[NICE],
		   &v[SYSTEM], &v[IDLE], &v[IOWAIT], &v[IRQ], &v[SOFTIRQ], &v[STEAL]) < SYSTEM + 1)
		return NAN;
	return (double)(v[USER] + v[NICE] + v[SYSTEM] + v[IRQ] + v[SOFTIRQ] + v[STEAL]) /
	       (double)sysconf(_SC_CLK_TCK);
}

/* CPU seconds since boot that were not this process's own. */
static double busy_others(void)
{
	struct buf text = {0};
	struct rusage own;
	double busy = NAN;

	if (file_read("/proc/stat", &text, 0) == 0)
		busy = peaks_busy_seconds(buf_str(&text));
	buf_free(&text);
	getrusage(RUSAGE_SELF, &own);
	return busy - (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) -
	       1e-6 * (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec);
}

/* Peaks that were taken beside others' work are no peaks. */
static void judge(struct peaks *p, double others, struct diag *d)
{
	static const double busy = 0.05;
	size_t len = strlen(p->source);

	if (!(others > busy))
		return;
	snprintf(p->source + len, sizeof(p->source) - len,
		 "; too low: other programs had %.0f %% of the CPUs", others * 100);
	diag_add(d, DIAG_WARNING,
		 "other programs used %.0f %% of the CPUs meanwhile, so these peaks are too low "
		 "and MBU "
		 "and MFU will look too high; calibrate again when the machine is idle",
		 others * 100);
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
		 "measured %s by llmprobe calibrate: reads, single precision with %s, 8-bit "
		 "integers with %s",
		 date, peaks_fma_kernel().isa, peaks_int8_kernel().isa);
}

int peaks_measure(struct peaks *p, const struct progress *progress, struct diag *d)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	double others = busy_others(), begin = now();
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
	judge(p, (busy_others() - others) / (now() - begin) / (double)cpus, d);
	return 0;
}

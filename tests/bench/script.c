/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a script costs: from the start to the last probe, memory, from ^C to the end, and the
 * nanoseconds that an event adds. The traced program is this one. tests/bench/script.sh runs it.
 *
 *   bench_script LLMPROBE [BPFTRACE]
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "util/alloc.h"
#include "util/buf.h"

enum { FUNCTIONS = 118, ROUNDS = 5, BATCHES = 9, CALLS = 20000, OUTPUT_MAX = 1 << 20 };

#define FUNCTION(n)                                                                                \
	__attribute__((noipa, used, section("bench_text"))) static long bench_fn_##n(long x)       \
	{                                                                                          \
		__asm__ volatile("" ::: "memory", "rbx");                                          \
		return x + 1;                                                                      \
	}
#define FUNCTIONS_10(n)                                                                            \
	FUNCTION(n##0)                                                                             \
	FUNCTION(n##1)                                                                             \
	FUNCTION(n##2)                                                                             \
	FUNCTION(n##3)                                                                             \
	FUNCTION(n##4) FUNCTION(n##5) FUNCTION(n##6) FUNCTION(n##7) FUNCTION(n##8) FUNCTION(n##9)

/* where the section begins and ends */
extern const char __start_bench_text[], __stop_bench_text[];

FUNCTIONS_10(00)
FUNCTIONS_10(01)
FUNCTIONS_10(02)
FUNCTIONS_10(03)
FUNCTIONS_10(04)
FUNCTIONS_10(05)
FUNCTIONS_10(06)
FUNCTIONS_10(07)
FUNCTIONS_10(08)
FUNCTIONS_10(09)
FUNCTIONS_10(10)
FUNCTION(110)
FUNCTION(111)
FUNCTION(112)
FUNCTION(113)
FUNCTION(114)
FUNCTION(115)
FUNCTION(116)
FUNCTION(117)

struct tracer {
	const char *name;
	const char *argv[8];
	int n_argv;
	bool is_ours;
};

struct running {
	pid_t pid;
	int out; /* what it prints */
	char text[OUTPUT_MAX];
	size_t len;
	double started, attached;
};

static void start(struct running *r, const struct tracer *t, const char *program)
{
	const char *argv[12];
	int fds[2], n = 0;

	for (; n < t->n_argv; n++)
		argv[n] = t->argv[n];
	argv[n++] = "-e";
	argv[n++] = program;
	argv[n] = NULL;
	if (pipe2(fds, O_CLOEXEC))
		exit(1);
	r->len = 0;
	r->started = clock_ns(CLOCK_MONOTONIC);
	r->pid = fork();
	if (!r->pid) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	close(fds[1]);
	r->out = fds[0];
	fcntl(r->out, F_SETFL, O_NONBLOCK);
}

/* Takes what was printed; false at its end. */
static bool take_output(struct running *r, int timeout_ms)
{
	struct pollfd p = {r->out, POLLIN, 0};
	ssize_t n;

	if (poll(&p, 1, timeout_ms) <= 0)
		return true;
	if (r->len > OUTPUT_MAX / 2)
		r->len = 0;
	n = read(r->out, r->text + r->len, OUTPUT_MAX - r->len - 1);
	if (n > 0)
		r->len += (size_t)n;
	r->text[r->len] = '\0';
	return n != 0;
}

static long resident_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* Breakpoints in our code: each changes one byte. */
static size_t breakpoints(const char *clean)
{
	size_t n = (size_t)(__stop_bench_text - __start_bench_text), changed = 0;

	for (size_t i = 0; i < n; i++)
		changed += ((volatile const char *)__start_bench_text)[i] != clean[i];
	return changed;
}

static void wait_attached(struct running *r, const char *clean, size_t probes)
{
	while (breakpoints(clean) < probes) {
		if (!take_output(r, 1)) {
			fprintf(stderr, "the tracer ended: %s\n", r->text);
			exit(1);
		}
	}
	r->attached = clock_ns(CLOCK_MONOTONIC);
}

/* ^C; returns ms until no probe is left in our code, and through `exited` until it ended. */
static double stop(struct running *r, const char *clean, double *exited)
{
	double from = clock_ns(CLOCK_MONOTONIC), gone = 0;
	int status;

	kill(r->pid, SIGINT);
	for (*exited = 0; !*exited || !gone;) {
		take_output(r, 0);
		if (!gone && !breakpoints(clean))
			gone = clock_ns(CLOCK_MONOTONIC);
		if (!*exited && waitpid(r->pid, &status, WNOHANG) == r->pid)
			*exited = (clock_ns(CLOCK_MONOTONIC) - from) / 1e6;
		usleep(500);
	}
	close(r->out);
	return (gone - from) / 1e6;
}

/* ns of one call of the probed function, best of many batches. */
static double call_ns(struct running *r)
{
	double best = 1e18;

	for (int b = 0; b < BATCHES; b++) {
		double from = clock_ns(CLOCK_THREAD_CPUTIME_ID), ns;
		long x = 0;

		for (int i = 0; i < CALLS; i++)
			x = bench_fn_000(x);
		ns = (clock_ns(CLOCK_THREAD_CPUTIME_ID) - from) / CALLS;
		if (ns < best)
			best = ns;
		while (r && poll(&(struct pollfd){r->out, POLLIN, 0}, 1, 20) > 0)
			take_output(r, 0);
	}
	return best;
}

static char *program_of(const char *functions, const char *body)
{
	char self[512], *text = xcalloc(1, 1024);
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	snprintf(text, 1024, "uprobe:%s:%s { %s }", self, functions, body);
	return text;
}

static void empty_cache(void)
{
	if (system("rm -rf \"$XDG_CACHE_HOME\"/llmprobe"))
		exit(1);
}

static void measure_start(const struct tracer *t, const char *what, const char *functions,
			  bool cold, int rounds, const char *clean)
{
	char *program = program_of(functions, "@ = count();");
	double ms[ROUNDS], gone[ROUNDS], exited[ROUNDS], rss[ROUNDS];
	struct running *r = xcalloc(1, sizeof(*r));

	for (int i = 0; i < rounds; i++) {
		if (cold)
			empty_cache();
		r->text[0] = '\0';
		start(r, t, program);
		wait_attached(r, clean, functions[strlen(functions) - 1] == '*' ? FUNCTIONS : 1);
		ms[i] = (r->attached - r->started) / 1e6;
		rss[i] = resident_kib(r->pid) / 1024.0;
		gone[i] = stop(r, clean, &exited[i]);
	}
	printf("%-10s %-22s attached %7.1f ms  resident %6.1f MiB  probes gone %8.1f ms  ended "
	       "%8.1f ms after ^C\n",
	       t->name, what, median(ms, rounds), median(rss, rounds), median(gone, rounds),
	       median(exited, rounds));
	free(program);
	free(r);
}

static void measure_events(const struct tracer *t, double base, const char *clean)
{
	static const char *const bodies[] = {"@ = count();", "@ = hist(arg0);",
					     "printf(\"%d %d\\n\", pid, arg0);"};
	struct running *r = xcalloc(1, sizeof(*r));
	double exited;

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		char *program = program_of("bench_fn_000", bodies[i]);

		r->text[0] = '\0';
		start(r, t, program);
		wait_attached(r, clean, 1);
		printf("%-10s %-34s %7.0f ns an event\n", t->name, bodies[i], call_ns(r) - base);
		stop(r, clean, &exited);
		free(program);
	}
	free(r);
}

static void measure(const struct tracer *t, double base, const char *clean)
{
	measure_start(t, "one probe", "bench_fn_000", t->is_ours, ROUNDS, clean);
	if (t->is_ours)
		measure_start(t, "one probe, cached", "bench_fn_000", false, ROUNDS, clean);
	/* the other one takes a quarter of a minute to remove them */
	measure_start(t, "118 probes", "bench_fn_*", t->is_ours, t->is_ours ? ROUNDS : 1, clean);
	if (t->is_ours)
		measure_start(t, "118 probes, cached", "bench_fn_*", false, ROUNDS, clean);
	measure_events(t, base, clean);
}

int main(int argc, char **argv)
{
	struct tracer ours = {"llmprobe", {argv[1], "script"}, 2, true};
	struct tracer theirs = {"bpftrace", {argc > 2 ? argv[2] : NULL}, 1, false};
	size_t code = (size_t)(__stop_bench_text - __start_bench_text);
	char *clean = xcalloc(1, code);
	double base = call_ns(NULL);

	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	memcpy(clean, __start_bench_text, code);
	measure(&ours, base, clean);
	if (argc > 2)
		measure(&theirs, base, clean);
	free(clean);
	return 0;
}

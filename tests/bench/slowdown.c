/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slowdown of the traced program, per level and against bpftrace, in one run.
 *
 *   bench_slowdown [-n ROUNDS] [-P] [-b] LLMPROBE LIBGGML_CPU LOG PID
 *
 * The engine runs by itself (tests/engines/ggml_drive -l LOG) and writes down when each decode
 * began and ended: its own clock, with nothing attached in the setting "off". Settings are tried in
 * random order, round by round; each is compared with "off" of the same round, and the median over
 * the rounds with its 95 % interval (order statistics) is printed. -P takes prompts instead of
 * single tokens, -b leaves bpftrace out. tests/bench/slowdown.sh starts it all.
 */
#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum {
	TAKE = 12,
	TAKE_PROMPTS = 3,
	ROUNDS_MAX = 200,
	SETTLE_US = 250000,
	BPFTRACE_START_US = 1500000
};

struct setting {
	const char *name;
	const char *commands; /* for llmprobe's prompt; NULL: bpftrace instead */
};

static const struct setting settings[] = {
	{"off", ""},
	{"token", "enable token\n"},
	{"token, graph", "enable token\nenable graph\n"},
	{"operator, begin only", "set operators.barrier never\nenable operator\n"},
	{"operator", "set operators.barrier always\nenable operator\n"},
	{"scheduler", "enable scheduler\n"},
	{"all levels", "set operators.barrier always\nenable token\nenable graph\nenable operator\n"
		       "enable scheduler\n"},
	{"bpftrace, begin and barrier", NULL},
};
enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]) };

struct bench {
	const char *llmprobe, *lib, *log, *pid;
	size_t rounds, done;
	bool prompts, no_bpftrace;
	FILE *repl; /* llmprobe's standard input */
	pid_t repl_pid, bpftrace_pid;
	double median[ROUNDS_MAX][N_SETTINGS];
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void start_llmprobe(struct bench *b)
{
	int fds[2];

	if (pipe(fds) < 0)
		fail("pipe");
	b->repl_pid = fork();
	if (b->repl_pid == 0) {
		char config[512], path[] = "/tmp/bench-slowdown-XXXXXX.yaml";
		int fd = mkstemps(path, 5);

		snprintf(config, sizeof(config),
			 "target: {pid: %s}\nlevels: {token: false, graph: false, operator: false, "
			 "scheduler: false}\noutput: /dev/shm/bench-slowdown.llmp\nforce: true\n",
			 b->pid);
		if (fd < 0 || write(fd, config, strlen(config)) < 0)
			fail(path);
		dup2(fds[0], 0);
		close(fds[1]);
		dup2(open("/dev/null", O_WRONLY), 1);
		execl(b->llmprobe, b->llmprobe, "-c", path, (char *)NULL);
		fail(b->llmprobe);
	}
	close(fds[0]);
	b->repl = fdopen(fds[1], "w");
	usleep(2000000);
}

/* The same fields with its ordinary probes: who, where, when, and the tensor's name. */
static void start_bpftrace(struct bench *b)
{
	char program[1024];

	snprintf(
		program, sizeof(program),
		"uprobe:%s:ggml_cpu_extra_compute_forward { printf(\"%%d %%d %%lu %%s\\n\", tid, "
		"cpu, "
		"nsecs, str(arg1 + 256)); } uprobe:%s:ggml_barrier { printf(\"b %%d %%d %%lu\\n\", "
		"tid, cpu, nsecs); }",
		b->lib, b->lib);
	b->bpftrace_pid = fork();
	if (b->bpftrace_pid == 0) {
		dup2(open("/dev/null", O_WRONLY), 1);
		/* It wants tracefs mounted, and the system need not have it. */
		execlp("unshare", "unshare", "-m", "sh", "-c",
		       "mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; "
		       "exec bpftrace -p \"$0\" -e \"$1\" 2>/dev/null",
		       b->pid, program, (char *)NULL);
		fail("unshare");
	}
	usleep(BPFTRACE_START_US);
}

static void stop_bpftrace(struct bench *b)
{
	if (!b->bpftrace_pid)
		return;
	kill(b->bpftrace_pid, SIGINT);
	waitpid(b->bpftrace_pid, NULL, 0);
	b->bpftrace_pid = 0;
}

static void apply(struct bench *b, const struct setting *s)
{
	stop_bpftrace(b);
	fputs("disable token\ndisable graph\ndisable operator\ndisable scheduler\n", b->repl);
	if (s->commands)
		fputs(s->commands, b->repl);
	fflush(b->repl);
	if (!s->commands)
		start_bpftrace(b);
	usleep(SETTLE_US);
}

/* Waits for decodes that begin from now on; ns each. Returns false when the engine ended. */
static bool take(struct bench *b, double *out, size_t n)
{
	double now = clock_ns(CLOCK_MONOTONIC), begin, end;
	FILE *f = fopen(b->log, "re");
	size_t got = 0, idle = 0;
	long tokens, at;
	char line[128];

	if (!f)
		fail(b->log);
	fseek(f, 0, SEEK_END);
	for (at = ftell(f); got < n && idle < 3000;) {
		if (!fgets(line, sizeof(line), f) || !strchr(line, '\n')) {
			clearerr(f);
			fseek(f, at, SEEK_SET);
			usleep(10000);
			idle++;
			continue;
		}
		at = ftell(f);
		idle = 0;
		if (sscanf(line, "%ld %lf %lf", &tokens, &begin, &end) == 3 && begin > now &&
		    (tokens > 1) == b->prompts)
			out[got++] = end - begin;
	}
	fclose(f);
	return got == n;
}

static bool one_round(struct bench *b, unsigned *seed)
{
	size_t order[N_SETTINGS], n = b->prompts ? TAKE_PROMPTS : TAKE;

	for (size_t i = 0; i < N_SETTINGS; i++) {
		size_t k = (size_t)rand_r(seed) % (i + 1);

		order[i] = order[k];
		order[k] = i;
	}
	for (size_t i = 0; i < N_SETTINGS; i++) {
		double ns[TAKE];

		b->median[b->done][order[i]] = NAN;
		if (!settings[order[i]].commands && b->no_bpftrace)
			continue;
		apply(b, &settings[order[i]]);
		if (!take(b, ns, n))
			return false;
		b->median[b->done][order[i]] = median(ns, n);
	}
	b->done++;
	return true;
}

static void print(const struct bench *b)
{
	printf("%-28s %12s %10s   %s\n", "setting", "ms per call", "slowdown", "95 % interval");
	for (size_t i = 0; i < N_SETTINGS; i++) {
		double ratio[ROUNDS_MAX], ms[ROUNDS_MAX];
		size_t n = 0, half;

		for (size_t r = 0; r < b->done; r++) {
			if (isnan(b->median[r][i]))
				continue;
			ms[n] = b->median[r][i] / 1e6;
			ratio[n++] = 100 * (b->median[r][i] / b->median[r][0] - 1);
		}
		if (!n)
			continue;
		half = (size_t)ceil(0.98 * sqrt((double)n));
		qsort(ratio, n, sizeof(*ratio), by_value);
		printf("%-28s %12.3f %+9.2f %%   %+.2f to %+.2f %%\n", settings[i].name,
		       median(ms, n), ratio[n / 2], ratio[n / 2 > half ? n / 2 - half : 0],
		       ratio[n / 2 + half < n ? n / 2 + half : n - 1]);
	}
	printf("%zu rounds, %d calls per setting and round, each against \"off\" in its round\n",
	       b->done, b->prompts ? TAKE_PROMPTS : TAKE);
}

static void parse(struct bench *b, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:Pb")) != -1) {
		if (c == 'n')
			b->rounds = strtoul(optarg, NULL, 10);
		else if (c == 'P')
			b->prompts = true;
		else if (c == 'b')
			b->no_bpftrace = true;
		else
			exit(2);
	}
	if (optind + 4 != argc || !b->rounds || b->rounds > ROUNDS_MAX) {
		fputs("usage: bench_slowdown [-n ROUNDS] [-P] [-b] LLMPROBE LIBGGML_CPU LOG PID\n",
		      stderr);
		exit(2);
	}
	b->llmprobe = argv[optind];
	b->lib = argv[optind + 1];
	b->log = argv[optind + 2];
	b->pid = argv[optind + 3];
}

int main(int argc, char **argv)
{
	static struct bench b = {.rounds = 20};
	unsigned seed = (unsigned)time(NULL);

	parse(&b, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	start_llmprobe(&b);
	while (b.done < b.rounds && one_round(&b, &seed))
		;
	stop_bpftrace(&b);
	fputs("quit\n", b.repl);
	fclose(b.repl);
	waitpid(b.repl_pid, NULL, 0);
	print(&b);
	return b.done ? 0 : 1;
}

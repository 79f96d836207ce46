/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slowdown of the traced program, per level and against bpftrace, in one run.
 *
 *   bench_slowdown [-n ROUNDS] [-P] [-b] [-c] LLMPROBE LIBGGML_CPU LOG PID
 *
 * The engine runs by itself (tests/engines/ggml_drive -l LOG) and writes down when each decode
 * began and ended: its own clock, with nothing attached in the setting "off". Settings are tried in
 * random order, round by round; each is compared with "off" before and after it, and the median
 * over the rounds with its 95 % interval (order statistics) is printed. -P takes prompts instead of
 * single tokens, -b leaves bpftrace out, -c compares the CPU time of the calls, which other
 * programs disturb less (for an engine with one thread: more threads spin while they wait for each
 * other). tests/bench/slowdown.sh starts it all.
 */
#include <math.h>
#include <signal.h>

#include "engine.h"

enum {
	/* A block takes at least so many calls, and goes on for at least so long. */
	TAKE = 12,
	TAKE_PROMPTS = 3,
	TAKE_MAX = 4096,
	TAKE_NS = 400000000,
	ROUNDS_MAX = 200,
	SETTLE_US = 250000,
	BPFTRACE_STARTS = 300 /* waits of 50 ms */
};

#define BPFTRACE_OUT "/dev/shm/bench-slowdown.bpftrace"

struct setting {
	const char *name;
	const char *commands; /* for llmprobe's prompt; NULL: bpftrace instead */
};

static const struct setting settings[] = {
	{"off", ""},
	{"token", "enable token\n"},
	{"token, graph", "enable token\nenable graph\n"},
	{"operator", "enable operator\n"},
	{"scheduler", "enable scheduler\n"},
	{"all levels", "enable token\nenable graph\nenable operator\nenable scheduler\n"},
	{"bpftrace, begin and barrier", NULL},
};
enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]) };

struct bench {
	const char *llmprobe, *lib, *log, *pid;
	size_t rounds, done;
	bool prompts, no_bpftrace, cpu;
	struct prompt prompt;
	pid_t bpftrace_pid;
	double ms[ROUNDS_MAX][N_SETTINGS]; /* NAN: not taken */
	/* Against the mean of the blocks with everything off before and after it. */
	double ratio[ROUNDS_MAX][N_SETTINGS];
};

static bool bpftrace_began(void)
{
	char line[64] = "";
	FILE *f = fopen(BPFTRACE_OUT, "re");
	bool began = false;

	while (f && !began && fgets(line, sizeof(line), f))
		began = !strcmp(line, "began\n");
	if (f)
		fclose(f);
	return began;
}

/* The same fields with its ordinary probes: who, where, when, and the tensor's name. */
static void start_bpftrace(struct bench *b)
{
	char program[1024];

	unlink(BPFTRACE_OUT);
	snprintf(program, sizeof(program),
		 "BEGIN { printf(\"began\\n\"); } uprobe:%s:ggml_cpu_extra_compute_forward { "
		 "printf(\"%%d %%d %%lu %%s\\n\", tid, cpu, nsecs, str(arg1 + 256)); } "
		 "uprobe:%s:ggml_barrier { printf(\"b %%d %%d %%lu\\n\", tid, cpu, nsecs); }",
		 b->lib, b->lib);
	b->bpftrace_pid = fork();
	if (b->bpftrace_pid == 0) {
		/* It wants tracefs mounted, and the system need not have it. */
		execlp("unshare", "unshare", "-m", "sh", "-c",
		       "mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; "
		       "mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null; "
		       "exec bpftrace -p \"$0\" -o " BPFTRACE_OUT " -e \"$1\" 2>/dev/null",
		       b->pid, program, (char *)NULL);
		fail("unshare");
	}
	for (int i = 0; i < BPFTRACE_STARTS && !bpftrace_began(); i++)
		usleep(50000);
	if (!bpftrace_began()) {
		fputs("bpftrace did not attach\n", stderr);
		exit(1);
	}
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
	prompt_levels(&b->prompt, s->commands ? s->commands : "");
	if (!s->commands)
		start_bpftrace(b);
	usleep(SETTLE_US);
}

/* Median ns per call with a setting. */
static bool block(struct bench *b, const struct setting *s, double *ns)
{
	struct calls c = {b->log, b->prompts, b->cpu, b->prompts ? TAKE_PROMPTS : TAKE, TAKE_NS};
	double calls[TAKE_MAX];
	size_t n;

	apply(b, s);
	n = calls_take(&c, calls, TAKE_MAX);
	if (n)
		*ns = median(calls, n);
	return n;
}

static void shuffled(size_t *order, unsigned *seed)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		size_t k = (size_t)rand_r(seed) % (i + 1);

		order[i] = order[k];
		order[k] = i;
	}
}

/* Everything off before and after each setting, so that the machine's drift cancels. */
static bool one_round(struct bench *b, unsigned *seed)
{
	double off, before, ns;
	size_t order[N_SETTINGS];

	shuffled(order, seed);
	if (!block(b, &settings[0], &before))
		return false;
	for (size_t i = 0; i < N_SETTINGS; i++) {
		size_t s = order[i];

		b->ms[b->done][s] = NAN;
		if (!settings[s].commands && b->no_bpftrace)
			continue;
		if (!block(b, &settings[s], &ns) || !block(b, &settings[0], &off))
			return false;
		b->ms[b->done][s] = ns / 1e6;
		b->ratio[b->done][s] = 100 * (2 * ns / (before + off) - 1);
		before = off;
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
			if (isnan(b->ms[r][i]))
				continue;
			ms[n] = b->ms[r][i];
			ratio[n++] = b->ratio[r][i];
		}
		if (!n)
			continue;
		half = (size_t)ceil(0.98 * sqrt((double)n));
		qsort(ratio, n, sizeof(*ratio), by_value);
		printf("%-28s %12.3f %+9.2f %%   %+.2f to %+.2f %%\n", settings[i].name,
		       median(ms, n), ratio[n / 2], ratio[n / 2 > half ? n / 2 - half : 0],
		       ratio[n / 2 + half < n ? n / 2 + half : n - 1]);
	}
	printf("%zu rounds, %d calls or more per setting and round, each against \"off\" before "
	       "and after "
	       "it\n",
	       b->done, b->prompts ? TAKE_PROMPTS : TAKE);
}

static void parse(struct bench *b, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:Pbc")) != -1) {
		if (c == 'n')
			b->rounds = strtoul(optarg, NULL, 10);
		else if (c == 'P')
			b->prompts = true;
		else if (c == 'b')
			b->no_bpftrace = true;
		else if (c == 'c')
			b->cpu = true;
		else
			exit(2);
	}
	if (optind + 4 != argc || !b->rounds || b->rounds > ROUNDS_MAX) {
		fputs("usage: bench_slowdown [-n ROUNDS] [-P] [-b] [-c] LLMPROBE LIBGGML_CPU LOG "
		      "PID\n",
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
	prompt_start(&b.prompt, b.llmprobe, b.pid);
	while (b.done < b.rounds && one_round(&b, &seed))
		;
	stop_bpftrace(&b);
	prompt_end(&b.prompt);
	print(&b);
	return b.done ? 0 : 1;
}

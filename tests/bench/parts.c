/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time goes that tracing costs an engine, per call (decode or prompt):
 *
 *   bench_parts [-n ROUNDS] [-t THREADS] [-P] LLMPROBE LOG PID
 *
 *   trap       hits of probes in the engine, times the price of a hit with an empty program: of an
 *              emulated push for tokens and graphs, which begin where functions do, and of a jump
 *              where operators, which end at one, are on
 *   program    what the kernel counts as run time of the programs, less what counting costs; reads
 * of the engine's memory and misses of the cache are in it drain      CPU time of llmprobe itself,
 * less that with everything off measured   how much longer a call takes than with everything off
 * before and after it, by the engine's own clock; what trap and program do not explain of it is
 * contention at barriers, and noise
 *
 * Trap and program are sums over all threads; as a share of a call they are divided by THREADS, the
 * engine's (default 2), which take their hits side by side. The trap is the floor: only fewer hits
 * get below it. Counting is on only while trap and program are taken. tests/bench/slowdown.sh -w
 * starts it.
 */
#include <dirent.h>
#include <math.h>
#include <signal.h>

#include "bpf/calibrate.h"
#include "engine.h"

enum { PROGRAMS_MAX = 256, EMPTY_RUNS = 200000, TAKE_MAX = 4096, ROUNDS_MAX = 100 };
static const double window_ns = 1.5e9;

static const struct {
	const char *name, *commands;
	enum hit_class hit; /* of nearly all its traps */
} settings[] = {
	{"token, graph", "enable token\nenable graph\n", HIT_PUSH},
	{"operator", "enable operator\n", HIT_EMULATED},
	{"scheduler", "enable scheduler\n", HIT_PUSH},
	{"all levels", "enable token\nenable graph\nenable operator\nenable scheduler\n",
	 HIT_EMULATED},
};
enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]) };

enum part { HITS, TRAP, PROGRAM, DRAIN, MEASURED, CALL, N_PARTS };

struct parts {
	const char *llmprobe, *log, *pid;
	size_t rounds, threads;
	bool prompts;
	struct prompt prompt;
	struct hit_cost hit;
	double count_ns; /* of counting a run */
	double v[N_SETTINGS][N_PARTS][ROUNDS_MAX];
};

/* What one program has run so far. */
struct ran {
	unsigned id;
	bool is_probe; /* reached by a trap */
	double ns, runs;
};

static bool read_ran(const char *path, struct ran *r)
{
	FILE *f = fopen(path, "re");
	char line[128];
	int type = -1;

	*r = (struct ran){0};
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "prog_type: %d", &type);
		sscanf(line, "prog_id: %u", &r->id);
		sscanf(line, "run_time_ns: %lf", &r->ns);
		sscanf(line, "run_cnt: %lf", &r->runs);
	}
	if (f)
		fclose(f);
	r->is_probe = type == BPF_PROG_TYPE_KPROBE;
	return type >= 0;
}

/* All programs that llmprobe holds, each once. */
static size_t read_all(pid_t pid, struct ran *out)
{
	char dir[64], path[400];
	struct dirent *e;
	size_t n = 0, i;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fdinfo", (int)pid);
	d = opendir(dir);
	while (d && (e = readdir(d)) && n < PROGRAMS_MAX) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (!read_ran(path, &out[n]))
			continue;
		for (i = 0; i < n && out[i].id != out[n].id;)
			i++;
		n += i == n;
	}
	if (d)
		closedir(d);
	return n;
}

/* What a process has used of the CPUs, all its threads. */
static double process_cpu_ns(pid_t pid)
{
	char dir[64], path[400];
	double sum = 0, ns;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/task", (int)pid);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s/schedstat", dir, e->d_name);
		f = fopen(path, "re");
		if (f && fscanf(f, "%lf", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

/* What the kernel counts for a program that does nothing. */
static double counting_ns(void)
{
	struct bpf_module *m = load_text("int run__empty(void *ctx) { return 0; }\n", NULL);
	struct bpf_run_stats stats;
	int fd = bpf_stats_enable();
	uint64_t args[1] = {0};

	if (fd < 0)
		fail("counting run times");
	for (int i = 0; i < EMPTY_RUNS; i++)
		bpf_module_run(m, "run__empty", args, sizeof(args));
	bpf_prog_run_stats(bpf_module_prog_fd(m, "run__empty"), &stats);
	close(fd);
	bpf_module_free(m);
	return (double)stats.run_ns / (double)stats.run_cnt;
}

static void calibrate(struct parts *p)
{
	struct diag *d = diag_new();

	if (calibrate_hits(NULL, &p->hit, d) != 0)
		die_of(d);
	p->count_ns = counting_ns();
	diag_free(d);
}

static size_t take(const struct parts *p, double *calls)
{
	struct calls c = {p->log, p->prompts, false, 3, window_ns};
	size_t n = calls_take(&c, calls, TAKE_MAX);

	if (!n) {
		fputs("the engine ended\n", stderr);
		exit(1);
	}
	return n;
}

static double take_median(const struct parts *p)
{
	double calls[TAKE_MAX];
	size_t n = take(p, calls);

	return median(calls, n);
}

static void set(struct parts *p, const char *commands)
{
	prompt_levels(&p->prompt, commands);
	usleep(300000);
}

/* Trap and program, while the kernel counts. */
static void take_kernel(struct parts *p, size_t s, size_t round)
{
	static struct ran before[PROGRAMS_MAX], after[PROGRAMS_MAX];
	double calls[TAKE_MAX], hits = 0, program = 0, probes = 0;
	int fd = bpf_stats_enable();
	size_t n_before = read_all(p->prompt.pid, before), n = take(p, calls),
	       n_after = read_all(p->prompt.pid, after);

	for (size_t i = 0; i < n_after; i++) {
		struct ran was = {0};

		for (size_t k = 0; k < n_before; k++)
			if (before[k].id == after[i].id)
				was = before[k];
		hits += after[i].runs - was.runs;
		probes += after[i].is_probe ? after[i].runs - was.runs : 0;
		program += after[i].ns - was.ns - (after[i].runs - was.runs) * p->count_ns;
	}
	close(fd);
	p->v[s][HITS][round] = hits / (double)n;
	p->v[s][TRAP][round] = probes * p->hit.ns[settings[s].hit] / (double)n;
	p->v[s][PROGRAM][round] = program / (double)n;
}

/* How much longer calls take, and what llmprobe itself does meanwhile. */
static void take_engine(struct parts *p, size_t s, size_t round)
{
	double calls[TAKE_MAX], cpu[4], off[2], on;
	size_t n[2];

	set(p, "");
	cpu[0] = process_cpu_ns(p->prompt.pid);
	n[0] = take(p, calls);
	cpu[1] = process_cpu_ns(p->prompt.pid);
	off[0] = median(calls, n[0]);
	set(p, settings[s].commands);
	cpu[2] = process_cpu_ns(p->prompt.pid);
	n[1] = take(p, calls);
	cpu[3] = process_cpu_ns(p->prompt.pid);
	on = median(calls, n[1]);
	set(p, "");
	off[1] = take_median(p);
	p->v[s][CALL][round] = (off[0] + off[1]) / 2;
	p->v[s][MEASURED][round] = on - (off[0] + off[1]) / 2;
	p->v[s][DRAIN][round] = (cpu[3] - cpu[2]) / (double)n[1] - (cpu[1] - cpu[0]) / (double)n[0];
}

static void print(struct parts *p)
{
	printf("a hit with an empty program: %.0f ns, of a push %.0f ns; counting a run: %.0f ns; "
	       "medians of %zu rounds, us per call\n",
	       p->hit.ns[HIT_EMULATED], p->hit.ns[HIT_PUSH], p->count_ns, p->rounds);
	printf("%-14s %9s %9s %9s %12s %9s %10s %12s\n", "setting", "hits", "trap", "program",
	       "% of a call", "drain", "measured", "% of a call");
	for (size_t s = 0; s < N_SETTINGS; s++) {
		double m[N_PARTS], share;

		for (size_t i = 0; i < N_PARTS; i++)
			m[i] = median(p->v[s][i], p->rounds);
		share = (m[TRAP] + m[PROGRAM]) / (double)p->threads;
		printf("%-14s %9.1f %9.1f %9.1f %11.2f%% %9.1f %10.1f %11.2f%%\n", settings[s].name,
		       m[HITS], m[TRAP] / 1e3, m[PROGRAM] / 1e3, 100 * share / m[CALL],
		       m[DRAIN] / 1e3, m[MEASURED] / 1e3, 100 * m[MEASURED] / m[CALL]);
	}
	printf("a call: %.3f ms on %zu threads\n", median(p->v[0][CALL], p->rounds) / 1e6,
	       p->threads);
}

static void parse(struct parts *p, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:t:P")) != -1) {
		if (c == 'n')
			p->rounds = strtoul(optarg, NULL, 10);
		else if (c == 't')
			p->threads = strtoul(optarg, NULL, 10);
		else if (c == 'P')
			p->prompts = true;
		else
			exit(2);
	}
	if (optind + 3 != argc || !p->rounds || p->rounds > ROUNDS_MAX || !p->threads) {
		fputs("usage: bench_parts [-n ROUNDS] [-t THREADS] [-P] LLMPROBE LOG PID\n",
		      stderr);
		exit(2);
	}
	p->llmprobe = argv[optind];
	p->log = argv[optind + 1];
	p->pid = argv[optind + 2];
}

int main(int argc, char **argv)
{
	static struct parts p = {.rounds = 5, .threads = 2};

	parse(&p, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	calibrate(&p);
	prompt_start(&p.prompt, p.llmprobe, p.pid);
	for (size_t round = 0; round < p.rounds; round++) {
		for (size_t s = 0; s < N_SETTINGS; s++) {
			take_engine(&p, s, round);
			set(&p, settings[s].commands);
			take_kernel(&p, s, round);
		}
	}
	prompt_end(&p.prompt);
	print(&p);
	return 0;
}

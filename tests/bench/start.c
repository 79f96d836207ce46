/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long it takes from the start of llmprobe until all levels are attached to a running engine,
 * and to switch all levels on and off in a session, from the cache and with nothing compiled yet.
 * Memory: of the running llmprobe once it has come to rest. Needs root.
 *
 *   bench_start LLMPROBE PID [RUNS]
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "session/session.h"
#include "util/alloc.h"
#include "util/clock.h"

enum { RUNS_MAX = 101, RUNS_USUAL = 11, REST_MS = 2500 };

extern char **environ;

static const enum rec_level levels[] = {LEVEL_TOKEN, LEVEL_GRAPH, LEVEL_OPERATOR, LEVEL_SCHEDULER};

struct bench {
	const char *llmprobe, *pid;
	int runs;
	char dir[32]; /* temporary, with the cache in it */
};

static void empty_cache(const struct bench *b)
{
	char *command = xasprintf("rm -rf %s/llmprobe/code*", b->dir);

	if (system(command))
		exit(1);
	free(command);
}

static pid_t record(const struct bench *b, const char *run, const char *duration)
{
	char *argv[] = {(char *)b->llmprobe, "record", "--force",      "-o",
			(char *)run,	     "-p",     (char *)b->pid, "--duration",
			(char *)duration,    NULL};
	pid_t pid;

	if (posix_spawn(&pid, b->llmprobe, NULL, NULL, argv, environ)) {
		perror(b->llmprobe);
		exit(1);
	}
	return pid;
}

/* When the last level was on, CLOCK_MONOTONIC ns. */
static double attached_at(const char *run)
{
	static const char query[] = "SELECT max(at_ns) FROM note WHERE kind = 'level' AND "
				    "text LIKE '% on'";
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	double at = 0;

	if (!sqlite3_open_v2(run, &db, SQLITE_OPEN_READONLY, NULL) &&
	    !sqlite3_prepare_v2(db, query, -1, &st, NULL) && sqlite3_step(st) == SQLITE_ROW)
		at = (double)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return at;
}

static double start_once(const struct bench *b)
{
	char *run = xasprintf("%s/run.llmp", b->dir);
	double began = clock_ns(CLOCK_MONOTONIC), at;
	int status;

	waitpid(record(b, run, "50ms"), &status, 0);
	at = attached_at(run);
	if (status || !at) {
		fprintf(stderr, "no recording of process %s\n", b->pid);
		exit(1);
	}
	free(run);
	return at - began;
}

/* A number of /proc/PID/status, kB. */
static double status_kb(pid_t pid, const char *key)
{
	char path[32], line[256];
	double kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			kb = atof(line + strlen(key));
	if (f)
		fclose(f);
	return kb;
}

static void memory(const struct bench *b)
{
	char *run = xasprintf("%s/memory.llmp", b->dir);
	pid_t pid = record(b, run, "60s");

	usleep(REST_MS * 1000);
	printf("%-34s %8.1f MB (%.1f anonymous, %.1f of files, %.1f shared)\n",
	       "resident, recording", status_kb(pid, "VmRSS:") / 1024,
	       status_kb(pid, "RssAnon:") / 1024, status_kb(pid, "RssFile:") / 1024,
	       status_kb(pid, "RssShmem:") / 1024);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	free(run);
}

static struct session *open_session(const struct bench *b, const char *cache)
{
	struct session_opts o = {.transport = TRANSPORT_RING,
				 .buffer_bytes = 4 << 20,
				 .drain_ns = 50000000,
				 .cache_dir = cache,
				 .barrier_every = 1};
	struct diag *d = diag_new();
	struct session *s = session_new(&o, d);

	if (!s || session_target_pid(s, (pid_t)atoi(b->pid), d))
		die_of(d);
	diag_free(d);
	return s;
}

struct switching {
	double on[RUNS_MAX], off[RUNS_MAX];
};

static void switch_once(const struct bench *b, const char *cache, struct switching *t, int run)
{
	struct session *s = open_session(b, cache);
	struct diag *d = diag_new();
	bool on[LEVEL_COUNT] = {0};
	double start = clock_ns(CLOCK_MONOTONIC);

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		on[levels[i]] = true;
	session_prepare(s, on, d);
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (session_enable(s, levels[i], d))
			die_of(d);
	t->on[run] = clock_ns(CLOCK_MONOTONIC) - start;
	usleep(100000);
	start = clock_ns(CLOCK_MONOTONIC);
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		session_disable(s, levels[i], d);
	t->off[run] = clock_ns(CLOCK_MONOTONIC) - start;
	session_free(s);
	diag_free(d);
}

static void row(const char *what, double *v, int n)
{
	double mid = median(v, n);

	printf("%-34s %8.1f ms (%.1f to %.1f)\n", what, mid / 1e6, v[0] / 1e6, v[n - 1] / 1e6);
	fflush(stdout);
}

static void starts(const struct bench *b)
{
	double cold[RUNS_MAX], cached[RUNS_MAX];

	for (int i = 0; i < b->runs; i++) {
		empty_cache(b);
		cold[i] = start_once(b);
		cached[i] = start_once(b);
	}
	row("start to attached, cached", cached, b->runs);
	row("start to attached, cold", cold, b->runs);
}

static void switches(const struct bench *b)
{
	static struct switching cold, cached;
	char *cache = xasprintf("%s/llmprobe", b->dir);

	for (int i = 0; i < b->runs; i++) {
		empty_cache(b);
		switch_once(b, cache, &cold, i);
		switch_once(b, cache, &cached, i);
	}
	row("all levels on, cached", cached.on, b->runs);
	row("all levels on, cold", cold.on, b->runs);
	row("all levels off", cached.off, b->runs);
	free(cache);
}

int main(int argc, char **argv)
{
	struct bench b = {.runs = RUNS_USUAL, .dir = "/tmp/llmprobe-start-XXXXXX"};
	char *text;
	int err;

	if (argc < 3 || !mkdtemp(b.dir)) {
		fprintf(stderr, "usage: bench_start LLMPROBE PID [RUNS]\n");
		return 2;
	}
	b.llmprobe = argv[1];
	b.pid = argv[2];
	if (argc > 3)
		b.runs = atoi(argv[3]);
	if (b.runs < 1 || b.runs > RUNS_MAX)
		b.runs = RUNS_USUAL;
	setenv("XDG_CACHE_HOME", b.dir, 1);
	printf("medians of %d (least to most)\n", b.runs);
	starts(&b);
	switches(&b);
	memory(&b);
	text = xasprintf("rm -r %s", b.dir);
	err = system(text);
	free(text);
	return err != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What benchmarks on a real engine share: llmprobe at its prompt on a running engine, and the
 * engine's own clock, which tests/engines/ggml_drive -l writes down call by call.
 */
#ifndef LLMPROBE_TESTS_BENCH_ENGINE_H
#define LLMPROBE_TESTS_BENCH_ENGINE_H

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct prompt {
	FILE *in; /* its standard input */
	pid_t pid;
	char config[64]; /* a file of ours, gone with the prompt */
};

static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* With all levels off; they are attached when they are enabled. */
static inline void prompt_start(struct prompt *p, const char *llmprobe, const char *engine_pid)
{
	int fds[2], fd;

	strcpy(p->config, "/tmp/bench-engine-XXXXXX.yaml");
	fd = mkstemps(p->config, 5);
	if (fd < 0 || pipe(fds) < 0)
		fail(p->config);
	dprintf(fd,
		"target: {pid: %s}\nlevels: {token: false, graph: false, operator: false, "
		"scheduler: false}\noutput: /dev/shm/bench-slowdown.llmp\nforce: true\n",
		engine_pid);
	close(fd);
	p->pid = fork();
	if (p->pid == 0) {
		dup2(fds[0], 0);
		close(fds[1]);
		dup2(open("/dev/null", O_WRONLY), 1);
		execl(llmprobe, llmprobe, "-c", p->config, (char *)NULL);
		fail(llmprobe);
	}
	close(fds[0]);
	p->in = fdopen(fds[1], "w");
	usleep(2000000);
}

/* Switches all levels off, then those on that `commands` name. */
static inline void prompt_levels(struct prompt *p, const char *commands)
{
	fputs("disable token\ndisable graph\ndisable operator\ndisable scheduler\n", p->in);
	fputs(commands, p->in);
	fflush(p->in);
}

static inline void prompt_end(struct prompt *p)
{
	fputs("quit\n", p->in);
	fclose(p->in);
	waitpid(p->pid, NULL, 0);
	unlink(p->config);
}

/* Calls of the engine that begin from now on. */
struct calls {
	const char *log;
	bool prompts, cpu; /* those of several tokens; the CPU time they take */
	size_t least;	   /* at least so many, for at least so long */
	double least_ns;
};

/* Their ns into `out`. Returns how many, 0 when the engine ended. */
static inline size_t calls_take(const struct calls *c, double *out, size_t max)
{
	double now = clock_ns(CLOCK_MONOTONIC), begin = 0, end, cpu;
	size_t got = 0, idle = 0;
	FILE *f = fopen(c->log, "re");
	long tokens, at;
	char line[128];

	if (!f)
		fail(c->log);
	fseek(f, 0, SEEK_END);
	for (at = ftell(f); (got < c->least || begin < now + c->least_ns) && got < max;) {
		if (!fgets(line, sizeof(line), f) || !strchr(line, '\n')) {
			if (idle++ == 3000)
				break;
			clearerr(f);
			fseek(f, at, SEEK_SET);
			usleep(10000);
			continue;
		}
		at = ftell(f);
		idle = 0;
		if (sscanf(line, "%ld %lf %lf %lf", &tokens, &begin, &end, &cpu) == 4 &&
		    begin > now && (tokens > 1) == c->prompts)
			out[got++] = c->cpu ? cpu : end - begin;
	}
	fclose(f);
	return got >= c->least ? got : 0;
}

#endif

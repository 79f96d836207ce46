/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/clock.h"

/* Closing a link waits for grace periods; closes at the same time wait for the same ones. */
enum { CLOSERS = 8, CLOSER_STACK = 16 << 10 };

struct reaper {
	int *done; /* per job the read end of a pipe that ends when the job has */
	size_t n, cap;
};

struct reaper *reaper_new(void)
{
	return xcalloc(1, sizeof(struct reaper));
}

void reaper_free(struct reaper *r)
{
	size_t i;

	if (!r)
		return;
	for (i = 0; i < r->n; i++)
		close(r->done[i]);
	free(r->done);
	free(r);
}

static int by_number(const void *pa, const void *pb)
{
	const int *a = pa, *b = pb;

	return (*a > *b) - (*a < *b);
}

static void write_lines(const char *text, int fd)
{
	while (text && *text) {
		const char *nl = strchrnul(text, '\n');
		ssize_t done = write(fd, text, nl - text + (*nl == '\n'));

		(void)done; /* An event that is gone already is as good as removed. */
		text = *nl ? nl + 1 : nl;
	}
}

static void close_between(unsigned first, unsigned last)
{
	unsigned fd;

	if (first > last || !syscall(SYS_close_range, first, last, 0))
		return;
	for (fd = first; fd <= last && fd < 65536; fd++)
		close((int)fd);
}

/* What the child works on; sorted lists, so that it only has to walk them. */
struct job {
	const int *close_fds;
	size_t n_close;
	const int *keep_fds; /* the above, the pipes and the text's descriptor */
	size_t n_keep;
	int go;	  /* read end: at its end when the parent has let go */
	int done; /* write end: closed when all is closed */
	const char *text;
	int text_fd;
	size_t next; /* to close, shared by the closers */
	char (*stacks)[CLOSER_STACK];
};

static int close_some(void *arg)
{
	struct job *job = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->n_close)
		close(job->close_fds[i]);
	return 0;
}

/* Tasks that share descriptors and memory with this one; what they leave it does itself. */
static void close_all(struct job *job)
{
	size_t n = job->n_close < CLOSERS ? job->n_close : CLOSERS, i;

	for (i = 1; i < n; i++)
		if (clone(close_some, job->stacks[i] + CLOSER_STACK,
			  CLONE_VM | CLONE_FS | CLONE_FILES, job) < 0)
			break;
	close_some(job);
	while (wait4(-1, NULL, __WALL, NULL) > 0 || errno == EINTR)
		;
}

/*
 * The child's child, so that nobody has to wait for it and no zombie stays; made by a bare clone,
 * so only system calls. It first lets go of everything that is not
 * its job, or a pipe of ours would stay open for as long as the kernel takes. Then it waits until
 * it is the last that holds the descriptors, because only the last close is slow.
 */
static void child(struct job *job)
{
	unsigned next = 0;
	size_t i;
	long pid;
	char c;

	pid = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (pid)
		_exit(pid < 0);
	setsid();
	for (i = 0; i < job->n_keep; i++) {
		unsigned keep = job->keep_fds[i];

		if (keep > next)
			close_between(next, keep - 1);
		next = keep + 1;
	}
	close_between(next, UINT_MAX);
	while (read(job->go, &c, 1) < 0 && errno == EINTR)
		;
	close_all(job);
	if (job->text)
		write_lines(job->text, job->text_fd);
	_exit(0);
}

/* Forgets finished jobs; waits up to `timeout_ms` for one to finish. */
static void collect(struct reaper *r, int timeout_ms)
{
	struct pollfd *fds = xcalloc(r->n + 1, sizeof(*fds));
	size_t i, left = 0;

	for (i = 0; i < r->n; i++)
		fds[i].fd = r->done[i];
	if (r->n)
		poll(fds, r->n, timeout_ms);
	for (i = 0; i < r->n; i++) {
		if (fds[i].revents)
			close(r->done[i]);
		else
			r->done[left++] = r->done[i];
	}
	r->n = left;
	free(fds);
}

static void close_here(const struct job *job)
{
	size_t i;

	for (i = 0; i < job->n_close; i++)
		close(job->close_fds[i]);
}

/* Starts the child and notes its job. Returns false when that cannot be. */
static bool start(struct reaper *r, struct job *job, int go)
{
	int *keep = xcalloc(job->n_close + 3, sizeof(*keep)), done[2];
	size_t n = job->n_close;
	int status = 1;
	long pid = -1;

	if (!pipe2(done, O_CLOEXEC)) {
		memcpy(keep, job->close_fds, n * sizeof(*keep));
		keep[n++] = job->go = go;
		keep[n++] = job->done = done[1];
		if (job->text)
			keep[n++] = job->text_fd;
		qsort(keep, n, sizeof(*keep), by_number);
		job->keep_fds = keep;
		job->n_keep = n;
		job->stacks = xcalloc(CLOSERS, sizeof(*job->stacks));
		/* No exit signal: SIGCHLD handlers and waits elsewhere never see this child. */
		pid = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
		if (!pid)
			child(job);
		close(done[1]);
		if (pid > 0)
			*VEC_PUSH(r->done, r->n, r->cap) = done[0];
		else
			close(done[0]);
	}
	if (pid > 0)
		waitpid((pid_t)pid, &status, __WALL);
	free(job->stacks);
	free(keep);
	return !status;
}

void reaper_close(struct reaper *r, const int *fds, size_t n, const char *text, int text_fd)
{
	int *sorted = xcalloc(n ? n : 1, sizeof(*sorted)), go[2];
	struct job job = {.close_fds = sorted, .n_close = n, .text = text, .text_fd = text_fd};
	bool piped, started;

	if (n)
		memcpy(sorted, fds, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_number);
	collect(r, 0);
	piped = !pipe2(go, O_CLOEXEC);
	started = piped && start(r, &job, go[0]);
	close_here(&job);
	if (!started)
		write_lines(text, text_fd);
	if (piped) {
		close(go[0]);
		close(go[1]);
	}
	free(sorted);
}

static uint64_t now_ms(void)
{
	return clock_now() / 1000000;
}

int reaper_flush(struct reaper *r, unsigned timeout_ms)
{
	uint64_t deadline = now_ms() + timeout_ms, now;

	for (;;) {
		now = now_ms();
		collect(r, now < deadline ? (int)(deadline - now) : 0);
		if (!r->n)
			return 0;
		if (now >= deadline)
			return -ETIMEDOUT;
	}
}

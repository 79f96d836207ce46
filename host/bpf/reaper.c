/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/alloc.h"

struct reaper {
	pid_t *pids;
	size_t n, cap;
};

struct reaper *reaper_new(void)
{
	return xcalloc(1, sizeof(struct reaper));
}

void reaper_free(struct reaper *r)
{
	if (!r)
		return;
	free(r->pids);
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
	const int *keep_fds; /* the above, the pipe and the text's descriptor */
	size_t n_keep;
	int parent_done; /* read end: at its end when the parent has let go */
	const char *text;
	int text_fd;
};

/*
 * The child: made by a bare clone, so only system calls. It first lets go of everything that is not
 * its job, or a pipe of ours would stay open for as long as the kernel takes. Then it waits until
 * it is the last that holds the descriptors, because only the last close is slow.
 */
static void child(const struct job *job)
{
	unsigned next = 0;
	size_t i;
	char c;

	setsid();
	for (i = 0; i < job->n_keep; i++) {
		unsigned keep = job->keep_fds[i];

		if (keep > next)
			close_between(next, keep - 1);
		next = keep + 1;
	}
	close_between(next, UINT_MAX);
	while (read(job->parent_done, &c, 1) < 0 && errno == EINTR)
		;
	for (i = 0; i < job->n_close; i++)
		close(job->close_fds[i]);
	if (job->text)
		write_lines(job->text, job->text_fd);
	_exit(0);
}

static void collect(struct reaper *r)
{
	size_t i;

	for (i = 0; i < r->n;) {
		pid_t got = waitpid(r->pids[i], NULL, WNOHANG | __WALL);

		if (got == 0 || (got < 0 && errno == EINTR))
			i++;
		else
			r->pids[i] = r->pids[--r->n];
	}
}

static void close_here(const struct job *job)
{
	size_t i;

	for (i = 0; i < job->n_close; i++)
		close(job->close_fds[i]);
}

/* Returns false when there is no child to do the work. */
static bool hand_over(struct reaper *r, struct job *job)
{
	size_t n = job->n_close;
	int *keep = xcalloc(n + 2, sizeof(*keep)), sync[2] = {-1, -1};
	long pid = -1;

	if (!pipe2(sync, O_CLOEXEC)) {
		memcpy(keep, job->close_fds, n * sizeof(*keep));
		keep[n++] = job->parent_done = sync[0];
		if (job->text)
			keep[n++] = job->text_fd;
		qsort(keep, n, sizeof(*keep), by_number);
		job->keep_fds = keep;
		job->n_keep = n;
		/* No exit signal: the program's own waits and SIGCHLD never see this child. */
		pid = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
		if (!pid)
			child(job);
	}
	if (pid > 0) {
		*VEC_PUSH(r->pids, r->n, r->cap) = (pid_t)pid;
		close_here(job);
	}
	if (sync[0] >= 0) {
		close(sync[0]);
		close(sync[1]);
	}
	free(keep);
	return pid > 0;
}

void reaper_close(struct reaper *r, const int *fds, size_t n, const char *text, int text_fd)
{
	int *sorted = xcalloc(n ? n : 1, sizeof(*sorted));
	struct job job = {.close_fds = sorted, .n_close = n, .text = text, .text_fd = text_fd};

	if (n)
		memcpy(sorted, fds, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_number);
	collect(r);
	if (!hand_over(r, &job)) {
		close_here(&job);
		write_lines(text, text_fd);
	}
	free(sorted);
}

int reaper_flush(struct reaper *r, unsigned timeout_ms)
{
	const struct timespec step = {0, 1000000};
	unsigned waited;

	for (waited = 0;; waited++) {
		collect(r);
		if (!r->n)
			return 0;
		if (waited >= timeout_ms)
			return -ETIMEDOUT;
		nanosleep(&step, NULL);
	}
}

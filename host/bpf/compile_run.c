/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/compile_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/clock.h"

enum { OUTPUT_MAX = 64 << 20 };

/* In the child: everything the parent has must stay as it is, and nothing may outlive it. */
static void enter_child(const struct compile_child *c, int log)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	compile_child_run(c);
	fflush(NULL);
	_exit(0);
}

struct pipes {
	int answer[2], log[2];
};

static int open_pipes(struct pipes *p)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}};
	if (pipe2(p->answer, O_CLOEXEC))
		return -errno;
	if (pipe2(p->log, O_CLOEXEC)) {
		int err = -errno;

		close(p->answer[0]);
		close(p->answer[1]);
		return err;
	}
	return 0;
}

static int wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return status;
}

int compile_run_start(struct compile_run *r, struct compile_child *c, unsigned timeout_ms)
{
	struct pipes p;
	int err = open_pipes(&p);

	if (err)
		return err;
	*r = (struct compile_run){.answer_fd = p.answer[0], .log_fd = p.log[0]};
	r->deadline_ns = clock_now() + timeout_ms * 1000000ull;
	c->out = p.answer[1];
	r->pid = fork();
	if (!r->pid)
		enter_child(c, p.log[1]);
	err = r->pid < 0 ? -errno : 0;
	close(p.answer[1]);
	close(p.log[1]);
	if (err) {
		close(p.answer[0]);
		close(p.log[0]);
	}
	return err;
}

static void read_some(struct compile_run *r, int *fd, struct buf *b)
{
	char chunk[65536];
	ssize_t got = read(*fd, chunk, sizeof(chunk));

	if (got > 0) {
		buf_add(b, chunk, got);
	} else if (!got || errno != EINTR) {
		close(*fd);
		*fd = -1;
	}
	if (b->len > OUTPUT_MAX)
		r->err = -EFBIG;
}

static bool is_over(struct compile_run *r)
{
	if (!r->err && clock_now() >= r->deadline_ns)
		r->err = -ETIMEDOUT;
	return r->err || (r->answer_fd < 0 && r->log_fd < 0);
}

static int poll_timeout(struct compile_run *const *r, size_t n)
{
	uint64_t now = clock_now(), first = r[0]->deadline_ns;

	for (size_t i = 1; i < n; i++)
		first = r[i]->deadline_ns < first ? r[i]->deadline_ns : first;
	return now < first ? (int)((first - now) / 1000000) + 1 : 0;
}

size_t compile_run_await(struct compile_run *const *r, size_t n)
{
	struct pollfd *fds = xcalloc(2 * n, sizeof(*fds));
	size_t over = 0;

	for (;;) {
		for (over = 0; over < n && !is_over(r[over]);)
			over++;
		if (over < n)
			break;
		for (size_t i = 0; i < n; i++) {
			fds[2 * i] = (struct pollfd){r[i]->answer_fd, POLLIN, 0};
			fds[2 * i + 1] = (struct pollfd){r[i]->log_fd, POLLIN, 0};
		}
		if (poll(fds, 2 * n, poll_timeout(r, n)) <= 0)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (fds[2 * i].revents)
				read_some(r[i], &r[i]->answer_fd, &r[i]->answer);
			if (fds[2 * i + 1].revents)
				read_some(r[i], &r[i]->log_fd, &r[i]->log);
		}
	}
	free(fds);
	return over;
}

void compile_run_end(struct compile_run *r)
{
	if (r->err) {
		kill(-r->pid, SIGKILL);
		kill(r->pid, SIGKILL);
	}
	r->status = wait_child(r->pid);
	if (r->answer_fd >= 0)
		close(r->answer_fd);
	if (r->log_fd >= 0)
		close(r->log_fd);
}

void compile_run_free(struct compile_run *r)
{
	buf_free(&r->answer);
	buf_free(&r->log);
}

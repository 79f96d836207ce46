/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's side of the tracer process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/watch_impl.h"

struct watch_hold {
	pid_t tracer;
	int fd;
};

/* Waits until the targets are traced. */
static int wait_ready(const struct watch_hold *h)
{
	struct tracer_message m;
	ssize_t n;

	do
		n = recv(h->fd, &m, sizeof(m), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(m) || m.kind != TRACER_READY)
		return n < 0 ? -errno : -EPROTO;
	return m.err;
}

static int start_tracer(struct watch_hold *h, const pid_t *pids, size_t n)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	h->tracer = fork();
	if (!h->tracer) {
		close(pair[0]);
		watch_tracer_run(pair[1], pids, n);
	}
	close(pair[1]);
	h->fd = pair[0];
	return h->tracer < 0 ? -errno : wait_ready(h);
}

struct watch_hold *watch_hold_new(const pid_t *pids, size_t n, struct diag *d)
{
	struct watch_hold *h = xcalloc(1, sizeof(*h));
	int err;

	h->fd = -1;
	h->tracer = -1;
	err = start_tracer(h, pids, n);
	if (!err)
		return h;
	diag_add(
		d, DIAG_WARNING,
		"the command cannot be held while it loads its libraries (%s); what it runs before "
		"the probes are in is missed%s",
		strerror(-err),
		err == -EPERM ? ". CAP_SYS_PTRACE is missing: run as root or add cap_sys_ptrace"
			      : "");
	watch_hold_free(h);
	return NULL;
}

int watch_hold_fd(const struct watch_hold *h)
{
	return h->fd;
}

int watch_hold_drain(struct watch_hold *h, watch_emit emit, void *ctx)
{
	struct tracer_message m;
	ssize_t n;

	for (;;) {
		n = recv(h->fd, &m, sizeof(m), MSG_DONTWAIT);
		if (n == sizeof(m) && m.kind == TRACER_EVENT)
			emit(ctx, &m.event);
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		else if (n == 0)
			return -EPIPE;
	}
}

int watch_hold_resume(struct watch_hold *h, pid_t pid)
{
	struct tracer_message m = {.kind = TRACER_RESUME, .event = {.pid = pid}};

	return send(h->fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m) ? 0 : -errno;
}

void watch_hold_free(struct watch_hold *h)
{
	if (!h)
		return;
	/* The tracer lets everything go when it sees the end of the pair. */
	if (h->fd >= 0)
		close(h->fd);
	while (h->tracer > 0 && waitpid(h->tracer, NULL, 0) < 0 && errno == EINTR)
		;
	free(h);
}

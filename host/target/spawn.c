/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a command that waits until it is released. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/process.h"

struct spawn {
	pid_t pid;
	char *path;
	char **script;	/* arguments for a shell, where the file may be a script without #! */
	int release_fd; /* a byte written here lets the child go on */
	int result_fd;	/* gives errno of a failed execve, or its end when it worked */
	bool started, reaped;
	int status;
};

pid_t spawn_pid(const struct spawn *s)
{
	return s->pid;
}

const char *spawn_path(const struct spawn *s)
{
	return s->path;
}

int spawn_fd(const struct spawn *s)
{
	return s->result_fd;
}

static int check_program(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return access(path, X_OK) ? -errno : 0;
}

/* execvp's search, done before the fork so that a typing error costs nothing. */
static char *find_program(const char *name, int *err)
{
	const char *path = getenv("PATH"), *at;
	int denied = 0;

	if (strchr(name, '/')) {
		*err = check_program(name);
		return *err ? NULL : xstrdup(name);
	}
	for (at = path ? path : "/usr/local/bin:/usr/bin:/bin";; at++) {
		size_t len = strcspn(at, ":");
		char *full = xasprintf("%.*s%s%s", (int)len, at, len ? "/" : "./", name);

		*err = check_program(full);
		if (!*err)
			return full;
		if (*err == -EACCES)
			denied = -EACCES;
		free(full);
		at += len;
		if (!*at)
			break;
	}
	*err = denied ? denied : -ENOENT;
	return NULL;
}

/* As shells judge it: no byte of a text is zero. execvp would run a program for another machine as
 * a script, whose bytes then are commands. */
static bool is_text(const char *path)
{
	char head[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));

	if (fd >= 0)
		close(fd);
	return n >= 0 && !memchr(head, 0, (size_t)n);
}

static char **shell_arguments(char *path, char *const argv[])
{
	char **out;
	size_t n = 0;

	while (argv[n])
		n++;
	out = xcalloc(n + 2, sizeof(*out));
	out[0] = "/bin/sh";
	out[1] = path;
	for (size_t i = 1; i < n; i++)
		out[i + 1] = argv[i];
	return out;
}

/* What the caller's own signal handling must not pass on. */
static void restore_signals(void)
{
	static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGWINCH};
	struct sigaction sa;
	sigset_t none;

	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		/* nohup's ignored SIGHUP stays ignored. */
		if (sigaction(ours[i], NULL, &sa) ||
		    (sa.sa_handler == SIG_IGN && ours[i] != SIGPIPE))
			continue;
		signal(ours[i], SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void run_child(const struct spawn *s, char *const argv[],
						int release_fd, int result_fd)
{
	char go;
	ssize_t n;
	int err;

	restore_signals();
	do
		n = read(release_fd, &go, 1);
	while (n < 0 && errno == EINTR);
	/* Nobody is left to release it: end as if it had never been. */
	if (n != 1)
		_exit(0);
	execv(s->path, argv);
	err = errno;
	if (err == ENOEXEC && s->script)
		execv(s->script[0], s->script);
	if (write(result_fd, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

static int start_child(struct spawn *s, char *const argv[])
{
	int release[2], result[2], err;

	if (pipe2(release, O_CLOEXEC))
		return -errno;
	if (pipe2(result, O_CLOEXEC)) {
		err = -errno;
		close(release[0]);
		close(release[1]);
		return err;
	}
	s->pid = fork();
	err = s->pid < 0 ? -errno : 0;
	if (!s->pid) {
		close(release[1]);
		close(result[0]);
		run_child(s, argv, release[0], result[1]);
	}
	close(release[0]);
	close(result[1]);
	s->release_fd = release[1];
	s->result_fd = result[0];
	return err;
}

struct spawn *process_spawn(char *const argv[], struct diag *d)
{
	struct spawn *s;
	char *path;
	int err;

	if (!argv || !argv[0] || !*argv[0]) {
		diag_fail(d, -EINVAL, "no command to start");
		return NULL;
	}
	path = find_program(argv[0], &err);
	if (!path) {
		if (err == -ENOENT)
			diag_fail(d, err, "%s: no such program%s", argv[0],
				  strchr(argv[0], '/') ? "" : " on PATH");
		else
			diag_fail(d, err, "%s: %s (it must be a file with execute permission)",
				  argv[0], strerror(-err));
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->path = path;
	s->script = is_text(path) ? shell_arguments(path, argv) : NULL;
	s->release_fd = s->result_fd = -1;
	err = start_child(s, argv);
	if (!err)
		return s;
	diag_fail(d, err, "%s: no process can be made: %s", argv[0], strerror(-err));
	s->reaped = true;
	spawn_free(s);
	return NULL;
}

int spawn_release(struct spawn *s)
{
	ssize_t n;

	if (s->release_fd < 0)
		return 0;
	do
		n = write(s->release_fd, "g", 1);
	while (n < 0 && errno == EINTR);
	close(s->release_fd);
	s->release_fd = -1;
	return n == 1 ? 0 : -EPIPE;
}

int spawn_started(struct spawn *s, struct diag *d)
{
	int err = 0;
	ssize_t n;

	if (s->started)
		return 0;
	do
		n = read(s->result_fd, &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(err))
		return diag_fail(d, -err, "%s: %s", s->path, strerror(err));
	s->started = true;
	return 0;
}

int spawn_wait(struct spawn *s, bool block, int *status)
{
	pid_t got = s->pid;

	while (!s->reaped) {
		got = waitpid(s->pid, &s->status, block ? 0 : WNOHANG);
		if (got == 0)
			return 0;
		if (got == s->pid)
			s->reaped = true;
		else if (errno != EINTR)
			return -errno;
	}
	*status = s->status;
	return 1;
}

void spawn_free(struct spawn *s)
{
	int status;
	bool waiting;

	if (!s)
		return;
	waiting = s->release_fd >= 0;
	if (waiting)
		close(s->release_fd);
	if (s->result_fd >= 0)
		close(s->result_fd);
	/* A child that was never released ends by itself at once. */
	if (!s->reaped && s->pid > 0)
		spawn_wait(s, waiting, &status);
	free(s->path);
	free(s->script);
	free(s);
}

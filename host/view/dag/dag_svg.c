/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout through the graphviz library. It is looked for at run time, so that nothing else needs it,
 * and runs in a child: its memory is never given back and a graph may be too much for it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/file.h"
#include "view/dag/dag.h"

enum { LAYOUT_SECONDS = 60, EXIT_NO_LAYOUT = 3 };

struct graphviz {
	void *(*context)(void);
	void *(*read)(const char *);
	int (*layout)(void *, void *, const char *);
	int (*render)(void *, void *, const char *, char **, unsigned int *);
};

static void *open_library(const char *const *names)
{
	void *lib = NULL;

	for (; *names && !lib; names++)
		lib = dlopen(*names, RTLD_NOW | RTLD_GLOBAL);
	return lib;
}

/* ISO C has no conversion from dlsym's object pointer to a function pointer. */
static bool symbol(void *lib, const char *name, void *function)
{
	void *p = dlsym(lib, name);

	memcpy(function, &p, sizeof(p));
	return p != NULL;
}

static bool graphviz_open(struct graphviz *gv)
{
	static const char *const gvc[] = {"libgvc.so.6", "libgvc.so.7", "libgvc.so", NULL};
	static const char *const cgraph[] = {"libcgraph.so.6", "libcgraph.so.8", "libcgraph.so",
					     NULL};
	void *graph_lib = open_library(cgraph), *lib = open_library(gvc);

	return lib && graph_lib && symbol(lib, "gvContext", &gv->context) &&
	       symbol(graph_lib, "agmemread", &gv->read) && symbol(lib, "gvLayout", &gv->layout) &&
	       symbol(lib, "gvRenderData", &gv->render);
}

static _Noreturn void child(const struct graphviz *gv, const char *dot, int out)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char *svg = NULL;
	unsigned int len = 0;
	void *context, *graph;

	if (null >= 0)
		dup2(null, STDERR_FILENO);
	context = gv->context();
	graph = context ? gv->read(dot) : NULL;
	if (!graph || gv->layout(context, graph, "dot") ||
	    gv->render(context, graph, "svg", &svg, &len))
		_exit(EXIT_NO_LAYOUT);
	_exit(file_write_all(out, svg, len) ? EXIT_NO_LAYOUT : 0);
}

/* Reads until the end or the deadline; returns 0, -ETIMEDOUT or -errno. */
static int read_all(int fd, struct buf *out)
{
	time_t deadline = time(NULL) + LAYOUT_SECONDS;
	char chunk[65536];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		long left = (long)(deadline - time(NULL));
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left * 1000) < 0 && errno != EINTR)
			return -errno;
		if (!p.revents)
			continue;
		n = read(fd, chunk, sizeof(chunk));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			buf_add(out, chunk, (size_t)n);
	}
}

static int collect(pid_t pid, int fd, struct buf *svg, struct diag *d)
{
	int err = read_all(fd, svg), status = 0;

	if (err)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (err == -ETIMEDOUT)
		return diag_fail(d, err,
				 "graphviz had not laid the graph out after %d s; choose fewer "
				 "layers with --layers, fold them, or write --format dot",
				 LAYOUT_SECONDS);
	if (err || !WIFEXITED(status) || WEXITSTATUS(status))
		return diag_fail(d, err ? err : -EIO,
				 "graphviz could not lay the graph out; write --format dot and try "
				 "another layout");
	return 0;
}

int dag_svg(const char *dot, struct buf *svg, struct diag *d)
{
	struct graphviz gv;
	int fds[2];
	pid_t pid;
	int err;

	if (!graphviz_open(&gv))
		return diag_fail(d, -ENOENT,
				 "drawing SVG needs the graphviz library: install libgvc6 (or the "
				 "package graphviz), or write --format dot");
	if (pipe2(fds, O_CLOEXEC))
		return diag_fail(d, -errno, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(&gv, dot, fds[1]);
	}
	close(fds[1]);
	err = pid < 0 ? diag_fail(d, -errno, "cannot start a process: %s", strerror(errno))
		      : collect(pid, fds[0], svg, d);
	close(fds[0]);
	return err;
}

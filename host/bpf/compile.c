/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf/cache.h"
#include "bpf/compile_child.h"
#include "bpf/compile_log.h"
#include "bpf/headers.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/text.h"

enum { COMPILE_TIMEOUT_MS = 60000, COMPILE_OUTPUT_MAX = 64 << 20, OBJECT_VERSION = 1 };

/* Where a dynamic linker would look; the cache file of ld.so has no stable format. */
static bool find_libbcc(char path[PATH_MAX])
{
	static const char *const dirs[] = {
		"/usr/local/lib",
		"/usr/lib/x86_64-linux-gnu",
		"/usr/lib/aarch64-linux-gnu",
		"/usr/lib64",
		"/usr/lib",
		"/lib64",
		"/lib",
	};
	char name[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(name, sizeof(name), "%s/libbcc.so.0", dirs[i]);
		if (realpath(name, path))
			return true;
	}
	return false;
}

const char *bpf_compiler_version(char out[32])
{
	static const char so[] = "libbcc.so.";
	char path[PATH_MAX];
	const char *at;

	out[0] = '\0';
	if (!find_libbcc(path))
		return out;
	at = strstr(path, so);
	snprintf(out, 32, "%s", at ? at + sizeof(so) - 1 : "unknown");
	return out;
}

struct flags {
	const char **list;
	size_t n;
	char version[48], page[48];
};

static void make_flags(const struct bpf_compile_opts *o, uint32_t kernel, struct flags *f)
{
	size_t i;

	f->list = xcalloc(o->n_cflags + 4, sizeof(*f->list));
	snprintf(f->version, sizeof(f->version), "-DLLMPROBE_KERNEL_VERSION=%u", kernel);
	snprintf(f->page, sizeof(f->page), "-DLLMPROBE_PAGE_SIZE=%ld", sysconf(_SC_PAGESIZE));
	f->list[f->n++] = "-DEXTERN_MAP(n)=((void *)bpf_pseudo_fd(1, 0x4c500000 + (n)))";
	f->list[f->n++] = f->version;
	f->list[f->n++] = f->page;
	for (i = 0; i < o->n_cflags; i++)
		f->list[f->n++] = o->cflags[i];
}

static void make_key(const char *text, const struct flags *f, bool stubs, const char *release,
		     struct cache_key *k)
{
	char path[PATH_MAX] = "";
	struct stat st = {0};
	uint64_t facts[4] = {OBJECT_VERSION, stubs};
	size_t i;

	if (find_libbcc(path) && !stat(path, &st)) {
		facts[2] = st.st_size;
		facts[3] = st.st_mtim.tv_sec;
	}
	cache_key_adds(k, text);
	for (i = 0; i < f->n; i++)
		cache_key_adds(k, f->list[i]);
	cache_key_adds(k, path);
	cache_key_adds(k, release);
	cache_key_add(k, facts, sizeof(facts));
	if (stubs)
		headers_hash(k);
}

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
	int out[2], log[2];
};

static int open_pipes(struct pipes *p)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}};
	if (pipe2(p->out, O_CLOEXEC))
		return -errno;
	if (pipe2(p->log, O_CLOEXEC)) {
		int err = -errno;

		close(p->out[0]);
		close(p->out[1]);
		return err;
	}
	return 0;
}

/* Reads both pipes to their end. Returns 0, -ETIMEDOUT, -EFBIG or -errno. */
static int collect(const struct pipes *p, uint64_t deadline, struct buf *out, struct buf *log)
{
	struct pollfd fds[2] = {{p->out[0], POLLIN, 0}, {p->log[0], POLLIN, 0}};
	struct buf *bufs[2] = {out, log};
	char chunk[65536];
	int open_fds = 2, i;

	while (open_fds) {
		uint64_t now = clock_now();
		int n = now >= deadline ? 0 : poll(fds, 2, (int)((deadline - now) / 1000000) + 1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (now >= deadline)
			return -ETIMEDOUT;
		for (i = 0; n > 0 && i < 2; i++) {
			ssize_t got;

			if (!(fds[i].revents & (POLLIN | POLLHUP | POLLERR)))
				continue;
			got = read(fds[i].fd, chunk, sizeof(chunk));
			if (got > 0) {
				buf_add(bufs[i], chunk, got);
			} else if (!got || errno != EINTR) {
				fds[i].fd = -1;
				open_fds--;
			}
			if (bufs[i]->len > COMPILE_OUTPUT_MAX)
				return -EFBIG;
		}
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

struct outcome {
	struct buf out, log;
	int err;    /* of collect */
	int status; /* of waitpid */
};

static int run_child(struct compile_child *c, unsigned timeout_ms, struct outcome *res)
{
	struct pipes p;
	pid_t pid;
	int err = open_pipes(&p);

	if (err)
		return err;
	c->out = p.out[1];
	pid = fork();
	if (!pid)
		enter_child(c, p.log[1]);
	err = pid < 0 ? -errno : 0;
	close(p.out[1]);
	close(p.log[1]);
	if (!err) {
		res->err = collect(&p, clock_now() + timeout_ms * 1000000ull, &res->out, &res->log);
		if (res->err)
			kill(-pid, SIGKILL);
		if (res->err)
			kill(pid, SIGKILL);
		res->status = wait_child(pid);
	}
	close(p.out[0]);
	close(p.log[0]);
	return err;
}

static void explain(const struct outcome *res, const char *name, unsigned timeout_ms,
		    struct diag *d)
{
	size_t before = diag_count(d, DIAG_ERROR);
	char kind = res->out.len ? res->out.data[0] : '\0';

	compile_log_to_diag(res->log.data, res->log.len, d);
	if (res->err == -ETIMEDOUT)
		diag_add(d, DIAG_ERROR,
			 "%s: the compiler did not finish within %u ms and was ended", name,
			 timeout_ms);
	else if (res->err)
		diag_add(d, DIAG_ERROR, "%s: no answer from the compiler: %s", name,
			 strerror(-res->err));
	else if (kind == CHILD_ERROR)
		diag_add(d, DIAG_ERROR, "%s: %.*s", name, (int)res->out.len - 1, res->out.data + 1);
	else if (WIFSIGNALED(res->status))
		diag_add(d, DIAG_ERROR, "%s: the compiler crashed (%s)", name,
			 strsignal(WTERMSIG(res->status)));
	else if (diag_count(d, DIAG_ERROR) == before)
		diag_add(d, DIAG_ERROR, "%s: libbcc refused the program without a reason", name);
}

static struct bpf_code *take_answer(struct outcome *res, const char *name, unsigned timeout_ms,
				    struct diag *d)
{
	struct bpf_code *code = NULL;

	if (!res->err && res->out.len && res->out.data[0] == CHILD_CODE) {
		code = bpf_code_decode(res->out.data + 1, res->out.len - 1);
		if (code)
			compile_log_to_diag(res->log.data, res->log.len, d);
	}
	if (!code)
		explain(res, name, timeout_ms, d);
	return code;
}

static struct bpf_code *compile_fresh(const struct bpf_compile_opts *o, const struct flags *f,
				      bool stubs, struct diag *d)
{
	unsigned timeout = o->timeout_ms ? o->timeout_ms : COMPILE_TIMEOUT_MS;
	const char *name = o->name ? o->name : "program";
	struct compile_child c = {.text = o->text, .cflags = f->list, .n_cflags = f->n};
	struct outcome res = {0};
	struct bpf_code *code = NULL;
	char dir[PATH_MAX];
	int err;

	if (stubs) {
		err = headers_write(dir, sizeof(dir), d);
		if (err)
			return NULL;
		c.headers = dir;
	}
	err = run_child(&c, timeout, &res);
	if (err)
		diag_add(d, DIAG_ERROR, "%s: cannot start the compiler: %s", name, strerror(-err));
	else
		code = take_answer(&res, name, timeout, d);
	if (stubs)
		headers_remove(dir);
	buf_free(&res.out);
	buf_free(&res.log);
	return code;
}

static struct bpf_code *from_cache(const char *dir, const struct cache_key *k)
{
	struct buf b = {0};
	struct bpf_code *code = NULL;

	if (dir && !cache_get(dir, "code", k, &b))
		code = bpf_code_decode(b.data, b.len);
	buf_free(&b);
	return code;
}

static void to_cache(const char *dir, const struct cache_key *k, const struct bpf_code *code)
{
	struct buf b = {0};

	if (!dir)
		return;
	bpf_code_encode(code, &b);
	cache_put(dir, "code", k, b.data, b.len);
	buf_free(&b);
}

/* A text without a #line of its own is named by one in front of it. */
static char *named_text(const struct bpf_compile_opts *o)
{
	if (text_starts(o->text, "#line"))
		return xstrdup(o->text);
	return xasprintf("#line 1 \"%s\"\n%s", o->name ? o->name : "program", o->text);
}

struct bpf_code *bpf_compile(const struct bpf_compile_opts *o, struct diag *d)
{
	struct bpf_compile_opts named = *o;
	struct flags flags = {0};
	struct cache_key key = {{0}};
	struct bpf_code *code = NULL;
	struct utsname uts;
	uint64_t start = clock_now();
	char *text = named_text(o);
	bool stubs;

	named.text = text;
	uname(&uts);
	if (o->from_cache)
		*o->from_cache = false;
	if (headers_choose(text, uts.release, &stubs, d))
		goto out;
	make_flags(o, headers_kernel_version(uts.release), &flags);
	make_key(text, &flags, stubs, uts.release, &key);
	code = from_cache(o->cache_dir, &key);
	if (code && o->from_cache)
		*o->from_cache = true;
	if (!code) {
		code = compile_fresh(&named, &flags, stubs, d);
		if (code)
			to_cache(o->cache_dir, &key, code);
	}
out:
	if (o->took_ns)
		*o->took_ns = clock_now() - start;
	free(flags.list);
	free(text);
	return code;
}

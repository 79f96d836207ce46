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

/* A compiler that was started. */
struct running {
	struct pipes p;
	pid_t pid;
};

static int start_child(struct compile_child *c, struct running *r)
{
	int err = open_pipes(&r->p);

	if (err)
		return err;
	c->out = r->p.out[1];
	r->pid = fork();
	if (!r->pid)
		enter_child(c, r->p.log[1]);
	err = r->pid < 0 ? -errno : 0;
	close(r->p.out[1]);
	close(r->p.log[1]);
	if (err) {
		close(r->p.out[0]);
		close(r->p.log[0]);
	}
	return err;
}

static void finish_child(struct running *r, unsigned timeout_ms, struct outcome *res)
{
	res->err = collect(&r->p, clock_now() + timeout_ms * 1000000ull, &res->out, &res->log);
	if (res->err) {
		kill(-r->pid, SIGKILL);
		kill(r->pid, SIGKILL);
	}
	res->status = wait_child(r->pid);
	close(r->p.out[0]);
	close(r->p.log[0]);
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

/* One text on its way to code. */
struct attempt {
	struct bpf_compile_opts o; /* the text is ours, with its name */
	char *text;
	struct flags flags;
	struct cache_key key;
	bool stubs, headers_made;
	char headers[PATH_MAX];
	struct running child;
	int start_err;
};

static void start_compiler(struct attempt *a, struct diag *d)
{
	struct compile_child c = {.text = a->text, .cflags = a->flags.list, .n_cflags = a->flags.n};

	a->start_err = a->stubs ? headers_write(a->headers, sizeof(a->headers), d) : 0;
	if (a->start_err)
		return;
	a->headers_made = a->stubs;
	if (a->stubs)
		c.headers = a->headers;
	a->start_err = start_child(&c, &a->child);
	if (a->start_err)
		diag_add(d, DIAG_ERROR, "%s: cannot start the compiler: %s", a->o.name,
			 strerror(-a->start_err));
}

static struct bpf_code *take_compiled(struct attempt *a, struct diag *d)
{
	unsigned timeout = a->o.timeout_ms ? a->o.timeout_ms : COMPILE_TIMEOUT_MS;
	struct outcome res = {0};
	struct bpf_code *code = NULL;

	if (!a->start_err) {
		finish_child(&a->child, timeout, &res);
		code = take_answer(&res, a->o.name, timeout, d);
	}
	if (a->headers_made)
		headers_remove(a->headers);
	buf_free(&res.out);
	buf_free(&res.log);
	return code;
}

/* Makes the key and looks into the cache. Returns 0 or -errno with an error in `d`. */
static int begin_attempt(struct attempt *a, const struct bpf_compile_opts *o,
			 struct bpf_code **cached, struct diag *d)
{
	struct utsname uts;
	int err;

	memset(a, 0, sizeof(*a));
	a->o = *o;
	a->o.name = o->name ? o->name : "program";
	a->text = named_text(o);
	*cached = NULL;
	uname(&uts);
	err = headers_choose(a->text, uts.release, &a->stubs, d);
	if (err)
		return err;
	make_flags(o, headers_kernel_version(uts.release), &a->flags);
	make_key(a->text, &a->flags, a->stubs, uts.release, &a->key);
	*cached = from_cache(o->cache_dir, &a->key);
	return 0;
}

static void end_attempt(struct attempt *a)
{
	free(a->flags.list);
	free(a->text);
}

struct bpf_code *bpf_compile(const struct bpf_compile_opts *o, struct diag *d)
{
	struct attempt a;
	struct bpf_code *code;
	uint64_t start = clock_now();
	int err = begin_attempt(&a, o, &code, d);

	if (o->from_cache)
		*o->from_cache = code != NULL;
	if (!err && !code) {
		start_compiler(&a, d);
		code = take_compiled(&a, d);
		if (code)
			to_cache(o->cache_dir, &a.key, code);
	}
	if (o->took_ns)
		*o->took_ns = clock_now() - start;
	end_attempt(&a);
	return code;
}

void bpf_compile_many(const struct bpf_compile_opts *o, size_t n, struct bpf_code **out)
{
	struct attempt *a = xcalloc(n + 1, sizeof(*a));
	struct diag *quiet = diag_new();
	size_t begun = 0, at_once = (size_t)sysconf(_SC_NPROCESSORS_ONLN), i;

	for (i = 0; i < n; i++) {
		for (; begun < n && begun < i + at_once; begun++) {
			a[begun].start_err =
				begin_attempt(&a[begun], &o[begun], &out[begun], quiet);
			if (!a[begun].start_err && !out[begun])
				start_compiler(&a[begun], quiet);
		}
		if (out[i] || a[i].start_err)
			continue;
		out[i] = take_compiled(&a[i], quiet);
		if (out[i])
			to_cache(o[i].cache_dir, &a[i].key, out[i]);
	}
	for (i = 0; i < n; i++)
		end_attempt(&a[i]);
	free(a);
	diag_free(quiet);
}

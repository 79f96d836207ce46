/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/compile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf/cache.h"
#include "bpf/compile_log.h"
#include "bpf/compile_run.h"
#include "bpf/headers.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/text.h"

enum { COMPILE_TIMEOUT_MS = 60000, OBJECT_VERSION = 1, FLAGS_OWN = 8 };

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

/* libbcc's own headers are left out by the guards that they have. */
static void add_lean(struct flags *f)
{
	f->list[f->n++] = "-D__BPF_HELPERS_H";
	f->list[f->n++] = "-D_UAPI__LINUX_BPF_H__";
}

/* Clang leaves its optimisation out; libbcc does it all once more in any case. */
static void add_once(struct flags *f)
{
	f->list[f->n++] = "-Xclang";
	f->list[f->n++] = "-disable-llvm-passes";
}

static void make_flags(const struct bpf_compile_opts *o, uint32_t kernel, struct flags *f)
{
	size_t i;

	f->list = xcalloc(o->n_cflags + FLAGS_OWN, sizeof(*f->list));
	snprintf(f->version, sizeof(f->version), "-DLLMPROBE_KERNEL_VERSION=%u", kernel);
	snprintf(f->page, sizeof(f->page), "-DLLMPROBE_PAGE_SIZE=%ld", sysconf(_SC_PAGESIZE));
	f->list[f->n++] = "-DEXTERN_MAP(n)=((void *)bpf_pseudo_fd(1, 0x4c500000 + (n)))";
	f->list[f->n++] = f->version;
	f->list[f->n++] = f->page;
	if (o->lean)
		add_lean(f);
	if (o->optimise_once)
		add_once(f);
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

static void explain(const struct compile_run *res, const char *name, unsigned timeout_ms,
		    struct diag *d)
{
	size_t before = diag_count(d, DIAG_ERROR);
	char kind = res->answer.len ? res->answer.data[0] : '\0';

	compile_log_to_diag(res->log.data, res->log.len, d);
	if (res->err == -ETIMEDOUT)
		diag_add(d, DIAG_ERROR,
			 "%s: the compiler did not finish within %u ms and was ended", name,
			 timeout_ms);
	else if (res->err)
		diag_add(d, DIAG_ERROR, "%s: no answer from the compiler: %s", name,
			 strerror(-res->err));
	else if (kind == CHILD_ERROR)
		diag_add(d, DIAG_ERROR, "%s: %.*s", name, (int)res->answer.len - 1,
			 res->answer.data + 1);
	else if (WIFSIGNALED(res->status))
		diag_add(d, DIAG_ERROR, "%s: the compiler crashed (%s)", name,
			 strsignal(WTERMSIG(res->status)));
	else if (diag_count(d, DIAG_ERROR) == before)
		diag_add(d, DIAG_ERROR, "%s: libbcc refused the program without a reason", name);
}

static struct bpf_code *take_answer(struct compile_run *res, const char *name, unsigned timeout_ms,
				    struct buf *listing, struct diag *d)
{
	struct bpf_code *code = NULL;

	if (!res->err && res->answer.len && res->answer.data[0] == CHILD_CODE) {
		code = bpf_code_decode(res->answer.data + 1, res->answer.len - 1);
		if (code && listing)
			buf_add(listing, res->log.data, res->log.len);
		else if (code)
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
	struct compile_run child;
	int start_err;
};

static unsigned timeout_ms(const struct attempt *a)
{
	return a->o.timeout_ms ? a->o.timeout_ms : COMPILE_TIMEOUT_MS;
}

static void start_compiler(struct attempt *a, struct diag *d)
{
	struct compile_child c = {.text = a->text,
				  .cflags = a->flags.list,
				  .n_cflags = a->flags.n,
				  .debug = a->o.listing};

	a->start_err = a->stubs ? headers_write(a->headers, sizeof(a->headers), d) : 0;
	if (a->start_err)
		return;
	a->headers_made = a->stubs;
	if (a->stubs)
		c.headers = a->headers;
	a->start_err = compile_run_start(&a->child, &c, timeout_ms(a));
	if (a->start_err)
		diag_add(d, DIAG_ERROR, "%s: cannot start the compiler: %s", a->o.name,
			 strerror(-a->start_err));
}

/* After compile_run_await. */
static struct bpf_code *take_compiled(struct attempt *a, struct diag *d)
{
	struct compile_run *res = &a->child;
	struct bpf_code *code = NULL;

	if (!a->start_err) {
		compile_run_end(res);
		code = take_answer(res, a->o.name, timeout_ms(a), a->o.listing ? a->o.log : NULL,
				   d);
	}
	if (code)
		to_cache(a->o.cache_dir, &a->key, code);
	if (a->headers_made)
		headers_remove(a->headers);
	compile_run_free(res);
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
	a->o.cache_dir = o->listing ? NULL : o->cache_dir;
	a->text = named_text(o);
	*cached = NULL;
	uname(&uts);
	err = headers_choose(a->text, uts.release, &a->stubs, d);
	if (err)
		return err;
	make_flags(o, headers_kernel_version(uts.release), &a->flags);
	make_key(a->text, &a->flags, a->stubs, uts.release, &a->key);
	*cached = from_cache(a->o.cache_dir, &a->key);
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
		struct compile_run *child = &a.child;

		start_compiler(&a, d);
		if (!a.start_err)
			compile_run_await(&child, 1);
		code = take_compiled(&a, d);
	}
	if (o->took_ns)
		*o->took_ns = clock_now() - start;
	end_attempt(&a);
	return code;
}

static int by_length(const void *a, const void *b)
{
	const struct attempt *const *x = a, *const *y = b;
	size_t nx = strlen((*x)->text), ny = strlen((*y)->text);

	return nx < ny ? 1 : nx > ny ? -1 : 0;
}

/* The children that run, and whose result goes where. */
struct pool {
	struct compile_run **child;
	struct attempt **attempt;
	size_t n;
};

static void finish_one(struct pool *p, struct attempt *first, struct bpf_code **out, struct diag *d)
{
	size_t i = compile_run_await(p->child, p->n);
	struct attempt *a = p->attempt[i];

	out[a - first] = take_compiled(a, d);
	p->n--;
	p->child[i] = p->child[p->n];
	p->attempt[i] = p->attempt[p->n];
}

/* The longest first: begun last it would run alone in the end. */
static void compile_side_by_side(struct attempt *first, struct attempt **todo, size_t n,
				 struct bpf_code **out, struct diag *d)
{
	size_t at_once = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
	struct pool p = {xcalloc(n + 1, sizeof(*p.child)), xcalloc(n + 1, sizeof(*p.attempt)), 0};

	qsort(todo, n, sizeof(*todo), by_length);
	for (size_t i = 0; i < n; i++) {
		if (p.n == at_once)
			finish_one(&p, first, out, d);
		start_compiler(todo[i], d);
		if (todo[i]->start_err) {
			take_compiled(todo[i], d);
			continue;
		}
		p.attempt[p.n] = todo[i];
		p.child[p.n++] = &todo[i]->child;
	}
	while (p.n)
		finish_one(&p, first, out, d);
	free(p.child);
	free(p.attempt);
}

void bpf_compile_many(const struct bpf_compile_opts *o, size_t n, struct bpf_code **out)
{
	struct attempt *a = xcalloc(n + 1, sizeof(*a));
	struct attempt **todo = xcalloc(n + 1, sizeof(*todo));
	struct diag *quiet = diag_new();
	size_t n_todo = 0, i;

	for (i = 0; i < n; i++)
		if (!begin_attempt(&a[i], &o[i], &out[i], quiet) && !out[i])
			todo[n_todo++] = &a[i];
	if (n_todo)
		compile_side_by_side(a, todo, n_todo, out, quiet);
	for (i = 0; i < n; i++)
		end_attempt(&a[i]);
	free(todo);
	free(a);
	diag_free(quiet);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_helper.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "bpf/counter.h"
#include "bpf/feature.h"
#include "util/buf.h"

PROBE_TARGET(counted_target)

#define PARSE(d, ...)                                                                              \
	counters_parse((const char *const[]){__VA_ARGS__},                                         \
		       sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), d)

static void test_names_of_every_kind(void **state)
{
	struct diag *d = diag_new();
	struct counters *c = PARSE(d, "cycles:u", "L1-dcache-load-misses", "r01C2", "page-faults",
				   "run-delay", "task-clock");

	(void)state;
	assert_non_null(c);
	assert_int_equal(counters_count(c), 6);
	assert_int_equal(counters_get(c, 0)->attr.type, PERF_TYPE_HARDWARE);
	assert_int_equal(counters_get(c, 0)->attr.exclude_kernel, 1);
	assert_int_equal(counters_get(c, 1)->attr.type, PERF_TYPE_HW_CACHE);
	assert_int_equal(counters_get(c, 1)->attr.config, 0x10000);
	assert_int_equal(counters_get(c, 2)->attr.type, PERF_TYPE_RAW);
	assert_int_equal(counters_get(c, 2)->attr.config, 0x1c2);
	assert_int_equal(counters_get(c, 3)->method, COUNTER_TASK);
	assert_string_equal(counters_get(c, 4)->unit, "ns");
	assert_string_equal(counters_get(c, 5)->unit, "ns");
	assert_true(counters_need_offsets(c));
	assert_null(counters_get(c, 6));
	counters_free(c);
	diag_free(d);
}

static void test_every_listed_name_is_known(void **state)
{
	struct diag *d = diag_new();
	size_t i;

	(void)state;
	for (i = 0; counter_name(i); i++) {
		struct counters *c = PARSE(d, counter_name(i));

		assert_non_null(c);
		counters_free(c);
	}
	assert_true(i > 40);
	diag_free(d);
}

static void bad(const char *name, const char *says)
{
	struct diag *d = diag_new();

	assert_null(PARSE(d, name));
	assert_int_equal(diag_count(d, DIAG_ERROR), 1);
	if (!strstr(diag_first_error(d), says))
		fail_msg("'%s' does not say '%s'", diag_first_error(d), says);
	diag_free(d);
}

static void test_wrong_names_are_explained(void **state)
{
	(void)state;
	bad("cycels", "did you mean 'cycles'?");
	bad("page-fautls", "'page-faults'");
	bad("cycles:x", "only :u or :k");
	bad("page-faults:u", "by mode");
	bad("rxyz", "no counter 'rxyz'");
	bad("", "no counter ''");
}

static void test_hardware_that_is_absent_is_said(void **state)
{
	struct diag *d = diag_new();
	struct features *f = features_new();
	struct counters *c = PARSE(d, "task-clock", "cycles");
	int err = counters_check(c, d);

	(void)state;
	if (feature_ok(f, FEATURE_HW_COUNTERS)) {
		assert_int_equal(err, 0);
	} else {
		assert_true(err < 0);
		assert_non_null(strstr(diag_first_error(d), "'cycles'"));
	}
	counters_free(c);
	features_free(f);
	diag_free(d);
}

static void test_too_many_are_refused(void **state)
{
	const char *names[COUNTERS_MAX + 1];
	struct diag *d = diag_new();
	size_t i;

	(void)state;
	for (i = 0; i <= COUNTERS_MAX; i++)
		names[i] = "task-clock";
	assert_null(counters_parse(names, COUNTERS_MAX + 1, d));
	diag_free(d);
}

static const char program[] =
	"#include <uapi/linux/ptrace.h>\n"
	"struct seen { u64 v[4]; u64 rc, tid; };\n"
	"BPF_ARRAY(results, struct seen, 16);\n"
	"static void *(*task_btf)(void) = (void *)158;\n"
	"int on_target(struct pt_regs *ctx) {\n"
	"	u32 k = ctx->di & 15; struct seen *s = results.lookup(&k); u64 v[4];\n"
	"	if (!s) return 0;\n"
	"	s->rc = counters_read(task_btf(), ctx->di >> 8, v);\n"
	"	s->v[0] = v[0]; s->v[1] = v[1]; s->v[2] = v[2]; s->v[3] = v[3];\n"
	"	s->tid = bpf_get_current_pid_tgid();\n"
	"	return 0;\n"
	"}\n";

struct seen {
	uint64_t v[4], rc, tid;
};

struct fixture {
	struct counters *c;
	struct bpf_module *m;
	struct reaper *r;
	struct bpf_links *l;
	struct diag *d;
};

static struct seen seen(const struct fixture *f, uint32_t k)
{
	struct seen s;

	assert_int_equal(kmap_lookup(bpf_module_map_fd(f->m, "results"), &k, &s), 0);
	return s;
}

static void open_fixture(struct fixture *f)
{
	struct bpf_extern ext = {.n = 9};
	struct bpf_load_opts o = {.externs = &ext, .n_externs = 1};
	struct uprobe_site site = {file_offset(counted_target), 0};
	struct uprobe_opts u = {
		.path = "/proc/self/exe", .sites = &site, .n_sites = 1, .pid = getpid()};
	struct task_offsets offsets;
	struct buf text = {0};

	f->d = diag_new();
	f->c = PARSE(f->d, "task-clock", "page-faults");
	assert_int_equal(btf_task_offsets(NULL, &offsets, f->d), 0);
	assert_int_equal(counters_check(f->c, f->d), 0);
	ext.fd = counters_map(f->c, 4, f->d);
	assert_true(ext.fd >= 0);
	counters_text(f->c, &offsets, 9, &text);
	buf_puts(&text, program);
	f->m = must_load(buf_str(&text), &o);
	buf_free(&text);
	f->r = reaper_new();
	f->l = links_new(f->r);
	assert_int_equal(links_uprobes(f->l, bpf_module_prog_fd(f->m, "on_target"), &u, NULL, f->d),
			 0);
}

static void close_fixture(struct fixture *f)
{
	links_free(f->l);
	reaper_flush(f->r, 5000);
	reaper_free(f->r);
	bpf_module_free(f->m);
	counters_free(f->c);
	diag_free(f->d);
}

enum { PAGES = 500 };

static void touch_pages(void)
{
	size_t size = PAGES * 4096, i;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(p, size, MADV_NOHUGEPAGE);
	for (i = 0; i < size; i += 4096)
		p[i] = 1;
	munmap(p, size);
}

static void *other_thread(void *arg)
{
	(void)arg;
	touch_pages();
	counted_target(2); /* with the first thread's slot */
	return NULL;
}

static void test_values_are_the_threads_own(void **state)
{
	struct fixture f;
	struct seen a, b, c;
	pthread_t t;

	(void)state;
	need_bpf();
	open_fixture(&f);
	assert_int_equal(counters_open(f.c, (pid_t)syscall(SYS_gettid), 0, f.d), 0);
	counted_target(0);
	pthread_create(&t, NULL, other_thread, NULL);
	pthread_join(t, NULL);
	touch_pages();
	counted_target(1);
	a = seen(&f, 0);
	b = seen(&f, 1);
	c = seen(&f, 2);
	assert_int_equal(a.rc, 0);
	assert_int_equal(b.rc, 0);
	assert_true(b.v[0] > a.v[0]);
	/* Those of the other thread do not count; a few of our own for its stack do. */
	assert_true(b.v[1] - a.v[1] >= PAGES && b.v[1] - a.v[1] < PAGES + 200);
	/* Somebody else's event is refused rather than misread. */
	assert_int_not_equal(c.rc, 0);
	close_fixture(&f);
}

static void test_slots_close_and_open_again(void **state)
{
	struct fixture f;

	(void)state;
	need_bpf();
	open_fixture(&f);
	assert_int_equal(counters_open(f.c, 0, 3, f.d), 0);
	counted_target(3 << 8);
	assert_int_equal(seen(&f, 0).rc, 0);
	counters_close(f.c, 3);
	counted_target(3 << 8);
	assert_int_not_equal(seen(&f, 0).rc, 0);
	assert_int_equal(counters_open(f.c, 0, 3, f.d), 0);
	counted_target(3 << 8);
	assert_int_equal(seen(&f, 0).rc, 0);
	assert_int_equal(counters_open(f.c, 0x3ffffff, 1, f.d), -ESRCH);
	assert_int_equal(counters_open(f.c, 0, 4, f.d), -ENOSPC);
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_every_kind),
		cmocka_unit_test(test_every_listed_name_is_known),
		cmocka_unit_test(test_wrong_names_are_explained),
		cmocka_unit_test(test_hardware_that_is_absent_is_said),
		cmocka_unit_test(test_too_many_are_refused),
		cmocka_unit_test(test_values_are_the_threads_own),
		cmocka_unit_test(test_slots_close_and_open_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_helper.h"

#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include "bpf/feature.h"
#include "bpf/tracefs.h"

PROBE_TARGET(first_target)
PROBE_TARGET(second_target)

static const char count_text[] = "#include <uapi/linux/ptrace.h>\n"
				 "BPF_ARRAY(hits, u64, 8);\n"
				 "static u64 (*cookie)(void *) = (void *)174;\n"
				 "int by_cookie(struct pt_regs *ctx) {\n"
				 "	u32 k = cookie(ctx) & 7; u64 *v = hits.lookup(&k);\n"
				 "	if (v) __sync_fetch_and_add(v, 1);\n"
				 "	return 0;\n"
				 "}\n"
				 "int plain(struct pt_regs *ctx) {\n"
				 "	u32 k = 0; u64 *v = hits.lookup(&k);\n"
				 "	if (v) __sync_fetch_and_add(v, 1);\n"
				 "	return 0;\n"
				 "}\n"
				 "int tp_btf__sched_switch(u64 *ctx) {\n"
				 "	u32 k = 5; u64 *v = hits.lookup(&k);\n"
				 "	if (v) __sync_fetch_and_add(v, 1);\n"
				 "	return 0;\n"
				 "}\n"
				 "int raw_tracepoint__sched_switch(void *ctx) {\n"
				 "	u32 k = 6; u64 *v = hits.lookup(&k);\n"
				 "	if (v) __sync_fetch_and_add(v, 1);\n"
				 "	return 0;\n"
				 "}\n"
				 "int tracepoint__sched__sched_switch(void *ctx) {\n"
				 "	u32 k = 7; u64 *v = hits.lookup(&k);\n"
				 "	if (v) __sync_fetch_and_add(v, 1);\n"
				 "	return 0;\n"
				 "}\n";

static uint64_t hits(const struct bpf_module *m, uint32_t k)
{
	uint64_t v = 0;

	assert_int_equal(kmap_lookup(bpf_module_map_fd(m, "hits"), &k, &v), 0);
	return v;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

/* CAP_BPF and CAP_PERFMON do for multi links, but not for these. */
static void need_feature(enum feature what)
{
	struct features *f = features_new();
	bool ok = feature_ok(f, what);

	features_free(f);
	if (!ok)
		skip();
}

struct fixture {
	struct bpf_module *m;
	struct reaper *r;
	struct bpf_links *l;
	struct diag *d;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	need_bpf();
	f->m = must_load(count_text, NULL);
	f->r = reaper_new();
	f->l = links_new(f->r);
	f->d = diag_new();
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	links_free(f->l);
	if (f->r)
		assert_int_equal(reaper_flush(f->r, 5000), 0);
	reaper_free(f->r);
	bpf_module_free(f->m);
	diag_free(f->d);
	free(f);
	return 0;
}

static void attach_both(struct fixture *f, const char *prog, enum link_method method,
			struct uprobe_result *res)
{
	const struct uprobe_site sites[] = {{file_offset(first_target), 1},
					    {file_offset(second_target), 2}};
	struct uprobe_opts o = {.path = "/proc/self/exe",
				.sites = sites,
				.n_sites = 2,
				.pid = getpid(),
				.method = method};
	int err = links_uprobes(f->l, bpf_module_prog_fd(f->m, prog), &o, res, f->d);

	if (err)
		diag_print(f->d, stderr, DIAG_STYLE_FIELD, false);
	assert_int_equal(err, 0);
	assert_int_equal(res->attached, 2);
	assert_int_equal(res->failed, 0);
	assert_int_equal(links_sites(f->l), 2);
}

static void call_both(void)
{
	int i;

	for (i = 0; i < 7; i++)
		first_target(i);
	for (i = 0; i < 5; i++)
		second_target(i);
}

static void test_auto_attaches_with_cookies(void **state)
{
	struct fixture *f = *state;
	struct uprobe_result res;

	attach_both(f, "by_cookie", LINK_AUTO, &res);
	call_both();
	if (!res.cookies)
		skip();
	assert_int_equal(hits(f->m, 1), 7);
	assert_int_equal(hits(f->m, 2), 5);
}

static void test_perf_events_attach(void **state)
{
	struct fixture *f = *state;
	struct uprobe_result res;

	need_feature(FEATURE_UPROBE_PMU);
	attach_both(f, "by_cookie", LINK_PERF, &res);
	assert_int_equal(res.method, LINK_PERF);
	call_both();
	if (res.cookies) {
		assert_int_equal(hits(f->m, 1), 7);
		assert_int_equal(hits(f->m, 2), 5);
	} else {
		assert_int_equal(hits(f->m, 0), 12);
	}
}

static bool has_our_events(void)
{
	int dir = tracefs_open();
	struct buf b = {0};
	char group[32];
	bool found;

	snprintf(group, sizeof(group), "llmprobe_%d/", getpid());
	assert_true(dir >= 0);
	assert_int_equal(tracefs_read(dir, "uprobe_events", &b), 0);
	found = strstr(buf_str(&b), group) != NULL;
	buf_free(&b);
	close(dir);
	return found;
}

static void test_tracefs_event_attaches_and_goes(void **state)
{
	struct fixture *f = *state;
	struct uprobe_result res;

	need_feature(FEATURE_TRACEFS);
	attach_both(f, "plain", LINK_TRACEFS, &res);
	assert_int_equal(res.method, LINK_TRACEFS);
	assert_true(has_our_events());
	call_both();
	assert_int_equal(hits(f->m, 0), 12);
	links_free(f->l);
	f->l = NULL;
	assert_int_equal(reaper_flush(f->r, 5000), 0);
	assert_false(has_our_events());
}

static void test_events_of_the_dead_are_removed(void **state)
{
	struct fixture *f = *state;
	struct uprobe_result res;
	pid_t pid;
	int dir;

	need_feature(FEATURE_TRACEFS);
	pid = fork();
	if (!pid) {
		attach_both(f, "plain", LINK_TRACEFS, &res);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	dir = tracefs_open();
	assert_true(dir >= 0);
	assert_true(tracefs_clean_stale(dir) >= 1);
	assert_int_equal(tracefs_clean_stale(dir), 0);
	close(dir);
}

static void test_session_runs_at_both_ends(void **state)
{
	struct fixture *f = *state;
	const struct bpf_program_kind kind = {"plain", BPF_KIND_SESSION, NULL};
	const char *only[] = {"plain"};
	struct bpf_load_opts lo = {.kinds = &kind, .n_kinds = 1, .only = only, .n_only = 1};
	const struct uprobe_site site = {file_offset(first_target), 0};
	struct uprobe_opts o = {
		.path = "/proc/self/exe", .sites = &site, .n_sites = 1, .session = true};
	struct bpf_module *m;

	need_feature(FEATURE_UPROBE_SESSION);
	m = must_load(count_text, &lo);
	assert_int_equal(links_uprobes(f->l, bpf_module_prog_fd(m, "plain"), &o, NULL, f->d), 0);
	call_both();
	assert_int_equal(hits(m, 0), 14);
	bpf_module_free(m);
}

static void test_detach_does_not_wait(void **state)
{
	struct fixture *f = *state;
	struct uprobe_result res;
	uint64_t start, free_us;

	need_feature(FEATURE_UPROBE_PMU);
	attach_both(f, "by_cookie", LINK_PERF, &res);
	start = now_us();
	links_free(f->l);
	free_us = now_us() - start;
	f->l = NULL;
	assert_int_equal(reaper_flush(f->r, 5000), 0);
	/* Two perf events take the kernel a fifth of a second; 100 ms are what a user may wait. */
	assert_true(free_us < 100000);
	call_both();
	assert_int_equal(hits(f->m, 1), 0);
}

static void test_exit_does_not_wait(void **state)
{
	struct fixture *f = *state;
	struct uprobe_result res;
	uint64_t start;
	pid_t pid;
	int pipefd[2];
	char c;

	need_feature(FEATURE_UPROBE_PMU);
	assert_int_equal(pipe(pipefd), 0);
	pid = fork();
	if (!pid) {
		close(pipefd[0]);
		attach_both(f, "by_cookie", LINK_PERF, &res);
		links_free(f->l);
		start = now_us();
		if (write(pipefd[1], &start, sizeof(start)) < 0)
			_exit(1);
		_exit(0);
	}
	close(pipefd[1]);
	assert_int_equal(read(pipefd[0], &start, sizeof(start)), sizeof(start));
	/* The end of the pipe shows that the detaching child does not hold our descriptors. */
	assert_int_equal(read(pipefd[0], &c, 1), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(now_us() - start < 100000);
	close(pipefd[0]);
}

static void test_bad_site_leaves_the_others(void **state)
{
	struct fixture *f = *state;
	/* Beyond the file's end there is nothing to probe. */
	const struct uprobe_site sites[] = {
		{file_offset(first_target), 1}, {1ull << 40, 3}, {file_offset(second_target), 2}};
	struct uprobe_opts o = {.path = "/proc/self/exe", .sites = sites, .n_sites = 3};
	struct uprobe_result res;

	assert_int_equal(links_uprobes(f->l, bpf_module_prog_fd(f->m, "by_cookie"), &o, &res, f->d),
			 0);
	assert_int_equal(res.attached, 2);
	assert_int_equal(res.failed, 1);
	assert_int_equal(diag_count(f->d, DIAG_WARNING), 1);
	call_both();
	assert_int_equal(hits(f->m, 1), 7);
	assert_int_equal(hits(f->m, 2), 5);
}

static void test_missing_file_is_one_error(void **state)
{
	struct fixture *f = *state;
	const struct uprobe_site sites[] = {{16, 1}, {32, 2}};
	struct uprobe_opts o = {.path = "/nonexistent/lib.so", .sites = sites, .n_sites = 2};

	assert_int_equal(links_uprobes(f->l, bpf_module_prog_fd(f->m, "by_cookie"), &o, NULL, f->d),
			 -ENOENT);
	assert_int_equal(diag_count(f->d, DIAG_ERROR), 1);
	assert_non_null(strstr(diag_first_error(f->d), "/nonexistent/lib.so"));
}

static void test_kernel_tracepoints(void **state)
{
	struct fixture *f = *state;

	need_feature(FEATURE_TRACEFS);
	assert_int_equal(
		links_tracing(f->l, bpf_module_prog_fd(f->m, "tp_btf__sched_switch"), f->d), 0);
	assert_int_equal(
		links_raw_tracepoint(f->l, bpf_module_prog_fd(f->m, "raw_tracepoint__sched_switch"),
				     "sched_switch", f->d),
		0);
	assert_int_equal(
		links_tracepoint(f->l, bpf_module_prog_fd(f->m, "tracepoint__sched__sched_switch"),
				 "sched", "sched_switch", f->d),
		0);
	assert_int_equal(
		links_tracepoint(f->l, bpf_module_prog_fd(f->m, "tracepoint__sched__sched_switch"),
				 "sched", "no_such_event", f->d),
		-ENOENT);
	usleep(20000);
	assert_true(hits(f->m, 5) > 0);
	assert_true(hits(f->m, 6) > 0);
	assert_true(hits(f->m, 7) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_auto_attaches_with_cookies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_perf_events_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tracefs_event_attaches_and_goes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_events_of_the_dead_are_removed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_session_runs_at_both_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_detach_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exit_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_site_leaves_the_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_file_is_one_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kernel_tracepoints, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

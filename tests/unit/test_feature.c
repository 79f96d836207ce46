/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_helper.h"

#include <sys/wait.h>
#include <time.h>

#include "bpf/feature.h"

static void test_every_feature_has_an_answer(void **state)
{
	struct features *f = features_new();
	int i;

	(void)state;
	for (i = 0; i < FEATURE_COUNT; i++) {
		const struct feature_result *r = feature_get(f, i);

		assert_true(strlen(feature_name(i)) > 0);
		assert_true(strlen(feature_purpose(i)) > 0);
		if (r->ok) {
			assert_int_equal(r->err, 0);
			assert_string_equal(r->reason, "");
		} else {
			assert_true(r->err < 0);
			assert_true(strlen(r->reason) > 0);
			assert_true(strlen(r->fix) > 0);
		}
		assert_ptr_equal(feature_get(f, i), r);
	}
	features_free(f);
}

static void test_root_has_what_the_kernel_has(void **state)
{
	struct features *f = features_new();
	uint32_t v;

	(void)state;
	need_bpf();
	v = feature_kernel_version(f);
	assert_true(feature_ok(f, FEATURE_BPF));
	assert_int_equal(feature_ok(f, FEATURE_RINGBUF), v >= (5 << 16 | 8 << 8));
	assert_int_equal(feature_ok(f, FEATURE_UPROBE_MULTI), v >= (6 << 16 | 6 << 8));
	assert_int_equal(feature_ok(f, FEATURE_BPF_LOOP), v >= (5 << 16 | 17 << 8));
	assert_int_equal(feature_ok(f, FEATURE_ATTACH_COOKIE), v >= (5 << 16 | 15 << 8));
	features_free(f);
}

static void test_all_of_them_are_cheap(void **state)
{
	struct features *f = features_new();
	struct timespec a, b;
	double ms;
	int i;

	(void)state;
	/* Once for the cache of BTF ids. */
	feature_get(f, FEATURE_TP_BTF);
	features_free(f);
	f = features_new();
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < FEATURE_COUNT; i++)
		feature_get(f, i);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ms = (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6;
	print_message("all features: %.1f ms\n", ms);
	assert_true(ms < 200);
	features_free(f);
}

/* In a child that has become nobody. */
static void test_without_rights_the_fix_is_named(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	pid = fork();
	if (!pid) {
		struct features *f = features_new();
		const struct feature_result *r;

		if (setgid(65534) || setuid(65534))
			_exit(2);
		r = feature_get(f, FEATURE_BPF);
		if (r->ok || !strstr(r->fix, "CAP_BPF"))
			_exit(3);
		if (strcmp(feature_caps_missing(f, false), "CAP_BPF, CAP_PERFMON") != 0)
			_exit(4);
		if (!strstr(feature_caps_missing(f, true), "CAP_SYS_PTRACE"))
			_exit(5);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_feature_has_an_answer),
		cmocka_unit_test(test_root_has_what_the_kernel_has),
		cmocka_unit_test(test_all_of_them_are_cheap),
		cmocka_unit_test(test_without_rights_the_fix_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

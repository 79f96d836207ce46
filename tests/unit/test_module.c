/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_helper.h"

#include <errno.h>

#include "bpf/kbtf.h"

static const char text[] = "BPF_HASH(first, u32, u64, 16);\n"
			   "BPF_ARRAY(second, u64, 4);\n"
			   "int run__add(u64 *ctx) {\n"
			   "	u32 k = ctx[0]; u64 one = 1, *v = first.lookup(&k);\n"
			   "	if (v) (*v)++; else first.update(&k, &one);\n"
			   "	return 5;\n"
			   "}\n"
			   "int other(void *ctx) { return 0; }\n";

static void test_maps_and_programs_have_names(void **state)
{
	struct bpf_module *m;
	int fd = -1;

	(void)state;
	need_bpf();
	m = must_load(text, NULL);
	assert_true(bpf_module_prog_fd(m, "run__add") >= 0);
	assert_true(bpf_module_prog_fd(m, "other") >= 0);
	assert_int_equal(bpf_module_prog_fd(m, "none"), -ENOENT);
	assert_int_equal(bpf_module_map_fd(m, "none"), -ENOENT);
	assert_non_null(bpf_module_map(m, 1, &fd));
	assert_true(fd >= 0);
	assert_null(bpf_module_map(m, 2, NULL));
	assert_non_null(bpf_module_prog(m, 1, NULL));
	assert_null(bpf_module_prog(m, 2, NULL));
	bpf_module_free(m);
}

static void test_programs_run_on_request(void **state)
{
	struct bpf_module *m;
	uint64_t args[1] = {3}, v = 0;
	uint32_t k = 3;

	(void)state;
	need_bpf();
	m = must_load(text, NULL);
	assert_int_equal(bpf_module_run(m, "run__add", args, sizeof(args)), 5);
	assert_int_equal(bpf_module_run(m, "run__add", args, sizeof(args)), 5);
	assert_int_equal(kmap_lookup(bpf_module_map_fd(m, "first"), &k, &v), 0);
	assert_int_equal(v, 2);
	assert_int_equal(bpf_module_run(m, "none", NULL, 0), -ENOENT);
	bpf_module_free(m);
}

static uint32_t bigger(void *ctx, const struct code_map *map)
{
	(void)ctx;
	return strcmp(map->name, "first") ? 0 : 99;
}

static void test_options_choose_size_and_programs(void **state)
{
	const char *only[] = {"other"};
	struct bpf_load_opts o = {.only = only, .n_only = 1, .map_size = bigger};
	struct kmap_info info;
	struct bpf_module *m;

	(void)state;
	need_bpf();
	m = must_load(text, &o);
	assert_int_equal(bpf_module_prog_fd(m, "run__add"), -ENOENT);
	assert_int_equal(kmap_info(bpf_module_map_fd(m, "first"), &info), 0);
	assert_int_equal(info.max_entries, 99);
	assert_int_equal(kmap_info(bpf_module_map_fd(m, "second"), &info), 0);
	assert_int_equal(info.max_entries, 4);
	bpf_module_free(m);
}

/* Loads what must be refused; returns the message. */
static void refused(const char *bad, const struct bpf_load_opts *o, const char *says)
{
	struct bpf_code *code = must_compile(bad);
	struct diag *d = diag_new();

	assert_null(bpf_module_load(code, o, d));
	if (!strstr(diag_first_error(d), says))
		fail_msg("'%s' does not say '%s'", diag_first_error(d), says);
	bpf_code_free(code);
	diag_free(d);
}

static void test_refusals_name_program_and_reason(void **state)
{
	const char *only[] = {"missing"};
	struct bpf_load_opts o = {.only = only, .n_only = 1};

	(void)state;
	need_bpf();
	refused("int bad(void *ctx) { return *(volatile int *)0x1234; }\n", NULL,
		"program bad: the kernel's verifier refused it");
	refused("int bad(void *ctx) { return *(volatile int *)0x1234; }\n", NULL, "mem access");
	refused("static void *(*lookup)(void *, const void *) = (void *)1;\n"
		"int f(void *ctx) { u32 k = 0; return lookup(EXTERN_MAP(8), &k) != 0; }\n",
		NULL, "EXTERN_MAP(8)");
	refused(text, &o, "no program 'missing'");
	refused("int tp_btf__no_such_event(u64 *ctx) { return 0; }\n", NULL, "no_such_event");
}

static void test_kinds_follow_names(void **state)
{
	const char *target;

	(void)state;
	assert_int_equal(bpf_kind_of_name("tp_btf__sched_switch", &target), BPF_KIND_TP_BTF);
	assert_string_equal(target, "sched_switch");
	assert_int_equal(bpf_kind_of_name("on_entry", &target), BPF_KIND_UPROBE);
	assert_null(target);
	assert_int_equal(bpf_kind_of_name("run__begin", &target), BPF_KIND_RAW_TRACEPOINT);
}

static void test_run_counts(void **state)
{
	struct bpf_run_stats before, after;
	struct bpf_module *m;
	uint64_t args[1] = {0};
	int stats, i;

	(void)state;
	need_bpf();
	stats = bpf_stats_enable();
	if (stats < 0)
		skip();
	m = must_load(text, NULL);
	assert_int_equal(bpf_prog_run_stats(bpf_module_prog_fd(m, "run__add"), &before), 0);
	for (i = 0; i < 10; i++)
		bpf_module_run(m, "run__add", args, sizeof(args));
	assert_int_equal(bpf_prog_run_stats(bpf_module_prog_fd(m, "run__add"), &after), 0);
	assert_int_equal(after.run_cnt - before.run_cnt, 10);
	assert_true(after.run_ns > before.run_ns);
	bpf_module_free(m);
	close(stats);
}

static void test_task_offsets_agree_with_the_kernel(void **state)
{
	static const char read_pid[] =
		"static void *(*task)(void) = (void *)35;\n"
		"static long (*read)(void *, u32, const void *) = (void *)113;\n"
		"int run__pid(u64 *ctx) {\n"
		"	u32 pid = 0; read(&pid, 4, (char *)task() + TASK_OFF_PID);\n"
		"	return pid;\n"
		"}\n";
	struct task_offsets o;
	struct diag *d = diag_new();
	struct buf all = {0};
	struct bpf_module *m;
	uint64_t args[1] = {0};

	(void)state;
	need_bpf();
	assert_int_equal(btf_task_offsets(NULL, &o, d), 0);
	btf_task_defines(&o, &all);
	buf_puts(&all, read_pid);
	m = must_load(buf_str(&all), NULL);
	assert_int_equal(bpf_module_run(m, "run__pid", args, sizeof(args)), getpid());
	assert_true(o.at[TASK_SUM_EXEC_RUNTIME] > 0);
	bpf_module_free(m);
	buf_free(&all);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps_and_programs_have_names),
		cmocka_unit_test(test_programs_run_on_request),
		cmocka_unit_test(test_options_choose_size_and_programs),
		cmocka_unit_test(test_refusals_name_program_and_reason),
		cmocka_unit_test(test_kinds_follow_names),
		cmocka_unit_test(test_run_counts),
		cmocka_unit_test(test_task_offsets_agree_with_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

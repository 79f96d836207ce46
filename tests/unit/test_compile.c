/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "bpf/compile_log.h"
#include "bpf/headers.h"
#include "util/file.h"

static const char good[] = "#include <uapi/linux/ptrace.h>\n"
			   "BPF_HASH(calls, u32, u64, 50);\n"
			   "int on_call(struct pt_regs *ctx) {\n"
			   "	u32 k = PT_REGS_PARM1(ctx); calls.increment(k);\n"
			   "	return 0;\n"
			   "}\n";

static char *printed(const struct diag *d)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	diag_print(d, f, DIAG_STYLE_FIELD, false);
	fclose(f);
	return text;
}

static void test_program_and_map_come_out(void **state)
{
	struct bpf_code *code;
	const struct code_map *map;

	(void)state;
	need_bpf();
	code = must_compile(good);
	map = bpf_code_map(code, "calls");
	assert_non_null(map);
	assert_int_equal(map->type, BPF_MAP_TYPE_HASH);
	assert_int_equal(map->key_size, 4);
	assert_int_equal(map->value_size, 8);
	assert_int_equal(map->max_entries, 50);
	assert_string_equal(map->leaf_desc, "\"unsigned long long\"");
	assert_non_null(bpf_code_program(code, "on_call"));
	assert_true(code->programs[0].n_relocs > 0);
	bpf_code_free(code);
}

static void test_this_process_never_loads_the_compiler(void **state)
{
	struct buf maps = {0};

	(void)state;
	need_bpf();
	bpf_code_free(must_compile(good));
	assert_int_equal(file_read("/proc/self/maps", &maps, 0), 0);
	assert_null(strstr(buf_str(&maps), "libbcc.so"));
	assert_null(strstr(buf_str(&maps), "libLLVM"));
	buf_free(&maps);
}

static void test_errors_name_file_and_line(void **state)
{
	struct bpf_compile_opts o = {.text = "#line 10 \"probes/x.c\"\n"
					     "int f(void *ctx) {\n"
					     "	return nonsense;\n"
					     "}\n"};
	struct diag *d = diag_new();
	char *out;

	(void)state;
	need_bpf();
	assert_null(bpf_compile(&o, d));
	out = printed(d);
	assert_non_null(strstr(out, "probes/x.c:11:9: error: use of undeclared identifier"));
	assert_non_null(strstr(out, "return nonsense;"));
	free(out);
	diag_free(d);
}

static void test_second_time_comes_from_the_cache(void **state)
{
	char dir[] = "/tmp/llmprobe-test-XXXXXX", *command;
	struct diag *d = diag_new();
	struct bpf_code *code[3];
	bool cached[3];
	uint64_t ns[3];
	int i;

	(void)state;
	need_bpf();
	assert_non_null(mkdtemp(dir));
	for (i = 0; i < 3; i++) {
		const char *flag = i == 2 ? "-DOTHER=1" : "-DOTHER=0";
		struct bpf_compile_opts o = {.text = good,
					     .cflags = &flag,
					     .n_cflags = 1,
					     .cache_dir = dir,
					     .from_cache = &cached[i],
					     .took_ns = &ns[i]};

		code[i] = bpf_compile(&o, d);
		assert_non_null(code[i]);
	}
	print_message("cold %.1f ms, cached %.2f ms\n", ns[0] / 1e6, ns[1] / 1e6);
	assert_false(cached[0]);
	assert_true(cached[1]);
	assert_false(cached[2]);
	assert_int_equal(code[0]->programs[0].n_insns, code[1]->programs[0].n_insns);
	assert_memory_equal(code[0]->programs[0].insns, code[1]->programs[0].insns,
			    code[0]->programs[0].n_insns * sizeof(struct bpf_insn));
	for (i = 0; i < 3; i++)
		bpf_code_free(code[i]);
	command = xasprintf("rm -r %s", dir);
	assert_int_equal(system(command), 0);
	free(command);
	diag_free(d);
}

static void test_slow_compiler_is_ended(void **state)
{
	struct bpf_compile_opts o = {.text = good, .timeout_ms = 1};
	struct diag *d = diag_new();

	(void)state;
	assert_null(bpf_compile(&o, d));
	assert_non_null(strstr(diag_first_error(d), "did not finish within 1 ms"));
	diag_free(d);
}

/* probes/lean.h stands for libbcc's headers; the code loads however it was optimised. */
static void test_lean_text_loads(void **state)
{
	struct diag *d = diag_new();
	struct buf text = {0};

	(void)state;
	need_bpf();
	assert_int_equal(data_file_include(&text, "probes/lean.h", d), 0);
	buf_puts(&text, "static int twice(u64 v) { return (int)(2 * v); }\n"
			"int on_call(struct pt_regs *ctx)\n"
			"{ return twice(PT_REGS_PARM2(ctx) + PT_REGS_IP(ctx)) != 0; }\n");
	for (int once = 0; once < 2; once++) {
		struct bpf_compile_opts o = {.text = buf_str(&text),
					     .name = "lean",
					     .lean = true,
					     .optimise_once = once};
		struct bpf_code *code = must_compile_with(&o);
		struct bpf_module *m = bpf_module_load(code, NULL, d);

		assert_non_null(m);
		assert_true(bpf_module_prog_fd(m, "on_call") >= 0);
		bpf_module_free(m);
		bpf_code_free(code);
	}
	buf_free(&text);
	diag_free(d);
}

/* Each result is that of its own text, in whatever order they are compiled. */
static void test_many_at_once(void **state)
{
	struct bpf_compile_opts o[4] = {
		{.text = "int a(void *ctx) { return 0; }\n"},
		{.text = "int b(void *ctx) { return nothing; }\n"},
		{.text = good},
		{.text = "int c(void *ctx) { return 0; } /* and more than the first */\n"},
	};
	struct bpf_code *out[4] = {NULL};

	(void)state;
	need_bpf();
	bpf_compile_many(o, ARRAY_LEN(o), out);
	assert_non_null(bpf_code_program(out[0], "a"));
	assert_null(out[1]);
	assert_non_null(bpf_code_program(out[2], "on_call"));
	assert_non_null(bpf_code_program(out[3], "c"));
	for (size_t i = 0; i < ARRAY_LEN(o); i++)
		bpf_code_free(out[i]);
}

static void test_extern_maps_are_kept_apart(void **state)
{
	static const char text[] = "static void *(*lookup)(void *, const void *) = (void *)1;\n"
				   "int f(void *ctx) {\n"
				   "	u32 k = 0; u64 *a = lookup(EXTERN_MAP(3), &k), *b;\n"
				   "	b = lookup(EXTERN_MAP(4000), &k);\n"
				   "	if (a && b) *a = *b;\n"
				   "	return 0;\n"
				   "}\n";
	struct bpf_code *code;

	(void)state;
	need_bpf();
	code = must_compile(text);
	assert_int_equal(code->programs[0].n_relocs, 2);
	assert_int_equal(code->programs[0].relocs[0].kind, CODE_RELOC_EXTERN);
	assert_int_equal(code->programs[0].relocs[0].index, 3);
	assert_int_equal(code->programs[0].relocs[1].index, 4000);
	bpf_code_free(code);
}

static void test_tracepoint_formats_are_found(void **state)
{
	static const char text[] = "BPF_ARRAY(last, u32, 1);\n"
				   "TRACEPOINT_PROBE(sched, sched_switch) {\n"
				   "	u32 k = 0, pid = args->prev_pid;\n"
				   "	last.update(&k, &pid);\n"
				   "	return 0;\n"
				   "}\n";
	struct bpf_code *code;

	(void)state;
	need_bpf();
	code = must_compile(text);
	assert_non_null(bpf_code_program(code, "tracepoint__sched__sched_switch"));
	bpf_code_free(code);
}

static void test_real_headers_are_asked_for_by_name(void **state)
{
	struct diag *d = diag_new();
	bool stubs;
	char *out;

	(void)state;
	assert_int_equal(
		headers_choose("#include <linux/sched.h>\n#include <uapi/linux/ptrace.h>\n",
			       "1.2.3-none", &stubs, d),
		0);
	assert_true(stubs);
	if (getenv("BCC_KERNEL_SOURCE") || !access("/sys/kernel/kheaders.tar.xz", R_OK))
		skip();
	assert_int_equal(
		headers_choose("int x;\n  # include <linux/fs.h>\n", "1.2.3-none", &stubs, d),
		-ENOENT);
	out = printed(d);
	assert_non_null(strstr(out, ":2:14: error: <linux/fs.h>"));
	assert_non_null(strstr(out, "linux-headers-1.2.3-none"));
	free(out);
	assert_int_equal(headers_choose("int x;\n#line 1 \"mine.c\"\n\n#include <net/sock.h>\n",
					"1.2.3-none", &stubs, d),
			 -ENOENT);
	out = printed(d);
	assert_non_null(strstr(out, "mine.c:2:11: error: <net/sock.h>"));
	assert_non_null(strstr(out, "\n#include <net/sock.h>\n"));
	free(out);
	diag_free(d);
}

static void test_clang_output_becomes_messages(void **state)
{
	static const char log[] = "In file included from <built-in>:2:\n"
				  "a.c:3:7: warning: unused variable 'x' [-Wunused]\n"
				  "  int x;\n"
				  "      ^\n"
				  "dir/b.c:9:2: fatal error: 'q.h' file not found\n"
				  "#include \"q.h\"\n"
				  "         ^~~~~\n"
				  "bpf: Failed to load program: Invalid argument, error 22\n"
				  "2 errors generated.\n";
	struct diag *d = diag_new();
	char *out;

	(void)state;
	compile_log_to_diag(log, strlen(log), d);
	assert_int_equal(diag_count(d, DIAG_WARNING), 1);
	assert_int_equal(diag_count(d, DIAG_ERROR), 2);
	out = printed(d);
	assert_non_null(strstr(out, "a.c:3:7: warning: unused variable 'x' [-Wunused]"));
	assert_non_null(strstr(out, "dir/b.c:9:2: error: 'q.h' file not found"));
	assert_null(strstr(out, "generated"));
	free(out);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program_and_map_come_out),
		cmocka_unit_test(test_this_process_never_loads_the_compiler),
		cmocka_unit_test(test_errors_name_file_and_line),
		cmocka_unit_test(test_second_time_comes_from_the_cache),
		cmocka_unit_test(test_slow_compiler_is_ended),
		cmocka_unit_test(test_lean_text_loads),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_extern_maps_are_kept_apart),
		cmocka_unit_test(test_tracepoint_formats_are_found),
		cmocka_unit_test(test_real_headers_are_asked_for_by_name),
		cmocka_unit_test(test_clang_output_becomes_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

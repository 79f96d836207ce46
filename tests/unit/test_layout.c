/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#include "fixtures/fake_ggml.h"
#include "target/layout.h"

static char dir[] = "/tmp/llmprobe-layout-XXXXXX";

struct case_ {
	struct diag *d;
	struct elf *elf;
	struct layout *l;
};

static void build(const char *flags, const char *name)
{
	char *cmd = xasprintf("cc -shared -fPIC -w %s -o %s/%s tests/unit/fixtures/fake_ggml.c",
			      flags, dir, name);

	assert_int_equal(system(cmd), 0);
	free(cmd);
}

static struct case_ infer(const char *name, bool no_dwarf, bool no_symbols)
{
	char *path = xasprintf("%s/%s", dir, name);
	struct case_ c = {.d = diag_new()};
	struct layout_sources src = {
		.files = &c.elf, .count = 1, .no_dwarf = no_dwarf, .no_symbols = no_symbols};

	c.elf = elf_open(path, c.d);
	assert_non_null(c.elf);
	c.l = layout_infer(&src, c.d);
	free(path);
	return c;
}

static void end(struct case_ *c)
{
	layout_free(c->l);
	elf_close(c->elf);
	diag_free(c->d);
}

static void expect(const struct case_ *c, enum layout_field f, long value, enum layout_how how)
{
	const struct layout_value *v = layout_value(c->l, f);

	if (v->value != value || v->how != how)
		fail_msg("%s is %d (%s: %s), not %ld (%s)", layout_field_name(f), v->value,
			 layout_how_name(v->how), v->source, value, layout_how_name(how));
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	build("-O2", "now.so");
	build("-O2 -g", "debug.so");
	build("-O2 -DFAKE_OLD", "old.so");
	build("-O2 -DFAKE_MAX_NAME=160", "longname.so");
	build("-O0", "o0.so");
	return 0;
}

static int teardown(void **state)
{
	char *cmd = xasprintf("rm -rf %s", dir);
	int rc = system(cmd);

	(void)state;
	free(cmd);
	return rc;
}

#define T(member) ((long)offsetof(struct ggml_tensor, member))

static void test_accessors_give_the_offsets(void **state)
{
	struct case_ c = infer("now.so", true, false);

	(void)state;
	assert_non_null(c.l);
	expect(&c, LAYOUT_TENSOR_SIZE, sizeof(struct ggml_tensor), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_NE, T(ne), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_NE_WIDTH, 8, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_NB, T(nb), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_OP, T(op), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_OP_PARAMS, T(op_params), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_FLAGS, T(flags), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_SRC, T(src), LAYOUT_CONSTRUCTOR);
	expect(&c, LAYOUT_TENSOR_N_SRC, 10, LAYOUT_TABLE);
	expect(&c, LAYOUT_TENSOR_VIEW_SRC, T(view_src), LAYOUT_TABLE);
	expect(&c, LAYOUT_TENSOR_DATA, T(data), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_NAME, T(name), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_NAME_LEN, 64, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_EXTRA, T(extra), LAYOUT_DERIVED);
	expect(&c, LAYOUT_CGRAPH_N_NODES, offsetof(struct ggml_cgraph, n_nodes), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_CGRAPH_NODES, offsetof(struct ggml_cgraph, nodes), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_CPLAN_N_THREADS, 16, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_BACKEND_GRAPH_COMPUTE, 88, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_BACKEND_DEVICE, offsetof(struct ggml_backend, device), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_BACKEND_GUID, 0, LAYOUT_DERIVED);
	expect(&c, LAYOUT_SCHED_N_BACKENDS, 4, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_SCHED_BACKENDS, 8, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_BATCH_SIZE, sizeof(struct llama_batch), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_CGRAPH_UID, -1, LAYOUT_UNKNOWN);
	assert_int_equal(diag_count(c.d, DIAG_WARNING), 0);
	end(&c);
}

static void test_names_and_types(void **state)
{
	struct case_ c = infer("now.so", true, false);

	(void)state;
	assert_int_equal(layout_op_count(c.l), 12);
	assert_string_equal(layout_op_name(c.l, 4), "MUL_MAT");
	assert_null(layout_op_name(c.l, 12));
	assert_int_equal(layout_op_number(c.l, "GLU"), 11);
	assert_int_equal(layout_op_number(c.l, "NOSUCH"), -1);
	assert_int_equal(layout_unary_count(c.l), 10);
	assert_string_equal(layout_unary_name(c.l, 9), "SILU");
	assert_int_equal(layout_type_count(c.l), 10);
	assert_string_equal(layout_type(c.l, 8)->name, "q8_0");
	assert_int_equal(layout_type(c.l, 8)->blck, 32);
	assert_int_equal(layout_type(c.l, 8)->size, 34);
	assert_string_equal(layout_type(c.l, 4)->name, "");
	assert_int_equal(layout_type(c.l, 5)->size, 0);
	assert_null(layout_type(c.l, 10));
	assert_string_equal(layout_version(c.l), "9.8.7");
	assert_string_equal(layout_commit(c.l), "cafe123");
	end(&c);
}

static void test_dwarf_wins(void **state)
{
	struct case_ c = infer("debug.so", false, false);

	(void)state;
	expect(&c, LAYOUT_TENSOR_SIZE, sizeof(struct ggml_tensor), LAYOUT_DWARF);
	expect(&c, LAYOUT_TENSOR_BUFFER, T(buffer), LAYOUT_DWARF);
	expect(&c, LAYOUT_TENSOR_NE_WIDTH, 8, LAYOUT_DWARF);
	expect(&c, LAYOUT_TENSOR_N_SRC, 10, LAYOUT_DWARF);
	expect(&c, LAYOUT_TENSOR_NAME_LEN, 64, LAYOUT_DWARF);
	expect(&c, LAYOUT_TENSOR_VIEW_SRC, T(view_src), LAYOUT_DWARF);
	expect(&c, LAYOUT_CGRAPH_LEAFS, offsetof(struct ggml_cgraph, leafs), LAYOUT_DWARF);
	expect(&c, LAYOUT_CGRAPH_NODES_INLINE, 0, LAYOUT_DWARF);
	expect(&c, LAYOUT_BACKEND_GRAPH_COMPUTE, 88, LAYOUT_DWARF);
	assert_int_equal(diag_count(c.d, DIAG_WARNING), 0);
	end(&c);
}

static void test_separate_debug_file(void **state)
{
	char *cmd = xasprintf("cd %s && cp debug.so split.so && objcopy --only-keep-debug split.so "
			      "split.debug && strip -g split.so && objcopy "
			      "--add-gnu-debuglink=split.debug split.so",
			      dir);
	struct case_ c;

	(void)state;
	assert_int_equal(system(cmd), 0);
	free(cmd);
	c = infer("split.so", false, false);
	expect(&c, LAYOUT_TENSOR_BUFFER, T(buffer), LAYOUT_DWARF);
	end(&c);
}

static void test_debug_file_of_another_build_is_refused(void **state)
{
	char *cmd =
		xasprintf("cd %s && cp debug.so other.so && objcopy --only-keep-debug longname.so"
			  " other.debug && strip -g other.so && objcopy "
			  "--add-gnu-debuglink=other.debug other.so",
			  dir);
	struct case_ c;

	(void)state;
	assert_int_equal(system(cmd), 0);
	free(cmd);
	c = infer("other.so", false, false);
	expect(&c, LAYOUT_TENSOR_BUFFER, T(buffer), LAYOUT_TABLE);
	end(&c);
}

/* Between the two eras src moved by the size of `grad`. */
static void test_older_era(void **state)
{
	struct case_ c = infer("old.so", true, false);

	(void)state;
	expect(&c, LAYOUT_TENSOR_SRC, 160, LAYOUT_CONSTRUCTOR);
	expect(&c, LAYOUT_TENSOR_DATA, 256, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_SIZE, 336, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_CGRAPH_LEAFS, 32, LAYOUT_TABLE);
	end(&c);
}

static void test_longer_names_move_what_follows(void **state)
{
	struct case_ c = infer("longname.so", true, false);

	(void)state;
	expect(&c, LAYOUT_TENSOR_NAME_LEN, 160, LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_EXTRA, T(extra) + 96, LAYOUT_DERIVED);
	expect(&c, LAYOUT_TENSOR_SIZE, sizeof(struct ggml_tensor) + 96, LAYOUT_ACCESSOR);
	assert_int_equal(diag_count(c.d, DIAG_WARNING), 0);
	end(&c);
}

static void test_without_symbols(void **state)
{
	struct case_ c = infer("now.so", true, true);

	(void)state;
	assert_non_null(c.l);
	expect(&c, LAYOUT_TENSOR_OP, T(op), LAYOUT_STRING);
	expect(&c, LAYOUT_TENSOR_SRC, T(src), LAYOUT_STRING);
	expect(&c, LAYOUT_TENSOR_NE, T(ne), LAYOUT_STRING);
	expect(&c, LAYOUT_TENSOR_DATA, T(data), LAYOUT_TABLE);
	assert_int_equal(layout_op_count(c.l), 12);
	assert_int_equal(layout_type_count(c.l), 10);
	end(&c);
}

static void test_unoptimized_build(void **state)
{
	struct case_ c = infer("o0.so", true, false);

	(void)state;
	assert_non_null(c.l);
	expect(&c, LAYOUT_TENSOR_OP, T(op), LAYOUT_ACCESSOR);
	expect(&c, LAYOUT_TENSOR_SRC, T(src), LAYOUT_CONSTRUCTOR);
	expect(&c, LAYOUT_TENSOR_NAME, T(name), LAYOUT_ACCESSOR);
	end(&c);
}

/* The same engine, compiled by clang for aarch64. */
static void test_aarch64(void **state)
{
	struct case_ c = {.d = diag_new()};
	struct layout_sources src = {.files = &c.elf, .count = 1, .no_dwarf = true};

	(void)state;
	c.elf = elf_open("tests/fuzz/corpus/fuzz_elf/fake_engine_arm.so", c.d);
	assert_non_null(c.elf);
	assert_string_equal(elf_arch_name(c.elf), "aarch64");
	for (int stripped = 0; stripped < 2; stripped++) {
		src.no_symbols = stripped;
		c.l = layout_infer(&src, c.d);
		assert_non_null(c.l);
		expect(&c, LAYOUT_TENSOR_OP, 80, stripped ? LAYOUT_STRING : LAYOUT_ACCESSOR);
		expect(&c, LAYOUT_TENSOR_SRC, 152, stripped ? LAYOUT_STRING : LAYOUT_CONSTRUCTOR);
		expect(&c, LAYOUT_TENSOR_DATA, 248, stripped ? LAYOUT_TABLE : LAYOUT_ACCESSOR);
		assert_int_equal(layout_op_count(c.l), 12);
		assert_int_equal(layout_type_count(c.l), 10);
		if (!stripped) {
			expect(&c, LAYOUT_TENSOR_NAME_LEN, 64, LAYOUT_ACCESSOR);
			expect(&c, LAYOUT_SCHED_BACKENDS, 8, LAYOUT_ACCESSOR);
			expect(&c, LAYOUT_BACKEND_GRAPH_COMPUTE, 88, LAYOUT_ACCESSOR);
			expect(&c, LAYOUT_BATCH_SIZE, 56, LAYOUT_ACCESSOR);
			assert_string_equal(layout_version(c.l), "9.8.7");
		}
		layout_free(c.l);
	}
	c.l = NULL;
	end(&c);
}

static void test_no_engine_is_an_error(void **state)
{
	struct diag *d = diag_new();
	struct elf *e = elf_open("/proc/self/exe", d);
	struct layout_sources src = {.files = &e, .count = 1, .no_dwarf = true};

	(void)state;
	assert_non_null(e);
	assert_null(layout_infer(&src, d));
	assert_non_null(strstr(diag_first_error(d), "no table of operator names"));
	elf_close(e);
	diag_free(d);
}

static struct ggml_tensor good_tensor(void)
{
	struct ggml_tensor t = {.type = 2, .op = 4, .ne = {64, 2, 1, 1}, .nb = {18, 36, 72, 72}};

	strcpy(t.name, "blk.0.attn_q");
	return t;
}

static void test_live_tensor_check(void **state)
{
	struct case_ c = infer("now.so", true, false);
	struct ggml_tensor t = good_tensor();
	char why[96];

	(void)state;
	assert_true(layout_check_tensor(c.l, &t, sizeof(t), why, sizeof(why)));
	t.op = 12;
	assert_false(layout_check_tensor(c.l, &t, sizeof(t), why, sizeof(why)));
	assert_string_equal(why, "operator number 12 is not below 12");
	t = good_tensor();
	t.ne[2] = -1;
	assert_false(layout_check_tensor(c.l, &t, sizeof(t), why, sizeof(why)));
	t = good_tensor();
	t.nb[0] = 17;
	assert_false(layout_check_tensor(c.l, &t, sizeof(t), why, sizeof(why)));
	assert_string_equal(why, "stride nb[0] is 17, type q4_0 takes 18 bytes");
	t = good_tensor();
	t.type = 4;
	assert_false(layout_check_tensor(c.l, &t, sizeof(t), why, sizeof(why)));
	t = good_tensor();
	t.name[3] = '\x01';
	assert_false(layout_check_tensor(c.l, &t, sizeof(t), why, sizeof(why)));
	t = good_tensor();
	memset(t.name, 'x', sizeof(t.name));
	assert_false(layout_check_tensor(c.l, &t, sizeof(t), why, sizeof(why)));
	t = good_tensor();
	t.src[1] = (struct ggml_tensor *)7;
	assert_false(layout_check_tensor(c.l, &t, sizeof(t), why, sizeof(why)));
	t = good_tensor();
	assert_false(layout_check_tensor(c.l, &t, 60, why, sizeof(why)));
	end(&c);
}

static void test_json_note(void **state)
{
	struct case_ c = infer("now.so", true, false);
	cJSON *note = layout_to_json(c.l);

	(void)state;
	assert_string_equal(cJSON_GetObjectItem(note, "k")->valuestring, "layout");
	assert_int_equal(cJSON_GetObjectItem(note, "ne")->valueint, T(ne));
	assert_int_equal(cJSON_GetObjectItem(note, "name_len")->valueint, 64);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(note, "op_names")), 12);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(note, "type_size")), 10);
	cJSON_Delete(note);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accessors_give_the_offsets),
		cmocka_unit_test(test_names_and_types),
		cmocka_unit_test(test_dwarf_wins),
		cmocka_unit_test(test_separate_debug_file),
		cmocka_unit_test(test_debug_file_of_another_build_is_refused),
		cmocka_unit_test(test_older_era),
		cmocka_unit_test(test_longer_names_move_what_follows),
		cmocka_unit_test(test_without_symbols),
		cmocka_unit_test(test_unoptimized_build),
		cmocka_unit_test(test_aarch64),
		cmocka_unit_test(test_no_engine_is_an_error),
		cmocka_unit_test(test_live_tensor_check),
		cmocka_unit_test(test_json_note),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

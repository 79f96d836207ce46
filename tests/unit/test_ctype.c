/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#include "plugin/scan.h"
#include "util/ctype.h"

struct inner {
	uint8_t a;
	uint16_t b[3];
};

struct sample {
	uint64_t ts;
	int32_t rc;
	char comm[8];
	struct inner in;
	union {
		int32_t i;
		float f;
	} u;
	uint32_t mode;
	unsigned low : 3, high : 7;
	bool yes;
	double d;
};

/* As libbcc describes it. */
static const char text[] =
	"[\"sample\", [[\"ts\",\"unsigned long long\"], [\"rc\",\"int\"], [\"comm\",\"char\", [8]],"
	" [\"in\",[\"inner\", [[\"a\",\"unsigned char\"], [\"__pad_1\",\"char\",[1]],"
	" [\"b\",\"unsigned short\", [3]]], \"struct_packed\"]],"
	" [\"u\",[\"\", [[\"i\",\"int\"], [\"f\",\"float\"]], \"union\"]],"
	" [\"mode\",\"unsigned int\"], [\"low\",\"unsigned int\",3], [\"high\",\"unsigned int\",7],"
	" [\"yes\",\"_Bool\"], [\"d\",\"double\"]], \"struct\"]";

static const struct sample sample = {
	.ts = 5,
	.rc = -3,
	.comm = "ab\n",
	.in = {255, {1, 2, 3}},
	.u = {.i = 1},
	.mode = 1,
	.low = 5,
	.high = 100,
	.yes = true,
	.d = 0.5,
};

static void assert_prints(const struct ctype *t, const void *data, size_t len, const char *want)
{
	struct buf b = {0};

	ctype_print(t, data, len, &b);
	assert_string_equal(buf_str(&b), want);
	buf_free(&b);
}

static void test_structs_lie_where_the_compiler_puts_them(void **state)
{
	struct ctype *t = ctype_of_text(text);
	uint32_t at = 0;

	(void)state;
	assert_non_null(t);
	assert_int_equal(t->size, sizeof(struct sample));
	assert_non_null(ctype_member(t, "mode", &at));
	assert_int_equal(at, offsetof(struct sample, mode));
	assert_non_null(ctype_member(t, "d", &at));
	assert_int_equal(at, offsetof(struct sample, d));
	ctype_free(t);
}

static void test_values_print_by_their_type(void **state)
{
	static const char source[] = "enum mode { IDLE, BUSY = 1, GONE };\n"
				     "struct sample { enum mode mode; };\n";
	struct ctype *t = ctype_of_text(text);
	struct scan scan;

	(void)state;
	scan_text(source, sizeof(source) - 1, &scan);
	scan_name_enums(&scan, t);
	assert_prints(t, &sample, sizeof(sample),
		      "{ts = 5, rc = -3, comm = ab\\x0a, in = {a = 255, b = [1, 2, 3]}, "
		      "u = {i = 1, f = 1.4013e-45}, mode = BUSY, low = 5, high = 100, yes = true, "
		      "d = 0.5}");
	/* A record that was cut: what is missing is said, not invented. */
	assert_prints(t, &sample, 8,
		      "{ts = 5, rc = ?, comm = , in = {a = ?, b = [?, ?, ?]}, "
		      "u = {i = ?, f = ?}, mode = ?, low = ?, high = ?, yes = ?, "
		      "d = ?}");
	scan_free(&scan);
	ctype_free(t);
}

static void test_json_keeps_type_and_value(void **state)
{
	struct ctype *t = ctype_of_text(text), *again;
	cJSON *type = ctype_to_json(t), *value;
	char *first, *second;

	(void)state;
	again = ctype_from_json(type);
	assert_non_null(again);
	assert_int_equal(again->size, t->size);
	value = ctype_value(t, &sample, sizeof(sample));
	first = cJSON_PrintUnformatted(value);
	cJSON_Delete(value);
	value = ctype_value(again, &sample, sizeof(sample));
	second = cJSON_PrintUnformatted(value);
	cJSON_Delete(value);
	assert_string_equal(first, second);
	assert_non_null(strstr(first, "\"rc\":-3"));
	assert_non_null(strstr(first, "\"b\":[1,2,3]"));
	cJSON_free(first);
	cJSON_free(second);
	cJSON_Delete(type);
	ctype_free(again);
	ctype_free(t);
}

static void test_names_of_declarations(void **state)
{
	static const uint32_t grid[2][2] = {{1, 2}, {3, 4}};
	struct ctype *t = ctype_of_name("u32[2][2]"), *p = ctype_of_name("const char *");
	const uint64_t address = 0x7f10;
	struct buf b = {0};

	(void)state;
	assert_prints(t, grid, sizeof(grid), "[[1, 2], [3, 4]]");
	ctype_print_name(t, &b);
	assert_string_equal(buf_str(&b), "u32[2][2]");
	assert_prints(p, &address, 8, "0x7f10");
	assert_null(ctype_of_name("struct unknown"));
	assert_null(ctype_of_name("u32[99999999999]"));
	assert_null(ctype_of_text("[1, 2]"));
	assert_null(ctype_of_text("\"no such type\""));
	buf_free(&b);
	ctype_free(t);
	ctype_free(p);
}

static void test_text_tells_structs_and_histograms(void **state)
{
	static const char source[] =
		"#define X struct no { int a; };\n"
		"struct ev { int a; struct deep { int b; } c; }; // struct comment { int a; };\n"
		"typedef struct { int slot; } key_t;\n"
		"struct empty {};\n"
		"BPF_HISTOGRAM(lat, key_t);\n"
		"int f(void) { struct local { int a; } l; bpf_log2l(5); return 0; }\n";
	struct scan s;

	(void)state;
	scan_text(source, sizeof(source) - 1, &s);
	assert_int_equal(s.n_structs, 2);
	assert_string_equal(s.structs[0], "struct ev");
	assert_string_equal(s.structs[1], "key_t");
	assert_true(scan_is_histogram(&s, "lat"));
	assert_false(scan_is_histogram(&s, "ev"));
	assert_true(s.uses_log2);
	scan_free(&s);
}

static void test_members_without_a_name(void **state)
{
	static const uint32_t data[3] = {1, 0x01020304, 5};
	struct ctype *t = ctype_of_text(
		"[\"ev\", [[\"a\", \"unsigned int\"], [\"\", [[\"word\", \"unsigned int\"], "
		"[\"bytes\", "
		"\"unsigned char\", [4]]], \"union\"], [\"z\", \"unsigned int\"]], \"struct\"]");

	(void)state;
	assert_non_null(t);
	assert_prints(t, data, sizeof(data),
		      "{a = 1, word = 16909060, bytes = [4, 3, 2, 1], z = 5}");
	ctype_free(t);
}

static void test_text_tells_dimensions_and_enums(void **state)
{
	static const char source[] =
		"typedef enum { A, B = 7 } phase_t;\n"
		"enum mode { OFF, ON };\n"
		"struct ev { int a[2], grid[2][N + 1][3]; struct { int in[2][2]; } "
		"s[4]; phase_t phase; enum mode modes[2]; };\n"
		"typedef struct { char names[2][8]; } key_t;\n"
		"BPF_HASH(by, phase_t, enum mode, 64);\n"
		"BPF_ARRAY(one, phase_t, 1);\n"
		"BPF_TABLE(\"lru_hash\", u32, enum mode, last, 8);\n";
	const struct scan_table *t;
	struct scan s;

	(void)state;
	scan_text(source, sizeof(source) - 1, &s);
	assert_int_equal(s.n_dims, 3);
	assert_string_equal(s.dims[0].owner, "struct ev");
	assert_string_equal(s.dims[0].member, "grid");
	assert_int_equal(s.dims[0].n, 3);
	assert_string_equal(s.dims[1].root, "struct ev");
	assert_string_equal(s.dims[1].path, "s[0].in");
	assert_string_equal(s.dims[1].owner, "");
	assert_string_equal(s.dims[2].root, "key_t");
	assert_string_equal(s.dims[2].owner, "");
	assert_int_equal(s.n_members, 2);
	assert_string_equal(s.members[0].enum_name, "phase_t");
	assert_string_equal(s.members[1].member, "modes");
	t = scan_table(&s, "by");
	assert_string_equal(t->key, "phase_t");
	assert_string_equal(t->value, "mode");
	assert_string_equal(scan_table(&s, "one")->value, "phase_t");
	assert_string_equal(scan_table(&s, "last")->value, "mode");
	assert_null(scan_table(&s, "none"));
	scan_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structs_lie_where_the_compiler_puts_them),
		cmocka_unit_test(test_values_print_by_their_type),
		cmocka_unit_test(test_json_keeps_type_and_value),
		cmocka_unit_test(test_names_of_declarations),
		cmocka_unit_test(test_text_tells_structs_and_histograms),
		cmocka_unit_test(test_members_without_a_name),
		cmocka_unit_test(test_text_tells_dimensions_and_enums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

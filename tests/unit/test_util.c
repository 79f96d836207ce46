/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "util/buf.h"
#include "util/diag.h"
#include "util/text.h"

static char *printed(const struct diag *d, enum diag_style style)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	diag_print(d, f, style, false);
	fclose(f);
	return text;
}

static void test_diag_points_at_the_column(void **state)
{
	struct diag *d = diag_new();
	const char *text = "a: 1\n\tlevls: x\n";
	struct source src = {"c.yaml", text, strlen(text)};
	char *out;

	(void)state;
	diag_add(d, DIAG_WARNING, "later");
	diag_add_at(d, DIAG_ERROR, &src, (struct span){2, 2, 2, 7}, "unknown key '%s'", "levls");
	out = printed(d, DIAG_STYLE_FIELD);
	assert_string_equal(out, "c.yaml:2:2: error: unknown key 'levls'\n"
				 "        levls: x\n"
				 "        ^~~~~\n"
				 "llmprobe: warning: later\n");
	free(out);
	diag_free(d);
}

static void test_diag_bpftrace_style(void **state)
{
	struct diag *d = diag_new();
	const char *text = "BEGIN { $x = ; }";
	struct source src = {"stdin", text, strlen(text)};
	char *out;

	(void)state;
	diag_add_at(d, DIAG_ERROR, &src, (struct span){1, 14, 1, 15}, "syntax error");
	out = printed(d, DIAG_STYLE_BPFTRACE);
	assert_string_equal(out, "stdin:1:14-15: ERROR: syntax error\n"
				 "BEGIN { $x = ; }\n"
				 "             ~\n");
	free(out);
	diag_free(d);
}

static void test_diag_past_the_end_of_line(void **state)
{
	struct diag *d = diag_new();
	struct source src = {"f", "ab", 2};
	char *out;

	(void)state;
	diag_add_at(d, DIAG_ERROR, &src, (struct span){1, 3, 1, 4}, "unexpected end");
	out = printed(d, DIAG_STYLE_FIELD);
	assert_string_equal(out, "f:1:3: error: unexpected end\nab\n  ^\n");
	free(out);
	diag_free(d);
}

static void test_numbers_are_parsed_whole(void **state)
{
	uint64_t u;
	int64_t i;

	(void)state;
	assert_int_equal(text_to_u64("12abc", &u), -22);
	assert_int_equal(text_to_u64("-1", &u), -22);
	assert_int_equal(text_to_i64("", &i), -22);
	assert_int_equal(text_to_size("16MiB", &u), 0);
	assert_int_equal(u, 16 << 20);
	assert_int_equal(text_to_size("16 furlongs", &u), -22);
	assert_int_equal(text_to_duration("1.5ms", &u), 0);
	assert_int_equal(u, 1500000);
	assert_int_equal(text_to_size("99999999999G", &u), -34);
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"token", "graph", "operator"};

	(void)state;
	assert_string_equal(text_nearest_of("tokne", names, 3), "token");
	assert_string_equal(text_nearest_of("operater", names, 3), "operator");
	assert_null(text_nearest_of("zebra-stripes", names, 3));
}

static void test_units(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(text_ns(999, out), "999 ns");
	assert_string_equal(text_ns(12345, out), "12.3 us");
	assert_string_equal(text_bytes(1536, out), "1.50 KiB");
	assert_string_equal(text_count(1234567, out), "1,234,567");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diag_points_at_the_column),
		cmocka_unit_test(test_diag_bpftrace_style),
		cmocka_unit_test(test_diag_past_the_end_of_line),
		cmocka_unit_test(test_numbers_are_parsed_whole),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

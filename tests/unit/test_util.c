/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/buf.h"
#include "util/diag.h"
#include "util/file.h"
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

static void test_text_of_others(void **state)
{
	char *text;

	(void)state;
	assert_true(text_is_utf8("caf\xc3\xa9 \xe6\x97\xa5"));
	assert_false(text_is_utf8("a\xff"));
	assert_false(text_is_utf8("cut \xe6\x97"));
	text = text_to_utf8("a\xff\xc3\xa9\xe6\x97");
	assert_string_equal(text, "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd");
	free(text);
	text = text_for_terminal("\x1b[2Jred\n\xc2\x9b"
				 "1m\xc3\xa9\x7f");
	assert_string_equal(text, "?[2Jred??1m\xc3\xa9?");
	free(text);
	text = text_to_utf8("");
	assert_string_equal(text, "");
	free(text);
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

/* A file that took the place of /dev/null would be the ruin of the machine. */
static void test_a_device_stays(void **state)
{
	char dir[] = "/tmp/test_util.XXXXXX", *pipe, got[8] = "";
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pipe = xasprintf("%s/pipe", dir);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_true(file_is_special(pipe));
	assert_true(file_is_special("/dev/full"));
	assert_false(file_is_special(dir));
	assert_false(file_is_special("/proc/self/exe"));
	fd = open(pipe, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(file_replace(pipe, "hello", 5), 0);
	assert_int_equal(read(fd, got, sizeof(got)), 5);
	assert_string_equal(got, "hello");
	assert_int_equal(stat(pipe, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(file_replace("/dev/full", "hello", 5), -ENOSPC);
	close(fd);
	unlink(pipe);
	rmdir(dir);
	free(pipe);
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
		cmocka_unit_test(test_text_of_others),
		cmocka_unit_test(test_a_device_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "util/buf.h"
#include "util/words.h"

/* The words in brackets, or where an open quote begins. */
static char *split(const char *line)
{
	struct buf out = {0};
	struct words w;
	size_t at = 0;

	if (words_split(line, &w, &at) < 0) {
		buf_printf(&out, "open at %zu", at);
	} else {
		assert_null(w.argv[w.argc]);
		for (size_t i = 0; i < w.argc; i++)
			buf_printf(&out, "[%s]", w.argv[i]);
	}
	words_free(&w);
	return buf_take(&out);
}

static void test_words(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{" \t ", ""},
		{"a  b\tc\n", "[a][b][c]"},
		{"a 'b c' \"d e\"", "[a][b c][d e]"},
		{"a'b'\"c\"d", "[abcd]"},
		{"''", "[]"},
		{"a\\ b \\' \\\\", "[a b]['][\\]"},
		{"'\\' \"\\\"\\\\\\n\"", "[\\][\"\\\\n]"},
		{"a # b", "[a]"},
		{"a#b", "[a#b]"},
		{"# a", ""},
		{"a\\", "[a\\]"},
		{"a 'b", "open at 2"},
		{"a b\"", "open at 3"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *got = split(cases[i][0]);

		assert_string_equal(got, cases[i][1]);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

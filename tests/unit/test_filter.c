/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "level/filter.h"
#include "util/alloc.h"

static struct filter *make(const char *const *include, size_t n, const char *const *exclude,
			   size_t m)
{
	struct filter_opts o = {include, exclude, n, m};
	struct diag *d = diag_new();
	struct filter *f = filter_new(&o, d);

	diag_free(d);
	return f;
}

/* What probes/walk.c does with the table. */
static bool name_matches(const struct filter_table *t, unsigned word, const char name[64])
{
	uint64_t states = t->start[word];

	for (int i = 0; i < 64; i++) {
		const struct filter_step *s = &t->step[word][(unsigned char)name[i]];

		states = (states << 1 & s->next) | (states & s->keep);
	}
	return states;
}

/* Only one pattern, so any state left at the end is its last one. */
static void test_tensor_patterns_match_as_globs_do(void **state)
{
	static const char *const patterns[] = {"blk.*", "Qcur-*", "*-1",      "*cur*-?",
					       "a",	"l_out",  "l_out-??", "*.weight",
					       "**x",	"x*y*z",  "?cur-0"};
	static const char *const names[] = {
		"blk.0.attn_q", "Qcur-0", "Qcur-10", "x-1-1", "a",	"l_out", "l_out-12", "",
		"x.weight",	"xyz",	  "xayyz",   "ab",    "Kcur-0", "cur-",	 "xy"};
	struct filter_table *t = xcalloc(1, sizeof(*t));

	(void)state;
	for (size_t p = 0; p < ARRAY_LEN(patterns); p++) {
		struct filter *f = make(&patterns[p], 1, NULL, 0);

		filter_fill(f, t);
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			char name[64] = {0};

			/* What is left of a longer name must not count. */
			memset(name, 'z', sizeof(name));
			memcpy(name, names[i], strlen(names[i]) + 1);
			if (name_matches(t, 0, name) != !fnmatch(patterns[p], names[i], 0))
				fail_msg("%s on %s", patterns[p], names[i]);
		}
		filter_free(f);
	}
	free(t);
}

static void test_capitals_name_operators(void **state)
{
	static const char *const include[] = {"MUL_MAT*", "ROPE"}, *const exclude[] = {"*_ID"};
	struct filter *f = make(include, 2, exclude, 1);

	(void)state;
	assert_false(filter_is_open(f));
	assert_false(filter_has_names(f));
	assert_true(filter_takes_op(f, "MUL_MAT"));
	assert_true(filter_takes_op(f, "ROPE"));
	assert_false(filter_takes_op(f, "ROPE_BACK"));
	assert_false(filter_takes_op(f, "MUL_MAT_ID"));
	filter_free(f);
}

static void test_everything_is_open(void **state)
{
	static const char *const all[] = {"ROPE", "*"}, *const some[] = {"Qcur-*"};
	struct filter *f = make(all, 2, NULL, 0), *g = make(all, 2, some, 1);

	(void)state;
	assert_true(filter_is_open(f));
	assert_false(filter_is_open(g));
	assert_true(filter_has_names(g));
	filter_free(f);
	filter_free(g);
}

static void test_functions_of_operators(void **state)
{
	static const char *const include[] = {"MUL", "SOFT_MAX*"}, *const product[] = {"MUL_MAT"};
	struct filter *f = make(include, 2, NULL, 0), *g = make(product, 1, NULL, 0);
	char *symbol = filter_function_of("SOFT_MAX_BACK");

	(void)state;
	assert_string_equal(symbol, "ggml_compute_forward_soft_max_ext_back");
	assert_true(filter_wants_symbol(f, symbol));
	assert_true(filter_wants_symbol(f, "ggml_compute_forward_mul"));
	assert_true(filter_wants_symbol(f, "ggml_compute_forward_rms_norm_mul_fused"));
	assert_false(filter_wants_symbol(f, "ggml_compute_forward_rms_norm"));
	assert_false(filter_wants_symbol(f, "_ZN4ggml3cpu6repack13tensor_traits"));
	assert_true(filter_wants_symbol(g, "_ZN4ggml3cpu6repack13tensor_traits"));
	assert_false(filter_wants_symbol(g, "ggml_compute_forward_rms_norm_mul_fused"));
	free(symbol);
	filter_free(f);
	filter_free(g);
}

static void test_too_long_is_refused(void **state)
{
	char text[80];
	const char *const one[] = {text};
	const char *const many[] = {text, text, text, text, text};

	(void)state;
	memset(text, 'a', sizeof(text));
	text[62] = '\0';
	filter_free(make(one, 1, NULL, 0));
	assert_null(make(many, 5, NULL, 0));
	text[62] = 'a';
	text[63] = '\0';
	assert_null(make(one, 1, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tensor_patterns_match_as_globs_do),
		cmocka_unit_test(test_capitals_name_operators),
		cmocka_unit_test(test_everything_is_open),
		cmocka_unit_test(test_functions_of_operators),
		cmocka_unit_test(test_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

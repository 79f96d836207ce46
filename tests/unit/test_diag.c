/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "util/diag.h"

static void test_move(void **state)
{
	struct diag *a = diag_new(), *b = diag_new();

	(void)state;
	diag_add(a, DIAG_NOTE, "first");
	diag_add(b, DIAG_ERROR, "second");
	diag_add(b, DIAG_NOTE, "third");
	diag_move(a, b);
	assert_int_equal(diag_count(a, DIAG_NOTE), 2);
	assert_string_equal(diag_first_error(a), "second");
	assert_int_equal(diag_count(b, DIAG_NOTE) + diag_count(b, DIAG_ERROR), 0);
	diag_free(a);
	diag_add(b, DIAG_ERROR, "fourth");
	assert_string_equal(diag_first_error(b), "fourth");
	diag_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_move)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "trace/layers.h"
#include "util/alloc.h"

/* input, norm-0, node, node, out-0, node, out-1, result */
static void test_a_chain(void **state)
{
	static const struct layers_edge edges[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4},
						   {4, 5}, {5, 6}, {6, 7}};
	int layer[] = {-1, 0, -1, -1, 0, -1, 1, -1};

	(void)state;
	layers_infer(layer, ARRAY_LEN(layer), edges, ARRAY_LEN(edges));
	assert_int_equal(layer[0], -1);
	assert_int_equal(layer[2], 0);
	assert_int_equal(layer[3], 0);
	assert_int_equal(layer[5], 1);
	assert_int_equal(layer[7], -1);
}

static void test_order_of_edges_does_not_matter(void **state)
{
	static const struct layers_edge edges[] = {{3, 4}, {2, 3}, {1, 2}, {0, 1}};
	int layer[] = {2, -1, -1, -1, 3};

	(void)state;
	layers_infer(layer, ARRAY_LEN(layer), edges, ARRAY_LEN(edges));
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(layer[i], 3);
}

static void test_circles_end(void **state)
{
	static const struct layers_edge edges[] = {{0, 1}, {1, 2}, {2, 1}, {1, 1}, {2, 3}};
	int layer[] = {0, -1, -1, 1}, none = -1;

	(void)state;
	layers_infer(layer, ARRAY_LEN(layer), edges, ARRAY_LEN(edges));
	assert_int_equal(layer[1], 1);
	assert_int_equal(layer[2], 1);
	layers_infer(&none, 1, NULL, 0);
	assert_int_equal(none, -1);
	layers_infer(NULL, 0, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chain),
		cmocka_unit_test(test_order_of_edges_does_not_matter),
		cmocka_unit_test(test_circles_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

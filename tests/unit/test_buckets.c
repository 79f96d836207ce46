/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "view/sweep/buckets.h"
#include "view_fixture.h"

static int64_t padding(const struct buckets_length *l, size_t n, const int64_t *sizes, size_t k)
{
	struct buckets_cost c = {0};

	buckets_cost(l, n, sizes, k, &c);
	assert_int_equal(c.unserved, 0);
	return c.padding;
}

static void test_cost_of_given_sizes(void **state)
{
	const struct buckets_length l[] = {{10, 2}, {64, 1}, {65, 3}, {300, 1}};
	const int64_t sizes[] = {64, 128};
	int64_t used[2];
	struct buckets_cost c = {.used = used};

	(void)state;
	buckets_cost(l, 4, sizes, 2, &c);
	assert_int_equal(c.tokens, 20 + 64 + 195);
	assert_int_equal(c.padding, 2 * 54 + 0 + 3 * 63);
	assert_int_equal(c.unserved, 1);
	assert_int_equal(used[0], 3);
	assert_int_equal(used[1], 3);
}

/* Tries every choice of k sizes among the (padded) lengths. */
static int64_t brute_force(const struct buckets_length *l, size_t n, size_t k, int64_t step)
{
	int64_t best = INT64_MAX;

	for (unsigned int set = 0; set < 1u << n; set++) {
		int64_t sizes[16];
		size_t m = 0;

		if ((size_t)__builtin_popcount(set) > k || !(set >> (n - 1) & 1))
			continue;
		for (size_t i = 0; i < n; i++) {
			int64_t size = (l[i].length + step - 1) / step * step;

			if (set >> i & 1 && (!m || sizes[m - 1] != size))
				sizes[m++] = size;
		}
		if (padding(l, n, sizes, m) < best)
			best = padding(l, n, sizes, m);
	}
	return best;
}

static void test_best_equals_brute_force(void **state)
{
	uint32_t random = 12345;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct buckets_length l[9];
		int64_t length = 0, sizes[9], step = round % 3 == 0 ? 16 : 1;
		size_t n = 1 + (size_t)round % 9;

		for (size_t i = 0; i < n; i++) {
			random = random * 1664525 + 1013904223;
			length += 1 + (random >> 16) % 50;
			l[i] = (struct buckets_length){length, 1 + (random >> 8) % 20};
		}
		for (size_t k = 1; k <= n; k++) {
			size_t used = buckets_best(l, n, k, step, sizes);

			assert_in_range(used, 1, k);
			assert_int_equal(padding(l, n, sizes, used), brute_force(l, n, k, step));
		}
	}
}

static void test_lengths_come_from_the_prefills(void **state)
{
	sqlite3 *db = fixture_run(3), *empty = fixture_empty();
	struct buckets_length *l;
	struct diag *d = diag_new();
	size_t n;

	(void)state;
	fixture_exec(db, "INSERT INTO token_t(id, phase, n_tokens) VALUES(100, 'prefill', 8), "
			 "(101, 'prefill', 3), (102, 'encode', 9)");
	assert_int_equal(buckets_lengths(db, &l, &n, d), 0);
	assert_int_equal(n, 2);
	assert_int_equal(l[0].length, 3);
	assert_int_equal(l[1].count, 2);
	free(l);
	assert_int_equal(buckets_lengths(empty, &l, &n, d), -2);
	diag_free(d);
	sqlite3_close(db);
	sqlite3_close(empty);
}

static void test_sizes_are_parsed(void **state)
{
	struct diag *d = diag_new();
	int64_t *sizes;
	size_t n;

	(void)state;
	assert_int_equal(buckets_parse("64, 96,128", &sizes, &n, d), 0);
	assert_int_equal(n, 3);
	assert_int_equal(sizes[1], 96);
	free(sizes);
	assert_int_equal(buckets_parse("64,32", &sizes, &n, d), -22);
	assert_int_equal(buckets_parse("", &sizes, &n, d), -22);
	assert_int_equal(buckets_parse("6x", &sizes, &n, d), -22);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cost_of_given_sizes),
		cmocka_unit_test(test_best_equals_brute_force),
		cmocka_unit_test(test_lengths_come_from_the_prefills),
		cmocka_unit_test(test_sizes_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

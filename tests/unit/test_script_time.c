/* SPDX-License-Identifier: Apache-2.0 */
/* Times: series of known intervals, as text and as JSON, to the letter; clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <time.h>

#include "script/run/runtime.h"
#include "script/type/types.h"
#include "util/clock.h"

/* Interval 100 ms, five of them kept; number 50 is 5 s after midnight of the first of 1970. */
static const struct type signed_ms = {
	.kind = TY_TSERIES, .is_signed = true, .args = {100000000, 5}};

static void expect_text(const struct series *s, const char *want)
{
	struct buf out = {0};

	series_text(&out, s);
	assert_string_equal(buf_str(&out), want);
	buf_free(&out);
}

static void test_rows(void **state)
{
	/* bucket = number % 5: 51 left no value, 46 is older than the five that count */
	static const uint64_t values[] = {(uint64_t)-5, 99, 0, 3, 10};
	static const uint64_t stamps[] = {50, 1, 46, 1, 52, 2, 53, 1, 54, 1};
	struct series s = {&signed_ms, values, stamps, 5, 54, NULL};
	struct buf out = {0};

	(void)state;
	expect_text(&s, "             -5                                                 10\n"
			"hh:mm:ss.ms  |___________________________________________________|\n"
			"00:00:05.000 *                .                                  | -5\n"
			"00:00:05.100 |                .                                  | -\n"
			"00:00:05.200 |                *                                  | 0\n"
			"00:00:05.300 |                .         *                        | 3\n"
			"00:00:05.400 |                .                                  * 10\n"
			"             v___________________________________________________v\n"
			"             -5                                                 10\n"
			"\n");
	s.stamps = (const uint64_t[]){50, 1, 46, 1, 0, 0, 0, 0, 54, 1};
	series_json(&out, &s);
	assert_string_equal(
		buf_str(&out),
		"[{\"interval_start\": \"1970-01-01T00:00:05.000000000\", \"value\": -5}, "
		"{\"interval_start\": \"1970-01-01T00:00:05.400000000\", \"value\": 10}]");
	buf_free(&out);
}

static void test_single_and_none(void **state)
{
	static const uint64_t values[] = {7, 0, 0, 0, 0};
	static const uint64_t stamps[] = {50, 1, 0, 0, 0, 0, 0, 0, 0, 0};
	static const int64_t range[] = {0, 14};
	struct series s = {&signed_ms, values, stamps, 5, 50, NULL};

	(void)state;
	expect_text(&s,
		    "                   6                                                   8\n"
		    "hh:mm:ss.ns        |___________________________________________________|\n"
		    "00:00:05.000000000 |                         *                         | 7\n"
		    "                   v___________________________________________________v\n"
		    "                   6                                                   8\n"
		    "\n");
	s.range = range;
	s.last = 51; /* another key went on for longer */
	expect_text(&s, "             0                                                  14\n"
			"hh:mm:ss.ms  |___________________________________________________|\n"
			"00:00:05.000 |                         *                         | 7\n"
			"00:00:05.100 |                                                   | -\n"
			"             v___________________________________________________v\n"
			"             0                                                  14\n"
			"\n");
	s.last = 60;
	expect_text(&s, "<no data>\n");
}

/* A moment is the same time of day on every clock; %f is microseconds. */
static void test_clocks(void **state)
{
	static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI};
	const uint64_t hour = 3600ull * 1000000000;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint64_t into = clock_read(CLOCK_REALTIME) % hour;
		/* half past the hour, whatever the time is, and a margin for the two readings */
		uint64_t ns = clock_read(clocks[i]) - into + hour / 2 + 5000000;
		struct buf out = {0};

		format_time(&out, "%M:%S %f", clocks[i], ns);
		assert_memory_equal(buf_str(&out), "30:00 00", 8);
		assert_int_equal(out.len, strlen("30:00 000000"));
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
					   cmocka_unit_test(test_single_and_none),
					   cmocka_unit_test(test_clocks)};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

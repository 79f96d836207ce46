/* SPDX-License-Identifier: Apache-2.0 */
#include "session/machine.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/file.h"

/* As text: a JSON number keeps 53 bits, wall time in ns has 61. */
static void add_i64(cJSON *n, const char *key, int64_t v)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", (long long)v);
	cJSON_AddStringToObject(n, key, digits);
}

/* The middle of three readings: a preemption between two clocks would shift every time stamp. */
static int64_t offset_to_monotonic(clockid_t id)
{
	int64_t best = 0, best_width = INT64_MAX;

	for (int i = 0; i < 8; i++) {
		int64_t before = (int64_t)clock_read(CLOCK_MONOTONIC),
			other = (int64_t)clock_read(id);
		int64_t after = (int64_t)clock_read(CLOCK_MONOTONIC);

		if (after - before < best_width) {
			best_width = after - before;
			best = other - (before + after) / 2;
		}
	}
	/* Clocks that agree, as on a machine that never slept, differ by the time that reading
	 * takes. */
	return best <= best_width && best >= -best_width ? 0 : best;
}

static void add_cpu(cJSON *n)
{
	struct buf text = {0};
	const char *p, *end;

	if (file_read("/proc/cpuinfo", &text, 1 << 20) == 0 &&
	    (p = strstr(buf_str(&text), "model name")) && (p = strchr(p, ':'))) {
		char *name;

		p += 2;
		end = strchr(p, '\n');
		name = xstrndup(p, end ? (size_t)(end - p) : strlen(p));
		cJSON_AddStringToObject(n, "cpu", name);
		free(name);
	}
	buf_free(&text);
}

void machine_describe(struct cJSON *n)
{
	struct utsname u;
	time_t now = time(NULL);
	struct tm tm;
	char text[64];

	uname(&u);
	cJSON_AddStringToObject(n, "host", u.nodename);
	cJSON_AddStringToObject(n, "kernel", u.release);
	cJSON_AddStringToObject(n, "machine", u.machine);
	add_cpu(n);
	cJSON_AddNumberToObject(n, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
	add_i64(n, "memory_bytes", (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	cJSON_AddStringToObject(n, "start", text);
	add_i64(n, "start_ns", (int64_t)clock_read(CLOCK_MONOTONIC));
	add_i64(n, "clock_offset_ns", offset_to_monotonic(CLOCK_REALTIME));
	add_i64(n, "boot_offset_ns", offset_to_monotonic(CLOCK_BOOTTIME));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms in the form that BCC's users know. */
#include <string.h>

#include "plugin/internal.h"

enum { STARS = 40 };

static void print_bar(uint64_t n, uint64_t max, FILE *out)
{
	int stars = max ? (int)((double)n * STARS / (double)max) : 0;

	fprintf(out, ": %-8llu |%.*s%*s|\n", (unsigned long long)n, stars,
		"****************************************", STARS - stars, "");
}

static uint64_t highest(const uint64_t *counts, size_t n, size_t *last)
{
	uint64_t max = 0;

	*last = 0;
	for (size_t i = 0; i < n; i++) {
		if (!counts[i])
			continue;
		*last = i;
		max = counts[i] > max ? counts[i] : max;
	}
	return max;
}

void plugin_hist_log2(const char *unit, const uint64_t *counts, size_t n, FILE *out)
{
	size_t last;
	uint64_t max = highest(counts, n, &last);

	fprintf(out, "     %-19s : count     distribution\n", unit ? unit : "value");
	/* Slot 0 stays empty: bpf_log2l(0) and (1) are 1. */
	for (size_t i = last ? 1 : 0; i <= last; i++) {
		uint64_t low = i ? (1ULL << (i - 1)) : 0, high = i ? (1ULL << i) - 1 : 0;

		if (i == 1)
			low = 0;
		fprintf(out, "%10llu -> %-10llu ", (unsigned long long)low,
			(unsigned long long)high);
		print_bar(counts[i], max, out);
	}
}

void plugin_hist_linear(const char *unit, const uint64_t *counts, size_t n, FILE *out)
{
	size_t last;
	uint64_t max = highest(counts, n, &last);

	fprintf(out, "     %-13s : count     distribution\n", unit ? unit : "value");
	for (size_t i = 0; i <= last; i++) {
		fprintf(out, "        %-10zu ", i);
		print_bar(counts[i], max, out);
	}
}

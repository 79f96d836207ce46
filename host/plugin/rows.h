/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a table, read once and put in the order in which people want them. */
#ifndef LLMPROBE_PLUGIN_ROWS_H
#define LLMPROBE_PLUGIN_ROWS_H

#include "plugin/internal.h"

struct row {
	unsigned char *key, *value;
	int cpu;	/* -1: the value is not per CPU, or the sum over all */
	int64_t weight; /* the value's first integer, 0: it has none */
};

struct rows {
	struct row *at;
	size_t count, cap;
	size_t zero;	/* entries of arrays that are all zero and left out */
	size_t entries; /* in the table */
};

/*
 * Reads the table. Per-CPU integers are summed up, other per-CPU values give a row per CPU. Arrays
 * are in order of their index, everything else by weight. Call rows_free.
 */
void rows_read(const struct plugin_table *t, struct rows *out);
void rows_free(struct rows *r);

#endif

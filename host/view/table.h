/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table that is filled row by row and printed as text, CSV or JSON. Columns are as wide as their
 * content; on a terminal that is too narrow bars go first, then the widest texts are cut, then the
 * last columns are left out, which a line below says.
 */
#ifndef LLMPROBE_VIEW_TABLE_H
#define LLMPROBE_VIEW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "view/view.h"

enum table_type {
	TABLE_TEXT,
	TABLE_COUNT,   /* integer with thousands separators */
	TABLE_NS,      /* ns, shown as 12.3 us; CSV and JSON carry the ns */
	TABLE_BYTES,   /* bytes, shown as KiB, MiB.. */
	TABLE_NUMBER,  /* three significant digits */
	TABLE_PERCENT, /* a fraction 0..1, shown as 12.3 %; CSV and JSON carry the fraction */
	TABLE_CHANGE,  /* a fraction, shown as +12.3 %; CSV and JSON carry the fraction */
	TABLE_BAR,     /* a fraction 0..1 as a bar; left out of CSV and JSON */
};

struct table;
struct cJSON;

/* `key` is the column's name for sort, CSV and JSON; `title` its heading. Both static. */
struct table *table_new(void);
void table_free(struct table *t);
void table_column(struct table *t, const char *key, const char *title, enum table_type type);
/* Starts a row; then one cell call per column, in order. NaN and NULL print as "-". */
void table_row(struct table *t);
void table_text(struct table *t, const char *text);
void table_number(struct table *t, double value);
size_t table_rows(const struct table *t);
/* A cell, by row and the key of its column, which must be one of the table's. */
const char *table_text_at(const struct table *t, size_t row, const char *key);
double table_number_at(const struct table *t, size_t row, const char *key);
/*
 * Sorts by a column: numbers descending, text ascending; "-" in front turns it round. An unknown
 * key is -EINVAL and names the nearest one.
 */
int table_sort(struct table *t, const char *key, struct diag *d);
/* Prints at most o->limit rows as o says: text, CSV or JSON. When that is 0, text has `dflt` rows
 * (0: all) and tells of the others; CSV and JSON, which nobody reads to their end, have all. */
void table_print(const struct table *t, const struct view_opts *o, size_t dflt, FILE *out);
/* The rows as an array of objects, at most `limit` (0: all). The caller owns it. */
struct cJSON *table_json(const struct table *t, size_t limit);

/* A bar of `cells` columns for a fraction, with eighth blocks (or '#' in ascii); `out` holds
 * 4 * cells + 1 bytes. */
const char *table_bar(double fraction, int cells, bool ascii, char *out);
/* One line of at most `cells` block characters for a series: medians of its stretches, relative to
 * the greatest of them. The caller frees it. */
char *table_spark(const double *values, size_t n, size_t cells, bool ascii);
/* Prints a text and a newline, broken between words into lines of `width` columns (0: not at all),
 * of which all but the first begin with `indent` blanks. */
void table_wrap(const char *text, int64_t width, size_t indent, FILE *out);
/* Columns a UTF-8 string takes on a terminal. */
size_t table_width(const char *text);

#endif

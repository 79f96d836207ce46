/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intervals of one thread packed for the page: per interval a few small numbers, as varints in
 * base64. A tenth of what JSON takes, and a browser unpacks it in no time.
 */
#ifndef LLMPROBE_VIEW_HTML_ROWS_H
#define LLMPROBE_VIEW_HTML_ROWS_H

#include "view/html/html_data.h"

struct html_rows {
	struct buf bytes;
	int64_t at; /* end of the interval before, ns */
};

/* Begins with times counted from `origin`, ns. */
void html_rows_init(struct html_rows *r, int64_t origin);
void html_rows_free(struct html_rows *r);
/*
 * Adds an interval: the gap since the end of the one before (zigzag: it may be negative), then
 * numbers[0..n), of which the first is its length in ns.
 */
void html_rows_add(struct html_rows *r, int64_t begin, const uint64_t *numbers, size_t n);
void html_rows_put(const struct html_rows *r, struct json_out *j, const char *key);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The report as JSON, for other views. */
#ifndef LLMPROBE_VIEW_REPORT_H
#define LLMPROBE_VIEW_REPORT_H

#include "view/summary/summary.h"

struct cJSON;

/* Everything the report shows; the caller owns the object. */
struct cJSON *report_json(sqlite3 *db, const struct summary *s);

/* What was not recorded, one after the other from *i = 0 on, with the reason; NULL at the end. */
const char *report_missing(const struct summary *s, size_t *i, const char **why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins recorded, as rows of JSON. */
#ifndef LLMPROBE_TRACE_PLUGIN_ROWS_H
#define LLMPROBE_TRACE_PLUGIN_ROWS_H

#include <stddef.h>

#include "trace/writer.h"

struct cJSON;
struct plugin_rows;

struct plugin_rows *plugin_rows_new(void);
void plugin_rows_free(struct plugin_rows *p); /* NULL is fine */
/* Takes in a "plugin" note; one with an id seen before replaces it for later records. */
void plugin_rows_note(struct plugin_rows *p, const struct cJSON *note);
/* A whole REC_PLUGIN of `len` bytes. One that was never described is kept as bytes. */
void plugin_rows_add(const struct plugin_rows *p, struct writer *w, const void *rec, size_t len);

#endif

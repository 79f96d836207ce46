/* SPDX-License-Identifier: Apache-2.0 */
/* How to read the target's tensor struct: the spool's "layout" notes. */
#ifndef LLMPROBE_TRACE_LAYOUT_H
#define LLMPROBE_TRACE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct layouts;

enum { LAYOUT_MAX_SRC = 10, LAYOUT_MAX_NAME = 192 };

/* One tensor as read from raw bytes. Strings of op and type belong to the layouts. */
struct tensor_raw {
	uint64_t addr;
	const char *op;	   /* "MUL_MAT"; "?" when its number is beyond the table */
	const char *type;  /* "f32", "q4_0" */
	double type_bytes; /* per element: block size / block elements, 0 when unknown */
	int64_t ne[4];	   /* -1 where not recorded */
	uint64_t src[LAYOUT_MAX_SRC];
	uint64_t view_src;
	uint32_t flags;
	char name[LAYOUT_MAX_NAME];
};

struct layouts *layouts_new(void);
void layouts_free(struct layouts *l);
/* Takes in a layout note; one with an id seen before replaces it for later reads. */
void layouts_add(struct layouts *l, const struct cJSON *note);
/* Decodes `raw`. Fields that lie beyond `len` stay unknown. -ENOENT when `id` was never described.
 */
int layouts_decode(const struct layouts *l, unsigned id, const void *raw, size_t len,
		   struct tensor_raw *out);

#endif

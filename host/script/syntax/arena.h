/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed all at once: the syntax tree, types and names of one script live here. */
#ifndef LLMPROBE_SCRIPT_ARENA_H
#define LLMPROBE_SCRIPT_ARENA_H

#include <stddef.h>

#include "util/alloc.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is fine */
/* Zeroed, 16-byte aligned; never NULL. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif

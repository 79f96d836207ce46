/* SPDX-License-Identifier: Apache-2.0 */
/* A growable byte string. Zero-initialise (`struct buf b = {0}`), free with buf_free. */
#ifndef LLMPROBE_UTIL_BUF_H
#define LLMPROBE_UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "util/alloc.h"

struct buf {
	char *data; /* always NUL-terminated once anything was added; NULL before */
	size_t len; /* bytes without the terminator */
	size_t cap;
};

void buf_free(struct buf *b);
/* Empties the buffer and keeps its memory. */
void buf_reset(struct buf *b);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A number with as few digits as give it back exactly. */
void buf_double(struct buf *b, double v);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
/* The text as a C string, "" when empty; owned by the buffer, valid until it changes. */
const char *buf_str(const struct buf *b);
/* Hands the text to the caller (free it) and leaves the buffer empty. */
char *buf_take(struct buf *b);

#endif

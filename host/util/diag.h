/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics: modules add messages to a sink, the edge (main, REPL) prints them once.
 *
 * A function that can fail takes a `struct diag *`, adds one error that says what is wrong and how
 * to mend it, and returns a negative errno. Nothing below cmd/ and repl/ writes to stderr.
 */
#ifndef LLMPROBE_UTIL_DIAG_H
#define LLMPROBE_UTIL_DIAG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/alloc.h"

enum diag_severity { DIAG_ERROR, DIAG_WARNING, DIAG_HINT, DIAG_NOTE };

/* A text that messages point into. `name` and `text` are borrowed and must outlive the sink. */
struct source {
	const char *name; /* file name, or "stdin" for text from the command line */
	const char *text;
	size_t len;
};

/* Lines and columns count from 1; end_col is exclusive. end_line 0 means the same as line. */
struct span {
	int line, col;
	int end_line, end_col;
};

enum diag_style {
	DIAG_STYLE_FIELD,    /* file:line:col: error: text, source line, ^~~~ */
	DIAG_STYLE_BPFTRACE, /* file:line:col-col: ERROR: text, source line, ~~~~ */
};

struct diag;

struct diag *diag_new(void);
void diag_free(struct diag *d); /* NULL is fine */
/* Forgets all messages. */
void diag_clear(struct diag *d);
/* Moves all messages of `from` to the end of `d`. */
void diag_move(struct diag *d, struct diag *from);
void diag_add(struct diag *d, enum diag_severity sev, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diag_vadd(struct diag *d, enum diag_severity sev, const char *fmt, va_list ap)
	PRINTF_LIKE(3, 0);
/* The source line is copied, so `src` may be freed afterwards. */
void diag_add_at(struct diag *d, enum diag_severity sev, const struct source *src, struct span at,
		 const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Adds an error and returns `err`, for `return diag_fail(d, -ENOENT, ...)`. */
int diag_fail(struct diag *d, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);
int diag_fail_at(struct diag *d, int err, const struct source *src, struct span at, const char *fmt,
		 ...) PRINTF_LIKE(5, 6);
size_t diag_count(const struct diag *d, enum diag_severity sev);
/* Text of the first error, or "" when there is none; borrowed. */
const char *diag_first_error(const struct diag *d);
/* Errors first, then the rest in order of arrival. Colours only when asked. */
void diag_print(const struct diag *d, FILE *out, enum diag_style style, bool colour);

#endif

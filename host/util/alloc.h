/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that ends the program on exhaustion, so that callers carry no NULL branches. */
#ifndef LLMPROBE_UTIL_ALLOC_H
#define LLMPROBE_UTIL_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a)	       (sizeof(a) / sizeof((a)[0]))

void *xmalloc(size_t size);
/* Zeroed; count * size is checked for overflow. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t size);
void *xreallocarray(void *ptr, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF_LIKE(1, 0);

/*
 * Makes room for one more element at the end of a plain array and returns its address, zeroed.
 * `array` is a pointer variable, `count` the number in use, `cap` the number allocated; the last
 * two are size_t variables that the macro updates.
 */
#define VEC_PUSH(array, count, cap)                                                                \
	((array) = vec_grow((array), (count), &(cap), sizeof(*(array))), &(array)[(count)++])
void *vec_grow(void *array, size_t count, size_t *cap, size_t elem_size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Small text helpers: nearest names, glob lists, numbers with units. */
#ifndef LLMPROBE_UTIL_TEXT_H
#define LLMPROBE_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The candidate nearest to `word` by edit distance, or NULL when none is near enough to be a
 * likely typing error. `next(state, i)` returns candidate i, NULL after the last.
 */
const char *text_nearest(const char *word, const char *(*next)(const void *state, size_t i),
			 const void *state);
/* Same over an array of `n` strings. */
const char *text_nearest_of(const char *word, const char *const *names, size_t n);
/*
 * Numbers. The whole string must be consumed: "12abc" is refused. Return 0 or -EINVAL/-ERANGE.
 * Sizes take B, K, KiB, M, MiB, G, GiB (powers of 1024); durations take ns us ms s m h and give ns;
 * a bare duration number counts seconds.
 */
int text_to_i64(const char *s, int64_t *out);
int text_to_u64(const char *s, uint64_t *out); /* 0x.. accepted */
int text_to_double(const char *s, double *out);
int text_to_size(const char *s, uint64_t *bytes);
int text_to_duration(const char *s, uint64_t *ns);
/* "1.50 GiB", "12.3 us": the shortest form with three significant digits; `out` holds 32 bytes. */
const char *text_bytes(double bytes, char out[32]);
const char *text_ns(double ns, char out[32]);
/* "1234567" -> "1,234,567"; `out` holds 32 bytes. */
const char *text_count(uint64_t n, char out[32]);
bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);

/* Bytes of the well-formed UTF-8 character at `s`, 0 when there is none. */
size_t text_utf8_len(const char *s);
/* Whether all of it is. */
bool text_is_utf8(const char *s);
/* A copy in which bytes that are no UTF-8 stand as U+FFFD. The caller frees it. */
char *text_to_utf8(const char *s);
/* The same with '?' for control characters, which a terminal would obey. */
char *text_for_terminal(const char *s);

#endif

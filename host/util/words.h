/* SPDX-License-Identifier: Apache-2.0 */
/* Splits a line into words the way a shell would, with quotes and nothing expanded. */
#ifndef LLMPROBE_UTIL_WORDS_H
#define LLMPROBE_UTIL_WORDS_H

#include <stddef.h>

struct words {
	char **argv; /* NULL-terminated */
	size_t argc, cap;
};

/*
 * Words are separated by blanks. '...' keeps everything, "..." and plain text take \ before a
 * character. A # that starts a word begins a comment. Returns 0, or -EINVAL when a quote is left
 * open; *at (may be NULL) is then its index in `line`. Call words_free in both cases.
 */
int words_split(const char *line, struct words *w, size_t *at);
void words_free(struct words *w);

#endif

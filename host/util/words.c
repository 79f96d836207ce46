/* SPDX-License-Identifier: Apache-2.0 */
#include "util/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies a quoted part; `*p` stands on the opening quote and is left after the closing one. */
static int take_quoted(const char **p, struct buf *out)
{
	char quote = *(*p)++;

	for (; **p && **p != quote; (*p)++) {
		if (quote == '"' && **p == '\\' && ((*p)[1] == '"' || (*p)[1] == '\\'))
			(*p)++;
		buf_putc(out, **p);
	}
	if (!**p)
		return -EINVAL;
	(*p)++;
	return 0;
}

static int take_word(const char *line, const char **p, struct buf *out, size_t *at)
{
	while (**p && !is_blank(**p)) {
		if (**p == '\'' || **p == '"') {
			size_t start = (size_t)(*p - line);

			if (take_quoted(p, out) < 0) {
				if (at)
					*at = start;
				return -EINVAL;
			}
			continue;
		}
		if (**p == '\\' && (*p)[1])
			(*p)++;
		buf_putc(out, *(*p)++);
	}
	return 0;
}

int words_split(const char *line, struct words *w, size_t *at)
{
	const char *p = line;
	int err = 0;

	*w = (struct words){0};
	for (;;) {
		struct buf word = {0};

		while (is_blank(*p))
			p++;
		if (!*p || *p == '#')
			break;
		err = take_word(line, &p, &word, at);
		*VEC_PUSH(w->argv, w->argc, w->cap) = buf_take(&word);
		if (err)
			break;
	}
	*VEC_PUSH(w->argv, w->argc, w->cap) = NULL;
	w->argc--;
	return err;
}

void words_free(struct words *w)
{
	for (size_t i = 0; i < w->argc; i++)
		free(w->argv[i]);
	free(w->argv);
	*w = (struct words){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"
#include "view/timeline/timeline_sink.h"

struct entry {
	char *text;
	uint32_t id;
	UT_hash_handle hh;
};

struct tl_strings {
	struct entry *by_text;
	struct entry **by_id;
	size_t count, cap;
};

struct tl_strings *tl_strings_new(void)
{
	struct tl_strings *s = xcalloc(1, sizeof(*s));

	*VEC_PUSH(s->by_id, s->count, s->cap) = NULL;
	return s;
}

void tl_strings_free(struct tl_strings *s)
{
	if (!s)
		return;
	HASH_CLEAR(hh, s->by_text);
	for (size_t i = 1; i < s->count; i++) {
		free(s->by_id[i]->text);
		free(s->by_id[i]);
	}
	free(s->by_id);
	free(s);
}

uint32_t tl_strings_id(struct tl_strings *s, const char *text)
{
	struct entry *e;

	if (!text)
		return 0;
	HASH_FIND_STR(s->by_text, text, e);
	if (e)
		return e->id;
	e = xcalloc(1, sizeof(*e));
	e->text = xstrdup(text);
	e->id = (uint32_t)s->count;
	*VEC_PUSH(s->by_id, s->count, s->cap) = e;
	HASH_ADD_KEYPTR(hh, s->by_text, e->text, strlen(e->text), e);
	return e->id;
}

const char *tl_strings_text(const struct tl_strings *s, uint32_t id)
{
	return id && id < s->count ? s->by_id[id]->text : "";
}

uint32_t tl_strings_count(const struct tl_strings *s)
{
	return (uint32_t)s->count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Options by key, flag and letter. */
#include <string.h>

#include "config/options.h"
#include "util/text.h"

const struct option *option_by_key(const char *key)
{
	for (size_t i = 0; i < option_count(); i++)
		if (option_table[i].key && strcmp(option_table[i].key, key) == 0)
			return &option_table[i];
	return NULL;
}

const struct option *option_by_flag(const char *flag, size_t len, enum command_id command)
{
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];

		if (o->flag && (o->commands & (1u << command)) && strlen(o->flag) == len &&
		    strncmp(o->flag, flag, len) == 0)
			return o;
	}
	return NULL;
}

const struct option *option_by_letter(char letter, enum command_id command)
{
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];

		if (o->letter && o->letter == letter && (o->commands & (1u << command)))
			return o;
	}
	return NULL;
}

static const char *next_key(const void *state, size_t i)
{
	(void)state;
	for (size_t row = 0, seen = 0; row < option_count(); row++) {
		const struct option *o = &option_table[row];

		if (o->key && !(o->flags & OPTION_ALIAS) && seen++ == i)
			return o->key;
	}
	return NULL;
}

static const char *last_word(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot ? dot + 1 : key;
}

const char *option_key_by_last_word(const char *word)
{
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];

		if (o->key && strchr(o->key, '.') && strcmp(last_word(o->key), word) == 0)
			return o->key;
	}
	return NULL;
}

const char *option_nearest_key(const char *key)
{
	const char *exact = option_key_by_last_word(last_word(key));

	return exact ? exact : text_nearest(key, next_key, NULL);
}

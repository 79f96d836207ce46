/* SPDX-License-Identifier: Apache-2.0 */
#include "script/fn/builtin.h"

#include <string.h>

#include "util/text.h"

static const struct builtin *const groups[] = {
	builtins_proc, builtins_args, builtins_stack,  builtins_string,
	builtins_map,  builtins_agg,  builtins_output, builtins_net,
	builtins_misc, builtins_meta, builtins_glob,
};

const struct builtin *builtin_at(size_t i)
{
	for (size_t g = 0; g < ARRAY_LEN(groups); g++)
		for (const struct builtin *b = groups[g]; b->name; b++)
			if (i-- == 0)
				return b;
	return NULL;
}

/* arg0, arg1, ... are one row, and so are sarg0, sarg1, ... */
static bool same_name(const char *row, const char *name)
{
	size_t n = strlen(row) - 1;

	if (row[n] == 'N')
		return strncmp(name, row, n) == 0 && name[n] &&
		       name[n + strspn(name + n, "0123456789")] == 0 && strlen(name) < n + 4;
	return strcmp(row, name) == 0;
}

const struct builtin *builtin_find(const char *name, bool call)
{
	const struct builtin *b;
	unsigned want = call ? BUILTIN_CALL : BUILTIN_NAME;

	for (size_t i = 0; (b = builtin_at(i)); i++)
		if (((b->flags & want) || (call && (b->flags & BUILTIN_NAME))) &&
		    same_name(b->name, name))
			return b;
	return NULL;
}

const char *builtin_nearest(const char *name, bool call)
{
	const char *names[256];
	const struct builtin *b;
	size_t n = 0;

	for (size_t i = 0; (b = builtin_at(i)) && n < 256; i++)
		if (b->flags & (call ? BUILTIN_CALL : BUILTIN_NAME))
			names[n++] = b->name;
	return text_nearest_of(name, names, n);
}

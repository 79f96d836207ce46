/* SPDX-License-Identifier: Apache-2.0 */
#include "util/cxx_name.h"

#include <dlfcn.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

struct cxx_names {
	void *lib;
	bool tried;
	char *(*demangle)(const char *name, char *buf, size_t *len, int *status);
};

struct cxx_names *cxx_names_new(void)
{
	return xcalloc(1, sizeof(struct cxx_names));
}

void cxx_names_free(struct cxx_names *c)
{
	if (!c)
		return;
	if (c->lib)
		dlclose(c->lib);
	free(c);
}

char *cxx_demangle(struct cxx_names *c, const char *symbol)
{
	int status;

	if (strncmp(symbol, "_Z", 2) != 0)
		return NULL;
	if (!c->tried) {
		c->tried = true;
		c->lib = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
		if (c->lib)
			*(void **)&c->demangle = dlsym(c->lib, "__cxa_demangle");
	}
	return c->demangle ? c->demangle(symbol, NULL, NULL, &status) : NULL;
}

/* Blanks between parameters are a matter of taste. */
static void drop_blanks(char *s)
{
	char *out = s;

	for (const char *p = s; *p; p++)
		if (*p != ' ' || (p > s && p[-1] != ',' && p[-1] != '(' && p[1] != ')'))
			*out++ = *p;
	*out = 0;
}

/* The parenthesis that opens the parameters: the last one outside of <>, before "const". */
static char *params_of(char *name)
{
	char *close = strrchr(name, ')');
	int depth = 0;

	for (char *p = close; p && p >= name; p--) {
		depth += *p == ')' ? 1 : *p == '(' ? -1 : 0;
		if (!depth)
			return p;
	}
	return NULL;
}

/* Behind "int " of "int ns::twice<int>"; the name itself when there is no return type. */
static const char *behind_return_type(const char *name)
{
	const char *at = name;
	int depth = 0;

	for (const char *p = name; *p; p++) {
		depth += *p == '<' || *p == '(' ? 1 : *p == '>' || *p == ')' ? -1 : 0;
		if (*p == ' ' && !depth && strncmp(p + 1, "const", 5) != 0)
			at = p + 1;
	}
	return at;
}

static bool fits(const char *pattern, const char *name)
{
	return fnmatch(pattern, name, 0) == 0;
}

static bool matches_name(const char *pattern, char *name)
{
	char *params = params_of(name);

	if (params)
		*params = 0;
	return fits(pattern, name) || fits(pattern, behind_return_type(name));
}

bool cxx_matches(struct cxx_names *c, const char *pattern, const char *symbol)
{
	char *name = cxx_demangle(c, symbol), *want;
	bool ok;

	if (!name)
		return false;
	if (!strchr(pattern, '(')) {
		ok = matches_name(pattern, name);
		free(name);
		return ok;
	}
	want = xstrdup(pattern);
	drop_blanks(want);
	drop_blanks(name);
	ok = fits(want, name) || fits(want, behind_return_type(name));
	free(want);
	free(name);
	return ok;
}

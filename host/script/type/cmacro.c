/* SPDX-License-Identifier: Apache-2.0 */
/* Macros of the C text: NAME is kept with its text, NAME( with "a,b) text". */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "script/type/cprep.h"

enum {
	MAX_DEPTH = 32,
	MAX_PARAMS = 16,
	MAX_NAME = 128,
	MAX_EXPANDED = 1 << 20,
	MAX_WORK = 2 << 20 /* characters looked at for one line */
};

/* Macros that are being replaced: a name inside of its own text stays as it is. */
struct hidden {
	const char *name;
	const struct hidden *up;
	int depth;
};

struct expansion {
	struct type_table *t;
	long left; /* characters that may still be looked at: text may double with each macro */
};

struct call {
	char *params[MAX_PARAMS], *args[MAX_PARAMS];
	int n;
};

static void expand(struct expansion *x, const char *s, const struct hidden *up, struct buf *out);

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static size_t word_length(const char *s)
{
	size_t n = 0;

	while (is_word(s[n]))
		n++;
	return n;
}

/* The length of the literal in quotes that starts here. */
static size_t quoted_length(const char *s)
{
	size_t n = 1;

	while (s[n] && s[n] != *s)
		n += s[n] == '\\' && s[n + 1] ? 2 : 1;
	return n + (s[n] == *s);
}

static bool is_hidden(const struct hidden *h, const char *name)
{
	for (; h; h = h->up)
		if (strcmp(h->name, name) == 0)
			return true;
	return false;
}

static void replace(struct expansion *x, const char *name, const char *text,
		    const struct hidden *up, struct buf *out)
{
	struct hidden h = {name, up, up ? up->depth + 1 : 1};

	if (h.depth < MAX_DEPTH && out->len < MAX_EXPANDED)
		expand(x, text, &h, out);
}

/* One argument, up to a comma or the closing parenthesis of this level. */
static const char *argument_end(const char *s, bool rest)
{
	int depth = 0;

	for (; *s && (depth || (*s != ')' && (rest || *s != ','))); s++) {
		if (*s == '"' || *s == '\'')
			s += quoted_length(s) - 1;
		depth += *s == '(' ? 1 : *s == ')' ? -1 : 0;
		if (!*s)
			break;
	}
	return s;
}

static char *trimmed(const char *s, const char *end)
{
	while (s < end && isspace((unsigned char)*s))
		s++;
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	return xstrndup(s, (size_t)(end - s));
}

static void take_params(struct call *c, char *text)
{
	char *save = NULL;

	for (char *w = strtok_r(text, ", \t", &save); w && c->n < MAX_PARAMS;
	     w = strtok_r(NULL, ", \t", &save))
		c->params[c->n++] = strcmp(w, "...") == 0 ? "__VA_ARGS__" : w;
}

/* Returns what follows the call, NULL when its parenthesis is not closed on this line. */
static const char *take_args(struct expansion *x, struct call *c, const char *s,
			     const struct hidden *up)
{
	for (int i = 0; i < c->n; i++) {
		const char *end = argument_end(s, strcmp(c->params[i], "__VA_ARGS__") == 0);
		char *text = trimmed(s, end);
		struct buf value = {0};

		expand(x, text, up, &value);
		free(text);
		c->args[i] = buf_take(&value);
		s = *end == ',' && i + 1 < c->n ? end + 1 : end;
	}
	s = argument_end(s, true);
	return *s == ')' ? s + 1 : NULL;
}

static const char *argument(const struct call *c, const char *name, size_t len)
{
	for (int i = 0; i < c->n; i++)
		if (strlen(c->params[i]) == len && strncmp(c->params[i], name, len) == 0)
			return c->args[i] ? c->args[i] : "";
	return NULL;
}

static void put_body(const struct call *c, const char *s, struct buf *out)
{
	while (*s) {
		size_t n = *s == '"' ? quoted_length(s) : word_length(s);
		const char *arg = n && *s != '"' ? argument(c, s, n) : NULL;

		if (s[0] == '#' && s[1] == '#') { /* joins what is on both sides */
			while (out->len && out->data[out->len - 1] == ' ')
				out->data[--out->len] = 0;
			for (s += 2; *s == ' '; s++)
				;
			continue;
		}
		n = n ? n : 1;
		if (arg)
			buf_puts(out, arg);
		else
			buf_add(out, s, n);
		s += n;
	}
}

/* NAME(...): returns what follows it, or NULL when it is no call of the macro. */
static const char *replace_call(struct expansion *x, const char *name, const char *s,
				const struct hidden *up, struct buf *out)
{
	char key[MAX_NAME + 1];
	struct call c = {0};
	struct buf body = {0};
	const char *text;
	char *copy, *end;

	while (*s == ' ' || *s == '\t')
		s++;
	snprintf(key, sizeof(key), "%s(", name);
	if (*s != '(' || *argument_end(s + 1, true) != ')' || !(text = type_macro(x->t, key)))
		return NULL;
	copy = xstrdup(text);
	end = strchr(copy, ')');
	if (end) {
		*end = 0;
		take_params(&c, copy);
		s = take_args(x, &c, s + 1, up);
		if (s) {
			put_body(&c, end + 1, &body);
			replace(x, name, buf_str(&body), up, out);
		}
	}
	for (int i = 0; i < c.n; i++)
		free(c.args[i]);
	buf_free(&body);
	free(copy);
	return end ? s : NULL;
}

/* A name: its macro's text or itself. Returns what follows. */
static const char *put_name(struct expansion *x, const char *s, size_t n, const struct hidden *up,
			    struct buf *out)
{
	char name[MAX_NAME];
	const char *text, *next;

	snprintf(name, sizeof(name), "%.*s", (int)n, s);
	if (n < sizeof(name) && !is_hidden(up, name)) {
		text = type_macro(x->t, name);
		if (text) {
			replace(x, name, text, up, out);
			return s + n;
		}
		next = replace_call(x, name, s + n, up, out);
		if (next)
			return next;
	}
	buf_add(out, s, n);
	return s + n;
}

static void expand(struct expansion *x, const char *s, const struct hidden *up, struct buf *out)
{
	x->left -= (long)strlen(s) + 1;
	while (*s && x->left > 0) {
		size_t n = *s == '"' || *s == '\'' ? quoted_length(s) : word_length(s);

		if (n && (isalpha((unsigned char)*s) || *s == '_')) {
			s = put_name(x, s, n, up, out);
			continue;
		}
		n = n ? n : 1;
		buf_add(out, s, n);
		s += n;
	}
}

void cmacro_expand(struct type_table *t, const char *line, struct buf *out)
{
	struct expansion x = {t, MAX_WORK};

	expand(&x, line, NULL, out);
}

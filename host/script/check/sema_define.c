/* SPDX-License-Identifier: Apache-2.0 */
/* What #define leaves to expressions: constants, and calls of function-like macros. */
#include <string.h>

#include "script/check/sema.h"

enum { MAX_DEPTH = 64, MAX_PARAMS = 16 };

static struct node *parse_text(struct sema *s, struct node *n, const char *text)
{
	struct source *src = arena_alloc(s->arena, sizeof(*src));
	struct diag *d = diag_new();
	struct node *value;
	char *name = arena_strdup(s->arena, n->name);

	*src = (struct source){name, arena_strdup(s->arena, text), strlen(text)};
	value = script_parse_expr(src, s->arena, d);
	diag_free(d);
	if (!value)
		sema_error(s, n, "#define %s is no expression: '%s'", name, text);
	return value ? node_clone(s->arena, value, n) : NULL;
}

static const struct type *replace_by(struct sema *s, struct node *n, const struct node *value)
{
	if (s->macro_depth >= MAX_DEPTH)
		return sema_error(s, n, "#define %s refers to itself", n->name);
	s->macro_depth++;
	node_become(n, value);
	sema_expr(s, n);
	s->macro_depth--;
	return n->type;
}

const struct type *sema_define(struct sema *s, struct node *n, const char *text)
{
	struct node *value = parse_text(s, n, text);

	return value ? replace_by(s, n, value) : &type_none;
}

/* ---- #define NAME(a, b) body: kept as "NAME(" with the text "a,b) body" ---- */

struct params {
	struct sema *s;
	char *names[MAX_PARAMS];
	const struct node *args[MAX_PARAMS];
	int n;
};

/* What comes from the call is not looked at again: it may hold the same names. */
static void put_arguments(const struct params *p, struct node *n)
{
	if (!n)
		return;
	for (int i = 0; n->kind == N_IDENT && i < p->n; i++)
		if (strcmp(n->name, p->names[i]) == 0) {
			node_become(n, node_clone(p->s->arena, p->args[i], NULL));
			return;
		}
	put_arguments(p, n->a);
	put_arguments(p, n->b);
	put_arguments(p, n->c);
	put_arguments(p, n->d);
	for (struct node *c = n->list; c; c = c->next)
		put_arguments(p, c);
}

/* Cuts the names off the text; returns what follows them. */
static const char *take_params(struct params *p, char *text)
{
	char *end = strchr(text, ')'), *save = NULL;

	if (!end)
		return NULL;
	*end = 0;
	for (char *w = strtok_r(text, ", \t", &save); w; w = strtok_r(NULL, ", \t", &save)) {
		if (p->n == MAX_PARAMS)
			return NULL;
		p->names[p->n++] = w;
	}
	return end + 1;
}

const char *sema_macro_text(struct sema *s, const char *name)
{
	return type_macro(s->types, arena_printf(s->arena, "%s(", name));
}

const struct type *sema_define_call(struct sema *s, struct node *n, const char *text)
{
	struct params p = {.s = s};
	const char *body = take_params(&p, arena_strdup(s->arena, text));
	struct node *value;
	int i = 0;

	if (!body)
		return sema_error(s, n, "#define %s() has a parameter list that is not understood",
				  n->name);
	if (call_args(n) != p.n)
		return sema_error(s, n, "#define %s() takes %d arguments (%d provided)", n->name,
				  p.n, call_args(n));
	for (const struct node *a = n->list; a; a = a->next, i++) {
		struct node *copy = arena_alloc(s->arena, sizeof(*copy));

		*copy = *a;
		copy->next = NULL;
		p.args[i] = copy;
	}
	value = parse_text(s, n, body);
	if (!value)
		return &type_none;
	put_arguments(&p, value);
	return replace_by(s, n, value);
}

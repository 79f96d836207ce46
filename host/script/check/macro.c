/* SPDX-License-Identifier: Apache-2.0 */
/* Macros: calls are replaced by copies of the body, whose own variables get fresh names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "script/check/sema.h"

enum { MAX_PARAMS = 32, MAX_USES = 10000 };

struct expansion {
	struct sema *s;
	const struct macro *m;
	struct node *call;
	struct node *args[MAX_PARAMS];
	int use;
};

/* How far a call is from a definition: 0 fits, a wrong number of arguments weighs most. */
static int distance(const struct macro *m, const struct node *call)
{
	int have = call->kind == N_CALL ? call_args(call) : 0;
	int d = 1024 * abs(m->n_params - have);
	const struct node *a = call->kind == N_CALL ? call->list : NULL;

	for (const struct node *p = m->params; p && a; p = p->next, a = a->next)
		d += (p->kind == N_MAP && (a->kind != N_MAP || a->a)) ||
		     (p->kind == N_VAR && a->kind != N_VAR);
	return d;
}

/* The nearest definition of that name, NULL when there is none. */
static const struct macro *find_macro(const struct sema *s, const struct node *call, int *d)
{
	const struct macro *best = NULL;

	for (const struct macro *m = s->prog->macros; m; m = m->next) {
		int here;

		if (strcmp(m->name, call->name) != 0)
			continue;
		here = distance(m, call);
		/* the first definition wins, and the list starts with the last */
		if (!best || here <= *d) {
			best = m;
			*d = here;
		}
	}
	return best;
}

const char *macro_own_name(const char *name)
{
	const char *p = name;

	if (strncmp(p, "__m", 3) != 0)
		return name;
	p += 3 + strspn(p + 3, "0123456789");
	return *p == '_' ? p + 1 : name;
}

static int param_index(const struct macro *m, const struct node *n)
{
	int i = 0;

	for (const struct node *p = m->params; p; p = p->next, i++)
		if (p->kind == n->kind && strcmp(p->name, n->name) == 0)
			return i;
	return -1;
}

static void replace(struct node *n, const struct node *value)
{
	struct node *next = n->next;

	*n = *value;
	n->next = next;
}

static void substitute(struct expansion *x, struct node *n)
{
	int i;

	if (n->kind != N_VAR && n->kind != N_MAP && n->kind != N_IDENT)
		return;
	i = param_index(x->m, n);
	if (i >= 0 && n->kind == N_MAP) {
		n->name = x->args[i]->name;
	} else if (n->kind == N_MAP) {
		sema_error(x->s, n,
			   "Unhygienic access to map: %s. Maps must be passed into the macro as "
			   "arguments.",
			   n->name);
	} else if (i >= 0 && (n->kind == N_IDENT || x->args[i]->kind == N_VAR)) {
		replace(n, node_clone(x->s->arena, x->args[i], NULL));
	} else if (n->kind == N_VAR && strncmp(n->name, "__m", 3) != 0) {
		n->name = arena_printf(x->s->arena, "__m%d_%s", x->use, n->name);
	}
}

static void substitute_tree(struct expansion *x, struct node *n)
{
	bool leaf;

	if (!n)
		return;
	leaf = n->kind == N_VAR || (n->kind == N_IDENT);
	if (n->kind == N_LET && n->a && param_index(x->m, n->a) >= 0)
		sema_error(x->s, n, "Variable declaration shadows macro arg $%s", n->a->name);
	substitute(x, n);
	if (leaf)
		return; /* what came from the caller is not looked at again */
	substitute_tree(x, n->a);
	substitute_tree(x, n->b);
	substitute_tree(x, n->c);
	substitute_tree(x, n->d);
	for (struct node *c = n->list; c; c = c->next)
		substitute_tree(x, c);
}

static const char *sigil(const struct node *p)
{
	return p->kind == N_VAR ? "$" : "";
}

/* Tells which arguments keep the call from the nearest definition. */
static void mismatched(struct sema *s, struct node *n, const struct macro *m)
{
	int have = n->kind == N_CALL ? call_args(n) : 0;
	struct node *a = n->kind == N_CALL ? n->list : NULL;

	sema_error(s, n, "Call to %s() has arguments that do not match any definition.", m->name);
	if (have != m->n_params) {
		sema_hint(s,
			  "The closest definition of %s() has a different number of arguments. "
			  "Expected: %d but got %d",
			  m->name, m->n_params, have);
		return;
	}
	for (const struct node *p = m->params; p && a; p = p->next, a = a->next) {
		bool map = p->kind == N_MAP;

		if (p->kind == N_IDENT || (map ? a->kind == N_MAP && !a->a : a->kind == N_VAR))
			continue;
		sema_error(s, a, "Mismatched arg. %s() expects a %s for arg %s%s but got %s.",
			   m->name, map ? "map" : "variable", sigil(p), p->name,
			   map && a->kind == N_VAR	       ? "a variable"
			   : !map && a->kind == N_MAP && !a->a ? "a map"
							       : "an expression");
	}
}

static void expand_call(struct sema *s, struct node *n, const struct macro *m)
{
	struct expansion x = {.s = s, .m = m, .call = n};
	struct node *body, *call;
	int i = 0;

	if (++s->macro_uses > MAX_USES || m->n_params > MAX_PARAMS) {
		sema_error(s, n, "macros expand to more than %d calls", MAX_USES);
		return;
	}
	for (const struct node *a = n->list; i < m->n_params; a = a->next, i++) {
		struct node *copy = arena_alloc(s->arena, sizeof(*copy));

		*copy = *a;
		copy->next = NULL;
		x.args[i] = copy;
	}
	x.use = s->macro_uses;
	call = arena_alloc(s->arena, sizeof(*call));
	*call = *n;
	x.call = call;
	body = node_clone(s->arena, m->body, call);
	substitute_tree(&x, body);
	replace(n, body);
}

struct stack {
	const struct macro *m;
	const struct stack *up;
};

static bool is_recursive(struct sema *s, struct node *n, const struct macro *m,
			 const struct stack *stack)
{
	const char *chain = m->name;

	for (const struct stack *up = stack; up; up = up->up) {
		chain = arena_printf(s->arena, "%s > %s", up->m->name, chain);
		if (up->m == m) {
			sema_error(s, n, "Recursive macro call detected. Call chain: %s", chain);
			return true;
		}
	}
	return false;
}

static void expand_tree(struct sema *s, struct node *n, const struct stack *stack)
{
	struct stack here = {.up = stack};
	int d = 0;

	if (!n || s->errors)
		return;
	if (n->kind == N_CALL || n->kind == N_IDENT)
		here.m = find_macro(s, n, &d);
	/* a name without parentheses is only one of a macro without parameters */
	if (here.m && n->kind == N_IDENT && here.m->n_params)
		here.m = NULL;
	for (struct node *c = n->list; c && here.m; c = c->next)
		expand_tree(s, c, stack);
	if (here.m && d) {
		mismatched(s, n, here.m);
		return;
	}
	if (here.m) {
		if (!is_recursive(s, n, here.m, stack))
			expand_call(s, n, here.m);
		if (!s->errors)
			expand_tree(s, n, &here);
		return;
	}
	expand_tree(s, n->a, stack);
	expand_tree(s, n->b, stack);
	expand_tree(s, n->c, stack);
	expand_tree(s, n->d, stack);
	for (struct node *c = n->list; c; c = c->next)
		expand_tree(s, c, stack);
}

/* Two definitions may share a name when no call fits both. */
static bool same_signature(const struct macro *a, const struct macro *b)
{
	const struct node *q = b->params;

	if (a->n_params != b->n_params || strcmp(a->name, b->name) != 0)
		return false;
	for (const struct node *p = a->params; p; p = p->next, q = q->next)
		if (p->kind != q->kind)
			return false;
	return true;
}

static void check_definition(struct sema *s, const struct macro *m)
{
	struct node at = {.src = s->prog->src, .loc = m->loc};

	for (const struct macro *old = m->next; old; old = old->next)
		if (same_signature(m, old))
			sema_error(s, &at, "Redefinition of macro: %s", m->name);
	for (const struct node *p = m->params; p; p = p->next)
		for (const struct node *q = m->params; q != p; q = q->next)
			if (p->kind == q->kind && strcmp(p->name, q->name) == 0)
				sema_error(
					s, p, "%s for macro argument has already been used: %s%s",
					p->kind == N_MAP ? "Map" : "Variable", sigil(p), p->name);
}

int macro_expand(struct sema *s)
{
	s->final = true;
	s->errors = 0;
	s->macro_depth = 0;
	for (const struct macro *m = s->prog->macros; m; m = m->next)
		check_definition(s, m);
	for (struct probe *p = s->prog->probes; p && s->prog->macros; p = p->next) {
		expand_tree(s, p->pred, NULL);
		expand_tree(s, p->body, NULL);
	}
	s->final = false;
	s->macro_depth = 0;
	return s->errors ? -EINVAL : 0;
}

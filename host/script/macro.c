/* SPDX-License-Identifier: Apache-2.0 */
/* Macros: calls are replaced by copies of the body, whose own variables get fresh names. */
#include <errno.h>
#include <string.h>

#include "script/sema.h"

enum { MAX_DEPTH = 32, MAX_USES = 10000 };

struct expansion {
	struct sema *s;
	const struct macro *m;
	struct node *call;
	struct node *args[32];
	int use;
};

static struct macro *find_macro(struct sema *s, const char *name)
{
	for (struct macro *m = s->prog->macros; m; m = m->next)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
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
	if (i >= 0 && n->kind == N_MAP && x->args[i]->kind == N_MAP) {
		n->name = x->args[i]->name;
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

/* $x given an expression: a variable of the body that starts with its value. */
static void bind_values(struct expansion *x, struct node *body)
{
	int i = 0;

	for (const struct node *p = x->m->params; p; p = p->next, i++) {
		struct node *let;

		if (p->kind != N_VAR || x->args[i]->kind == N_VAR)
			continue;
		let = arena_alloc(x->s->arena, sizeof(*let));
		let->kind = N_ASSIGN;
		let->loc = x->call->loc;
		let->src = x->call->src;
		let->a = node_clone(x->s->arena, p, x->call);
		let->a->next = NULL;
		let->a->name = arena_printf(x->s->arena, "__m%d_%s", x->use, p->name);
		let->b = node_clone(x->s->arena, x->args[i], NULL);
		let->next = body->list;
		body->list = let;
	}
}

static void expand_call(struct sema *s, struct node *n, const struct macro *m)
{
	struct expansion x = {.s = s, .m = m, .call = n};
	int have = n->kind == N_CALL ? call_args(n) : 0, i = 0;
	struct node *body, *call;

	if (have != m->n_params || have > 32) {
		sema_error(s, n,
			   "Call to macro has wrong number arguments. Expected: %d but got %d",
			   m->n_params, have);
		return;
	}
	if (s->macro_depth > MAX_DEPTH || ++s->macro_uses > MAX_USES) {
		sema_error(s, n, "Recursive macro call detected. Call chain: %s", m->name);
		return;
	}
	for (const struct node *p = m->params, *a = n->list; p; p = p->next, a = a->next, i++) {
		struct node *copy = arena_alloc(s->arena, sizeof(*copy));

		*copy = *a;
		copy->next = NULL;
		x.args[i] = copy;
		if (p->kind == N_MAP && (a->kind != N_MAP || a->a)) {
			sema_error(s, n, "Mismatched arg. %s expects a map for arg %s", m->name,
				   p->name);
			return;
		}
	}
	x.use = s->macro_uses;
	call = arena_alloc(s->arena, sizeof(*call));
	*call = *n;
	x.call = call;
	body = node_clone(s->arena, m->body, call);
	substitute_tree(&x, body);
	bind_values(&x, body);
	replace(n, body);
}

static void expand_tree(struct sema *s, struct node *n)
{
	struct macro *m;
	int guard = 0;

	if (!n || s->errors)
		return;
	while ((n->kind == N_CALL || n->kind == N_IDENT) && (m = find_macro(s, n->name))) {
		s->macro_depth++;
		guard++;
		expand_call(s, n, m);
		if (s->errors)
			return;
	}
	expand_tree(s, n->a);
	expand_tree(s, n->b);
	expand_tree(s, n->c);
	expand_tree(s, n->d);
	for (struct node *c = n->list; c; c = c->next)
		expand_tree(s, c);
	s->macro_depth -= guard;
}

int macro_expand(struct sema *s)
{
	s->final = true;
	s->errors = 0;
	s->macro_depth = 0;
	for (struct probe *p = s->prog->probes; p && s->prog->macros; p = p->next) {
		expand_tree(s, p->pred);
		expand_tree(s, p->body);
	}
	s->final = false;
	s->macro_depth = 0;
	return s->errors ? -EINVAL : 0;
}

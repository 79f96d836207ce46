/* SPDX-License-Identifier: Apache-2.0 */
#include "script/check/sema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"

enum { MAX_ROUNDS = 12, MAX_ERRORS = 20 };

/* @x op= e reads and writes one place: what is wrong with it is said once. */
static bool same_error(const struct sema *s, const struct node *n, const char *text)
{
	return s->last_error && strcmp(s->last_error, text) == 0 &&
	       s->last_error_at.pos == n->loc.pos && s->last_error_at.end == n->loc.end;
}

const char *sema_name(const struct type *t)
{
	static _Thread_local char text[2][128];
	static _Thread_local int i;

	i = !i;
	return type_text(t, text[i]);
}

const struct type *sema_error(struct sema *s, const struct node *n, const char *fmt, ...)
{
	va_list ap;
	char *text;

	s->errors++;
	if (!s->final || s->errors > MAX_ERRORS)
		return &type_none;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	if (!same_error(s, n, text)) {
		s->last_error = arena_strdup(s->arena, text);
		s->last_error_at = n->loc;
		diag_add_at(s->diag, DIAG_ERROR, n->src, loc_span(n->src, n->loc), "%s", text);
	}
	free(text);
	return &type_none;
}

void sema_hint(struct sema *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->final)
		return;
	va_start(ap, fmt);
	diag_vadd(s->diag, DIAG_HINT, fmt, ap);
	va_end(ap);
}

void sema_warn(struct sema *s, const struct node *n, const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (!s->final || s->again)
		return;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	diag_add_at(s->diag, DIAG_WARNING, n->src, loc_span(n->src, n->loc), "%s", text);
	free(text);
}

bool sema_forbidden(struct sema *s, const struct node *n, uint64_t policy, const char *feature,
		    const char *key)
{
	if (policy == UNSTABLE_ERROR)
		sema_error(s, n,
			   "%s feature is not enabled by default. To enable this unstable "
			   "feature, set the config flag to enable. %s=enable",
			   feature, key);
	else if (policy == UNSTABLE_WARN)
		sema_warn(s, n,
			  "Script is using an unstable feature: %s. To prevent this warning you "
			  "must explicitly enable it in the config e.g. %s=enable",
			  feature, key);
	return policy == UNSTABLE_ERROR;
}

struct node *call_arg(const struct node *call, int i)
{
	struct node *a = call->list;

	while (a && i--)
		a = a->next;
	return a;
}

int call_args(const struct node *call)
{
	int n = 0;

	for (const struct node *a = call->list; a; a = a->next)
		n++;
	return n;
}

bool sema_literal(struct sema *s, struct node *n, const char *what, int64_t *out)
{
	sema_expr(s, n);
	if (const_eval(s->types, n, out))
		return true;
	sema_error(s, n, "%s must be a literal", what);
	return false;
}

/* ---- symbols ---- */

struct symbol *sema_map(struct sema *s, const char *name, struct loc loc)
{
	struct symbol *m;

	for (m = s->maps; m; m = m->next)
		if (strcmp(m->name, name) == 0)
			return m;
	m = arena_alloc(s->arena, sizeof(*m));
	m->name = name;
	m->is_map = true;
	m->type = &type_none;
	m->id = s->n_maps++;
	m->loc = loc;
	for (const struct map_decl *d = s->prog->map_decls; d; d = d->next)
		if (strcmp(d->name, name) == 0)
			m->decl = d;
	m->next = s->maps;
	s->maps = m;
	s->changed = true;
	return m;
}

static bool scope_open(const struct sema *s, int id)
{
	for (const struct scope *sc = s->scope; sc; sc = sc->up)
		if (sc->id == id)
			return true;
	return false;
}

struct symbol *sema_open_var(struct sema *s, const char *name)
{
	for (struct symbol *v = s->vars; v; v = v->next)
		if (v->probe == s->probe && v->pass == s->pass && strcmp(v->name, name) == 0 &&
		    scope_open(s, v->scope))
			return v;
	return NULL;
}

struct symbol *sema_block_var(struct sema *s, const char *name, struct loc loc)
{
	struct symbol *v;

	for (v = s->vars; v; v = v->next)
		if (v->probe == s->probe && v->scope == s->scope->id && strcmp(v->name, name) == 0)
			return v;
	return sema_declare_var(s, name, loc);
}

struct symbol *sema_declare_var(struct sema *s, const char *name, struct loc loc)
{
	struct symbol *v = arena_alloc(s->arena, sizeof(*v));

	v->name = name;
	v->type = &type_none;
	v->id = s->n_vars++;
	v->probe = s->probe;
	v->scope = s->scope->id;
	v->loc = loc;
	v->next = s->vars;
	s->vars = v;
	s->changed = true;
	return v;
}

/* ---- joining types ---- */

static const struct type *join_ints(const struct type *a, const struct type *b)
{
	if (a->kind == TY_BOOL && b->kind == TY_BOOL)
		return a;
	if (a->kind == TY_ENUM || b->kind == TY_ENUM)
		return a->kind == TY_INT && a->size == 8 ? a : &type_i64;
	if (a->is_signed == b->is_signed)
		return type_int(a->size >= b->size ? a->size : b->size, a->is_signed);
	if (a->size == 8 && b->size == 8)
		return a; /* the first assignment decides */
	/* a signed one that holds both */
	if (a->is_signed)
		return type_int(a->size > b->size ? a->size : b->size * 2, true);
	return type_int(b->size > a->size ? b->size : a->size * 2, true);
}

static const struct type *join_fields(struct sema *s, const struct type *a, const struct type *b)
{
	size_t n = a->fields->n;
	const struct type **types;
	const char **names = NULL;
	bool differs = false;

	if (b->fields->n != n)
		return NULL;
	types = arena_alloc(s->arena, (n + 1) * sizeof(*types));
	if (a->kind == TY_RECORD)
		names = arena_alloc(s->arena, (n + 1) * sizeof(*names));
	for (size_t i = 0; i < n; i++) {
		const struct field *x = &a->fields->v[i], *y = &b->fields->v[i];

		if (names && strcmp(x->name, y->name) != 0)
			return NULL;
		types[i] = sema_join(s, x->type, y->type);
		if (!types[i])
			return NULL;
		if (names)
			names[i] = x->name;
		differs |= types[i] != x->type;
	}
	return differs ? type_tuple(s->types, types, names, n) : a;
}

bool sema_needs_probe_text(struct sema *s, const struct type *a, const struct type *b)
{
	bool needs = (a->kind == TY_PROBE && b->kind == TY_STRING) ||
		     (a->kind == TY_STRING && b->kind == TY_PROBE);

	if (needs && !s->probe_is_text)
		s->probe_is_text = s->changed = true;
	return needs;
}

const struct type *sema_text(struct sema *s, struct node *n)
{
	const struct type *t = sema_expr(s, n), *text = type_string(s->types, 1);

	return sema_needs_probe_text(s, t, text) ? text : t;
}

const struct type *sema_join(struct sema *s, const struct type *a, const struct type *b)
{
	if (a == b || b->kind == TY_NONE)
		return a;
	if (a->kind == TY_NONE)
		return b;
	if (type_is_int(a) && type_is_int(b))
		return type_same(a, b) ? a : join_ints(a, b);
	if (sema_needs_probe_text(s, a, b))
		return a->kind == TY_STRING ? a : b;
	if (a->kind != b->kind)
		return NULL;
	switch (a->kind) {
	case TY_STRING:
	case TY_BUFFER:
	case TY_INET:
		return a->size >= b->size ? a : b;
	case TY_PTR:
		if (a->elem->kind == TY_VOID || b->elem->kind == TY_VOID)
			return a->elem->kind == TY_VOID ? b : a;
		if (type_is_int(a->elem) && type_is_int(b->elem))
			return a->elem->size == b->elem->size ? a : NULL;
		return type_same(a, b) ? a : NULL;
	case TY_TUPLE:
	case TY_RECORD:
		return join_fields(s, a, b);
	case TY_SUM:
	case TY_MIN:
	case TY_MAX:
	case TY_AVG:
	case TY_STATS:
		return a->is_signed || !b->is_signed ? a : b;
	default:
		return type_same(a, b) ? a : NULL;
	}
}

static bool both_wide(const struct type *a, const struct type *b)
{
	return a->kind == TY_INT && b->kind == TY_INT && a->size == 8 && b->size == 8 &&
	       a->is_signed != b->is_signed;
}

/*
 * What a variable or map keeps of a value's type: the smallest one that holds all values. Where 64
 * bits with and without sign meet, a type that was asked for (a cast, a built-in) wins over one
 * that arithmetic gave (`weak`), and the sign over its absence.
 */
bool sema_assign_type(struct sema *s, struct symbol *sym, const struct type *type, bool weak)
{
	const struct type *joined;

	if (type->kind == TY_NONE)
		return true;
	sym->assigned = true;
	if (sym->fixed) {
		if (type_is_int(sym->type) && type_is_int(type) && weak)
			return true;
		joined = sema_join(s, sym->type, type);
		return joined && (joined == sym->type || type_same(joined, sym->type));
	}
	joined = sema_join(s, sym->type, type);
	if (!joined)
		return false;
	if (both_wide(sym->type, type) && !sym->weak && !weak)
		return false;
	if (both_wide(sym->type, type) && sym->weak)
		joined = !weak || type->is_signed ? type : sym->type;
	if (sym->type->kind == TY_NONE)
		sym->weak = weak;
	sym->weak &= weak;
	if (type_is_aggregate(joined->kind) && joined != sym->type &&
	    joined->is_signed != sym->type->is_signed) {
		sym->type = joined;
		s->changed = true;
	}
	if (!type_same(joined, sym->type)) {
		sym->type = joined;
		s->changed = true;
	}
	return true;
}

void sema_key(struct sema *s, struct symbol *map, struct node *access)
{
	const struct type *key = access->a ? sema_any(s, access->a) : NULL, *joined;
	char have[128], want[128];

	if (key && key->kind == TY_NONE) {
		if (sema_is_void(access->a))
			sema_error(s, access, "Value 'void' cannot be used as a map key.");
		return;
	}
	if (key && type_is_aggregate(key->kind) && !type_in_register(key)) {
		sema_error(s, access, "Value '%s' cannot be used as a map key.",
			   type_text(key, have));
		return;
	}
	if (key && type_is_aggregate(key->kind))
		key = key->kind == TY_COUNT || !key->is_signed ? &type_u64 : &type_i64;
	if (!map->key_known) {
		map->key_known = true;
		map->key = key;
		s->changed = true;
		return;
	}
	if (!key && !map->key)
		return;
	if (!key) {
		sema_error(s, access,
			   "%s used as a map without an explicit key (scalar map), previously "
			   "used with an explicit key (non-scalar map)",
			   map->name);
		return;
	}
	if (!map->key) {
		sema_error(s, access,
			   "%s used as a map with an explicit key (non-scalar map), previously "
			   "used without an explicit key (scalar map)",
			   map->name);
		return;
	}
	joined = sema_join(s, map->key, key);
	if (!joined) {
		sema_error(s, access,
			   "Argument mismatch for %s: trying to access with arguments: "
			   "'%s' when map expects arguments: '%s'",
			   map->name, type_text(key, have), type_text(map->key, want));
		return;
	}
	if (!type_same(joined, map->key)) {
		map->key = joined;
		s->changed = true;
	}
}

struct symbol *sema_map_arg(struct sema *s, struct node *n)
{
	if (n->kind != N_MAP) {
		sema_error(s, n, "expected a map, for example @x");
		return NULL;
	}
	n->sym = sema_map(s, n->name, n->name_loc);
	n->type = n->sym->type;
	if (n->a)
		sema_key(s, n->sym, n);
	return n->sym;
}

/* ---- types by name ---- */

const struct type *sema_complete(struct sema *s, const struct type *st)
{
	const struct type *full;

	if (st->kind != TY_STRUCT || st->fields->complete || !st->name)
		return st;
	full = type_by_name(s->types, st->name);
	return full ? full : st;
}

static const struct type *unknown_type(struct sema *s, struct node *n)
{
	return sema_error(s, n, "Cannot resolve unknown type \"%s\"", n->name);
}

static const struct type *named_type(struct sema *s, struct node *n)
{
	const struct type *t;
	char tagged[128];

	if (strcmp(n->name, "string") == 0 || strcmp(n->name, "buffer") == 0) {
		uint32_t size =
			n->list ? (uint32_t)n->list->value : (uint32_t)s->settings->max_strlen;

		return n->name[0] == 's' ? type_string(s->types, size)
					 : type_buffer(s->types, size);
	}
	t = type_by_name(s->types, n->name);
	if (!t) {
		snprintf(tagged, sizeof(tagged), "struct %.100s", n->name);
		t = type_by_name(s->types, tagged);
	}
	return t;
}

const struct type *sema_resolve_type(struct sema *s, struct node *n)
{
	const struct type *t;
	const struct node *dim;
	uint32_t dims[8];
	int n_dims = 0;

	if (n->a)
		t = n->a->kind == N_TYPE ? sema_resolve_type(s, n->a) : sema_expr(s, n->a);
	else
		t = named_type(s, n);
	if (!t)
		return unknown_type(s, n);
	for (uint64_t i = 0; i < n->value; i++)
		t = type_ptr(s->types, t);
	if (t->kind == TY_STRING || t->kind == TY_BUFFER)
		return n->type = t;
	for (dim = n->list; dim && n_dims < 8; dim = dim->next) {
		if (dim->value > 65536)
			return sema_error(s, n, "array is too large (at most 65536 elements)");
		dims[n_dims++] = (uint32_t)dim->value;
	}
	while (n_dims--)
		t = type_array(s->types, t, dims[n_dims]);
	return n->type = t;
}

/* ---- driver ---- */

static void open_scope(struct sema *s, struct scope *sc)
{
	sc->id = s->n_scopes++;
	sc->up = s->scope;
	s->scope = sc;
}

void sema_block(struct sema *s, struct node *list)
{
	struct scope sc;

	open_scope(s, &sc);
	sema_statements(s, list);
	s->scope = sc.up;
}

static void check_probe(struct sema *s, const struct probe *p, const struct attach *a,
			const struct probe_match *m)
{
	s->probe = p;
	s->attach = a;
	s->match = m ? m : a ? a->matches : NULL;
	s->scope = NULL;
	s->loop_depth = 0;
	if (p->pred) {
		struct scope sc;
		const struct type *t;

		open_scope(s, &sc);
		t = sema_expr(s, p->pred);
		if (t->kind != TY_NONE && !type_in_register(t))
			sema_error(s, p->pred, "Invalid predicate: expected an integer, found %s",
				   type_text(t, (char[128]){0}));
		s->scope = sc.up;
	}
	sema_block(s, p->body->list);
}

static void check_all(struct sema *s, struct probe_plan *plans, size_t n)
{
	s->errors = 0;
	s->pass++;
	for (size_t i = 0; i < n; i++) {
		struct attach *a = plans[i].attaches;

		/* blocks are numbered from the start again, so that variables are found again */
		s->n_scopes = 0;
		while (a && !a->matches && a->next)
			a = a->next;
		check_probe(s, plans[i].probe, a, NULL);
	}
}

/* The declared kind must do what the values need. */
static void check_declared(struct sema *s, const struct symbol *m, struct node *at)
{
	bool percpu = m->decl && strncmp(m->decl->kind, "percpu", 6) == 0;
	bool needs = type_is_aggregate(m->type->kind);

	if (!m->decl || m->type->kind == TY_NONE || percpu == needs)
		return;
	sema_error(s, at,
		   "Incompatible map types. Type from declaration: %s. Type from value/key type: "
		   "%s",
		   m->decl->kind, needs ? "percpuhash" : "hash");
}

static void check_decls(struct sema *s)
{
	static const char *const kinds[] = {"hash", "lruhash", "percpuhash", "percpulruhash"};

	for (const struct map_decl *d = s->prog->map_decls; d; d = d->next) {
		struct node at = {.src = s->prog->src, .loc = d->loc};
		const struct symbol *m;
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			known |= strcmp(d->kind, kinds[i]) == 0;
		for (m = s->maps; m && strcmp(m->name, d->name) != 0; m = m->next)
			;
		if (sema_forbidden(s, &at, s->settings->unstable_map_decl, "map declarations",
				   "unstable_map_decl"))
			continue;
		if (!known) {
			sema_error(s, &at, "Invalid bpf map type: %s", d->kind);
			sema_hint(s, "Valid map types: hash, lruhash, percpuhash, percpulruhash");
		} else if (!d->max) {
			sema_error(s, &at, "Map %s must hold at least one key", d->name);
		} else if (!m) {
			sema_warn(s, &at, "Unused map: %s", d->name);
		}
	}
}

static void check_vars(struct sema *s)
{
	/* in the order of the text: the list starts with the last */
	for (int id = 0; id < s->n_vars; id++)
		for (struct symbol *v = s->vars; v; v = v->next) {
			struct node at = {.src = s->prog->src, .loc = v->loc};

			if (v->id == id && v->declared && !v->assigned)
				sema_warn(s, &at, "Variable $%s was never assigned to.",
					  macro_own_name(v->name));
		}
}

static void check_maps(struct sema *s)
{
	for (struct symbol *m = s->maps; m; m = m->next) {
		struct node at = {.src = s->prog->src, .loc = m->loc};

		if (m->type->kind == TY_NONE && !m->assigned && s->errors == 0)
			sema_error(s, &at, "Undefined map: %s", m->name);
		check_declared(s, m, &at);
	}
}

int sema_run(struct sema *s, struct probe_plan *plans, size_t n)
{
	int err = macro_expand(s);

	if (err)
		return err;
	for (int round = 0; round < MAX_ROUNDS; round++) {
		s->changed = false;
		check_all(s, plans, n);
		if (!s->changed)
			break;
	}
	s->final = true;
	check_all(s, plans, n);
	check_decls(s);
	if (!s->errors)
		check_vars(s);
	if (!s->errors)
		check_maps(s);
	return s->errors ? -EINVAL : 0;
}

int sema_retype(struct sema *s, const struct probe *p, const struct attach *a,
		const struct probe_match *m)
{
	s->errors = 0;
	s->n_scopes = 0;
	s->pass++;
	s->again = true;
	check_probe(s, p, a, m);
	return s->errors ? -EINVAL : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which alternative of an engine file serves a level, and where its functions are. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "target/plan_impl.h"
#include "util/text.h"

enum { MATCHES_MAX = 512, STRING_USERS_MAX = 32, WHY_MAX = 256 };

/* Symbols. */

struct match {
	struct plan *p;
	size_t file;
	struct found_list *out;
	size_t max;
	bool is_own;
};

/* ".cold" parts are never entered by a call. */
static int add_match(void *ctx, const struct elf_symbol *sym)
{
	struct match *m = ctx;
	struct elf_func func;
	struct found *f;

	if (m->is_own && !m->p->opts.own_function(m->p->opts.own_ctx, sym->name))
		return 0;
	if (!sym->is_func || text_ends(sym->name, ".cold") ||
	    !elf_func_at(m->p->files[m->file]->elf, sym->vaddr, &func))
		return 0;
	f = VEC_PUSH(m->out->at, m->out->count, m->out->cap);
	f->file = m->file;
	f->func = func;
	f->symbol = xstrdup(sym->name);
	f->how = sym->table == ELF_DYNSYM ? "exported symbol" : "local symbol";
	return m->out->count >= m->max;
}

/* Keeps the functions that use the other constant as well. */
static size_t keep_users_of(const struct elf *elf, const char *text, struct elf_func *users,
			    size_t n)
{
	struct elf_func others[STRING_USERS_MAX];
	size_t n_others = elf_find_string_users(elf, text, others, STRING_USERS_MAX), kept = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n_others; k++)
			if (users[i].vaddr == others[k].vaddr) {
				users[kept++] = users[i];
				break;
			}
	return kept;
}

static void find_by_string(struct match *m, const struct engine_function *fn)
{
	const struct elf *elf = m->p->files[m->file]->elf;
	const char *text = fn->string;
	struct elf_func users[STRING_USERS_MAX];
	size_t n = elf_find_string_users(elf, text, users, STRING_USERS_MAX);
	struct found *f;

	if (n > 1 && fn->and_string)
		n = keep_users_of(elf, fn->and_string, users, n);
	if (n != 1)
		return;
	f = VEC_PUSH(m->out->at, m->out->count, m->out->cap);
	f->file = m->file;
	f->func = users[0];
	f->symbol = xasprintf("0x%" PRIx64 " (uses \"%.40s\")", users[0].vaddr, text);
	f->how = "string constant";
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_pattern(const char *symbol)
{
	return strpbrk(symbol, "*?[") || strstr(symbol, "::");
}

static void find_in_file(struct match *m, const struct engine_function *fn)
{
	const struct elf *elf = m->p->files[m->file]->elf;
	struct elf_symbol sym;

	if (fn->symbol && is_pattern(fn->symbol)) {
		m->max = fn->all ? MATCHES_MAX : m->out->count + 1;
		elf_match(elf, fn->symbol, add_match, m);
	} else if (fn->symbol && elf_find(elf, fn->symbol, &sym)) {
		add_match(m, &sym);
	} else if (fn->string) {
		find_by_string(m, fn);
	}
}

static bool family_defines(const struct plan *p, size_t family, const char *symbol)
{
	struct elf_symbol sym;

	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i]->family == family && elf_find(p->files[i]->elf, symbol, &sym))
			return true;
	return false;
}

static void find_function(struct plan *p, size_t family, size_t engine,
			  const struct engine_function *fn, struct found_list *out)
{
	if (fn->entry.event && fn->entry.event->is_own && !p->opts.own_function)
		return;
	for (char **s = fn->unless; s && *s; s++)
		if (family_defines(p, family, *s))
			return;
	for (size_t i = 0; i < p->n_files; i++) {
		const struct file_state *f = p->files[i];
		struct match m = {.p = p,
				  .file = i,
				  .out = out,
				  .is_own = fn->entry.event && fn->entry.event->is_own};

		if (f->family != family || !f->engines[engine])
			continue;
		if (!fn->library || !fnmatch(fn->library, base_name(f->pub.shown), 0))
			find_in_file(&m, fn);
	}
}

static void free_found(struct found_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->at[i].symbol);
	free(l->at);
	memset(l, 0, sizeof(*l));
}

/* Alternatives. */

static bool conditions_hold(const struct plan *p, size_t family, const struct engine_alternative *a,
			    struct buf *why)
{
	for (char **s = a->requires; s && *s; s++)
		if (!family_defines(p, family, *s)) {
			buf_printf(why, "no file defines %s", *s);
			return false;
		}
	for (char **s = a->without; s && *s; s++)
		if (family_defines(p, family, *s)) {
			buf_printf(why, "%s is defined, so this is a later version", *s);
			return false;
		}
	return true;
}

static const char *function_title(const struct engine_function *fn)
{
	return fn->symbol ? fn->symbol : "the function that uses a string constant";
}

/* Every needed function is there, and at least one. */
static bool functions_exist(struct plan *p, size_t family, size_t engine,
			    const struct engine_alternative *a, struct buf *why)
{
	size_t total = 0;

	for (size_t i = 0; i < a->n_functions; i++) {
		const struct engine_function *fn = &a->functions[i];
		struct found_list found = {0};
		bool missing;

		find_function(p, family, engine, fn, &found);
		total += found.count;
		missing = !found.count;
		free_found(&found);
		if (missing && !fn->optional) {
			buf_printf(why, "%s was not found", function_title(fn));
			return false;
		}
	}
	if (!total) {
		for (size_t i = 0; i < a->n_functions; i++)
			buf_printf(why, "%s%s", i ? ", " : "none of ",
				   function_title(&a->functions[i]));
		buf_puts(why, " was found");
	}
	return total > 0;
}

bool plan_same_copy(const struct plan *p, size_t a, size_t b)
{
	const struct plan_copy *x = p->copies[a], *y = p->copies[b];

	return x->engine == y->engine && p->files[x->family]->family == p->files[y->family]->family;
}

size_t plan_copy_of(struct plan *p, const struct engine *engine, size_t family)
{
	int layout = plan_family_layout(p, family);
	struct plan_copy *c;

	for (size_t i = 0; i < p->n_copies; i++)
		if (p->copies[i]->engine == engine && p->copies[i]->layout == layout &&
		    p->files[p->copies[i]->family]->family == family)
			return i;
	c = xcalloc(1, sizeof(*c));
	c->engine = engine;
	c->family = family;
	c->layout = layout;
	c->version = xstrdup(layout < 0 ? "" : layout_version(p->layouts[layout]->layout));
	*VEC_PUSH(p->copies, p->n_copies, p->cap_copies) = c;
	return p->n_copies - 1;
}

/* True when a function that says the same is probed already, be it since an earlier decision, when
 * less of the copy was mapped. */
static bool stands_in(const struct plan *p, size_t copy, const struct engine_function *fn)
{
	for (char **s = fn->instead; s && *s; s++)
		for (size_t i = 0; i < p->n_points; i++)
			if (plan_same_copy(p, p->points[i]->copy, copy) &&
			    !strcmp(p->points[i]->symbol, *s))
				return true;
	return false;
}

static void add_why(struct buf *why, const char *text)
{
	buf_printf(why, "%s%s", why->len ? "\n" : "", text);
}

/* Adds what the alternative has; false when a needed function cannot be probed. */
static bool add_alternative(struct plan *p, const struct choice *ch,
			    const struct engine_alternative *a, struct buf *why)
{
	const struct engine *engine = engine_at(p->opts.engines, ch->engine);
	size_t copy = plan_copy_of(p, engine, ch->family), added = 0;
	char text[WHY_MAX];

	for (size_t i = 0; i < a->n_functions; i++) {
		const struct engine_function *fn = &a->functions[i];
		struct found_list found = {0};
		size_t usable = 0;

		if (stands_in(p, copy, fn))
			continue;
		find_function(p, ch->family, ch->engine, fn, &found);
		for (size_t k = 0; k < found.count; k++) {
			if (plan_add_function(p, engine, a, ch->level, fn, &found.at[k], copy, text,
					      sizeof(text)))
				usable++;
			else
				add_why(why, text);
		}
		free_found(&found);
		added += usable;
		if (!usable && !fn->optional)
			return false;
	}
	return added > 0;
}

static bool layout_is_there(struct plan *p, const struct choice *ch, struct buf *why)
{
	const struct engine *e = engine_at(p->opts.engines, ch->engine);
	const char *error;

	if (!e->has_layout || plan_family_layout(p, ch->family) >= 0)
		return true;
	error = p->files[ch->family]->layout_error;
	buf_printf(why, "the layout of its structs could not be inferred: %s",
		   error ? error : "no reason told");
	return false;
}

/* Takes back what a failed alternative has added. */
static void undo(struct plan *p, const struct plan_mark *m, size_t n_done)
{
	while (p->n_sites > m->sites) {
		free(p->sites[--p->n_sites]->symbol);
		free(p->sites[p->n_sites]);
	}
	while (p->n_points > m->points) {
		struct plan_point *pt = p->points[--p->n_points];

		for (size_t i = 0; i < pt->n_args; i++)
			free(pt->args[i].expr);
		free((char *)pt->symbol);
		free(pt);
	}
	p->n_done = n_done;
}

static bool try_alternative(struct plan *p, const struct choice *ch,
			    const struct engine_alternative *a, struct buf *why)
{
	struct plan_mark before = plan_mark(p);
	size_t n_done = p->n_done;

	if (!conditions_hold(p, ch->family, a, why) ||
	    !functions_exist(p, ch->family, ch->engine, a, why) || !layout_is_there(p, ch, why))
		return false;
	if (add_alternative(p, ch, a, why)) {
		if (why->len)
			buf_printf(&p->notes, "%s\n", buf_str(why));
		return true;
	}
	undo(p, &before, n_done);
	return false;
}

static void decide_level(struct plan *p, struct choice *ch, const struct engine_level *l)
{
	struct buf reason = {0};

	ch->n_files = plan_family_size(p, ch->family);
	/* What was chosen once stays, so that nothing is counted by two alternatives. */
	if (ch->alternative >= 0) {
		add_alternative(p, ch, &l->alternatives[ch->alternative], &reason);
		buf_free(&reason);
		return;
	}
	for (size_t i = 0; i < l->n_alternatives && ch->alternative < 0; i++) {
		struct buf why = {0};

		if (try_alternative(p, ch, &l->alternatives[i], &why))
			ch->alternative = (long)i;
		else
			buf_printf(&reason, "%s%s: %s", reason.len ? "\n" : "",
				   l->alternatives[i].name, buf_str(&why));
		buf_free(&why);
	}
	free(ch->reason);
	ch->reason = ch->alternative < 0 ? buf_take(&reason) : NULL;
	buf_free(&reason);
}

static struct choice *choice_of(struct plan *p, size_t family, size_t engine, enum rec_level level)
{
	struct choice *c;

	for (size_t i = 0; i < p->n_choices; i++) {
		c = &p->choices[i];
		if (c->family == family && c->engine == engine && c->level == level)
			return c;
	}
	c = VEC_PUSH(p->choices, p->n_choices, p->cap_choices);
	c->family = family;
	c->engine = engine;
	c->level = level;
	c->alternative = NO_ALTERNATIVE;
	return c;
}

static bool family_has_engine(const struct plan *p, size_t family, size_t engine)
{
	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i]->family == family && p->files[i]->engines[engine])
			return true;
	return false;
}

static void decide_engine(struct plan *p, size_t family, size_t index)
{
	const struct engine *e = engine_at(p->opts.engines, index);

	for (size_t i = 0; i < e->n_levels; i++) {
		const struct engine_level *l = &e->levels[i];
		struct choice *ch;

		if (p->opts.levels && !(p->opts.levels & (1u << l->level)))
			continue;
		ch = choice_of(p, family, index, l->level);
		if (ch->n_files != plan_family_size(p, family))
			decide_level(p, ch, l);
	}
}

void plan_decide(struct plan *p)
{
	for (size_t family = 0; family < p->n_files; family++) {
		if (p->files[family]->family != family)
			continue;
		for (size_t i = 0; i < engine_count(p->opts.engines); i++)
			if (family_has_engine(p, family, i))
				decide_engine(p, family, i);
	}
}

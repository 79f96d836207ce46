/* SPDX-License-Identifier: Apache-2.0 */
/* From what engine files say and files hold to points and sites. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "target/plan_impl.h"
#include "util/text.h"

/* ns per hit of a small program, median of machines measured; a return probe costs more. */
static double estimate_cost(enum insn_class class, bool is_return)
{
	switch (class) {
	case INSN_EMULATED:
		return is_return ? 1400 : 800;
	case INSN_PUSH:
		return is_return ? 1400 : 850;
	case INSN_NOP:
	case INSN_NOP5:
		return is_return ? 1400 : 800;
	default:
		return is_return ? 14500 : 13000;
	}
}

static uint64_t hash_text(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
	return (h ^ 0xff) * 0x100000001b3ULL;
}

static uint64_t variant_of(const struct plan_point *pt)
{
	uint64_t h = hash_text(0xcbf29ce484222325ULL, pt->event);

	for (size_t i = 0; i < pt->n_args; i++)
		h = hash_text(hash_text(h, pt->args[i].name), pt->args[i].expr);
	return (h ^ (uint64_t)(pt->layout + 1)) * 0x100000001b3ULL;
}

/* What the points of one function have in common. */
struct context {
	struct plan *p;
	const struct engine *engine;
	const struct engine_alternative *alt;
	const struct engine_function *fn;
	const struct found *at;
	enum rec_level level;
	size_t copy;
	int layout;
	enum elf_arch arch;
	struct elf *elf;
};

static const struct layout *layout_of(const struct context *c)
{
	return c->layout < 0 ? NULL : c->p->layouts[c->layout]->layout;
}

/* An optional argument that this build does not tell. */
static bool is_left_out(const struct context *c, const struct engine_probe *probe, size_t i)
{
	const struct expr *e = probe->args[i].expr[c->arch];

	return engine_arg_is_optional(probe->event, i) &&
	       (!e || expr_missing_field(e, layout_of(c)));
}

static struct plan_point *add_point(const struct context *c, const struct engine_probe *probe,
				    struct expr_place at)
{
	struct plan *p = c->p;
	struct plan_point *pt = xcalloc(1, sizeof(*pt));
	const char *backend = c->fn->backend ? c->fn->backend : c->engine->backend;

	pt->id = (uint16_t)p->n_points;
	pt->level = c->level;
	pt->engine = c->engine->name;
	pt->event = probe->event->name;
	pt->symbol = xstrdup(c->at->symbol);
	pt->kind = c->fn->kind ? c->fn->kind : "";
	pt->backend = backend ? backend : "";
	pt->alternative = c->alt->name;
	pt->cannot = c->alt->cannot ? c->alt->cannot : "";
	pt->layout = c->layout;
	pt->copy = c->copy;
	for (size_t i = 0; i < probe->n_args; i++) {
		struct buf text = {0};

		if (is_left_out(c, probe, i))
			continue;
		expr_emit(probe->args[i].expr[c->arch], layout_of(c), &at, &text);
		pt->args[pt->n_args].name = probe->args[i].name;
		pt->args[pt->n_args++].expr = buf_take(&text);
	}
	pt->variant = variant_of(pt);
	*VEC_PUSH(p->points, p->n_points, p->cap_points) = pt;
	return pt;
}

static void add_site(const struct context *c, const struct plan_point *pt, const struct site *s,
		     bool is_return)
{
	struct plan_site *ps = xcalloc(1, sizeof(*ps));

	ps->point = pt->id;
	ps->file = c->at->file;
	ps->offset = s->file_offset;
	ps->is_return = is_return;
	ps->class = s->class;
	memcpy(ps->insn, s->text, sizeof(ps->insn));
	ps->symbol = xstrdup(c->at->symbol);
	ps->sym_offset = s->offset;
	snprintf(ps->how, sizeof(ps->how), "%.30s; %.60s", c->at->how, s->why);
	ps->cost_ns = estimate_cost(s->class, is_return);
	*VEC_PUSH(c->p->sites, c->p->n_sites, c->p->cap_sites) = ps;
}

/* Which argument cannot be had in this build, if any. */
static bool check_args(const struct context *c, const struct engine_probe *probe, char *why,
		       size_t n)
{
	for (size_t i = 0; i < probe->n_args; i++) {
		const struct engine_arg *a = &probe->args[i];
		const char *field = a->expr[c->arch]
					    ? expr_missing_field(a->expr[c->arch], layout_of(c))
					    : NULL;

		if (is_left_out(c, probe, i))
			continue;
		if (!a->expr[c->arch]) {
			snprintf(why, n, "%s: where argument '%s' lies on %s is not known",
				 c->at->symbol, a->name, elf_arch_name(c->elf));
			return false;
		}
		if (field) {
			snprintf(why, n,
				 "%s: argument '%s' needs {%s}, which could not be inferred",
				 c->at->symbol, a->name, field);
			return false;
		}
	}
	return true;
}

static bool find_entry(const struct context *c, struct site *out, char *why, size_t n)
{
	const struct engine_probe *probe = &c->fn->entry;
	uint32_t mask = 0;
	bool sp = false;
	int err;

	for (size_t i = 0; i < probe->n_args; i++) {
		if (is_left_out(c, probe, i))
			continue;
		mask |= expr_arg_mask(probe->args[i].expr[c->arch]);
		sp |= expr_uses_sp(probe->args[i].expr[c->arch]);
	}
	err = site_entry(c->elf, &c->at->func, mask, sp, out);
	if (err)
		snprintf(why, n, "%s: no instruction near its entry can be probed (%s)",
			 c->at->symbol, strerror(-err));
	return !err;
}

/* True when the alternative has a function of that name whose end is seen as well. */
static bool end_is_seen(const struct context *c, const char *name)
{
	for (size_t i = 0; i < c->alt->n_functions; i++) {
		const struct engine_function *fn = &c->alt->functions[i];

		if (fn->symbol && fn->exit.event == c->fn->exit.event && !strcmp(fn->symbol, name))
			return true;
	}
	return false;
}

/* True when the alternative has a function of that name for the same kind of call. */
static bool same_kind_is_seen(const struct context *c, const char *name)
{
	const char *kind = c->fn->kind ? c->fn->kind : "";

	for (size_t i = 0; i < c->alt->n_functions; i++) {
		const struct engine_function *fn = &c->alt->functions[i];

		if (fn->symbol && fn->exit.event == c->fn->exit.event && !strcmp(fn->symbol, name))
			return !strcmp(fn->kind ? fn->kind : "", kind);
	}
	return false;
}

/*
 * True when the function jumps to one of the alternative's that is probed itself for the same kind
 * of call: the call is that one's, and would be counted twice. A hand-over to another kind (decode
 * to encode for models without a memory) is a way out like any other.
 */
static bool hands_over(const struct context *c)
{
	const struct elf_func *f = &c->at->func;
	struct insn_list insns;
	bool found = false;

	if (insn_decode(c->elf, f, 0, &insns))
		return false;
	for (size_t i = 0; i < insns.count && !found; i++) {
		const struct insn *in = &insns.at[i];
		const char *name = NULL;

		if (in->is_jump && !in->is_conditional && in->has_target &&
		    in->target - f->vaddr >= f->size)
			name = elf_plt_symbol(c->elf, in->target);
		found = name && same_kind_is_seen(c, name);
	}
	insn_list_free(&insns);
	return found;
}

/* True for a jump to another function whose end nothing would see. */
static bool leaves_unseen(const struct context *c, const struct insn *in)
{
	const struct elf_func *f = &c->at->func;
	const char *name;
	struct elf_symbol sym;
	struct elf_func to;

	if (!in->is_jump || in->is_conditional || !in->has_target ||
	    in->target - f->vaddr < f->size)
		return false;
	name = elf_plt_symbol(c->elf, in->target);
	if (!name && elf_symbol_at(c->elf, in->target, &sym) && sym.vaddr == in->target)
		name = sym.name;
	if (name)
		return !strstr(name, ".cold") && !end_is_seen(c, name);
	return !elf_func_at(c->elf, in->target, &to) || !to.is_part;
}

/*
 * True when the function ends by jumping to another one: its exits are then where the other
 * begins, and say nothing about the end of the call. A jump to a function that is probed itself
 * makes two calls of one, each with a right time.
 */
static bool ends_in_call(const struct context *c)
{
	struct insn_list insns;
	bool found = false;

	if (insn_decode(c->elf, &c->at->func, 0, &insns))
		return true;
	for (size_t i = 0; i < insns.count && !found; i++)
		found = leaves_unseen(c, &insns.at[i]);
	insn_list_free(&insns);
	return found;
}

static enum site_value value_use(const struct context *c)
{
	const struct engine_probe *probe = &c->fn->exit;
	bool needs = false;

	for (size_t i = 0; i < probe->n_args; i++)
		needs |= expr_uses_ret(probe->args[i].expr[c->arch]);
	return needs ? SITE_VALUE_ANYWHERE : SITE_VALUE_UNUSED;
}

/* The sites that see the function's end: one return probe where that is safe, else its exits. */
static bool find_exits(const struct context *c, struct site_exits *out, bool *is_return, char *why,
		       size_t n)
{
	char throws[96] = "";
	int err;

	memset(out, 0, sizeof(*out));
	*is_return = c->fn->nothrow ||
		     site_may_throw(c->elf, &c->at->func, throws, sizeof(throws)) == SITE_THROW_NO;
	if (*is_return) {
		err = site_return(c->elf, &c->at->func, &out->at[0]);
		out->count = 1;
		if (!err)
			return true;
		*is_return = false;
	}
	if (ends_in_call(c)) {
		snprintf(why, n,
			 "%s: a return probe is unsafe (%s) and it ends in a jump to another "
			 "function",
			 c->at->symbol, *throws ? throws : "no place for one");
		return false;
	}
	err = site_exits(c->elf, &c->at->func, value_use(c), out);
	if (!err && out->complete && out->count)
		return true;
	snprintf(why, n,
		 "%s: a return probe is unsafe (%s) and not all of its exits can be probed (%s)",
		 c->at->symbol, *throws ? throws : "no place for one",
		 err ? strerror(-err) : out->why);
	return false;
}

/* A function of operators has one entry event, whichever was listed first. */
static bool same_entry(const struct engine_event *a, const struct engine_event *b)
{
	return a == b || (a && b && a->is_own && b->is_own);
}

static bool is_done(const struct context *c)
{
	const struct plan *p = c->p;

	for (size_t i = 0; i < p->n_done; i++)
		if (p->done[i].file == c->at->file && p->done[i].vaddr == c->at->func.vaddr &&
		    same_entry(p->done[i].entry, c->fn->entry.event) &&
		    p->done[i].exit == c->fn->exit.event)
			return true;
	return false;
}

static void mark_done(const struct context *c)
{
	*VEC_PUSH(c->p->done, c->p->n_done, c->p->cap_done) = (struct done_function){
		c->at->file, c->at->func.vaddr, c->fn->entry.event, c->fn->exit.event};
}

static size_t points_needed(const struct engine_function *fn)
{
	return (fn->entry.event != NULL) + (fn->exit.event != NULL);
}

/* One point for all exits that find the function's value in the same place. */
static void add_exits(const struct context *c, const struct site_exits *exits, bool is_return)
{
	const struct plan_point *pt[INSN_REGISTERS + 1] = {NULL};

	for (size_t i = 0; i < exits->count; i++) {
		const struct site *s = &exits->at[i];
		const struct plan_point **p = &pt[s->value_reg + 1];

		if (!*p)
			*p = add_point(c, &c->fn->exit, (struct expr_place){0, s->value_reg, NULL});
		add_site(c, *p, s, is_return);
	}
}

/* Its calls in one caller; false when the entry has to serve. */
static bool add_calls(const struct context *c)
{
	struct site_exits calls;
	const struct plan_point *pt;

	if (!c->fn->calls_beside || site_calls(c->elf, c->fn->symbol, c->fn->calls_beside, &calls))
		return false;
	pt = add_point(c, &c->fn->entry, (struct expr_place){0, -1, NULL});
	for (size_t i = 0; i < calls.count; i++)
		add_site(c, pt, &calls.at[i], false);
	return true;
}

/* The calls that end a node: a point for each set of places where the loop's values lie. */
static bool add_node_ends(const struct context *c, char *why, size_t n)
{
	const struct layout *l = layout_of(c);
	struct loop_layout in = {layout_get(l, LAYOUT_CGRAPH_N_NODES),
				 layout_get(l, LAYOUT_TENSOR_FLAGS)};
	const struct plan_point *pt = NULL;
	struct site_exits ends;

	if (site_node_ends(c->elf, c->fn->symbol, c->fn->node_ends, &in, &ends)) {
		snprintf(why, n, "%s: no loop over nodes was recognised, their begins are probed",
			 c->at->symbol);
		return false;
	}
	for (size_t i = 0; i < ends.count; i++) {
		const struct node_loop *loop = &ends.at[i].loop;

		if (!i || !node_loop_equal(loop, &ends.at[i - 1].loop))
			pt = add_point(c, &c->fn->entry, (struct expr_place){0, -1, loop});
		add_site(c, pt, &ends.at[i], false);
	}
	return true;
}

static bool add_both(const struct context *c, char *why, size_t n)
{
	struct site entry;
	struct site_exits exits;
	const struct engine_function *fn = c->fn;
	bool is_return = false;

	if (c->fn->node_ends)
		return add_node_ends(c, why, n);
	if (add_calls(c))
		return true;
	if (fn->entry.event &&
	    (!check_args(c, &fn->entry, why, n) || !find_entry(c, &entry, why, n)))
		return false;
	if (fn->exit.event &&
	    (!check_args(c, &fn->exit, why, n) || !find_exits(c, &exits, &is_return, why, n)))
		return false;
	if (fn->entry.event)
		add_site(c,
			 add_point(c, &fn->entry, (struct expr_place){entry.sp_adjust, -1, NULL}),
			 &entry, false);
	if (fn->exit.event)
		add_exits(c, &exits, is_return);
	return true;
}

bool plan_add_function(struct plan *p, const struct engine *engine,
		       const struct engine_alternative *alt, enum rec_level level,
		       const struct engine_function *fn, const struct found *at, size_t copy,
		       char *why, size_t n)
{
	struct context c = {
		.p = p,
		.engine = engine,
		.alt = alt,
		.fn = fn,
		.at = at,
		.level = level,
		.copy = copy,
		.layout = p->copies[copy]->layout,
		.elf = p->files[at->file]->elf,
	};

	c.arch = elf_arch(c.elf);
	if (is_done(&c))
		return true;
	if (fn->exit.event && !fn->nothrow && hands_over(&c)) {
		snprintf(why, n, "%s: ends in another function that is probed", at->symbol);
		return false;
	}
	if (p->n_points + points_needed(fn) > UINT16_MAX) {
		snprintf(why, n, "%s: the plan is full (%d points)", at->symbol, UINT16_MAX);
		return false;
	}
	if (!add_both(&c, why, n))
		return false;
	mark_done(&c);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of a function: returns, tail calls, and the split-off parts that return on their own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/site_impl.h"
#include "util/alloc.h"

enum { PARTS_MAX = 8, TABLE_WINDOW = 8, CHECK_INSNS = 16 };

struct walk {
	const struct elf *e;
	struct elf_func part[PARTS_MAX]; /* the function itself, then its split-off parts */
	size_t n_parts;
	struct site_exits *out;
	size_t open; /* exits without a site */
	enum site_value value;
};

static bool in_any_part(const struct walk *w, uint64_t vaddr)
{
	for (size_t i = 0; i < w->n_parts; i++)
		if (vaddr - w->part[i].vaddr < w->part[i].size)
			return true;
	return false;
}

/* True when `vaddr` lies in code that was split off this function, which is then walked as well. */
static bool add_part(struct walk *w, uint64_t vaddr)
{
	struct elf_symbol sym;
	struct elf_func f;
	bool cold = elf_symbol_at(w->e, vaddr, &sym) && strstr(sym.name, ".cold");

	/* Linkage stubs share one unwind entry that looks like a split-off part. */
	if (elf_plt_symbol(w->e, vaddr))
		return false;
	if (!elf_func_at(w->e, vaddr, &f) || (!f.is_part && !cold))
		return false;
	if (w->n_parts < PARTS_MAX)
		w->part[w->n_parts++] = f;
	return true;
}

static void give_up(struct walk *w, const struct insn *in, const char *what)
{
	if (!w->open++)
		snprintf(w->out->why, sizeof(w->out->why), "%s at 0x%llx", what,
			 (unsigned long long)in->vaddr);
}

static void add_site(struct walk *w, const struct insn *in, int8_t value_reg, const char *why)
{
	struct site *s;

	for (size_t i = 0; i < w->out->count; i++)
		if (w->out->at[i].vaddr == in->vaddr)
			return;
	if (w->out->count == SITE_EXITS_MAX) {
		give_up(w, in, "too many exits: one");
		return;
	}
	s = &w->out->at[w->out->count++];
	site_fill(w->e, &w->part[0], in, s);
	s->value_reg = value_reg;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

/* True for a jump that is only taken when the stack was found overwritten. */
static bool is_stack_check(const struct walk *w, const struct insn *in)
{
	struct elf_func at = {.vaddr = in->target, .size = CHECK_INSNS * INSN_BYTES_MAX};
	struct insn_list l;
	const char *name = NULL;
	size_t i = 0;

	if (!in->is_conditional || !in->has_target || insn_decode(w->e, &at, CHECK_INSNS, &l))
		return false;
	while (i < l.count && !l.at[i].is_call && !l.at[i].is_jump && !l.at[i].is_ret)
		i++;
	if (i < l.count && l.at[i].is_call && l.at[i].has_target)
		name = elf_plt_symbol(w->e, l.at[i].target);
	insn_list_free(&l);
	return name && !strcmp(name, "__stack_chk_fail");
}

/* True when what runs behind `in` always goes on to the next instruction. */
static bool is_straight(const struct walk *w, const struct insn *in)
{
	if (in->is_call || in->is_ret)
		return false;
	return !in->is_jump || is_stack_check(w, in);
}

/*
 * Follows the function's value back over `in`: from the register *reg (-1: the one that a return
 * leaves it in) to the one that was copied into it. False when it is made there.
 */
static bool value_before(const struct insn *in, enum site_value value, int8_t *reg)
{
	int now = *reg < 0 ? INSN_VALUE_REGISTER : *reg;

	if (value == SITE_VALUE_UNUSED || !(in->writes >> now & 1))
		return true;
	if (value == SITE_VALUE_IN_PLACE || strncmp(in->text, "mov ", 4) || !in->reads ||
	    in->reads & (in->reads - 1) || strchr(in->text, '['))
		return false;
	*reg = (int8_t)__builtin_ctz(in->reads);
	return true;
}

/*
 * The cheapest place for an exit at instruction `i`: itself, or an emulated instruction before it
 * in the same straight-line code. A call between the two, or as the site, would end the time too
 * early.
 */
static void add_exit(struct walk *w, const struct insn_list *l, const struct targets *t, size_t i,
		     const char *what)
{
	size_t best = i;
	int8_t reg = -1, best_reg = -1;

	for (size_t k = i; insn_class_cost(l->at[best].class) > 0 && k > 0; k--) {
		const struct insn *before = &l->at[k - 1];

		if (targets_has(t, l->at[k].vaddr) || !is_straight(w, before) ||
		    !value_before(before, w->value, &reg))
			break;
		if (insn_class_cost(before->class) < insn_class_cost(l->at[best].class)) {
			best = k - 1;
			best_reg = reg;
		}
	}
	if (l->at[best].class == INSN_REFUSED)
		give_up(w, &l->at[i], "the kernel refuses a probe on the exit");
	else
		add_site(w, &l->at[best], best_reg,
			 best == i ? what : "last cheap instruction before it");
}

/* A computed jump inside the function loads from a table that an index scales into. */
static bool is_table_jump(const struct insn_list *l, size_t i)
{
	static const char *const marks[] = {"*4]",  "*8]",  "*4 ",    "*8 ",
					    "uxtw", "sxtw", "lsl #2", "lsl #3"};

	for (size_t back = 0; back <= TABLE_WINDOW && back <= i; back++) {
		const struct insn *in = &l->at[i - back];

		if (back && (in->is_jump || in->is_call || in->is_ret))
			return false;
		for (size_t m = 0; m < ARRAY_LEN(marks); m++)
			if (strstr(in->text, marks[m]))
				return true;
	}
	return false;
}

static void visit_jump(struct walk *w, const struct insn_list *l, const struct targets *t, size_t i)
{
	const struct insn *in = &l->at[i];

	if (!in->has_target) {
		if (!is_table_jump(l, i))
			add_exit(w, l, t, i, "tail call through a pointer");
		return;
	}
	if (in_any_part(w, in->target) || add_part(w, in->target))
		return;
	if (in->is_conditional)
		give_up(w, in, "a conditional tail call");
	else
		add_exit(w, l, t, i, "tail call");
}

static int visit_part(struct walk *w, const struct elf_func *part)
{
	struct insn_list list;
	struct targets targets;
	int err = insn_decode(w->e, part, 0, &list);

	if (err)
		return err;
	targets_collect(&targets, &list);
	for (size_t i = 0; i < list.count; i++) {
		if (list.at[i].is_ret)
			add_exit(w, &list, &targets, i, "return");
		else if (list.at[i].is_jump)
			visit_jump(w, &list, &targets, i);
	}
	if (!list.complete && list.count)
		give_up(w, &list.at[list.count - 1], "undecodable code after the instruction");
	targets_free(&targets);
	insn_list_free(&list);
	return 0;
}

int site_exits(const struct elf *e, const struct elf_func *f, enum site_value value,
	       struct site_exits *out)
{
	struct walk w = {.e = e, .part = {*f}, .n_parts = 1, .out = out, .value = value};
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < w.n_parts && !err; i++) {
		err = visit_part(&w, &w.part[i]);
		if (i && err == -ENOENT)
			err = 0;
	}
	if (!out->count && !w.open)
		snprintf(out->why, sizeof(out->why), "the function has no exit");
	out->complete = !err && out->count && !w.open;
	return err;
}

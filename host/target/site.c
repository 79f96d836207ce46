/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing the instruction that a probe replaces. */
#include "target/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/site_impl.h"
#include "util/alloc.h"

/* Entry code that is looked at; the first branch comes long before. */
enum { ENTRY_INSNS = 64 };

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void targets_collect(struct targets *t, const struct insn_list *l)
{
	*t = (struct targets){0};
	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].is_jump && l->at[i].has_target)
			*VEC_PUSH(t->at, t->count, t->cap) = l->at[i].target;
	if (t->count)
		qsort(t->at, t->count, sizeof(*t->at), compare_u64);
}

void targets_free(struct targets *t)
{
	free(t->at);
}

bool targets_has(const struct targets *t, uint64_t vaddr)
{
	return t->count && bsearch(&vaddr, t->at, t->count, sizeof(*t->at), compare_u64);
}

void site_fill(const struct elf *e, const struct elf_func *f, const struct insn *in,
	       struct site *out)
{
	memset(out, 0, sizeof(*out));
	out->vaddr = in->vaddr;
	out->offset = in->vaddr - f->vaddr;
	out->class = in->class;
	out->value_reg = -1;
	memcpy(out->text, in->text, sizeof(out->text));
	elf_vaddr_to_offset(e, in->vaddr, &out->file_offset);
}

/* A walk from the entry along code that every call executes exactly once. */
struct entry_walk {
	const struct insn_list *list;
	const struct targets *targets;
	uint32_t needed;   /* argument registers that must be intact */
	bool needs_sp;	   /* the distance to the entry's stack pointer must be known */
	int32_t sp_adjust; /* bytes the stack pointer is below its entry value */
	bool sp_known;
	uint32_t written;
	const char *stop; /* why the walk ended */
};

static bool can_stand_here(const struct entry_walk *w, size_t i)
{
	const struct insn *in = &w->list->at[i];

	return in->class != INSN_REFUSED && !(w->written & w->needed) &&
	       (!w->needs_sp || w->sp_known);
}

/* Goes past instruction `i`; false when what follows is not certain to run, once, as it was. */
static bool step_over(struct entry_walk *w, size_t i)
{
	const struct insn *in = &w->list->at[i];

	if (in->is_jump || in->is_call || in->is_ret) {
		w->stop = in->is_call ? "a call follows" : "a branch follows";
		return false;
	}
	w->written |= in->writes;
	w->sp_known = w->sp_known && in->sp_known;
	w->sp_adjust -= in->sp_delta;
	if (w->written & w->needed) {
		w->stop = "an argument register is overwritten";
		return false;
	}
	if (w->needs_sp && !w->sp_known) {
		w->stop = "the stack pointer is lost";
		return false;
	}
	if (i + 1 < w->list->count && targets_has(w->targets, w->list->at[i + 1].vaddr)) {
		w->stop = "a loop or another path comes back there";
		return false;
	}
	return true;
}

static bool find_entry(const struct elf *e, const struct elf_func *f, struct entry_walk *w,
		       struct site *best)
{
	int best_cost = insn_class_cost(INSN_REFUSED);
	bool more = w->list->count > 0;

	w->stop = "the code could not be read further";
	for (size_t i = 0; more && i < w->list->count && i < ENTRY_INSNS && best_cost; i++) {
		const struct insn *in = &w->list->at[i];

		if (can_stand_here(w, i) && insn_class_cost(in->class) < best_cost) {
			best_cost = insn_class_cost(in->class);
			site_fill(e, f, in, best);
			best->sp_adjust = w->sp_adjust;
			best->sp_known = w->sp_known;
		}
		more = step_over(w, i);
	}
	return best_cost < insn_class_cost(INSN_REFUSED);
}

static void explain(struct site *s, const char *stop)
{
	if (insn_class_cost(s->class) == 0)
		snprintf(s->why, sizeof(s->why), "%s",
			 s->offset ? "first emulated instruction with the arguments intact"
				   : "the entry itself is emulated");
	else
		snprintf(s->why, sizeof(s->why), "no cheaper instruction: %s", stop);
}

/* Stack arguments are reached through the stack pointer. */
static uint32_t registers_of(enum elf_arch arch, uint32_t arg_mask, bool *needs_sp)
{
	uint32_t regs = 0;

	for (int i = 0; i < 32; i++) {
		if (!(arg_mask >> i & 1))
			continue;
		if (i >= insn_arg_count(arch))
			*needs_sp = true;
		regs |= insn_arg_register(arch, i);
	}
	return regs;
}

int site_entry(const struct elf *e, const struct elf_func *f, uint32_t arg_mask, bool needs_sp,
	       struct site *out)
{
	struct insn_list list;
	struct targets targets;
	struct entry_walk w = {.list = &list, .targets = &targets, .sp_known = true};
	int err = insn_decode(e, f, 0, &list);

	if (!err && !list.count)
		err = -ENOENT;
	if (err) {
		insn_list_free(&list);
		return err;
	}
	targets_collect(&targets, &list);
	w.needs_sp = needs_sp;
	w.needed = registers_of(elf_arch(e), arg_mask, &w.needs_sp);
	if (!find_entry(e, f, &w, out))
		err = -EOPNOTSUPP;
	else
		explain(out, w.stop);
	targets_free(&targets);
	insn_list_free(&list);
	return err;
}

static bool is_landing_pad(const struct insn *in)
{
	static const char *const pads[] = {"endbr64",	 "bti",	       "nop",	    "hint #0x20",
					   "hint #0x22", "hint #0x24", "hint #0x26"};

	for (size_t i = 0; i < ARRAY_LEN(pads); i++)
		if (!strncmp(in->text, pads[i], strlen(pads[i])))
			return true;
	return false;
}

/* True when every call goes on behind it with the return address where the call left it. On aarch64
 * only behind landing pads: other hints sign the return address. */
static bool keeps_return(enum elf_arch arch, const struct insn *in)
{
	if (is_landing_pad(in))
		return true;
	return arch == ELF_X86_64 && !in->is_jump && !in->is_call && !in->is_ret && in->sp_known &&
	       !in->sp_delta && !(in->writes & insn_sp_register(arch));
}

int site_return(const struct elf *e, const struct elf_func *f, struct site *out)
{
	struct insn_list list;
	struct targets targets;
	int err = insn_decode(e, f, 0, &list), best = insn_class_cost(INSN_REFUSED);

	if (!err && !list.count)
		err = -ENOENT;
	if (err) {
		insn_list_free(&list);
		return err;
	}
	targets_collect(&targets, &list);
	for (size_t i = 0; i < list.count && best; i++) {
		const struct insn *in = &list.at[i];

		if (i && (!keeps_return(elf_arch(e), &list.at[i - 1]) ||
			  targets_has(&targets, in->vaddr)))
			break;
		if (insn_class_cost(in->class) >= best)
			continue;
		best = insn_class_cost(in->class);
		site_fill(e, f, in, out);
		out->sp_known = true;
		snprintf(out->why, sizeof(out->why), "%s",
			 i ? "first cheap instruction with the return address in place"
			   : "the entry");
	}
	targets_free(&targets);
	insn_list_free(&list);
	return best < insn_class_cost(INSN_REFUSED) ? 0 : -EOPNOTSUPP;
}

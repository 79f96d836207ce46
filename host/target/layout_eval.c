/* SPDX-License-Identifier: Apache-2.0 */
/* The walk and what both architectures share of it. */
#include "target/layout_eval.h"

#include <capstone/capstone.h>
#include <stdlib.h>
#include <string.h>

#include "target/insn_impl.h"
#include "target/layout_eval_impl.h"
#include "util/alloc.h"

struct eval_value eval_add(struct eval_value v, int64_t off)
{
	switch (v.root) {
	case ROOT_ARG:
	case ROOT_RET:
	case ROOT_SP:
	case ROOT_CONST:
	case ROOT_ADDRESS:
	case ROOT_SHIFTED:
		v.off = (int64_t)((uint64_t)v.off + (uint64_t)off);
		return v;
	default:
		return (struct eval_value){0};
	}
}

static struct eval_slot *find_slot(struct eval_state *s, int64_t off)
{
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slot[i].off == off)
			return &s->slot[i];
	return NULL;
}

static struct eval_access *record(struct eval_machine *m, struct eval_value to, size_t size,
				  bool indexed, uint64_t at)
{
	struct eval_access *a;

	if (to.root == ROOT_SHIFTED) {
		to.root = to.base;
		indexed = true;
	}
	if ((to.root != ROOT_ARG && to.root != ROOT_RET) || m->out->n_access == EVAL_MAX)
		return NULL;
	a = &m->out->access[m->out->n_access++];
	*a = (struct eval_access){.at = at, .to = to, .size = (uint8_t)size, .indexed = indexed};
	return a;
}

struct eval_value eval_load(struct eval_machine *m, struct eval_value address, size_t size,
			    bool indexed, uint64_t at)
{
	struct eval_value v = {.root = ROOT_LOAD};
	struct eval_slot *slot;

	record(m, address, size, indexed, at);
	if (address.root == ROOT_SP) {
		slot = indexed ? NULL : find_slot(&m->s, address.off);
		return slot ? slot->value : (struct eval_value){0};
	}
	if (address.root == ROOT_ADDRESS)
		eval_take_address(m, (uint64_t)address.off);
	if (indexed || (address.root != ROOT_ARG && address.root != ROOT_RET))
		return (struct eval_value){0};
	v.base = address.root;
	v.index = address.index;
	v.off = address.off;
	return v;
}

void eval_store(struct eval_machine *m, struct eval_value address, size_t size, bool indexed,
		struct eval_value stored, uint64_t at)
{
	struct eval_access *a = record(m, address, size, indexed, at);
	struct eval_slot *slot;

	if (a) {
		a->is_write = true;
		a->stored = stored;
		a->has_imm = stored.root == ROOT_CONST;
		a->imm = stored.off;
	}
	if (address.root != ROOT_SP || indexed)
		return;
	slot = find_slot(&m->s, address.off);
	if (!slot && m->s.n_slots < SLOTS)
		slot = &m->s.slot[m->s.n_slots++];
	if (slot)
		*slot = (struct eval_slot){address.off, stored};
}

void eval_compare_to(struct eval_machine *m, struct eval_value what, int64_t imm)
{
	if (what.root == ROOT_LOAD && m->out->n_compare < EVAL_MAX)
		m->out->compare[m->out->n_compare++] = (struct eval_compare){what, imm};
}

struct eval_value eval_advance_by(struct eval_machine *m, struct eval_value what, int64_t imm)
{
	if (what.root == ROOT_LOAD && m->out->n_advance < EVAL_MAX)
		m->out->advance[m->out->n_advance++] = (struct eval_advance){what, imm};
	return eval_add(what, imm);
}

void eval_read_behind(struct eval_machine *m, struct eval_value pointer, int64_t off, size_t size)
{
	if (pointer.root == ROOT_LOAD && m->out->n_behind < EVAL_MAX)
		m->out->behind[m->out->n_behind++] =
			(struct eval_behind){pointer, off, (uint8_t)size};
}

struct eval_value eval_shift(struct eval_value base)
{
	if (base.root != ROOT_ARG && base.root != ROOT_RET)
		return (struct eval_value){0};
	base.base = base.root;
	base.root = ROOT_SHIFTED;
	return base;
}

void eval_set_constant(struct eval_machine *m, int reg, int64_t value)
{
	m->s.reg[reg] = (struct eval_value){.root = ROOT_CONST, .off = value};
	if (m->out->n_constant < EVAL_MAX)
		m->out->constant[m->out->n_constant++] = (struct eval_const){reg, value};
}

void eval_take_address(struct eval_machine *m, uint64_t vaddr)
{
	if (m->out->n_address < EVAL_MAX)
		m->out->address[m->out->n_address++] = vaddr;
}

static void note_indirect(struct eval_machine *m, struct eval_value through)
{
	if (through.root == ROOT_LOAD && m->out->n_jump < EVAL_MAX)
		m->out->jump[m->out->n_jump++] = through;
}

static bool never_returns(const struct elf *e, uint64_t target)
{
	static const char *const names[] = {"abort", "__stack_chk_fail", "__assert_fail",
					    "ggml_abort", "ggml_print_backtrace"};
	const char *name = elf_plt_symbol(e, target);
	struct elf_symbol sym;

	if (!name && elf_symbol_at(e, target, &sym) && sym.vaddr == target)
		name = sym.name;
	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return name && strstr(name, "__throw_");
}

void eval_call(struct eval_machine *m, uint64_t target, struct eval_value through,
	       uint32_t clobbered, int ret)
{
	note_indirect(m, through);
	if (target && m->out->n_call < EVAL_MAX)
		m->out->call[m->out->n_call++] = target;
	for (int i = 0; i < 32; i++)
		if (clobbered >> i & 1)
			m->s.reg[i] = (struct eval_value){0};
	memset(m->s.vec, 0, sizeof(m->s.vec));
	m->s.reg[ret] = (struct eval_value){.root = ROOT_RET, .index = m->calls++};
	m->after_call = true;
	if (target && never_returns(m->e, target))
		m->dead = true;
}

void eval_branch(struct eval_machine *m, uint64_t target)
{
	struct eval_snapshot *snap;

	if (target < m->func.vaddr || target - m->func.vaddr >= m->func.size ||
	    m->n_snap == SNAPSHOTS)
		return;
	for (size_t i = 0; i < m->n_snap; i++)
		if (m->snap[i].at == target)
			return;
	snap = VEC_PUSH(m->snap, m->n_snap, m->cap_snap);
	snap->at = target;
	snap->state = m->s;
}

void eval_jump(struct eval_machine *m, uint64_t target, struct eval_value through)
{
	bool inside = target >= m->func.vaddr && target - m->func.vaddr < m->func.size;

	note_indirect(m, through);
	if (target && !inside && m->out->n_call < EVAL_MAX)
		m->out->call[m->out->n_call++] = target;
	eval_branch(m, target);
	m->dead = true;
}

void eval_return(struct eval_machine *m, struct eval_value v)
{
	if (m->out->n_returned < EVAL_MAX)
		m->out->returned[m->out->n_returned++] = v;
	m->dead = true;
}

static void resume(struct eval_machine *m, uint64_t at)
{
	for (size_t i = 0; i < m->n_snap && m->dead; i++)
		if (m->snap[i].at == at) {
			m->s = m->snap[i].state;
			m->dead = false;
		}
}

static int step(void *ctx, size_t cs, const void *insn)
{
	struct eval_machine *m = ctx;
	const cs_insn *ci = insn;
	bool nop = strstr(ci->mnemonic, "nop") != NULL;

	(void)cs;
	/* Padding behind a call: the callee does not return, whatever its name. */
	if (m->after_call && nop)
		m->dead = true;
	if (!nop)
		m->after_call = false;
	resume(m, ci->address);
	if (m->dead || !ci->id)
		return 0;
	if (elf_arch(m->e) == ELF_AARCH64)
		eval_arm(m, ci);
	else
		eval_x86(m, ci);
	return 0;
}

void eval_func(const struct elf *e, const struct elf_func *f, size_t max, struct eval *out)
{
	struct eval_machine *m = xcalloc(1, sizeof(*m));
	uint64_t end;
	int sp = elf_arch(e) == ELF_AARCH64 ? 31 : 4;

	memset(out, 0, sizeof(*out));
	m->e = e;
	m->func = *f;
	m->out = out;
	m->s.reg[sp].root = ROOT_SP;
	for (int i = 0; i < insn_arg_count(elf_arch(e)); i++) {
		int reg = __builtin_ctz(insn_arg_register(elf_arch(e), i));

		m->s.reg[reg] = (struct eval_value){.root = ROOT_ARG, .index = i};
	}
	/* A struct that aarch64 returns in memory: its address comes in x8. */
	if (elf_arch(e) == ELF_AARCH64)
		m->s.reg[8] = (struct eval_value){.root = ROOT_ARG, .index = EVAL_RESULT_ARG};
	out->found = insn_walk(e, f, max, step, m, &end) == 0 && end > f->vaddr;
	free(m->snap);
	free(m);
}

static const struct eval_access *first_access(const struct eval *v, int arg, size_t size,
					      bool write)
{
	for (size_t i = 0; i < v->n_access; i++) {
		const struct eval_access *a = &v->access[i];

		if (a->is_write == write && a->to.root == ROOT_ARG && a->to.index == arg &&
		    (!size || a->size == size))
			return a;
	}
	return NULL;
}

const struct eval_access *eval_read(const struct eval *v, int arg, size_t size)
{
	return first_access(v, arg, size, false);
}

const struct eval_access *eval_write(const struct eval *v, int arg, size_t size)
{
	return first_access(v, arg, size, true);
}

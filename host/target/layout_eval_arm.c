/* SPDX-License-Identifier: Apache-2.0 */
/* One aarch64 instruction of the symbolic walk. */
#include <capstone/capstone.h>
#include <string.h>

#include "target/insn_impl.h"
#include "target/layout_eval_impl.h"
#include "util/alloc.h"

enum { CALLER_SAVED = 0x4007ffff }; /* x0..x18, x30 */

static const struct eval_value unknown;

static struct eval_value *general(struct eval_machine *m, unsigned reg)
{
	int r = insn_arm_register(reg);

	return r >= 0 ? &m->s.reg[r] : NULL;
}

static struct eval_value operand(struct eval_machine *m, const cs_arm64_op *op)
{
	struct eval_value *reg;

	if (op->type == ARM64_OP_IMM)
		return (struct eval_value){.root = ROOT_CONST, .off = op->imm};
	if (op->type != ARM64_OP_REG)
		return unknown;
	if (op->reg == ARM64_REG_XZR || op->reg == ARM64_REG_WZR)
		return (struct eval_value){.root = ROOT_CONST};
	reg = general(m, op->reg);
	return reg ? *reg : unknown;
}

static void set(struct eval_machine *m, unsigned reg, struct eval_value v)
{
	struct eval_value *r = general(m, reg);

	if (r && v.root == ROOT_CONST)
		eval_set_constant(m, insn_arm_register(reg), v.off);
	else if (r)
		*r = v;
}

/* Bytes that one transferred register takes. */
static size_t width(const cs_insn *ci, unsigned reg)
{
	const char *m = ci->mnemonic;
	size_t len = strlen(m);

	if (strstr(m, "sw") && !strncmp(m, "ld", 2))
		return 4;
	if (len > 3 && m[len - 1] == 'b')
		return 1;
	if (len > 3 && m[len - 1] == 'h')
		return 2;
	if (reg >= ARM64_REG_Q0 && reg <= ARM64_REG_Q31)
		return 16;
	if ((reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30) || reg == ARM64_REG_WZR ||
	    (reg >= ARM64_REG_S0 && reg <= ARM64_REG_S31))
		return 4;
	return 8;
}

static void do_memory(struct eval_machine *m, const cs_insn *ci, bool load)
{
	const cs_arm64 *a = &ci->detail->arm64;
	const cs_arm64_op *mem = NULL;
	struct insn_writeback wb;
	struct eval_value *base, at = unknown;
	int64_t displacement = 0;
	uint32_t w;
	uint8_t n = 0;

	memcpy(&w, ci->bytes, 4);
	wb = insn_arm_writeback(w);
	while (n < a->op_count && a->operands[n].type == ARM64_OP_REG)
		n++;
	if (n < a->op_count && a->operands[n].type == ARM64_OP_MEM)
		mem = &a->operands[n];
	base = mem ? general(m, mem->mem.base) : NULL;
	if (base) {
		displacement = wb.post ? 0 : wb.pre ? wb.amount : mem->mem.disp;
		at = eval_add(*base, displacement);
	}
	for (uint8_t i = 0; i < n && i < 2; i++) {
		size_t size = width(ci, a->operands[i].reg);
		struct eval_value to = eval_add(at, (int64_t)(i * size));
		bool indexed = mem && mem->mem.index != ARM64_REG_INVALID;

		if (load && base && !indexed)
			eval_read_behind(m, *base, displacement + (int64_t)(i * size), size);
		if (load)
			set(m, a->operands[i].reg, eval_load(m, to, size, indexed, ci->address));
		else
			eval_store(m, to, size, indexed, operand(m, &a->operands[i]), ci->address);
	}
	if ((wb.pre || wb.post) && base)
		*base = wb.pre ? at : eval_add(at, wb.amount);
}

static void do_add_sub(struct eval_machine *m, const cs_insn *ci)
{
	const cs_arm64 *a = &ci->detail->arm64;
	struct eval_value v = unknown;
	bool sub = ci->id == ARM64_INS_SUB;

	if (a->op_count == 3 && a->operands[2].type == ARM64_OP_IMM) {
		int64_t imm = a->operands[2].imm << a->operands[2].shift.value;

		v = eval_advance_by(m, operand(m, &a->operands[1]), sub ? -imm : imm);
	} else if (a->op_count == 3 && !sub) {
		v = eval_shift(operand(m, &a->operands[1]));
	}
	if (v.root == ROOT_ADDRESS)
		eval_take_address(m, (uint64_t)v.off);
	if (v.root == ROOT_CONST)
		v = unknown;
	set(m, a->operands[0].reg, v);
}

static void do_mov(struct eval_machine *m, const cs_insn *ci)
{
	const cs_arm64 *a = &ci->detail->arm64;
	struct eval_value v = a->op_count > 1 ? operand(m, &a->operands[1]) : unknown;

	if (v.root == ROOT_CONST && a->operands[1].type == ARM64_OP_IMM)
		v.off = (int64_t)((uint64_t)v.off << a->operands[1].shift.value);
	set(m, a->operands[0].reg, v);
}

static void do_movk(struct eval_machine *m, const cs_insn *ci)
{
	const cs_arm64 *a = &ci->detail->arm64;
	struct eval_value v = operand(m, &a->operands[0]);
	unsigned shift = a->operands[1].shift.value & 63;

	if (v.root == ROOT_CONST)
		v.off = (int64_t)(((uint64_t)v.off & ~(UINT64_C(0xffff) << shift)) |
				  (uint64_t)a->operands[1].imm << shift);
	set(m, a->operands[0].reg, v);
}

static void do_address(struct eval_machine *m, const cs_insn *ci)
{
	const cs_arm64 *a = &ci->detail->arm64;
	struct eval_value v = {.root = ROOT_ADDRESS, .off = a->operands[1].imm};

	if (ci->id == ARM64_INS_ADR)
		eval_take_address(m, (uint64_t)v.off);
	set(m, a->operands[0].reg, v);
}

static uint64_t last_immediate(const cs_insn *ci)
{
	const cs_arm64 *a = &ci->detail->arm64;
	const cs_arm64_op *op = a->op_count ? &a->operands[a->op_count - 1] : NULL;

	return op && op->type == ARM64_OP_IMM ? (uint64_t)op->imm : 0;
}

/* Returns false for an instruction that is no branch. */
static bool do_flow(struct eval_machine *m, const cs_insn *ci)
{
	const cs_arm64 *a = &ci->detail->arm64;

	switch (ci->id) {
	case ARM64_INS_BL:
	case ARM64_INS_BLR:
		eval_call(m, last_immediate(ci),
			  ci->id == ARM64_INS_BLR ? operand(m, &a->operands[0]) : unknown,
			  CALLER_SAVED, 0);
		return true;
	case ARM64_INS_B:
		if (a->cc == ARM64_CC_INVALID || a->cc == ARM64_CC_AL)
			eval_jump(m, last_immediate(ci), unknown);
		else
			eval_branch(m, last_immediate(ci));
		return true;
	case ARM64_INS_BR:
		eval_jump(m, 0, operand(m, &a->operands[0]));
		return true;
	case ARM64_INS_RET:
		eval_return(m, m->s.reg[0]);
		return true;
	case ARM64_INS_CBZ:
	case ARM64_INS_CBNZ:
	case ARM64_INS_TBZ:
	case ARM64_INS_TBNZ:
		eval_branch(m, last_immediate(ci));
		return true;
	default:
		return false;
	}
}

static bool is_compare(const cs_insn *ci)
{
	return !strcmp(ci->mnemonic, "cmp") || !strcmp(ci->mnemonic, "ccmp") ||
	       !strcmp(ci->mnemonic, "cmn") || !strcmp(ci->mnemonic, "tst");
}

static void do_other(struct eval_machine *m, const cs_insn *ci)
{
	const cs_arm64 *a = &ci->detail->arm64;

	if (a->op_count && a->operands[0].type == ARM64_OP_REG)
		set(m, a->operands[0].reg, unknown);
}

void eval_arm(struct eval_machine *m, const void *cs_insn_ptr)
{
	const cs_insn *ci = cs_insn_ptr;
	const cs_arm64 *a = &ci->detail->arm64;

	if (do_flow(m, ci))
		return;
	if (!strncmp(ci->mnemonic, "ld", 2) || !strncmp(ci->mnemonic, "st", 2)) {
		do_memory(m, ci, ci->mnemonic[0] == 'l');
	} else if (is_compare(ci)) {
		if (!strcmp(ci->mnemonic, "cmp") && a->op_count > 1 &&
		    a->operands[1].type == ARM64_OP_IMM)
			eval_compare_to(m, operand(m, &a->operands[0]), a->operands[1].imm);
	} else if (ci->id == ARM64_INS_ADD || ci->id == ARM64_INS_SUB) {
		do_add_sub(m, ci);
	} else if (ci->id == ARM64_INS_ADRP || ci->id == ARM64_INS_ADR) {
		do_address(m, ci);
	} else if (ci->id == ARM64_INS_MOVK) {
		do_movk(m, ci);
	} else if (!strncmp(ci->mnemonic, "mov", 3)) {
		do_mov(m, ci);
	} else {
		do_other(m, ci);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One x86-64 instruction of the symbolic walk. */
#include <capstone/capstone.h>
#include <string.h>

#include "target/insn_impl.h"
#include "target/layout_eval_impl.h"
#include "util/alloc.h"

enum { RAX = 0, RSP = 4, CALLER_SAVED = 0x0fc7 };

static const struct eval_value unknown;

static struct eval_value *general(struct eval_machine *m, unsigned reg)
{
	int r = insn_x86_register(reg);

	return r >= 0 ? &m->s.reg[r] : NULL;
}

static struct eval_value *vector(struct eval_machine *m, unsigned reg)
{
	if (reg >= X86_REG_XMM0 && reg <= X86_REG_XMM31)
		return m->s.vec[reg - X86_REG_XMM0];
	if (reg >= X86_REG_YMM0 && reg <= X86_REG_YMM31)
		return m->s.vec[reg - X86_REG_YMM0];
	return NULL;
}

static bool is_indexed(const cs_x86_op *op)
{
	return op->mem.index != X86_REG_INVALID;
}

static struct eval_value address_of(struct eval_machine *m, const cs_insn *ci, const cs_x86_op *op)
{
	struct eval_value *base;

	if (op->mem.segment == X86_REG_FS || op->mem.segment == X86_REG_GS)
		return unknown;
	if (op->mem.base == X86_REG_RIP)
		return (struct eval_value){
			.root = ROOT_ADDRESS,
			.off = (int64_t)(ci->address + ci->size + (uint64_t)op->mem.disp)};
	if (op->mem.base == X86_REG_INVALID)
		return (struct eval_value){.root = ROOT_ADDRESS, .off = op->mem.disp};
	base = general(m, op->mem.base);
	return base ? eval_add(*base, op->mem.disp) : unknown;
}

/* The value of an operand; reading memory is noted. */
static struct eval_value operand(struct eval_machine *m, const cs_insn *ci, const cs_x86_op *op)
{
	struct eval_value *reg;

	if (op->type == X86_OP_IMM)
		return (struct eval_value){.root = ROOT_CONST, .off = op->imm};
	if (op->type == X86_OP_MEM) {
		reg = general(m, op->mem.base);
		if (reg && !is_indexed(op))
			eval_read_behind(m, *reg, op->mem.disp, op->size);
		return eval_load(m, address_of(m, ci, op), op->size, is_indexed(op), ci->address);
	}
	reg = op->type == X86_OP_REG ? general(m, op->reg) : NULL;
	return reg ? *reg : unknown;
}

static void set_register(struct eval_machine *m, unsigned reg, struct eval_value v)
{
	struct eval_value *r = general(m, reg), *x = vector(m, reg);

	if (r && v.root == ROOT_CONST)
		eval_set_constant(m, insn_x86_register(reg), v.off);
	else if (r)
		*r = v;
	if (x)
		x[0] = x[1] = unknown;
}

static void do_mov(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86_op *op = ci->detail->x86.operands;
	struct eval_value v = operand(m, ci, &op[1]);

	if (op[0].type == X86_OP_MEM)
		eval_store(m, address_of(m, ci, &op[0]), op[0].size, is_indexed(&op[0]), v,
			   ci->address);
	else if (op[0].type == X86_OP_REG)
		set_register(m, op[0].reg, v);
}

static void do_lea(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86_op *op = ci->detail->x86.operands;
	struct eval_value v = address_of(m, ci, &op[1]);

	if (v.root == ROOT_ADDRESS)
		eval_take_address(m, (uint64_t)v.off);
	if (is_indexed(&op[1]))
		v = eval_shift(v);
	set_register(m, op[0].reg, v);
}

static void do_add_sub(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86_op *op = ci->detail->x86.operands;
	struct eval_value v;

	if (op[0].type == X86_OP_MEM) {
		operand(m, ci, &op[1]);
		eval_store(m, address_of(m, ci, &op[0]), op[0].size, is_indexed(&op[0]), unknown,
			   ci->address);
		return;
	}
	v = operand(m, ci, &op[0]);
	if (op[1].type == X86_OP_IMM)
		v = eval_advance_by(m, v, ci->id == X86_INS_SUB ? -op[1].imm : op[1].imm);
	else {
		operand(m, ci, &op[1]);
		v = unknown;
	}
	set_register(m, op[0].reg, v);
}

static void do_push_pop(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86_op *op = ci->detail->x86.operands;
	struct eval_value *sp = &m->s.reg[RSP];

	if (ci->id == X86_INS_PUSH) {
		struct eval_value v = operand(m, ci, &op[0]);

		*sp = eval_add(*sp, -8);
		eval_store(m, *sp, 8, false, v, ci->address);
		return;
	}
	set_register(m, op[0].reg, eval_load(m, *sp, 8, false, ci->address));
	*sp = eval_add(*sp, 8);
}

static void do_compare(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86_op *op = ci->detail->x86.operands;
	struct eval_value a = operand(m, ci, &op[0]), b = operand(m, ci, &op[1]);

	if (ci->id == X86_INS_CMP && b.root == ROOT_CONST)
		eval_compare_to(m, a, b.off);
}

static void do_flow(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86_op *op = ci->detail->x86.operands;
	bool direct = ci->detail->x86.op_count && op[0].type == X86_OP_IMM;
	uint64_t target = direct ? (uint64_t)op[0].imm : 0;
	struct eval_value through = direct ? unknown : operand(m, ci, &op[0]);

	if (ci->id == X86_INS_CALL)
		eval_call(m, target, through, CALLER_SAVED, RAX);
	else
		eval_jump(m, target, through);
}

/* Vector moves that carry whole 8-byte values: pairs of pointers travel through them. */
static bool do_vector(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86 *x = &ci->detail->x86;
	const cs_x86_op *op = x->operands, *last = &op[x->op_count - 1];
	struct eval_value *dst = x->op_count ? vector(m, op[0].reg) : NULL, *src, low;

	if (x->op_count < 2 || op[0].type != X86_OP_REG || !dst)
		return false;
	/* Three-operand forms name the register whose low half stays. */
	low = x->op_count > 2 && vector(m, op[1].reg) ? vector(m, op[1].reg)[0] : dst[0];
	src = last->type == X86_OP_REG ? vector(m, last->reg) : NULL;
	switch (ci->id) {
	case X86_INS_MOVQ:
	case X86_INS_VMOVQ:
		dst[0] = src ? src[0] : operand(m, ci, last);
		dst[1] = unknown;
		return true;
	case X86_INS_PINSRQ:
	case X86_INS_VPINSRQ: /* register, [register,] value, lane */
		if (last->type != X86_OP_IMM || last->imm != 1)
			return false;
		dst[1] = operand(m, ci, last - 1);
		dst[0] = x->op_count > 3 && vector(m, op[1].reg) ? vector(m, op[1].reg)[0] : dst[0];
		return true;
	case X86_INS_PUNPCKLQDQ:
	case X86_INS_VPUNPCKLQDQ:
		dst[1] = src ? src[0] : operand(m, ci, last);
		dst[0] = low;
		return true;
	case X86_INS_MOVHPS:
	case X86_INS_VMOVHPS:
		dst[1] = operand(m, ci, last);
		dst[0] = low;
		return true;
	default:
		return false;
	}
}

static bool is_vector_move(unsigned id)
{
	switch (id) {
	case X86_INS_MOVUPS:
	case X86_INS_MOVAPS:
	case X86_INS_MOVDQU:
	case X86_INS_MOVDQA:
	case X86_INS_VMOVUPS:
	case X86_INS_VMOVAPS:
	case X86_INS_VMOVDQU:
	case X86_INS_VMOVDQA:
		return true;
	default:
		return false;
	}
}

static void do_vector_move(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86_op *op = ci->detail->x86.operands;
	struct eval_value *dst = op[0].type == X86_OP_REG ? vector(m, op[0].reg) : NULL;
	struct eval_value *src = op[1].type == X86_OP_REG ? vector(m, op[1].reg) : NULL, at;

	if (dst && src) {
		dst[0] = src[0];
		dst[1] = src[1];
	} else if (dst && op[1].type == X86_OP_MEM) {
		at = address_of(m, ci, &op[1]);
		dst[0] = eval_load(m, at, op[1].size, is_indexed(&op[1]), ci->address);
		dst[1] = at.root == ROOT_SP
				 ? eval_load(m, eval_add(at, 8), 8, is_indexed(&op[1]), ci->address)
				 : unknown;
	} else if (src && op[0].type == X86_OP_MEM) {
		at = address_of(m, ci, &op[0]);
		for (int half = 0; half < 2; half++)
			eval_store(m, eval_add(at, 8 * half), 8, is_indexed(&op[0]), src[half],
				   ci->address);
	}
}

/* Any other instruction: memory operands are noted, written registers forgotten. */
static void do_other(struct eval_machine *m, const cs_insn *ci)
{
	const cs_x86 *x = &ci->detail->x86;

	/* Aligning the stack: slots are only ever reached from the aligned pointer afterwards. */
	if (ci->id == X86_INS_AND && x->operands[0].type == X86_OP_REG &&
	    x->operands[0].reg == X86_REG_RSP)
		return;
	for (uint8_t i = x->op_count; i-- > 0;) {
		const cs_x86_op *op = &x->operands[i];
		struct eval_value v = unknown;

		if (op->type == X86_OP_MEM && ci->id != X86_INS_NOP) {
			if (i || !(op->access & CS_AC_WRITE))
				eval_load(m, address_of(m, ci, op), op->size, is_indexed(op),
					  ci->address);
			else {
				if (x->op_count > 1 && x->operands[1].type == X86_OP_IMM)
					v = operand(m, ci, &x->operands[1]);
				eval_store(m, address_of(m, ci, op), op->size, is_indexed(op), v,
					   ci->address);
			}
		} else if (op->type == X86_OP_REG && (i == 0 || (op->access & CS_AC_WRITE))) {
			set_register(m, op->reg, unknown);
		}
	}
	if (ci->id == X86_INS_XOR && x->op_count == 2 && x->operands[0].type == X86_OP_REG &&
	    x->operands[1].type == X86_OP_REG && x->operands[0].reg == x->operands[1].reg)
		set_register(m, x->operands[0].reg, (struct eval_value){.root = ROOT_CONST});
}

static bool is_conditional_jump(const cs_insn *ci)
{
	for (uint8_t i = 0; i < ci->detail->groups_count; i++)
		if (ci->detail->groups[i] == CS_GRP_JUMP)
			return ci->id != X86_INS_JMP;
	return false;
}

static void do_leave(struct eval_machine *m, const cs_insn *ci)
{
	m->s.reg[RSP] = m->s.reg[5];
	m->s.reg[5] = eval_load(m, m->s.reg[RSP], 8, false, ci->address);
	m->s.reg[RSP] = eval_add(m->s.reg[RSP], 8);
}

void eval_x86(struct eval_machine *m, const void *cs_insn_ptr)
{
	const cs_insn *ci = cs_insn_ptr;

	switch (ci->id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVSXD:
	case X86_INS_MOVZX:
	case X86_INS_MOVSX:
		do_mov(m, ci);
		return;
	case X86_INS_LEA:
		do_lea(m, ci);
		return;
	case X86_INS_ADD:
	case X86_INS_SUB:
		do_add_sub(m, ci);
		return;
	case X86_INS_PUSH:
	case X86_INS_POP:
		do_push_pop(m, ci);
		return;
	case X86_INS_CMP:
	case X86_INS_TEST:
		do_compare(m, ci);
		return;
	case X86_INS_CALL:
	case X86_INS_JMP:
		do_flow(m, ci);
		return;
	case X86_INS_RET:
		eval_return(m, m->s.reg[RAX]);
		return;
	case X86_INS_LEAVE:
		do_leave(m, ci);
		return;
	case X86_INS_NOP:
	case X86_INS_ENDBR64:
		return;
	default:
		break;
	}
	if (is_conditional_jump(ci))
		eval_branch(m, (uint64_t)ci->detail->x86.operands[0].imm);
	else if (is_vector_move(ci->id))
		do_vector_move(m, ci);
	else if (!do_vector(m, ci))
		do_other(m, ci);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* x86-64: which instructions the kernel's uprobes emulate, and what they do to registers. */
#include <string.h>

#include "target/capstone.h"
#include "target/insn_impl.h"

enum { CALLER_SAVED = 0x0fc7, RSP = 4 }; /* rax rcx rdx rsi rdi r8..r11 */

int insn_x86_register(unsigned reg)
{
	static const uint16_t names[8][5] = {
		{X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH},
		{X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH},
		{X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH},
		{X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH},
		{X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL, X86_REG_SPL},
		{X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL, X86_REG_BPL},
		{X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL, X86_REG_SIL},
		{X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL, X86_REG_DIL},
	};

	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 5; k++)
			if (names[i][k] == reg)
				return i;
	if (reg >= X86_REG_R8 && reg <= X86_REG_R15)
		return 8 + (int)(reg - X86_REG_R8);
	if (reg >= X86_REG_R8B && reg <= X86_REG_R15B)
		return 8 + (int)(reg - X86_REG_R8B);
	if (reg >= X86_REG_R8D && reg <= X86_REG_R15D)
		return 8 + (int)(reg - X86_REG_R8D);
	if (reg >= X86_REG_R8W && reg <= X86_REG_R15W)
		return 8 + (int)(reg - X86_REG_R8W);
	return -1;
}

/* Legacy prefixes, REX and what follows. */
struct split {
	bool operand16, segment_or_lock, rep;
	uint8_t rex;
	const uint8_t *op;
	size_t left;
};

static struct split split_bytes(const uint8_t *p, size_t n)
{
	struct split s = {0};

	for (; n; p++, n--) {
		if (*p == 0x66)
			s.operand16 = true;
		else if (*p == 0xf2 || *p == 0xf3)
			s.rep = true;
		else if (*p == 0x26 || *p == 0x2e || *p == 0x36 || *p == 0x3e || *p == 0xf0)
			s.segment_or_lock = true;
		else if (*p != 0x64 && *p != 0x65 && *p != 0x67)
			break;
	}
	if (n && (*p & 0xf0) == 0x40) {
		s.rex = *p++;
		n--;
	}
	s.op = p;
	s.left = n;
	return s;
}

static bool is_refused(const struct split *s)
{
	static const uint8_t one[] = {0xcc, 0xcd, 0xce, 0xcf, 0xf1, 0xf4, 0xfa, 0xfb};
	static const uint8_t two[] = {0x05, 0x07, 0x0b, 0x34, 0x35};

	if (s->segment_or_lock || !s->left || memchr(one, s->op[0], sizeof(one)))
		return true;
	return s->op[0] == 0x0f && s->left > 1 && memchr(two, s->op[1], sizeof(two));
}

static enum insn_class classify(const uint8_t *bytes, size_t n)
{
	static const uint8_t nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	struct split s = split_bytes(bytes, n);
	uint8_t op;

	if (is_refused(&s))
		return INSN_REFUSED;
	if (s.operand16)
		return INSN_STEPPED;
	op = s.op[0];
	if (op >= 0x50 && op <= 0x57)
		return n == 1 || (n == 2 && s.rex == 0x41) ? INSN_PUSH : INSN_STEPPED;
	if (op == 0xe8)
		return INSN_PUSH;
	if (op == 0xe9 || op == 0xeb || (op >= 0x70 && op <= 0x7f))
		return INSN_EMULATED;
	if (op == 0x90 && !s.rex)
		return INSN_EMULATED;
	if (op == 0x0f && s.left > 1 && (s.op[1] & 0xf0) == 0x80)
		return INSN_EMULATED;
	if (n == sizeof(nop5) && !memcmp(bytes, nop5, n))
		return INSN_NOP5;
	if (op == 0x0f && s.left > 1 && s.op[1] == 0x1f && !s.rep)
		return INSN_NOP;
	return INSN_STEPPED;
}

static uint32_t mask_of(const uint16_t *regs, uint8_t n)
{
	uint32_t mask = 0;

	for (uint8_t i = 0; i < n; i++) {
		int r = insn_x86_register(regs[i]);

		if (r >= 0)
			mask |= UINT32_C(1) << r;
	}
	return mask;
}

static bool leaves_first_operand(unsigned id)
{
	switch (id) {
	case X86_INS_CMP:
	case X86_INS_TEST:
	case X86_INS_PUSH:
	case X86_INS_NOP:
	case X86_INS_JMP:
	case X86_INS_CALL:
	case X86_INS_BT:
		return true;
	default:
		return false;
	}
}

static void describe_registers(csh cs, const cs_insn *ci, struct insn *out)
{
	const cs_x86 *x = &ci->detail->x86;
	cs_regs reads, writes;
	uint8_t n_reads, n_writes;

	if (capstone.regs_access(cs, ci, reads, &n_reads, writes, &n_writes) == CS_ERR_OK) {
		out->reads = mask_of(reads, n_reads);
		out->writes = mask_of(writes, n_writes);
	}
	/* The tables of the disassembler miss some written operands: a first register operand
	 * counts as written wherever that is possible at all. */
	if (x->op_count && x->operands[0].type == X86_OP_REG && !leaves_first_operand(ci->id)) {
		int r = insn_x86_register(x->operands[0].reg);

		if (r >= 0)
			out->writes |= UINT32_C(1) << r;
	}
	if (ci->id == X86_INS_XCHG || ci->id == X86_INS_XADD || ci->id == X86_INS_CMPXCHG)
		out->writes |= out->reads | 1;
	if (out->is_call)
		out->writes |= CALLER_SAVED;
}

static void describe_stack(const cs_insn *ci, struct insn *out)
{
	const cs_x86 *x = &ci->detail->x86;
	bool on_rsp = x->op_count && x->operands[0].type == X86_OP_REG &&
		      x->operands[0].reg == X86_REG_RSP;

	if (ci->id == X86_INS_PUSH || ci->id == X86_INS_POP) {
		out->sp_delta = ci->id == X86_INS_PUSH ? -8 : 8;
		out->sp_known = x->op_count && x->operands[0].size == 8 && !(on_rsp);
	} else if (out->is_ret || out->is_call) {
		out->sp_delta = out->is_ret ? 8 : 0;
	} else if (on_rsp && x->op_count == 2 && x->operands[1].type == X86_OP_IMM &&
		   (ci->id == X86_INS_SUB || ci->id == X86_INS_ADD)) {
		int64_t imm = x->operands[1].imm;

		out->sp_known = imm > -(1 << 28) && imm < (1 << 28);
		out->sp_delta = (int32_t)(ci->id == X86_INS_SUB ? -imm : imm);
	} else if (on_rsp && ci->id == X86_INS_LEA && x->operands[1].mem.base == X86_REG_RSP &&
		   x->operands[1].mem.index == X86_REG_INVALID) {
		out->sp_delta = (int32_t)x->operands[1].mem.disp;
	} else {
		out->sp_known = !(out->writes & 1u << RSP);
	}
}

void insn_describe_x86(size_t cs, const void *cs_insn_ptr, struct insn *out)
{
	const cs_insn *ci = cs_insn_ptr;
	const cs_x86 *x = &ci->detail->x86;

	out->class = classify(ci->bytes, ci->size);
	out->is_call = capstone.insn_group(cs, ci, CS_GRP_CALL);
	out->is_ret =
		capstone.insn_group(cs, ci, CS_GRP_RET) || capstone.insn_group(cs, ci, CS_GRP_IRET);
	out->is_jump = capstone.insn_group(cs, ci, CS_GRP_JUMP);
	out->is_conditional = out->is_jump && ci->id != X86_INS_JMP && ci->id != X86_INS_LJMP;
	if ((out->is_jump || out->is_call) && x->op_count && x->operands[0].type == X86_OP_IMM) {
		out->has_target = true;
		out->target = (uint64_t)x->operands[0].imm;
	}
	describe_registers(cs, ci, out);
	describe_stack(ci, out);
}

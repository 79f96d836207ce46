/* SPDX-License-Identifier: Apache-2.0 */
/* aarch64: which instructions the kernel's uprobes simulate, and what they do to registers. */
#include <string.h>

#include "target/capstone.h"
#include "target/insn_impl.h"

enum { SP = 31, CALLER_SAVED = 0x4007ffff }; /* x0..x18, x30 */

int insn_arm_register(unsigned reg)
{
	if (reg >= ARM64_REG_X0 && reg <= ARM64_REG_X28)
		return (int)(reg - ARM64_REG_X0);
	if (reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30)
		return (int)(reg - ARM64_REG_W0);
	if (reg == ARM64_REG_X29)
		return 29;
	if (reg == ARM64_REG_X30)
		return 30;
	return reg == ARM64_REG_SP || reg == ARM64_REG_WSP ? SP : -1;
}

static bool is_system(uint32_t w)
{
	return (w & 0xffc00000) == 0xd5000000;
}

static bool is_hint(uint32_t w)
{
	return (w & 0xfffff01f) == 0xd503201f;
}

/* Exclusive and ordered accesses: a single step between the two halves of a pair breaks it. */
static bool is_exclusive(uint32_t w)
{
	return (w & 0x3f000000) == 0x08000000;
}

static bool is_exception(uint32_t w)
{
	return (w & 0xff000000) == 0xd4000000;
}

static bool is_simulated(uint32_t w)
{
	return (w & 0x7c000000) == 0x14000000 || /* b, bl */
	       (w & 0xff000010) == 0x54000000 || /* b.cond */
	       (w & 0x7e000000) == 0x34000000 || /* cbz, cbnz */
	       (w & 0x7e000000) == 0x36000000 || /* tbz, tbnz */
	       (w & 0x1f000000) == 0x10000000 || /* adr, adrp */
	       (w & 0xfffffc1f) == 0xd61f0000 || /* br */
	       (w & 0xfffffc1f) == 0xd63f0000 || /* blr */
	       (w & 0xfffffc1f) == 0xd65f0000 || /* ret */
	       (w & 0xbf000000) == 0x18000000 || /* ldr literal */
	       (w & 0xff000000) == 0x98000000;	 /* ldrsw literal */
}

static enum insn_class classify(uint32_t w)
{
	if (w == 0xd503201f)
		return INSN_NOP;
	if (is_simulated(w))
		return INSN_EMULATED;
	if (is_exclusive(w) || is_exception(w) || (is_system(w) && !is_hint(w)) ||
	    (w & 0xff000000) == 0xd8000000)
		return INSN_REFUSED;
	return INSN_STEPPED;
}

struct insn_writeback insn_arm_writeback(uint32_t w)
{
	struct insn_writeback wb = {.base = w >> 5 & 31};

	if ((w & 0x3a000000) == 0x28000000 && (w & 0x00800000)) { /* load or store of a pair */
		int32_t imm = (int32_t)((w >> 15 & 0x7f) ^ 0x40) - 0x40;
		unsigned opc = w >> 30, shift = w & 0x04000000 ? 2 + opc : 2 + (opc >> 1);

		wb.pre = w & 0x01000000;
		wb.post = !wb.pre;
		wb.amount = imm * (1 << shift);
	} else if ((w & 0x3b200400) == 0x38000400) { /* of one register, 9-bit offset */
		wb.pre = w & 0x00000800;
		wb.post = !wb.pre;
		wb.amount = (int32_t)((w >> 12 & 0x1ff) ^ 0x100) - 0x100;
	}
	return wb;
}

static uint32_t mask_of(const uint16_t *regs, uint8_t n)
{
	uint32_t mask = 0;

	for (uint8_t i = 0; i < n; i++) {
		int r = insn_arm_register(regs[i]);

		if (r >= 0)
			mask |= UINT32_C(1) << r;
	}
	return mask;
}

static bool leaves_operands(const cs_insn *ci)
{
	static const char *const starts[] = {"st",  "cmp", "cmn", "tst", "cb",	 "tb",	"b",
					     "ret", "prf", "ccm", "nop", "hint", "fcmp"};

	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (!strncmp(ci->mnemonic, starts[i], strlen(starts[i])) &&
		    strncmp(ci->mnemonic, "bf", 2) && strncmp(ci->mnemonic, "bic", 3))
			return true;
	return false;
}

static void describe_registers(csh cs, const cs_insn *ci, uint32_t w, struct insn *out)
{
	const cs_arm64 *a = &ci->detail->arm64;
	struct insn_writeback wb = insn_arm_writeback(w);
	cs_regs reads, writes;
	uint8_t n_reads, n_writes;

	if (capstone.regs_access(cs, ci, reads, &n_reads, writes, &n_writes) == CS_ERR_OK) {
		out->reads = mask_of(reads, n_reads);
		out->writes = leaves_operands(ci) ? 0 : mask_of(writes, n_writes);
	}
	/* The disassembler's tables miss some written operands: the first register counts as
	 * written wherever that is possible, both of a pair load. */
	for (uint8_t i = 0; i < a->op_count && i < 2 && !leaves_operands(ci); i++) {
		int r = a->operands[i].type == ARM64_OP_REG ? insn_arm_register(a->operands[i].reg)
							    : -1;

		if (r >= 0 && (i == 0 || !strncmp(ci->mnemonic, "ldp", 3)))
			out->writes |= UINT32_C(1) << r;
	}
	if (wb.pre || wb.post)
		out->writes |= UINT32_C(1) << wb.base;
	if (out->is_call)
		out->writes |= CALLER_SAVED;
}

static void describe_stack(uint32_t w, struct insn *out)
{
	struct insn_writeback wb = insn_arm_writeback(w);
	/* add or sub (immediate), 64 bits, sp from sp */
	bool adjusts = (w & 0xbf8003ff) == 0x910003ff;

	if ((wb.pre || wb.post) && wb.base == SP) {
		out->sp_delta = wb.amount;
	} else if (adjusts) {
		int32_t imm = (int32_t)(w >> 10 & 0xfff) << (w & 0x00400000 ? 12 : 0);

		out->sp_delta = w & 0x40000000 ? -imm : imm;
	} else {
		out->sp_known = !(out->writes & UINT32_C(1) << SP) || out->is_call;
	}
}

void insn_describe_arm(size_t cs, const void *cs_insn_ptr, struct insn *out)
{
	const cs_insn *ci = cs_insn_ptr;
	const cs_arm64 *a = &ci->detail->arm64;
	uint32_t w;

	memcpy(&w, ci->bytes, sizeof(w));
	out->class = classify(w);
	out->is_call = (w & 0xfc000000) == 0x94000000 || (w & 0xfffffc1f) == 0xd63f0000 ||
		       (w & 0xfefff800) == 0xd63f0800;
	out->is_ret = (w & 0xfffffc1f) == 0xd65f0000 || (w & 0xfffffbff) == 0xd65f0bff;
	out->is_conditional = (w & 0xff000010) == 0x54000000 || (w & 0x7c000000) == 0x34000000;
	out->is_jump = out->is_conditional || (w & 0xfc000000) == 0x14000000 ||
		       (w & 0xfffffc1f) == 0xd61f0000 || (w & 0xfefff800) == 0xd61f0800;
	for (uint8_t i = 0; i < a->op_count && (out->is_jump || out->is_call); i++)
		/* cbz, tbz: the target is the last operand */
		if (a->operands[i].type == ARM64_OP_IMM && i + 1 == a->op_count) {
			out->has_target = true;
			out->target = (uint64_t)a->operands[i].imm;
		}
	describe_registers(cs, ci, w, out);
	describe_stack(w, out);
}

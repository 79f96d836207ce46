/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/* Behind a plugin that takes arguments of engine events: the words of their expressions. */
static long (*llmprobe_raw_read)(void *dst, u32 len, const void *src) = (void *)112;

static inline __attribute__((always_inline)) u64 llmprobe_read(u64 address, u32 len)
{
	u64 value = 0;

	llmprobe_raw_read(&value, len, (void *)address);
	return value;
}

#define ARG1		((u64)PT_REGS_PARM1(ctx))
#define ARG2		((u64)PT_REGS_PARM2(ctx))
#define ARG3		((u64)PT_REGS_PARM3(ctx))
#define ARG4		((u64)PT_REGS_PARM4(ctx))
#define ARG5		((u64)PT_REGS_PARM5(ctx))
#define ARG6		((u64)PT_REGS_PARM6(ctx))
#define RET		((u64)PT_REGS_RC(ctx))
#define SP		((u64)PT_REGS_SP(ctx))
#define RD_U8(address)	(llmprobe_read(address, 1))
#define RD_U16(address) (llmprobe_read(address, 2))
#define RD_U32(address) (llmprobe_read(address, 4))
#define RD_S32(address) ((u64)(s64)(s32)llmprobe_read(address, 4))
#define RD_U64(address) (llmprobe_read(address, 8))

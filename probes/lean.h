/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * What generated text needs of the kernel's and libbcc's headers. Those take clang more time than
 * the text itself, so they are left out (`lean` of struct bpf_compile_opts).
 */
#ifndef LLMPROBE_LEAN_H
#define LLMPROBE_LEAN_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

/* libbcc adds lines of its own that use these. */
#define SEC(name)     __attribute__((section(name), used))
#define BCC_SEC(name) SEC(name)

u64 bpf_pseudo_fd(u64, u64) asm("llvm.bpf.pseudo");

/* A probe's context as the kernel gives it to programs: registers in the order of its ABI. */
#if defined(__x86_64__)
struct pt_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	u64 orig_ax, ip, cs, flags, sp, ss;
};
#define PT_REGS_PARM1(ctx) ((ctx)->di)
#define PT_REGS_PARM2(ctx) ((ctx)->si)
#define PT_REGS_PARM3(ctx) ((ctx)->dx)
#define PT_REGS_PARM4(ctx) ((ctx)->cx)
#define PT_REGS_PARM5(ctx) ((ctx)->r8)
#define PT_REGS_PARM6(ctx) ((ctx)->r9)
#define PT_REGS_RC(ctx)	   ((ctx)->ax)
#define PT_REGS_SP(ctx)	   ((ctx)->sp)
#define PT_REGS_IP(ctx)	   ((ctx)->ip)
#elif defined(__aarch64__)
struct pt_regs {
	u64 regs[31], sp, pc, pstate;
};
#define PT_REGS_PARM1(ctx) ((ctx)->regs[0])
#define PT_REGS_PARM2(ctx) ((ctx)->regs[1])
#define PT_REGS_PARM3(ctx) ((ctx)->regs[2])
#define PT_REGS_PARM4(ctx) ((ctx)->regs[3])
#define PT_REGS_PARM5(ctx) ((ctx)->regs[4])
#define PT_REGS_PARM6(ctx) ((ctx)->regs[5])
#define PT_REGS_RC(ctx)	   ((ctx)->regs[0])
#define PT_REGS_SP(ctx)	   ((ctx)->sp)
#define PT_REGS_IP(ctx)	   ((ctx)->pc)
#else
#error "llmprobe knows the registers of x86-64 and aarch64 alone"
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The registers that a uprobe or kprobe program gets, as the kernel lays them out. */
#ifndef LLMPROBE_STUB_PTRACE_H
#define LLMPROBE_STUB_PTRACE_H

#include <linux/types.h>

#if defined(__aarch64__)
struct user_pt_regs {
	u64 regs[31];
	u64 sp;
	u64 pc;
	u64 pstate;
};
struct pt_regs {
	union {
		struct user_pt_regs user_regs;
		struct {
			u64 regs[31];
			u64 sp;
			u64 pc;
			u64 pstate;
		};
	};
	u64 orig_x0;
};
#else
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#endif

#endif

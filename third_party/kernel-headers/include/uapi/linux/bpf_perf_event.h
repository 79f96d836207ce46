/* SPDX-License-Identifier: Apache-2.0 */
/* What a perf event program gets. */
#ifndef LLMPROBE_STUB_BPF_PERF_EVENT_H
#define LLMPROBE_STUB_BPF_PERF_EVENT_H

#include <uapi/linux/ptrace.h>

struct bpf_perf_event_data {
#if defined(__aarch64__)
	struct user_pt_regs regs;
#else
	struct pt_regs regs;
#endif
	u64 sample_period;
	u64 addr;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* libbcc brings its own bpf_log2; its BPF_STACK_TRACE asks for the rounding, as a constant. */
#ifndef LLMPROBE_STUB_LOG2_H
#define LLMPROBE_STUB_LOG2_H

#define roundup_pow_of_two(n)                                                                      \
	((n) < 2 ? 1UL : 1UL << (64 - __builtin_clzll((unsigned long long)(n) - 1)))

#endif

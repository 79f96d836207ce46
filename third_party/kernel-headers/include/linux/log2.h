/* SPDX-License-Identifier: Apache-2.0 */
/* libbcc asks for this file and brings its own bpf_log2; nothing of it is needed. */
#ifndef LLMPROBE_STUB_LOG2_H
#define LLMPROBE_STUB_LOG2_H
#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LLMPROBE_STUB_LINUX_PTRACE_H
#define LLMPROBE_STUB_LINUX_PTRACE_H

#include <uapi/linux/ptrace.h>

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* libbcc brings the real one along as a virtual file and includes it first. */
#ifndef LLMPROBE_STUB_BPF_H
#define LLMPROBE_STUB_BPF_H

#include <linux/bpf_common.h>
#include <linux/types.h>
/* What helpers.h insists on; a kernel without it could not have got this far. */
#define CONFIG_BPF_SYSCALL 1

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What most programs include this file for. A program that looks into struct task_struct is
 * compiled with the running kernel's own headers instead.
 */
#ifndef LLMPROBE_STUB_SCHED_H
#define LLMPROBE_STUB_SCHED_H

#include <linux/types.h>

#define TASK_COMM_LEN 16

struct task_struct;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "level/level.h"

#include <errno.h>

static const char *const files[] = {"probes/scheduler.c", NULL};
static const struct level_event events[] = {{.event = NULL}};

static const struct level_program programs[] = {
	{.name = "sched_switch", .tracepoint = "sched_switch", .jump = -1},
	{.name = "sched_wakeup", .tracepoint = "sched_wakeup", .jump = -1},
	{.name = NULL},
};

static int defines(struct buf *out, const struct level_input *in, struct diag *d)
{
	static const enum task_field needed[] = {TASK_PID, TASK_TGID, TASK_COMM, TASK_STATE};

	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (!in->task || in->task->at[needed[i]] < 0)
			return diag_fail(d, -ENODATA,
					 "the scheduler level needs the kernel's type information "
					 "(/sys/kernel/btf/vmlinux with task_struct.%s)",
					 btf_task_field_name(needed[i]));
	btf_task_defines(in->task, out);
	if (in->typed_sched)
		buf_puts(out, "#define SCHED_TYPED 1\n");
	return 0;
}

const struct level level_scheduler = {
	.id = LEVEL_SCHEDULER,
	.help = "one row per interval of a target thread: running, waiting for a CPU, sleeping",
	.files = files,
	.events = events,
	.programs = programs,
	.defines = defines,
};

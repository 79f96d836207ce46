/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Scheduler level: context switches in which a thread of a target takes part, and its wake-ups.
 * Everybody else's switches are dismissed after two bit tests.
 *
 * Defines: TASK_OFF_PID, TASK_OFF_TGID, TASK_OFF_COMM, TASK_OFF_RUN_DELAY (offsets from the
 * kernel's BTF), SWITCH_TASKS and, where sched_switch hands over the state that the thread leaves
 * with, SWITCH_STATE_ARG: task_struct may hold that of a waker on another CPU already. SCHED_TYPED
 * when the programs are typed (direct loads), else raw tracepoints (probe reads).
 */
#ifdef SCHED_TYPED
#define TASK_U32(task, offset) (*(volatile u32 *)((char *)(task) + (offset)))
#define TASK_U64(task, offset) (*(volatile u64 *)((char *)(task) + (offset)))
#else
#define TASK_U32(task, offset) ((u32)read_task(task, offset, 4))
#define TASK_U64(task, offset) (read_task(task, offset, 8))

INLINE u64 read_task(void *task, u32 offset, u32 len)
{
	u64 v = 0;

	read_kernel(&v, len, (char *)task + offset);
	return v;
}
#endif

int sched_switch(u64 *ctx)
{
	void *prev = (void *)ctx[SWITCH_TASKS], *next = (void *)ctx[SWITCH_TASKS + 1];
	u32 prev_pid = TASK_U32(prev, TASK_OFF_TGID), next_pid = TASK_U32(next, TASK_OFF_TGID);
	struct rec_switch rec = {};

	if (!is_target(prev_pid) && !is_target(next_pid))
		return 0;
	count_hit(LEVEL_SCHEDULER);
	fill_head(&rec.head, sizeof(rec), REC_SCHED_SWITCH, LEVEL_SCHEDULER, 0);
	rec.head.tid = TASK_U32(prev, TASK_OFF_PID);
	rec.head.pid = prev_pid;
	rec.next_tid = TASK_U32(next, TASK_OFF_PID);
	rec.next_pid = next_pid;
	rec.preempt = (u8)ctx[0];
#ifdef SWITCH_STATE_ARG
	rec.prev_state = (u32)ctx[SWITCH_STATE_ARG];
#else
	rec.prev_state = TASK_U32(prev, TASK_OFF_STATE);
#endif
	read_kernel(rec.prev_comm, sizeof(rec.prev_comm), (char *)prev + TASK_OFF_COMM);
	read_kernel(rec.next_comm, sizeof(rec.next_comm), (char *)next + TASK_OFF_COMM);
#ifdef TASK_OFF_RUN_DELAY
	rec.prev_run_delay_ns = TASK_U64(prev, TASK_OFF_RUN_DELAY);
	rec.next_run_delay_ns = TASK_U64(next, TASK_OFF_RUN_DELAY);
#endif
	emit(ctx, LEVEL_SCHEDULER, &rec, sizeof(rec), 1);
	return 0;
}

int sched_wakeup(u64 *ctx)
{
	void *task = (void *)ctx[0];
	u32 pid = TASK_U32(task, TASK_OFF_TGID);
	struct rec_wakeup rec = {};

	if (!is_target(pid))
		return 0;
	count_hit(LEVEL_SCHEDULER);
	fill_head(&rec.head, sizeof(rec), REC_SCHED_WAKEUP, LEVEL_SCHEDULER, 0);
	rec.wakee_tid = TASK_U32(task, TASK_OFF_PID);
	rec.wakee_pid = pid;
	rec.target_cpu = TASK_U32(task, TASK_OFF_WAKE_CPU);
	get_comm(rec.waker_comm, sizeof(rec.waker_comm));
	emit(ctx, LEVEL_SCHEDULER, &rec, sizeof(rec), 1);
	return 0;
}

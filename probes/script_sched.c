/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * sched probes: the script's programs themselves sit at the kernel's raw tracepoints. The event
 * lies in a per-CPU array: at these points the CPU is not given to anyone else.
 *
 * Defines: TASK_OFF_PID, TASK_OFF_TGID, TASK_OFF_COMM, TASK_OFF_STATE, TASK_OFF_WAKE_CPU (offsets
 * from the kernel's BTF), SWITCH_TASKS, SWITCH_STATE_ARG (see scheduler.c).
 */
INLINE u32 engine_task_u32(u64 task, u32 offset)
{
	u32 v = 0;

	read_kernel(&v, sizeof(v), (void *)(task + offset));
	return v;
}

INLINE int engine_is_target(u64 task)
{
	u32 tgid = engine_task_u32(task, TASK_OFF_TGID);

	return map_lookup(EXTERN_MAP(ENGINE_MAP_PROCESS), &tgid) != 0;
}

INLINE struct engine_sched *engine_sched(void *state)
{
	u32 zero = 0;

	return map_lookup(state, &zero);
}

/* The state that a thread leaves its CPU with; 0 when it was put off it. */
INLINE u32 engine_left_as(u64 *arg, u64 prev)
{
	if (arg[0] & 1)
		return 0;
#ifdef SWITCH_STATE_ARG
	return arg[SWITCH_STATE_ARG] & 0xff;
#else
	return engine_task_u32(prev, TASK_OFF_STATE) & 0xff;
#endif
}

INLINE void engine_off_cpu(u64 prev, u64 next, u32 left_as, void *work)
{
	u32 tid = engine_task_u32(prev, TASK_OFF_PID);
	struct engine_off off = {.since_ns = now_ns(), .state = left_as};

	off.by_tid = engine_task_u32(next, TASK_OFF_PID);
	read_kernel(off.by_comm, sizeof(off.by_comm), (void *)(next + TASK_OFF_COMM));
	map_update(work, &tid, &off, 0);
}

/* At a context switch: whom it puts on the CPU is back from where it was. */
INLINE int engine_sched_offcpu(void *ctx, void *state, void *work)
{
	u64 *arg = ctx, prev = arg[SWITCH_TASKS], next = arg[SWITCH_TASKS + 1];
	struct engine_sched *s = engine_sched(state);
	struct engine_off *off;
	u32 tid;

	if (engine_is_target(prev))
		engine_off_cpu(prev, next, engine_left_as(arg, prev), work);
	if (!s || !engine_is_target(next))
		return 0;
	tid = engine_task_u32(next, TASK_OFF_PID);
	off = map_lookup(work, &tid);
	if (!off)
		return 0;
	s->tid = tid;
	s->dur_ns = now_ns() - off->since_ns;
	s->state = off->state;
	s->by_tid = off->by_tid;
	__builtin_memcpy(s->by_comm, off->by_comm, sizeof(s->by_comm));
	read_kernel(s->comm, sizeof(s->comm), (void *)(next + TASK_OFF_COMM));
	map_delete(work, &tid);
	return 1;
}

INLINE int engine_sched_wakeup(void *ctx, void *state)
{
	u64 *arg = ctx, task = arg[0];
	struct engine_sched *s = engine_sched(state);

	if (!s || !engine_is_target(task))
		return 0;
	s->tid = engine_task_u32(task, TASK_OFF_PID);
	s->by_tid = pid_tgid();
	s->target_cpu = engine_task_u32(task, TASK_OFF_WAKE_CPU);
	get_comm(s->by_comm, sizeof(s->by_comm));
	read_kernel(s->comm, sizeof(s->comm), (void *)(task + TASK_OFF_COMM));
	return 1;
}

INLINE void engine_sched_comm(void *state, char *dst)
{
	struct engine_sched *s = engine_sched(state);

	if (s)
		__builtin_memcpy(dst, s->comm, sizeof(s->comm));
}

INLINE void engine_sched_by_comm(void *state, char *dst)
{
	struct engine_sched *s = engine_sched(state);

	if (s)
		__builtin_memcpy(dst, s->by_comm, sizeof(s->by_comm));
}

ENGINE_NUMBER(sched, dur_ns, engine_sched, engine_sched(state), x->dur_ns)
ENGINE_NUMBER(sched, tid, engine_sched, engine_sched(state), x->tid)
ENGINE_NUMBER(sched, state, engine_sched, engine_sched(state), x->state)
ENGINE_NUMBER(sched, by_tid, engine_sched, engine_sched(state), x->by_tid)
ENGINE_NUMBER(sched, target_cpu, engine_sched, engine_sched(state), x->target_cpu)
ENGINE_CPU(sched)

/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "trace/window.h"
#include "util/alloc.h"

enum state { UNKNOWN, RUNNING, RUNNABLE, SLEEPING, BLOCKED, STOPPED, DEAD };

static const char *const state_names[] = {NULL,	     "running", "runnable", "sleeping",
					  "blocked", "stopped", "dead"};

/* Bits of the kernel's task state. */
enum {
	TASK_INTERRUPTIBLE = 1,
	TASK_UNINTERRUPTIBLE = 2,
	TASK_STOPPED = 4,
	TASK_TRACED = 8,
	TASK_EXITED = 0x10 | 0x20 | 0x80
};

struct task {
	int64_t tid; /* WRITER_NULL: unknown, or none */
	char comm[16];
};

struct thread {
	uint32_t tid;
	enum state state;
	int64_t since;
	int64_t cpu;	      /* WRITER_NULL: unknown */
	struct task by;	      /* who has the CPU that a runnable one waits for */
	struct task from, to; /* whom a running one took its CPU from, and leaves it to */
	char proc_state;      /* what /proc said, for a thread that never switches */
	UT_hash_handle hh;
};

struct event {
	int64_t ts;
	enum { SWITCH, WAKEUP, LEVEL } kind;
	bool on;
	uint32_t prev, next, cpu, prev_state; /* wake-up: next is the wakee, cpu its target */
	bool preempt;
	char prev_comm[16], next_comm[16];
};

struct sched {
	struct writer *w;
	struct thread *threads;
	struct window *window;
	bool seen; /* any event at all: without one the level was off */
	bool off;
	struct thread **running; /* by CPU, NULL: none of ours */
	uint32_t n_cpus;
	uint64_t unseen;
};

static const struct task nobody = {.tid = WRITER_NULL};

/* As much as the buffers of many CPUs can hold back in one drain interval. */
enum { WINDOW = 1 << 15 };

static void emit(void *ctx, void *item);

struct sched *sched_new(struct writer *w)
{
	struct sched *s = xcalloc(1, sizeof(*s));

	s->w = w;
	s->off = true; /* until the level's note says otherwise */
	s->window = window_new(WINDOW, sizeof(struct event), emit, s);
	return s;
}

void sched_free(struct sched *s)
{
	struct thread *t, *tmp;

	if (!s)
		return;
	HASH_ITER (hh, s->threads, t, tmp) {
		HASH_DEL(s->threads, t);
		free(t);
	}
	window_free(s->window);
	free(s->running);
	free(s);
}

static struct thread *find(struct sched *s, uint32_t tid)
{
	struct thread *t;

	HASH_FIND(hh, s->threads, &tid, sizeof(tid), t);
	return t;
}

void sched_thread(struct sched *s, uint32_t tid, int64_t at, char state, int cpu)
{
	struct thread *t = find(s, tid);

	if (!t) {
		t = xcalloc(1, sizeof(*t));
		t->tid = tid;
		t->since = at;
		t->cpu = cpu < 0 ? WRITER_NULL : cpu;
		t->by = t->from = t->to = nobody;
		HASH_ADD(hh, s->threads, tid, sizeof(t->tid), t);
	}
	if (at < t->since)
		t->since = at;
	if (!t->proc_state)
		t->proc_state = state;
}

static const char *comm_or_null(const struct task *t)
{
	return t->comm[0] ? t->comm : NULL;
}

/* Ends the present interval at `ts`, as `was` when the state was not known, and starts the next. */
static void go(struct sched *s, struct thread *t, int64_t ts, enum state was, enum state next)
{
	enum state state = t->state == UNKNOWN ? was : t->state;
	bool running = state == RUNNING;
	const struct task *from = running ? &t->from : &nobody, *to = running ? &t->to : &nobody;

	/* What a buffer still held when the recording began only tells the state to begin with. */
	if (!s->off && state != UNKNOWN && ts > t->since)
		writer_add(s->w, W_SCHED, "iIiisIsIsIs", (int64_t)t->tid,
			   running || state == RUNNABLE ? t->cpu : WRITER_NULL, t->since, ts,
			   state_names[state], t->by.tid > 0 ? t->by.tid : WRITER_NULL,
			   comm_or_null(&t->by), from->tid, comm_or_null(from), to->tid,
			   comm_or_null(to));
	t->state = next;
	t->since = ts;
	t->by = t->from = t->to = nobody;
}

static struct task task_of(uint32_t tid, const char comm[16])
{
	struct task t = {.tid = tid};

	snprintf(t.comm, sizeof(t.comm), "%.15s", tid ? comm : "idle");
	return t;
}

static enum state left_as(const struct event *e)
{
	if (e->preempt || e->prev_state == 0)
		return RUNNABLE;
	if (e->prev_state & TASK_INTERRUPTIBLE)
		return SLEEPING;
	if (e->prev_state & TASK_UNINTERRUPTIBLE)
		return BLOCKED;
	if (e->prev_state & (TASK_STOPPED | TASK_TRACED))
		return STOPPED;
	if (e->prev_state & TASK_EXITED)
		return DEAD;
	/* Only the preemption mark is left. */
	return RUNNABLE;
}

/*
 * The thread left its CPU, or got one, and nobody told us when: a process that was just made is not
 * followed from its first moment, and there are kernel threads (consoles of virtual machines) for
 * whose leaving a CPU the tracepoint does not fire. What the thread did since is not known.
 */
static void lose_sight(struct sched *s, struct thread *t, int64_t ts)
{
	t->state = UNKNOWN;
	go(s, t, ts, UNKNOWN, UNKNOWN);
	s->unseen++;
}

/* Notes who runs on the event's CPU from now on. */
static void take_cpu(struct sched *s, const struct event *e, struct thread *in)
{
	struct thread *before;

	if (e->cpu >= s->n_cpus) {
		s->running = xreallocarray(s->running, e->cpu + 1, sizeof(*s->running));
		memset(s->running + s->n_cpus, 0, (e->cpu + 1 - s->n_cpus) * sizeof(*s->running));
		s->n_cpus = e->cpu + 1;
	}
	before = s->running[e->cpu];
	if (before && before->tid != e->prev && before->state == RUNNING && before->cpu == e->cpu)
		lose_sight(s, before, e->ts);
	s->running[e->cpu] = in;
}

static void switched(struct sched *s, const struct event *e)
{
	struct thread *out = find(s, e->prev), *in = find(s, e->next);

	take_cpu(s, e, in);
	if (in && in != out && in->state == RUNNING)
		lose_sight(s, in, e->ts);
	if (out && out->state != RUNNING && out->state != UNKNOWN)
		lose_sight(s, out, e->ts);
	if (out) {
		out->cpu = e->cpu;
		out->to = task_of(e->next, e->next_comm);
		go(s, out, e->ts, RUNNING, left_as(e));
		if (out->state == RUNNABLE)
			out->by = task_of(e->next, e->next_comm);
	}
	if (in) {
		if (in->state == UNKNOWN || in->state == RUNNABLE)
			in->cpu = e->cpu;
		/* Woken, and the CPU was another's until now. */
		if (in->state == RUNNABLE && in->by.tid <= 0 && e->prev)
			in->by = task_of(e->prev, e->prev_comm);
		go(s, in, e->ts, RUNNABLE, RUNNING);
		in->cpu = e->cpu;
		in->from = task_of(e->prev, e->prev_comm);
	}
}

static void woken(struct sched *s, const struct event *e)
{
	struct thread *t = find(s, e->next);

	/* A wake-up of a thread that is not asleep changes nothing. */
	if (!t || t->state == RUNNING || t->state == RUNNABLE)
		return;
	go(s, t, e->ts, SLEEPING, RUNNABLE);
	t->cpu = e->cpu;
}

static void level(struct sched *s, const struct event *e)
{
	if (s->off == !e->on)
		return;
	if (s->n_cpus && !e->on)
		memset(s->running, 0, s->n_cpus * sizeof(*s->running));
	for (struct thread *t = s->threads; t; t = t->hh.next) {
		if (!e->on)
			go(s, t, e->ts, UNKNOWN, UNKNOWN);
		else if (t->since < e->ts)
			t->since = e->ts;
	}
	s->off = !e->on;
}

static void emit(void *ctx, void *item)
{
	const struct event *e = item;

	switch (e->kind) {
	case SWITCH:
		switched(ctx, e);
		break;
	case WAKEUP:
		woken(ctx, e);
		break;
	case LEVEL:
		level(ctx, e);
	}
}

void sched_level(struct sched *s, int64_t at, bool on)
{
	struct event *e = window_add(s->window, at);

	*e = (struct event){.ts = at, .kind = LEVEL, .on = on};
	s->seen |= on;
}

void sched_switch(struct sched *s, const struct rec_switch *r)
{
	struct event *e = window_add(s->window, (int64_t)r->head.ts_ns);

	*e = (struct event){.ts = (int64_t)r->head.ts_ns,
			    .kind = SWITCH,
			    .prev = r->head.tid,
			    .next = r->next_tid,
			    .cpu = r->head.cpu,
			    .prev_state = r->prev_state,
			    .preempt = r->preempt};
	memcpy(e->prev_comm, r->prev_comm, sizeof(e->prev_comm));
	memcpy(e->next_comm, r->next_comm, sizeof(e->next_comm));
	s->seen = true;
}

void sched_wakeup(struct sched *s, const struct rec_wakeup *r)
{
	struct event *e = window_add(s->window, (int64_t)r->head.ts_ns);

	*e = (struct event){.ts = (int64_t)r->head.ts_ns,
			    .kind = WAKEUP,
			    .next = r->wakee_tid,
			    .cpu = r->target_cpu};
	s->seen = true;
}

void sched_finish(struct sched *s, int64_t end)
{
	window_flush(s->window);
	if (!s->seen || s->off)
		return;
	for (struct thread *t = s->threads; t; t = t->hh.next) {
		enum state was = t->proc_state == 'R'	? RUNNING
				 : t->proc_state == 'D' ? BLOCKED
				 : t->proc_state	? SLEEPING
							: UNKNOWN;

		if (t->state != DEAD)
			go(s, t, end, was, UNKNOWN);
	}
}

uint64_t sched_unseen(const struct sched *s)
{
	return s->unseen;
}

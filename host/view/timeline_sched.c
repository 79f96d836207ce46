/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The intervals of `sched` turned back into the switches and wake-ups they came from.
 *
 * An interval says where and how long a target thread ran, waited for a CPU or slept. What ran on a
 * CPU in between is known only where by_tid names it; the rest is given to a task of its own name,
 * never to the idle task.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"
#include "view/timeline_feed.h"

enum {
	UNTRACED_TID = 2000000000, /* plus the CPU's number; beyond any pid_max */
	TASK_RUNNING = 0,
	TASK_INTERRUPTIBLE = 1,
	TASK_UNINTERRUPTIBLE = 2,
	TASK_STOPPED = 4,
	TASK_DEAD = 0x20,
};

/* The last thread of ours that ran on a CPU and how it left. */
struct cpu_state {
	bool seen;
	int64_t tid;
	uint64_t until_ns;
	int64_t end_state;
	int64_t next_tid; /* who had the CPU then; -1: not recorded */
	char next_comm[32];
};

struct thread_state {
	int64_t tid;
	bool slept; /* its last interval was no running or runnable one */
	/* Whom its last wait for a CPU ended with: it came to run from this one. */
	uint64_t waited_until_ns;
	int64_t by_tid; /* -1: not recorded */
	char by_comm[32];
	UT_hash_handle hh;
};

struct sched_feed {
	struct feed *f;
	struct cpu_state *cpus;
	int n_cpus;
	struct thread_state *threads;
	char comm[2][32];
};

static struct tl_task task_of(struct sched_feed *s, int64_t tid, int slot)
{
	snprintf(s->comm[slot], sizeof(s->comm[slot]), "%s",
		 feed_thread_name(s->f, tid, "target thread"));
	return (struct tl_task){tid, s->comm[slot]};
}

static struct tl_task other_task(struct cpu_state *c, int cpu)
{
	if (c->next_tid >= 0)
		return (struct tl_task){c->next_tid, c->next_comm};
	return (struct tl_task){UNTRACED_TID + cpu, "(not recorded)"};
}

static struct thread_state *thread_of(struct sched_feed *s, int64_t tid)
{
	struct thread_state *t;

	HASH_FIND(hh, s->threads, &tid, sizeof(tid), t);
	if (t)
		return t;
	t = xcalloc(1, sizeof(*t));
	t->tid = tid;
	HASH_ADD(hh, s->threads, tid, sizeof(t->tid), t);
	return t;
}

static void emit_switch(struct sched_feed *s, int cpu, uint64_t at, struct tl_task prev,
			int64_t state, struct tl_task next)
{
	s->f->ops->sched_switch(s->f->sink, cpu, at, &prev, state, &next);
	s->f->switches++;
}

static struct cpu_state *cpu_of(struct sched_feed *s, int cpu)
{
	if (cpu >= s->n_cpus) {
		s->cpus = xreallocarray(s->cpus, (size_t)cpu + 1, sizeof(*s->cpus));
		memset(s->cpus + s->n_cpus, 0, (size_t)(cpu + 1 - s->n_cpus) * sizeof(*s->cpus));
		s->n_cpus = cpu + 1;
	}
	return &s->cpus[cpu];
}

static void leave_cpu(struct sched_feed *s, int cpu)
{
	struct cpu_state *c = &s->cpus[cpu];

	emit_switch(s, cpu, c->until_ns, task_of(s, c->tid, 0), c->end_state, other_task(c, cpu));
}

/* What ran before `t` came in at `begin`: known when it had to wait for that, or ran last here. */
static struct tl_task before(struct thread_state *t, struct cpu_state *c, int cpu, uint64_t begin)
{
	if (t->waited_until_ns == begin && t->by_tid >= 0)
		return (struct tl_task){t->by_tid, t->by_comm};
	return other_task(c, cpu);
}

static void on_running(struct sched_feed *s, int cpu, int64_t tid, uint64_t begin, uint64_t end)
{
	struct cpu_state *c = cpu_of(s, cpu);
	struct thread_state *t = thread_of(s, tid);

	if (c->seen && c->until_ns >= begin) {
		emit_switch(s, cpu, begin, task_of(s, c->tid, 0), c->end_state, task_of(s, tid, 1));
	} else {
		if (c->seen)
			leave_cpu(s, cpu);
		else
			c->next_tid = -1;
		emit_switch(s, cpu, begin, before(t, c, cpu, begin), TASK_RUNNING,
			    task_of(s, tid, 1));
	}
	t->slept = false;
	c->seen = true;
	c->tid = tid;
	c->until_ns = end;
	c->end_state = TASK_INTERRUPTIBLE;
	c->next_tid = -1;
}

static int64_t state_bits(const char *state)
{
	static const struct {
		const char *name;
		int64_t bits;
	} states[] = {
		{"runnable", TASK_RUNNING},
		{"blocked", TASK_UNINTERRUPTIBLE},
		{"stopped", TASK_STOPPED},
		{"dead", TASK_DEAD},
	};

	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (!strcmp(state, states[i].name))
			return states[i].bits;
	return TASK_INTERRUPTIBLE;
}

/* Notes on the CPU that `tid` left at `at` why it left and, if known, for whom. */
static void note_leaving(struct sched_feed *s, int64_t tid, uint64_t at, int64_t state,
			 const struct thread_state *t)
{
	for (int i = 0; i < s->n_cpus; i++) {
		struct cpu_state *c = &s->cpus[i];

		if (!c->seen || c->tid != tid || c->until_ns != at)
			continue;
		c->end_state = state;
		if (state != TASK_RUNNING)
			continue;
		c->next_tid = t->by_tid;
		snprintf(c->next_comm, sizeof(c->next_comm), "%s", t->by_comm);
	}
}

/* A thread that is off the CPU: why it left, who came, and when it was woken. */
static void on_waiting(struct sched_feed *s, int64_t tid, uint64_t begin, sqlite3_stmt *row)
{
	int64_t state = state_bits(feed_text(row, 4));
	struct thread_state *t = thread_of(s, tid);
	bool woken = t->slept && state == TASK_RUNNING;
	const char *comm = feed_text(row, 6);
	int cpu = sqlite3_column_int(row, 1);

	if (state == TASK_RUNNING) {
		/* A woken thread that waited for nobody found the CPU idle. */
		bool idle = !strcmp(comm, "idle") || (woken && !*comm);

		t->waited_until_ns = (uint64_t)sqlite3_column_int64(row, 3);
		t->by_tid = idle ? 0
			    : sqlite3_column_type(row, 5) == SQLITE_NULL
				    ? -1
				    : sqlite3_column_int64(row, 5);
		snprintf(t->by_comm, sizeof(t->by_comm), "%s", idle ? "swapper" : comm);
	}
	note_leaving(s, tid, begin, state, t);
	if (woken && sqlite3_column_type(row, 1) != SQLITE_NULL && cpu >= 0) {
		struct tl_task wakee = task_of(s, tid, 0);

		s->f->ops->sched_waking(s->f->sink, cpu, begin, UNTRACED_TID + cpu, &wakee, cpu);
	}
	t->slept = state != TASK_RUNNING;
}

int feed_scheduler(struct feed *f)
{
	struct sched_feed s = {.f = f};
	struct thread_state *t, *next;
	/* Of rows that begin together the one that says why a CPU was left comes first. */
	sqlite3_stmt *row = feed_query(
		f, "SELECT tid, cpu, begin_ns, ifnull(end_ns, begin_ns), state, by_tid, by_comm "
		   "FROM sched WHERE ifnull(end_ns, begin_ns) >= ?1 AND begin_ns <= ?2 "
		   "ORDER BY begin_ns, state = 'running'");
	uint64_t unplaced = 0;
	int err = 0;

	while (row && feed_step(f, &row, &err)) {
		int cpu = sqlite3_column_int(row, 1);
		int64_t tid = sqlite3_column_int64(row, 0);
		uint64_t begin = (uint64_t)sqlite3_column_int64(row, 2);

		if (strcmp(feed_text(row, 4), "running") != 0)
			on_waiting(&s, tid, begin, row);
		else if (sqlite3_column_type(row, 1) == SQLITE_NULL || cpu < 0)
			unplaced++;
		else
			on_running(&s, cpu, tid, begin, (uint64_t)sqlite3_column_int64(row, 3));
	}
	for (int i = 0; i < s.n_cpus; i++)
		if (s.cpus[i].seen)
			leave_cpu(&s, i);
	HASH_ITER (hh, s.threads, t, next) {
		HASH_DEL(s.threads, t);
		free(t);
	}
	free(s.cpus);
	return err;
}

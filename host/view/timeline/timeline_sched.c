/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The intervals of `sched` turned back into the switches and wake-ups they came from.
 *
 * An interval says where and how long a target thread ran, waited for a CPU or slept, and a running
 * one also from whom it got the CPU and who had it next. What else ran in between is not known: the
 * task that came after the one interval is drawn up to the next, or until it is seen on another
 * CPU. What is not known is drawn as a task of its own name, never as the idle task. Switches of a
 * CPU always join up: each is from the task that the one before was to.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"
#include "view/timeline/timeline_feed.h"

enum sched_column {
	TID,
	CPU,
	BEGIN,
	END,
	STATE,
	BY_TID,
	PREV_TID = 7,
	NEXT_TID = 9,
};

enum {
	UNTRACED_TID = 2000000000, /* plus the CPU's number; beyond any pid_max */
	TASK_RUNNING = 0,
	TASK_INTERRUPTIBLE = 1,
	TASK_UNINTERRUPTIBLE = 2,
	TASK_STOPPED = 4,
	EXIT_DEAD = 0x10,
};

struct task {
	int64_t tid; /* -1: not recorded */
	char comm[32];
};

/* The last thread of ours that ran on a CPU, how it left and for whom. */
struct cpu_state {
	bool seen;
	int64_t tid;
	uint64_t until_ns;
	int64_t end_state;
	struct task next;
	uint64_t next_gone_ns; /* when `next` was first seen elsewhere, 0: it was not */
};

struct thread_state {
	int64_t tid;
	bool slept; /* its last interval was no running or runnable one */
	/* Whom its last wait for a CPU ended with: it came to run from this one. */
	uint64_t waited_until_ns;
	struct task by;
	UT_hash_handle hh;
};

struct sched_feed {
	struct feed *f;
	struct cpu_state *cpus;
	int n_cpus;
	struct thread_state *threads;
};

static const struct task unknown = {.tid = -1};

static struct task target(struct sched_feed *s, int64_t tid)
{
	struct task t = {.tid = tid};

	snprintf(t.comm, sizeof(t.comm), "%s", feed_thread_name(s->f, tid, "target thread"));
	return t;
}

/* The task that columns `first` (tid) and the next (comm) name. */
static struct task column_task(sqlite3_stmt *row, int first, int cpu)
{
	struct task t = unknown;

	if (sqlite3_column_type(row, first) == SQLITE_NULL)
		return t;
	t.tid = sqlite3_column_int64(row, first);
	if (t.tid)
		snprintf(t.comm, sizeof(t.comm), "%s", feed_text(row, first + 1));
	else
		snprintf(t.comm, sizeof(t.comm), "swapper/%d", cpu);
	return t;
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

/* What the trace calls the task that had a CPU. */
static struct tl_task shown(const struct task *t, int cpu)
{
	if (t->tid >= 0)
		return (struct tl_task){t->tid, t->comm};
	return (struct tl_task){UNTRACED_TID + cpu, "(not recorded)"};
}

static void emit_switch(struct sched_feed *s, int cpu, uint64_t at, const struct task *prev,
			int64_t state, const struct task *next)
{
	struct tl_task from = shown(prev, cpu), to = shown(next, cpu);

	s->f->ops->sched_switch(s->f->sink, cpu, at, &from, state, &to);
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
	struct task prev = target(s, c->tid);

	emit_switch(s, cpu, c->until_ns, &prev, c->end_state, &c->next);
}

/* A thread of the target runs where its own rows say so, and nowhere else. */
static struct task neighbour(struct sched_feed *s, struct task t)
{
	return t.tid > 0 && feed_has_thread(s->f, t.tid) ? unknown : t;
}

/* What ran before `t` came in: as its row says, or whom it had to wait for. */
static struct task before(struct sched_feed *s, const struct thread_state *t, sqlite3_stmt *row,
			  uint64_t begin, int cpu)
{
	struct task from = column_task(row, PREV_TID, cpu);

	return neighbour(s, from.tid < 0 && t->waited_until_ns == begin ? t->by : from);
}

/* Task `tid` had CPU `cpu` at `at`: it is not drawn on any other one from then on. */
static void sighted(struct sched_feed *s, int64_t tid, uint64_t at, int cpu)
{
	for (int i = 0; tid > 0 && i < s->n_cpus; i++) {
		struct cpu_state *c = &s->cpus[i];

		if (i != cpu && c->seen && c->next.tid == tid && c->until_ns < at &&
		    (!c->next_gone_ns || at < c->next_gone_ns))
			c->next_gone_ns = at;
	}
}

/* Who has `cpu` after the last thread of ours. Rows come by their begins, so the ends of others,
 * and who came then, may be known already although they are later. */
static void set_next(struct sched_feed *s, int cpu, struct task next)
{
	struct cpu_state *c = &s->cpus[cpu];

	c->next = next;
	c->next_gone_ns = 0;
	sighted(s, next.tid, c->until_ns, cpu);
	for (int i = 0; i < s->n_cpus; i++) {
		const struct cpu_state *other = &s->cpus[i];

		if (i != cpu && other->seen && other->next.tid == next.tid)
			sighted(s, next.tid, other->until_ns, i);
	}
}

/* Draws what `cpu` ran since our last thread and returns what it ran before `end`. */
static struct task fill_gap(struct sched_feed *s, int cpu, uint64_t end)
{
	struct cpu_state *c = &s->cpus[cpu];

	leave_cpu(s, cpu);
	if (!c->next_gone_ns || c->next_gone_ns >= end)
		return c->next;
	emit_switch(s, cpu, c->next_gone_ns, &c->next, TASK_RUNNING, &unknown);
	return unknown;
}

static void enter_cpu(struct sched_feed *s, int cpu, uint64_t begin, struct task from,
		      const struct task *to)
{
	if (s->cpus[cpu].seen) {
		struct task filler = fill_gap(s, cpu, begin);

		if (from.tid < 0)
			from = filler;
		else if (from.tid != filler.tid)
			emit_switch(s, cpu, begin, &filler, TASK_RUNNING, &from);
	}
	emit_switch(s, cpu, begin, &from, TASK_RUNNING, to);
}

static void on_running(struct sched_feed *s, int cpu, int64_t tid, sqlite3_stmt *row)
{
	struct cpu_state *c = cpu_of(s, cpu);
	struct thread_state *t = thread_of(s, tid);
	struct task prev = target(s, c->tid), next = target(s, tid);
	uint64_t begin = (uint64_t)sqlite3_column_int64(row, BEGIN);
	struct task from = before(s, t, row, begin, cpu);

	if (c->seen && c->until_ns >= begin) {
		emit_switch(s, cpu, begin, &prev, c->end_state, &next);
	} else {
		sighted(s, from.tid, begin, cpu);
		enter_cpu(s, cpu, begin, from, &next);
	}
	t->slept = false;
	*c = (struct cpu_state){.seen = true,
				.tid = tid,
				.until_ns = (uint64_t)sqlite3_column_int64(row, END),
				.end_state = TASK_INTERRUPTIBLE};
	set_next(s, cpu, neighbour(s, column_task(row, NEXT_TID, cpu)));
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
		{"dead", EXIT_DEAD},
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
		if (state == TASK_RUNNING && c->next.tid < 0)
			set_next(s, i, neighbour(s, t->by));
	}
}

/* Whom a runnable thread waited for. A woken one that waited for nobody found the CPU idle. */
static struct task waited_for(sqlite3_stmt *row, int cpu, bool woken)
{
	const char *comm = feed_text(row, BY_TID + 1);
	struct task t = column_task(row, BY_TID, cpu);

	if (t.tid < 0 && (!strcmp(comm, "idle") || (woken && !*comm))) {
		t.tid = 0;
		snprintf(t.comm, sizeof(t.comm), "swapper/%d", cpu);
	}
	return t;
}

/* A thread that is off the CPU: why it left, who came, and when it was woken. */
static void on_waiting(struct sched_feed *s, int64_t tid, sqlite3_stmt *row)
{
	int64_t state = state_bits(feed_text(row, STATE));
	struct thread_state *t = thread_of(s, tid);
	bool woken = t->slept && state == TASK_RUNNING;
	uint64_t begin = (uint64_t)sqlite3_column_int64(row, BEGIN);
	int cpu = sqlite3_column_int(row, CPU);

	if (state == TASK_RUNNING) {
		t->waited_until_ns = (uint64_t)sqlite3_column_int64(row, END);
		t->by = waited_for(row, cpu, woken);
	}
	note_leaving(s, tid, begin, state, t);
	if (woken && sqlite3_column_type(row, CPU) != SQLITE_NULL && cpu >= 0) {
		struct task task = target(s, tid);
		struct tl_task wakee = shown(&task, cpu);

		s->f->ops->sched_waking(s->f->sink, cpu, begin, UNTRACED_TID + cpu, &wakee, cpu);
	}
	t->slept = state != TASK_RUNNING;
}

/* Of rows that begin together the one that says why a CPU was left comes first. */
static sqlite3_stmt *query(struct feed *f)
{
	/* Runs of older versions do not say whom a running thread came from. */
	bool has_runs = feed_number(f, "SELECT 1 FROM sqlite_master WHERE name = 'sched_run'", 0);

	return feed_query(
		f, has_runs ? "SELECT * FROM (SELECT tid, cpu, begin_ns AS b, end_ns AS e, state,"
			      " by_tid, by_comm, NULL, NULL, NULL, NULL FROM sched"
			      " WHERE state != 'running' UNION ALL"
			      " SELECT tid, cpu, begin_ns, end_ns, 'running', NULL, NULL,"
			      " prev_tid, prev_comm, next_tid, next_comm FROM sched_run)"
			      " WHERE e >= ?1 AND b <= ?2 ORDER BY b, state = 'running'"
			    : "SELECT tid, cpu, begin_ns, end_ns, state, by_tid, by_comm,"
			      " NULL, NULL, NULL, NULL FROM sched"
			      " WHERE end_ns >= ?1 AND begin_ns <= ?2"
			      " ORDER BY begin_ns, state = 'running'");
}

int feed_scheduler(struct feed *f)
{
	struct sched_feed s = {.f = f};
	struct thread_state *t, *tmp;
	sqlite3_stmt *row = query(f);
	int err = 0;

	if (!row)
		return -EIO;
	while (feed_step(f, &row, &err)) {
		int cpu = sqlite3_column_int(row, CPU);
		int64_t tid = sqlite3_column_int64(row, TID);

		if (strcmp(feed_text(row, STATE), "running") != 0)
			on_waiting(&s, tid, row);
		else if (sqlite3_column_type(row, CPU) != SQLITE_NULL && cpu >= 0)
			on_running(&s, cpu, tid, row);
	}
	for (int i = 0; i < s.n_cpus; i++)
		if (s.cpus[i].seen)
			leave_cpu(&s, i);
	HASH_ITER (hh, s.threads, t, tmp) {
		HASH_DEL(s.threads, t);
		free(t);
	}
	free(s.cpus);
	return err;
}

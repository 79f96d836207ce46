/* SPDX-License-Identifier: Apache-2.0 */
#include "view/summary/waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"
#include "view/view.h"

/* The wait of a thread that its next row completes. */
struct pending {
	int64_t tid;
	bool waits;
	struct wait wait;
	UT_hash_handle hh;
};

static struct pending *pending_of(struct pending **all, int64_t tid)
{
	struct pending *p;

	HASH_FIND(hh, *all, &tid, sizeof(tid), p);
	if (p)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->tid = tid;
	HASH_ADD(hh, *all, tid, sizeof(p->tid), p);
	return p;
}

/* From three columns: the thread, its name, whether it is the target's. */
static void read_task(sqlite3_stmt *q, int col, struct wait_task *t)
{
	*t = (struct wait_task){.tid = sqlite3_column_int64(q, col),
				.own = sqlite3_column_int(q, col + 2) != 0};
	snprintf(t->comm, sizeof(t->comm), "%s", view_text(q, col + 1));
}

static enum wait_state state_of(const char *name)
{
	return strcmp(name, "runnable") == 0   ? WAIT_RUNNABLE
	       : strcmp(name, "sleeping") == 0 ? WAIT_SLEEPING
	       : strcmp(name, "blocked") == 0  ? WAIT_BLOCKED
					       : WAIT_OTHER;
}

static void one_row(sqlite3_stmt *q, struct pending *p, void (*fn)(void *, const struct wait *),
		    void *ctx)
{
	bool running = strcmp(view_text(q, 3), "running") == 0;

	if (p->waits && running && sqlite3_column_double(q, 1) == p->wait.end &&
	    sqlite3_column_int64(q, 8) > 0)
		read_task(q, 8, &p->wait.last);
	if (p->waits)
		fn(ctx, &p->wait);
	p->waits = !running;
	if (running)
		return;
	p->wait = (struct wait){.tid = p->tid,
				.worker = sqlite3_column_int(q, 4) != 0,
				.begin = sqlite3_column_double(q, 1),
				.end = sqlite3_column_double(q, 2),
				.state = state_of(view_text(q, 3))};
	read_task(q, 5, &p->wait.first);
}

void waits_each(sqlite3 *db, void (*fn)(void *ctx, const struct wait *w), void *ctx)
{
	/* Runs of earlier versions do not know who was last. */
	static const char with_last[] =
		"SELECT tid, begin_ns, end_ns, state, tid IN (SELECT tid FROM op_phase_t), by_tid,"
		" by_comm, by_tid IN (SELECT tid FROM thread_t), prev_tid, prev_comm, prev_tid IN"
		" (SELECT tid FROM thread_t) FROM sched_t ORDER BY rowid";
	static const char first_only[] =
		"SELECT tid, begin_ns, end_ns, state, tid IN (SELECT tid FROM op_phase_t), by_tid,"
		" by_comm, by_tid IN (SELECT tid FROM thread_t), 0, NULL, 0 FROM sched_t ORDER BY"
		" rowid";
	sqlite3_stmt *q = view_query(
		db, NULL, view_has_column(db, "sched_t", "prev_tid") ? with_last : first_only,
		NULL);
	struct pending *all = NULL, *p, *next;

	while (view_step(q))
		one_row(q, pending_of(&all, sqlite3_column_int64(q, 0)), fn, ctx);
	HASH_ITER (hh, all, p, next) {
		if (p->waits)
			fn(ctx, &p->wait);
		HASH_DEL(all, p);
		free(p);
	}
}

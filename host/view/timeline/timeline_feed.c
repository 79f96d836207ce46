/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "view/timeline/timeline_feed.h"

struct feed_process {
	int64_t pid;
	uint32_t track;
	UT_hash_handle hh;
};

struct feed_thread {
	int64_t tid, pid;
	char *name;
	bool recorded; /* has a row in `thread` */
	struct lanes lanes;
	UT_hash_handle hh;
};

struct feed_tensor {
	int64_t id;
	struct tensor_names names;
	UT_hash_handle hh;
};

enum { PROGRESS_ROWS = 65536 };

sqlite3_stmt *feed_query(struct feed *f, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(f->db, sql, -1, &stmt, NULL) != SQLITE_OK) {
		diag_fail(f->d, -EIO, "cannot read the run: %s", sqlite3_errmsg(f->db));
		return NULL;
	}
	if (sqlite3_bind_parameter_count(stmt) >= 2) {
		sqlite3_bind_int64(stmt, 1, (int64_t)f->from_ns);
		sqlite3_bind_int64(stmt, 2, (int64_t)f->to_ns);
	}
	return stmt;
}

bool feed_step(struct feed *f, sqlite3_stmt **stmt, int *err)
{
	int rc = *stmt ? sqlite3_step(*stmt) : SQLITE_ERROR;

	if (rc == SQLITE_ROW) {
		if (++f->done % PROGRESS_ROWS == 0 && f->done < f->total)
			progress_show(f->o->progress, "timeline",
				      (double)f->done / (double)f->total);
		return true;
	}
	if (rc != SQLITE_DONE) {
		*err = -EIO;
		if (*stmt)
			diag_fail(f->d, -EIO, "cannot read the run: %s", sqlite3_errmsg(f->db));
	}
	sqlite3_finalize(*stmt);
	*stmt = NULL;
	return false;
}

int64_t feed_number(struct feed *f, const char *sql, int64_t fallback)
{
	sqlite3_stmt *stmt = feed_query(f, sql);
	int64_t value = fallback;

	if (stmt && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

const char *feed_text(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return text ? text : "";
}

uint32_t feed_track(struct feed *f, const struct tl_track *t)
{
	f->ops->track(f->sink, ++f->n_tracks, t);
	return f->n_tracks;
}

uint32_t feed_process_track(struct feed *f, int64_t pid)
{
	struct feed_process *p;
	struct tl_track t = {.kind = TL_TRACK_PROCESS, .pid = pid, .tid = pid};

	HASH_FIND(hh, f->processes, &pid, sizeof(pid), p);
	if (p)
		return p->track;
	p = xcalloc(1, sizeof(*p));
	p->pid = pid;
	t.name = feed_thread_name(f, pid, "target");
	p->track = feed_track(f, &t);
	HASH_ADD(hh, f->processes, pid, sizeof(p->pid), p);
	return p->track;
}

static struct feed_thread *thread_of(struct feed *f, int64_t tid)
{
	struct feed_thread *t;

	HASH_FIND(hh, f->threads, &tid, sizeof(tid), t);
	if (t)
		return t;
	t = xcalloc(1, sizeof(*t));
	t->tid = t->pid = tid;
	HASH_ADD(hh, f->threads, tid, sizeof(t->tid), t);
	return t;
}

struct lanes *feed_thread_lanes(struct feed *f, int64_t tid)
{
	struct feed_thread *t = thread_of(f, tid);
	struct tl_track track = {.kind = TL_TRACK_THREAD, .pid = t->pid, .tid = tid};

	if (t->lanes.count)
		return &t->lanes;
	feed_process_track(f, t->pid);
	track.name = t->name ? t->name : "worker";
	lanes_init(&t->lanes, &track);
	return &t->lanes;
}

int64_t feed_thread_pid(struct feed *f, int64_t tid)
{
	return thread_of(f, tid)->pid;
}

bool feed_has_thread(struct feed *f, int64_t tid)
{
	struct feed_thread *t;

	HASH_FIND(hh, f->threads, &tid, sizeof(tid), t);
	return t && t->recorded;
}

const char *feed_thread_name(struct feed *f, int64_t tid, const char *fallback)
{
	struct feed_thread *t;

	HASH_FIND(hh, f->threads, &tid, sizeof(tid), t);
	return t && t->name && *t->name ? t->name : fallback;
}

void lanes_init(struct lanes *l, const struct tl_track *t)
{
	*l = (struct lanes){.track = *t};
	l->track.name = xstrdup(t->name);
}

void lanes_free(struct lanes *l)
{
	free((char *)l->track.name);
	free(l->lane);
	*l = (struct lanes){0};
}

/* A further lane of a thread hangs below the thread's own track. */
static void add_lane(struct feed *f, struct lanes *l)
{
	struct tl_track t = l->track;

	if (l->count && t.kind == TL_TRACK_THREAD) {
		t.kind = TL_TRACK_PLAIN;
		t.parent = l->lane[0].id;
	}
	VEC_PUSH(l->lane, l->count, l->cap)->id = feed_track(f, &t);
}

void feed_slice(struct feed *f, struct lanes *l, struct tl_slice *e)
{
	size_t i = 0;

	while (i < l->count && l->lane[i].busy_until_ns > e->begin_ns)
		i++;
	if (i == l->count)
		add_lane(f, l);
	l->lane[i].busy_until_ns = e->end_ns;
	e->track = l->lane[i].id;
	f->ops->slice(f->sink, e);
	f->slices++;
}

static int load_threads(struct feed *f)
{
	sqlite3_stmt *stmt = feed_query(f, "SELECT tid, pid, name FROM thread");
	int err = 0;

	while (feed_step(f, &stmt, &err)) {
		struct feed_thread *t = thread_of(f, sqlite3_column_int64(stmt, 0));

		if (sqlite3_column_type(stmt, 1) != SQLITE_NULL)
			t->pid = sqlite3_column_int64(stmt, 1);
		t->recorded = true;
		free(t->name);
		t->name = xstrdup(feed_text(stmt, 2));
	}
	return err;
}

static void shape_text(sqlite3_stmt *stmt, int first, struct buf *out)
{
	int last = 3;

	buf_reset(out);
	buf_puts(out, feed_text(stmt, first));
	while (last > 0 && sqlite3_column_int64(stmt, first + 1 + last) == 1)
		last--;
	for (int i = 0; i <= last; i++)
		if (sqlite3_column_type(stmt, first + 1 + i) != SQLITE_NULL)
			buf_printf(out, "%s%lld", i ? "x" : " ",
				   sqlite3_column_int64(stmt, first + 1 + i));
}

static int load_tensors(struct feed *f)
{
	sqlite3_stmt *stmt =
		feed_query(f, "SELECT id, name, op, type, ne0, ne1, ne2, ne3 FROM tensor");
	struct buf shape = {0};
	int err = 0;

	while (feed_step(f, &stmt, &err)) {
		struct feed_tensor *t = xcalloc(1, sizeof(*t));
		const char *name = feed_text(stmt, 1);
		const char *op = feed_text(stmt, 2);

		t->id = sqlite3_column_int64(stmt, 0);
		t->names.op = tl_strings_id(f->strings, *op ? op : "operator");
		t->names.name = *name ? tl_strings_id(f->strings, name) : t->names.op;
		shape_text(stmt, 3, &shape);
		t->names.shape = tl_strings_id(f->strings, buf_str(&shape));
		HASH_ADD(hh, f->tensors, id, sizeof(t->id), t);
	}
	buf_free(&shape);
	return err;
}

struct tensor_names feed_tensor_names(struct feed *f, int64_t id)
{
	struct feed_tensor *t;
	uint32_t unknown;

	HASH_FIND(hh, f->tensors, &id, sizeof(id), t);
	if (t)
		return t->names;
	unknown = tl_strings_id(f->strings, "unknown operator");
	return (struct tensor_names){unknown, unknown, unknown};
}

int feed_load_names(struct feed *f)
{
	int err = load_threads(f);

	return err ? err : load_tensors(f);
}

void feed_thread_names(struct feed *f)
{
	sqlite3_stmt *row =
		feed_query(f, "SELECT tid, ifnull(pid, tid), name, (SELECT c.value FROM run c JOIN "
			      "run p ON p.key = 'pid' WHERE c.key = 'command' AND p.value = tid) "
			      "FROM thread ORDER BY tid");
	int err = 0;

	while (feed_step(f, &row, &err)) {
		struct tl_track t = {.kind = TL_TRACK_THREAD,
				     .tid = sqlite3_column_int64(row, 0),
				     .pid = sqlite3_column_int64(row, 1),
				     .name = feed_text(row, 2)};
		const char *command = feed_text(row, 3);

		f->ops->thread(f->sink, &t, *command ? command : NULL);
	}
}

void feed_free_names(struct feed *f)
{
	struct feed_process *p, *p_next;
	struct feed_thread *t, *t_next;
	struct feed_tensor *n, *n_next;

	HASH_ITER (hh, f->processes, p, p_next) {
		HASH_DEL(f->processes, p);
		free(p);
	}
	HASH_ITER (hh, f->threads, t, t_next) {
		HASH_DEL(f->threads, t);
		lanes_free(&t->lanes);
		free(t->name);
		free(t);
	}
	HASH_ITER (hh, f->tensors, n, n_next) {
		HASH_DEL(f->tensors, n);
		free(n);
	}
}

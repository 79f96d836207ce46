/* SPDX-License-Identifier: Apache-2.0 */
/* Operators per worker thread, and what was counted during each. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "view/timeline/timeline_feed.h"

enum op_column {
	OP_ID,
	OP_TENSOR,
	OP_TID,
	OP_INDEX,
	OP_CPU,
	OP_BEGIN,
	OP_END,
	OP_WAIT,
	OP_GRAPH,
};
#define OP_COLUMNS                                                                                 \
	"SELECT id, tensor_id, tid, thread_index, cpu, begin_ns, end_ns, wait_ns, graph_id FROM "  \
	"op "
#define IN_RANGE "WHERE end_ns + ifnull(wait_ns, 0) >= ?1 AND begin_ns <= ?2"

/* What was last seen of a worker. */
struct worker {
	int64_t tid;
	int64_t graph;	   /* of its latest operator */
	uint64_t begin_ns; /* of its latest operator */
	UT_hash_handle hh;
};

/* The experts chosen by an operator, read along with the operators. */
struct expert_stream {
	sqlite3_stmt *stmt;
	int64_t op; /* of the row that waits, INT64_MAX at the end */
	struct buf text;
};

struct op_strings {
	uint32_t wait, wait_category, shape, cpu, row, experts;
};

enum { EXPERTS_SHOWN = 64 };

static struct worker *worker_of(struct worker **all, int64_t tid)
{
	struct worker *w;

	HASH_FIND(hh, *all, &tid, sizeof(tid), w);
	if (w)
		return w;
	w = xcalloc(1, sizeof(*w));
	w->tid = tid;
	w->graph = -1;
	HASH_ADD(hh, *all, tid, sizeof(w->tid), w);
	return w;
}

static void workers_free(struct worker **all)
{
	struct worker *w, *next;

	HASH_ITER (hh, *all, w, next) {
		HASH_DEL(*all, w);
		free(w);
	}
}

/* Rows are normally stored in each thread's order of time; sorting millions again costs seconds. */
static bool rows_in_order(struct feed *f, int *err)
{
	sqlite3_stmt *stmt = feed_query(f, "SELECT tid, begin_ns FROM op ORDER BY id");
	struct worker *workers = NULL, *w = NULL;
	bool in_order = true;

	while (feed_step(f, &stmt, err)) {
		int64_t tid = sqlite3_column_int64(stmt, 0);
		uint64_t begin = (uint64_t)sqlite3_column_int64(stmt, 1);

		if (!w || w->tid != tid)
			w = worker_of(&workers, tid);
		if (begin < w->begin_ns) {
			in_order = false;
			sqlite3_finalize(stmt);
			break;
		}
		w->begin_ns = begin;
	}
	workers_free(&workers);
	return in_order;
}

static void experts_next(struct feed *f, struct expert_stream *e)
{
	int err = 0;

	e->op = e->stmt && feed_step(f, &e->stmt, &err) ? sqlite3_column_int64(e->stmt, 0)
							: INT64_MAX;
}

static void experts_open(struct feed *f, struct expert_stream *e)
{
	*e = (struct expert_stream){.op = INT64_MAX};
	if (!feed_number(f, "SELECT EXISTS(SELECT 1 FROM expert)", 0))
		return;
	e->stmt = feed_query(f, "SELECT op_id, expert FROM expert ORDER BY op_id");
	experts_next(f, e);
}

/* The experts of operator `op` as text, NULL when it has none. */
static const char *experts_of(struct feed *f, struct expert_stream *e, int64_t op)
{
	int n = 0;

	while (e->op < op)
		experts_next(f, e);
	if (e->op != op)
		return NULL;
	buf_reset(&e->text);
	for (; e->op == op; experts_next(f, e), n++)
		if (n < EXPERTS_SHOWN)
			buf_printf(&e->text, "%s%" PRId64, n ? "," : "",
				   (int64_t)sqlite3_column_int64(e->stmt, 1));
	if (n > EXPERTS_SHOWN)
		buf_printf(&e->text, ",... (%d in all)", n);
	return buf_str(&e->text);
}

static void op_slices(struct feed *f, sqlite3_stmt *stmt, const struct op_strings *s,
		      struct worker *w, const char *experts)
{
	struct tensor_names names = feed_tensor_names(f, sqlite3_column_int64(stmt, OP_TENSOR));
	int64_t graph = sqlite3_column_type(stmt, OP_GRAPH) == SQLITE_NULL
				? -1
				: sqlite3_column_int64(stmt, OP_GRAPH);
	uint64_t flow = flow_graph(graph, sqlite3_column_int64(stmt, OP_INDEX));
	uint64_t wait = (uint64_t)sqlite3_column_int64(stmt, OP_WAIT);
	struct lanes *lanes = feed_thread_lanes(f, w->tid);
	struct tl_slice e = {
		.begin_ns = (uint64_t)sqlite3_column_int64(stmt, OP_BEGIN),
		.end_ns = (uint64_t)sqlite3_column_int64(stmt, OP_END),
		.name = names.name,
		.category = names.op,
		.n_args = 3,
		.args = {{.name = s->shape, .text = names.shape},
			 {.name = s->cpu, .value = sqlite3_column_int64(stmt, OP_CPU)},
			 {.name = s->row, .value = sqlite3_column_int64(stmt, OP_ID)}},
		.flows = &flow,
		.n_flows = feed_wants(f, TIMELINE_GRAPH) && graph >= 0 && graph != w->graph,
	};

	if (experts)
		e.args[e.n_args++] = (struct tl_arg){.name = s->experts, .direct = experts};
	w->graph = graph;
	feed_slice(f, lanes, &e);
	if (sqlite3_column_type(stmt, OP_WAIT) == SQLITE_NULL || !wait)
		return;
	e = (struct tl_slice){
		.begin_ns = e.end_ns,
		.end_ns = e.end_ns + wait,
		.name = s->wait,
		.category = s->wait_category,
	};
	feed_slice(f, lanes, &e);
}

int feed_operators(struct feed *f)
{
	struct op_strings s = {
		tl_strings_id(f->strings, "barrier wait"), tl_strings_id(f->strings, "wait"),
		tl_strings_id(f->strings, "shape"),	   tl_strings_id(f->strings, "cpu"),
		tl_strings_id(f->strings, "op_row"),	   tl_strings_id(f->strings, "experts"),
	};
	struct expert_stream experts;
	struct worker *workers = NULL, *w = NULL;
	sqlite3_stmt *stmt;
	bool in_order;
	int err = 0;

	in_order = rows_in_order(f, &err);
	if (err)
		return err;
	stmt = feed_query(f, in_order ? OP_COLUMNS IN_RANGE " ORDER BY id"
				      : OP_COLUMNS IN_RANGE " ORDER BY tid, begin_ns");
	if (!stmt)
		return -EIO;
	/* The experts can only be read along while the operators come by number. */
	experts = (struct expert_stream){.op = INT64_MAX};
	if (in_order)
		experts_open(f, &experts);
	while (feed_step(f, &stmt, &err)) {
		int64_t tid = sqlite3_column_int64(stmt, OP_TID);

		if (!w || w->tid != tid)
			w = worker_of(&workers, tid);
		op_slices(f, stmt, &s, w,
			  experts_of(f, &experts, sqlite3_column_int64(stmt, OP_ID)));
	}
	sqlite3_finalize(experts.stmt);
	buf_free(&experts.text);
	workers_free(&workers);
	return err;
}

struct counter_track {
	struct {
		int64_t tid;
		uint32_t name;
	} key;
	uint32_t track;
	UT_hash_handle hh;
};

static uint32_t counter_track(struct feed *f, struct counter_track **all, int64_t tid,
			      const char *name)
{
	struct counter_track *c, key = {0};
	struct tl_track t = {.kind = TL_TRACK_COUNTER, .tid = tid, .unit = "per operator"};

	key.key.tid = tid;
	key.key.name = tl_strings_id(f->strings, name);
	HASH_FIND(hh, *all, &key.key, sizeof(key.key), c);
	if (c)
		return c->track;
	c = xcalloc(1, sizeof(*c));
	c->key = key.key;
	t.parent = feed_thread_lanes(f, tid)->count ? feed_thread_lanes(f, tid)->lane[0].id : 0;
	t.pid = feed_thread_pid(f, tid);
	t.name = name;
	c->track = feed_track(f, &t);
	HASH_ADD(hh, *all, key, sizeof(c->key), c);
	return c->track;
}

/* The value of each operator from its begin to its end, 0 between operators. */
static void counter_steps(struct feed *f, struct counter_track **tracks, sqlite3_stmt *op,
			  sqlite3_stmt *row)
{
	uint32_t track = counter_track(f, tracks, sqlite3_column_int64(op, 1), feed_text(row, 1));

	f->ops->counter(f->sink, track, (uint64_t)sqlite3_column_int64(op, 2),
			sqlite3_column_double(row, 2));
	f->ops->counter(f->sink, track, (uint64_t)sqlite3_column_int64(op, 3), 0);
	f->counters++;
}

int feed_counters(struct feed *f)
{
	sqlite3_stmt *row = feed_query(f, "SELECT op_id, name, value FROM counter ORDER BY op_id");
	sqlite3_stmt *op =
		feed_query(f, "SELECT id, tid, begin_ns, end_ns FROM op " IN_RANGE " ORDER BY id");
	struct counter_track *tracks = NULL, *c, *next;
	int err = row && op ? 0 : -EIO;
	bool more = !err && feed_step(f, &op, &err);

	while (more && feed_step(f, &row, &err)) {
		int64_t id = sqlite3_column_int64(row, 0);

		while (more && sqlite3_column_int64(op, 0) < id)
			more = feed_step(f, &op, &err);
		if (more && sqlite3_column_int64(op, 0) == id)
			counter_steps(f, &tracks, op, row);
	}
	HASH_ITER (hh, tracks, c, next) {
		HASH_DEL(tracks, c);
		free(c);
	}
	sqlite3_finalize(row);
	sqlite3_finalize(op);
	return err;
}

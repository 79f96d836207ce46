/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From spool to run file in two readings: the first collects what is small (calls, graphs, threads,
 * notes), the second streams the operators past it. Memory does not grow with the operator rows.
 */
#include "trace/convert.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes/record.h"
#include "trace/spool.h"
#include "util/alloc.h"
#include "util/file.h"

/* First reading. */

static void first_ops(struct convert *c, const void *rec, size_t len)
{
	struct op_slot slot;

	if (len < sizeof(struct rec_ops) + sizeof(slot))
		return;
	memcpy(&slot, (const char *)rec + sizeof(struct rec_ops), sizeof(slot));
	convert_saw_time(c, (int64_t)slot.begin_ns);
}

/* Bytes that a record of the kind has at least. */
static const size_t min_size[REC_KIND_COUNT] = {
	[REC_TOKEN_BEGIN] = sizeof(struct rec_token),
	[REC_TOKEN_END] = sizeof(struct rec_token),
	[REC_GRAPH_BEGIN] = sizeof(struct rec_graph),
	[REC_GRAPH_END] = sizeof(struct rec_graph),
	[REC_TENSOR] = sizeof(struct rec_tensor),
	[REC_OPS] = sizeof(struct rec_ops),
	[REC_OP_SUM] = sizeof(struct rec_op_sum),
	[REC_SCHED_SWITCH] = sizeof(struct rec_switch),
	[REC_SCHED_WAKEUP] = sizeof(struct rec_wakeup),
	[REC_EXPERT] = sizeof(struct rec_expert),
	[REC_CALL] = sizeof(struct rec_call),
	[REC_PLUGIN] = sizeof(struct rec_plugin),
	[REC_BACKEND] = sizeof(struct rec_backend),
	[REC_THREAD] = sizeof(struct rec_head),
};

static bool known(const struct rec_head *h, size_t len)
{
	return h->kind < REC_KIND_COUNT && min_size[h->kind] && len >= min_size[h->kind];
}

static bool is_encode(const struct convert *c, uint32_t id)
{
	const struct point *p = convert_point(c, id);

	return p && p->encode;
}

static void first_call(struct convert *c, const struct rec_call *r)
{
	const struct point *p = convert_point(c, r->head.point);

	if (p && p->waits)
		async_wait(c->waits, r->head.pid, r->arg[0], (int64_t)r->end_ns);
}

static int first_record(void *ctx, const void *rec, size_t len)
{
	struct convert *c = ctx;
	union {
		struct rec_head head;
		struct rec_token token;
		struct rec_graph graph;
		struct rec_call call;
	} r;

	memcpy(&r.head, rec, sizeof(r.head));
	if (!known(&r.head, len)) {
		c->foreign++;
		return 0;
	}
	if (r.head.kind != REC_PLUGIN)
		convert_saw_time(c, (int64_t)r.head.ts_ns);
	if (r.head.kind <= REC_OPS)
		convert_saw_thread(c, r.head.tid, r.head.pid);
	switch (r.head.kind) {
	case REC_TOKEN_BEGIN:
	case REC_TOKEN_END:
		memcpy(&r.token, rec, sizeof(r.token));
		spans_token(c->spans, &r.token, is_encode(c, r.head.point));
		break;
	case REC_GRAPH_BEGIN:
	case REC_GRAPH_END:
		memcpy(&r.graph, rec, sizeof(r.graph));
		spans_graph(c->spans, &r.graph);
		break;
	case REC_OPS:
		first_ops(c, rec, len);
		break;
	case REC_CALL:
		memcpy(&r.call, rec, sizeof(r.call));
		first_call(c, &r.call);
		break;
	}
	return 0;
}

/* Second reading. */

static void take_tensor(struct convert *c, const void *rec, size_t len)
{
	struct rec_tensor r;
	struct tensor_raw raw;
	size_t room;

	memcpy(&r, rec, sizeof(r));
	room = len - sizeof(r);
	if (layouts_decode(c->layouts, r.layout, (const char *)rec + sizeof(r),
			   r.raw_len < room ? r.raw_len : room, &raw)) {
		c->bad_layout++;
		return;
	}
	raw.addr = r.tensor;
	catalog_add(c->catalog, r.head.pid, (int64_t)r.head.ts_ns, r.graph, &raw,
		    oprows_mark(c->ops));
}

static void take_sum(struct convert *c, const void *rec)
{
	struct rec_op_sum r;
	char histogram[OP_SUM_BUCKETS * 12];
	size_t at = 0;
	uint32_t tensor;

	memcpy(&r, rec, sizeof(r));
	tensor = catalog_find(
		c->catalog,
		&(struct catalog_query){r.head.pid, r.tensor, INT64_MAX, r.flags & OP_FUSED}, NULL);
	for (int i = 0; i < OP_SUM_BUCKETS; i++)
		at += (size_t)snprintf(histogram + at, sizeof(histogram) - at, "%s%u", i ? "," : "",
				       r.log2[i]);
	writer_add(c->w, W_OP_SUM, "IiiiiiiIs", tensor ? (int64_t)tensor : WRITER_NULL,
		   (int64_t)r.head.tid, (int64_t)r.ith, (int64_t)r.count, (int64_t)r.compute_ns,
		   (int64_t)r.compute_min_ns, (int64_t)r.compute_max_ns,
		   r.flags & OP_HAS_BARRIER ? (int64_t)r.wait_ns : WRITER_NULL, histogram);
}

static void take_call(struct convert *c, const void *rec)
{
	struct rec_call r;
	const struct point *p;

	memcpy(&r, rec, sizeof(r));
	p = convert_point(c, r.head.point);
	writer_add(c->w, W_CALL, "isiiiiiiiii", ++c->calls, p ? p->symbol : "?",
		   (int64_t)r.head.ts_ns, (int64_t)r.end_ns, (int64_t)r.head.pid,
		   (int64_t)r.head.tid, (int64_t)r.arg[0], (int64_t)r.arg[1], (int64_t)r.arg[2],
		   (int64_t)r.arg[3], r.ret);
}

/* A thread nobody had told us of belongs to the target if its process does. */
static void new_thread(struct convert *c, uint32_t tid, uint32_t pid, const char comm[16],
		       int64_t at)
{
	struct thread *t;

	if (!tid || !convert_is_target(c, pid))
		return;
	t = convert_saw_thread(c, tid, pid);
	if (!t->name[0])
		snprintf(t->name, sizeof(t->name), "%.15s", comm);
	sched_thread(c->sched, tid, at, 0, -1);
}

static void take_switch(struct convert *c, const void *rec)
{
	struct rec_switch r;

	memcpy(&r, rec, sizeof(r));
	new_thread(c, r.head.tid, r.head.pid, r.prev_comm, (int64_t)r.head.ts_ns);
	new_thread(c, r.next_tid, r.next_pid, r.next_comm, (int64_t)r.head.ts_ns);
	sched_switch(c->sched, &r);
}

static void take_wakeup(struct convert *c, const void *rec)
{
	struct rec_wakeup r;

	memcpy(&r, rec, sizeof(r));
	sched_wakeup(c->sched, &r);
}

static int second_record(void *ctx, const void *rec, size_t len)
{
	struct convert *c = ctx;
	struct rec_head h;

	memcpy(&h, rec, sizeof(h));
	if (!known(&h, len))
		return 0;
	switch (h.kind) {
	case REC_TENSOR:
		take_tensor(c, rec, len);
		break;
	case REC_OPS:
		oprows_ops(c->ops, rec, len, c->names ? &c->names->counters : NULL);
		break;
	case REC_OP_SUM:
		take_sum(c, rec);
		break;
	case REC_EXPERT:
		oprows_expert(c->ops, rec, len);
		break;
	case REC_SCHED_SWITCH:
		take_switch(c, rec);
		break;
	case REC_SCHED_WAKEUP:
		take_wakeup(c, rec);
		break;
	case REC_CALL:
		take_call(c, rec);
		break;
	case REC_PLUGIN:
		plugin_rows_add(c->plugins, c->w, rec, len);
	}
	return writer_error(c->w) ? -EIO : 0;
}

/* The whole of it. */

/* The first reading decodes little and takes about a seventh of the time. */
static void progress(void *ctx, uint64_t done, uint64_t total)
{
	static const double share[] = {0.15, 0.85};
	struct convert *c = ctx;
	double part = (double)done / (double)(total ? total : 1);

	/* The end is only there when the file is. */
	progress_show(c->progress, "converting",
		      fmin(c->pass * share[0] + part * share[c->pass], 0.99));
}

static int readings(struct convert *c, const char *spool, bool *whole, struct diag *d)
{
	static const struct spool_reader_ops first = {first_record, convert_first_note, progress};
	static const struct spool_reader_ops second = {second_record, convert_second_note,
						       progress};
	struct diag *again = diag_new();
	int err = spool_read(spool, &first, c, whole, d);

	if (!err) {
		spans_close(c->spans, c->end);
		c->ops = oprows_new(c->w, c->catalog, c->spans);
		c->pass = 1;
		err = spool_read(spool, &second, c, whole, again);
	}
	if (!err) {
		oprows_finish(c->ops);
		sched_finish(c->sched, c->end);
		catalog_finish(c->catalog);
		convert_write(c, *whole);
	}
	diag_free(again);
	return err;
}

static void convert_free(struct convert *c)
{
	struct point *p, *ptmp;
	struct thread *t, *ttmp;
	struct process *q, *qtmp;
	struct loss *l, *ltmp;

	HASH_ITER (hh, c->points, p, ptmp) {
		HASH_DEL(c->points, p);
		free(p->symbol);
		free(p->backend);
		free(p);
	}
	HASH_ITER (hh, c->threads, t, ttmp) {
		HASH_DEL(c->threads, t);
		free(t);
	}
	HASH_ITER (hh, c->processes, q, qtmp) {
		HASH_DEL(c->processes, q);
		free(q);
	}
	HASH_ITER (hh, c->losses, l, ltmp) {
		HASH_DEL(c->losses, l);
		free(l->key);
		free(l);
	}
	plugin_rows_free(c->plugins);
	while (c->names) {
		struct names *n = c->names;

		c->names = n->next;
		free(n);
	}
	oprows_free(c->ops);
	sched_free(c->sched);
	catalog_free(c->catalog);
	layouts_free(c->layouts);
	spans_free(c->spans);
	async_free(c->waits);
}

static int convert_to(const char *spool, const char *tmp, const struct store_convert_opts *opts,
		      struct diag *d)
{
	struct convert c = {.w = writer_new(tmp, d), .progress = opts->progress};
	bool whole, complete;
	int err;

	if (!c.w)
		return -EIO;
	c.spans = spans_new();
	c.waits = async_new();
	c.layouts = layouts_new();
	c.catalog = catalog_new(c.w);
	c.sched = sched_new(c.w);
	c.plugins = plugin_rows_new();
	err = readings(&c, spool, &whole, d);
	complete = whole && c.end_note && c.complete;
	convert_free(&c);
	progress_show(opts->progress, "converting", 1);
	if (err && !writer_error(c.w)) {
		writer_abort(c.w);
		return err;
	}
	err = writer_finish(c.w, d);
	if (!err && !complete)
		diag_add(
			d, DIAG_WARNING,
			"the recording was not closed in order; the run holds everything up to the "
			"last whole record (complete = 0)");
	return err;
}

int store_convert(const char *spool, const char *out, const struct store_convert_opts *opts,
		  struct diag *d)
{
	char *tmp;
	int err;

	if (!opts->force && access(out, F_OK) == 0)
		return diag_fail(d, -EEXIST, "%s exists; add --force to replace it", out);
	if (file_is_special(out))
		return diag_fail(d, -EINVAL, "%s is a device or a pipe; a run is a file", out);
	tmp = xasprintf("%s.%d.tmp", out, (int)getpid());
	unlink(tmp);
	err = convert_to(spool, tmp, opts, d);
	if (!err && rename(tmp, out) < 0)
		err = diag_fail(d, -errno, "cannot put the run file at %s: %s", out,
				strerror(errno));
	if (err)
		unlink(tmp);
	free(tmp);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From spool to run file in two readings: the first collects what is small (calls, graphs, threads,
 * notes), the second streams the operators past it. Memory does not grow with the operator rows.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "probes/record.h"
#include "trace/async.h"
#include "trace/backend.h"
#include "trace/catalog.h"
#include "trace/layout.h"
#include "trace/oprows.h"
#include "trace/plugin_rows.h"
#include "trace/sched.h"
#include "trace/spans.h"
#include "trace/spool.h"
#include "trace/store.h"
#include "trace/writer.h"
#include "util/alloc.h"
#include "util/file.h"
#include "util/text.h"

struct point {
	uint32_t id;
	char *symbol, *backend;
	bool encode, waits; /* waits: its first argument is the backend waited for */
	UT_hash_handle hh;
};

struct thread {
	uint32_t tid, pid;
	char name[64];
	int64_t run[2], wait[2]; /* first and last look; WRITER_NULL: none */
	UT_hash_handle hh;
};

struct process {
	uint32_t pid;
	UT_hash_handle hh;
};

struct loss {
	char *key; /* "level\tbuffer" */
	int64_t lost;
	UT_hash_handle hh;
};

struct names {
	int64_t ids[OPROWS_COUNTERS];
	size_t n;
	struct names *next; /* kept to the end: waiting rows refer to them */
};

struct convert {
	struct writer *w;
	struct spans *spans;
	struct async_waits *waits;
	struct layouts *layouts;
	struct catalog *catalog;
	struct oprows *ops;
	struct sched *sched;
	struct point *points;
	struct thread *threads;
	struct process *processes;
	struct loss *losses;
	struct plugin_rows *plugins;
	struct names *names;
	int64_t n_names, calls;
	int64_t begin, end; /* of what was recorded */
	int64_t end_note;   /* 0: the recording was not closed */
	bool complete;
	uint64_t bad_layout, foreign;
	bool bar;
	int shown, pass;
};

/* Reading notes. */

static const char *text_of(const cJSON *note, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(note, key));

	return s ? s : "";
}

static int64_t number_of(const cJSON *note, const char *key, int64_t none)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(note, key);

	if (cJSON_IsString(v)) {
		int64_t n;

		return text_to_i64(v->valuestring, &n) == 0 ? n : none;
	}
	if (!cJSON_IsNumber(v) || !(fabs(v->valuedouble) < 9e18))
		return none;
	return (int64_t)v->valuedouble;
}

static void saw_time(struct convert *c, int64_t ts)
{
	if (ts <= 0)
		return;
	if (!c->begin || ts < c->begin)
		c->begin = ts;
	if (ts > c->end)
		c->end = ts;
}

static void saw_process(struct convert *c, uint32_t pid)
{
	struct process *p;

	HASH_FIND(hh, c->processes, &pid, sizeof(pid), p);
	if (p)
		return;
	p = xcalloc(1, sizeof(*p));
	p->pid = pid;
	HASH_ADD(hh, c->processes, pid, sizeof(p->pid), p);
}

static bool is_target(const struct convert *c, uint32_t pid)
{
	struct process *p;

	HASH_FIND(hh, c->processes, &pid, sizeof(pid), p);
	return p != NULL;
}

static struct thread *saw_thread(struct convert *c, uint32_t tid, uint32_t pid)
{
	struct thread *t;

	HASH_FIND(hh, c->threads, &tid, sizeof(tid), t);
	if (!t) {
		t = xcalloc(1, sizeof(*t));
		t->tid = tid;
		t->pid = pid;
		t->run[0] = t->run[1] = t->wait[0] = t->wait[1] = WRITER_NULL;
		HASH_ADD(hh, c->threads, tid, sizeof(t->tid), t);
		saw_process(c, pid);
	}
	return t;
}

static void note_run(struct convert *c, const cJSON *note)
{
	const cJSON *v;

	cJSON_ArrayForEach(v, note)
	{
		char number[32];

		if (strcmp(v->string, "k") == 0)
			continue;
		snprintf(number, sizeof(number), "%.17g", v->valuedouble);
		writer_add(c->w, W_RUN, "ss", v->string,
			   cJSON_IsString(v)   ? v->valuestring
			   : cJSON_IsNumber(v) ? number
			   : cJSON_IsTrue(v)   ? "1"
					       : "0");
	}
}

static void note_point(struct convert *c, const cJSON *note)
{
	struct point *p = xcalloc(1, sizeof(*p)), *old;

	p->id = (uint32_t)number_of(note, "id", 0);
	p->symbol = xstrdup(text_of(note, "symbol"));
	p->backend = xstrdup(text_of(note, "backend"));
	p->encode = strstr(text_of(note, "kind"), "encode") != NULL;
	p->waits = strcmp(p->symbol, "ggml_backend_synchronize") == 0;
	HASH_FIND(hh, c->points, &p->id, sizeof(p->id), old);
	if (old) {
		HASH_DEL(c->points, old);
		free(old->symbol);
		free(old->backend);
		free(old);
	}
	HASH_ADD(hh, c->points, id, sizeof(p->id), p);
}

static void look(int64_t pair[2], int64_t v)
{
	if (v == WRITER_NULL)
		return;
	if (pair[0] == WRITER_NULL)
		pair[0] = v;
	pair[1] = v;
}

static void note_thread(struct convert *c, const cJSON *note)
{
	uint32_t tid = (uint32_t)number_of(note, "tid", 0);
	int64_t at = number_of(note, "at", 0);
	struct thread *t = saw_thread(c, tid, (uint32_t)number_of(note, "pid", 0));

	if (*text_of(note, "name"))
		snprintf(t->name, sizeof(t->name), "%s", text_of(note, "name"));
	look(t->run, number_of(note, "run_ns", WRITER_NULL));
	look(t->wait, number_of(note, "wait_ns", WRITER_NULL));
	sched_thread(c->sched, tid, at, *text_of(note, "state"), (int)number_of(note, "cpu", -1));
	saw_time(c, at);
}

static void note_plugin(struct convert *c, const cJSON *note)
{
	plugin_rows_note(c->plugins, note);
}

static void note_loss(struct convert *c, const cJSON *note)
{
	char *key = xasprintf("%s\t%s", text_of(note, "level"), text_of(note, "buffer"));
	struct loss *l;

	HASH_FIND_STR(c->losses, key, l);
	if (!l) {
		l = xcalloc(1, sizeof(*l));
		l->key = key;
		HASH_ADD_KEYPTR(hh, c->losses, l->key, strlen(l->key), l);
	} else {
		free(key);
	}
	l->lost = number_of(note, "lost", 0);
}

static void note_cost(struct convert *c, const cJSON *note)
{
	writer_add(c->w, W_COST, "iisIII", number_of(note, "begin", 0), number_of(note, "end", 0),
		   text_of(note, "level"), number_of(note, "hits", WRITER_NULL),
		   number_of(note, "run_ns", WRITER_NULL),
		   number_of(note, "estimate_ns", WRITER_NULL));
}

static void note_text(struct convert *c, const cJSON *note)
{
	writer_add(c->w, W_NOTE, "Iss", number_of(note, "at", WRITER_NULL), text_of(note, "kind"),
		   text_of(note, "text"));
}

static void note_level(struct convert *c, const cJSON *note)
{
	bool on = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(note, "on"));
	int64_t at = number_of(note, "at", 0);
	char text[64];

	snprintf(text, sizeof(text), "%.40s %s", text_of(note, "level"), on ? "on" : "off");
	writer_add(c->w, W_NOTE, "iss", at, "level", text);
	saw_time(c, at);
	if (strcmp(text_of(note, "level"), "scheduler") == 0)
		sched_level(c->sched, at, on);
}

static void note_end(struct convert *c, const cJSON *note)
{
	const cJSON *complete = cJSON_GetObjectItemCaseSensitive(note, "complete");

	c->end_note = number_of(note, "at", 0);
	c->complete = !cJSON_IsFalse(complete);
	saw_time(c, c->end_note);
}

static void note_layout(struct convert *c, const cJSON *note)
{
	layouts_add(c->layouts, note);
}

static const struct {
	const char *kind;
	void (*take)(struct convert *c, const cJSON *note);
} notes[] = {
	{"plugin", note_plugin}, {"run", note_run},	  {"layout", note_layout},
	{"point", note_point},	 {"thread", note_thread}, {"loss", note_loss},
	{"cost", note_cost},	 {"note", note_text},	  {"level", note_level},
	{"end", note_end},
};

static int first_note(void *ctx, const cJSON *note)
{
	struct convert *c = ctx;

	for (size_t i = 0; i < ARRAY_LEN(notes); i++)
		if (strcmp(text_of(note, "k"), notes[i].kind) == 0)
			notes[i].take(c, note);
	return writer_error(c->w) ? -EIO : 0;
}

/* First reading. */

static void first_ops(struct convert *c, const void *rec, size_t len)
{
	struct op_slot slot;

	if (len < sizeof(struct rec_ops) + sizeof(slot))
		return;
	memcpy(&slot, (const char *)rec + sizeof(struct rec_ops), sizeof(slot));
	saw_time(c, (int64_t)slot.begin_ns);
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
};

static bool known(const struct rec_head *h, size_t len)
{
	return h->kind < REC_KIND_COUNT && min_size[h->kind] && len >= min_size[h->kind];
}

static bool is_encode(const struct convert *c, uint32_t id)
{
	struct point *p;

	HASH_FIND(hh, c->points, &id, sizeof(id), p);
	return p && p->encode;
}

static void first_call(struct convert *c, const struct rec_call *r)
{
	uint32_t id = r->head.point;
	struct point *p;

	HASH_FIND(hh, c->points, &id, sizeof(id), p);
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
		saw_time(c, (int64_t)r.head.ts_ns);
	if (r.head.kind <= REC_OPS)
		saw_thread(c, r.head.tid, r.head.pid);
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
	struct point *p;
	uint32_t id;

	memcpy(&r, rec, sizeof(r));
	id = r.head.point;
	HASH_FIND(hh, c->points, &id, sizeof(id), p);
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

	if (!tid || !is_target(c, pid))
		return;
	t = saw_thread(c, tid, pid);
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
		oprows_ops(c->ops, rec, len, c->names ? c->names->ids : NULL,
			   c->names ? c->names->n : 0);
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

static int64_t counter_id(struct convert *c, const char *name)
{
	writer_add(c->w, W_COUNTER_NAME, "is", ++c->n_names, name);
	return c->n_names;
}

static int second_note(void *ctx, const cJSON *note)
{
	struct convert *c = ctx;
	struct names *n;
	const cJSON *v;

	if (strcmp(text_of(note, "k"), "counters") != 0)
		return 0;
	n = xcalloc(1, sizeof(*n));
	cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(note, "names")) if (n->n <
										   OPROWS_COUNTERS)
		n->ids[n->n++] = counter_id(c, cJSON_IsString(v) ? v->valuestring : "?");
	n->next = c->names;
	c->names = n;
	return 0;
}

/* Writing what the first reading collected. */

static const char *backend_name(const struct convert *c, const struct graph_span *g)
{
	const char *known_name = backend_of_guid(g->guid);
	uint32_t id = g->point;
	struct point *p;

	if (known_name)
		return known_name;
	HASH_FIND(hh, c->points, &id, sizeof(id), p);
	return p && p->backend[0] ? p->backend : NULL;
}

/* Once the operators have found their graphs, which run on threads and not on devices. */
static void close_async(struct convert *c)
{
	size_t n;
	struct graph_span *g = spans_graphs(c->spans, &n);
	bool *is_async = xcalloc(n + 1, sizeof(*is_async));
	int64_t *submitted = xcalloc(n + 1, sizeof(*submitted));

	for (size_t i = 0; i < n; i++)
		is_async[i] = async_backend(backend_name(c, &g[i]));
	async_close(c->waits, g, n, is_async, submitted);
	for (size_t i = 0; i < n; i++)
		if (submitted[i])
			writer_add(c->w, W_GRAPH_ASYNC, "ii", g[i].id, submitted[i]);
	free(is_async);
	free(submitted);
}

static void write_spans(struct convert *c)
{
	size_t n;
	const struct token_span *t = spans_tokens(c->spans, &n);

	for (size_t i = 0; i < n; i++, t++)
		writer_add(c->w, W_TOKEN, "iiiiiisIiII", t->id, t->begin, t->end, (int64_t)t->pid,
			   (int64_t)t->tid, (int64_t)t->context, phase_name(t->phase),
			   t->n_tokens > 0 ? (int64_t)t->n_tokens : WRITER_NULL, (int64_t)t->ret,
			   t->first_op ? t->first_op : WRITER_NULL,
			   t->last_op ? t->last_op : WRITER_NULL);

	const struct graph_span *g = spans_graphs(c->spans, &n);

	for (size_t i = 0; i < n; i++, g++)
		writer_add(c->w, W_GRAPH, "iIiiiisiiII", g->id,
			   g->token ? g->token->id : WRITER_NULL, g->begin, g->end, (int64_t)g->pid,
			   (int64_t)g->tid, backend_name(c, g), (int64_t)g->n_nodes,
			   (int64_t)g->depth, g->first_op ? g->first_op : WRITER_NULL,
			   g->last_op ? g->last_op : WRITER_NULL);
}

static void write_threads(struct convert *c)
{
	for (struct thread *t = c->threads; t; t = t->hh.next)
		writer_add(c->w, W_THREAD, "iisII", (int64_t)t->tid, (int64_t)t->pid, t->name,
			   t->run[0] == WRITER_NULL ? WRITER_NULL : t->run[1] - t->run[0],
			   t->wait[0] == WRITER_NULL ? WRITER_NULL : t->wait[1] - t->wait[0]);
}

static void write_losses(struct convert *c)
{
	struct oprows_figures f = oprows_figures(c->ops);
	int64_t noted = 0;

	for (struct loss *l = c->losses; l; l = l->hh.next) {
		char *tab = strchr(l->key, '\t');

		*tab = '\0';
		if (strcmp(l->key, "operator") == 0)
			noted += l->lost;
		writer_add(c->w, W_LOSS, "ssi", l->key, tab + 1, l->lost);
	}
	/* Holes in the running numbers are the same losses seen from the other side. */
	if (f.missing && !noted)
		writer_add(c->w, W_LOSS, "ssi", "operator", "running numbers", (int64_t)f.missing);
}

static void problem(struct convert *c, uint64_t n, const char *fmt)
{
	char text[160];

	if (!n)
		return;
	snprintf(text, sizeof(text), fmt, (unsigned long long)n);
	writer_add(c->w, W_NOTE, "Iss", WRITER_NULL, "conversion", text);
}

static void write_problems(struct convert *c)
{
	struct span_problems s = spans_problems(c->spans);
	struct oprows_figures f = oprows_figures(c->ops);

	problem(c, s.unfinished, "%llu calls or graphs have no end; closed at the last time known");
	problem(c, s.unbegun, "%llu calls or graphs were running when the recording began");
	problem(c, s.nested, "%llu calls inside other calls were left out");
	problem(c, f.unknown_tensor, "%llu operator rows have no known tensor");
	problem(c, f.outside, "%llu operator rows lie outside of every graph");
	problem(c, f.late, "%llu operator rows came late; their ids are not in order of time");
	problem(c, f.missing, "%llu operator rows are missing by the threads' running numbers");
	problem(c, f.uncounted,
		"%llu operator rows have no counter values: the counters were not "
		"running on that CPU just then");
	problem(c, f.bad, "%llu operator rows end before they begin; counted as 0 ns");
	problem(c, c->bad_layout, "%llu tensors have no description of their layout");
	problem(c, c->foreign, "%llu records are of no known kind or too short");
}

static void run_number(struct convert *c, const char *key, int64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	writer_add(c->w, W_RUN, "ss", key, text);
}

static void write_run(struct convert *c, bool whole)
{
	run_number(c, "begin_ns", c->begin);
	run_number(c, "end_ns", c->end);
	run_number(c, "complete", whole && c->end_note && c->complete);
	run_number(c, "op_rows", (int64_t)oprows_figures(c->ops).rows);
	run_number(c, "schema", STORE_VERSION);
	writer_add(c->w, W_RUN, "ss", "converted_by", "llmprobe " LLMPROBE_VERSION);
	if (!whole)
		writer_add(c->w, W_RUN, "ss", "recovered", "the spool was cut or damaged");
	else if (!c->end_note || !c->complete)
		writer_add(c->w, W_RUN, "ss", "recovered", "the recording was not closed");
}

/* The whole of it. */

static void progress(void *ctx, uint64_t done, uint64_t total)
{
	struct convert *c = ctx;
	int percent = (int)((c->pass * 15.0 +
			     (c->pass ? 85.0 : 15.0) * (double)done / (double)(total ? total : 1)));

	if (!c->bar || percent == c->shown)
		return;
	c->shown = percent;
	fprintf(stderr, "\rconverting %3d %%", percent);
	if (percent >= 100)
		fputs("\r                 \r", stderr);
}

static int readings(struct convert *c, const char *spool, bool *whole, struct diag *d)
{
	static const struct spool_reader_ops first = {first_record, first_note, progress};
	static const struct spool_reader_ops second = {second_record, second_note, progress};
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
		close_async(c);
		write_spans(c);
		write_threads(c);
		write_losses(c);
		write_problems(c);
		write_run(c, *whole);
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
	struct convert c = {.w = writer_new(tmp, d), .bar = opts->progress, .shown = -1};
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

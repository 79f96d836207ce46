/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "util/text.h"
#include "view/timeline/timeline_feed.h"
#include "view/view.h"

static const char *const level_names[] = {"token",    "graph", "operator", "scheduler",
					  "counters", "call",  "note"};

int timeline_parse_levels(const char *list, unsigned int *levels, struct diag *d)
{
	char *copy = xstrdup(list), *save = NULL;
	int err = 0;

	*levels = 0;
	for (char *w = strtok_r(copy, ", ", &save); w && !err; w = strtok_r(NULL, ", ", &save)) {
		size_t i = 0;

		while (i < ARRAY_LEN(level_names) && strcmp(w, level_names[i]) != 0)
			i++;
		if (i < ARRAY_LEN(level_names)) {
			*levels |= 1u << i;
		} else {
			const char *near = text_nearest_of(w, level_names, ARRAY_LEN(level_names));

			err = diag_fail(d, -EINVAL,
					"there is no level '%s'%s%s; levels are token, graph, "
					"operator, scheduler, counters, call and note",
					w, near ? ", did you mean " : "", near ? near : "");
		}
	}
	free(copy);
	return err;
}

bool feed_wants(const struct feed *f, enum timeline_level level)
{
	return !f->o->levels || f->o->levels & level;
}

/* Number and text of slices whose name is one of a kind. */
struct call_slice {
	int64_t id, tid;
	const char *category;
	char text[96];
	uint64_t begin_ns, end_ns;
	bool unfinished;
};

static void put_call(struct feed *f, struct lanes *l, const struct call_slice *c,
		     struct tl_slice *e)
{
	e->begin_ns = c->begin_ns;
	e->end_ns = c->end_ns < c->begin_ns ? c->begin_ns : c->end_ns;
	e->text = c->text;
	e->category = tl_strings_id(f->strings, c->category);
	e->args[e->n_args++] =
		(struct tl_arg){.name = tl_strings_id(f->strings, "row"), .value = c->id};
	e->args[e->n_args++] =
		(struct tl_arg){.name = tl_strings_id(f->strings, "tid"), .value = c->tid};
	if (c->unfinished)
		e->args[e->n_args++] = (struct tl_arg){
			.name = tl_strings_id(f->strings, "unfinished"), .value = 1};
	feed_slice(f, l, e);
}

static void read_call(struct feed *f, sqlite3_stmt *row, struct call_slice *c)
{
	c->id = sqlite3_column_int64(row, 0);
	c->begin_ns = (uint64_t)sqlite3_column_int64(row, 1);
	c->unfinished = sqlite3_column_type(row, 2) == SQLITE_NULL;
	c->end_ns = c->unfinished ? f->last_ns : (uint64_t)sqlite3_column_int64(row, 2);
	c->tid = sqlite3_column_int64(row, 3);
}

/* The lanes of one process or backend, made when first needed. */
struct named_lanes {
	struct lanes lanes;
	int64_t pid;
	char *name;
};

struct named_lanes_list {
	struct named_lanes *items;
	size_t count, cap;
};

static struct lanes *named_lanes(struct feed *f, struct named_lanes_list *l, int64_t pid,
				 const char *name, int order)
{
	struct tl_track t = {.kind = TL_TRACK_PLAIN, .pid = pid, .name = name, .order = order};
	struct named_lanes *n;

	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].pid == pid && !strcmp(l->items[i].name, name))
			return &l->items[i].lanes;
	t.parent = feed_process_track(f, pid);
	n = VEC_PUSH(l->items, l->count, l->cap);
	n->pid = pid;
	n->name = xstrdup(name);
	lanes_init(&n->lanes, &t);
	return &n->lanes;
}

static void named_lanes_free(struct named_lanes_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		lanes_free(&l->items[i].lanes);
		free(l->items[i].name);
	}
	free(l->items);
}

static int feed_tokens(struct feed *f)
{
	struct named_lanes_list all = {0};
	struct call_slice c = {.category = "token"};
	sqlite3_stmt *row = feed_query(
		f, "SELECT id, begin_ns, end_ns, tid, ifnull(pid, tid), phase, n_tokens, context, "
		   "row_number() OVER (PARTITION BY phase ORDER BY begin_ns) FROM token "
		   "WHERE ifnull(end_ns, ?2) >= ?1 AND begin_ns <= ?2 ORDER BY begin_ns, id");
	int err = 0;

	if (!row)
		return -EIO;
	while (feed_step(f, &row, &err)) {
		int64_t n = sqlite3_column_int64(row, 6);
		uint64_t flow;
		struct tl_slice e = {.n_args = 2,
				     .args = {{tl_strings_id(f->strings, "n_tokens"), 0, NULL, n},
					      {tl_strings_id(f->strings, "context"), 0, NULL,
					       sqlite3_column_int64(row, 7)}},
				     .flows = &flow,
				     .n_flows = feed_wants(f, TIMELINE_GRAPH),
				     .n_flow_starts = 1};

		read_call(f, row, &c);
		flow = flow_token(c.id);
		snprintf(c.text, sizeof(c.text), "%.48s %lld", feed_text(row, 5),
			 sqlite3_column_int64(row, 8));
		if (n != 1)
			snprintf(c.text + strlen(c.text), sizeof(c.text) - strlen(c.text),
				 " (%" PRId64 " tokens)", n);
		put_call(f, named_lanes(f, &all, sqlite3_column_int64(row, 4), "tokens", 1), &c,
			 &e);
	}
	named_lanes_free(&all);
	return err;
}

static int feed_graphs(struct feed *f)
{
	struct named_lanes_list all = {0};
	struct call_slice c = {.category = "graph"};
	uint64_t flows[1 + FLOW_WORKERS_MAX];
	struct lanes *l;
	int64_t workers = feed_wants(f, TIMELINE_OPERATOR)
				  ? feed_number(f, "SELECT max(thread_index) + 1 FROM op", 0)
				  : 0;
	sqlite3_stmt *row = feed_query(
		f, "SELECT id, begin_ns, end_ns, tid, ifnull(pid, tid), backend, n_nodes, token_id "
		   "FROM graph WHERE ifnull(end_ns, ?2) >= ?1 AND begin_ns <= ?2 "
		   "ORDER BY begin_ns, id");
	int err = 0;

	if (!row)
		return -EIO;
	if (workers > FLOW_WORKERS_MAX)
		workers = FLOW_WORKERS_MAX;
	while (feed_step(f, &row, &err)) {
		bool has_token =
			feed_wants(f, TIMELINE_TOKEN) && sqlite3_column_type(row, 7) != SQLITE_NULL;
		struct tl_slice e = {.n_args = 1,
				     .args = {{tl_strings_id(f->strings, "nodes"), 0, NULL,
					       sqlite3_column_int64(row, 6)}},
				     .flows = flows,
				     .n_flow_starts = (size_t)workers,
				     .n_flows = (size_t)workers + has_token};

		read_call(f, row, &c);
		for (int64_t i = 0; i < workers; i++)
			flows[i] = flow_graph(c.id, i);
		flows[workers] = flow_token(sqlite3_column_int64(row, 7));
		snprintf(c.text, sizeof(c.text), "graphs: %.64s", feed_text(row, 5));
		l = named_lanes(f, &all, sqlite3_column_int64(row, 4), c.text, 2);
		snprintf(c.text, sizeof(c.text), "%.48s graph, %lld nodes", feed_text(row, 5),
			 sqlite3_column_int64(row, 6));
		put_call(f, l, &c, &e);
	}
	named_lanes_free(&all);
	return err;
}

/* What a device did of a graph that was only handed over to it, from there to when it was waited
 * for. */
static int feed_devices(struct feed *f)
{
	struct named_lanes_list all = {0};
	struct call_slice c = {.category = "device"};
	sqlite3_stmt *row;
	char track[96];
	int err = 0;

	/* Runs of older versions do not tell. */
	if (!feed_number(f, "SELECT 1 FROM sqlite_master WHERE name = 'graph_async'", 0))
		return 0;
	row = feed_query(f, "SELECT id, submit_ns, end_ns, tid, ifnull(pid, tid), backend, n_nodes "
			    "FROM graph_async JOIN graph ON id = graph_id "
			    "WHERE end_ns >= ?1 AND submit_ns <= ?2 ORDER BY submit_ns, id");
	if (!row)
		return -EIO;
	while (feed_step(f, &row, &err)) {
		struct tl_slice e = {0};

		read_call(f, row, &c);
		snprintf(track, sizeof(track), "device: %.64s", feed_text(row, 5));
		snprintf(c.text, sizeof(c.text), "%.48s, %lld nodes", feed_text(row, 5),
			 sqlite3_column_int64(row, 6));
		put_call(f, named_lanes(f, &all, sqlite3_column_int64(row, 4), track, 2), &c, &e);
	}
	named_lanes_free(&all);
	return err;
}

static int feed_graphs_and_devices(struct feed *f)
{
	int err = feed_graphs(f);

	return err ? err : feed_devices(f);
}

/* Calls of other interfaces, such as a GPU's, in lanes of their own below the thread. */
static int feed_calls(struct feed *f)
{
	struct named_lanes_list all = {0};
	struct call_slice c = {.category = "call"};
	sqlite3_stmt *row = feed_query(
		f, "SELECT id, begin_ns, end_ns, tid, ifnull(pid, tid), name, ret FROM call "
		   "WHERE ifnull(end_ns, ?2) >= ?1 AND begin_ns <= ?2 ORDER BY begin_ns, id");
	char track[64];
	int err = 0;

	if (!row)
		return -EIO;
	while (feed_step(f, &row, &err)) {
		struct tl_slice e = {.n_args = 1,
				     .args = {{tl_strings_id(f->strings, "return"), 0, NULL,
					       sqlite3_column_int64(row, 6)}}};

		read_call(f, row, &c);
		snprintf(track, sizeof(track), "calls of thread %" PRId64, c.tid);
		snprintf(c.text, sizeof(c.text), "%.90s", feed_text(row, 5));
		put_call(f, named_lanes(f, &all, sqlite3_column_int64(row, 4), track, 3), &c, &e);
	}
	named_lanes_free(&all);
	return err;
}

/* What the recording did to itself: notes as instants, measured cost as a counter per level. */
static int feed_notes(struct feed *f)
{
	struct tl_track t = {.kind = TL_TRACK_PLAIN, .name = "llmprobe"};
	sqlite3_stmt *row = feed_query(
		f, "SELECT at_ns, kind, text FROM note WHERE at_ns BETWEEN ?1 AND ?2 ORDER BY 1");
	uint32_t track = 0;
	int err = 0;

	if (!row)
		return -EIO;
	while (feed_step(f, &row, &err)) {
		struct tl_slice e = {.begin_ns = (uint64_t)sqlite3_column_int64(row, 0),
				     .category = tl_strings_id(f->strings, feed_text(row, 1)),
				     .text = feed_text(row, 2)};

		if (!track)
			track = feed_track(f, &t);
		e.track = track;
		f->ops->instant(f->sink, &e);
		f->instants++;
	}
	return err;
}

/* The counter of the level whose costs are being read, and up to when it was told. */
struct cost_track {
	char level[32];
	uint32_t track;
	uint64_t end_ns;
};

static void begin_cost(struct feed *f, struct cost_track *c, const char *level)
{
	struct tl_track t = {.kind = TL_TRACK_COUNTER, .unit = "% of one CPU"};
	char name[64];

	snprintf(c->level, sizeof(c->level), "%s", level);
	snprintf(name, sizeof(name), "llmprobe cost: %s", c->level);
	t.name = name;
	c->track = feed_track(f, &t);
}

/* A level that is off costs nothing. */
static void end_cost(struct feed *f, const struct cost_track *c)
{
	if (c->track)
		f->ops->counter(f->sink, c->track, c->end_ns, 0);
}

static int feed_cost(struct feed *f)
{
	sqlite3_stmt *row = feed_query(
		f, "SELECT level, begin_ns, end_ns, ifnull(run_ns, estimate_ns) FROM cost "
		   "WHERE end_ns > begin_ns AND end_ns >= ?1 AND begin_ns <= ?2 ORDER BY 1, 2");
	struct cost_track c = {0};
	int err = 0;

	if (!row)
		return -EIO;
	while (feed_step(f, &row, &err)) {
		uint64_t begin = (uint64_t)sqlite3_column_int64(row, 1);
		uint64_t end = (uint64_t)sqlite3_column_int64(row, 2);
		bool same = c.track && !strncmp(c.level, feed_text(row, 0), sizeof(c.level) - 1);

		if (!same || begin > c.end_ns)
			end_cost(f, &c);
		if (!same)
			begin_cost(f, &c, feed_text(row, 0));
		f->ops->counter(f->sink, c.track, begin,
				100.0 * sqlite3_column_double(row, 3) / (double)(end - begin));
		c.end_ns = end;
	}
	end_cost(f, &c);
	return err;
}

static int feed_notes_and_cost(struct feed *f)
{
	int err = feed_notes(f);

	return err ? err : feed_cost(f);
}

/* Begin and end of everything recorded. Rows without an end count as ending with the run. */
static void find_span(struct feed *f)
{
	static const char *const spans[] = {
		"SELECT %s FROM (SELECT min(begin_ns) AS b, max(ifnull(end_ns, begin_ns)) AS e "
		"FROM "
		"token UNION ALL SELECT min(begin_ns), max(ifnull(end_ns, begin_ns)) FROM graph)",
		"SELECT %s FROM (SELECT min(begin_ns) AS b, max(end_ns) AS e FROM op)",
		"SELECT %s FROM (SELECT min(begin_ns) AS b, max(end_ns) AS e FROM sched)",
		"SELECT %s FROM (SELECT min(begin_ns) AS b, max(end_ns) AS e FROM call)",
	};
	char sql[256];

	for (size_t i = 0; i < ARRAY_LEN(spans) && !f->last_ns; i++) {
		snprintf(sql, sizeof(sql), spans[i], "min(b)");
		f->first_ns = (uint64_t)feed_number(f, sql, 0);
		snprintf(sql, sizeof(sql), spans[i], "max(e)");
		f->last_ns = (uint64_t)feed_number(f, sql, 0);
	}
	f->from_ns = f->o->from_ns ? f->first_ns + f->o->from_ns : 0;
	f->to_ns = f->o->to_ns ? f->first_ns + f->o->to_ns : INT64_MAX;
}

static void read_clocks(struct feed *f, struct tl_clocks *c)
{
	static const char boot[] = "SELECT CAST(value AS INTEGER) FROM run "
				   "WHERE key = 'boot_offset_ns'";
	static const char start[] = "SELECT CAST(value AS INTEGER) FROM run "
				    "WHERE key = 'start_ns'";
	static const char wall[] = "SELECT CAST(value AS INTEGER) FROM run "
				   "WHERE key = 'clock_offset_ns'";

	c->monotonic_ns = f->first_ns ? f->first_ns : (uint64_t)feed_number(f, start, 0);
	c->boottime_offset_ns = feed_number(f, boot, INT64_MIN);
	c->realtime_offset_ns = feed_number(f, wall, INT64_MIN);
	c->realtime_known = c->realtime_offset_ns != INT64_MIN;
	if (c->boottime_offset_ns != INT64_MIN) {
		/* No clock is before 0, whatever a damaged run says. */
		if (c->boottime_offset_ns < -(int64_t)c->monotonic_ns)
			c->boottime_offset_ns = 0;
		return;
	}
	c->boottime_offset_ns = 0;
	diag_add(f->d, DIAG_NOTE,
		 "the run does not say how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC; taken "
		 "as 0");
}

static void count_rows(struct feed *f)
{
	f->total =
		(uint64_t)feed_number(f,
				      "SELECT (SELECT ifnull(max(id), 0) FROM op) * 2 + "
				      "(SELECT count(*) FROM token) + (SELECT count(*) FROM graph)",
				      0);
}

/* Levels that were asked for and that the run has nothing of. */
static void say_what_is_missing(struct feed *f)
{
	struct view_levels has = view_levels(f->db);
	const struct {
		enum timeline_level level;
		bool there;
	} levels[] = {
		{TIMELINE_TOKEN, has.token},
		{TIMELINE_GRAPH, has.graph},
		{TIMELINE_OPERATOR, has.op || has.op_sum},
		{TIMELINE_SCHEDULER, has.sched},
	};
	struct buf names = {0};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (feed_wants(f, levels[i].level) && !levels[i].there)
			buf_printf(&names, "%s%s", names.len ? ", " : "",
				   level_names[__builtin_ctz(levels[i].level)]);
	if (names.len)
		diag_add(f->d, DIAG_NOTE,
			 "the run has nothing of these levels, which were off or had no events: %s",
			 buf_str(&names));
	buf_free(&names);
}

static void say_what_was_written(struct feed *f, const struct tl_totals *t)
{
	char bytes[32], raw[32];

	diag_add(f->d, DIAG_NOTE,
		 "timeline: %" PRIu64 " slices, %" PRIu64 " counter rows, %" PRIu64
		 " scheduler switches, %" PRIu64 " notes; %s (%s before compression)",
		 f->slices, f->counters, f->switches, f->instants,
		 text_bytes((double)t->file_bytes, bytes), text_bytes((double)t->bytes, raw));
	say_what_is_missing(f);
	if (feed_wants(f, TIMELINE_OPERATOR) &&
	    feed_number(f,
			"SELECT NOT EXISTS(SELECT 1 FROM op) AND "
			"EXISTS(SELECT 1 FROM op_summary)",
			0))
		diag_add(
			f->d, DIAG_NOTE,
			"operators were recorded in summary mode: sums without times, so they have "
			"no slices; record with operators.mode: events");
}

static int feed_all(struct feed *f)
{
	static const struct {
		enum timeline_level level;
		int (*feed)(struct feed *f);
	} parts[] = {
		{TIMELINE_TOKEN, feed_tokens},	      {TIMELINE_GRAPH, feed_graphs_and_devices},
		{TIMELINE_NOTE, feed_notes_and_cost}, {TIMELINE_OPERATOR, feed_operators},
		{TIMELINE_COUNTERS, feed_counters},   {TIMELINE_CALL, feed_calls},
		{TIMELINE_SCHEDULER, feed_scheduler},
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts) && !err; i++)
		if (feed_wants(f, parts[i].level))
			err = parts[i].feed(f);
	return err;
}

int timeline_write(sqlite3 *db, const struct timeline_opts *o, FILE *out, struct diag *d)
{
	struct feed f = {.db = db, .o = o, .d = d, .strings = tl_strings_new()};
	struct tl_clocks clocks = {0};
	struct tl_totals totals = {0};
	char length[32];
	int err, close_err;

	f.ops = o->format == TIMELINE_CHROME ? &tl_sink_chrome : &tl_sink_perfetto;
	find_span(&f);
	if (o->from_ns && f.from_ns > f.last_ns) {
		tl_strings_free(f.strings);
		return diag_fail(d, -EINVAL, "the run ends after %s, before the range begins",
				 text_ns((double)(f.last_ns - f.first_ns), length));
	}
	read_clocks(&f, &clocks);
	count_rows(&f);
	f.sink = f.ops->open(out, f.strings, &clocks, !o->plain, d);
	if (!f.sink) {
		tl_strings_free(f.strings);
		return -EAGAIN;
	}
	err = feed_load_names(&f);
	if (!err) {
		feed_thread_names(&f);
		err = feed_all(&f);
	}
	close_err = f.ops->close(f.sink, &totals);
	progress_show(o->progress, "timeline", 1);
	if (close_err && !err)
		err = diag_fail(d, close_err, "cannot write the timeline: %s",
				strerror(-close_err));
	if (!err)
		say_what_was_written(&f, &totals);
	feed_free_names(&f);
	tl_strings_free(f.strings);
	return err;
}

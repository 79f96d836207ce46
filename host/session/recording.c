/* SPDX-License-Identifier: Apache-2.0 */
/* The spool of a recording: draining into it, and the notes that explain the records. */
#include "session/internal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf/kmap.h"
#include "session/machine.h"
#include "util/clock.h"

uint64_t session_now_ns(void)
{
	return clock_now();
}

enum { BLOCK_BYTES = 128 * 1024 };

static cJSON *new_note(const char *kind)
{
	cJSON *n = cJSON_CreateObject();

	cJSON_AddStringToObject(n, "k", kind);
	return n;
}

/* Times exceed what a JSON number keeps exactly only after 104 days of uptime; they are written as
 * integers all the same. */
static void add_u64(cJSON *n, const char *key, uint64_t v)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);
	cJSON_AddRawToObject(n, key, digits);
}

static void note_point(struct session *s, const struct plan_point *p)
{
	cJSON *n = new_note("point");

	cJSON_AddNumberToObject(n, "id", p->id);
	cJSON_AddStringToObject(n, "level", level_name(p->level));
	cJSON_AddStringToObject(n, "event", p->event);
	cJSON_AddStringToObject(n, "symbol", p->symbol);
	cJSON_AddStringToObject(n, "backend", p->backend);
	cJSON_AddStringToObject(n, "kind", p->kind);
	spool_note(s->spool, n);
}

static void note_layout(struct session *s, size_t i)
{
	cJSON *n = layout_to_json(plan_layout(s->plan, i)->layout);

	if (!cJSON_HasObjectItem(n, "k"))
		cJSON_AddStringToObject(n, "k", "layout");
	if (s->opts.no_dimensions)
		cJSON_DeleteItemFromObject(n, "ne");
	cJSON_DeleteItemFromObject(n, "id");
	cJSON_AddNumberToObject(n, "id", (double)i);
	spool_note(s->spool, n);
}

/* The lower of its levels, as they are numbered: what serves the token level is what people call
 * the engine, before ggml's parts that it is made of. */
static int engine_rank(const struct engine *e)
{
	int rank = LEVEL_COUNT;

	for (size_t i = 0; i < e->n_levels; i++)
		if ((int)e->levels[i].level < rank)
			rank = (int)e->levels[i].level;
	return rank;
}

/* The copy whose engine says most about the calls; the plan's number of copies: none does. */
static size_t leading_copy(const struct session *s)
{
	size_t n = plan_mark(s->plan).copies, best = n;

	for (size_t i = 0; i < n; i++) {
		const struct engine *e = plan_copy(s->plan, i)->engine;

		if (!e->is_library &&
		    (best == n || engine_rank(e) < engine_rank(plan_copy(s->plan, best)->engine)))
			best = i;
	}
	return best;
}

static void note_engine(struct session *s)
{
	size_t i = leading_copy(s);
	const struct plan_copy *c = plan_copy(s->plan, i);
	const struct plan_file *f = plan_copy_file(s->plan, i);
	cJSON *n;

	if (!c)
		return;
	n = new_note("run");
	cJSON_AddStringToObject(n, "engine", c->engine->name);
	cJSON_AddStringToObject(n, "engine_version", c->version);
	cJSON_AddStringToObject(n, "engine_file", f->shown);
	cJSON_AddStringToObject(n, "engine_build_id", f->build_id);
	spool_note(s->spool, n);
}

void session_note_plan(struct session *s)
{
	struct plan_mark m = plan_mark(s->plan);

	if (!s->spool || (m.points == s->noted_points && m.layouts == s->noted_layouts))
		return;
	session_hurry(s);
	for (; s->noted_layouts < m.layouts; s->noted_layouts++)
		if (session_layout_id(s, (int)s->noted_layouts) == (int)s->noted_layouts)
			note_layout(s, s->noted_layouts);
	for (; s->noted_points < m.points; s->noted_points++)
		if (session_point_id(s, (unsigned)s->noted_points) == s->noted_points)
			note_point(s, plan_point(s->plan, s->noted_points));
	note_engine(s);
}

void session_note_level(struct session *s, enum rec_level level, bool on)
{
	cJSON *n;

	if (!s->spool)
		return;
	n = new_note("level");
	cJSON_AddStringToObject(n, "level", level_name(level));
	cJSON_AddBoolToObject(n, "on", on);
	add_u64(n, "at", session_now_ns());
	spool_note(s->spool, n);
}

void session_note_text(struct session *s, const char *kind, const char *text)
{
	cJSON *n;

	if (!s->spool)
		return;
	n = new_note("note");
	cJSON_AddStringToObject(n, "kind", kind);
	cJSON_AddStringToObject(n, "text", text);
	add_u64(n, "at", session_now_ns());
	spool_note(s->spool, n);
}

static void note_thread(struct session *s, pid_t pid, const struct process_thread *t)
{
	cJSON *n = new_note("thread");

	cJSON_AddNumberToObject(n, "tid", t->tid);
	cJSON_AddNumberToObject(n, "pid", pid);
	cJSON_AddStringToObject(n, "name", t->comm);
	add_u64(n, "at", session_now_ns());
	cJSON_AddStringToObject(n, "state", (char[]){t->state, '\0'});
	cJSON_AddNumberToObject(n, "cpu", t->cpu);
	add_u64(n, "run_ns", t->run_ns);
	add_u64(n, "wait_ns", t->wait_ns);
	add_u64(n, "slices", t->slices);
	spool_note(s->spool, n);
}

/* True when the thread is new or has changed its name since it was noted. */
static bool thread_is_news(struct session *s, pid_t pid, const struct process_thread *t)
{
	struct session_thread *seen;

	for (size_t i = 0; i < s->n_seen; i++) {
		seen = &s->seen_threads[i];
		if (seen->tid != t->tid || seen->pid != pid)
			continue;
		if (memcmp(seen->comm, t->comm, sizeof(t->comm)) == 0)
			return false;
		memcpy(seen->comm, t->comm, sizeof(t->comm));
		return true;
	}
	seen = VEC_PUSH(s->seen_threads, s->n_seen, s->cap_seen);
	*seen = (struct session_thread){.tid = t->tid, .pid = pid};
	memcpy(seen->comm, t->comm, sizeof(t->comm));
	return true;
}

static void note_process_threads(struct session *s, pid_t pid, bool all)
{
	struct process_thread t;
	pid_t *tids = NULL;
	size_t n = 0;

	if (process_threads(pid, &tids, &n))
		return;
	for (size_t i = 0; i < n; i++)
		if (process_thread(pid, tids[i], &t) == 0 && (thread_is_news(s, pid, &t) || all))
			note_thread(s, pid, &t);
	free(tids);
}

void session_note_threads(struct session *s, bool all)
{
	if (!s->spool)
		return;
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i].alive)
			note_process_threads(s, s->processes[i].process.pid, all);
}

static void note_loss(struct session *s, const char *level, const char *buffer, uint64_t lost)
{
	cJSON *n = new_note("loss");

	cJSON_AddStringToObject(n, "level", level);
	cJSON_AddStringToObject(n, "buffer", buffer);
	add_u64(n, "lost", lost);
	spool_note(s->spool, n);
}

/* Losses by level; those of a level are counted where its program could not send. */
void session_note_sums(struct session *s)
{
	const char *buffer = transport_kind(s->transport) == TRANSPORT_RING ? "ring" : "perf";

	if (!s->spool)
		return;
	for (int i = 0; i < LEVEL_COUNT; i++) {
		struct level_count c;

		session_level_count(s, i, &c);
		if (c.lost || s->level[i].on)
			note_loss(s, level_name(i), buffer, c.lost - s->lost_before[i]);
		if (c.lost_tensors)
			note_loss(s, level_name(i), "tensors, sent again", c.lost_tensors);
	}
	session_note_costs(s);
	session_tell_sync(s, false);
}

/* Bytes of the first whole ring records that make up at most a block, but one at the least. */
static size_t ring_block(const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (at + 8 <= len) {
		uint32_t head;
		size_t step;

		memcpy(&head, p + at, sizeof(head));
		step = ((head & 0x3fffffffu) + 8u + 7u) & ~(size_t)7;
		if (step > len - at || (at && at + step > BLOCK_BYTES))
			break;
		at += step;
	}
	return at ? at : len;
}

/* In blocks of a bounded size: when the disk is full, what fits is kept. */
static int write_blocks(struct session *s, enum record_block kind, unsigned cpu, const uint8_t *p,
			size_t len)
{
	int err = 0;

	while (len && !err) {
		size_t n = kind == BLOCK_RING ? ring_block(p, len) : len;

		err = spool_write(s->spool, kind, (uint16_t)cpu, p, n);
		p += n;
		len -= n;
	}
	return err;
}

static int write_trusted(struct session *s, enum record_block kind, unsigned cpu, const uint8_t *p,
			 size_t len)
{
	int err = 0;

	while (len && !err) {
		size_t skip, n = session_trusted_bytes(s, kind, p, len, &skip);

		err = write_blocks(s, kind, cpu, p, n);
		p += n + skip;
		len -= n + skip;
	}
	return err;
}

static int to_spool(void *ctx, enum record_block kind, unsigned cpu, const void *data, size_t len)
{
	struct session *s = ctx;

	session_look_at(s, kind, data, len);
	return s->spool ? write_trusted(s, kind, cpu, data, len) : 0;
}

int session_drain(struct session *s, struct diag *d)
{
	int err = transport_drain(s->transport, to_spool, s);

	session_apply_trust(s, d);
	if (!err || !s->spool || !spool_failed(s->spool))
		return 0;
	if (!s->spool_told)
		diag_fail(d, err, "cannot write %s: %s; what was recorded so far is kept",
			  spool_path(s->spool), strerror(-err));
	s->spool_told = true;
	return err;
}

static const char *barrier_way(struct session *s)
{
	if (s->own_functions)
		return "never";
	if (session_node_ends(s, -1))
		return "always";
	if (s->barrier_changed || s->opts.barrier_every > 1)
		return "sampled";
	return s->opts.barrier_every ? "always" : "never";
}

void session_note_barrier(struct session *s)
{
	cJSON *n;

	if (!s->spool)
		return;
	n = new_note("run");
	cJSON_AddStringToObject(n, "barrier", barrier_way(s));
	spool_note(s->spool, n);
}

static void note_run(struct session *s)
{
	cJSON *n = new_note("run");
	char *command = s->n_processes ? process_command(s->processes[0].process.pid) : NULL;
	char *exe = s->n_processes ? process_exe(s->processes[0].process.pid) : NULL;

	cJSON_AddStringToObject(n, "tool_version", LLMPROBE_VERSION);
	machine_describe(n);
	if (s->n_processes)
		cJSON_AddNumberToObject(n, "pid", s->processes[0].process.pid);
	if (command)
		cJSON_AddStringToObject(n, "command", command);
	if (exe)
		cJSON_AddStringToObject(n, "exe", exe);
	if (s->opts.config_text)
		cJSON_AddStringToObject(n, "config", s->opts.config_text);
	free(command);
	free(exe);
	spool_note(s->spool, n);
}

static void note_counters(struct session *s)
{
	cJSON *n, *names, *grouped;

	if (!s->counters)
		return;
	n = new_note("counters");
	names = cJSON_AddArrayToObject(n, "names");
	grouped = cJSON_AddArrayToObject(n, "grouped");
	for (size_t i = 0; i < counters_count(s->counters); i++) {
		const struct counter *c = counters_get(s->counters, i);

		cJSON_AddItemToArray(names, cJSON_CreateString(c->name));
		cJSON_AddItemToArray(grouped, cJSON_CreateBool(counter_is_grouped(c)));
	}
	spool_note(s->spool, n);
}

static void mark_losses(struct session *s)
{
	for (int i = 0; i < LEVEL_COUNT; i++) {
		struct level_count c;

		session_level_count(s, i, &c);
		s->lost_before[i] = c.lost;
	}
}

int session_start(struct session *s, const char *path, bool force, struct diag *d)
{
	if (s->spool)
		return diag_fail(d, -EBUSY, "already recording to %s; `stop` ends it",
				 spool_path(s->spool));
	session_drain(s, d);
	s->spool = spool_create(path, force, d);
	if (!s->spool)
		return -EIO;
	s->spool_told = false;
	s->noted_points = s->noted_layouts = 0;
	s->n_seen = 0;
	s->barrier_changed = false;
	mark_losses(s);
	/* The tensors of graphs known so far are in no spool: have them sent anew. */
	session_forget_tensors(s);
	session_summaries_free(s);
	kmap_clear(s->map[MAP_SUMMARY]);
	note_run(s);
	session_note_barrier(s);
	note_counters(s);
	session_note_plan(s);
	session_note_threads(s, true);
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (s->level[i].on)
			session_note_level(s, i, true);
	session_tell_started(s);
	return 0;
}

int session_sync(struct session *s, struct diag *d)
{
	int err = session_drain(s, d);

	session_note_threads(s, true);
	session_write_summaries(s);
	session_note_sums(s);
	return err;
}

/* The command line is only known once the command runs. */
void session_note_command(struct session *s)
{
	cJSON *n;

	if (!s->command || !s->spool)
		return;
	n = new_note("run");
	cJSON_AddStringToObject(n, "command", s->command);
	if (s->exe)
		cJSON_AddStringToObject(n, "exe", s->exe);
	spool_note(s->spool, n);
}

int session_stop(struct session *s, struct diag *d)
{
	bool operators;
	cJSON *n;
	int err;

	if (!s->spool)
		return diag_fail(d, -EINVAL, "nothing is being recorded");
	/* Threads fill their batches while programs are attached: they must be off to be read. */
	operators = s->level[LEVEL_OPERATOR].on;
	session_level_off(s, &s->level[LEVEL_OPERATOR]);
	session_settle(s, 1000);
	err = session_sync(s, d);
	session_tell_sync(s, true);
	session_note_command(s);
	/* By now all engine files are known that were loaded. */
	session_note_barrier(s);
	n = new_note("end");
	add_u64(n, "at", session_now_ns());
	cJSON_AddBoolToObject(n, "complete", true);
	spool_note(s->spool, n);
	if (!err && spool_failed(s->spool))
		err = diag_fail(d, -EIO, "%s could not be written to its end",
				spool_path(s->spool));
	spool_close(s->spool);
	s->spool = NULL;
	if (operators && !session_ended(s))
		session_enable(s, LEVEL_OPERATOR, d);
	return err;
}

bool session_recording(const struct session *s)
{
	return s->spool != NULL;
}

const char *session_spool_path(const struct session *s)
{
	return s->spool ? spool_path(s->spool) : "";
}

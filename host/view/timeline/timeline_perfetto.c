/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline as a native Perfetto trace. Field numbers: tests/proto/perfetto.proto. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "view/timeline/perfetto.h"
#include "view/timeline/timeline_sink.h"

enum {
	PACKET_FTRACE_EVENTS = 1,
	PACKET_PROCESS_TREE = 2,
	PACKET_CLOCK_SNAPSHOT = 6,
	PACKET_TIMESTAMP = 8,
	PACKET_TRACK_EVENT = 11,
	PACKET_INTERNED_DATA = 12,
	PACKET_TIMESTAMP_CLOCK = 58,
	PACKET_DEFAULTS = 59,
	PACKET_TRACK_DESCRIPTOR = 60,
	PACKET_FIRST_ON_SEQUENCE = 87,

	SNAPSHOT_CLOCKS = 1,
	SNAPSHOT_PRIMARY = 2,
	CLOCK_ID = 1,
	CLOCK_TIMESTAMP = 2,

	TRACK_UUID = 1,
	TRACK_NAME = 2,
	TRACK_PROCESS = 3,
	TRACK_THREAD = 4,
	TRACK_PARENT = 5,
	TRACK_COUNTER = 8,
	TRACK_CHILD_ORDERING = 11,
	TRACK_RANK = 12,
	CHILD_ORDERING_EXPLICIT = 3,
	PROCESS_PID = 1,
	PROCESS_NAME = 6,
	THREAD_PID = 1,
	THREAD_TID = 2,
	THREAD_NAME = 5,
	TREE_PROCESSES = 1,
	TREE_THREADS = 2,
	TREE_PROCESS_PID = 1,
	TREE_PROCESS_COMMAND = 3,
	TREE_THREAD_TID = 1,
	TREE_THREAD_NAME = 2,
	TREE_THREAD_PROCESS = 3,
	COUNTER_UNIT = 3,
	COUNTER_UNIT_NAME = 6,
	UNIT_COUNT = 2,

	EVENT_CATEGORY_IIDS = 3,
	EVENT_ANNOTATIONS = 4,
	EVENT_TYPE = 9,
	EVENT_NAME_IID = 10,
	EVENT_TRACK = 11,
	EVENT_NAME = 23,
	EVENT_DOUBLE_VALUE = 44,
	EVENT_FLOWS = 47,
	TYPE_BEGIN = 1,
	TYPE_END = 2,
	TYPE_INSTANT = 3,
	TYPE_COUNTER = 4,

	ANNOTATION_NAME_IID = 1,
	ANNOTATION_INT = 4,
	ANNOTATION_STRING = 6,
	ANNOTATION_STRING_IID = 17,

	INTERNED_CATEGORIES = 1,
	INTERNED_NAMES = 2,
	INTERNED_ANNOTATION_NAMES = 3,
	INTERNED_ANNOTATION_STRINGS = 29,
	INTERNED_IID = 1,
	INTERNED_VALUE = 2,

	BUNDLE_CPU = 1,
	BUNDLE_EVENT = 2,
	FTRACE_TIMESTAMP = 1,
	FTRACE_PID = 2,
	FTRACE_SWITCH = 4,
	FTRACE_WAKING = 20,
	DEFAULT_PRIO = 120,
	BUNDLE_EVENTS_MAX = 512,
};

/* Which of the four interning tables a string was already written to. */
enum interned { AS_CATEGORY = 1, AS_NAME = 2, AS_ARG_NAME = 4, AS_ARG_STRING = 8 };

struct cpu_bundle {
	struct pb events; /* the event fields of an FtraceEventBundle */
	unsigned int count;
};

struct tl_sink {
	struct perfetto_file *file;
	const struct tl_strings *strings;
	uint64_t start_ns;
	int64_t boottime_offset_ns;
	uint8_t *interned; /* enum interned bits by string number */
	size_t n_interned;
	struct pb fresh; /* InternedData to send with the next packet */
	struct cpu_bundle *cpus;
	int n_cpus;
};

static void clock_entry(struct pb *b, uint64_t id, uint64_t at)
{
	size_t mark = pb_open(b, SNAPSHOT_CLOCKS);

	pb_varint(b, CLOCK_ID, id);
	pb_varint(b, CLOCK_TIMESTAMP, at);
	pb_close(b, mark);
}

static void write_clock_snapshot(struct tl_sink *s, const struct tl_clocks *c)
{
	struct pb *b = perfetto_packet(s->file, 0);
	size_t mark = pb_open(b, PACKET_CLOCK_SNAPSHOT);

	clock_entry(b, CLOCK_ID_MONOTONIC, c->monotonic_ns);
	clock_entry(b, CLOCK_ID_BOOTTIME, c->monotonic_ns + (uint64_t)c->boottime_offset_ns);
	if (c->realtime_known)
		clock_entry(b, CLOCK_ID_REALTIME,
			    c->monotonic_ns + (uint64_t)c->realtime_offset_ns);
	pb_varint(b, SNAPSHOT_PRIMARY, CLOCK_ID_BOOTTIME);
	pb_close(b, mark);
	perfetto_packet_end(s->file);
}

static void write_defaults(struct tl_sink *s)
{
	struct pb *b = perfetto_packet(s->file, SEQ_STATE_CLEARED);
	size_t mark;

	pb_varint(b, PACKET_FIRST_ON_SEQUENCE, 1);
	mark = pb_open(b, PACKET_DEFAULTS);
	pb_varint(b, PACKET_TIMESTAMP_CLOCK, CLOCK_ID_MONOTONIC);
	pb_close(b, mark);
	perfetto_packet_end(s->file);
}

static struct tl_sink *sink_open(FILE *out, const struct tl_strings *strings,
				 const struct tl_clocks *clocks, bool compress, struct diag *d)
{
	struct tl_sink *s = xcalloc(1, sizeof(*s));

	s->file = perfetto_open(out, compress);
	if (!s->file) {
		diag_fail(d, -EAGAIN, "cannot start the writing thread: too many threads");
		free(s);
		return NULL;
	}
	s->strings = strings;
	s->start_ns = clocks->monotonic_ns;
	s->boottime_offset_ns = clocks->boottime_offset_ns;
	write_clock_snapshot(s, clocks);
	write_defaults(s);
	return s;
}

/* A command line word by word, as blanks separate them. */
static void put_words(struct pb *b, unsigned int field, const char *text)
{
	char *copy = xstrdup(text), *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		pb_string(b, field, w);
	free(copy);
}

/* Tells which process a thread belongs to, which scheduler rows alone do not. */
static void sink_thread(struct tl_sink *s, const struct tl_track *t, const char *command)
{
	struct pb *b = perfetto_packet(s->file, SEQ_NEEDS_STATE);
	size_t tree, entry;

	pb_varint(b, PACKET_TIMESTAMP, s->start_ns);
	tree = pb_open(b, PACKET_PROCESS_TREE);
	if (t->tid == t->pid) {
		entry = pb_open(b, TREE_PROCESSES);
		pb_varint(b, TREE_PROCESS_PID, (uint64_t)t->pid);
		put_words(b, TREE_PROCESS_COMMAND, command ? command : t->name);
		pb_close(b, entry);
	}
	entry = pb_open(b, TREE_THREADS);
	pb_varint(b, TREE_THREAD_TID, (uint64_t)t->tid);
	pb_string(b, TREE_THREAD_NAME, t->name);
	pb_varint(b, TREE_THREAD_PROCESS, (uint64_t)t->pid);
	pb_close(b, entry);
	pb_close(b, tree);
	perfetto_packet_end(s->file);
}

static void track_owner(struct pb *b, const struct tl_track *t)
{
	size_t mark;

	if (t->kind == TL_TRACK_PROCESS) {
		mark = pb_open(b, TRACK_PROCESS);
		pb_varint(b, PROCESS_PID, (uint64_t)t->pid);
		pb_string(b, PROCESS_NAME, t->name);
		pb_close(b, mark);
	} else if (t->kind == TL_TRACK_THREAD) {
		mark = pb_open(b, TRACK_THREAD);
		pb_varint(b, THREAD_PID, (uint64_t)t->pid);
		pb_varint(b, THREAD_TID, (uint64_t)t->tid);
		pb_string(b, THREAD_NAME, t->name);
		pb_close(b, mark);
	} else {
		pb_string(b, TRACK_NAME, t->name);
	}
	if (t->kind == TL_TRACK_COUNTER) {
		mark = pb_open(b, TRACK_COUNTER);
		if (t->unit)
			pb_string(b, COUNTER_UNIT_NAME, t->unit);
		else
			pb_varint(b, COUNTER_UNIT, UNIT_COUNT);
		pb_close(b, mark);
	}
}

static void sink_track(struct tl_sink *s, uint32_t id, const struct tl_track *t)
{
	struct pb *b = perfetto_packet(s->file, SEQ_NEEDS_STATE);
	size_t mark;

	pb_varint(b, PACKET_TIMESTAMP, s->start_ns);
	mark = pb_open(b, PACKET_TRACK_DESCRIPTOR);
	pb_varint(b, TRACK_UUID, id);
	if (t->parent)
		pb_varint(b, TRACK_PARENT, t->parent);
	track_owner(b, t);
	if (t->kind == TL_TRACK_PROCESS)
		pb_varint(b, TRACK_CHILD_ORDERING, CHILD_ORDERING_EXPLICIT);
	if (t->order)
		pb_varint(b, TRACK_RANK, (uint64_t)t->order);
	pb_close(b, mark);
	perfetto_packet_end(s->file);
}

/* Makes sure that string `id` is known to the reader in table `as`. */
static void intern(struct tl_sink *s, uint32_t id, enum interned as, unsigned int field)
{
	size_t mark;

	if (id >= s->n_interned) {
		size_t n = (id + 1) * 2;

		s->interned = xreallocarray(s->interned, n, 1);
		memset(s->interned + s->n_interned, 0, n - s->n_interned);
		s->n_interned = n;
	}
	if (s->interned[id] & as)
		return;
	s->interned[id] |= (uint8_t)as;
	mark = pb_open(&s->fresh, field);
	pb_varint(&s->fresh, INTERNED_IID, id);
	pb_string(&s->fresh, INTERNED_VALUE, tl_strings_text(s->strings, id));
	pb_close(&s->fresh, mark);
}

static void intern_slice(struct tl_sink *s, const struct tl_slice *e)
{
	if (e->name)
		intern(s, e->name, AS_NAME, INTERNED_NAMES);
	if (e->category)
		intern(s, e->category, AS_CATEGORY, INTERNED_CATEGORIES);
	for (int i = 0; i < e->n_args; i++) {
		intern(s, e->args[i].name, AS_ARG_NAME, INTERNED_ANNOTATION_NAMES);
		if (e->args[i].text)
			intern(s, e->args[i].text, AS_ARG_STRING, INTERNED_ANNOTATION_STRINGS);
	}
}

static void annotate(struct pb *b, const struct tl_arg *arg)
{
	size_t mark = pb_open(b, EVENT_ANNOTATIONS);

	pb_varint(b, ANNOTATION_NAME_IID, arg->name);
	if (arg->text)
		pb_varint(b, ANNOTATION_STRING_IID, arg->text);
	else if (arg->direct)
		pb_string(b, ANNOTATION_STRING, arg->direct);
	else
		pb_varint(b, ANNOTATION_INT, (uint64_t)arg->value);
	pb_close(b, mark);
}

static void event_at(struct tl_sink *s, const struct tl_slice *e, unsigned int type)
{
	struct pb *b;
	size_t mark;

	intern_slice(s, e);
	b = perfetto_packet(s->file, SEQ_NEEDS_STATE);
	pb_varint(b, PACKET_TIMESTAMP, e->begin_ns);
	if (s->fresh.len) {
		pb_bytes(b, PACKET_INTERNED_DATA, s->fresh.data, s->fresh.len);
		s->fresh.len = 0;
	}
	mark = pb_open(b, PACKET_TRACK_EVENT);
	pb_varint(b, EVENT_TYPE, type);
	pb_varint(b, EVENT_TRACK, e->track);
	if (e->name)
		pb_varint(b, EVENT_NAME_IID, e->name);
	else
		pb_string(b, EVENT_NAME, e->text);
	if (e->category)
		pb_varint(b, EVENT_CATEGORY_IIDS, e->category);
	for (int i = 0; i < e->n_args; i++)
		annotate(b, &e->args[i]);
	for (size_t i = 0; i < e->n_flows; i++)
		pb_fixed64(b, EVENT_FLOWS, e->flows[i]);
	pb_close(b, mark);
	perfetto_packet_end(s->file);
}

static void sink_slice(struct tl_sink *s, const struct tl_slice *e)
{
	struct pb *b;
	size_t mark;

	event_at(s, e, TYPE_BEGIN);
	b = perfetto_packet(s->file, SEQ_NEEDS_STATE);
	pb_varint(b, PACKET_TIMESTAMP, e->end_ns);
	mark = pb_open(b, PACKET_TRACK_EVENT);
	pb_varint(b, EVENT_TYPE, TYPE_END);
	pb_varint(b, EVENT_TRACK, e->track);
	pb_close(b, mark);
	perfetto_packet_end(s->file);
}

static void sink_instant(struct tl_sink *s, const struct tl_slice *at)
{
	event_at(s, at, TYPE_INSTANT);
}

static void sink_counter(struct tl_sink *s, uint32_t track, uint64_t at_ns, double value)
{
	struct pb *b = perfetto_packet(s->file, SEQ_NEEDS_STATE);
	size_t mark;

	pb_varint(b, PACKET_TIMESTAMP, at_ns);
	mark = pb_open(b, PACKET_TRACK_EVENT);
	pb_varint(b, EVENT_TYPE, TYPE_COUNTER);
	pb_varint(b, EVENT_TRACK, track);
	pb_double(b, EVENT_DOUBLE_VALUE, value);
	pb_close(b, mark);
	perfetto_packet_end(s->file);
}

static void flush_cpu(struct tl_sink *s, int cpu)
{
	struct cpu_bundle *c = &s->cpus[cpu];
	struct pb *b;
	size_t mark;

	if (!c->count)
		return;
	b = perfetto_packet(s->file, 0);
	mark = pb_open(b, PACKET_FTRACE_EVENTS);
	pb_varint(b, BUNDLE_CPU, (uint64_t)cpu);
	pb_raw(b, c->events.data, c->events.len);
	pb_close(b, mark);
	perfetto_packet_end(s->file);
	c->events.len = 0;
	c->count = 0;
}

static struct cpu_bundle *cpu_of(struct tl_sink *s, int cpu)
{
	if (cpu >= s->n_cpus) {
		s->cpus = xreallocarray(s->cpus, (size_t)cpu + 1, sizeof(*s->cpus));
		memset(s->cpus + s->n_cpus, 0, (size_t)(cpu + 1 - s->n_cpus) * sizeof(*s->cpus));
		s->n_cpus = cpu + 1;
	}
	if (s->cpus[cpu].count == BUNDLE_EVENTS_MAX)
		flush_cpu(s, cpu);
	s->cpus[cpu].count++;
	return &s->cpus[cpu];
}

static size_t ftrace_event(struct tl_sink *s, struct pb *b, uint64_t at_ns, int64_t current)
{
	size_t mark = pb_open(b, BUNDLE_EVENT);

	pb_varint(b, FTRACE_TIMESTAMP, at_ns + (uint64_t)s->boottime_offset_ns);
	pb_varint(b, FTRACE_PID, (uint64_t)current);
	return mark;
}

static void sink_sched_switch(struct tl_sink *s, int cpu, uint64_t at_ns,
			      const struct tl_task *prev, int64_t prev_state,
			      const struct tl_task *next)
{
	struct pb *b = &cpu_of(s, cpu)->events;
	size_t event = ftrace_event(s, b, at_ns, prev->tid);
	size_t mark = pb_open(b, FTRACE_SWITCH);

	pb_string(b, 1, prev->comm);
	pb_varint(b, 2, (uint64_t)prev->tid);
	pb_varint(b, 3, DEFAULT_PRIO);
	pb_varint(b, 4, (uint64_t)prev_state);
	pb_string(b, 5, next->comm);
	pb_varint(b, 6, (uint64_t)next->tid);
	pb_varint(b, 7, DEFAULT_PRIO);
	pb_close(b, mark);
	pb_close(b, event);
}

static void sink_sched_waking(struct tl_sink *s, int cpu, uint64_t at_ns, int64_t waker,
			      const struct tl_task *wakee, int target_cpu)
{
	struct pb *b = &cpu_of(s, cpu)->events;
	size_t event = ftrace_event(s, b, at_ns, waker);
	size_t mark = pb_open(b, FTRACE_WAKING);

	pb_string(b, 1, wakee->comm);
	pb_varint(b, 2, (uint64_t)wakee->tid);
	pb_varint(b, 3, DEFAULT_PRIO);
	pb_varint(b, 4, 1);
	pb_varint(b, 5, (uint64_t)target_cpu);
	pb_close(b, mark);
	pb_close(b, event);
}

static int sink_close(struct tl_sink *s, struct tl_totals *totals)
{
	struct perfetto_stats stats;
	int err;

	for (int cpu = 0; cpu < s->n_cpus; cpu++) {
		flush_cpu(s, cpu);
		pb_free(&s->cpus[cpu].events);
	}
	err = perfetto_close(s->file, &stats);
	*totals = (struct tl_totals){stats.packets, stats.bytes, stats.file_bytes};
	free(s->cpus);
	free(s->interned);
	pb_free(&s->fresh);
	free(s);
	return err;
}

const struct tl_sink_ops tl_sink_perfetto = {
	.name = "perfetto",
	.open = sink_open,
	.thread = sink_thread,
	.track = sink_track,
	.slice = sink_slice,
	.instant = sink_instant,
	.counter = sink_counter,
	.sched_switch = sink_sched_switch,
	.sched_waking = sink_sched_waking,
	.close = sink_close,
};

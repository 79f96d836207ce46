/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline as Chrome's JSON trace events, for tools that read nothing newer. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/text.h"
#include "view/timeline/timeline_sink.h"

/* Numbers that no process or thread has; readers take a tid as unique across processes. */
enum { PSEUDO_TID = 1000000000, CPU_PID = 1800000000, OWN_PID, CPU_TID = 1900000000 };

struct chrome_track {
	int64_t pid, tid;
	char *name;
};

struct chrome_cpu {
	bool busy;
	uint64_t since_ns;
	int64_t tid;
	char comm[64];
};

struct tl_sink {
	FILE *out;
	const struct tl_strings *strings;
	struct chrome_track *tracks; /* by number */
	size_t n_tracks;
	struct chrome_cpu *cpus;
	int n_cpus;
	bool own_process; /* the one of tracks that belong to no other was named */
	uint64_t items;
	long begin;
};

static void put_json(FILE *out, const char *text)
{
	fputc('"', out);
	while (*text) {
		size_t n = text_utf8_len(text);
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fputc('\\', out);
		if (!n)
			fputs("\\ufffd", out);
		else if (c < 0x20)
			fprintf(out, "\\u%04x", c);
		else
			fwrite(text, 1, n, out);
		text += n ? n : 1;
	}
	fputc('"', out);
}

/*
 * A time in us, as Chrome counts, with the ns in three decimals. Readers multiply it by 1000 and
 * cut off what is left, which makes a slice overlap the next when the product comes out a little
 * too small; such a time gets the next larger number.
 */
static void put_us(FILE *out, uint64_t ns)
{
	double us = (double)ns / 1000.0;

	if ((uint64_t)(us * 1000.0) == ns)
		fprintf(out, "%" PRIu64 ".%03u", ns / 1000, (unsigned int)(ns % 1000));
	else
		fprintf(out, "%.17g", nextafter(us, HUGE_VAL));
}

static void event(struct tl_sink *s, char phase, uint64_t at_ns, int64_t pid, int64_t tid)
{
	fprintf(s->out, "%s{\"ph\":\"%c\",\"ts\":", s->items++ ? ",\n" : "\n", phase);
	put_us(s->out, at_ns);
	fprintf(s->out, ",\"pid\":%" PRId64 ",\"tid\":%" PRId64, pid, tid);
}

static void duration(struct tl_sink *s, uint64_t ns)
{
	fputs(",\"dur\":", s->out);
	put_us(s->out, ns);
}

static void field(struct tl_sink *s, const char *key, const char *text)
{
	fprintf(s->out, ",\"%s\":", key);
	put_json(s->out, text);
}

static void metadata(struct tl_sink *s, const char *kind, int64_t pid, int64_t tid,
		     const char *name)
{
	event(s, 'M', 0, pid, tid);
	field(s, "name", kind);
	fputs(",\"args\":{\"name\":", s->out);
	put_json(s->out, name);
	fputs("}}", s->out);
}

static struct tl_sink *sink_open(FILE *out, const struct tl_strings *strings,
				 const struct tl_clocks *clocks, bool compress, struct diag *d)
{
	struct tl_sink *s = xcalloc(1, sizeof(*s));

	(void)compress;
	(void)d;
	s->out = out;
	s->strings = strings;
	s->begin = ftell(out);
	fprintf(out,
		"{\"displayTimeUnit\":\"ns\",\"otherData\":{\"clock\":\"CLOCK_MONOTONIC\","
		"\"boottime_offset_ns\":\"%" PRId64 "\"},\"traceEvents\":[",
		clocks->boottime_offset_ns);
	return s;
}

static void sink_track(struct tl_sink *s, uint32_t id, const struct tl_track *t)
{
	struct chrome_track *c;

	if (id >= s->n_tracks) {
		s->tracks = xreallocarray(s->tracks, id + 1, sizeof(*s->tracks));
		memset(s->tracks + s->n_tracks, 0, (id + 1 - s->n_tracks) * sizeof(*s->tracks));
		s->n_tracks = id + 1;
	}
	c = &s->tracks[id];
	if (!t->pid && !s->own_process) {
		metadata(s, "process_name", OWN_PID, PSEUDO_TID, "llmprobe");
		s->own_process = true;
	}
	c->pid = t->pid ? t->pid : OWN_PID;
	c->tid = t->kind == TL_TRACK_THREAD ? t->tid : PSEUDO_TID + (int64_t)id;
	c->name = xstrdup(t->name ? t->name : "");
	if (t->kind == TL_TRACK_PROCESS)
		metadata(s, "process_name", c->pid, c->pid, c->name);
	else if (t->kind != TL_TRACK_COUNTER)
		metadata(s, "thread_name", c->pid, c->tid, c->name);
	if (t->kind == TL_TRACK_COUNTER && t->tid) {
		free(c->name);
		c->name = xasprintf("%s, thread %" PRId64, t->name, t->tid);
	}
}

/* Threads without slices do not appear in this format. */
static void sink_thread(struct tl_sink *s, const struct tl_track *t, const char *command)
{
	(void)s;
	(void)t;
	(void)command;
}

static void put_args(struct tl_sink *s, const struct tl_slice *e)
{
	fputs(",\"args\":{", s->out);
	for (int i = 0; i < e->n_args; i++) {
		const struct tl_arg *a = &e->args[i];

		if (i)
			fputc(',', s->out);
		put_json(s->out, tl_strings_text(s->strings, a->name));
		fputc(':', s->out);
		if (a->text || a->direct)
			put_json(s->out,
				 a->direct ? a->direct : tl_strings_text(s->strings, a->text));
		else
			fprintf(s->out, "%" PRId64, a->value);
	}
	fputs("}}", s->out);
}

static void put_body(struct tl_sink *s, const struct tl_slice *e)
{
	field(s, "name", e->name ? tl_strings_text(s->strings, e->name) : e->text);
	field(s, "cat", tl_strings_text(s->strings, e->category));
	put_args(s, e);
}

static void put_flows(struct tl_sink *s, const struct tl_slice *e, const struct chrome_track *t)
{
	for (size_t i = 0; i < e->n_flows; i++) {
		event(s, i < e->n_flow_starts ? 's' : 't', e->begin_ns, t->pid, t->tid);
		fprintf(s->out, ",\"id\":\"0x%" PRIx64 "\",\"name\":\"flow\",\"cat\":\"flow\"}",
			e->flows[i]);
	}
}

static void sink_slice(struct tl_sink *s, const struct tl_slice *e)
{
	const struct chrome_track *t = &s->tracks[e->track];

	event(s, 'X', e->begin_ns, t->pid, t->tid);
	duration(s, e->end_ns - e->begin_ns);
	put_body(s, e);
	put_flows(s, e, t);
}

static void sink_instant(struct tl_sink *s, const struct tl_slice *at)
{
	const struct chrome_track *t = &s->tracks[at->track];

	event(s, 'i', at->begin_ns, t->pid, t->tid);
	fputs(",\"s\":\"t\"", s->out);
	put_body(s, at);
}

static void sink_counter(struct tl_sink *s, uint32_t track, uint64_t at_ns, double value)
{
	const struct chrome_track *t = &s->tracks[track];

	event(s, 'C', at_ns, t->pid, t->tid);
	field(s, "name", t->name);
	fprintf(s->out, ",\"args\":{\"value\":%.17g}}", value);
}

static struct chrome_cpu *cpu_of(struct tl_sink *s, int cpu)
{
	char name[32];

	if (cpu < s->n_cpus)
		return &s->cpus[cpu];
	if (!s->n_cpus)
		metadata(s, "process_name", CPU_PID, CPU_TID, "CPUs");
	s->cpus = xreallocarray(s->cpus, (size_t)cpu + 1, sizeof(*s->cpus));
	for (int i = s->n_cpus; i <= cpu; i++) {
		memset(&s->cpus[i], 0, sizeof(s->cpus[i]));
		snprintf(name, sizeof(name), "CPU %d", i);
		metadata(s, "thread_name", CPU_PID, CPU_TID + i, name);
	}
	s->n_cpus = cpu + 1;
	return &s->cpus[cpu];
}

/* The format has no scheduler rows: what ran becomes slices on one track per CPU. */
static void sink_sched_switch(struct tl_sink *s, int cpu, uint64_t at_ns,
			      const struct tl_task *prev, int64_t prev_state,
			      const struct tl_task *next)
{
	struct chrome_cpu *c = cpu_of(s, cpu);

	(void)prev;
	if (c->busy) {
		event(s, 'X', c->since_ns, CPU_PID, CPU_TID + cpu);
		duration(s, at_ns - c->since_ns);
		field(s, "name", c->comm);
		fprintf(s->out,
			",\"cat\":\"sched\",\"args\":{\"tid\":%" PRId64 ",\"end_state\":%" PRId64
			"}}",
			c->tid, prev_state);
	}
	c->busy = next->tid != 0;
	c->since_ns = at_ns;
	c->tid = next->tid;
	snprintf(c->comm, sizeof(c->comm), "%s", next->comm);
}

static void sink_sched_waking(struct tl_sink *s, int cpu, uint64_t at_ns, int64_t waker,
			      const struct tl_task *wakee, int target_cpu)
{
	cpu_of(s, cpu);
	event(s, 'i', at_ns, CPU_PID, CPU_TID + cpu);
	field(s, "name", "waking");
	fprintf(s->out,
		",\"cat\":\"sched\",\"s\":\"t\",\"args\":{\"waker\":%" PRId64 ",\"wakee\":%" PRId64
		",\"target_cpu\":%d}}",
		waker, wakee->tid, target_cpu);
}

static int sink_close(struct tl_sink *s, struct tl_totals *totals)
{
	int err;

	fputs("\n]}\n", s->out);
	err = fflush(s->out) || ferror(s->out) ? -(errno ? errno : EIO) : 0;
	*totals = (struct tl_totals){.items = s->items};
	if (s->begin >= 0)
		totals->bytes = totals->file_bytes = (uint64_t)(ftell(s->out) - s->begin);
	for (size_t i = 0; i < s->n_tracks; i++)
		free(s->tracks[i].name);
	free(s->tracks);
	free(s->cpus);
	free(s);
	return err;
}

const struct tl_sink_ops tl_sink_chrome = {
	.name = "chrome",
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

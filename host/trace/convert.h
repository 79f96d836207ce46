/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the conversion from spool to run share; nobody else includes this. */
#ifndef LLMPROBE_TRACE_CONVERT_H
#define LLMPROBE_TRACE_CONVERT_H

#include <cjson/cJSON.h>
#include <uthash.h>

#include "trace/async.h"
#include "trace/catalog.h"
#include "trace/layout.h"
#include "trace/oprows.h"
#include "trace/plugin_rows.h"
#include "trace/sched.h"
#include "trace/spans.h"
#include "trace/store.h"
#include "trace/writer.h"

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
	struct oprows_counters counters;
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
	const struct progress *progress;
	int pass;
};

/* A point of time of the recording, ns; 0 is none. */
void convert_saw_time(struct convert *c, int64_t ts);
/* The thread's entry, made when it is new; its process counts as one of the target's from then on.
 */
struct thread *convert_saw_thread(struct convert *c, uint32_t tid, uint32_t pid);
bool convert_is_target(const struct convert *c, uint32_t pid);
/* The probe point of that number, NULL when the notes name none. */
struct point *convert_point(const struct convert *c, uint32_t id);

/* Takes a note in the first reading, and those that change what follows in the second. 0 or -EIO.
 */
int convert_first_note(void *ctx, const cJSON *note);
int convert_second_note(void *ctx, const cJSON *note);

/* After the second reading: everything but operators, intervals and tensors. */
void convert_write(struct convert *c, bool whole);

#endif

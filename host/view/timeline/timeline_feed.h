/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the timeline's feeder share. */
#ifndef LLMPROBE_VIEW_TIMELINE_FEED_H
#define LLMPROBE_VIEW_TIMELINE_FEED_H

#include "view/timeline/timeline.h"
#include "view/timeline/timeline_sink.h"

/* A logical track: as many real ones as there are slices at the same time. */
struct lanes {
	struct tl_track track; /* of each lane; name owned */
	struct {
		uint32_t id;
		uint64_t busy_until_ns;
	} * lane;
	size_t count, cap;
};

struct feed_process;
struct feed_thread;
struct feed_tensor;

struct feed {
	sqlite3 *db;
	const struct timeline_opts *o;
	struct diag *d;
	const struct tl_sink_ops *ops;
	struct tl_sink *sink;
	struct tl_strings *strings;
	uint64_t first_ns, last_ns; /* of the run */
	uint64_t from_ns, to_ns;    /* asked for, absolute */
	uint32_t n_tracks;
	struct feed_process *processes;
	struct feed_thread *threads;
	struct feed_tensor *tensors;
	uint64_t done, total; /* rows, for the progress */
	uint64_t slices, counters, switches, instants;
};

/* Whether the rows of a level are asked for. */
bool feed_wants(const struct feed *f, enum timeline_level level);
/* A prepared statement with the range bound to ?1 and ?2 where it uses them. NULL with an error. */
sqlite3_stmt *feed_query(struct feed *f, const char *sql);
/* True while there are rows; at the end finalizes, *err set on failure. */
bool feed_step(struct feed *f, sqlite3_stmt **stmt, int *err);
/* Number of the first column of a query's first row, `fallback` when NULL or no row. */
int64_t feed_number(struct feed *f, const char *sql, int64_t fallback);
const char *feed_text(sqlite3_stmt *stmt, int column); /* "" for NULL */

uint32_t feed_track(struct feed *f, const struct tl_track *t);
/* The track of a process, declared when first asked for. */
uint32_t feed_process_track(struct feed *f, int64_t pid);
/* The lanes of a thread, its thread track first. */
struct lanes *feed_thread_lanes(struct feed *f, int64_t tid);
int64_t feed_thread_pid(struct feed *f, int64_t tid);
/* Name of a thread as recorded, or `fallback`. */
const char *feed_thread_name(struct feed *f, int64_t tid, const char *fallback);
bool feed_has_thread(struct feed *f, int64_t tid);

void lanes_init(struct lanes *l, const struct tl_track *t);
void lanes_free(struct lanes *l);
/* Picks a lane that is free at e->begin_ns, sets e->track and writes the slice. */
void feed_slice(struct feed *f, struct lanes *l, struct tl_slice *e);

int feed_load_names(struct feed *f); /* threads and tensors */
/* Tells the sink of every thread and its process. */
void feed_thread_names(struct feed *f);
void feed_free_names(struct feed *f);

struct tensor_names {
	uint32_t name, op, shape;
};
struct tensor_names feed_tensor_names(struct feed *f, int64_t id);

int feed_operators(struct feed *f);
int feed_counters(struct feed *f);
int feed_scheduler(struct feed *f);

/* Flow numbers: token to graph, graph to the first operator of each worker. */
static inline uint64_t flow_token(int64_t token)
{
	return (uint64_t)1 << 62 | (uint64_t)token;
}
static inline uint64_t flow_graph(int64_t graph, int64_t thread_index)
{
	return (uint64_t)graph << 12 | ((uint64_t)thread_index & 0xfff);
}
enum { FLOW_WORKERS_MAX = 512 };

#endif

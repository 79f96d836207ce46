/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between transport.c and the two kinds of buffer. */
#ifndef LLMPROBE_BPF_TRANSPORT_KIND_H
#define LLMPROBE_BPF_TRANSPORT_KIND_H

#include "bpf/transport.h"

/* What one callback gets, about: small enough to be still in the cache when it is copied, and for a
 * full buffer to have room again soon. */
enum { TRANSPORT_CHUNK = 1 << 17 };

struct transport_ops {
	/* Opens the buffers on t->map_fd. Returns 0 or -errno with an error in `d`. */
	int (*open)(struct transport *t, struct diag *d);
	void (*close)(struct transport *t);
	int (*drain)(struct transport *t, transport_fn fn, void *ctx);
	double (*fill)(const struct transport *t);
};

struct ring_state {
	unsigned long *consumer_pos;
	const unsigned long *producer_pos;
	const char *data; /* mapped twice in a row */
};

struct perf_cpu {
	int fd; /* -1: no such processor */
	unsigned cpu;
	void *map;	  /* struct perf_event_mmap_page, then the data */
	const char *data; /* in `map`; a ring of 8-byte words */
};

struct perf_state {
	struct perf_cpu *cpus;
	size_t n;
	struct buf batch;
};

struct transport {
	const struct transport_ops *ops;
	enum transport_kind kind;
	bool framed; /* BLOCK_RING from perf buffers too */
	bool own_map;
	int map_fd, poll_fd;
	uint64_t bytes; /* ring: all of it, perf: per CPU */
	struct transport_stats stats;
	union {
		struct ring_state ring;
		struct perf_state perf;
	};
};

extern const struct transport_ops transport_ring_ops, transport_perf_ops;

#endif

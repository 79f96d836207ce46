/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of records from BPF programs to the host: a BPF ring buffer, or perf buffers (one per
 * CPU) on kernels before 5.8.
 *
 * Programs send without wake-up and wake the reader only above a quarter of the buffer, so the
 * owner drains on a timer as well as when transport_fd() is readable.
 */
#ifndef LLMPROBE_BPF_TRANSPORT_H
#define LLMPROBE_BPF_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/record.h"
#include "util/buf.h"
#include "util/diag.h"

enum transport_kind { TRANSPORT_RING, TRANSPORT_PERF };

struct transport;

/*
 * `bytes` is the whole size over all CPUs, a power of two of at least one page (ring) or one page
 * per CPU (perf: it is divided, rounded down to a power of two). NULL with an error in `d` that
 * names the next valid size or the limit that stood in the way.
 */
struct transport *transport_new(enum transport_kind kind, uint64_t bytes, struct diag *d);
/*
 * Reads a map that somebody else made: a plugin's or script's BPF_RINGBUF_OUTPUT or
 * BPF_PERF_OUTPUT. `bytes` per CPU for the latter. Both kinds are handed out as BLOCK_RING, so
 * that records of any size can be told apart with transport_next. The descriptor is borrowed.
 */
struct transport *transport_wrap(int map_fd, uint64_t bytes, struct diag *d);
void transport_free(struct transport *t); /* NULL is fine */

enum transport_kind transport_kind(const struct transport *t);
/* The map to pass as EXTERN_MAP: ring buffer or perf event array. */
int transport_map_fd(const struct transport *t);
/* Bytes of ring (all CPUs together), after rounding. */
uint64_t transport_bytes(const struct transport *t);
/*
 * Appends what the BPF text needs: `#define TRANSPORT_RING 1` or `#define TRANSPORT_PERF 1`, and
 * `#define TRANSPORT_WAKE_BYTES n`: with a ring, pass BPF_RB_FORCE_WAKEUP to submit when
 * bpf_ringbuf_query(map, BPF_RB_AVAIL_DATA) is above it, else BPF_RB_NO_WAKEUP. The perf kind
 * wakes by watermark without help of the program.
 */
void transport_defines(const struct transport *t, struct buf *out);

/* Readable when a wake-up was due; stable for the life of the transport, borrowed. */
int transport_fd(const struct transport *t);
/* Bytes waiting now (perf: in the fullest buffer) as a share of its size, 0 to 1. */
double transport_fill(const struct transport *t);

/*
 * Hands out everything committed. `data` is contiguous and valid during the call. With
 * BLOCK_RING it is ring memory as it is (headers, discarded records and padding included, no
 * BUSY record); with BLOCK_PLAIN the records back to back. Non-zero from the callback
 * stops: what it refused is handed out again next time, and the value is returned. Otherwise
 * returns 0.
 */
typedef int (*transport_fn)(void *ctx, enum record_block kind, unsigned cpu, const void *data,
			    size_t len);
int transport_drain(struct transport *t, transport_fn fn, void *ctx);

/*
 * Steps through a BLOCK_RING block: `*at` starts at 0, returns false at the end or where the
 * block is damaged. Discarded records are passed over.
 */
bool transport_next(const void *data, size_t len, size_t *at, const void **rec, size_t *rec_len);

/* Sums since the start. `lost` is what the kernel reported (perf only; a ring's losses are counted
 * by the program that could not reserve). */
struct transport_stats {
	uint64_t bytes, drains, lost;
	uint64_t bad; /* perf: samples shorter than the size in their head, dropped */
};
void transport_stats(const struct transport *t, struct transport_stats *out);

#endif

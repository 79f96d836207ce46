/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer for Perfetto's native trace format: protobuf encoding, packets, compression.
 *
 * Only what the timeline needs. The field numbers are those of tests/proto/perfetto.proto, which
 * lists the same subset and decodes the files in the tests.
 */
#ifndef LLMPROBE_VIEW_PERFETTO_H
#define LLMPROBE_VIEW_PERFETTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/diag.h"

/* Growing output of protobuf fields. Zero-initialise; free with pb_free. */
struct pb {
	uint8_t *data;
	size_t len, cap;
};

void pb_free(struct pb *b);
void pb_varint(struct pb *b, unsigned int field, uint64_t value);
void pb_fixed64(struct pb *b, unsigned int field, uint64_t value);
void pb_double(struct pb *b, unsigned int field, double value);
void pb_bytes(struct pb *b, unsigned int field, const void *data, size_t len);
/* Fields that are encoded already. */
void pb_raw(struct pb *b, const void *data, size_t len);
/* NULL writes nothing. Bytes that are no UTF-8 are replaced, as the format wants UTF-8. */
void pb_string(struct pb *b, unsigned int field, const char *text);
/* A message inside the message: everything written until pb_close is its content. */
size_t pb_open(struct pb *b, unsigned int field);
void pb_close(struct pb *b, size_t mark);

enum perfetto_clock { CLOCK_ID_REALTIME = 1, CLOCK_ID_MONOTONIC = 3, CLOCK_ID_BOOTTIME = 6 };
enum perfetto_sequence_flags { SEQ_STATE_CLEARED = 1, SEQ_NEEDS_STATE = 2 };

/* The file: packets are gathered into batches, deflated on a second thread, and written in order.
 */
struct perfetto_file;

struct perfetto_stats {
	uint64_t packets;
	uint64_t bytes;	     /* before compression */
	uint64_t file_bytes; /* written */
};

/* `out` is borrowed. NULL only when the writing thread cannot start. */
struct perfetto_file *perfetto_open(FILE *out, bool compress);
/*
 * Starts a packet on the sequence that all packets share; the caller adds fields to the returned
 * buffer and then calls perfetto_packet_end.
 */
struct pb *perfetto_packet(struct perfetto_file *f, uint32_t sequence_flags);
void perfetto_packet_end(struct perfetto_file *f);
/* Writes what is left, frees. Returns 0 or the first -errno of the output; `stats` may be NULL. */
int perfetto_close(struct perfetto_file *f, struct perfetto_stats *stats);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool: what a recording writes while it runs. Append-only, no transformation, readable up to
 * the last whole block after a crash or a full disk.
 *
 *   file   := "LLMPSPL1" block*
 *   block  := struct spool_block, payload[len], padding to 8
 *   BLOCK_RING payload: BPF ring-buffer memory as it is: { u32 len_and_flags; u32 pg_off;
 * record; padding to 8 }*, with the kernel's BUSY (1<<31) and DISCARD (1<<30) bits
 *   BLOCK_PLAIN  : records back to back (perf buffers, records made by the host)
 *   BLOCK_NOTE           : one JSON object, UTF-8, its "k" names the kind:
 *     {"k":"run", "<key>":"<value>"...}            rows for `run`
 *     {"k":"layout","id":N, "size":N,"type":N,"ne":N,"nb":N,"op":N,"op_params":N,"src":N,
 *      "n_src":N,"view_src":N,"data":N,"name":N,"name_len":N,"flags":N,"ne_width":4|8,
 *      "op_names":[...],"type_names":[...],"type_blck":[...],"type_size":[...]}  offsets in bytes
 *     {"k":"point","id":N,"level":"token","event":"token_begin","symbol":"llama_decode",
 *      "backend":"CPU","kind":"decode|encode|process|..."}
 *     {"k":"thread","tid":N,"pid":N,"name":"..","at":ns,"state":"R","cpu":N,
 *      "run_ns":N,"wait_ns":N,"slices":N}     at start, at stop and whenever one is first seen
 *     {"k":"level","level":"operator","on":true,"at":ns}
 *     {"k":"counters","names":[...],"grouped":[...]}  names of the counters in later REC_OPS, and
 *                     which of them counted only while the hardware was theirs (none said: all)
 *     {"k":"plugin","id":N,"name":"..","table":"..","fields":[{"name":..,"type":..}...],
 *      "type":T}       how to read REC_PLUGIN records of point N; T as util/ctype.h says
 *     {"k":"loss","level":"..","buffer":"..","lost":N}     sums so far; the last one counts
 *     {"k":"cost","level":"..","begin":ns,"end":ns,"hits":N,"run_ns":N,"estimate_ns":N}
 *     {"k":"note","kind":"governor|level|warning|...","at":ns,"text":".."}
 *     {"k":"end","at":ns,"complete":true}          the recording was closed in order
 */
#ifndef LLMPROBE_TRACE_SPOOL_H
#define LLMPROBE_TRACE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/record.h"
#include "util/diag.h"

struct spool_block {
	uint32_t magic; /* SPOOL_BLOCK_MAGIC */
	uint16_t kind;	/* enum record_block */
	uint16_t cpu;	/* perf buffers: which CPU */
	uint64_t len;	/* bytes of payload */
};
enum { SPOOL_BLOCK_MAGIC = 0x4b4c4250 };

struct spool;
struct cJSON;

/*
 * Creates the spool file. An existing file is refused (-EEXIST) unless `force`. Returns NULL with
 * an error in `d`.
 */
struct spool *spool_create(const char *path, bool force, struct diag *d);
/*
 * Appends a block. Returns 0 or -errno; after -ENOSPC (or any failed write) the spool stays valid
 * up to the last whole block, `spool_failed` is true and later calls return the same error.
 */
int spool_write(struct spool *s, enum record_block kind, uint16_t cpu, const void *data,
		size_t len);
/* Appends a note; takes the object and frees it. */
int spool_note(struct spool *s, struct cJSON *note);
bool spool_failed(const struct spool *s);
uint64_t spool_bytes(const struct spool *s);
const char *spool_path(const struct spool *s);
/* Closes the file; the spool itself stays on disk. */
void spool_close(struct spool *s);

/* Reading: calls back per record and per note, in file order. */
struct spool_reader_ops {
	/* One whole record; `rec` starts with struct rec_head and is valid during the call, not
	 * necessarily aligned. Non-zero return stops. */
	int (*record)(void *ctx, const void *rec, size_t len);
	int (*note)(void *ctx, const struct cJSON *note);
	/* Progress in bytes, now and then. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
};
/*
 * Reads a spool. `*whole` says if the file ended on a block boundary. A cut or damaged tail is
 * reported as a warning that names the byte offset; a file that is no spool is -EINVAL.
 */
int spool_read(const char *path, const struct spool_reader_ops *ops, void *ctx, bool *whole,
	       struct diag *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* timeline (ProfTime): a run as a Perfetto trace or as Chrome's JSON. */
#ifndef LLMPROBE_VIEW_TIMELINE_H
#define LLMPROBE_VIEW_TIMELINE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/diag.h"
#include "util/progress.h"

enum timeline_level {
	TIMELINE_TOKEN = 1,
	TIMELINE_GRAPH = 2,
	TIMELINE_OPERATOR = 4,
	TIMELINE_SCHEDULER = 8,
	TIMELINE_COUNTERS = 16,
	TIMELINE_CALL = 32,
	TIMELINE_NOTE = 64, /* level switches, governor, cost */
	TIMELINE_ALL = 127,
};

enum timeline_format { TIMELINE_PERFETTO, TIMELINE_CHROME };

struct timeline_opts {
	enum timeline_format format;
	bool plain;	     /* Perfetto: leave the packets uncompressed */
	unsigned int levels; /* enum timeline_level bits, 0: all */
	/* ns after the first event of the run; to_ns 0: no end. What overlaps the range is kept
	 * whole. */
	uint64_t from_ns, to_ns;
	const struct progress *progress; /* NULL: none */
};

/*
 * Writes the timeline of `db` to `out`, streaming. Notes in `d` say how many rows of what were
 * written and the size; what is missing in the run is named. Returns 0 or -errno.
 */
int timeline_write(sqlite3 *db, const struct timeline_opts *o, FILE *out, struct diag *d);
/* "token,operator" to bits of enum timeline_level; 0 or -EINVAL with the nearest name in `d`. */
int timeline_parse_levels(const char *list, unsigned int *levels, struct diag *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite file of a run: made from a spool once, then only read. */
#ifndef LLMPROBE_TRACE_STORE_H
#define LLMPROBE_TRACE_STORE_H

#include <stdbool.h>
#include <sqlite3.h>

#include "util/diag.h"
#include "util/progress.h"

/* In the SQLite header: tells a run from other databases, and which schema it has. */
enum { STORE_APPLICATION_ID = 0x4c4c4d50, STORE_VERSION = 1 };

struct store_convert_opts {
	bool force;			 /* replace an existing run file */
	const struct progress *progress; /* NULL: none */
};

/*
 * Turns `spool` into the run file `out` (through a temporary file, so `out` is whole or absent).
 * Interrupted spools give complete = 0 and a warning. Returns 0 or -errno with an error in `d`.
 */
int store_convert(const char *spool, const char *out, const struct store_convert_opts *opts,
		  struct diag *d);

/*
 * Opens a run for reading. A file that is no run, was written by a newer schema or is truncated is
 * refused with a reason; a left-over spool of the same name is pointed to. NULL on error.
 */
sqlite3 *store_open(const char *path, struct diag *d);

#endif

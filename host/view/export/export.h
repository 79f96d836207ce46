/* SPDX-License-Identifier: Apache-2.0 */
/* export: the public views of a run as CSV, JSON lines, or ready to load into PostgreSQL. */
#ifndef LLMPROBE_VIEW_EXPORT_H
#define LLMPROBE_VIEW_EXPORT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/diag.h"

enum export_format {
	EXPORT_CSV,	   /* RFC 4180; NULL is an empty field, an empty text is "" */
	EXPORT_JSONL,	   /* one object per line */
	EXPORT_POSTGRES,   /* CSV with the run's name in front, and load.sql for psql */
	EXPORT_PROMETHEUS, /* the metrics of prometheus.h, no table */
};

/* Names of the public views, ended by NULL. */
extern const char *const export_tables[];

/*
 * Writes one public view; `run` is the name for EXPORT_POSTGRES. *rows counts, may be NULL. An
 * unknown table is -EINVAL with the nearest name. Returns 0 or -errno with an error in `d`.
 */
int export_table(sqlite3 *db, const char *table, enum export_format format, const char *run,
		 FILE *out, uint64_t *rows, struct diag *d);
/* Writes all of them into the folder `dir`, one file each. */
int export_folder(sqlite3 *db, const char *dir, enum export_format format, const char *run,
		  bool force, struct diag *d);

#endif

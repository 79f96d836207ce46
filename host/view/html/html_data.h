/* SPDX-License-Identifier: Apache-2.0 */
/* The data of the html page: sums of a run as JSON, small whatever the size of the run. */
#ifndef LLMPROBE_VIEW_HTML_DATA_H
#define LLMPROBE_VIEW_HTML_DATA_H

#include <stdio.h>

#include "util/buf.h"
#include "view/timeline/timeline_sink.h"
#include "view/view.h"

/* JSON written piece by piece; commas come by themselves. */
struct json_out {
	FILE *out;
	bool comma;
	struct buf text; /* scratch */
};

void json_open(struct json_out *j, const char *key, char bracket); /* key NULL: no key */
void json_close(struct json_out *j, char bracket);
void json_text(struct json_out *j, const char *key, const char *text);
void json_number(struct json_out *j, const char *key, double value); /* null when not finite */
/* The columns of a row as one array. */
void json_row(struct json_out *j, sqlite3_stmt *row);
/* An array of such rows; a query that fails gives an empty one. */
void json_query(struct json_out *j, sqlite3 *db, const char *key, const char *sql);

/* One run as an object: figures, operators, steps, threads, experts, notes, timeline. */
int html_run_data(struct json_out *j, const struct view_run *run, const struct view_opts *o,
		  struct diag *d);
/*
 * The timeline strip: token rows and what each worker did in each of some thousand bins. Of runs
 * that are not too large also every operator row, of others a second, finer division into bins.
 */
int html_timeline(struct json_out *j, sqlite3 *db, const struct view_opts *o, struct diag *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views of recorded runs: one file per view, one line per view in the table of view.c. The command
 * line wires itself from that table and from `view_options`; a view prints to the FILE it is given
 * and adds at most one error to the sink.
 */
#ifndef LLMPROBE_VIEW_VIEW_H
#define LLMPROBE_VIEW_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sqlite3.h>

#include "util/diag.h"
#include "util/progress.h"

/* An opened run. `name` is what the user called it. */
struct view_run {
	const char *name;
	sqlite3 *db;
};

/* Zero-initialised means: text, no filter, everything, no colour, any width. Strings borrowed. */
struct view_opts {
	bool json, csv;
	bool colour;			 /* the edge decides: terminal, NO_COLOR, --colour */
	const struct progress *progress; /* NULL: none */
	bool force;			 /* overwrite the output file */
	bool ascii;			 /* no characters beyond ASCII */
	bool so_far;			 /* the run is what a recording that goes on has so far */
	int64_t width;			 /* columns of the terminal, 0: no terminal, no limit */
	int64_t limit;			 /* rows per table, 0: the view's own default, -1: all */
	const char *sort;		 /* column name, "-" in front for ascending order */
	const char *filter;		 /* glob list "MUL_MAT*,attn*" over op and tensor names */
	const char *phase;		 /* "prefill", "decode", "encode"; NULL: all */
	const char *layers;		 /* "3", "0-7"; NULL: all */
	const char *by;	       /* grouping: op, tensor, layer, class, thread, type, token */
	const char *table;     /* stat: which table */
	const char *format;    /* dot, svg, html, json, perfetto ... as the view says */
	const char *output;    /* file to write; NULL: the FILE given */
	const char *colour_by; /* dag: time, share, bandwidth, counter name */
	const char *peaks;     /* machine file or name; NULL: what the run or `calibrate` says */
	const char *levels;    /* timeline: comma list of levels */
	const char *fold;      /* dag: comma list of views, weights, layers, none */
	const char *fail_if;   /* diff: "tpot_p50 > +3%, tokens_per_s < -2%" */
	const char *from, *to; /* time range: "1.5s" after the start of the run */
	const char *sizes;     /* buckets: sizes to judge, "64,128,256" */
	int64_t count, step;   /* buckets: how many to choose, and of what they are multiples */
	const char *otlp;      /* export: where to send metrics and spans */
};

struct view {
	const char *name;
	const char *args;    /* "RUN" or "RUN RUN..." for the usage line */
	const char *help;    /* one line */
	const char *about;   /* what else its users want to know, or NULL */
	const char *options; /* names of view_options it knows, separated by blanks */
	int min_runs, max_runs;
	/* Prints the view of `n` runs. Returns 0, -errno with an error in `d`, or a positive exit
	 * status that is no failure of the view itself (diff --fail-if). */
	int (*print)(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
		     struct diag *d);
};

/* Each view is a constant at the end of its own file, named here and in the table of view.c. */
extern const struct view view_report, view_stat, view_diff, view_calibrate;
extern const struct view view_timeline, view_dag, view_export, view_html;
extern const struct view view_buckets, view_neuron;
/* Ended by NULL. */
extern const struct view *const views[];
const struct view *view_find(const char *name);

enum view_option_type { VIEW_FLAG, VIEW_STRING, VIEW_INT };

struct view_option {
	const char *name; /* without the dashes */
	char letter;	  /* short form, 0: none */
	enum view_option_type type;
	const char *arg; /* name of the argument in the help, NULL for flags */
	const char *help;
	size_t offset;		    /* in struct view_opts */
	const char *const *choices; /* the values there are, ended by NULL; NULL: any */
};

/* Ended by name == NULL. */
extern const struct view_option view_options[];
/* Whether `v` lists the option among its own. */
bool view_takes(const struct view *v, const struct view_option *opt);
/* Stores a value (NULL for flags); -EINVAL with an error in `d` when it is ill-formed. */
int view_option_set(struct view_opts *o, const struct view_option *opt, const char *value,
		    struct diag *d);

/*
 * Queries. `fmt` types the values bound to ?1, ?2..: 'i' int64_t, 's' const char *, 'd' double.
 * A statement that does not compile is a bug in the view or a damaged file: the error goes to `d`
 * (NULL: dropped) and NULL comes back; all the others accept a NULL statement.
 */
sqlite3_stmt *view_query(sqlite3 *db, struct diag *d, const char *sql, const char *fmt, ...);
/* True while there is a row; finalizes the statement at the end. */
bool view_step(sqlite3_stmt *stmt);
/* First column of the first row, or `none` when there is no row or it is NULL. */
int64_t view_int(sqlite3 *db, int64_t none, const char *sql, const char *fmt, ...);
double view_double(sqlite3 *db, double none, const char *sql, const char *fmt, ...);
/* A value of `run` as a new string, NULL when there is none. */
char *view_run_value(sqlite3 *db, const char *key);
const char *view_text(sqlite3_stmt *stmt, int col); /* never NULL; "" for NULL */

/* Whether a table has a column: runs of older versions may lack it. */
bool view_has_column(sqlite3 *db, const char *table, const char *column);

/* Which levels left rows in this run. */
struct view_levels {
	bool token, graph, op, op_sum, sched, counter, expert, wait;
};
struct view_levels view_levels(sqlite3 *db);

/* Begin and end of what was recorded, ns; both 0 when the run is empty. */
void view_span(sqlite3 *db, int64_t *begin, int64_t *end);
/* The time range the options ask for, absolute ns. -EINVAL with an error in `d`. */
int view_range(sqlite3 *db, const struct view_opts *o, int64_t *begin, int64_t *end,
	       struct diag *d);
/* "3" or "0-7" to two numbers; NULL gives -1..INT_MAX. */
int view_layers(const char *text, int *first, int *last, struct diag *d);
/* Whether one of the globs of the comma list matches; NULL matches everything. */
bool view_glob(const char *list, const char *name);

/* Operator classes. */
enum op_class {
	CLASS_MATMUL,
	CLASS_ATTENTION,
	CLASS_NORM,
	CLASS_ELEMENT,
	CLASS_MOVE,
	CLASS_OTHER,
	CLASS_COUNT
};
enum op_class view_op_class(const char *op);
const char *view_class_name(enum op_class c);

/* Percentile by linear interpolation between closest ranks; `sorted` ascending, p in 0..100. */
double view_percentile(const double *sorted, size_t n, double p);
int view_cmp_double(const void *a, const void *b); /* for qsort */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin's text tells that libbcc does not hand out: its comments, the names of its structs
 * and enums, which tables are histograms. A look at tokens, no parser: what it misses only costs
 * names.
 */
#ifndef LLMPROBE_PLUGIN_SCAN_H
#define LLMPROBE_PLUGIN_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/ctype.h"

/* `text` is the inside of a comment on one line; `start` is where that line of the file begins. */
typedef void (*scan_comment_fn)(void *ctx, const char *text, size_t len, int line,
				const char *start);
void scan_comments(const char *text, size_t len, scan_comment_fn fn, void *ctx);

struct scan_enum {
	char *name;
	struct ctype_enum *values;
	size_t n_values, cap;
};

/* A member that is declared as `enum NAME`, or by a typedef of an enum. */
struct scan_member {
	char *enum_name, *member;
};

/* A member that is an array of arrays. */
struct scan_dims {
	char *root, *path; /* ((ROOT *)0)->PATH is it */
	char *owner;	   /* the struct that it is in, as a declaration names it; "": unnamed */
	char *member;
	size_t n;	 /* dimensions */
	uint32_t *sizes; /* bytes behind 1..n brackets: for those who know; all 0 */
};

/* The enums, or what may be one, that a table's key and value are declared with; NULL: none. */
struct scan_table {
	char *name, *key, *value;
};

struct scan {
	char **structs; /* defined here, as a declaration names them: "struct key", "key_t" */
	size_t n_structs, cap_structs;
	struct scan_enum *enums;
	size_t n_enums, cap_enums;
	struct scan_member *members;
	size_t n_members, cap_members;
	struct scan_dims *dims;
	size_t n_dims, cap_dims;
	struct scan_table *tables;
	size_t n_tables, cap_tables;
	char **histograms; /* BPF_HISTOGRAM(name, ...) */
	size_t n_histograms, cap_histograms;
	bool uses_log2, uses_printk;
};

void scan_text(const char *text, size_t len, struct scan *out);
void scan_free(struct scan *s);
bool scan_is_histogram(const struct scan *s, const char *table);
/* Gives the integers of `t` the value names of their enums, by the members' names. */
void scan_name_enums(const struct scan *s, struct ctype *t);
/* The same for one integer, declared as "enum NAME". */
void scan_name_enum(const struct scan *s, const char *enum_name, struct ctype *t);
/* NULL: the text declares no table of that name with an enum. */
const struct scan_table *scan_table(const struct scan *s, const char *name);

#endif

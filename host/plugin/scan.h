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

/* A member that is declared as `enum NAME`. */
struct scan_member {
	char *enum_name, *member;
};

struct scan {
	char **structs; /* defined here, as a declaration names them: "struct key", "key_t" */
	size_t n_structs, cap_structs;
	struct scan_enum *enums;
	size_t n_enums, cap_enums;
	struct scan_member *members;
	size_t n_members, cap_members;
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

#endif

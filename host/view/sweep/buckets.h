/* SPDX-License-Identifier: Apache-2.0 */
/* buckets: what padding to fixed sizes costs, and which sizes cost least. */
#ifndef LLMPROBE_VIEW_BUCKETS_H
#define LLMPROBE_VIEW_BUCKETS_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"

struct buckets_length {
	int64_t length, count;
};

/* Lengths of the prompts in a run (tokens per prefill), ascending. The caller frees *out. */
int buckets_lengths(sqlite3 *db, struct buckets_length **out, size_t *n, struct diag *d);
/* "64,96,128" ascending into a new array; 0 or -EINVAL with an error in `d`. */
int buckets_parse(const char *text, int64_t **sizes, size_t *n, struct diag *d);

struct buckets_cost {
	int64_t tokens;	  /* of all prompts */
	int64_t padding;  /* tokens added */
	int64_t unserved; /* prompts longer than the largest bucket; they cost nothing here */
	int64_t *used;	  /* prompts per bucket, in the order given; may be NULL */
};
/* What the sizes (ascending) cost for the lengths. `used` of `out` is filled when not NULL. */
void buckets_cost(const struct buckets_length *lengths, size_t n, const int64_t *sizes, size_t k,
		  struct buckets_cost *out);
/*
 * The k sizes with the least padding, exact by dynamic programming; sizes are multiples of `step`
 * (1: any). Fills `sizes` ascending and returns how many it needed (at most k).
 */
size_t buckets_best(const struct buckets_length *lengths, size_t n, size_t k, int64_t step,
		    int64_t *sizes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operators.include and operators.exclude. A pattern of capitals, digits and underscores (and * or
 * ?) is matched against names of operators (MUL_MAT*), any other against names of tensors (Qcur-*,
 * blk.0.*). An operator is traced when an include pattern matches it and no exclude pattern does.
 */
#ifndef LLMPROBE_LEVEL_FILTER_H
#define LLMPROBE_LEVEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "probes/record.h"
#include "probes/state.h"
#include "target/layout.h"
#include "util/buf.h"
#include "util/diag.h"

struct filter;

struct filter_opts {
	const char *const *include, *const *exclude;
	size_t n_include, n_exclude;
};

/* NULL with an error when the tensor patterns are longer than what fits the program. */
struct filter *filter_new(const struct filter_opts *o, struct diag *d);
void filter_free(struct filter *f); /* NULL is fine */

/* Nothing is left out. */
bool filter_is_open(const struct filter *f);
/* True when tensor names count too. */
bool filter_has_names(const struct filter *f);
/* Traced by its operator alone, whatever its tensor is called. */
bool filter_takes_op(const struct filter *f, const char *op);
/* Those that filter_takes_op takes are at most half of the layout's, at least one, and no tensor
 * name counts: it pays to probe their functions instead of all operators. */
bool filter_is_narrow(const struct filter *f, const struct layout *l);
/* The function of this symbol may compute an operator that filter_takes_op takes; `ctx` is the
 * filter. Fits plan_opts.own_function. */
bool filter_wants_symbol(const void *ctx, const char *symbol);
/* The function that computes the operator alone, "ggml_compute_forward_rope"; free it. */
char *filter_function_of(const char *op);
/* True for operators that the code of a buffer type (repacked weights, AMX, KleidiAI) may compute
 * instead of their own function. */
bool filter_op_may_move(const char *op);

/* Warns about each operator pattern that matches nothing in the layout, with the nearest name.
 * Returns -ENOENT when so nothing can be traced at all, else 0. */
int filter_check(const struct filter *f, const struct layout *l, struct diag *d);

/* The defines of probes/walk.c and operator.c: FILTER, FILTER_IN_n, FILTER_OUT_n, FILTER_WORDS,
 * FILTER_IN_NAME_n, FILTER_OUT_NAME_n. */
void filter_defines(const struct filter *f, const struct layout *l, struct buf *out);
/* The table by which the programs match tensor names, and the starting states beside it. */
void filter_fill(const struct filter *f, struct filter_table *out);

#endif

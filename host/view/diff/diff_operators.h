/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of two runs side by side: compute time per decoded token and per token of a prompt.
 */
#ifndef LLMPROBE_VIEW_DIFF_OPERATORS_H
#define LLMPROBE_VIEW_DIFF_OPERATORS_H

#include "view/summary/summary.h"
#include "view/table.h"

/* Operators of either run, dearest first; one that a run does not have has no time there. `first`
 * and `other` head the columns and live as long as the table. Empty when a run has none of that
 * phase. */
struct table *diff_operators(sqlite3 *first_run, sqlite3 *other_run, enum summary_phase phase,
			     const char *first, const char *other);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What one counter over another tells: instructions per cycle, stalled cycles, cache misses. */
#ifndef LLMPROBE_VIEW_RATIO_H
#define LLMPROBE_VIEW_RATIO_H

#include <sqlite3.h>

#include "view/table.h"

/* `above` and `below` list names for the same thing; the first that was counted is taken. */
struct ratio {
	const char *key, *title;
	enum table_type type;
	const char *above, *below;
};

enum { RATIOS = 4 };
extern const struct ratio ratios[RATIOS];

/* Of an operator in a phase, or of all of the phase (op NULL); NAN when not counted. */
double ratio_value(sqlite3 *db, const struct ratio *r, const char *op, const char *phase);

#endif

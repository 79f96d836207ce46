/* SPDX-License-Identifier: Apache-2.0 */
/* printf formats: checked against types before the run, rendered with values during it. */
#ifndef LLMPROBE_SCRIPT_FORMAT_H
#define LLMPROBE_SCRIPT_FORMAT_H

#include "script/type/types.h"

struct conversion {
	const char *start, *end; /* in the format, % included */
	char flags[8];
	int width, precision; /* -1: none */
	bool width_arg, precision_arg;
	unsigned size; /* bytes that h and hh leave; 8 */
	char conv[3];  /* "d", "s", "r", "rx", "rh", "gr" */
};

/*
 * Finds the conversion at or after *pos and moves *pos behind it; text between is [*pos before,
 * c->start). %% is a conversion of its own ("%"); a '%' that begins none is text. False at the end.
 */
bool format_next(const char **pos, struct conversion *c);

/* Whether there are values for it: not for those of fractions. */
bool conversion_known(const struct conversion *c);
bool conversion_takes(const struct conversion *c, const struct type *t);

#endif

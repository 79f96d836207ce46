/* SPDX-License-Identifier: Apache-2.0 */
/* What the figures of a run mean and what to try: one rule per finding. */
#ifndef LLMPROBE_VIEW_ADVICE_H
#define LLMPROBE_VIEW_ADVICE_H

#include "view/summary/summary.h"

enum severity { SEVERITY_GOOD, SEVERITY_NOTE, SEVERITY_WARN, SEVERITY_BAD };

struct finding {
	enum severity severity;
	char *text; /* what was found, with its figure */
	char *try;  /* what to try, naming the figure it follows from; NULL: nothing */
};

struct findings {
	struct finding *v;
	size_t n, cap;
};

/* Worst first. Free with findings_free. */
void findings_make(const struct summary *s, struct findings *out);
void findings_free(struct findings *f);
const char *severity_name(enum severity s);

#endif

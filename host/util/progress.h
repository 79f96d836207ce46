/* SPDX-License-Identifier: Apache-2.0 */
/* How long work says how far it is; who shows that, and where, is up to the caller at the edge. */
#ifndef LLMPROBE_UTIL_PROGRESS_H
#define LLMPROBE_UTIL_PROGRESS_H

#include <stddef.h>

struct progress {
	/* what: a word for the work; done: 0 to 1, 1 exactly once, at its end. */
	void (*show)(void *ctx, const char *what, double done);
	void *ctx;
};

/* `p` may be NULL: nobody wants to know. */
static inline void progress_show(const struct progress *p, const char *what, double done)
{
	if (p)
		p->show(p->ctx, what, done);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The live view of a session's target: `llmprobe top`, and `top` at the prompt. */
#ifndef LLMPROBE_CMD_LIVE_H
#define LLMPROBE_CMD_LIVE_H

#include <stdio.h>

#include "cmd/trace.h"

struct live_opts {
	struct trace *trace;  /* opened with wants_names, signals caught */
	uint64_t duration_ns; /* 0: until it is ended */
	bool colour;
	/* What else is due whenever events were handled; may be absent. */
	void (*turn)(void *ctx);
	void *ctx;
};

/*
 * Shows the target until q is pressed, SIGINT or SIGTERM comes, the duration is over or the target
 * has ended; events are handled meanwhile. Full screen on a terminal, else a line per second.
 * Returns 0 or -errno with an error in `d`.
 */
int live_show(const struct live_opts *o, FILE *out, struct diag *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Watchpoints: each in a set of links of its own, so that unwatch() takes off those of an address.
 */
#include <linux/hw_breakpoint.h>
#include <stdlib.h>
#include <string.h>

#include "script/script_impl.h"
#include "util/alloc.h"

int script_watch(struct script *s, const struct attach *a, int prog_fd, struct diag *d)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_BREAKPOINT,
		.sample_period = 1,
		.bp_addr = a->address,
		.bp_len = a->period,
	};
	pid_t pid = s->o.pid ? s->o.pid : s->o.cpid;
	struct watchpoint *w = VEC_PUSH(s->watchpoints, s->n_watchpoints, s->cap_watchpoints);

	*w = (struct watchpoint){a->address, links_new(s->o.reaper)};
	for (const char *m = a->mode; *m; m++)
		attr.bp_type |= *m == 'r'   ? HW_BREAKPOINT_R
				: *m == 'w' ? HW_BREAKPOINT_W
					    : HW_BREAKPOINT_X;
	if (attr.bp_type == HW_BREAKPOINT_X)
		attr.bp_len = sizeof(long);
	if (pid)
		return links_perf_process(w->links, prog_fd, &attr, pid, d);
	return links_perf_event(w->links, prog_fd, &attr, -1, -1, d);
}

static void take_off(struct watchpoint *w)
{
	links_free(w->links);
	w->links = NULL;
}

void script_unwatch(struct script *s)
{
	for (size_t i = 0; i < s->n_watchpoints; i++)
		take_off(&s->watchpoints[i]);
	free(s->watchpoints);
	s->watchpoints = NULL;
	s->n_watchpoints = s->cap_watchpoints = 0;
}

void script_unwatch_address(void *script, uint64_t address)
{
	struct script *s = script;

	for (size_t i = 0; i < s->n_watchpoints; i++)
		if (s->watchpoints[i].address == address)
			take_off(&s->watchpoints[i]);
}

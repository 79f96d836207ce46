/* SPDX-License-Identifier: Apache-2.0 */
#include "level/level.h"

static const char *const files[] = {"probes/graph_uid.h", "probes/graph.c", "probes/backend.c",
				    "probes/call.c", NULL};

static const struct level_event events[] = {
	{.event = "graph_begin", .macro = "graph_begin", .args = {"graph", "backend"}},
	{.event = "graph_end", .macro = "graph_end", .is_end = true},
	{.event = "scheduler_seen", .macro = "scheduler_seen", .args = {"scheduler"}},
	{.event = "call_begin", .macro = "call_begin", .open_args = true},
	{.event = "call_end", .macro = "call_end", .args = {"ret"}, .is_end = true},
	{.event = NULL},
};

static int defines(struct buf *out, const struct level_input *in, struct diag *d)
{
	level_define_field(out, in->layout, LAYOUT_CGRAPH_UID, "LAYOUT_CGRAPH_UID");
	level_define_field(out, in->layout, LAYOUT_BACKEND_GUID, "LAYOUT_BACKEND_GUID");
	level_define_field(out, in->layout, LAYOUT_SCHED_N_BACKENDS, "LAYOUT_SCHED_N_BACKENDS");
	level_define_field(out, in->layout, LAYOUT_SCHED_BACKENDS, "LAYOUT_SCHED_BACKENDS");
	level_define_field(out, in->layout, LAYOUT_BACKEND_GRAPH_COMPUTE,
			   "LAYOUT_BACKEND_GRAPH_COMPUTE");
	return level_require_field(out, in->layout, LAYOUT_CGRAPH_N_NODES, "LAYOUT_CGRAPH_N_NODES",
				   d);
}

const struct level level_graph = {
	.id = LEVEL_GRAPH,
	.help = "one row per graph computation of a backend: which one, how many nodes",
	.files = files,
	.events = events,
	.needs_layout = true,
	.defines = defines,
};

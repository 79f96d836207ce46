/* SPDX-License-Identifier: Apache-2.0 */
#include "level/level.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "level/filter.h"
#include "probes/state.h"

/* In the order of use: an operator's begin may send experts, a graph's begin closes operators. */
static const char *const files[] = {
	"probes/graph_uid.h", "probes/counter.c", "probes/expert.c", "probes/operator.c",
	"probes/node.c",      "probes/walk.c",	  "probes/call.c",   NULL};

static const struct level_event events[] = {
	{.event = "op_begin", .macro = "op_begin", .args = {"params", "tensor"}, .is_common = true},
	{.event = "op_fused",
	 .macro = "op_fused",
	 .args = {"params", "tensor", "consumer"},
	 .is_common = true},
	{.event = "op_own", .macro = "op_own", .args = {"params", "tensor"}, .is_own = true},
	{.event = "op_own_fused",
	 .macro = "op_own_fused",
	 .args = {"params", "tensor", "consumer"},
	 .is_own = true},
	{.event = "op_end", .macro = "op_end", .is_own = true, .is_end = true},
	{.event = "op_barrier", .macro = "op_barrier", .is_barrier = true, .is_common = true},
	{.event = "op_node",
	 .macro = "op_node",
	 .args = {"params", "graph", "next"},
	 .is_common = true,
	 .is_node = true},
	{.event = "op_graph_begin", .macro = "op_graph_begin", .args = {"graph"}},
	{.event = "op_graph_end", .macro = "op_graph_end", .is_end = true},
	{.event = "call_begin", .macro = "call_begin", .open_args = true},
	{.event = "call_end", .macro = "call_end", .args = {"ret"}, .is_end = true},
	{.event = NULL},
};

static const struct level_program programs[] = {
	{.name = "graph_walk", .jump = JUMP_WALK},
	{.name = "expert_rows", .jump = JUMP_EXPERT},
	{.name = "node_switch", .tracepoint = "sched_switch", .jump = -1},
	{.name = NULL},
};

static const struct {
	enum layout_field field;
	const char *name;
} required[] = {
	{LAYOUT_TENSOR_SIZE, "LAYOUT_TENSOR_SIZE"},
	{LAYOUT_TENSOR_OP, "LAYOUT_TENSOR_OP"},
	{LAYOUT_TENSOR_NE, "LAYOUT_TENSOR_NE"},
	{LAYOUT_TENSOR_SRC, "LAYOUT_TENSOR_SRC"},
	{LAYOUT_CGRAPH_N_NODES, "LAYOUT_CGRAPH_N_NODES"},
	{LAYOUT_CGRAPH_NODES, "LAYOUT_CGRAPH_NODES"},
	{LAYOUT_PARAMS_ITH, "LAYOUT_PARAMS_ITH"},
};

static int type_number(const struct layout *l, const char *name)
{
	for (size_t i = 0; i < layout_type_count(l); i++)
		if (strcmp(layout_type(l, i)->name, name) == 0)
			return (int)i;
	return -1;
}

/* Experts are read where the engine has the operator and its tensors' data can be found. */
static void expert_defines(struct buf *out, const struct layout *l)
{
	int op = layout_op_number(l, "MUL_MAT_ID"), i32 = type_number(l, "i32");

	if (op < 0 || i32 < 0 || layout_get(l, LAYOUT_TENSOR_NB) < 0 ||
	    layout_get(l, LAYOUT_TENSOR_DATA) < 0)
		return;
	buf_printf(out, "#define LAYOUT_OP_MUL_MAT_ID %d\n#define LAYOUT_TYPE_I32 %d\n", op, i32);
	level_define_field(out, l, LAYOUT_TENSOR_NB, "LAYOUT_TENSOR_NB");
	level_define_field(out, l, LAYOUT_TENSOR_DATA, "LAYOUT_TENSOR_DATA");
}

/* What the loop over nodes leaves out since 2025-09. */
static const char *const empty_ops[] = {"NONE", "VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"};

static int node_defines(struct buf *out, const struct level_input *in, struct diag *d)
{
	const struct layout *l = in->layout;
	uint64_t bits[FILTER_OP_WORDS] = {0};

	for (size_t i = 0; i < ARRAY_LEN(empty_ops); i++) {
		int op = layout_op_number(l, empty_ops[i]);

		if (op >= 0 && op < 64 * FILTER_OP_WORDS)
			bits[op / 64] |= UINT64_C(1) << op % 64;
	}
	buf_puts(out, "#define NODE_ENDS 1\n");
	if (in->typed_sched && in->task_storage)
		buf_puts(out, "#define NODE_GAPS 1\n");
	for (size_t i = 0; i < FILTER_OP_WORDS; i++)
		buf_printf(out, "#define EMPTY_OPS_%zu 0x%" PRIx64 "ULL\n", i, bits[i]);
	return level_require_field(out, l, LAYOUT_TENSOR_FLAGS, "LAYOUT_TENSOR_FLAGS", d);
}

/* Where names count they must be known. */
static int define_name(struct buf *out, const struct layout *l, struct diag *d)
{
	int err = level_require_field(out, l, LAYOUT_TENSOR_NAME_LEN, "LAYOUT_TENSOR_NAME_LEN", d);

	if (!err && layout_get(l, LAYOUT_TENSOR_NAME) < 0)
		return diag_fail(d, -ENODATA,
				 "this engine's tensors have no names that could be found: "
				 "operators.include can name operators only (MUL_MAT)");
	return err;
}

static int defines(struct buf *out, const struct level_input *in, struct diag *d)
{
	const struct layout *l = in->layout;
	int err = 0;

	buf_printf(out, "#define LAYOUT_ID %u\n#define JUMP_BASE %u\n", in->layout_id,
		   JUMP_COUNT * in->layout_id);
	level_define_field(out, l, LAYOUT_CGRAPH_UID, "LAYOUT_CGRAPH_UID");
	level_define_field(out, l, LAYOUT_TENSOR_NAME, "LAYOUT_TENSOR_NAME");
	level_define_field(out, l, LAYOUT_PARAMS_TYPE, "LAYOUT_PARAMS_TYPE");
	if (in->filter)
		filter_defines(in->filter, l, out);
	if (in->filter && filter_has_names(in->filter))
		err = define_name(out, l, d);
	if (layout_get(l, LAYOUT_CGRAPH_NODES_INLINE) == 1)
		buf_puts(out, "#define LAYOUT_CGRAPH_NODES_INLINE 1\n");
	expert_defines(out, l);
	if (!err && in->node_ends)
		err = node_defines(out, in, d);
	if (in->counters)
		counters_text(in->counters, in->task, MAP_COUNTER, out);
	for (size_t i = 0; !err && i < ARRAY_LEN(required); i++)
		err = level_require_field(out, l, required[i].field, required[i].name, d);
	return err;
}

const struct level level_operator = {
	.id = LEVEL_OPERATOR,
	.help = "one row per operator and worker thread: tensor, op, shape, compute, barrier wait",
	.files = files,
	.events = events,
	.programs = programs,
	.needs_layout = true,
	.defines = defines,
};

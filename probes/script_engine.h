/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/* What the fronts of a script's engine probes hand to its programs, per thread and program. */
#ifndef LLMPROBE_SCRIPT_ENGINE_H
#define LLMPROBE_SCRIPT_ENGINE_H

enum {
	ENGINE_PROGRAMS = 32,
	ENGINE_DEPTH = 4,
	ENGINE_LAYOUTS = 8,
	ENGINE_OP_NAMES = 256, /* of a layout; its types' names follow */
	ENGINE_TYPE_NAMES = 64,
	ENGINE_NAMES = ENGINE_OP_NAMES + ENGINE_TYPE_NAMES,
	ENGINE_NAME_BYTES = 32,
	ENGINE_TENSOR_NAME = 64,
};

/* Numbers behind EXTERN_MAP. */
enum engine_map {
	ENGINE_MAP_PROCESS = 4000, /* hash tgid -> struct engine_process: the targets */
	ENGINE_MAP_NAMES,	   /* array [layout][op or type] -> text */
	ENGINE_MAP_JUMP,	   /* program array */
	ENGINE_MAP_STATE	   /* + program: task storage of struct engine_call */
};

enum { ENGINE_NO_PHASE, ENGINE_PREFILL, ENGINE_DECODE, ENGINE_ENCODE };

struct engine_token {
	u64 context, begin_ns, id;
	s32 n_tokens;
	u32 phase;
};

struct engine_process {
	struct engine_token token; /* the call that began last */
	u64 graph_end_ns;
	u64 ids[ENGINE_PROGRAMS + 1]; /* token calls that each program has seen */
};

struct engine_op {
	u64 tensor, begin_ns, barrier_ns, end_ns, next_ns;
	s64 ne[4];
	char name[ENGINE_TENSOR_NAME];
	char backend[16];
	u32 op, type, ith, cpu, layout, pad;
};

struct engine_frame {
	u64 graph, begin_ns;
	s32 n_nodes;
	u32 silent; /* the enclosing frame stands for it */
	char backend[16];
};

struct engine_call {
	struct engine_token token;
	u64 end_ns, sp;
	s32 ret;
	u32 depth;   /* of token calls */
	u32 running; /* op[running & 1] runs, the other one has ended */
	u32 frames;
	u32 shown; /* the frame that the event is about */
	u32 pad;
	struct engine_op op[2];
	struct engine_frame frame[ENGINE_DEPTH];
};

#endif

/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/* What the fronts of a script's engine probes hand to its programs, per thread and program. */
#ifndef LLMPROBE_SCRIPT_ENGINE_H
#define LLMPROBE_SCRIPT_ENGINE_H

enum {
	ENGINE_PROGRAMS = 32,
	ENGINE_WORKERS = 4096, /* threads that compute at one time, of all targets */
	ENGINE_THREADS = 16384,
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
	ENGINE_MAP_PROCESS = 3900, /* hash tgid -> struct engine_process: the targets */
	ENGINE_MAP_NAMES,	   /* array [layout][op or type] -> text */
	ENGINE_MAP_JUMP,	   /* program array */
	ENGINE_MAP_GUIDS,	   /* hash GUID -> name of a backend */
	ENGINE_MAP_STATE = 4000,   /* + program: task storage of struct engine_call; of sched
				    * probes a per-CPU array of one struct engine_sched */
	ENGINE_MAP_WORK = 4048	   /* + program: hash struct engine_worker -> struct engine_op, of
				    * sched probes a hash tid -> struct engine_off */
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
	u64 graphs;		      /* computations begun: a worker keeps its index within one */
	u64 lost;		      /* operators for which there was no room */
	u64 ids[ENGINE_PROGRAMS + 1]; /* token calls that each program has seen */
};

/* A thread's place in the computation of a graph. */
struct engine_worker {
	u64 group; /* what all its workers share */
	u32 tgid, ith;
};

struct engine_op {
	u64 tensor, begin_ns, barrier_ns, end_ns, next_ns;
	s64 ne[4];
	char name[ENGINE_TENSOR_NAME];
	char backend[16];
	u32 op, type, ith, cpu, layout, tid;
};

/* The experts that a MUL_MAT_ID was told to use. */
struct engine_experts {
	u64 data, row_bytes;
	u64 ids; /* the tensor that holds them */
	u64 graphs;
	u32 n_used, n_tokens, slot, row;
	s32 chosen;
	u32 pad;
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
	u32 depth; /* of token calls */
	u32 frames;
	u32 shown;  /* the frame that the event is about */
	u64 rounds; /* events that this hit stands for */
	u32 sweep;  /* they are the last operators of all workers, else `op` is the one */
	u32 workers;
	u64 graphs; /* engine_process.graphs when `worker` was read */
	struct engine_worker worker;
	struct engine_op op;
	struct engine_experts experts;
	struct engine_frame frame[ENGINE_DEPTH];
};

/* Where a thread was when it left its CPU. */
struct engine_off {
	u64 since_ns;
	u32 state, by_tid;
	char by_comm[16];
};

struct engine_sched {
	s64 dur_ns;
	u32 tid, state, by_tid, target_cpu;
	char comm[16], by_comm[16];
};

#ifdef INLINE
/* `done` becomes the running operator, over at `now` at the latest. */
INLINE void engine_op_close(struct engine_op *done, struct engine_op *running, u64 now)
{
	__builtin_memcpy(done, running, sizeof(*done));
	running->tensor = 0;
	done->end_ns = done->barrier_ns ? done->barrier_ns : now;
	done->next_ns = now;
}
#endif

#endif

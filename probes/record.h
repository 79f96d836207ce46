/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * The records that travel from the kernel to the spool. BPF text and host share this header.
 *
 * Every record starts with struct rec_head. Records are multiples of 8 bytes, zeroed before they
 * are filled, and times are ns of CLOCK_MONOTONIC. A reader checks `size` before it looks further.
 * Addresses are the target's own and serve as identities only.
 */
#ifndef LLMPROBE_RECORD_H
#define LLMPROBE_RECORD_H

#ifndef LLMPROBE_BPF
/* In BPF text these come with the kernel's types. */
typedef __UINT8_TYPE__ u8;
typedef __UINT16_TYPE__ u16;
typedef __UINT32_TYPE__ u32;
typedef __UINT64_TYPE__ u64;
typedef __INT32_TYPE__ s32;
typedef __INT64_TYPE__ s64;
#endif

/* Also the index into the loss counters and the order of shedding, last first. */
enum rec_level {
	LEVEL_TOKEN,
	LEVEL_GRAPH,
	LEVEL_OPERATOR,
	LEVEL_SCHEDULER,
	LEVEL_COUNTERS,
	LEVEL_PLUGIN, /* records of scripts and plugins */
	LEVEL_COUNT
};

enum rec_kind {
	REC_NONE,	  /* never written: a zero here marks a hole */
	REC_TOKEN_BEGIN,  /* struct rec_token */
	REC_TOKEN_END,	  /* struct rec_token */
	REC_GRAPH_BEGIN,  /* struct rec_graph */
	REC_GRAPH_END,	  /* struct rec_graph */
	REC_TENSOR,	  /* struct rec_tensor + the raw bytes of the tensor struct */
	REC_OPS,	  /* struct rec_ops + slots */
	REC_OP_SUM,	  /* struct rec_op_sum (operators.mode: summary), written by the host */
	REC_SCHED_SWITCH, /* struct rec_switch */
	REC_SCHED_WAKEUP, /* struct rec_wakeup */
	REC_EXPERT,	  /* struct rec_expert + experts */
	REC_CALL,	  /* struct rec_call: an engine API call (CUDA, Vulkan, Neuron, ...) */
	REC_PLUGIN,	  /* struct rec_plugin + bytes of the plugin's own struct */
	REC_BACKEND,	  /* struct rec_backend */
	REC_THREAD, /* struct rec_head alone: a thread's first hit, for the host's attention */
	REC_KIND_COUNT
};

/* How records lie in the blocks of memory and file that hold many of them. */
enum record_block {
	BLOCK_RING = 1,	 /* as in a BPF ring buffer, each behind its header */
	BLOCK_PLAIN = 2, /* back to back */
	BLOCK_NOTE = 3,	 /* none, but a note of the host */
};

struct rec_head {
	u16 size; /* whole record, head included */
	u8 kind;  /* enum rec_kind */
	u8 level; /* enum rec_level */
	u32 tid;
	u32 pid;
	u16 cpu;
	u16 point; /* which probe point of the plan, see the spool's "point" notes */
	u64 ts_ns;
};

/* A decode or encode call: the begin has n_tokens and flags, the end the return value. */
struct rec_token {
	struct rec_head head;
	u64 context; /* address of the llama_context */
	s32 n_tokens;
	s32 ret;
	u32 flags; /* TOKEN_* */
	u32 pad;
};

/* Several tokens of one sequence; one for each of several, as when a server decodes for its users
 * at once, is none. */
#define TOKEN_PREFILL 1

/* One computation of one graph by one backend. `depth` counts enclosing ones on the same thread. */
struct rec_graph {
	struct rec_head head;
	u64 graph;
	u64 uid; /* the engine's own graph id, 0 where it has none */
	u64 backend;
	s32 n_nodes;
	u32 depth;
	u8 guid[16]; /* of the backend, zero when there is none to read */
};

/*
 * A tensor struct as it lies in the target. The spool's layout note says how to read it. Sent when
 * a graph is first computed and again when the content changed: until then an address keeps its
 * meaning, so a reader looks up the newest record of that pid and address before an operator.
 */
struct rec_tensor {
	struct rec_head head;
	u64 tensor;
	u64 graph;
	u32 generation; /* of the graph: counts its walks */
	u16 layout;	/* which layout note */
	u16 index;	/* position in the graph's node list, 0xffff for a source that is no node */
	u16 raw_len;
	u16 pad[3];
	/* u8 raw[raw_len], padded to 8 */
};

enum op_flags {
	OP_FUSED = 1,	    /* `tensor` is the first of a fused pair, its consumer ran too */
	OP_HAS_BARRIER = 2, /* end_ns was seen; otherwise it equals next_ns and wait is unknown */
	OP_GRAPH_LAST = 4,  /* next_ns is the end of the graph call, not a following operator */
	OP_COUNTED = 16,    /* the counter values are good */
	OP_CUT = 8,	    /* tracing ended while it ran: it lasted to the end of its graph */
};

/* One operator on one worker thread. */
struct op_slot {
	u64 tensor;
	u64 begin_ns;
	u64 end_ns;  /* last barrier entry before next_ns: end of compute */
	u64 next_ns; /* begin of the thread's next operator: end of the barrier wait */
	u16 cpu;     /* at begin */
	u16 ith;     /* worker index */
	u16 flags;   /* enum op_flags */
	u16 end_cpu; /* at the end; differs from cpu when the thread migrated */
};

/* A thread's operators, sent in batches. head.ts_ns is the time of sending. */
struct rec_ops {
	struct rec_head head;
	u16 n;		/* slots */
	u16 n_counters; /* counter values after each slot */
	u32 first;	/* running number of the first slot of this thread, to notice a hole */
	/* n times: struct op_slot, then u64 delta[n_counters] and, when n_counters > 0,
	 * u64 enabled_ns, running_ns (equal when the counters were not multiplexed) */
};

enum { OP_SUM_BUCKETS = 32 };

/* What a tensor cost on one thread since the last such record (mode: summary). */
struct rec_op_sum {
	struct rec_head head;
	u64 tensor;
	u64 count;
	u64 compute_ns, compute_min_ns, compute_max_ns;
	u64 wait_ns;
	u16 ith;
	u16 flags;
	u32 pad;
	u32 log2[OP_SUM_BUCKETS]; /* compute time: bucket b holds [2^b, 2^(b+1)) ns */
};

/* Context switch in which a target thread takes part; both sides as the kernel named them. */
struct rec_switch {
	struct rec_head head; /* tid, pid: the previous task */
	u32 next_tid, next_pid;
	u32 prev_state; /* raw task state, 0: still runnable (preempted) */
	u8 preempt;
	u8 pad[3];
	char prev_comm[16], next_comm[16];
	u64 prev_run_delay_ns, next_run_delay_ns; /* the kernel's own sums, 0 when not readable */
};

struct rec_wakeup {
	struct rec_head head; /* tid, pid: the waker */
	u32 wakee_tid, wakee_pid;
	u32 target_cpu;
	u32 pad;
	char waker_comm[16];
};

/* Experts of some tokens of one MUL_MAT_ID. */
struct rec_expert {
	struct rec_head head; /* ts_ns: begin_ns of the operator's slot */
	u64 tensor;	      /* the MUL_MAT_ID node */
	u32 first_token;      /* row of the first of them within the batch */
	u16 n_tokens, n_used;
	/* s32 expert[n_tokens][n_used], padded to 8 */
};

/* A traced call of an engine's API, from entry to return. */
struct rec_call {
	struct rec_head head; /* ts_ns: entry; point names the function */
	u64 end_ns;
	u64 arg[4]; /* as the engine file says */
	s64 ret;
};

/* A backend of a scheduler, sent when the scheduler is first seen; the host plans from it. */
struct rec_backend {
	struct rec_head head;
	u64 backend;
	u64 compute; /* address of its compute function */
	u8 guid[16]; /* zero when there is none to read */
};

struct rec_plugin {
	struct rec_head head; /* point: the plugin's table id */
	u32 len;
	u32 pad;
	/* u8 data[len], padded to 8 */
};

#endif

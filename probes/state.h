/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * State that BPF programs keep between hits. The host makes these maps, so that the modules of
 * different levels share them and one can be reloaded without disturbing the others.
 */
#ifndef LLMPROBE_STATE_H
#define LLMPROBE_STATE_H

/* Numbers of the host-made maps; the text names them as EXTERN_MAP(n). */
enum extern_map {
	MAP_EVENTS,	 /* the transport: ring buffer or perf event array */
	MAP_LEVEL,	 /* per-CPU array [enum rec_level] -> struct level_count */
	MAP_THREAD_SLOT, /* task storage (or hash by tid) -> u32 slot + 1 */
	MAP_RECENT_SLOT, /* per-CPU array of one u64, see RECENT_* */
	MAP_FREE_SLOT,	 /* queue of free slots */
	MAP_THREAD,	 /* mmapable array [slot] -> struct thread_state */
	MAP_GRAPH,	 /* hash struct graph_key -> struct graph_info */
	MAP_SEEN,	 /* LRU hash struct tensor_key -> u64 content hash */
	MAP_JUMP,	 /* program array, enum jump */
	MAP_CONTROL,	 /* array [enum control] -> u64 */
	MAP_MOE,	 /* hash struct tensor_key -> struct moe_ids */
	MAP_TARGET,	 /* hash u32 tgid -> u32 */
	MAP_TARGET_BITS, /* array [64] -> u64: which tgid & 4095 may be targets */
	MAP_SUMMARY,	 /* hash struct summary_key -> struct op_summary */
	MAP_COUNTER,	 /* perf event array [thread slot * counters + counter] */
	MAP_FILTER,	 /* array of one struct filter_table */
	MAP_RUN,	 /* array [slot] -> struct graph_run */
	MAP_RUN_SLOT,	 /* queue of slots in the order in which they are given away */
	MAP_NODE,	 /* array [slot * NODES_MAX + index of the node] -> u64, see NODE_* */
	MAP_COUNT
};

/* The thread that ran a program last on a CPU and its slot, in one word so that no other program
 * can come between. The tid in the slot has the last word: the host clears it with the slot. */
#define RECENT_WORD(tid, slot) ((u64)(slot) << 32 | (tid))
#define RECENT_TID(word)       ((u32)(word))
#define RECENT_SLOT(word)      ((u32)((word) >> 32))

/* Programs in MAP_JUMP, counted from JUMP_COUNT * LAYOUT_ID: they belong to a layout. */
enum jump { JUMP_WALK, JUMP_EXPERT, JUMP_COUNT };

enum control {
	CONTROL_GRAPHS,	    /* graph computations begun: a worker's index holds within one */
	CONTROL_WALKS,	    /* graphs whose tensors were sent; operators wait for the first */
	CONTROL_OPERATORS,  /* operators are wanted: all the level's probes are in */
	CONTROL_MOE,	    /* entries ever made in MAP_MOE */
	CONTROL_DECODES,    /* token ends seen, for sampling and the governor */
	CONTROL_DECODE_NS,  /* time spent between token begin and end */
	CONTROL_NO_BARRIER, /* barrier probes are being taken off or are not on: waits are not known
			     */
	CONTROL_HOLDS, /* targets are traced by us: SIGSTOP holds a thread until the host has read
			*/
	CONTROL_COUNTERS, /* a new thread is waited for: its counters are to be opened */
	CONTROL_COUNT
};

enum {
	THREAD_SLOTS = 256,
	BATCH_BYTES = 3072,
	GRAPH_DEPTH = 4,      /* a power of two */
	CALL_DEPTH = 8,	      /* a power of two */
	SCRATCH_BYTES = 2048, /* as many as the mask in expert_send lets through */
	MAX_COUNTERS = 8,
	WALK_SOURCES = 8, /* a power of two: the verifier sees the index bounded by a mask */
	RUN_SLOTS = 64,	  /* graphs whose nodes are known by index */
	NODES_MAX = 8192, /* of them */
	FILTER_WORDS_MAX = 4,
	FILTER_OP_WORDS = 4, /* operator numbers below 256 */
};

/* Per CPU, summed by the host. */
struct level_count {
	u64 lost;	  /* events that found no room */
	u64 hits;	  /* program runs (operator level: see struct thread_state) */
	u64 lost_tensors; /* tensor records that found no room; they are sent again */
};

struct graph_frame {
	u64 graph;
	u64 uid;
	u64 backend;
	s32 n_nodes;
	u16 point;
	u16 silent; /* the enclosing frame stands for it */
};

/* An API call that has not returned yet. */
struct call_frame {
	u64 begin_ns;
	u64 arg[4];
	u32 point, pad;
};

/* What the walk over a graph's nodes carries from one tail call to the next. */
struct walk_state {
	u64 nodes; /* address of the array of node pointers */
	u64 graph;
	u64 last_ids;
	u32 generation;
	u32 n, i;
	u32 point;
	u32 failed; /* tensors that could not be sent */
	u32 n_sources;
	u32 run_slot;
	u32 computed; /* index + 1 of the last node so far that is computed, 0: none */
	u32 pad;
	u64 source[WALK_SOURCES]; /* of the last node, still to be sent */
};

/* A MUL_MAT_ID whose chosen experts are being sent. */
struct expert_state {
	u64 tensor;
	u64 next; /* address of the next row */
	u64 row_bytes;
	u64 begin_ns; /* of the operator: what its row is found by */
	u32 n_used, n_tokens, i;
	u32 point;
};

/* The operator that runs now on a thread. */
struct op_pending {
	u64 tensor; /* 0: none */
	u64 begin_ns;
	u64 barrier_ns; /* last barrier entry since begin_ns, 0: none */
	u16 cpu, ith, flags, barrier_cpu;
	u32 nested;  /* operator functions that it called, still open */
	u32 at_end;  /* it was seen at its end: barrier_ns is that */
	u64 counted; /* the readings are good */
	u64 counter[MAX_COUNTERS + 2], counter_end[MAX_COUNTERS + 2]; /* + enabled, running ns */
};

/*
 * One per thread of a target. Only its thread writes to it (programs of one thread do not nest),
 * the host reads it when the programs are detached.
 */
struct thread_state {
	u32 tid, pid;
	u32 n_ops;  /* slots filled in `batch` */
	u32 first;  /* running number of the first slot in `batch` */
	u32 depth;  /* enclosing graph computations */
	u32 slot;   /* index of itself */
	u64 graphs; /* CONTROL_GRAPHS when `ith` was read */
	u16 ith;    /* the thread's worker index */
	u16 pad[3];
	/* Where operators are seen at their ends: */
	u64 run_graph;
	u64 entry_ns;		   /* when the worker began */
	u64 off_ns;		   /* when it lost the CPU last */
	u64 gap_off_ns, gap_on_ns; /* the last time without a CPU in which another one arrived */
	u64 run;		   /* of struct graph_run */
	u32 run_slot;
	u32 node_next;	 /* nodes before this index have ended */
	u32 nodes_ended; /* of this computation, on this thread */
	u32 run_pad;
	u64 op_hits, barrier_hits; /* program runs of the operator level */
	struct op_pending op;
	struct walk_state walk;
	struct expert_state expert;
	struct graph_frame frame[GRAPH_DEPTH];
	u32 n_calls, n_calls_pad;
	struct call_frame call[CALL_DEPTH];
	struct rec_ops head; /* directly followed by the slots: sent as one record */
	u8 batch[BATCH_BYTES];
	u8 scratch[SCRATCH_BYTES]; /* records too large for the BPF stack are built here */
};

struct graph_key {
	u64 graph;
	u64 pid;
};

struct graph_info {
	u64 uid;
	u32 generation;
	s32 n_nodes;
	u32 run_slot, pad;
};

/* A graph whose nodes are known by index, and its present computation. */
struct graph_run {
	u64 graph, pid; /* whose slot it is */
	u64 begin_ns;
	u64 arrival_ns[2]; /* latest arrival at the end of a node, of every other one */
	u64 run;	   /* CONTROL_GRAPHS at its begin: no two of a graph have the same */
	u32 n_nodes, pad;
};

/* What MAP_NODE knows of a node: its address above these bits. */
#define NODE_COMPUTED	   1ULL /* not only a view of something, or empty */
#define NODE_EXPERTS	   2ULL /* it has an entry in MAP_MOE */
#define NODE_BACK(word)	   ((u32)((word) >> 2) & 0x3fff) /* to the computed node before, 0: none */
#define NODE_TENSOR(word)  ((word) >> 16)
#define NODE_WORD(address) ((address) << 16)
#define NODE_ENTRY	   (~0ULL) /* in place of an index: the worker begins */

/* Bits beside the hash in MAP_SEEN. */
enum tensor_mark {
	TENSOR_UNWANTED = 2, /* a node that operators.include leaves out */
	TENSOR_UNSENT = 4,   /* its record found no room */
	TENSOR_LEAF = 8,     /* sent as a source, not as a node */
};

struct tensor_key {
	u64 tensor;
	u64 pid;
};

struct moe_ids {
	u64 data; /* address of the chosen experts, s32 */
	u64 row_bytes;
	u32 n_used, n_tokens;
};

/*
 * Globs on tensor names as bits of state, all patterns at once: a character moves a bit up where
 * `next` has the bit above, and lets it stay where `keep` has it. The byte that ends the name moves
 * to the last state of a pattern, which stays for good.
 */
struct filter_step {
	u64 next, keep;
};

struct filter_table {
	u64 start[FILTER_WORDS_MAX];
	struct filter_step step[FILTER_WORDS_MAX][256];
};

struct summary_key {
	u64 tensor;
	u32 tid, pid;
};

struct op_summary {
	u64 count, compute_ns, min_ns, max_ns, wait_ns;
	u16 ith, flags;
	u32 pad;
	u32 log2[OP_SUM_BUCKETS];
};

#endif

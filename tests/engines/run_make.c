/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the spool of a made-up recording: a llama-like model, prompts and decodes, worker threads,
 * on request a mixture of experts, scheduler events and counters. The same options give the same
 * bytes, and what the converter must find in them is printed as JSON on stdout.
 *
 *   run_make [--layers N] [--prompt N] [--decodes N] [--seqs N] [--threads N] [--moe] [--sched]
 *            [--counters] [--taken] [--begin-only] [--no-end] [--swap] [--drop] [--untold]
 *            [--slow PERCENT] SPOOL
 *
 * --sched adds a task "busyloop" that takes the second worker's CPU for 2 ms in each decode of the
 * later half; --untold does not say when the worker gets it back. --swap puts each thread's first
 * two batches in the other order, --drop leaves the second ones out. --slow makes decodes slower by
 * so much. Nothing here is shared with the converter but probes/record.h, so that each checks the
 * other. --taken is --counters with task-clock, which is always there, beside cycles, whose
 * hardware others have while every fourth operator of a thread runs.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../probes/record.h"

enum {
	EMBED = 2048,
	HEADS = 32,
	KV_HEADS = 8,
	HEAD = 64,
	FFN = 8192,
	VOCAB = 32000,
	EXPERTS = 60,
	USED = 4,
	CONTEXT = 4096,
	BATCH = 64,
	MAX_NODES = 8192,
	MAX_THREADS = 64,
	PID = 1000,
	HOG_NS = 2000000,
};

enum op {
	NONE,
	ADD,
	MUL,
	RMS_NORM,
	MUL_MAT,
	MUL_MAT_ID,
	GET_ROWS,
	SET_ROWS,
	ROPE,
	FLASH,
	GLU,
	VIEW,
	RESHAPE,
	PERMUTE,
	SOFT_MAX,
	ARGSORT
};
enum type { F32, F16, Q4_0, I32 };

static const double type_bytes[] = {4, 2, 18.0 / 32, 4};

/* The tensor struct of today's ggml, x86-64. */
struct tensor {
	int32_t type, pad0;
	uint64_t buffer;
	int64_t ne[4];
	uint64_t nb[4];
	int32_t op, op_params[16], flags;
	uint64_t src[10], view_src, view_offs, data;
	char name[64];
	uint64_t extra, pad1;
};

struct node {
	struct tensor t;
	uint64_t addr;
	bool sent, is_node, fused, skip;
	double cost; /* ns of one thread, all threads equal */
};

struct options {
	int layers, prompt, decodes, seqs, threads, slow;
	bool moe, sched, counters, taken, begin_only, no_end, swap, drop, untold;
};

struct batch {
	struct {
		struct rec_ops head;
		uint8_t slots[BATCH * (sizeof(struct op_slot) + 4 * 8)];
	} rec;
	unsigned n, sent;
	size_t held; /* bytes of the first record, which waits for the second */
	uint8_t first[4096];
};

static struct options opt = {.layers = 2, .prompt = 32, .decodes = 16, .seqs = 1, .threads = 2};
static FILE *out;
static struct node nodes[MAX_NODES];
static int n_nodes;
static struct batch batches[MAX_THREADS];
static uint64_t now = 1000000000000;
static uint64_t last_n_kv;
static uint32_t seed = 1;

/* What must come out. */
static struct {
	uint64_t rows, compute, wait, tokens, graphs, experts, counters, taken, hog, untold,
		batch_records;
	uint64_t running[MAX_THREADS];
} sum;

static uint32_t random_next(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static void put_block(int kind, const void *data, uint64_t len)
{
	static const char zero[8];
	struct {
		uint32_t magic;
		uint16_t kind, cpu;
		uint64_t len;
	} head = {0x4b4c4250, (uint16_t)kind, 0, len};

	fwrite(&head, sizeof(head), 1, out);
	fwrite(data, 1, len, out);
	fwrite(zero, 1, (8 - len % 8) % 8, out);
}

static void note(const char *json)
{
	put_block(3, json, strlen(json));
}

static void put_record(const void *rec, size_t len)
{
	put_block(2, rec, len);
}

static struct rec_head head(unsigned kind, unsigned level, size_t size, int thread, uint64_t ts)
{
	return (struct rec_head){.size = (u16)size,
				 .kind = (u8)kind,
				 .level = (u8)level,
				 .tid = (u32)(PID + thread),
				 .pid = PID,
				 .cpu = (u16)thread,
				 .point = (u16)level,
				 .ts_ns = ts};
}

/* The model. */

static int add(enum op op, enum type type, const int64_t ne[4], const char *fmt, int layer)
{
	struct node *n = &nodes[n_nodes];

	memset(n, 0, sizeof(*n));
	n->addr = 0x7f0000000000ull + (uint64_t)n_nodes * 368;
	n->is_node = op != NONE;
	n->skip = op == NONE || op == VIEW || op == RESHAPE || op == PERMUTE;
	n->t.type = type;
	n->t.op = op;
	n->t.flags = 16;
	memcpy(n->t.ne, ne, 4 * sizeof(*ne));
	/* The format comes from the tables below. */
	snprintf(n->t.name, sizeof(n->t.name), fmt, layer);
	return n_nodes++;
}

#define NE(a, b, c) ((const int64_t[4]){(a), (b), (c), 1})

static int with(int node, int a, int b, int c)
{
	int src[3] = {a, b, c};

	for (int i = 0; i < 3; i++)
		if (src[i] >= 0)
			nodes[node].t.src[i] = nodes[src[i]].addr;
	return node;
}

static int norm(int in, int64_t n, int layer, const char *norm_name, const char *mul_name,
		const char *weight)
{
	int w = add(NONE, F32, NE(EMBED, 1, 1), weight, layer);
	int a = with(add(RMS_NORM, F32, NE(EMBED, n, 1), norm_name, layer), in, -1, -1);
	int m = with(add(MUL, F32, NE(EMBED, n, 1), mul_name, layer), a, w, -1);

	nodes[a].fused = true;
	nodes[m].skip = true;
	return m;
}

static int product(int in, int64_t k, int64_t m, int64_t n, int layer, const char *name,
		   const char *weight)
{
	int w = add(NONE, Q4_0, NE(k, m, 1), weight, layer);

	return with(add(MUL_MAT, F32, NE(m, n, 1), name, layer), w, in, -1);
}

static int cache(const char *name, const char *view_name, const char *rows_name, int in, int64_t n,
		 int64_t n_kv, int layer)
{
	int c = add(NONE, F16, NE(KV_HEADS * HEAD, CONTEXT, 1), name, layer), v;
	int rows = with(add(SET_ROWS, F16, NE(KV_HEADS * HEAD, CONTEXT, 1), rows_name, layer), in,
			-1, -1);

	(void)n;
	nodes[rows].t.view_src = nodes[c].addr;
	v = add(VIEW, F16, NE(HEAD, n_kv, KV_HEADS), view_name, layer);
	nodes[v].t.view_src = nodes[c].addr;
	return with(v, c, -1, -1);
}

static int attention(int in, int64_t n, int64_t n_kv, int il)
{
	int q = product(in, EMBED, EMBED, n, il, "Qcur-%d", "blk.%d.attn_q.weight");
	int k = product(in, EMBED, KV_HEADS * HEAD, n, il, "Kcur-%d", "blk.%d.attn_k.weight");
	int v = product(in, EMBED, KV_HEADS * HEAD, n, il, "Vcur-%d", "blk.%d.attn_v.weight"), a;

	q = with(add(ROPE, F32, NE(HEAD, HEADS, n), "Qcur-%d", il), q, -1, -1);
	k = with(add(ROPE, F32, NE(HEAD, KV_HEADS, n), "Kcur-%d", il), k, -1, -1);
	q = with(add(PERMUTE, F32, NE(HEAD, n, HEADS), "Qcur-%d (permuted)", il), q, -1, -1);
	k = cache("cache_k_l%d", "cache_k_l%d (view)", "cache_k_l%d (rows)", k, n, n_kv, il);
	v = cache("cache_v_l%d", "cache_v_l%d (view)", "cache_v_l%d (rows)", v, n, n_kv, il);
	a = with(add(FLASH, F32, NE(HEAD, HEADS, n), "__fattn__-%d", il), q, k, v);
	return product(a, EMBED, EMBED, n, il, "attn_out-%d", "blk.%d.attn_output.weight");
}

static int dense(int in, int64_t n, int il)
{
	int gate = product(in, EMBED, FFN, n, il, "ffn_gate-%d", "blk.%d.ffn_gate.weight");
	int up = product(in, EMBED, FFN, n, il, "ffn_up-%d", "blk.%d.ffn_up.weight");
	int glu = with(add(GLU, F32, NE(FFN, n, 1), "ffn_swiglu-%d", il), gate, up, -1);

	return product(glu, FFN, EMBED, n, il, "ffn_out-%d", "blk.%d.ffn_down.weight");
}

static int of_experts(int in, int ids, int64_t k, int64_t m, int64_t n, int il, const char *name,
		      const char *weight)
{
	int w = add(NONE, Q4_0, NE(k, m, EXPERTS), weight, il);

	return with(add(MUL_MAT_ID, F32, NE(m, USED, n), name, il), w, in, ids);
}

static int experts(int in, int64_t n, int il)
{
	int logits = product(in, EMBED, EXPERTS, n, il, "ffn_moe_logits-%d",
			     "blk.%d.ffn_gate_inp.weight");
	int sort = with(add(ARGSORT, I32, NE(EXPERTS, n, 1), "ffn_moe_argsort-%d", il), logits, -1,
			-1);
	int ids = with(add(VIEW, I32, NE(USED, n, 1), "ffn_moe_topk-%d", il), sort, -1, -1);
	int gate = of_experts(in, ids, EMBED, 1408, n, il, "ffn_moe_gate-%d",
			      "blk.%d.ffn_gate_exps.weight");
	int up = of_experts(in, ids, EMBED, 1408, n, il, "ffn_moe_up-%d",
			    "blk.%d.ffn_up_exps.weight");
	int glu = with(add(GLU, F32, NE(1408, USED, n), "ffn_moe_swiglu-%d", il), gate, up, -1);

	nodes[ids].t.view_src = nodes[sort].addr;
	return of_experts(glu, ids, 1408, EMBED, n, il, "ffn_moe_down-%d",
			  "blk.%d.ffn_down_exps.weight");
}

static void build(int64_t n, int64_t n_kv)
{
	int w, in, x;

	n_nodes = 0;
	w = add(NONE, Q4_0, NE(EMBED, VOCAB, 1), "token_embd.weight", 0);
	in = add(NONE, I32, NE(n, 1, 1), "inp_tokens", 0);
	x = with(add(GET_ROWS, F32, NE(EMBED, n, 1), "inp_embd", 0), w, in, -1);
	for (int il = 0; il < opt.layers; il++) {
		int a = norm(x, n, il, "norm-%d", "attn_norm-%d", "blk.%d.attn_norm.weight");

		a = attention(a, n, n_kv, il);
		x = with(add(ADD, F32, NE(EMBED, n, 1), "ffn_inp-%d", il), a, x, -1);
		a = norm(x, n, il, "norm-%d", "ffn_norm-%d", "blk.%d.ffn_norm.weight");
		a = opt.moe ? experts(a, n, il) : dense(a, n, il);
		x = with(add(ADD, F32, NE(EMBED, n, 1), "l_out-%d", il), a, x, -1);
	}
	x = norm(x, n, 0, "norm", "result_norm", "output_norm.weight");
	product(x, EMBED, VOCAB, 1, 0, "result_output", "output.weight");
}

/* Time: the memory gives 12 bytes/ns, a thread computes 20 operations/ns. */
static double cost_of(const struct node *n)
{
	const struct tensor *t = &n->t;
	double elements = (double)(t->ne[0] * t->ne[1] * t->ne[2]), bytes, flops;

	if (t->op == FLASH)
		return 500 + (double)t->ne[2] * (double)last_n_kv * 60;
	if (t->op != MUL_MAT && t->op != MUL_MAT_ID)
		return 300 + elements * 0.1 / opt.threads;
	const struct tensor *w = &nodes[(t->src[0] - nodes[0].addr) / 368].t;

	bytes = (double)(w->ne[0] * w->ne[1]) * type_bytes[w->type] *
		(t->op == MUL_MAT_ID ? USED : 1);
	flops = 2 * (double)w->ne[0] * elements;
	return bytes / 12 > flops / 20 / opt.threads ? bytes / 12 : flops / 20 / opt.threads;
}

/* Records. */

static void send_tensor(const struct node *n, int index)
{
	struct {
		struct rec_tensor r;
		struct tensor raw;
	} rec = {.raw = n->t};

	rec.r.head = head(REC_TENSOR, LEVEL_OPERATOR, sizeof(rec), 0, ++now);
	rec.r.tensor = n->addr;
	rec.r.graph = 0x5000;
	rec.r.index = n->is_node ? (u16)index : 0xffff;
	rec.r.raw_len = sizeof(n->t);
	put_record(&rec, sizeof(rec));
}

/* As the walk does: what is as it was before is not sent again. */
static void walk(void)
{
	static struct node before[MAX_NODES];

	for (int i = 0; i < n_nodes; i++) {
		if (memcmp(&before[i].t, &nodes[i].t, sizeof(nodes[i].t)) == 0)
			continue;
		send_tensor(&nodes[i], i);
		before[i] = nodes[i];
	}
}

static size_t slot_bytes(void)
{
	return sizeof(struct op_slot) + (opt.counters ? 4 * 8 : 0);
}

static void put_batch(struct batch *b, size_t size)
{
	bool first = !b->sent, second = b->sent == BATCH;

	if (opt.swap && first && size <= sizeof(b->first)) {
		memcpy(b->first, &b->rec, size);
		b->held = size;
		return;
	}
	if (!opt.drop || !second)
		put_record(&b->rec, size);
	if (b->held)
		put_record(b->first, b->held);
	b->held = 0;
}

static void flush_batch(int thread)
{
	struct batch *b = &batches[thread];
	size_t size = sizeof(b->rec.head) + b->n * slot_bytes();

	if (!b->n)
		return;
	b->rec.head.head = head(REC_OPS, LEVEL_OPERATOR, size, thread, now);
	b->rec.head.n = (u16)b->n;
	b->rec.head.n_counters = opt.counters ? 2 : 0;
	b->rec.head.first = b->sent;
	put_batch(b, size);
	b->sent += b->n;
	b->n = 0;
	sum.batch_records++;
}

static void put_slot(int thread, const struct op_slot *s)
{
	struct batch *b = &batches[thread];
	uint8_t *at = b->rec.slots + b->n * slot_bytes();

	memcpy(at, s, sizeof(*s));
	if (opt.counters) {
		uint64_t c = s->end_ns - s->begin_ns;
		bool taken = opt.taken && !((b->sent + b->n) % 4);
		uint64_t v[4] = {taken ? 0 : 2 * c, opt.taken ? c : c / 64, 1000,
				 taken	  ? 0
				 : thread ? 500
					  : 1000};

		((struct op_slot *)at)->flags |= OP_COUNTED;
		memcpy(at + sizeof(*s), v, sizeof(v));
		sum.counters += taken ? 1 : 2;
		sum.taken += taken;
	}
	if (++b->n == BATCH)
		flush_batch(thread);
}

static void put_switch(int cpu, uint32_t prev, const char *prev_comm, uint32_t state, uint32_t next,
		       const char *next_comm, uint64_t ts)
{
	struct rec_switch r = {.next_tid = next,
			       .next_pid = next >= PID && next < PID + MAX_THREADS ? PID : next,
			       .prev_state = state};

	if (!opt.sched)
		return;
	r.head = head(REC_SCHED_SWITCH, LEVEL_SCHEDULER, sizeof(r), 0, ts);
	r.head.tid = prev;
	r.head.pid = prev >= PID && prev < PID + MAX_THREADS ? PID : prev;
	r.head.cpu = (u16)cpu;
	snprintf(r.prev_comm, sizeof(r.prev_comm), "%s", prev_comm);
	snprintf(r.next_comm, sizeof(r.next_comm), "%s", next_comm);
	put_record(&r, sizeof(r));
}

static void put_wakeup(int thread, uint64_t ts)
{
	struct rec_wakeup r = {
		.wakee_tid = (u32)(PID + thread), .wakee_pid = PID, .target_cpu = (u32)thread};

	if (!opt.sched)
		return;
	r.head = head(REC_SCHED_WAKEUP, LEVEL_SCHEDULER, sizeof(r), 0, ts);
	put_record(&r, sizeof(r));
}

static void put_experts(const struct node *n, int64_t n_tokens)
{
	static struct {
		struct rec_expert r;
		int32_t e[32 * USED];
	} rec;
	int64_t done = 0;

	while (done < n_tokens) {
		int64_t k = n_tokens - done < 32 ? n_tokens - done : 32;
		size_t size = sizeof(rec.r) + (size_t)k * USED * 4;

		for (int64_t i = 0; i < k * USED; i++) /* low numbers are preferred */
			rec.e[i] = (int32_t)((random_next() % EXPERTS) * (random_next() % EXPERTS) /
					     EXPERTS);
		rec.r.head = head(REC_EXPERT, LEVEL_OPERATOR, size, 0, now);
		rec.r.tensor = n->addr;
		rec.r.first_token = (u32)done;
		rec.r.n_tokens = (u16)k;
		rec.r.n_used = USED;
		put_record(&rec, size);
		sum.experts += (uint64_t)k * USED;
		done += k;
	}
}

/* One operator on all threads. */
static void run_node(const struct node *n, double slow, bool hog)
{
	uint64_t end[MAX_THREADS], next = 0;
	double cost = n->cost * slow;

	for (int i = 0; i < opt.threads; i++) {
		end[i] = now + (uint64_t)(cost * (1 + 0.02 * i)) + random_next() % 200;
		if (hog && i == 1) {
			put_switch(1, PID + 1, "worker", 0, 4242, "busyloop", now + 50);
			if (opt.untold)
				sum.untold++;
			else
				put_switch(1, 4242, "busyloop", 0, PID + 1, "worker",
					   now + 50 + HOG_NS);
			end[i] += HOG_NS;
			sum.hog += HOG_NS;
			sum.running[i] -= HOG_NS;
		}
		next = end[i] > next ? end[i] : next;
	}
	next += 150;
	for (int i = 0; i < opt.threads; i++) {
		struct op_slot s = {.tensor = n->addr,
				    .begin_ns = now,
				    .end_ns = opt.begin_only ? next : end[i],
				    .next_ns = next,
				    .cpu = (u16)i,
				    .ith = (u16)i,
				    .flags = (u16)((n->fused ? OP_FUSED : 0) |
						   (opt.begin_only ? 0 : OP_HAS_BARRIER))};

		put_slot(i, &s);
		sum.rows++;
		sum.compute += s.end_ns - s.begin_ns;
		sum.wait += s.next_ns - s.end_ns;
	}
	now = next;
}

static void put_graph(unsigned kind)
{
	static const uint8_t cpu[16] = {0xaa, 0x67, 0xc7, 0x43, 0x96, 0xe6, 0xa3, 0x8a,
					0xe3, 0xaf, 0xea, 0x92, 0x36, 0xbc, 0xfc, 0x89};
	struct rec_graph g = {.graph = 0x5000, .uid = 1, .backend = 0x6000};

	for (int i = 0; i < n_nodes; i++)
		g.n_nodes += nodes[i].is_node;
	g.head = head(kind, LEVEL_GRAPH, sizeof(g), 0, now);
	memcpy(g.guid, cpu, sizeof(g.guid));
	put_record(&g, sizeof(g));
}

static void put_token(unsigned kind, int n)
{
	struct rec_token t = {.context = 0x4000, .n_tokens = n, .flags = n > 1 ? TOKEN_PREFILL : 0};

	t.head = head(kind, LEVEL_TOKEN, sizeof(t), 0, now);
	put_record(&t, sizeof(t));
}

static void workers_wake(void)
{
	for (int i = 1; i < opt.threads; i++) {
		put_wakeup(i, now);
		put_switch(i, 0, "swapper", 0, (u32)(PID + i), "worker", now + 10);
		sum.running[i] -= now + 10;
	}
	now += 20;
}

static void workers_sleep(void)
{
	for (int i = 1; i < opt.threads; i++) {
		put_switch(i, (u32)(PID + i), "worker", 1, 0, "swapper", now);
		sum.running[i] += now;
	}
	now += 10;
}

static void run_token(int n, int64_t n_kv, double slow, bool hog)
{
	int first = 0;

	last_n_kv = (uint64_t)n_kv;
	build(n, n_kv);
	put_token(REC_TOKEN_BEGIN, n);
	now += 1000;
	put_graph(REC_GRAPH_BEGIN);
	walk();
	workers_wake();
	for (int i = 0; i < n_nodes; i++) {
		struct node *k = &nodes[i];

		if (k->skip)
			continue;
		k->cost = cost_of(k);
		if (k->t.op == MUL_MAT_ID && strncmp(k->t.name, "ffn_moe_gate", 12) == 0)
			put_experts(k, n);
		run_node(k, slow, hog && k->t.op == MUL_MAT && opt.threads > 1 && !first++);
	}
	put_graph(REC_GRAPH_END);
	workers_sleep();
	now += 500;
	put_token(REC_TOKEN_END, n);
	sum.tokens++;
	sum.graphs++;
	now += 40000; /* sampling */
}

static void put_layout(void)
{
	note("{\"k\":\"layout\",\"id\":0,\"size\":336,\"type\":0,\"ne\":16,\"nb\":48,\"op\":80,"
	     "\"op_params\":84,\"flags\":148,\"src\":152,\"n_src\":10,\"view_src\":232,"
	     "\"data\":248,\"name\":256,\"name_len\":64,\"ne_width\":8,"
	     "\"op_names\":[\"NONE\",\"ADD\",\"MUL\",\"RMS_NORM\",\"MUL_MAT\",\"MUL_MAT_ID\","
	     "\"GET_ROWS\",\"SET_ROWS\",\"ROPE\",\"FLASH_ATTN_EXT\",\"GLU\",\"VIEW\",\"RESHAPE\","
	     "\"PERMUTE\",\"SOFT_MAX\",\"ARGSORT\"],\"type_names\":[\"f32\",\"f16\",\"q4_0\","
	     "\"i32\"],\"type_blck\":[1,1,32,1],\"type_size\":[4,2,18,4]}");
}

static void put_start(void)
{
	char text[256];

	note("{\"k\":\"run\",\"tool\":\"run_make\",\"engine\":\"made up\",\"cpu\":\"made up\","
	     "\"pid\":\"1000\",\"command\":\"run_make\"}");
	note("{\"k\":\"point\",\"id\":0,\"level\":\"token\",\"event\":\"token_begin\","
	     "\"symbol\":\"llama_decode\",\"kind\":\"decode\"}");
	note("{\"k\":\"point\",\"id\":1,\"level\":\"graph\",\"event\":\"graph_begin\","
	     "\"symbol\":\"ggml_graph_compute\",\"backend\":\"CPU\"}");
	put_layout();
	if (opt.taken)
		note("{\"k\":\"counters\",\"names\":[\"cycles\",\"task-clock\"],"
		     "\"grouped\":[true,false]}");
	else if (opt.counters)
		note("{\"k\":\"counters\",\"names\":[\"cycles\",\"cache-misses\"]}");
	for (int i = 0; i < opt.threads; i++) {
		snprintf(text, sizeof(text),
			 "{\"k\":\"thread\",\"tid\":%d,\"pid\":%d,\"name\":\"%s\",\"at\":%llu,"
			 "\"state\":\"%s\",\"cpu\":%d,\"run_ns\":0,\"wait_ns\":0,\"slices\":0}",
			 PID + i, PID, i ? "worker" : "main", (unsigned long long)now,
			 i ? "S" : "R", i);
		note(text);
	}
	if (opt.sched)
		note("{\"k\":\"level\",\"level\":\"scheduler\",\"on\":true,\"at\":1000000000000}");
}

static void put_end(uint64_t start)
{
	char text[256];

	sum.running[0] = now - start;
	for (int i = 0; i < opt.threads; i++) {
		flush_batch(i);
		snprintf(text, sizeof(text),
			 "{\"k\":\"thread\",\"tid\":%d,\"pid\":%d,\"name\":\"%s\",\"at\":%llu,"
			 "\"state\":\"S\",\"run_ns\":%llu,\"wait_ns\":0}",
			 PID + i, PID, i ? "worker" : "main", (unsigned long long)now,
			 (unsigned long long)sum.running[i]);
		note(text);
	}
	note("{\"k\":\"loss\",\"level\":\"operator\",\"buffer\":\"ring\",\"lost\":0}");
	snprintf(text, sizeof(text),
		 "{\"k\":\"cost\",\"level\":\"operator\",\"begin\":%llu,\"end\":%llu,\"hits\":%llu,"
		 "\"run_ns\":%llu,\"estimate_ns\":%llu}",
		 (unsigned long long)start, (unsigned long long)now, (unsigned long long)sum.rows,
		 (unsigned long long)sum.rows * 200, (unsigned long long)sum.rows * 900);
	note(text);
	snprintf(text, sizeof(text), "{\"k\":\"end\",\"at\":%llu,\"complete\":true}",
		 (unsigned long long)now);
	if (!opt.no_end)
		note(text);
}

static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"layers", 1, NULL, 'l'},     {"prompt", 1, NULL, 'p'},
		{"decodes", 1, NULL, 'n'},    {"seqs", 1, NULL, 's'},
		{"threads", 1, NULL, 't'},    {"moe", 0, NULL, 'm'},
		{"sched", 0, NULL, 'c'},      {"counters", 0, NULL, 'k'},
		{"slow", 1, NULL, 'w'},	      {"no-end", 0, NULL, 'e'},
		{"begin-only", 0, NULL, 'b'}, {"swap", 0, NULL, 'x'},
		{"drop", 0, NULL, 'd'},	      {"untold", 0, NULL, 'u'},
		{"taken", 0, NULL, 'T'},      {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int *number = c == 'l'	 ? &opt.layers
			      : c == 'p' ? &opt.prompt
			      : c == 'n' ? &opt.decodes
			      : c == 's' ? &opt.seqs
			      : c == 't' ? &opt.threads
			      : c == 'w' ? &opt.slow
					 : NULL;
		bool *flag = c == 'm'	? &opt.moe
			     : c == 'c' ? &opt.sched
			     : c == 'k' ? &opt.counters
			     : c == 'e' ? &opt.no_end
			     : c == 'b' ? &opt.begin_only
			     : c == 'x' ? &opt.swap
			     : c == 'd' ? &opt.drop
			     : c == 'u' ? &opt.untold
			     : c == 'T' ? &opt.taken
					: NULL;

		if (number)
			*number = atoi(optarg);
		else if (flag)
			*flag = true;
		else
			return -1;
	}
	opt.counters |= opt.taken;
	return optind == argc - 1 && opt.layers > 0 && opt.layers < 150 && opt.threads > 0 &&
			       opt.threads <= MAX_THREADS
		       ? 0
		       : -1;
}

int main(int argc, char **argv)
{
	uint64_t start = now;

	if (parse(argc, argv) < 0) {
		fprintf(stderr, "usage: run_make [options] SPOOL (see the head of its source)\n");
		return 2;
	}
	out = fopen(argv[optind], "wb");
	if (!out) {
		perror(argv[optind]);
		return 1;
	}
	fwrite("LLMPSPL1", 8, 1, out);
	put_start();
	for (int s = 0; s < opt.seqs; s++) {
		int at = opt.prompt;

		if (opt.prompt > 1)
			run_token(opt.prompt, (opt.prompt + 31) / 32 * 32, 1, false);
		for (int i = 0; i < opt.decodes; i++, at++)
			run_token(1, (at + 32) / 32 * 32, 1 + opt.slow / 100.0,
				  opt.sched && i >= opt.decodes / 2);
		now += 500000000; /* between sequences */
	}
	put_end(start);
	printf("{\"rows\":%llu,\"compute_ns\":%llu,\"wait_ns\":%llu,\"tokens\":%llu,"
	       "\"graphs\":%llu,\"experts\":%llu,\"counters\":%llu,\"hog_ns\":%llu,"
	       "\"running1_ns\":%llu,\"untold\":%llu,\"taken\":%llu}\n",
	       (unsigned long long)sum.rows, (unsigned long long)sum.compute,
	       (unsigned long long)sum.wait, (unsigned long long)sum.tokens,
	       (unsigned long long)sum.graphs, (unsigned long long)sum.experts,
	       (unsigned long long)sum.counters, (unsigned long long)sum.hog,
	       (unsigned long long)sum.running[1], (unsigned long long)sum.untold,
	       (unsigned long long)sum.taken);
	return fclose(out) ? 1 : 0;
}

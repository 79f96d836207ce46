/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the made engine of fake/ and prints what it did as one JSON object: exact counts per thread
 * and function, and the busy time of each operator. A tracer's rows are compared to it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake/fake.h"

enum { MAX_SEQUENCES = 64 };

struct options {
	struct fake_options engine;
	long decodes, encodes, prompt, sequences, pause_us, wait_ms;
};

static const struct option longs[] = {
	{"decodes", required_argument, NULL, 'd'},
	{"encodes", required_argument, NULL, 'e'},
	{"prompt", required_argument, NULL, 'p'},
	{"sequences", required_argument, NULL, 'n'},
	{"threads", required_argument, NULL, 't'},
	{"layers", required_argument, NULL, 'l'},
	{"spin", required_argument, NULL, 's'},
	{"imbalance", required_argument, NULL, 'i'},
	{"barriers", required_argument, NULL, 'b'},
	{"pause", required_argument, NULL, 'P'},
	{"wait", required_argument, NULL, 'w'},
	{"moe", no_argument, NULL, 'm'},
	{"escape", required_argument, NULL, 'x'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void usage(FILE *f)
{
	fputs("usage: fake_engine [options]\n"
	      "Runs a made engine and prints exactly what it did.\n\n"
	      "  -d, --decodes N    calls of llama_decode (default 101, a prime)\n"
	      "  -e, --encodes N    calls of llama_encode before them (default 0)\n"
	      "  -p, --prompt N     tokens of the first call (default 7)\n"
	      "  -n, --sequences N  tokens of the others, each of a sequence of its own (default "
	      "1)\n"
	      "  -t, --threads N    (default 2)\n"
	      "  -l, --layers N     (default 3)\n"
	      "  -s, --spin NS      busy time of an operator on each thread (default 20000)\n"
	      "  -i, --imbalance P  each next thread is busy P percent longer (default 0)\n"
	      "  -b, --barriers N   barrier calls inside a matrix product (default 1)\n"
	      "  -x, --escape N     every Nth graph computation is left by a jump (default 0: "
	      "none)\n"
	      "  -m, --moe          60 experts, 4 used, in each layer\n"
	      "  -P, --pause US     sleep between calls (default 0)\n"
	      "  -w, --wait MS      sleep before the first call (default 0)\n",
	      f);
}

static long number(int opt, const char *s, long min, long max)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || end == s || *end || v < min || v > max) {
		fprintf(stderr, "fake_engine: -%c takes a number from %ld to %ld, not %s\n", opt,
			min, max, s);
		exit(2);
	}
	return v;
}

static void set(struct options *o, int c)
{
	struct fake_options *e = &o->engine;

	switch (c) {
	case 'd':
		o->decodes = number(c, optarg, 0, 1000000000);
		break;
	case 'e':
		o->encodes = number(c, optarg, 0, 1000000);
		break;
	case 'p':
		o->prompt = number(c, optarg, 1, 512);
		break;
	case 'n':
		o->sequences = number(c, optarg, 1, MAX_SEQUENCES);
		break;
	case 't':
		e->threads = (int)number(c, optarg, 1, FAKE_MAX_THREADS);
		break;
	case 'l':
		e->layers = (int)number(c, optarg, 1, FAKE_MAX_LAYERS);
		break;
	case 's':
		e->spin_ns = (uint64_t)number(c, optarg, 0, 1000000000);
		break;
	case 'i':
		e->imbalance = (int)number(c, optarg, 0, 1000);
		break;
	case 'b':
		e->inner_barriers = (int)number(c, optarg, 0, 100);
		break;
	case 'x':
		e->escape = (int)number(c, optarg, 0, 1000000);
		break;
	case 'm':
		e->moe = true;
		break;
	case 'P':
		o->pause_us = number(c, optarg, 0, 10000000);
		break;
	case 'w':
		o->wait_ms = number(c, optarg, 0, 3600000);
		break;
	default:
		usage(c == 'h' ? stdout : stderr);
		exit(c == 'h' ? 0 : 2);
	}
}

static void print_threads(const struct fake_account *a, int threads, int n_nodes)
{
	int i, n;

	printf(" \"threads\": [");
	for (i = 0; i < threads; i++) {
		const struct fake_thread *t = &a->thread[i];
		uint64_t busy = 0;

		for (n = 0; n < n_nodes; n++)
			busy += t->compute_ns[n];
		printf("%s\n  {\"ith\": %d, \"tid\": %d, \"ops\": %lu, \"fused\": %lu, "
		       "\"barriers\": %lu, \"inner_barriers\": %lu, \"compute_ns\": %lu}",
		       i ? "," : "", i, t->tid, t->ops, t->fused, t->barriers, t->inner_barriers,
		       busy);
	}
	printf("],\n");
}

static void print_row(const char *name, const struct fake_account *a, size_t offset, int threads,
		      int n)
{
	int i;

	printf(", \"%s\": [", name);
	for (i = 0; i < threads; i++) {
		const char *row = (const char *)&a->thread[i] + offset;

		printf("%s%lu", i ? ", " : "", ((const uint64_t *)row)[n]);
	}
	printf("]");
}

static void print_ops(const struct fake_account *a, const struct ggml_cgraph *g, int threads)
{
	const char *comma = "";
	int n;

	printf(" \"ops\": [");
	for (n = 0; n < g->n_nodes; n++) {
		const struct ggml_tensor *t = g->nodes[n];
		bool fused = n && g->nodes[n - 1]->op == OP_RMS_NORM && !a->thread[0].calls[n - 1];

		if (!a->thread[0].calls[n])
			continue;
		printf("%s\n  {\"name\": \"%s\", \"op\": \"%s%s\", \"calls\": %lu", comma, t->name,
		       fused ? "RMS_NORM+" : "", ggml_op_name(t->op), a->thread[0].calls[n]);
		print_row("compute_ns", a, offsetof(struct fake_thread, compute_ns), threads, n);
		print_row("min_ns", a, offsetof(struct fake_thread, min_ns), threads, n);
		printf("}");
		comma = ",";
	}
	printf("],\n");
}

static void print_experts(const struct fake_account *a, int layers)
{
	int layer, e;

	printf(" \"experts\": [");
	for (layer = 0; layer < layers; layer++) {
		printf("%s\n  [", layer ? "," : "");
		for (e = 0; e < FAKE_EXPERTS; e++)
			printf("%s%lu", e ? ", " : "", a->experts[layer][e]);
		printf("]");
	}
	printf("],\n");
}

static void print_account(const struct llama_context *ctx, const struct options *o)
{
	const struct fake_account *a = fake_account(ctx);
	const struct ggml_cgraph *g = fake_graph(ctx);

	printf("{\"decodes\": %lu, \"encodes\": %lu, \"decode_ns\": %lu, \"prompt\": %ld,\n"
	       " \"graphs\": %lu, \"graph_ns\": %lu, \"nodes\": %d,\n",
	       a->decodes, a->encodes, a->decode_ns, o->prompt, a->graphs, a->graph_ns, g->n_nodes);
	print_threads(a, o->engine.threads, g->n_nodes);
	print_ops(a, g, o->engine.threads);
	if (o->engine.moe)
		print_experts(a, o->engine.layers);
	printf(" \"pid\": %d}\n", (int)getpid());
}

static void call(struct llama_context *ctx, const struct options *o, long i)
{
	static int32_t prompt = 5, own[MAX_SEQUENCES], *seq_id[512];
	struct llama_batch batch = {.n_tokens = (int32_t)(i ? o->sequences : o->prompt),
				    .seq_id = seq_id};
	int32_t err;

	for (int32_t k = 0; k < batch.n_tokens; k++) {
		if (i)
			own[k] = k;
		seq_id[k] = i ? &own[k] : &prompt;
	}
	err = i < o->encodes ? llama_encode(ctx, batch) : llama_decode(ctx, batch);

	if (err) {
		fprintf(stderr, "fake_engine: call %ld returned %d\n", i, (int)err);
		exit(1);
	}
	if (o->pause_us)
		usleep((useconds_t)o->pause_us);
}

int main(int argc, char **argv)
{
	struct options o = {
		.engine = {.threads = 2, .layers = 3, .spin_ns = 20000, .inner_barriers = 1},
		.decodes = 101,
		.prompt = 7,
		.sequences = 1};
	struct llama_context *ctx;
	long i;
	int c;

	while ((c = getopt_long(argc, argv, "d:e:p:n:t:l:s:i:b:x:mP:w:h", longs, NULL)) != -1)
		set(&o, c);
	if (optind != argc) {
		usage(stderr);
		return 2;
	}
	ctx = fake_open(&o.engine);
	if (o.wait_ms)
		usleep((useconds_t)o.wait_ms * 1000);
	for (i = 0; i < o.encodes + o.decodes; i++)
		call(ctx, &o, i);
	print_account(ctx, &o);
	fake_close(ctx);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program whose graphs a stand-in backend computes, node by node through its own function, with
 * the made engine's structs: backend_drive LIBRARY FUNCTION GRAPHS
 * Built with -DINLINED it hands graphs to the backend as a scheduler does into which the compiler
 * put what it calls.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fake/fake.h"

#ifdef INLINED
#define COMPUTE ggml_backend_sched_graph_compute
int ggml_backend_sched_graph_compute(struct ggml_backend_sched *s, struct ggml_cgraph *g);
#else
#define COMPUTE ggml_backend_sched_graph_compute_async
#endif

enum { NODES = 7 };

static bool (*compute_node)(void *backend, void *tensor);

static int graph_compute(struct ggml_backend *b, struct ggml_cgraph *g)
{
	for (int i = 0; i < g->n_nodes; i++)
		compute_node(b, g->nodes[i]);
	return 0;
}

#ifdef INLINED
__attribute__((noinline)) int ggml_backend_sched_graph_compute(struct ggml_backend_sched *s,
							       struct ggml_cgraph *g)
{
	struct ggml_backend *b = s->backends[0];
	int err = b->iface.graph_compute(b, g);

	/* Or the compiler makes a jump of the call. */
	__asm__ volatile("" : "+r"(err));
	return err;
}
#endif

static const char *get_name(struct ggml_backend *b)
{
	(void)b;
	return "stand-in";
}

int main(int argc, char **argv)
{
	static struct ggml_tensor tensors[2 + NODES], *nodes[NODES];
	struct ggml_context ctx = {.tensors = tensors, .capacity = 2 + NODES};
	const int64_t ne[2] = {64, 32};
	/* OpenCL's, by which the backend is known. */
	static uint8_t guid[16] = {0xde, 0xe0, 0x70, 0xa2, 0x73, 0x4e, 0x4d, 0xbc,
				   0xb0, 0xc7, 0x4f, 0xd4, 0x6d, 0x4e, 0x90, 0xfe};
	struct ggml_backend backend = {
		.guid = guid, .iface = {.get_name = get_name, .graph_compute = graph_compute}};
	struct ggml_cgraph graph = {.size = NODES, .n_nodes = NODES, .nodes = nodes, .uid = 1};
	struct ggml_backend_sched sched = {.n_backends = 1, .backends = {&backend}};
	struct ggml_tensor *a, *b;
	void *lib = argc == 4 ? dlopen(argv[1], RTLD_NOW) : NULL;

	if (!lib) {
		fprintf(stderr, "backend_drive: %s\n",
			argc == 4 ? dlerror() : "LIBRARY FUNCTION GRAPHS");
		return 1;
	}
	/* A fork's backend has one of its own. */
	if (strstr(argv[2], "_rk_"))
		guid[0] ^= 0xff;
	*(void **)&compute_node = dlsym(lib, argv[2]);
	if (!compute_node)
		return 1;
	a = ggml_new_tensor(&ctx, TYPE_F32, 2, ne);
	b = ggml_new_tensor(&ctx, TYPE_F32, 2, ne);
	for (int i = 0; i < NODES; i++) {
		nodes[i] = ggml_mul_mat(&ctx, a, b);
		nodes[i]->flags |= 16; /* to be computed */
		ggml_format_name(nodes[i], "product-%d", i);
	}
	for (int i = 0; i < atoi(argv[3]); i++)
		COMPUTE(&sched, &graph);
	printf("%d\n", NODES * atoi(argv[3]));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload into any engine on ggml: writes down what each computation
 * holds, as told by ggml's own public functions, so that a recording can be held against it.
 *
 *   NODES_LOG=FILE LD_PRELOAD=libnodes.so llama-bench ...
 *
 * It stands before the functions by which libllama and libwhisper hand graphs to the scheduler, and
 * takes nothing from the inside of ggml but where a tensor has its op (at 80 since 2023-12) and
 * its flags (at 148).
 * Lines of tab-separated fields, numbers from 0 on:
 *
 *   G graph nodes splits pid            after the lines of its nodes
 *   N graph node op type ne0 rows flags backend name
 *
 * Before 2024-09 ggml did not tell what a graph holds: NODES_INSIDE="OP NUMBER NODES" gives the
 * offsets of a tensor's op, of a graph's number of nodes and of the array of nodes that lies in the
 * graph.
 *
 * With NODES_EXPERTS=1 the engine computes node by node, which shows values but is not what it
 * does otherwise; then the rows of experts chosen are there, too:
 *
 *   E graph layer token expert...
 */
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OP_AT = 80, FLAGS_AT = 148, MAX_USED = 64 };

typedef int (*compute_fn)(void *sched, void *graph);
typedef bool (*eval_fn)(void *tensor, bool ask, void *user);

int ggml_graph_compute(void *graph, void *plan);
int ggml_backend_sched_graph_compute(void *sched, void *graph);
int ggml_backend_sched_graph_compute_async(void *sched, void *graph);

struct lookup {
	const char *name;
	void *found;
};

static FILE *out;
static unsigned long graphs;
static __thread int depth;

static int look_into(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct lookup *l = arg;
	void *lib, *p;

	(void)size;
	if (!info->dlpi_name || !info->dlpi_name[0] || strstr(info->dlpi_name, "libnodes"))
		return 0;
	lib = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
	if (!lib)
		return 0;
	p = dlsym(lib, l->name);
	dlclose(lib);
	/* Found through a library's own dependencies, our own function may come up. */
	if (!p || p == (void *)ggml_graph_compute ||
	    p == (void *)ggml_backend_sched_graph_compute ||
	    p == (void *)ggml_backend_sched_graph_compute_async)
		return 0;
	l->found = p;
	return 1;
}

/* The engine's function of that name, wherever it was loaded to; ends the program without one. */
static void *engine_function(const char *name)
{
	struct lookup l = {.name = name};

	l.found = dlsym(RTLD_NEXT, name);
	if (!l.found)
		dl_iterate_phdr(look_into, &l);
	if (!l.found) {
		fprintf(stderr, "libnodes: no %s in this process\n", name);
		exit(1);
	}
	return l.found;
}

#define ENGINE(result, name, ...)                                                                  \
	static result (*name)(__VA_ARGS__);                                                        \
	if (!name)                                                                                 \
	name = (result(*)(__VA_ARGS__))engine_function(#name)

static bool log_open(void)
{
	const char *path = getenv("NODES_LOG");

	if (!out && path)
		out = fopen(path, "a");
	return out != NULL;
}

static const char *backend_of(void *sched, void *tensor)
{
	ENGINE(void *, ggml_backend_sched_get_tensor_backend, void *, void *);
	ENGINE(const char *, ggml_backend_name, void *);
	void *backend = ggml_backend_sched_get_tensor_backend(sched, tensor);

	return backend ? ggml_backend_name(backend) : "-";
}

static void write_node(void *tensor, int op_at, const char *backend, int i)
{
	ENGINE(const char *, ggml_op_name, int);
	ENGINE(const char *, ggml_type_name, int);
	ENGINE(const char *, ggml_get_name, const void *);
	ENGINE(int64_t, ggml_nelements, const void *);
	ENGINE(int64_t, ggml_nrows, const void *);
	int32_t type, op, flags;
	int64_t rows = ggml_nrows(tensor);

	memcpy(&type, tensor, sizeof(type));
	memcpy(&op, (char *)tensor + op_at, sizeof(op));
	memcpy(&flags, (char *)tensor + FLAGS_AT, sizeof(flags));
	fprintf(out, "N\t%lu\t%d\t%s\t%s\t%lld\t%lld\t%d\t%s\t%s\n", graphs, i, ggml_op_name(op),
		ggml_type_name(type), (long long)(rows ? ggml_nelements(tensor) / rows : 0),
		(long long)rows, (int)flags, backend, ggml_get_name(tensor));
}

static void write_graph(void *sched, void *graph)
{
	ENGINE(int, ggml_graph_n_nodes, void *);
	ENGINE(void *, ggml_graph_node, void *, int);
	ENGINE(int, ggml_backend_sched_get_n_splits, void *);
	int i, n = ggml_graph_n_nodes(graph);

	for (i = 0; i < n; i++) {
		void *node = ggml_graph_node(graph, i);

		write_node(node, OP_AT, backend_of(sched, node), i);
	}
	fprintf(out, "G\t%lu\t%d\t%d\t%d\n", graphs, n, ggml_backend_sched_get_n_splits(sched),
		(int)getpid());
}

/* The ids of the chosen experts: [used, tokens], with strides of their own. */
static void write_experts(void *tensor, const char *layer)
{
	ENGINE(int64_t, ggml_nelements, const void *);
	ENGINE(int64_t, ggml_nrows, const void *);
	ENGINE(int32_t, ggml_get_i32_nd, const void *, int, int, int, int);
	int tokens = (int)ggml_nrows(tensor);
	int used = tokens ? (int)(ggml_nelements(tensor) / tokens) : 0;
	int t, e;

	for (t = 0; t < tokens; t++) {
		fprintf(out, "E\t%lu\t%s\t%d", graphs, layer, t);
		for (e = 0; e < used && e < MAX_USED; e++)
			fprintf(out, "\t%d", ggml_get_i32_nd(tensor, e, t, 0, 0));
		fputc('\n', out);
	}
}

static bool seen(void *tensor, bool ask, void *user)
{
	static const char chosen[] = "ffn_moe_topk-";
	ENGINE(const char *, ggml_get_name, const void *);
	const char *name = ggml_get_name(tensor);
	bool wanted = strncmp(name, chosen, sizeof(chosen) - 1) == 0;

	(void)user;
	if (!ask && wanted)
		write_experts(tensor, name + sizeof(chosen) - 1);
	return ask ? wanted : true;
}

static int compute(const char *name, void *sched, void *graph)
{
	compute_fn real = (compute_fn)engine_function(name);
	bool mine = depth == 0 && log_open();
	int rc;

	if (mine && getenv("NODES_EXPERTS")) {
		ENGINE(void, ggml_backend_sched_set_eval_callback, void *, eval_fn, void *);
		ggml_backend_sched_set_eval_callback(sched, seen, NULL);
	}
	depth++;
	rc = real(sched, graph);
	depth--;
	if (mine) {
		write_graph(sched, graph);
		fflush(out);
		graphs++;
	}
	return rc;
}

static void write_inside(const char *inside, const void *graph)
{
	int op_at, n_at, nodes_at, i;
	int32_t n;

	if (sscanf(inside, "%d %d %d", &op_at, &n_at, &nodes_at) != 3) {
		fprintf(stderr, "libnodes: NODES_INSIDE takes three offsets\n");
		exit(1);
	}
	memcpy(&n, (const char *)graph + n_at, sizeof(n));
	for (i = 0; i < n; i++) {
		void *node;

		memcpy(&node, (const char *)graph + nodes_at + (size_t)i * sizeof(node),
		       sizeof(node));
		write_node(node, op_at, "CPU", i);
	}
	fprintf(out, "G\t%lu\t%d\t1\t%d\n", graphs++, (int)n, (int)getpid());
	fflush(out);
}

int ggml_graph_compute(void *graph, void *plan)
{
	int (*real)(void *, void *) =
		(int (*)(void *, void *))engine_function("ggml_graph_compute");
	const char *inside = getenv("NODES_INSIDE");

	if (inside && *inside && log_open())
		write_inside(inside, graph);
	return real(graph, plan);
}

int ggml_backend_sched_graph_compute(void *sched, void *graph)
{
	return compute("ggml_backend_sched_graph_compute", sched, graph);
}

int ggml_backend_sched_graph_compute_async(void *sched, void *graph)
{
	return compute("ggml_backend_sched_graph_compute_async", sched, graph);
}

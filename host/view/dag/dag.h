/* SPDX-License-Identifier: Apache-2.0 */
/* dag (ProfDAG): the operator graph of a run, as data, DOT text and SVG. */
#ifndef LLMPROBE_VIEW_DAG_H
#define LLMPROBE_VIEW_DAG_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/buf.h"
#include "util/diag.h"

enum dag_fold { DAG_FOLD_VIEWS = 1, DAG_FOLD_WEIGHTS = 2, DAG_FOLD_LAYERS = 4 };

struct dag_opts {
	int first_layer, last_layer; /* -1 and INT_MAX: everything, also what is in no layer */
	unsigned int fold;	     /* enum dag_fold bits */
	const char *phase;     /* NULL: decode, or whatever there is when nothing was decoded */
	const char *colour_by; /* time, share, bandwidth, experts or a counter; NULL: time */
};

struct dag_thread {
	int index;
	double compute_ns, wait_ns;
	uint64_t count;
};

struct dag_node {
	char *name, *op, *type, *kind;
	char *key; /* the same in every run, and with layers folded in every layer */
	int64_t ne[4];
	int layer;	/* -1: none */
	uint64_t count; /* executions */
	double cpu_ns;	/* of all executions on all threads */
	double time_ns; /* of one execution: mean of the slowest thread */
	double wait_ns; /* barrier wait of one execution, mean over the threads */
	double flops, bytes;
	double counter; /* per execution, all threads; negative: not counted */
	int experts;	/* distinct ones used */
	double skew;	/* uses of the hottest expert over the mean; 0: no experts */
	struct dag_thread *threads;
	size_t n_threads, cap_threads;
	/* Layers folded into this node. */
	int copies;
	double min_ns, max_ns; /* of time_ns over the layers; time_ns is then the median */
	struct buf weights;    /* what was folded in, "q4_0 2048x8192" per line */
	bool outside;	       /* only shown as the source of something inside the range */
	bool gone;
};

struct dag_edge {
	size_t src, dst; /* node numbers */
	int slot;
	bool next_layer; /* leads from a folded layer to the following one */
};

struct dag {
	struct dag_node *nodes;
	size_t n_nodes, cap_nodes;
	struct dag_edge *edges;
	size_t n_edges, cap_edges;
	double total_cpu_ns; /* of the whole run in that phase */
	char *phase;	     /* that was taken, "" for all */
	/* Per layer: how many layers it stands for, and the last of them; 0 when folded away. */
	struct dag_layer {
		int layer, copies;
		char *members; /* "0-15" */
	} * layers;
	size_t n_layers, cap_layers;
};

/* Reads and folds the graph. Returns 0 or -errno with an error in `d`; free with dag_free. */
int dag_load(sqlite3 *db, const struct dag_opts *o, struct dag *g, struct diag *d);
void dag_free(struct dag *g);
/* The figure that colours a node, negative when the node has none. */
double dag_value(const struct dag *g, const struct dag_node *n, const char *colour_by);

/*
 * The attention of a layer in words and lines, such as "grouped-query attention, 32 heads over 8"
 * and "Q, K: product, RoPE; V: product; after: product, sum"; to be freed. NULL when there is none,
 * or when the views are not folded.
 */
char *dag_attention(const struct dag *g, int layer);

/* DOT text of one graph, or of several side by side with one scale of colours. */
void dag_dot(const struct dag *graphs, const char *const *titles, size_t n,
	     const struct dag_opts *o, struct buf *out);
/*
 * Lays the DOT text out with the graphviz library, found at run time. Returns 0 and the SVG in
 * `svg`, or -errno with an error in `d` that names the package when the library is missing.
 */
int dag_svg(const char *dot, struct buf *svg, struct diag *d);
/* "views,weights" to bits of enum dag_fold; 0 or -EINVAL with the nearest name in `d`. */
int dag_parse_fold(const char *list, unsigned int *fold, struct diag *d);

struct view_opts;
/* The options of the command line as options of the graph. 0 or -EINVAL with an error in `d`. */
int dag_opts_of(const struct view_opts *o, struct dag_opts *out, struct diag *d);

/* For dag_fold.c: applies o->fold and the layer range to a graph as it was read. */
void dag_apply(struct dag *g, const struct dag_opts *o);
void dag_node_free(struct dag_node *n);

#endif

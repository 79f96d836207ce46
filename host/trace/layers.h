/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of tensors whose name has none. An engine names most tensors after their layer, but leaves
 * some with a running number ("node_24"), the attention itself among them: those belong to the
 * layer that uses what they compute.
 */
#ifndef LLMPROBE_TRACE_LAYERS_H
#define LLMPROBE_TRACE_LAYERS_H

#include <stddef.h>
#include <stdint.h>

struct layers_edge {
	uint32_t src, dst; /* indices into layer[] */
};

/*
 * Replaces the -1 in layer[0..n) by the layer that uses the tensor, where it is also made of one.
 * Inputs are made of no layer, the output is used by none: both keep theirs. Edges come best with
 * those of sources first; circles do no harm.
 */
void layers_infer(int *layer, size_t n, const struct layers_edge *edges, size_t n_edges);

#endif

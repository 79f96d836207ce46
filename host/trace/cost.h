/* SPDX-License-Identifier: Apache-2.0 */
/* The model of what one execution of an operator computes and moves. */
#ifndef LLMPROBE_TRACE_COST_H
#define LLMPROBE_TRACE_COST_H

#include <stdint.h>

enum tensor_kind { KIND_ACTIVATION, KIND_WEIGHT, KIND_KV, KIND_INPUT, KIND_VIEW, KIND_FUSED };

struct cost_tensor {
	int64_t ne[4];	       /* -1: unknown */
	double type_bytes;     /* per element */
	enum tensor_kind kind; /* of what the data belongs to: views count as their source */
};

struct cost {
	double flops; /* of one execution by all threads; -1: shapes unknown */
	double bytes; /* all read and written once; views 0; -1: unknown */
	double weight_bytes, kv_bytes;
};

/*
 * Cost of `op` writing `dst` from `src[0..n)` (NULL entries are absent). Matrix products, attention
 * and row look-ups are exact in their shapes; the rest counts one operation per element.
 */
struct cost cost_of(const char *op, const struct cost_tensor *dst,
		    const struct cost_tensor *const *src, int n);
double cost_nbytes(const struct cost_tensor *t);

#endif

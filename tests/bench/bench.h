/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks share: clocks, medians, our own probe sites. */
#ifndef LLMPROBE_TESTS_BENCH_H
#define LLMPROBE_TESTS_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bpf/compile.h"
#include "bpf/link.h"
#include "bpf/module.h"
#include "tests/own_code.h"
#include "util/diag.h"

static inline double clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static inline int by_value(const void *pa, const void *pb)
{
	const double *a = pa, *b = pb;

	return (*a > *b) - (*a < *b);
}

static inline double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static inline void die_of(const struct diag *d)
{
	diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	exit(1);
}

static inline struct bpf_module *load_text(const char *text, const struct bpf_load_opts *o)
{
	struct bpf_compile_opts c = {.text = text, .name = "bench"};
	struct diag *d = diag_new();
	struct bpf_code *code = bpf_compile(&c, d);
	struct bpf_module *m = code ? bpf_module_load(code, o, d) : NULL;

	if (!m)
		die_of(d);
	bpf_code_free(code);
	diag_free(d);
	return m;
}

#endif

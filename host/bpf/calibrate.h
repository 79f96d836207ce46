/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The price of one probe hit on this machine, measured on functions of our own: what the program's
 * run time does not include. Estimates of cost multiply hits by these.
 */
#ifndef LLMPROBE_BPF_CALIBRATE_H
#define LLMPROBE_BPF_CALIBRATE_H

#include "util/diag.h"

/* How the kernel runs the instruction under a breakpoint. */
enum hit_class {
	HIT_EMULATED, /* nop, jumps: cheap */
	HIT_PUSH,     /* push r64, call: a write to the stack more */
	HIT_STEPPED,  /* everything else: some ten times as dear */
	HIT_NOP5,     /* 5-byte nop, a system call on kernels from 6.18 */
	HIT_RETURN,   /* return probe on an emulated push, the hit at return included */
	HIT_CLASS_COUNT
};

struct hit_cost {
	double ns[HIT_CLASS_COUNT]; /* per hit with an empty program, medians; NaN: not measured */
};

/*
 * Measures all classes, or takes what was measured since boot from the cache (NULL: none). Under
 * 30 ms. Returns 0 or -errno with an error in `d`.
 */
int calibrate_hits(const char *cache_dir, struct hit_cost *out, struct diag *d);
const char *hit_class_name(enum hit_class c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of `calibrate`: what one core does at most with the best instructions it has. */
#ifndef LLMPROBE_VIEW_PEAKS_KERNELS_H
#define LLMPROBE_VIEW_PEAKS_KERNELS_H

#include <stdint.h>
#include <stddef.h>

typedef uint64_t peaks_words __attribute__((vector_size(64)));

/* A loop on registers only. */
struct peaks_kernel {
	const char *isa;	   /* "AVX-512", "NEON".. */
	double work;		   /* operations per loop; a multiply-add counts 2 */
	double (*run)(long loops); /* the result only keeps the work from being left out */
};

/* The best one that runs here. */
struct peaks_kernel peaks_fma_kernel(void);  /* single precision */
struct peaks_kernel peaks_int8_kernel(void); /* 8-bit integers into 32-bit sums */
/* Reads all of p[0..n), n a multiple of 4. */
double peaks_read(const peaks_words *p, size_t n);

#endif

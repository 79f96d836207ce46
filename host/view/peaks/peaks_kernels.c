/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Independent chains of one instruction: as many as hide its latency, few enough for the registers.
 * Written with intrinsics, as no compiler finds the integer dot products by itself.
 */
#include "view/peaks/peaks_kernels.h"

#include <stdbool.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>
#endif

/* The loop over memory is compiled for several instruction sets; sanitizers do not like that. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define BEST_ISA __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#else
#define BEST_ISA __attribute__((noinline))
#endif

enum { CHAINS = 12 };

BEST_ISA double peaks_read(const peaks_words *p, size_t n)
{
	peaks_words a = {0}, b = {0}, c = {0}, e = {0};

	for (size_t i = 0; i + 4 <= n; i += 4) {
		a ^= p[i];
		b ^= p[i + 1];
		c ^= p[i + 2];
		e ^= p[i + 3];
	}
	a ^= b ^ c ^ e;
	return (double)a[0];
}

/* What compilers make of a plain loop; for machines without the instructions below. */
enum { PLAIN = 1024, PLAIN_OPERATIONS = 2 * PLAIN };

static double dot_plain(long loops)
{
	int8_t a[PLAIN] = {1}, b[PLAIN] = {2};
	int32_t sum = 0;

	for (long i = 0; i < loops; i++) {
		__asm__("" ::"r"(a) : "memory");
		for (int k = 0; k < PLAIN; k++)
			sum += a[k] * b[k];
	}
	return sum;
}

#if !defined(__x86_64__) && !defined(__aarch64__)
static double fma_plain(long loops)
{
	float a[PLAIN] = {1}, sum = 0;

	for (long i = 0; i < loops; i++) {
		__asm__("" ::"r"(a) : "memory");
		for (int k = 0; k < PLAIN; k++)
			a[k] = a[k] * 1e-3f + 0.5f;
		sum += a[i % PLAIN];
	}
	return (double)sum;
}
#endif

/*
 * A kernel of CHAINS chains. `step` computes the next `acc` from acc, x and y, and `sum` is the
 * first lane of acc. To the compiler x is new at each step, so that it computes every one of them.
 */
#define KERNEL(name, target, vec, zero, one, step, sum, reg)                                       \
	target static double name(long loops)                                                      \
	{                                                                                          \
		vec chain[CHAINS], x = one, y = one, acc;                                          \
		double total = 0;                                                                  \
                                                                                                   \
		for (int c = 0; c < CHAINS; c++)                                                   \
			chain[c] = zero;                                                           \
		for (long i = 0; i < loops; i++) {                                                 \
			_Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++)                  \
			{                                                                          \
				__asm__("" : "+" reg(x));                                          \
				acc = chain[c];                                                    \
				chain[c] = step;                                                   \
			}                                                                          \
		}                                                                                  \
		for (int c = 0; c < CHAINS; c++) {                                                 \
			acc = chain[c];                                                            \
			total += (double)(sum);                                                    \
		}                                                                                  \
		return total;                                                                      \
	}

#if defined(__x86_64__)

#define TARGET(isa) __attribute__((target(isa)))

KERNEL(fma_sse, , __m128, _mm_set1_ps(1e-3f), _mm_set1_ps(0.5f), _mm_add_ps(_mm_mul_ps(acc, x), y),
       _mm_cvtss_f32(acc), "x")
KERNEL(fma_avx2, TARGET("avx2,fma"), __m256, _mm256_set1_ps(1e-3f), _mm256_set1_ps(0.5f),
       _mm256_fmadd_ps(acc, x, y), _mm256_cvtss_f32(acc), "x")
KERNEL(fma_avx512, TARGET("avx512f"), __m512, _mm512_set1_ps(1e-3f), _mm512_set1_ps(0.5f),
       _mm512_fmadd_ps(acc, x, y), _mm512_cvtss_f32(acc), "v")

KERNEL(dot_avx2, TARGET("avx2"), __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
       _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), _mm256_set1_epi16(1))),
       _mm256_extract_epi32(acc, 0), "x")
KERNEL(dot_avx_vnni, TARGET("avx2,avxvnni"), __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
       _mm256_dpbusd_avx_epi32(acc, x, y), _mm256_extract_epi32(acc, 0), "x")
KERNEL(dot_avx512, TARGET("avx512f,avx512vnni"), __m512i, _mm512_setzero_si512(),
       _mm512_set1_epi8(1), _mm512_dpbusd_epi32(acc, x, y),
       _mm_cvtsi128_si32(_mm512_castsi512_si128(acc)), "v")

/* Compilers know this one by different names, or not at all. */
static bool has_avx_vnni(void)
{
	unsigned int a, b, c, d;

	return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
	       a & (1 << 4);
}

struct peaks_kernel peaks_fma_kernel(void)
{
	if (__builtin_cpu_supports("avx512f"))
		return (struct peaks_kernel){"AVX-512", CHAINS * 16 * 2, fma_avx512};
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return (struct peaks_kernel){"AVX2", CHAINS * 8 * 2, fma_avx2};
	return (struct peaks_kernel){"SSE", CHAINS * 4 * 2, fma_sse};
}

struct peaks_kernel peaks_int8_kernel(void)
{
	if (__builtin_cpu_supports("avx512vnni"))
		return (struct peaks_kernel){"AVX-512 VNNI", CHAINS * 64 * 2, dot_avx512};
	if (has_avx_vnni())
		return (struct peaks_kernel){"AVX-VNNI", CHAINS * 32 * 2, dot_avx_vnni};
	if (__builtin_cpu_supports("avx2"))
		return (struct peaks_kernel){"AVX2", CHAINS * 32 * 2, dot_avx2};
	return (struct peaks_kernel){"plain C", PLAIN_OPERATIONS, dot_plain};
}

#elif defined(__aarch64__)

#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#ifndef HWCAP2_I8MM
#define HWCAP2_I8MM (1 << 13)
#endif

KERNEL(fma_neon, , float32x4_t, vdupq_n_f32(1e-3f), vdupq_n_f32(0.5f), vfmaq_f32(y, acc, x),
       vgetq_lane_f32(acc, 0), "w")

#ifdef __clang__
#define TARGET(extension) __attribute__((target(extension)))
#else
/* GNU's assembler takes neither extension with a base older than that. */
#define TARGET(extension) __attribute__((target("arch=armv8.2-a+" extension)))
#endif

/* Assembly: some compilers offer the intrinsics only when the whole file may use them. */
#define INTEGER_STEP(instruction, extension)                                                       \
	TARGET(extension)                                                                          \
	static inline int32x4_t instruction(int32x4_t acc, int32x4_t x, int32x4_t y)               \
	{                                                                                          \
		__asm__(#instruction " %0.4s, %1.16b, %2.16b" : "+w"(acc) : "w"(x), "w"(y));       \
		return acc;                                                                        \
	}
INTEGER_STEP(sdot, "dotprod")
INTEGER_STEP(smmla, "i8mm")

KERNEL(dot_neon, TARGET("dotprod"), int32x4_t, vdupq_n_s32(0), vdupq_n_s32(0x01010101),
       sdot(acc, x, y), vgetq_lane_s32(acc, 0), "w")
KERNEL(matrix_neon, TARGET("i8mm"), int32x4_t, vdupq_n_s32(0), vdupq_n_s32(0x01010101),
       smmla(acc, x, y), vgetq_lane_s32(acc, 0), "w")

struct peaks_kernel peaks_fma_kernel(void)
{
	return (struct peaks_kernel){"NEON", CHAINS * 4 * 2, fma_neon};
}

struct peaks_kernel peaks_int8_kernel(void)
{
	if (getauxval(AT_HWCAP2) & HWCAP2_I8MM)
		return (struct peaks_kernel){"NEON i8mm", CHAINS * 32 * 2, matrix_neon};
	if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
		return (struct peaks_kernel){"NEON dotprod", CHAINS * 16 * 2, dot_neon};
	return (struct peaks_kernel){"plain C", PLAIN_OPERATIONS, dot_plain};
}

#else

struct peaks_kernel peaks_fma_kernel(void)
{
	return (struct peaks_kernel){"plain C", PLAIN_OPERATIONS, fma_plain};
}

struct peaks_kernel peaks_int8_kernel(void)
{
	return (struct peaks_kernel){"plain C", PLAIN_OPERATIONS, dot_plain};
}

#endif

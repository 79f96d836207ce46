/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers for weights, fast and the same for the same seed. */
#ifndef FILL_H
#define FILL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* splitmix64: one multiply-xor chain per 8 bytes, faster than the disk. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Every tensor has a stream of its own, so that adding one changes no other. */
static inline uint64_t stream_of(uint64_t seed, const char *name)
{
	uint64_t h = 0xcbf29ce484222325u;

	while (*name)
		h = (h ^ (unsigned char)*name++) * 0x100000001b3u;
	h ^= seed;
	return next_random(&h);
}

/* The exponent bits of the f16 power of two next below `v`, kept in the normal range. */
static inline uint16_t half_exponent(double v)
{
	int e = 0;

	frexp(v, &e);
	e = e - 1 + 15;
	return (uint16_t)((e < 1 ? 1 : e > 20 ? 20 : e) << 10);
}

/* f16 numbers of either sign with |v| in [2^e, 2^(e+1)): no zero, no infinity, no NaN. */
static inline void fill_half(uint16_t *out, size_t n, uint16_t exponent, uint64_t *state)
{
	uint64_t bits = 0x0001000100010001u * exponent, r;
	size_t i;

	for (i = 0; i + 4 <= n; i += 4) {
		r = (next_random(state) & 0x83ff83ff83ff83ffu) | bits;
		memcpy(out + i, &r, sizeof(r));
	}
	for (; i < n; i++)
		out[i] = (uint16_t)((next_random(state) & 0x83ff) | exponent);
}

static inline void fill_float(float *out, size_t n, double scale, uint64_t *state)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = (float)(((double)(next_random(state) >> 11) / 9007199254740992.0 - 0.5) *
				 2 * scale);
}

#endif

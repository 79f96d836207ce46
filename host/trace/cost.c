/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/cost.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "util/alloc.h"

static bool one_of(const char *op, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(op, names[i]) == 0)
			return true;
	return false;
}

static const char *const free_ops[] = {"NONE", "VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"};
static const char *const move_ops[] = {"CPY",	 "CONT",   "DUP",  "GET_ROWS", "SET_ROWS",
				       "CONCAT", "REPEAT", "SET",  "PAD",      "ARGSORT",
				       "ROLL",	 "ARANGE", "TOP_K"};

static double elements(const struct cost_tensor *t)
{
	double n = 1;

	for (int i = 0; i < 4; i++) {
		if (t->ne[i] < 0)
			return -1;
		n *= (double)t->ne[i];
	}
	return n;
}

double cost_nbytes(const struct cost_tensor *t)
{
	double n = elements(t);

	return n < 0 || t->type_bytes <= 0 ? -1 : n * t->type_bytes;
}

static double flops_of(const char *op, const struct cost_tensor *dst,
		       const struct cost_tensor *const *src, int n)
{
	double out = elements(dst);
	bool two = n >= 2 && src[0] && src[1];

	if (one_of(op, move_ops, ARRAY_LEN(move_ops)))
		return 0;
	if (two && (strcmp(op, "MUL_MAT") == 0 || strcmp(op, "MUL_MAT_ID") == 0))
		return 2 * (double)src[0]->ne[0] * out;
	if (two && strcmp(op, "OUT_PROD") == 0)
		return 2 * (double)src[0]->ne[1] * out;
	if (n >= 3 && two && src[2] && strncmp(op, "FLASH_ATTN", 10) == 0)
		return 2 * (double)(src[0]->ne[1] * src[0]->ne[2] * src[0]->ne[3]) *
		       (double)(src[1]->ne[0] + src[2]->ne[0]) * (double)src[1]->ne[1];
	return strchr(op, '+') ? 2 * out : out;
}

/* What source `i` moves: all of it, or the rows and experts that are looked up. */
static double source_bytes(const char *op, const struct cost_tensor *dst,
			   const struct cost_tensor *const *src, int n, int i)
{
	double all = cost_nbytes(src[i]);

	if (i > 0)
		return all;
	if (strcmp(op, "GET_ROWS") == 0)
		return elements(dst) * src[0]->type_bytes;
	if (strcmp(op, "MUL_MAT_ID") == 0 && src[0]->ne[2] > 0 && n > 2 && src[2]) {
		double hit = (double)src[2]->ne[0] * (double)src[2]->ne[1];

		return all * fmin(1, hit / (double)src[0]->ne[2]);
	}
	return all;
}

static bool shapes_known(const struct cost_tensor *dst, const struct cost_tensor *const *src, int n)
{
	if (elements(dst) < 0)
		return false;
	for (int i = 0; i < n; i++)
		if (src[i] && elements(src[i]) < 0)
			return false;
	return true;
}

static void count(struct cost *c, const struct cost_tensor *t, double bytes)
{
	if (bytes < 0)
		return;
	c->bytes += bytes;
	if (t->kind == KIND_WEIGHT)
		c->weight_bytes += bytes;
	if (t->kind == KIND_KV)
		c->kv_bytes += bytes;
}

struct cost cost_of(const char *op, const struct cost_tensor *dst,
		    const struct cost_tensor *const *src, int n)
{
	struct cost c = {0};
	bool rows = strcmp(op, "SET_ROWS") == 0;

	if (one_of(op, free_ops, ARRAY_LEN(free_ops)))
		return c;
	if (!shapes_known(dst, src, n))
		return (struct cost){.flops = -1, .bytes = -1};
	c.flops = flops_of(op, dst, src, n);
	for (int i = 0; i < n; i++)
		/* The target of SET_ROWS is listed as a source in some versions. */
		if (src[i] && !(rows && i > 1))
			count(&c, src[i], source_bytes(op, dst, src, n, i));
	/* SET_ROWS returns a view of the whole cache and writes only the rows given. */
	count(&c, dst, rows && n && src[0] ? elements(src[0]) * dst->type_bytes : cost_nbytes(dst));
	return c;
}

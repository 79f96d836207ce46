/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/rows.h"

#include <stdlib.h>
#include <string.h>

#include "bpf/kmap.h"

struct reading {
	const struct plugin_table *t;
	struct rows *out;
};

static bool is_array(const struct plugin_table *t)
{
	return t->map->type == BPF_MAP_TYPE_ARRAY || t->map->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static bool all_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* The first number in it, by which rows are sorted. */
static bool first_integer(const struct ctype *t, const unsigned char *value, size_t len,
			  int64_t *out)
{
	if (ctype_integer(t, value, len, out))
		return true;
	for (size_t i = 0; i < t->n_fields; i++)
		if (!t->fields[i].pad && t->fields[i].offset < len &&
		    first_integer(t->fields[i].type, value + t->fields[i].offset,
				  len - t->fields[i].offset, out))
			return true;
	return t->elem && t->count && first_integer(t->elem, value, len, out);
}

static unsigned char *copy(const void *p, size_t n)
{
	unsigned char *out = xmalloc(n + 1);

	memcpy(out, p, n);
	return out;
}

static void add_row(struct reading *r, const void *key, const unsigned char *value, int cpu)
{
	const struct plugin_table *t = r->t;
	size_t len = t->map->value_size;
	struct row *row;

	if (is_array(t) && all_zero(value, len)) {
		r->out->zero++;
		return;
	}
	row = VEC_PUSH(r->out->at, r->out->count, r->out->cap);
	*row = (struct row){copy(key, t->map->key_size), copy(value, len), cpu, 0};
	if (t->value)
		first_integer(t->value, value, len, &row->weight);
}

static void add_sum(struct reading *r, const void *key, const unsigned char *value)
{
	size_t stride = kmap_percpu_stride(r->t->map->value_size);
	int64_t sum = 0, v;

	for (unsigned cpu = 0; cpu < kmap_ncpu(); cpu++)
		if (ctype_integer(r->t->value, value + cpu * stride, stride, &v))
			sum += v;
	add_row(r, key, (const unsigned char *)&sum, -1);
}

static int take(void *ctx, const void *key, const void *value)
{
	struct reading *r = ctx;
	size_t stride = kmap_percpu_stride(r->t->map->value_size);
	int64_t v;

	r->out->entries++;
	if (!kmap_is_percpu(r->t->map->type)) {
		add_row(r, key, value, -1);
	} else if (r->t->value && ctype_integer(r->t->value, value, stride, &v)) {
		add_sum(r, key, value);
	} else {
		for (unsigned cpu = 0; cpu < kmap_ncpu(); cpu++) {
			const unsigned char *slot = (const unsigned char *)value + cpu * stride;

			if (!all_zero(slot, r->t->map->value_size))
				add_row(r, key, slot, (int)cpu);
		}
	}
	return 0;
}

static int by_weight(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->weight < y->weight ? 1 : x->weight > y->weight ? -1 : 0;
}

static int by_index(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, ((const struct row *)a)->key, sizeof(x));
	memcpy(&y, ((const struct row *)b)->key, sizeof(y));
	return x < y ? -1 : x > y;
}

void rows_read(const struct plugin_table *t, struct rows *out)
{
	struct reading r = {t, out};

	memset(out, 0, sizeof(*out));
	kmap_each(t->fd, take, &r);
	if (out->count)
		qsort(out->at, out->count, sizeof(*out->at),
		      is_array(t) && t->map->key_size == 4 ? by_index : by_weight);
}

void rows_free(struct rows *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->at[i].key);
		free(r->at[i].value);
	}
	free(r->at);
	memset(r, 0, sizeof(*r));
}

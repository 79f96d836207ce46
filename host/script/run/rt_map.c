/* SPDX-License-Identifier: Apache-2.0 */
/* Maps: read, reduced over CPUs, sorted, printed. */
#include <stdlib.h>
#include <string.h>

#include "bpf/kmap.h"
#include "script/fn/builtin.h"
#include "script/run/runtime.h"

struct element {
	uint8_t *key;	       /* key bytes, without the bucket */
	uint8_t *value;	       /* plain maps */
	uint64_t total, count; /* aggregations: value or sum, and number */
	uint64_t *buckets;
	uint64_t *stamp; /* tseries: interval of each bucket, and count */
};

struct table {
	struct runtime *r;
	const struct symbol *m;
	size_t key_size; /* without the bucket */
	size_t n_buckets;
	struct element *v;
	size_t n, cap;
	const int64_t *range; /* of a time series, NULL: its own */
	uint64_t last;	      /* latest interval of all time series */
};

static uint64_t word(const void *p, size_t i)
{
	uint64_t v;

	memcpy(&v, (const char *)p + i * 8, 8);
	return v;
}

/* ---- reading ---- */

static void add_tseries(struct table *t, struct element *e, uint64_t b, const uint8_t *slot)
{
	uint64_t when = word(slot, 0), v = word(slot, 1), n = word(slot, 2);
	uint64_t *stamp = e->stamp + b * 2, *value = &e->buckets[b];
	bool is_signed = t->m->type->is_signed;

	if (!n || (stamp[1] && when < stamp[0]))
		return;
	t->last = when > t->last ? when : t->last;
	if (!stamp[1] || when > stamp[0]) {
		stamp[0] = when;
		stamp[1] = n;
		*value = v;
		return;
	}
	switch (t->m->type->args[2]) {
	case 1:
	case 4:
		*value += v;
		break;
	case 2:
		if (is_signed ? (int64_t)v > (int64_t)*value : v > *value)
			*value = v;
		break;
	case 3:
		if (is_signed ? (int64_t)v < (int64_t)*value : v < *value)
			*value = v;
		break;
	default:
		*value = v;
	}
	stamp[1] += n;
}

static void reduce(struct table *t, struct element *e, const uint8_t *value)
{
	const struct type *ty = t->m->type;
	size_t stride = kmap_percpu_stride(map_value_size(t->m));

	for (unsigned cpu = 0; cpu < kmap_ncpu(); cpu++) {
		const uint8_t *slot = value + cpu * stride;
		uint64_t v = word(slot, 0);

		switch (ty->kind) {
		case TY_MIN:
		case TY_MAX: {
			bool less = ty->is_signed ? (int64_t)v < (int64_t)e->total : v < e->total;

			if (word(slot, 1) && (!e->count || (ty->kind == TY_MIN ? less : !less)))
				e->total = v;
			e->count |= word(slot, 1);
			break;
		}
		case TY_AVG:
		case TY_STATS:
			e->total += v;
			e->count += word(slot, 1);
			break;
		default:
			e->total += v;
		}
	}
}

static struct element *element_for(struct table *t, const uint8_t *key)
{
	struct element *e;

	for (size_t i = t->n; map_has_buckets(t->m->type->kind) && i-- > 0;)
		if (memcmp(t->v[i].key, key, t->key_size) == 0)
			return &t->v[i];
	e = VEC_PUSH(t->v, t->n, t->cap);
	e->key = xmalloc(t->key_size + 8);
	memcpy(e->key, key, t->key_size);
	if (map_has_buckets(t->m->type->kind)) {
		e->buckets = xcalloc(t->n_buckets, 8);
		e->stamp = xcalloc(t->n_buckets * 2, 8);
	}
	return e;
}

static bool is_set(const struct table *t, const uint8_t *value)
{
	size_t at = map_value_size(t->m) / 8 - 1;
	size_t stride = kmap_percpu_stride(map_value_size(t->m));

	if (t->m->key || map_has_buckets(t->m->type->kind))
		return true;
	if (!type_is_aggregate(t->m->type->kind))
		return word(value, at) != 0;
	for (unsigned cpu = 0; cpu < kmap_ncpu(); cpu++)
		if (word(value + cpu * stride, at))
			return true;
	return false;
}

static void add_bucket(struct table *t, const uint8_t *key, const uint8_t *value)
{
	size_t stride = kmap_percpu_stride(map_value_size(t->m));
	uint32_t index;
	uint64_t b, sum = 0;
	struct element *e;

	if (t->m->key) {
		b = word(key + t->key_size, 0);
	} else {
		memcpy(&index, key, 4);
		b = index;
	}
	for (unsigned cpu = 0; cpu < kmap_ncpu(); cpu++)
		sum += word(value + cpu * stride, t->m->type->kind == TY_TSERIES ? 2 : 0);
	if (b >= t->n_buckets || (!sum && !t->m->key))
		return;
	e = element_for(t, t->m->key ? key : (const uint8_t *)"");
	if (t->m->type->kind != TY_TSERIES) {
		e->buckets[b] += sum;
		e->total += sum;
		return;
	}
	for (unsigned cpu = 0; cpu < kmap_ncpu(); cpu++)
		add_tseries(t, e, b, value + cpu * stride);
	e->total += sum;
}

static int add_element(void *ctx, const void *key, const void *value)
{
	struct table *t = ctx;
	struct element *e;

	if (!is_set(t, value))
		return 0;
	if (map_has_buckets(t->m->type->kind)) {
		add_bucket(t, key, value);
		return 0;
	}
	e = element_for(t, key);
	if (type_is_aggregate(t->m->type->kind)) {
		reduce(t, e, value);
	} else {
		size_t size = map_value_size(t->m);

		e->value = xmalloc(size);
		memcpy(e->value, value, size);
		e->total = word(value, 0);
	}
	return 0;
}

/* ---- order ---- */

static int compare_u64(uint64_t a, uint64_t b, bool is_signed)
{
	if (is_signed)
		return (int64_t)a < (int64_t)b ? -1 : (int64_t)a > (int64_t)b;
	return a < b ? -1 : a > b;
}

static int compare_values(const struct type *t, const uint8_t *a, const uint8_t *b)
{
	int c = 0;

	if (type_is_int(t))
		return compare_u64(word(a, 0), word(b, 0), t->is_signed);
	if (type_in_register(t))
		return compare_u64(word(a, 0), word(b, 0), false);
	if (t->kind == TY_STRING)
		return strncmp((const char *)a, (const char *)b, t->size);
	if (t->kind != TY_TUPLE && t->kind != TY_RECORD)
		return memcmp(a, b, t->size);
	for (size_t i = 0; !c && i < t->fields->n; i++)
		c = compare_values(t->fields->v[i].type, a + t->fields->v[i].offset,
				   b + t->fields->v[i].offset);
	return c;
}

static bool is_number(const struct type *t)
{
	return t->kind == TY_INT || type_is_aggregate(t->kind);
}

static uint64_t average(const struct element *e)
{
	return e->count ? (uint64_t)((int64_t)e->total / (int64_t)e->count) : 0;
}

static int compare_elements(const void *pa, const void *pb, void *arg)
{
	const struct table *t = arg;
	const struct element *a = pa, *b = pb;
	const struct type *ty = t->m->type;
	int c = 0;

	if (ty->kind == TY_AVG || ty->kind == TY_STATS)
		c = compare_u64(average(a), average(b), true);
	else if ((is_number(ty) || ty->kind == TY_ENUM) && ty->kind != TY_TSERIES)
		c = compare_u64(a->total, b->total, ty->is_signed && !map_has_buckets(ty->kind));
	if (!c && t->m->key)
		c = compare_values(t->m->key, a->key, b->key);
	return c;
}

/* ---- text ---- */

static void put_stats(struct table *t, struct buf *out, const struct element *e, uint64_t div)
{
	const char *total = t->m->type->is_signed ? "%lld" : "%llu";
	int64_t avg = (int64_t)average(e) / (int64_t)div;

	if (t->m->type->kind == TY_AVG) {
		buf_printf(out, "%lld", (long long)avg);
		return;
	}
	buf_printf(out, "{ .count = %llu, .average = %lld, .total = ", (unsigned long long)e->count,
		   (long long)avg);
	buf_printf(out, total, (long long)e->total);
	buf_puts(out, " }");
}

static void put_element(struct table *t, struct buf *out, const struct element *e, uint64_t div)
{
	const struct type *ty = t->m->type;
	uint8_t value[8];
	uint64_t v = e->total;

	if (ty->kind == TY_AVG || ty->kind == TY_STATS) {
		put_stats(t, out, e, div);
		return;
	}
	if (!is_number(ty)) {
		value_text(t->r, out, ty, e->value, 8);
		return;
	}
	if (div > 1)
		v = ty->is_signed ? (uint64_t)((int64_t)v / (int64_t)div) : v / div;
	memcpy(value, &v, 8);
	value_text(t->r, out, ty->is_signed ? &type_i64 : &type_u64, value, 8);
}

/* Averages are told as such from here on. */
static void settle_tseries(const struct table *t, const struct element *e)
{
	for (size_t b = 0; b < t->n_buckets; b++)
		if (t->m->type->args[2] == 1 && e->stamp[b * 2 + 1])
			e->buckets[b] =
				(uint64_t)((int64_t)e->buckets[b] / (int64_t)e->stamp[b * 2 + 1]);
}

static struct series series_of(const struct table *t, const struct element *e)
{
	settle_tseries(t, e);
	return (struct series){.type = t->m->type,
			       .values = e->buckets,
			       .stamps = e->stamp,
			       .n = t->n_buckets,
			       .last = t->last,
			       .range = t->range};
}

static void put_series(struct table *t, struct buf *out, const struct element *e)
{
	struct series s = series_of(t, e);

	series_text(out, &s);
}

static void put_name(struct table *t, struct buf *out, const struct element *e)
{
	buf_puts(out, t->m->name);
	if (t->m->key) {
		buf_putc(out, '[');
		value_key_text(t->r, out, t->m->key, e->key);
		buf_putc(out, ']');
	}
}

static void print_text(struct table *t, size_t from, uint64_t div)
{
	struct buf out = {0};

	for (size_t i = from; i < t->n; i++) {
		put_name(t, &out, &t->v[i]);
		if (!map_has_buckets(t->m->type->kind)) {
			buf_puts(&out, ": ");
			put_element(t, &out, &t->v[i], div);
			buf_putc(&out, '\n');
			continue;
		}
		buf_puts(&out, ":\n");
		if (t->m->type->kind == TY_TSERIES)
			put_series(t, &out, &t->v[i]);
		else
			hist_text(&out, t->m->type, t->v[i].buckets, t->n_buckets, div);
	}
	fwrite(buf_str(&out), 1, out.len, t->r->out);
	buf_free(&out);
}

/* ---- JSON ---- */

static const char *json_type(const struct type *t)
{
	switch (t->kind) {
	case TY_HIST:
	case TY_LHIST:
		return "hist";
	case TY_TSERIES:
		return "tseries";
	case TY_AVG:
	case TY_STATS:
		return "stats";
	default:
		return "map";
	}
}

/* As in text, but without the spaces between the parts; those of strings stay. */
static void key_parts(struct table *t, struct buf *out, const struct type *type,
		      const uint8_t *data, bool outermost)
{
	bool named = type->kind == TY_RECORD;

	if (type->kind != TY_TUPLE && !named) {
		value_key_text(t->r, out, type, data);
		return;
	}
	buf_puts(out, named ? "{" : outermost ? "" : "(");
	for (size_t i = 0; i < type->fields->n; i++) {
		const struct field *f = &type->fields->v[i];

		buf_puts(out, i ? "," : "");
		if (named)
			buf_printf(out, ".%s=", f->name);
		key_parts(t, out, f->type, data + f->offset, false);
	}
	buf_puts(out, named ? "}" : outermost ? "" : ")");
}

static void json_key(struct table *t, struct buf *out, const struct element *e)
{
	struct buf text = {0};

	key_parts(t, &text, t->m->key, e->key, true);
	json_string(out, buf_str(&text), text.len);
	buf_free(&text);
}

static void json_tseries(struct table *t, struct buf *out, const struct element *e)
{
	struct series s = series_of(t, e);

	series_json(out, &s);
}

static void json_element(struct table *t, struct buf *out, const struct element *e, uint64_t div)
{
	const struct type *ty = t->m->type;
	struct buf text = {0};

	if (ty->kind == TY_TSERIES) {
		json_tseries(t, out, e);
	} else if (map_has_buckets(ty->kind)) {
		hist_json(out, ty, e->buckets, t->n_buckets, div);
	} else if (ty->kind == TY_AVG) {
		put_stats(t, out, e, div);
	} else if (ty->kind == TY_STATS) {
		buf_printf(out, "{\"count\": %llu, \"average\": %lld, \"total\": %lld}",
			   (unsigned long long)e->count,
			   (long long)((int64_t)average(e) / (int64_t)div), (long long)e->total);
	} else if (is_number(ty)) {
		uint8_t value[8];

		put_element(t, &text, e, div);
		memcpy(value, &e->total, 8);
		if (div > 1)
			buf_puts(out, buf_str(&text));
		else
			value_json(t->r, out, ty->is_signed ? &type_i64 : &type_u64, value);
		buf_free(&text);
	} else {
		value_json(t->r, out, ty, e->value);
	}
}

static void print_json(struct table *t, size_t from, uint64_t div)
{
	struct buf out = {0};

	buf_putc(&out, '{');
	json_string(&out, t->m->name, strlen(t->m->name));
	buf_puts(&out, ": ");
	if (t->m->key)
		buf_putc(&out, '{');
	for (size_t i = from; i < t->n; i++) {
		buf_puts(&out, i > from ? ", " : "");
		if (t->m->key) {
			json_key(t, &out, &t->v[i]);
			buf_puts(&out, ": ");
		}
		json_element(t, &out, &t->v[i], div);
	}
	buf_puts(&out, t->m->key ? "}}" : "}");
	output_json(t->r, json_type(t->m->type), buf_str(&out));
	buf_free(&out);
}

/* An empty map without key shows its zero when asked for by name, a histogram its name when all of
 * its buckets were set to zero. */
static void add_zero(struct table *t, bool at_exit)
{
	struct element *e;

	if (map_has_buckets(t->m->type->kind) ? !t->r->zeroed[t->m->id] : at_exit)
		return;
	e = element_for(t, (const uint8_t *)"\0\0\0\0\0\0\0");
	e->value = xcalloc(1, map_value_size(t->m));
}

void map_print(struct runtime *r, const struct symbol *m, uint64_t top, uint64_t div, bool at_exit)
{
	struct table t = {.r = r, .m = m, .n_buckets = map_buckets(m->type)};
	int64_t range[2] = {(int64_t)top, (int64_t)div};
	size_t from = 0;

	if (m->type->kind == TY_TSERIES) {
		t.range = top || div ? range : NULL;
		top = div = 0;
	}
	t.key_size = m->key ? map_key_size(m) - (map_has_buckets(m->type->kind) ? 8 : 0) : 0;
	kmap_each(r->map_fds[m->id], add_element, &t);
	if (!t.n && !m->key)
		add_zero(&t, at_exit);
	if (t.n)
		qsort_r(t.v, t.n, sizeof(*t.v), compare_elements, &t);
	if (top && t.n > top)
		from = t.n - top;
	if (t.n && r->format == SCRIPT_JSON)
		print_json(&t, from, div ? div : 1);
	else if (t.n)
		print_text(&t, from, div ? div : 1);
	for (size_t i = 0; i < t.n; i++) {
		free(t.v[i].key);
		free(t.v[i].value);
		free(t.v[i].buckets);
		free(t.v[i].stamp);
	}
	free(t.v);
}

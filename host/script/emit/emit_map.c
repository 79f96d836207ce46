/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps. A map without key is an array of one element whose last word says whether it was set; a map
 * with keys is a hash. Aggregations are per CPU:
 *   count, sum      { total }
 *   min, max        { value, set }
 *   avg, stats      { total, count }
 *   hist, lhist     one counter per bucket, the bucket is the last part of the key
 *   tseries         { interval number, total, count }, bucket as above
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "bpf/kmap.h"
#include "script/fn/builtin.h"

static const char full_text[] = "Map full; can't update element. Try increasing max_map_keys "
				"config or manually setting the "
				"max entries in a map declaration e.g. `let %s = hash(%llu)`\n"
				"Additional Info - helper: map_update_elem, retcode: -7";

uint32_t map_agg_words(enum type_kind kind)
{
	switch (kind) {
	case TY_MIN:
	case TY_MAX:
	case TY_AVG:
	case TY_STATS:
		return 2;
	case TY_TSERIES:
		return 3;
	default:
		return 1;
	}
}

bool map_has_buckets(enum type_kind kind)
{
	return kind == TY_HIST || kind == TY_LHIST || kind == TY_TSERIES;
}

uint32_t map_buckets(const struct type *t)
{
	uint64_t k = (uint64_t)t->args[0];

	switch (t->kind) {
	case TY_HIST:
		return (uint32_t)(1 + ((62 - k) << k) + (2u << k));
	case TY_LHIST:
		return (uint32_t)((t->args[1] - t->args[0]) / t->args[2] + 2);
	case TY_TSERIES:
		return (uint32_t)t->args[1];
	default:
		return 1;
	}
}

static uint32_t value_bytes(const struct type *t)
{
	if (type_is_aggregate(t->kind))
		return map_agg_words(t->kind) * 8;
	return pad8(type_in_register(t) ? 8 : t->size ? t->size : 8);
}

uint32_t map_key_size(const struct symbol *m)
{
	uint32_t size;

	if (!m->key)
		return 4;
	size = pad8(type_in_register(m->key) ? 8 : m->key->size ? m->key->size : 8);
	return size + (map_has_buckets(m->type->kind) ? 8 : 0);
}

uint32_t map_value_size(const struct symbol *m)
{
	return value_bytes(m->type) + (m->key || map_has_buckets(m->type->kind) ? 0 : 8);
}

void map_spec(const struct symbol *m, const struct settings *settings, struct kmap_spec *out)
{
	bool percpu = type_is_aggregate(m->type->kind);
	bool lru = m->decl && m->decl->kind[0] == 'l';

	if (m->decl && strncmp(m->decl->kind, "percpulru", 9) == 0)
		lru = true;
	*out = (struct kmap_spec){.key_size = map_key_size(m), .value_size = map_value_size(m)};
	if (!m->key) {
		out->type = percpu ? BPF_MAP_TYPE_PERCPU_ARRAY : BPF_MAP_TYPE_ARRAY;
		out->max_entries = map_has_buckets(m->type->kind) ? map_buckets(m->type) : 1;
		return;
	}
	if (lru)
		out->type = percpu ? BPF_MAP_TYPE_LRU_PERCPU_HASH : BPF_MAP_TYPE_LRU_HASH;
	else
		out->type = percpu ? BPF_MAP_TYPE_PERCPU_HASH : BPF_MAP_TYPE_HASH;
	out->max_entries = (uint32_t)(m->decl ? m->decl->max : settings->max_map_keys);
	/* big values are allocated when they are used: most maps stay small */
	if (!lru && (uint64_t)out->max_entries * (out->key_size + out->value_size) > 1 << 20)
		out->flags = BPF_F_NO_PREALLOC;
}

const char *em_map(struct emit *e, const struct symbol *m)
{
	return emf(e, "EXTERN_MAP(%d)", EXTERN_SCRIPT + m->id);
}

const char *em_bucket_key(struct emit *e, struct node *access, const char *bucket)
{
	const struct symbol *m = access->sym;
	uint32_t size = map_key_size(m);
	const char *slot;
	int n;

	if (!m->key && !bucket)
		return "&zero";
	if (!m->key) {
		n = e->tmp++;
		em(e, "u32 k%d = %s;", n, bucket);
		return emf(e, "&k%d", n);
	}
	if (type_in_register(m->key) && !bucket)
		return emf(e, "&%s", em_tmp(e, m->key->is_signed, "%s", em_value(e, access->a)));
	slot = em_slot(e, size);
	em_into(e, access->a, slot, m->key);
	if (bucket)
		em(e, "*(u64 *)(%s + %u) = %s;", slot, size - 8, bucket);
	return slot;
}

const char *em_key(struct emit *e, struct node *access)
{
	return em_bucket_key(e, access, NULL);
}

static const char *lookup(struct emit *e, const struct symbol *m, const char *key)
{
	const char *p = emf(e, "p%d", e->tmp++);

	em(e, "u64 *%s = map_lookup(%s, %s);", p, em_map(e, m), key);
	return p;
}

/* Index of the "set" word of a map without key. */
static uint32_t set_word(const struct symbol *m)
{
	return value_bytes(m->type) / 8;
}

static void update(struct emit *e, struct node *access, const char *key, const char *value)
{
	const struct symbol *m = access->sym;

	em_open(e, "if (map_update(%s, %s, %s, 0))", em_map(e, m), key, value);
	em_warning(e, access,
		   emf(e, full_text, m->name,
		       (unsigned long long)(m->decl ? m->decl->max * 2
						    : e->s->settings->max_map_keys * 2)));
	em_close(e);
}

const char *em_agg_at(struct emit *e, const struct symbol *m, const char *key)
{
	int n = e->tmp++;

	em(e, "s64 a%d = 0, c%d = 0;", n, n);
	em_open(e, "for (u32 cpu = 0; cpu < %u; cpu++)", kmap_ncpu());
	em(e, "u64 *p = map_lookup_cpu(%s, %s, cpu);", em_map(e, m), key);
	em(e, "if (!p)");
	em(e, "\tbreak;");
	switch (m->type->kind) {
	case TY_MIN:
	case TY_MAX:
		em(e, "if (p[1] && (!c%d || (%s)p[0] %s (%s)a%d))", n,
		   m->type->is_signed ? "s64" : "u64", m->type->kind == TY_MIN ? "<" : ">",
		   m->type->is_signed ? "s64" : "u64", n);
		em(e, "\ta%d = p[0];", n);
		em(e, "c%d |= p[1];", n);
		break;
	case TY_AVG:
	case TY_STATS:
		em(e, "a%d += p[0];", n);
		em(e, "c%d += p[1];", n);
		break;
	default:
		em(e, "a%d += p[0];", n);
	}
	em_close(e);
	if (m->type->kind == TY_AVG) {
		em(e, "if (c%d)", n);
		em(e, "\ta%d = lp_div(a%d, c%d);", n, n, n);
	}
	return emf(e, "a%d", n);
}

/* The record that type_value_of() tells of. */
static struct operand stats_value(struct emit *e, struct node *access)
{
	const char *slot = em_slot(e, 24), *total = em_agg_value(e, access);
	const char *count = emf(e, "c%s", total + 1);

	em(e, "*(u64 *)%s = %s;", slot, count);
	em(e, "*(u64 *)(%s + 8) = %s ? lp_div(%s, %s) : 0;", slot, count, total, count);
	em(e, "*(u64 *)(%s + 16) = %s;", slot, total);
	return opd_mem(slot);
}

const char *em_agg_value(struct emit *e, struct node *access)
{
	return em_agg_at(e, access->sym, em_key(e, access));
}

struct operand em_map_read(struct emit *e, struct node *access)
{
	const struct symbol *m = access->sym;
	const char *key, *p, *v, *slot;

	if (map_has_buckets(m->type->kind))
		return opd_none();
	if (m->type->kind == TY_STATS)
		return stats_value(e, access);
	if (type_is_aggregate(m->type->kind))
		return opd_value(em_agg_value(e, access));
	key = em_key(e, access);
	if (type_in_register(m->type)) {
		v = em_tmp(e, m->type->is_signed, "0");
		p = lookup(e, m, key);
		em(e, "if (%s)", p);
		em(e, "\t%s = *%s;", v, p);
		return opd_value(v);
	}
	slot = em_slot(e, m->type->size);
	p = lookup(e, m, key);
	em_open(e, "if (%s)", p);
	em_copy(e, slot, emf(e, "((char *)%s)", p), m->type->size);
	em_close(e);
	em_open(e, "else");
	em_zero(e, slot, m->type->size);
	em_close(e);
	return (struct operand){.kind = OPD_MEM,
				.text = slot,
				.packed = m->type->kind == TY_STRUCT || m->type->kind == TY_ARRAY};
}

static const char *fit_int(struct emit *e, const struct type *t, const char *v)
{
	if (t->kind == TY_INT && t->size < 8)
		return em_tmp(e, t->is_signed, "(%c%u)(%s)", t->is_signed ? 's' : 'u', t->size * 8,
			      v);
	return em_tmp(e, t->is_signed, "%s", v);
}

static void assign_memory(struct emit *e, struct node *access, struct node *value)
{
	const struct symbol *m = access->sym;
	const char *key, *slot, *p;

	if (m->key) {
		slot = em_slot(e, m->type->size);
		em_into(e, value, slot, m->type);
		key = em_key(e, access);
		update(e, access, key, slot);
		return;
	}
	slot = em_slot(e, m->type->size);
	em_into(e, value, slot, m->type);
	p = lookup(e, m, "&zero");
	em_open(e, "if (%s)", p);
	em_copy(e, emf(e, "((char *)%s)", p), slot, m->type->size);
	em(e, "%s[%u] = 1;", p, set_word(m));
	em_close(e);
}

void em_map_assign(struct emit *e, struct node *access, struct node *value)
{
	const struct symbol *m = access->sym;
	const char *v, *p;

	if (!type_in_register(m->type)) {
		assign_memory(e, access, value);
		return;
	}
	v = fit_int(e, m->type, em_value(e, value));
	if (m->key) {
		update(e, access, em_key(e, access), emf(e, "&%s", v));
		return;
	}
	p = lookup(e, m, "&zero");
	em_open(e, "if (%s)", p);
	em(e, "*%s = %s;", p, v);
	em(e, "%s[%u] = 1;", p, set_word(m));
	em_close(e);
}

const char *em_map_add(struct emit *e, struct node *access, const char *delta, bool want_old)
{
	const struct symbol *m = access->sym;
	const char *key = em_key(e, access), *p, *old = NULL, *first;

	if (want_old)
		old = em_tmp(e, m->type->is_signed, "0");
	first = em_tmp(e, true, "%s", delta);
	p = lookup(e, m, key);
	em_open(e, "if (%s)", p);
	if (want_old)
		em(e, "%s = *%s;", old, p);
	em(e, "__sync_fetch_and_add(%s, %s);", p, first);
	if (!m->key)
		em(e, "%s[%u] = 1;", p, set_word(m));
	em_close(e);
	if (m->key) {
		em_open(e, "else");
		update(e, access, key, emf(e, "&%s", first));
		em_close(e);
	}
	return old;
}

const char *em_map_has(struct emit *e, struct node *access)
{
	const struct symbol *m = access->sym;
	const char *key = em_key(e, access), *p = lookup(e, m, key);

	if (m->key)
		return em_tmp(e, false, "%s != 0", p);
	return em_tmp(e, false, "%s ? %s[%u] != 0 : 0", p, p, set_word(m));
}

void em_map_delete(struct emit *e, struct node *access, const char **found)
{
	const struct symbol *m = access->sym;
	const char *p, *was;

	if (m->key) {
		was = em_tmp(e, false, "!map_delete(%s, %s)", em_map(e, m), em_key(e, access));
	} else {
		was = em_tmp(e, false, "0");
		p = lookup(e, m, "&zero");
		em_open(e, "if (%s)", p);
		em(e, "%s = %s[%u] != 0;", was, p, set_word(m));
		em_zero(e, emf(e, "((char *)%s)", p), map_value_size(m));
		em_close(e);
	}
	if (found)
		*found = was;
}

struct agg em_agg_begin(struct emit *e, struct node *access, const char *bucket)
{
	struct agg a = {.map = access->sym};

	a.key = em_bucket_key(e, access, bucket);
	a.p = lookup(e, a.map, a.key);
	em_open(e, "if (%s)", a.p);
	return a;
}

void em_agg_end(struct emit *e, struct agg *a, struct node *access, const char *const *words,
		size_t n)
{
	const char *slot;

	if (!a->map->key && !map_has_buckets(a->map->type->kind))
		em(e, "%s[%zu] = 1;", a->p, n);
	em_close(e);
	if (!a->map->key)
		return;
	em_open(e, "else");
	slot = em_slot(e, (uint32_t)n * 8);
	for (size_t i = 0; i < n; i++)
		em(e, "*(u64 *)(%s + %zu) = %s;", slot, i * 8, words[i]);
	update(e, access, a->key, slot);
	em_close(e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Symbol tables of an ELF file: index, exact names, patterns, nearest function. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "target/elf_impl.h"
#include "util/buf.h"
#include "util/text.h"

/* Symbols of one table that are looked at; the largest known libraries have a tenth of that. */
static const size_t symbols_max = 4 << 20;

/* The last symbol of a GNU hash table ends the chain of the highest bucket. */
static uint64_t count_gnu_hash(const struct elf *e, uint64_t at)
{
	uint32_t nbuckets, first, words, highest = 0, value;
	uint64_t buckets, chain;

	if (!elf_u32(e, at, &nbuckets) || !elf_u32(e, at + 4, &first) ||
	    !elf_u32(e, at + 8, &words) || nbuckets > e->size / 4 || words > e->size / 8)
		return 0;
	buckets = at + 16 + UINT64_C(8) * words;
	for (uint32_t i = 0; i < nbuckets; i++) {
		if (!elf_u32(e, buckets + UINT64_C(4) * i, &value))
			return 0;
		if (value > highest)
			highest = value;
	}
	if (highest < first)
		return first;
	chain = buckets + UINT64_C(4) * nbuckets;
	while (elf_u32(e, chain + UINT64_C(4) * (highest - first), &value)) {
		highest++;
		if (value & 1)
			return highest;
	}
	return 0;
}

uint64_t elf_count_hashed_symbols(const struct elf *e, uint64_t hash, uint64_t gnu_hash)
{
	uint32_t nchain;

	if (hash && elf_u32(e, hash + 4, &nchain))
		return nchain;
	return gnu_hash ? count_gnu_hash(e, gnu_hash) : 0;
}

static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

/* `from` is the file that holds the table. */
static void add_table(struct elf *e, const struct elf *from, const struct elf_span *tab,
		      const struct elf_span *str, enum elf_table table)
{
	const uint8_t *p = tab->size ? elf_at(from, tab->offset, tab->size) : NULL;
	size_t n = p ? tab->size / sizeof(Elf64_Sym) : 0;

	for (size_t i = 0; i < n; i++) {
		Elf64_Sym s;
		unsigned type;
		const char *name;

		memcpy(&s, p + i * sizeof(s), sizeof(s));
		type = ELF64_ST_TYPE(s.st_info);
		if (s.st_shndx == SHN_UNDEF || !s.st_value ||
		    (type > STT_FUNC && type != STT_GNU_IFUNC))
			continue;
		name = elf_table_string(from, str, s.st_name);
		/* Mapping symbols of aarch64 ("$x", "$d") name no function. */
		if (!name[0] || name[0] == '$' || e->n_syms >= symbols_max)
			continue;
		*VEC_PUSH(e->syms, e->n_syms, e->cap_syms) = (struct elf_sym_entry){
			.vaddr = s.st_value,
			.size = s.st_size,
			.name = name,
			.table = (uint8_t)table,
			.is_func = type == STT_FUNC || type == STT_GNU_IFUNC,
			.is_local = ELF64_ST_BIND(s.st_info) == STB_LOCAL,
		};
	}
}

static int order_by_addr(const void *a, const void *b, void *arg)
{
	const struct elf_sym_entry *syms = arg;
	const struct elf_sym_entry *x = &syms[*(const uint32_t *)a];
	const struct elf_sym_entry *y = &syms[*(const uint32_t *)b];

	if (x->vaddr != y->vaddr)
		return x->vaddr < y->vaddr ? -1 : 1;
	return (x > y) - (x < y);
}

static void index_names(struct elf *e)
{
	size_t n = 16;

	while (n < e->n_syms)
		n *= 2;
	e->buckets = xcalloc(n, sizeof(*e->buckets));
	e->bucket_mask = (uint32_t)(n - 1);
	/* From the last to the first, so that the first of several equal names is found. */
	for (size_t i = e->n_syms; i-- > 0;) {
		uint32_t *bucket = &e->buckets[hash_name(e->syms[i].name) & e->bucket_mask];

		e->syms[i].next = *bucket;
		*bucket = (uint32_t)i + 1;
	}
}

void elf_load_symbols(const struct elf *ce)
{
	struct elf *e = (struct elf *)ce, *from;

	if (e->syms_ready)
		return;
	e->syms_ready = true;
	from = e->debug ? e->debug : e;
	elf_load_strings(from, &from->symstr);
	add_table(e, e, &e->dynsym, &e->dynstr, ELF_DYNSYM);
	add_table(e, from, &from->symtab, &from->symstr, ELF_SYMTAB);
	index_names(e);
}

void elf_index_again(struct elf *e)
{
	free(e->buckets);
	free(e->by_addr);
	e->by_addr = NULL;
	e->n_by_addr = 0;
	index_names(e);
}

void elf_index_addresses(const struct elf *ce)
{
	struct elf *e = (struct elf *)ce;

	elf_load_symbols(e);
	if (e->by_addr)
		return;
	e->by_addr = xcalloc(e->n_syms + 1, sizeof(*e->by_addr));
	for (size_t i = 0; i < e->n_syms; i++)
		if (e->syms[i].is_func)
			e->by_addr[e->n_by_addr++] = (uint32_t)i;
	qsort_r(e->by_addr, e->n_by_addr, sizeof(*e->by_addr), order_by_addr, e->syms);
}

static void fill(const struct elf_sym_entry *s, struct elf_symbol *out)
{
	*out = (struct elf_symbol){
		.name = s->name,
		.vaddr = s->vaddr,
		.size = s->size,
		.table = s->table,
		.is_func = s->is_func,
		.is_local = s->is_local,
	};
}

size_t elf_symbol_count(const struct elf *e)
{
	elf_load_symbols(e);
	return e->n_syms;
}

bool elf_symbol(const struct elf *e, size_t i, struct elf_symbol *out)
{
	elf_load_symbols(e);
	if (i >= e->n_syms)
		return false;
	fill(&e->syms[i], out);
	return true;
}

static const struct elf_sym_entry *find_entry(const struct elf *e, const char *name)
{
	elf_load_symbols(e);
	for (uint32_t i = e->buckets[hash_name(name) & e->bucket_mask]; i; i = e->syms[i - 1].next)
		if (!strcmp(e->syms[i - 1].name, name))
			return &e->syms[i - 1];
	return NULL;
}

bool elf_find(const struct elf *e, const char *name, struct elf_symbol *out)
{
	const struct elf_sym_entry *s = find_entry(e, name);

	if (s)
		fill(s, out);
	return s != NULL;
}

/*
 * A C++ name as its mangled beginning: "a::b(" -> "3?1a1bE" behind "_ZN" (or "_ZNK"), a plain
 * function "f(" -> "1f" behind "_Z". A prefix of the last part cannot carry its length, so the
 * parts before it are matched and the rest is compared by hand.
 */
struct cxx_pattern {
	char *parts; /* the whole parts, mangled */
	char *last;  /* the last part as typed */
	bool exact;  /* a '(' followed: the last part is complete */
	bool nested;
};

static void cxx_parse(const char *pattern, struct cxx_pattern *c)
{
	size_t len = strcspn(pattern, "(");
	const char *end = pattern + len, *p = pattern, *sep;
	struct buf parts = {0};

	*c = (struct cxx_pattern){.exact = pattern[len] == '('};
	while ((sep = strstr(p, "::")) && sep < end) {
		if (sep - p == 3 && !memcmp(p, "std", 3) && p == pattern)
			buf_puts(&parts, "St");
		else
			buf_printf(&parts, "%zu%.*s", (size_t)(sep - p), (int)(sep - p), p);
		c->nested = true;
		p = sep + 2;
	}
	c->last = xstrndup(p, (size_t)(end - p));
	c->parts = buf_take(&parts);
	if (!c->parts)
		c->parts = xstrdup("");
}

static bool cxx_matches(const struct cxx_pattern *c, const char *name)
{
	size_t len = strlen(c->last);
	char *end;
	unsigned long n;

	if (!text_starts(name, "_Z"))
		return false;
	name += 2;
	if (c->nested) {
		if (*name++ != 'N')
			return false;
		if (*name == 'K')
			name++;
	}
	if (!text_starts(name, c->parts))
		return false;
	name += strlen(c->parts);
	if (*name == 'L') /* internal linkage */
		name++;
	if (*name < '0' || *name > '9')
		return false;
	n = strtoul(name, &end, 10);
	if (n < len || (c->exact && n != len) || strncmp(end, c->last, len))
		return false;
	/* The last part must really be the last: then comes the end of the nested name, template
	 * arguments or an ABI tag. */
	if (strnlen(end, n) < n)
		return false;
	return !c->nested || end[n] == 'E' || end[n] == 'I' || end[n] == 'B';
}

static bool is_cxx_pattern(const char *pattern)
{
	return strstr(pattern, "::") || text_ends(pattern, "(");
}

static bool symbol_matches(const char *pattern, const struct cxx_pattern *cxx, bool glob,
			   const char *name)
{
	if (cxx)
		return cxx_matches(cxx, name);
	return glob ? fnmatch(pattern, name, 0) == 0 : !strcmp(pattern, name);
}

size_t elf_match(const struct elf *e, const char *pattern,
		 int (*fn)(void *ctx, const struct elf_symbol *sym), void *ctx)
{
	struct cxx_pattern cxx = {0};
	bool is_cxx = is_cxx_pattern(pattern), glob = strpbrk(pattern, "*?[") != NULL;
	size_t calls = 0;

	elf_load_symbols(e);
	if (is_cxx)
		cxx_parse(pattern, &cxx);
	for (size_t i = 0; i < e->n_syms; i++) {
		const struct elf_sym_entry *s = &e->syms[i], *first;
		struct elf_symbol sym;

		if (!symbol_matches(pattern, is_cxx ? &cxx : NULL, glob, s->name))
			continue;
		first = find_entry(e, s->name);
		if (first != s && first->table != s->table && first->vaddr == s->vaddr)
			continue;
		fill(s, &sym);
		calls++;
		if (fn(ctx, &sym))
			break;
	}
	free(cxx.parts);
	free(cxx.last);
	return calls;
}

static int take_function(void *ctx, const struct elf_symbol *sym)
{
	struct elf_symbol *out = ctx;

	if (!sym->is_func)
		return 0;
	*out = *sym;
	return 1;
}

bool elf_find_pattern(const struct elf *e, const char *pattern, struct elf_symbol *out)
{
	out->name = NULL;
	elf_match(e, pattern, take_function, out);
	return out->name != NULL;
}

/* Several names may share an address: takes the first of them, in table order, that covers vaddr.
 */
static bool first_cover(const struct elf *e, size_t last, uint64_t vaddr, struct elf_symbol *out)
{
	uint64_t at = e->syms[e->by_addr[last]].vaddr;
	size_t i = last;

	while (i && e->syms[e->by_addr[i - 1]].vaddr == at)
		i--;
	for (; i <= last; i++) {
		const struct elf_sym_entry *s = &e->syms[e->by_addr[i]];

		if (s->size && vaddr - at >= s->size)
			continue;
		fill(s, out);
		return true;
	}
	return false;
}

size_t elf_first_above(const struct elf *e, uint64_t vaddr)
{
	size_t lo = 0, hi;

	elf_index_addresses(e);
	hi = e->n_by_addr;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->syms[e->by_addr[mid]].vaddr <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool elf_symbol_at(const struct elf *e, uint64_t vaddr, struct elf_symbol *out)
{
	size_t above = elf_first_above(e, vaddr);

	return above && first_cover(e, above - 1, vaddr, out);
}

bool elf_imports(const struct elf *e, const char *name)
{
	const uint8_t *p = e->dynsym.size ? elf_at(e, e->dynsym.offset, e->dynsym.size) : NULL;

	for (size_t i = 0; p && i < e->dynsym.size / sizeof(Elf64_Sym); i++) {
		Elf64_Sym s;

		memcpy(&s, p + i * sizeof(s), sizeof(s));
		if (s.st_shndx == SHN_UNDEF &&
		    !strcmp(elf_table_string(e, &e->dynstr, s.st_name), name))
			return true;
	}
	return false;
}

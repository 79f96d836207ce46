/* SPDX-License-Identifier: Apache-2.0 */
/* Function extents from the unwind table: by the search table of .eh_frame_hdr, else by an index of
 * our own over .eh_frame, as programs that are linked statically have no search table. */
#include <stdlib.h>
#include <string.h>

#include "target/elf_impl.h"
#include "util/alloc.h"

/* DWARF pointer encodings that linkers emit. */
enum { ENC_OMIT = 0xff, ENC_SIZE = 0x0f, ENC_PCREL = 0x10 };

/* A reader of an unwind entry: past the end it yields zeros and remembers. */
struct reader {
	const uint8_t *p;
	uint64_t vaddr; /* of p */
	size_t left;
	bool bad;
};

static const uint8_t *take(struct reader *r, size_t n)
{
	static const uint8_t zeros[8];
	const uint8_t *p = r->p;

	if (n > r->left) {
		r->bad = true;
		return zeros;
	}
	r->p += n;
	r->vaddr += n;
	r->left -= n;
	return p;
}

static uint64_t take_uleb(struct reader *r)
{
	uint64_t v = 0;
	uint8_t b = 0x80;

	for (unsigned shift = 0; (b & 0x80) && !r->bad; shift += 7) {
		b = *take(r, 1);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
	}
	return v;
}

static uint64_t take_encoded(struct reader *r, uint8_t enc)
{
	uint64_t at = r->vaddr, v = 0;

	switch (enc & ENC_SIZE) {
	case 0x0b: {
		int32_t s;

		memcpy(&s, take(r, 4), 4);
		v = (uint64_t)(int64_t)s;
		break;
	}
	case 0x03:
		memcpy(&v, take(r, 4), 4);
		break;
	case 0x02:
	case 0x0a:
		memcpy(&v, take(r, 2), 2);
		break;
	case 0x00:
	case 0x04:
	case 0x0c:
		memcpy(&v, take(r, 8), 8);
		break;
	default:
		r->bad = true;
	}
	return v && (enc & 0x70) == ENC_PCREL ? v + at : v;
}

/* What a common information entry says about the entries that use it. */
struct cie {
	uint8_t pc_enc, lsda_enc;
	bool augmented;
};

/* Opens the entry at `vaddr`: its body without the length field. */
static bool open_entry(const struct elf *e, uint64_t vaddr, struct reader *r)
{
	uint32_t len;
	size_t avail;

	if (!elf_u32(e, vaddr, &len) || !len || len > (1u << 20))
		return false;
	r->p = elf_bytes(e, vaddr + 4, len, &avail);
	r->vaddr = vaddr + 4;
	r->left = avail;
	r->bad = false;
	return r->p && avail == len;
}

static bool read_cie(const struct elf *e, uint64_t vaddr, struct cie *c)
{
	struct reader r;
	const char *aug;
	uint8_t version;

	*c = (struct cie){.lsda_enc = ENC_OMIT};
	if (!open_entry(e, vaddr, &r))
		return false;
	take(&r, 4);
	version = *take(&r, 1);
	aug = (const char *)r.p;
	while (*take(&r, 1) && !r.bad)
		;
	if (r.bad)
		return false;
	take_uleb(&r);
	take_uleb(&r);
	if (version == 1)
		take(&r, 1);
	else
		take_uleb(&r);
	if (*aug != 'z')
		return !r.bad;
	c->augmented = true;
	take_uleb(&r);
	for (aug++; *aug && !r.bad; aug++) {
		if (*aug == 'R')
			c->pc_enc = *take(&r, 1);
		else if (*aug == 'L')
			c->lsda_enc = *take(&r, 1);
		else if (*aug == 'P')
			take_encoded(&r, *take(&r, 1) & 0x7f);
	}
	return !r.bad;
}

/* What the unwind program says until its second step through the code. */
struct unwind_start {
	unsigned before; /* rules that hold at the first byte already */
	unsigned saved;	 /* registers saved by the first instruction */
};

static bool read_unwind_op(struct reader *r, unsigned *steps, struct unwind_start *u)
{
	uint8_t op = *take(r, 1), high = op & 0xc0;

	if (high == 0x40 || (op >= 2 && op <= 4)) { /* advance */
		take(r, high ? 0 : (size_t)1 << (op - 2));
		return ++*steps < 2;
	}
	u->before += op && !*steps;
	if (high == 0x80) { /* a register is saved */
		take_uleb(r);
		u->saved += *steps == 1;
	} else if (op == 0x0c) { /* frame address: register and offset */
		take_uleb(r);
		take_uleb(r);
	} else if (op == 0x0d || op == 0x0e) { /* only one of the two */
		take_uleb(r);
	} else if (op) {
		return false;
	}
	return true;
}

/* A part that continues a split function finds its frame set up: by the first byte, or, as GCC
 * notes it, by the first instruction, which then seems to save more registers than one can. */
static bool starts_inside_frame(struct reader *r, enum elf_arch arch)
{
	struct unwind_start u = {0};
	unsigned steps = 0;

	while (r->left && read_unwind_op(r, &steps, &u))
		;
	return u.before || u.saved > (arch == ELF_AARCH64 ? 2 : 1);
}

static bool read_fde(const struct elf *e, uint64_t vaddr, struct elf_func *out)
{
	struct reader r;
	struct cie c;
	uint64_t id_at = vaddr + 4, len;
	uint32_t back;

	if (!open_entry(e, vaddr, &r))
		return false;
	memcpy(&back, take(&r, 4), 4);
	if (!back || back > id_at || !read_cie(e, id_at - back, &c))
		return false;
	out->vaddr = take_encoded(&r, c.pc_enc);
	out->size = take_encoded(&r, c.pc_enc & ENC_SIZE);
	out->has_unwind = true;
	out->has_handler = false;
	if (c.augmented) {
		len = take_uleb(&r);
		if (len > r.left)
			return false;
		if (len && c.lsda_enc != ENC_OMIT) {
			struct reader aug = r;

			out->has_handler = take_encoded(&aug, c.lsda_enc) != 0;
		}
		take(&r, len);
	}
	out->is_part = !r.bad && starts_inside_frame(&r, e->arch);
	return !r.bad && out->size && out->size < (UINT64_C(1) << 32);
}

/* The binary search table of .eh_frame_hdr. */
struct fde_table {
	uint64_t vaddr; /* of the first row */
	uint64_t base;	/* what its values count from */
	uint32_t rows;
};

static bool open_fde_table(const struct elf *e, struct fde_table *t)
{
	struct reader r;
	uint8_t ptr_enc, count_enc, table_enc;
	size_t avail;

	if (!e->eh_frame_hdr)
		return false;
	r.p = elf_bytes(e, e->eh_frame_hdr, 32, &avail);
	r.left = avail;
	r.vaddr = e->eh_frame_hdr;
	r.bad = false;
	if (!r.p || *take(&r, 1) != 1)
		return false;
	ptr_enc = *take(&r, 1);
	count_enc = *take(&r, 1);
	table_enc = *take(&r, 1);
	take_encoded(&r, ptr_enc);
	/* 0x3b: signed 32-bit from the header's start. Linkers write no other form. */
	if (table_enc != 0x3b || count_enc != 0x03)
		return false;
	t->rows = (uint32_t)take_encoded(&r, count_enc);
	t->vaddr = r.vaddr;
	t->base = e->eh_frame_hdr;
	return !r.bad && t->rows <= e->size / 8;
}

static bool fde_row(const struct elf *e, const struct fde_table *t, uint32_t i, uint64_t *start,
		    uint64_t *fde)
{
	uint32_t a, b;

	if (!elf_u32(e, t->vaddr + UINT64_C(8) * i, &a) ||
	    !elf_u32(e, t->vaddr + UINT64_C(8) * i + 4, &b))
		return false;
	*start = t->base + (uint64_t)(int64_t)(int32_t)a;
	*fde = t->base + (uint64_t)(int64_t)(int32_t)b;
	return true;
}

static bool search_header(const struct elf *e, const struct fde_table *t, uint64_t vaddr,
			  uint64_t *fde)
{
	uint32_t lo = 0, hi = t->rows;
	uint64_t start;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (!fde_row(e, t, mid, &start, fde))
			return false;
		if (start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && fde_row(e, t, lo - 1, &start, fde);
}

static int order_rows(const void *a, const void *b)
{
	const struct elf_unwind_row *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Walks the entries of .eh_frame up to its end mark. */
static void load_index(const struct elf *ce)
{
	struct elf *e = (struct elf *)ce;
	uint64_t at = e->eh_frame.offset, end = at + e->eh_frame.size;
	uint32_t len, id;

	if (e->unwind_ready)
		return;
	e->unwind_ready = true;
	while (end - at >= 8 && elf_u32(e, at, &len) && elf_u32(e, at + 4, &id)) {
		struct elf_func f;

		if (len < 4 || len > end - at - 4)
			break;
		if (id && read_fde(e, at, &f))
			*VEC_PUSH(e->unwind, e->n_unwind, e->cap_unwind) =
				(struct elf_unwind_row){f.vaddr, at};
		at += 4 + (uint64_t)len;
	}
	if (e->n_unwind)
		qsort(e->unwind, e->n_unwind, sizeof(*e->unwind), order_rows);
}

static bool search_index(const struct elf *e, uint64_t vaddr, uint64_t *fde)
{
	size_t lo = 0, hi;

	load_index(e);
	for (hi = e->n_unwind; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->unwind[mid].start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo)
		*fde = e->unwind[lo - 1].fde;
	return lo;
}

bool elf_unwind_func(const struct elf *e, uint64_t vaddr, struct elf_func *out)
{
	struct fde_table t;
	uint64_t fde;
	bool found = open_fde_table(e, &t) ? search_header(e, &t, vaddr, &fde)
					   : search_index(e, vaddr, &fde);

	return found && read_fde(e, fde, out) && vaddr >= out->vaddr &&
	       vaddr - out->vaddr < out->size;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Function extents from symbols and the unwind table, and who refers to a string. */
#include <string.h>

#include "target/elf_impl.h"

/* DWARF pointer encodings that linkers emit. */
enum { ENC_OMIT = 0xff, ENC_SIZE = 0x0f, ENC_PCREL = 0x10 };

/* Code that no table describes is taken to end after this many bytes. */
enum { GUESSED_SIZE = 1024 };

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

static bool unwind_func(const struct elf *e, uint64_t vaddr, struct elf_func *out)
{
	struct fde_table t;
	uint64_t start, fde;
	uint32_t lo = 0, hi;

	if (!open_fde_table(e, &t))
		return false;
	for (hi = t.rows; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (!fde_row(e, &t, mid, &start, &fde))
			return false;
		if (start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && fde_row(e, &t, lo - 1, &start, &fde) && read_fde(e, fde, out) &&
	       vaddr >= out->vaddr && vaddr - out->vaddr < out->size;
}

/* Where the next function symbol starts, or a guess when there is none. */
static uint64_t size_to_next_symbol(const struct elf *e, uint64_t vaddr)
{
	size_t above = elf_first_above(e, vaddr);
	uint64_t next;

	if (above == e->n_by_addr)
		return GUESSED_SIZE;
	next = e->syms[e->by_addr[above]].vaddr - vaddr;
	return next < GUESSED_SIZE ? next : GUESSED_SIZE;
}

/* A symbol's size that runs past its segment is damage: it is cut there. */
static void clamp(const struct elf *e, struct elf_func *f)
{
	const struct segment *s = elf_segment_at(e, f->vaddr);

	if (s && f->size > s->filesz - (f->vaddr - s->vaddr))
		f->size = s->filesz - (f->vaddr - s->vaddr);
}

bool elf_func_at(const struct elf *e, uint64_t vaddr, struct elf_func *out)
{
	struct elf_func unwind;
	struct elf_symbol sym;
	bool has_unwind = unwind_func(e, vaddr, &unwind);

	if (!elf_is_code(e, vaddr))
		return false;
	if (elf_symbol_at(e, vaddr, &sym) && (sym.size || !has_unwind)) {
		*out = (struct elf_func){.vaddr = sym.vaddr, .size = sym.size};
		if (!sym.size)
			out->size = size_to_next_symbol(e, sym.vaddr);
		if (has_unwind) {
			out->has_unwind = true;
			out->has_handler = unwind.has_handler;
			out->is_part = unwind.is_part;
		}
	} else if (has_unwind) {
		*out = unwind;
	} else {
		return false;
	}
	clamp(e, out);
	return out->size && vaddr - out->vaddr < out->size;
}

bool elf_func_named(const struct elf *e, const char *name, struct elf_func *out)
{
	struct elf_symbol sym;

	return elf_find(e, name, &sym) && sym.is_func && elf_func_at(e, sym.vaddr, out);
}

/* Collects the functions that hold references. */
struct users {
	const struct elf *e;
	struct elf_func *out;
	size_t n, max;
};

static void add_user(struct users *u, uint64_t at)
{
	struct elf_func f;

	if (u->n == u->max || !elf_func_at(u->e, at, &f))
		return;
	for (size_t i = 0; i < u->n; i++)
		if (u->out[i].vaddr == f.vaddr)
			return;
	u->out[u->n++] = f;
}

/* lea reg, [rip + disp], and in files that are not PIC also mov reg32, imm32. */
static void scan_x86(struct users *u, const struct segment *s, const uint8_t *code, uint64_t target)
{
	const uint8_t *p = code, *end = code + s->filesz;
	uint32_t word = (uint32_t)target;

	for (; end - p > 6 && (p = memchr(p, 0x8d, (size_t)(end - p) - 5)); p++) {
		int32_t disp;
		uint64_t next = s->vaddr + (uint64_t)(p - code) + 6;

		if (p == code || (p[-1] & 0xfb) != 0x48 || (p[1] & 0xc7) != 0x05)
			continue;
		memcpy(&disp, p + 2, 4);
		if (next + (uint64_t)(int64_t)disp == target)
			add_user(u, next - 7);
	}
	if (u->e->pic || target > UINT32_MAX)
		return;
	for (p = code; (p = memmem(p, (size_t)(end - p), &word, 4)); p++)
		if (p > code && p[-1] >= 0xb8 && p[-1] <= 0xbf)
			add_user(u, s->vaddr + (uint64_t)(p - code) - 1);
}

/* adrp reg, page; add reg, reg, #low: the pair may stand apart. */
static void scan_arm(struct users *u, const struct segment *s, const uint8_t *code, uint64_t target)
{
	uint64_t page[32] = {0};

	for (uint64_t at = 0; at + 4 <= s->filesz; at += 4) {
		uint64_t pc = s->vaddr + at;
		uint32_t w, reg;

		memcpy(&w, code + at, 4);
		reg = w >> 5 & 31;
		if ((w & 0x9f000000) == 0x90000000)
			page[w & 31] =
				(pc & ~UINT64_C(0xfff)) + ((uint64_t)elf_adrp_pages(w) << 12);
		else if ((w & 0xffc00000) == 0x91000000 && page[reg] &&
			 page[reg] + (w >> 10 & 0xfff) == target)
			add_user(u, pc);
	}
}

size_t elf_find_code_refs(const struct elf *e, uint64_t target, struct elf_func *out, size_t max)
{
	struct users u = {e, out, 0, max};

	for (size_t i = 0; i < e->n_seg; i++) {
		const struct segment *s = &e->seg[i];
		const uint8_t *code = s->flags & PF_X ? elf_segment_bytes(e, s) : NULL;

		if (code && e->arch == ELF_AARCH64)
			scan_arm(&u, s, code, target);
		else if (code)
			scan_x86(&u, s, code, target);
	}
	return u.n;
}

size_t elf_find_string_users(const struct elf *e, const char *text, struct elf_func *out,
			     size_t max)
{
	uint64_t at[16];
	size_t n = elf_find_string(e, text, at, ARRAY_LEN(at)), users = 0;

	for (size_t i = 0; i < n; i++)
		users += elf_find_code_refs(e, at[i], out + users, max - users);
	return users;
}

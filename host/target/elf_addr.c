/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of an ELF file: bytes, strings, relocations, PLT stubs, whole-file searches. */
#include <stdlib.h>
#include <string.h>

#include "target/elf_impl.h"

bool elf_vaddr_to_offset(const struct elf *e, uint64_t vaddr, uint64_t *offset)
{
	const struct segment *s = elf_segment_at(e, vaddr);

	if (s)
		*offset = s->offset + (vaddr - s->vaddr);
	return s != NULL;
}

bool elf_offset_to_vaddr(const struct elf *e, uint64_t offset, uint64_t *vaddr)
{
	const struct segment *best = NULL;

	for (size_t i = 0; i < e->n_seg; i++) {
		const struct segment *s = &e->seg[i];

		/* Neighbouring segments share a page of the file; code is what is asked for. */
		if (offset >= s->offset && offset - s->offset < s->filesz &&
		    (!best || (s->flags & PF_X)))
			best = s;
	}
	if (best)
		*vaddr = best->vaddr + (offset - best->offset);
	return best != NULL;
}

bool elf_is_code(const struct elf *e, uint64_t vaddr)
{
	const struct segment *s = elf_segment_at(e, vaddr);

	return s && (s->flags & PF_X);
}

const uint8_t *elf_bytes(const struct elf *e, uint64_t vaddr, size_t len, size_t *avail)
{
	const struct segment *s = elf_segment_at(e, vaddr);
	uint64_t left;

	*avail = 0;
	if (!s)
		return NULL;
	left = s->filesz - (vaddr - s->vaddr);
	*avail = left < len ? left : len;
	return elf_at(e, s->offset + (vaddr - s->vaddr), *avail);
}

bool elf_u64(const struct elf *e, uint64_t vaddr, uint64_t *out)
{
	size_t avail;
	const uint8_t *p = elf_bytes(e, vaddr, sizeof(*out), &avail);

	if (!p || avail < sizeof(*out))
		return false;
	memcpy(out, p, sizeof(*out));
	return true;
}

bool elf_u32(const struct elf *e, uint64_t vaddr, uint32_t *out)
{
	size_t avail;
	const uint8_t *p = elf_bytes(e, vaddr, sizeof(*out), &avail);

	if (!p || avail < sizeof(*out))
		return false;
	memcpy(out, p, sizeof(*out));
	return true;
}

const char *elf_string(const struct elf *e, uint64_t vaddr, size_t limit)
{
	size_t avail;
	const uint8_t *p = elf_bytes(e, vaddr, limit, &avail);

	for (size_t i = 0; p && i < avail; i++) {
		if (!p[i])
			return (const char *)p;
		if ((p[i] < 32 || p[i] > 126) && p[i] != '\n' && p[i] != '\t')
			return NULL;
	}
	return NULL;
}

struct reloc_types {
	uint32_t relative, absolute, glob_dat, jump_slot, irelative;
};

static const struct reloc_types reloc_types[] = {
	[ELF_X86_64] = {R_X86_64_RELATIVE, R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT,
			R_X86_64_IRELATIVE},
	[ELF_AARCH64] = {R_AARCH64_RELATIVE, R_AARCH64_ABS64, R_AARCH64_GLOB_DAT,
			 R_AARCH64_JUMP_SLOT, R_AARCH64_IRELATIVE},
};

static bool dynamic_symbol(const struct elf *e, uint64_t index, Elf64_Sym *out)
{
	const uint8_t *p;

	if (index >= e->dynsym.size / sizeof(*out))
		return false;
	p = elf_at(e, e->dynsym.offset + index * sizeof(*out), sizeof(*out));
	if (p)
		memcpy(out, p, sizeof(*out));
	return p != NULL;
}

static struct elf_reloc decode_reloc(const struct elf *e, const Elf64_Rela *r)
{
	const struct reloc_types *t = &reloc_types[e->arch];
	uint32_t type = ELF64_R_TYPE(r->r_info);
	struct elf_reloc out = {.at = r->r_offset};
	Elf64_Sym sym;

	if (type == t->relative) {
		out.value = (uint64_t)r->r_addend;
		out.known = true;
	} else if ((type == t->absolute || type == t->glob_dat || type == t->jump_slot) &&
		   dynamic_symbol(e, ELF64_R_SYM(r->r_info), &sym)) {
		out.name = elf_table_string(e, &e->dynstr, sym.st_name);
		out.known = sym.st_shndx != SHN_UNDEF;
		out.value = sym.st_value + (type == t->absolute ? (uint64_t)r->r_addend : 0);
	}
	return out;
}

static int order_relocs(const void *a, const void *b)
{
	const struct elf_reloc *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

void elf_load_relocs(const struct elf *ce)
{
	struct elf *e = (struct elf *)ce;
	const struct elf_span *tables[] = {&e->rela, &e->jmprel};
	size_t total = (e->rela.size + e->jmprel.size) / sizeof(Elf64_Rela);

	if (e->relocs_ready)
		return;
	e->relocs_ready = true;
	e->relocs = xcalloc(total + 1, sizeof(*e->relocs));
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		const uint8_t *p = elf_at(e, tables[t]->offset, tables[t]->size);

		for (size_t i = 0; p && i < tables[t]->size / sizeof(Elf64_Rela); i++) {
			Elf64_Rela r;

			memcpy(&r, p + i * sizeof(r), sizeof(r));
			e->relocs[e->n_relocs++] = decode_reloc(e, &r);
		}
	}
	qsort(e->relocs, e->n_relocs, sizeof(*e->relocs), order_relocs);
}

static const struct elf_reloc *reloc_at(const struct elf *e, uint64_t vaddr)
{
	struct elf_reloc key = {.at = vaddr};

	elf_load_relocs(e);
	return bsearch(&key, e->relocs, e->n_relocs, sizeof(key), order_relocs);
}

bool elf_pointer(const struct elf *e, uint64_t vaddr, uint64_t *out)
{
	const struct elf_reloc *r = reloc_at(e, vaddr);

	if (!r)
		return elf_u64(e, vaddr, out);
	if (r->known)
		*out = r->value;
	return r->known;
}

const char *elf_reloc_symbol(const struct elf *e, uint64_t vaddr)
{
	const struct elf_reloc *r = reloc_at(e, vaddr);

	return r && r->name && r->name[0] ? r->name : NULL;
}

/* The GOT slot of `[endbr64;] [bnd] jmp *slot(%rip)`. */
static bool plt_slot_x86(const uint8_t *p, size_t n, uint64_t vaddr, uint64_t *slot)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t at = n >= 4 && !memcmp(p, endbr64, 4) ? 4 : 0;
	int32_t disp;

	if (at < n && p[at] == 0xf2)
		at++;
	if (at + 6 > n || p[at] != 0xff || p[at + 1] != 0x25)
		return false;
	memcpy(&disp, p + at + 2, 4);
	*slot = vaddr + at + 6 + (uint64_t)(int64_t)disp;
	return true;
}

int64_t elf_adrp_pages(uint32_t insn)
{
	uint64_t imm = (uint64_t)(insn >> 5 & 0x7ffff) << 2 | (insn >> 29 & 3);

	return (int64_t)(imm ^ (1 << 20)) - (1 << 20);
}

/* The GOT slot of `[bti c;] adrp x16, page; ldr x17, [x16, #low]`. */
static bool plt_slot_arm(const uint8_t *p, size_t n, uint64_t vaddr, uint64_t *slot)
{
	uint32_t w[3] = {0};
	size_t at;
	int64_t page;

	memcpy(w, p, n < sizeof(w) ? n : sizeof(w));
	at = w[0] == 0xd503245f ? 1 : 0;
	if ((w[at] & 0x9f00001f) != 0x90000010 || (w[at + 1] & 0xffc003ff) != 0xf9400211)
		return false;
	page = elf_adrp_pages(w[at]);
	*slot = ((vaddr + 4 * at) & ~UINT64_C(0xfff)) + ((uint64_t)page << 12) +
		(w[at + 1] >> 10 & 0xfff) * 8;
	return true;
}

const char *elf_plt_symbol(const struct elf *e, uint64_t vaddr)
{
	size_t n;
	const uint8_t *p = elf_bytes(e, vaddr, 16, &n);
	uint64_t slot;
	bool found;

	if (!p || !elf_is_code(e, vaddr))
		return NULL;
	found = e->arch == ELF_AARCH64 ? plt_slot_arm(p, n, vaddr, &slot)
				       : plt_slot_x86(p, n, vaddr, &slot);
	return found ? elf_reloc_symbol(e, slot) : NULL;
}

const uint8_t *elf_segment_bytes(const struct elf *e, const struct segment *s)
{
	return s->filesz <= SEARCH_MAX ? elf_at(e, s->offset, s->filesz) : NULL;
}

size_t elf_find_string(const struct elf *e, const char *text, uint64_t *out, size_t max)
{
	size_t len = strlen(text) + 1, found = 0;

	for (size_t i = 0; i < e->n_seg; i++) {
		const struct segment *s = &e->seg[i];
		const uint8_t *base = elf_segment_bytes(e, s), *p = base, *end;

		if (!base)
			continue;
		for (end = base + s->filesz;
		     found < max && (p = memmem(p, (size_t)(end - p), text, len)); p++)
			out[found++] = s->vaddr + (uint64_t)(p - base);
	}
	return found;
}

static size_t add_unique(uint64_t *out, size_t n, size_t max, uint64_t v)
{
	for (size_t i = 0; i < n; i++)
		if (out[i] == v)
			return n;
	if (n < max)
		out[n++] = v;
	return n;
}

/* Relocation tables hold the pointers as addends: those are no cells. */
static bool in_reloc_table(const struct elf *e, uint64_t offset)
{
	return offset - e->rela.offset < e->rela.size || offset - e->jmprel.offset < e->jmprel.size;
}

size_t elf_find_pointers(const struct elf *e, uint64_t target, uint64_t *out, size_t max)
{
	size_t n = 0;

	elf_load_relocs(e);
	for (size_t i = 0; i < e->n_relocs && n < max; i++)
		if (e->relocs[i].known && e->relocs[i].value == target)
			n = add_unique(out, n, max, e->relocs[i].at);
	/* RELR relocations and non-PIC files keep the pointer in place. */
	for (size_t i = 0; i < e->n_seg; i++) {
		const struct segment *s = &e->seg[i];
		const uint8_t *p = s->flags & PF_X ? NULL : elf_segment_bytes(e, s);

		for (uint64_t at = -s->vaddr & 7; p && at + 8 <= s->filesz && n < max; at += 8)
			if (!memcmp(p + at, &target, 8) && !in_reloc_table(e, s->offset + at))
				n = add_unique(out, n, max, s->vaddr + at);
	}
	return n;
}

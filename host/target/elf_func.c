/* SPDX-License-Identifier: Apache-2.0 */
/* Function extents from symbols and the unwind table, and who refers to a string. */
#include <string.h>

#include "target/elf_impl.h"

/* Code that no table describes is taken to end after this many bytes. */
enum { GUESSED_SIZE = 1024 };

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
	bool has_unwind = elf_unwind_func(e, vaddr, &unwind);

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

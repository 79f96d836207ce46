/* SPDX-License-Identifier: Apache-2.0 */
/* Direct calls and jumps to a function, found by their bytes. */
#include <string.h>

#include "target/elf_impl.h"

struct search {
	const struct elf *e;
	uint64_t vaddr;	  /* of the function, 0: imported only */
	const char *name; /* linkage stubs of this name count; NULL: none do */
	uint64_t *out;
	size_t n, max;
};

static void consider(struct search *s, uint64_t at, uint64_t target)
{
	const char *stub;

	if (s->n == s->max)
		return;
	if (!s->vaddr || target != s->vaddr) {
		stub = s->name ? elf_plt_symbol(s->e, target) : NULL;
		if (!stub || strcmp(stub, s->name))
			return;
	}
	s->out[s->n++] = at;
}

/* call rel32, jmp rel32. */
static void scan_x86(struct search *s, const struct segment *seg, const uint8_t *code)
{
	for (uint64_t i = 0; i + 5 <= seg->filesz; i++) {
		int32_t rel;
		uint64_t target;

		if ((code[i] & 0xfe) != 0xe8)
			continue;
		memcpy(&rel, code + i + 1, 4);
		target = seg->vaddr + i + 5 + (uint64_t)(int64_t)rel;
		if (target - seg->vaddr < seg->filesz)
			consider(s, seg->vaddr + i, target);
	}
}

/* bl, b. */
static void scan_arm(struct search *s, const struct segment *seg, const uint8_t *code)
{
	for (uint64_t i = 0; i + 4 <= seg->filesz; i += 4) {
		uint64_t at = seg->vaddr + i;
		uint32_t w;

		memcpy(&w, code + i, 4);
		if ((w & 0x7c000000) == 0x14000000)
			consider(s, at, at + (uint64_t)((int64_t)(int32_t)(w << 6) >> 4));
	}
}

size_t elf_find_calls(const struct elf *e, uint64_t vaddr, const char *name, uint64_t *out,
		      size_t max)
{
	struct search s = {e, vaddr, name, out, 0, max};

	for (size_t i = 0; i < e->n_seg; i++) {
		const struct segment *seg = &e->seg[i];
		const uint8_t *code = seg->flags & PF_X ? elf_segment_bytes(e, seg) : NULL;

		if (code && e->arch == ELF_AARCH64)
			scan_arm(&s, seg, code);
		else if (code)
			scan_x86(&s, seg, code);
	}
	return s.n;
}

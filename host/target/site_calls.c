/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of a function that stand in one certain caller. */
#include <errno.h>
#include <string.h>

#include "target/site_impl.h"
#include "util/alloc.h"

enum { CALLS_MAX = 512, CALLERS_MAX = 16 };

/* Functions, each once. */
struct callers {
	struct elf_func at[CALLERS_MAX];
	size_t n;
};

static bool has(const struct callers *c, uint64_t vaddr)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->at[i].vaddr == vaddr)
			return true;
	return false;
}

static void add(struct callers *c, const struct elf_func *f)
{
	if (c->n < CALLERS_MAX && !has(c, f->vaddr))
		c->at[c->n++] = *f;
}

/* The functions that call the one at `vaddr`, or that import it by `name`. */
static void add_callers(const struct elf *e, uint64_t vaddr, const char *name, struct callers *c)
{
	uint64_t calls[CALLS_MAX];
	size_t n = elf_find_calls(e, vaddr, name, calls, CALLS_MAX);
	struct elf_func f;

	for (size_t i = 0; i < n; i++)
		if (elf_func_at(e, calls[i], &f))
			add(c, &f);
}

uint64_t site_address(const struct elf *e, const char *name)
{
	struct elf_symbol sym;

	return elf_find(e, name, &sym) ? sym.vaddr : 0;
}

bool site_find_caller(const struct elf *e, const char *callee, const char *within,
		      struct elf_func *out)
{
	struct callers of_callee = {.n = 0}, reach = {.n = 0};
	bool found = false;

	add_callers(e, site_address(e, callee), callee, &of_callee);
	add_callers(e, site_address(e, within), within, &reach);
	for (size_t i = 0, direct = reach.n; i < direct; i++)
		add_callers(e, reach.at[i].vaddr, NULL, &reach);
	for (size_t i = 0; i < reach.n; i++) {
		struct callers above = {.n = 0};
		bool inner = false;

		if (!has(&of_callee, reach.at[i].vaddr))
			continue;
		add_callers(e, reach.at[i].vaddr, NULL, &above);
		for (size_t k = 0; k < above.n; k++)
			inner |= above.at[k].vaddr != reach.at[i].vaddr &&
				 has(&reach, above.at[k].vaddr) &&
				 has(&of_callee, above.at[k].vaddr);
		if (inner)
			continue;
		if (found)
			return false;
		*out = reach.at[i];
		found = true;
	}
	return found;
}

bool site_is_call(const struct elf *e, const struct insn *in, uint64_t vaddr, const char *name)
{
	const char *stub;

	if ((!in->is_call && !in->is_jump) || in->is_conditional || !in->has_target)
		return false;
	if (vaddr && in->target == vaddr)
		return true;
	stub = elf_plt_symbol(e, in->target);
	return stub && !strcmp(stub, name);
}

int site_calls(const struct elf *e, const char *callee, const char *within, struct site_exits *out)
{
	uint64_t vaddr = site_address(e, callee);
	struct elf_func f;
	struct insn_list l;
	int err;

	memset(out, 0, sizeof(*out));
	if (!site_find_caller(e, callee, within, &f))
		return -ENOENT;
	err = insn_decode(e, &f, 0, &l);
	if (err)
		return err;
	for (size_t i = 0; i < l.count && !err; i++) {
		struct site *s = &out->at[out->count];

		if (!site_is_call(e, &l.at[i], vaddr, callee))
			continue;
		if (out->count == SITE_EXITS_MAX || insn_class_cost(l.at[i].class) > 0) {
			err = -EOPNOTSUPP;
			break;
		}
		site_fill(e, &f, &l.at[i], s);
		s->offset = 0;
		snprintf(s->why, sizeof(s->why), "its call at 0x%llx, one of those that end a node",
			 (unsigned long long)l.at[i].vaddr);
		out->count++;
	}
	out->complete = l.complete && !err;
	insn_list_free(&l);
	return err ? err : out->complete && out->count ? 0 : -ENOENT;
}

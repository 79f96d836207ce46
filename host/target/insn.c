/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding one function: capstone for text and registers, raw bytes for what the kernel does. */
#include "target/insn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/capstone.h"
#include "target/insn_impl.h"

/* Instructions of one function that are looked at; generated code has the longest ones. */
static const size_t insns_max = 200000;

uint32_t insn_arg_register(enum elf_arch arch, int i)
{
	static const uint8_t x86[] = {7, 6, 2, 1, 8, 9};

	if (i < 0 || i >= insn_arg_count(arch))
		return 0;
	return UINT32_C(1) << (arch == ELF_AARCH64 ? i : x86[i]);
}

int insn_arg_count(enum elf_arch arch)
{
	return arch == ELF_AARCH64 ? 8 : 6;
}

uint32_t insn_sp_register(enum elf_arch arch)
{
	return UINT32_C(1) << (arch == ELF_AARCH64 ? 31 : 4);
}

const char *insn_class_name(enum insn_class c)
{
	static const char *const names[] = {"emulated", "emulated push",  "nop",
					    "nop5",	"single-stepped", "refused"};

	return names[c];
}

int insn_class_cost(enum insn_class c)
{
	static const int cost[] = {0, 0, 1, 1, 2, 3};

	return cost[c];
}

static int open_capstone(enum elf_arch arch, csh *cs)
{
	cs_arch a = arch == ELF_AARCH64 ? CS_ARCH_ARM64 : CS_ARCH_X86;
	cs_mode m = arch == ELF_AARCH64 ? CS_MODE_ARM : CS_MODE_64;
	struct diag *quiet = diag_new();
	int err = capstone_load(quiet);

	diag_free(quiet);
	if (err)
		return err;
	if (capstone.open(a, m, cs) != CS_ERR_OK)
		return -ENOTSUP;
	capstone.option(*cs, CS_OPT_DETAIL, CS_OPT_ON);
	/* Instructions of aarch64 are words: one that the disassembler is too old for hides nothing
	 * behind it. On x86-64 the length of such a one is not known. */
	if (arch == ELF_AARCH64)
		capstone.option(*cs, CS_OPT_SKIPDATA, CS_OPT_ON);
	return 0;
}

int insn_ready(struct diag *d)
{
	return capstone_load(d);
}

void insn_rest(void)
{
	capstone_unload();
}

int insn_walk(const struct elf *e, const struct elf_func *f, size_t max, insn_walk_fn *fn,
	      void *ctx, uint64_t *end)
{
	uint64_t at = f->vaddr;
	const uint8_t *p;
	size_t left;
	csh cs;
	cs_insn *ci;
	int err;

	*end = at;
	p = elf_is_code(e, at) ? elf_bytes(e, at, f->size, &left) : NULL;
	if (!p)
		return -ENOENT;
	err = open_capstone(elf_arch(e), &cs);
	if (err)
		return err;
	ci = capstone.malloc(cs);
	for (size_t i = 0; i < max && left && capstone.disasm_iter(cs, &p, &left, &at, ci); i++) {
		*end = at;
		if (fn(ctx, cs, ci))
			break;
	}
	capstone.free(ci, 1);
	capstone.close(&cs);
	return 0;
}

static void set_text(struct insn *in, const cs_insn *ci)
{
	char full[sizeof(ci->mnemonic) + sizeof(ci->op_str) + 2];

	snprintf(full, sizeof(full), "%s %s", ci->mnemonic, ci->op_str);
	memcpy(in->text, full, strnlen(full, sizeof(in->text) - 1));
	if (!ci->op_str[0])
		in->text[strcspn(in->text, " ")] = '\0';
}

/* Every branch is known, so this is none; anything else it may do. */
static void describe_unknown(struct insn *in)
{
	in->class = INSN_REFUSED;
	in->sp_known = false;
	in->reads = in->writes = UINT32_MAX;
}

struct collector {
	enum elf_arch arch;
	struct insn_list *list;
	size_t cap;
};

static int collect(void *ctx, size_t cs, const void *insn)
{
	struct collector *c = ctx;
	const cs_insn *ci = insn;
	struct insn *in = VEC_PUSH(c->list->at, c->list->count, c->cap);

	in->vaddr = ci->address;
	in->size = (uint8_t)ci->size;
	in->sp_known = true;
	set_text(in, ci);
	if (!ci->id)
		describe_unknown(in);
	else if (c->arch == ELF_AARCH64)
		insn_describe_arm(cs, ci, in);
	else
		insn_describe_x86(cs, ci, in);
	return 0;
}

int insn_decode(const struct elf *e, const struct elf_func *f, size_t max, struct insn_list *out)
{
	struct collector c = {elf_arch(e), out, 0};
	int err;

	*out = (struct insn_list){0};
	err = insn_walk(e, f, max && max < insns_max ? max : insns_max, collect, &c, &out->end);
	out->complete = !err && out->end == f->vaddr + f->size;
	return err;
}

void insn_list_free(struct insn_list *l)
{
	free(l->at);
	*l = (struct insn_list){0};
}

long insn_index(const struct insn_list *l, uint64_t vaddr)
{
	size_t lo = 0, hi = l->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->at[mid].vaddr == vaddr)
			return (long)mid;
		if (l->at[mid].vaddr < vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/callback.h"

#include <bpf/btf.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/text.h"

enum { MAX_PARTS = 64 };

struct part {
	size_t start;
	int id;	      /* callback number, -1 for the program */
	bool counted; /* of bpf_loop */
};

/* A program and its callbacks, one behind the other. */
struct joiner {
	const struct bpf_code *code;
	struct bpf_insn *insns;
	struct code_reloc *relocs;
	size_t n, cap, n_relocs, cap_relocs;
	struct part parts[MAX_PARTS];
	size_t n_parts;
};

bool callback_is_name(const char *name)
{
	return (text_starts(name, "cb_") || text_starts(name, "cc_")) &&
	       isdigit((unsigned char)name[3]);
}

static bool is_wide(const struct bpf_insn *in)
{
	return in->code == (BPF_LD | BPF_IMM | BPF_DW);
}

static bool is_mark(const struct bpf_insn *in)
{
	return is_wide(in) && in[0].src_reg == 0 && in[1].imm == CALLBACK_MARK;
}

bool callback_used_by(const struct code_program *p)
{
	for (uint32_t i = 0; i + 1 < p->n_insns; i++) {
		if (is_mark(&p->insns[i]))
			return true;
		i += is_wide(&p->insns[i]);
	}
	return false;
}

static bool saves(const struct bpf_insn *in, int reg)
{
	return in->code == (BPF_ALU64 | BPF_MOV | BPF_X) && in->src_reg == reg;
}

/* The instruction may stand before r2 to `last` are saved: it goes on to the next and leaves them.
 */
static bool leaves_arguments(const struct bpf_insn *in, int last)
{
	switch (BPF_CLASS(in->code)) {
	case BPF_ST:
	case BPF_STX:
		return true;
	case BPF_ALU:
	case BPF_ALU64:
		return in->dst_reg < 2 || in->dst_reg > last;
	default:
		return false;
	}
}

/* A callback starts by saving r2 to r4 (of bpf_loop: r2), and none of them over one still needed;
 * one that only returns needs none. */
static bool saves_arguments(const struct code_program *p)
{
	int last = text_starts(p->name, "cc_") ? 2 : 4, reg = 2;

	if (p->n_insns <= 2)
		return true;
	for (uint32_t i = 0; i < p->n_insns && reg <= last; i++) {
		const struct bpf_insn *in = &p->insns[i];

		if (saves(in, reg) && (in->dst_reg <= reg || in->dst_reg > last))
			reg++;
		else if (!leaves_arguments(in, last))
			return false;
	}
	return reg > last;
}

static int add_part(struct joiner *j, const struct code_program *p, int id, struct diag *d)
{
	struct part *part = &j->parts[j->n_parts];

	if (j->n_parts == MAX_PARTS)
		return diag_fail(d, -E2BIG, "a probe holds more than %d loops over maps",
				 MAX_PARTS - 1);
	j->n_parts++;
	*part = (struct part){j->n, id, text_starts(p->name, "cc_")};
	for (uint32_t i = 0; i < p->n_insns; i++)
		*VEC_PUSH(j->insns, j->n, j->cap) = p->insns[i];
	for (uint32_t i = 0; i < p->n_relocs; i++) {
		struct code_reloc *r = VEC_PUSH(j->relocs, j->n_relocs, j->cap_relocs);

		*r = p->relocs[i];
		r->insn += (uint32_t)part->start;
	}
	return 0;
}

static int part_of(const struct joiner *j, int id)
{
	for (size_t i = 1; i < j->n_parts; i++)
		if (j->parts[i].id == id)
			return (int)i;
	return -1;
}

static int add_callback(struct joiner *j, int id, struct diag *d)
{
	const struct code_program *cb;
	char name[24];

	snprintf(name, sizeof(name), "cb_%d", id);
	cb = bpf_code_program(j->code, name);
	name[1] = 'c';
	cb = cb ? cb : bpf_code_program(j->code, name);
	if (!cb || !saves_arguments(cb))
		return diag_fail(d, -EINVAL, "the compiler made no usable loop body of this text");
	return add_part(j, cb, id, d);
}

/* Adds the callbacks that are referred to, also those that callbacks refer to, and resolves. */
static int join(struct joiner *j, const struct code_program *p, struct diag *d)
{
	int err = add_part(j, p, -1, d);

	for (size_t i = 0; i + 1 < j->n && !err; i++) {
		int id = j->insns[i].imm;

		if (is_mark(&j->insns[i]) && part_of(j, id) < 0)
			err = add_callback(j, id, d);
		i += is_wide(&j->insns[i]);
	}
	for (size_t i = 0; i + 1 < j->n && !err; i++) {
		struct bpf_insn *in = &j->insns[i];

		if (is_mark(in)) {
			in[0].src_reg = BPF_PSEUDO_FUNC;
			in[0].imm = (int)(j->parts[part_of(j, in[0].imm)].start - i - 1);
			in[1].imm = 0;
		}
		i += is_wide(in);
	}
	return err;
}

/* Types of the functions that can be parts. */
struct part_types {
	int program, element, round;
};

static int add_function(struct btf *btf, const char *name, int n_params)
{
	static const char *const params[] = {"a", "b", "c", "d"};
	int i = btf__find_by_name_kind(btf, "int", BTF_KIND_INT), p, proto;

	p = btf__add_ptr(btf, 0);
	proto = btf__add_func_proto(btf, i);
	for (int k = 0; k < n_params; k++)
		btf__add_func_param(btf, params[k], p);
	return btf__add_func(btf, name, BTF_FUNC_STATIC, proto);
}

/* int program(void *), int element(void *, void *, void *, void *), int round(void *, void *) */
static int load_btf(struct part_types *t)
{
	struct btf *btf = btf__new_empty();
	int fd = -EINVAL;

	if (!btf)
		return -ENOMEM;
	btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	t->program = add_function(btf, "probe", 1);
	t->element = add_function(btf, "element", 4);
	t->round = add_function(btf, "round", 2);
	if (!btf__load_into_kernel(btf))
		fd = fcntl(btf__fd(btf), F_DUPFD_CLOEXEC, 3);
	btf__free(btf);
	return fd;
}

static void fill_funcs(const struct joiner *j, const struct part_types *t,
		       struct callback_joined *out)
{
	out->funcs = xcalloc(j->n_parts, sizeof(*out->funcs));
	out->n_funcs = (uint32_t)j->n_parts;
	for (size_t i = 0; i < j->n_parts; i++) {
		const struct part *p = &j->parts[i];
		int type = !i ? t->program : p->counted ? t->round : t->element;

		out->funcs[i] = (struct bpf_func_info){(uint32_t)p->start, (uint32_t)type};
	}
}

int callback_join(const struct bpf_code *code, const struct code_program *p,
		  struct callback_joined *out, struct diag *d)
{
	struct joiner j = {.code = code};
	struct part_types types;
	int err = join(&j, p, d);

	*out = (struct callback_joined){.btf_fd = -1};
	out->program = (struct code_program){p->name, j.insns, (uint32_t)j.n, j.relocs,
					     (uint32_t)j.n_relocs};
	if (err)
		return err;
	out->btf_fd = load_btf(&types);
	if (out->btf_fd < 0)
		return diag_fail(d, -EINVAL, "the kernel took no type information for %s: %s",
				 p->name, strerror(-out->btf_fd));
	fill_funcs(&j, &types, out);
	return 0;
}

void callback_joined_free(struct callback_joined *j)
{
	if (j->btf_fd >= 0)
		close(j->btf_fd);
	free(j->program.insns);
	free(j->program.relocs);
	free(j->funcs);
}

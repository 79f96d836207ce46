/* SPDX-License-Identifier: Apache-2.0 */
#include "script/callback.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/sys.h"
#include "util/alloc.h"

enum { MAX_PARTS = 64, LOG_SIZE = 1 << 20, LOG_TAIL = 2000 };

/* A program and its callbacks, one behind the other. */
struct joined {
	const struct bpf_code *code;
	struct bpf_insn *insns;
	size_t n, cap;
	size_t start[MAX_PARTS]; /* where each part begins */
	int id[MAX_PARTS];	 /* callback number, -1 for the program */
	bool counted[MAX_PARTS]; /* of bpf_loop */
	size_t n_parts;
	const struct bpf_extern *externs;
	size_t n_externs;
};

static bool is_mark(const struct bpf_insn *in)
{
	return in[0].code == (BPF_LD | BPF_IMM | BPF_DW) && in[0].src_reg == 0 &&
	       in[1].imm == CALLBACK_MARK;
}

bool callback_used_by(const struct code_program *p)
{
	for (uint32_t i = 0; i + 1 < p->n_insns; i++) {
		if (is_mark(&p->insns[i]))
			return true;
		i += p->insns[i].code == (BPF_LD | BPF_IMM | BPF_DW);
	}
	return false;
}

static int extern_fd(const struct joined *j, uint32_t n)
{
	for (size_t i = 0; i < j->n_externs; i++)
		if (j->externs[i].n == n)
			return j->externs[i].fd;
	return -1;
}

/* A callback starts by saving r2 to r4 (of bpf_loop: r2), and none of them over one still needed.
 */
static bool saves_arguments(const struct code_program *p)
{
	int n = p->name[1] == 'c' ? 1 : 3;

	for (int i = 0; i < n && p->n_insns > 2; i++) {
		const struct bpf_insn *in = &p->insns[i];

		if (in->code != (BPF_ALU64 | BPF_MOV | BPF_X) || in->src_reg != i + 2 ||
		    (n > 1 && in->dst_reg > i + 2 && in->dst_reg <= 4))
			return false;
	}
	return true;
}

static int add_part(struct joined *j, const struct code_program *p, int id, struct diag *d)
{
	size_t at = j->n;

	if (j->n_parts == MAX_PARTS)
		return diag_fail(d, -E2BIG, "a probe holds more than %d loops over maps",
				 MAX_PARTS - 1);
	j->start[j->n_parts] = at;
	j->counted[j->n_parts] = strncmp(p->name, "cc_", 3) == 0;
	j->id[j->n_parts++] = id;
	for (uint32_t i = 0; i < p->n_insns; i++)
		*VEC_PUSH(j->insns, j->n, j->cap) = p->insns[i];
	for (uint32_t i = 0; i < p->n_relocs; i++) {
		const struct code_reloc *r = &p->relocs[i];
		struct bpf_insn *in = &j->insns[at + r->insn];

		if (r->kind != CODE_RELOC_EXTERN)
			return diag_fail(d, -EINVAL, "%s: unexpected map reference", p->name);
		in[0].src_reg = BPF_PSEUDO_MAP_FD;
		in[0].imm = extern_fd(j, r->index);
		in[1].imm = 0;
	}
	return 0;
}

static int part_of(const struct joined *j, int id)
{
	for (size_t i = 1; i < j->n_parts; i++)
		if (j->id[i] == id)
			return (int)i;
	return -1;
}

/* Adds the callbacks that are referred to, also those that callbacks refer to, and resolves. */
static int join(struct joined *j, const struct code_program *main_program, struct diag *d)
{
	int err = add_part(j, main_program, -1, d);

	for (size_t i = 0; i + 1 < j->n && !err; i++) {
		char name[24];
		int id = j->insns[i].imm;
		const struct code_program *cb;

		if (is_mark(&j->insns[i]) && part_of(j, id) < 0) {
			snprintf(name, sizeof(name), "cb_%d", id);
			cb = bpf_code_program(j->code, name);
			name[1] = 'c';
			cb = cb ? cb : bpf_code_program(j->code, name);
			if (!cb || !saves_arguments(cb))
				err = diag_fail(d, -EINVAL,
						"the compiler made no usable loop body of "
						"this script");
			else
				err = add_part(j, cb, id, d);
		}
		i += j->insns[i].code == (BPF_LD | BPF_IMM | BPF_DW);
	}
	for (size_t i = 0; i + 1 < j->n && !err; i++) {
		struct bpf_insn *in = &j->insns[i];

		if (is_mark(in)) {
			in[0].src_reg = BPF_PSEUDO_FUNC;
			in[0].imm = (int)(j->start[part_of(j, in[0].imm)] - i - 1);
			in[1].imm = 0;
		}
		i += in[0].code == (BPF_LD | BPF_IMM | BPF_DW);
	}
	return err;
}

/* int program(void *ctx), int callback(void *, void *, void *, void *), int loop(u64, void *) */
static struct btf *make_btf(int *main_func, int *cb_func, int *loop_func)
{
	struct btf *btf = btf__new_empty();
	int i, p, proto;

	if (!btf)
		return NULL;
	i = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	p = btf__add_ptr(btf, 0);
	proto = btf__add_func_proto(btf, i);
	btf__add_func_param(btf, "ctx", p);
	*main_func = btf__add_func(btf, "probe", BTF_FUNC_STATIC, proto);
	proto = btf__add_func_proto(btf, i);
	btf__add_func_param(btf, "map", p);
	btf__add_func_param(btf, "key", p);
	btf__add_func_param(btf, "value", p);
	btf__add_func_param(btf, "ctx", p);
	*cb_func = btf__add_func(btf, "callback", BTF_FUNC_STATIC, proto);
	proto = btf__add_func_proto(btf, i);
	btf__add_func_param(btf, "index", p);
	btf__add_func_param(btf, "ctx", p);
	*loop_func = btf__add_func(btf, "loop", BTF_FUNC_STATIC, proto);
	return btf;
}

static enum bpf_prog_type type_of(enum bpf_kind kind)
{
	switch (kind) {
	case BPF_KIND_TRACEPOINT:
		return BPF_PROG_TYPE_TRACEPOINT;
	case BPF_KIND_RAW_TRACEPOINT:
		return BPF_PROG_TYPE_RAW_TRACEPOINT;
	case BPF_KIND_PERF_EVENT:
		return BPF_PROG_TYPE_PERF_EVENT;
	default:
		return BPF_PROG_TYPE_KPROBE;
	}
}

static int load_joined(const struct joined *j, const char *name, enum bpf_kind kind, struct diag *d)
{
	struct bpf_func_info info[MAX_PARTS];
	int main_func, cb_func, loop_func, fd;
	struct btf *btf = make_btf(&main_func, &cb_func, &loop_func);
	char *log = xcalloc(1, LOG_SIZE);
	struct prog_spec spec = {.type = type_of(kind),
				 .attach_type = kind == BPF_KIND_UPROBE ? ATTACH_UPROBE_MULTI : 0,
				 .insns = j->insns,
				 .n_insns = (uint32_t)j->n,
				 .licence = "GPL",
				 .name = name,
				 .funcs = info,
				 .n_funcs = (uint32_t)j->n_parts};

	if (!btf || btf__load_into_kernel(btf) != 0) {
		btf__free(btf);
		free(log);
		return diag_fail(d, -EINVAL, "the kernel took no type information for %s", name);
	}
	for (size_t i = 0; i < j->n_parts; i++)
		info[i] = (struct bpf_func_info){(uint32_t)j->start[i],
						 (uint32_t)(!i		    ? main_func
							    : j->counted[i] ? loop_func
									    : cb_func)};
	spec.btf_fd = btf__fd(btf);
	fd = sys_prog_load(&spec);
	if (fd < 0) {
		size_t len;

		spec.log = log;
		spec.log_size = LOG_SIZE;
		fd = sys_prog_load(&spec);
		len = strlen(log);
		if (fd < 0)
			diag_fail(d, fd, "the kernel refused %s: %s\n%s", name, strerror(-fd),
				  log + (len > LOG_TAIL ? len - LOG_TAIL : 0));
	}
	btf__free(btf);
	free(log);
	return fd;
}

int callback_load(const struct bpf_code *code, const char *name, enum bpf_kind kind,
		  const struct bpf_extern *externs, size_t n_externs, struct diag *d)
{
	struct joined j = {.code = code, .externs = externs, .n_externs = n_externs};
	const struct code_program *p = bpf_code_program(code, name);
	int fd = p ? join(&j, p, d) : -ENOENT;

	if (!fd)
		fd = load_joined(&j, name, kind, d);
	free(j.insns);
	return fd;
}

int callback_run(int fd, void *ctx, size_t len)
{
	uint32_t retval;
	int err = sys_prog_run(fd, ctx, len, &retval);

	return err ? err : (int)retval;
}

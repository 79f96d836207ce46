/* SPDX-License-Identifier: Apache-2.0 */
/* What each stage of the way from text to the kernel made of a script. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/compile.h"
#include "bpf/kmap.h"
#include "script/script_impl.h"

static int dump_ast(struct script *s, struct buf *out, struct diag *d)
{
	(void)d;
	program_dump(s->prog, false, out);
	return 0;
}

static int dump_types(struct script *s, struct buf *out, struct diag *d)
{
	(void)d;
	program_dump(s->prog, true, out);
	return 0;
}

static int dump_text(struct script *s, struct buf *out, struct diag *d)
{
	int err = script_emit(s, d);

	if (!err)
		buf_add(out, s->code.text.data, s->code.text.len);
	return err;
}

static int dump_listing(struct script *s, enum bpf_listing what, struct buf *out, struct diag *d)
{
	struct bpf_compile_opts o = {
		.name = s->src.name, .lean = true, .listing = what, .log = out};
	struct bpf_code *code = NULL;
	int err = script_emit(s, d);

	if (!err) {
		o.text = buf_str(&s->code.text);
		code = bpf_compile(&o, d);
		err = code ? 0 : -EINVAL;
	}
	bpf_code_free(code);
	return err;
}

static int dump_llvm(struct script *s, struct buf *out, struct diag *d)
{
	return dump_listing(s, BPF_LIST_LLVM, out, d);
}

static int dump_asm(struct script *s, struct buf *out, struct diag *d)
{
	return dump_listing(s, BPF_LIST_ASM, out, d);
}

/* ---- what was made in the kernel ---- */

static const char *map_type(uint32_t type)
{
	static const char *const names[] = {
		[BPF_MAP_TYPE_HASH] = "hash",
		[BPF_MAP_TYPE_ARRAY] = "array",
		[BPF_MAP_TYPE_PERCPU_HASH] = "percpu_hash",
		[BPF_MAP_TYPE_PERCPU_ARRAY] = "percpu_array",
		[BPF_MAP_TYPE_LRU_HASH] = "lru_hash",
		[BPF_MAP_TYPE_LRU_PERCPU_HASH] = "lru_percpu_hash",
	};

	return type < ARRAY_LEN(names) && names[type] ? names[type] : "map";
}

static void list_maps(const struct script *s, struct buf *out)
{
	for (const struct symbol *m = s->sema.maps; m; m = m->next) {
		struct kmap_spec spec;

		map_spec(m, &s->settings, &spec);
		buf_printf(out, "map %s: %s, key %u bytes, value %u bytes, up to %u\n", m->name,
			   map_type(spec.type), spec.key_size, spec.value_size, spec.max_entries);
	}
}

static void list_programs(const struct script *s, struct buf *out)
{
	for (const struct script_program *p = s->code.programs; p; p = p->next) {
		const struct code_program *code = bpf_code_program(s->bpf, p->name);
		struct bpf_prog_size size = {0};
		int fd = bpf_module_prog_fd(s->module, p->name);

		if (fd < 0 || bpf_prog_size(fd, &size) != 0)
			continue;
		buf_printf(out, "program %s: %s%s, %u instructions", p->name, p->attach->text,
			   p->n_matches > 1 ? " and others" : "", code ? code->n_insns : 0);
		buf_printf(out, ", %u bytes verified, %u bytes of machine code\n", size.verified,
			   size.machine);
	}
}

static int dump_kernel(struct script *s, struct buf *out, struct diag *d)
{
	int err = script_load(s, d);

	if (err)
		return err;
	list_maps(s, out);
	list_programs(s, out);
	return 0;
}

struct verdicts {
	const struct script *s;
	struct buf *out;
};

static void add_verdict(void *ctx, const char *program, const char *log)
{
	struct verdicts *v = ctx;
	const struct script_program *p = v->s->code.programs;

	while (p && strcmp(p->name, program) != 0)
		p = p->next;
	buf_printf(v->out, "program %s: %s\n%s\n", program, p ? p->attach->text : "", log);
}

static int dump_verifier(struct script *s, struct buf *out, struct diag *d)
{
	struct verdicts v = {s, out};
	struct bpf_load_opts o;
	int err = script_load(s, d);

	if (err)
		return err;
	script_load_opts(s, &o);
	bpf_module_explain(s->module, s->bpf, &o, (uint32_t)s->settings.log_size, add_verdict, &v);
	return 0;
}

/* bpftrace's names stand for what comes nearest here. */
static const struct stage {
	const char *name, *other;
	int (*dump)(struct script *s, struct buf *out, struct diag *d);
	bool in_kernel;
} stages[] = {
	{"ast", "parse", dump_ast, false},
	{"types", "types", dump_types, false},
	{"bpf", "codegen", dump_text, false},
	{"llvm", "codegen-opt", dump_llvm, false},
	{"asm", "dis", dump_asm, false},
	{"kernel", "libbpf", dump_kernel, true},
	{"verifier", "verifier", dump_verifier, true},
};

static bool is_name(const char *name, const char *text, size_t n)
{
	return strlen(name) == n && strncmp(name, text, n) == 0;
}

static int unknown_stage(const char *text, size_t n, struct diag *d)
{
	struct buf names = {0};

	for (size_t i = 0; i < ARRAY_LEN(stages); i++)
		buf_printf(&names, "%s, ", stages[i].name);
	diag_add(d, DIAG_ERROR,
		 "'%.*s' is no stage: there are %sall, and for bpftrace's sake codegen, "
		 "codegen-opt, dis and libbpf",
		 (int)n, text, buf_str(&names));
	buf_free(&names);
	return -EINVAL;
}

static int dump_named(struct script *s, const char *text, size_t n, struct buf *out, struct diag *d)
{
	bool all = is_name("all", text, n), known = all;
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(stages) && !err; i++) {
		const struct stage *st = &stages[i];

		if (!(all && !(st->in_kernel && s->o.offline)) && !is_name(st->name, text, n) &&
		    !is_name(st->other, text, n))
			continue;
		known = true;
		err = st->dump(s, out, d);
	}
	return known ? err : unknown_stage(text, n, d);
}

int script_dump(struct script *s, const char *text, struct buf *out, struct diag *d)
{
	int err = 0;

	while (*text && !err) {
		size_t n = strcspn(text, ",");

		if (n)
			err = dump_named(s, text, n, out, d);
		text += n + (text[n] == ',');
	}
	return err;
}

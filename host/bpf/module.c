/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/callback.h"
#include "bpf/kbtf.h"
#include "bpf/kmap.h"
#include "bpf/sys.h"
#include "util/alloc.h"
#include "util/text.h"

/* The kernel takes no smaller log than the least. */
enum { VERIFIER_LOG = 4 << 20, VERIFIER_LOG_MIN = 128, VERIFIER_LINES = 14 };

struct loaded {
	char *name;
	int fd;
};

struct bpf_module {
	struct code_map *maps; /* copies without type descriptions' owner: see copy_map */
	int *map_fds;
	uint32_t n_maps;
	struct loaded *programs;
	size_t n_programs, cap_programs;
};

static const struct {
	const char *prefix;
	enum bpf_kind kind;
} kinds_by_name[] = {
	{"tracepoint__", BPF_KIND_TRACEPOINT}, {"raw_tracepoint__", BPF_KIND_RAW_TRACEPOINT},
	{"tp_btf__", BPF_KIND_TP_BTF},	       {"kfunc__", BPF_KIND_FENTRY},
	{"kretfunc__", BPF_KIND_FEXIT},	       {"perf_event__", BPF_KIND_PERF_EVENT},
	{"run__", BPF_KIND_RAW_TRACEPOINT},
};

enum bpf_kind bpf_kind_of_name(const char *name, const char **target)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds_by_name); i++) {
		if (text_starts(name, kinds_by_name[i].prefix)) {
			*target = name + strlen(kinds_by_name[i].prefix);
			return kinds_by_name[i].kind;
		}
	}
	*target = NULL;
	return BPF_KIND_UPROBE;
}

static void copy_map(struct code_map *to, const struct code_map *from)
{
	uint32_t i;

	*to = *from;
	to->name = xstrdup(from->name);
	to->key_desc = xstrdup(from->key_desc);
	to->leaf_desc = xstrdup(from->leaf_desc);
	to->fields = xcalloc(from->n_fields + 1, sizeof(*to->fields));
	for (i = 0; i < from->n_fields; i++)
		to->fields[i] = xstrdup(from->fields[i]);
}

void bpf_module_free(struct bpf_module *m)
{
	size_t i;
	uint32_t k;

	if (!m)
		return;
	for (i = 0; i < m->n_programs; i++) {
		close(m->programs[i].fd);
		free(m->programs[i].name);
	}
	for (i = 0; i < m->n_maps; i++) {
		if (m->map_fds[i] >= 0)
			close(m->map_fds[i]);
		for (k = 0; k < m->maps[i].n_fields; k++)
			free(m->maps[i].fields[k]);
		free(m->maps[i].fields);
		free(m->maps[i].name);
		free(m->maps[i].key_desc);
		free(m->maps[i].leaf_desc);
	}
	free(m->programs);
	free(m->map_fds);
	free(m->maps);
	free(m);
}

static int share_map(const struct bpf_module *from, const char *name)
{
	int fd = from ? bpf_module_map_fd(from, name) : -ENOENT;

	return fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int make_maps(struct bpf_module *m, const struct bpf_code *code,
		     const struct bpf_load_opts *o, struct diag *d)
{
	uint32_t i;

	m->maps = xcalloc(code->n_maps + 1, sizeof(*m->maps));
	m->map_fds = xcalloc(code->n_maps + 1, sizeof(*m->map_fds));
	for (i = 0; i < code->n_maps; i++) {
		struct code_map *map = &m->maps[i];
		struct kmap_spec spec;
		uint32_t size = 0;

		copy_map(map, &code->maps[i]);
		m->n_maps = i + 1;
		if (o->map_size)
			size = o->map_size(o->map_size_ctx, map);
		if (size)
			map->max_entries = size;
		spec = (struct kmap_spec){map->type,	    map->key_size, map->value_size,
					  map->max_entries, map->flags,	   map->name};
		if (map->type == BPF_MAP_TYPE_RINGBUF)
			spec.key_size = spec.value_size = 0;
		m->map_fds[i] = share_map(o->share, map->name);
		if (m->map_fds[i] < 0)
			m->map_fds[i] = kmap_create(&spec, d);
		if (m->map_fds[i] < 0)
			return m->map_fds[i];
	}
	return 0;
}

/* What the kernel calls a kind. */
struct kernel_kind {
	uint32_t type, attach_type, btf_id, flags;
};

static int resolve_kind(enum bpf_kind kind, const char *name, const char *target,
			struct kernel_kind *k, struct diag *d)
{
	static const struct kernel_kind plain[] = {
		[BPF_KIND_SESSION] = {.type = BPF_PROG_TYPE_KPROBE,
				      .attach_type = ATTACH_UPROBE_SESSION},
		[BPF_KIND_TRACEPOINT] = {.type = BPF_PROG_TYPE_TRACEPOINT},
		[BPF_KIND_RAW_TRACEPOINT] = {.type = BPF_PROG_TYPE_RAW_TRACEPOINT},
		[BPF_KIND_TP_BTF] = {.type = BPF_PROG_TYPE_TRACING,
				     .attach_type = BPF_TRACE_RAW_TP},
		[BPF_KIND_FENTRY] = {.type = BPF_PROG_TYPE_TRACING,
				     .attach_type = BPF_TRACE_FENTRY},
		[BPF_KIND_FEXIT] = {.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_FEXIT},
		[BPF_KIND_PERF_EVENT] = {.type = BPF_PROG_TYPE_PERF_EVENT},
		[BPF_KIND_SYSCALL] = {.type = BPF_PROG_TYPE_SYSCALL, .flags = BPF_F_SLEEPABLE},
	};
	int id = 0;

	if (kind == BPF_KIND_UPROBE) {
		*k = (struct kernel_kind){BPF_PROG_TYPE_KPROBE, ATTACH_UPROBE_MULTI, 0, 0};
		return 0;
	}
	*k = plain[kind];
	if (kind == BPF_KIND_TP_BTF)
		id = btf_tracepoint_id(target ? target : "");
	else if (kind == BPF_KIND_FENTRY || kind == BPF_KIND_FEXIT)
		id = btf_function_id(target ? target : "");
	if (id < 0)
		return diag_fail(d, id, "program %s: the kernel's BTF has no %s '%s': %s", name,
				 kind == BPF_KIND_TP_BTF ? "tracepoint" : "function",
				 target ? target : "", strerror(-id));
	k->btf_id = id;
	return 0;
}

static int extern_fd(const struct bpf_load_opts *o, uint32_t n)
{
	size_t i;

	for (i = 0; i < o->n_externs; i++) {
		if (o->externs[i].n == n)
			return o->externs[i].fd;
	}
	return -ENOENT;
}

/* A copy of the program's instructions with descriptors in place; NULL with an error. */
static struct bpf_insn *patched_insns(const struct bpf_module *m, const struct code_program *p,
				      const struct bpf_load_opts *o, struct diag *d)
{
	struct bpf_insn *insns = xcalloc(p->n_insns + 1, sizeof(*insns));
	uint32_t i;

	memcpy(insns, p->insns, p->n_insns * sizeof(*insns));
	for (i = 0; i < p->n_relocs; i++) {
		const struct code_reloc *r = &p->relocs[i];
		int fd = r->kind == CODE_RELOC_MAP ? m->map_fds[r->index] : extern_fd(o, r->index);

		if (fd < 0) {
			diag_add(d, DIAG_ERROR,
				 "program %s uses EXTERN_MAP(%u), which was not given", p->name,
				 r->index);
			free(insns);
			return NULL;
		}
		insns[r->insn].imm = fd;
	}
	return insns;
}

/* The end of the verifier's log is what says why; its summary lines are not. */
static char *log_tail(char *log)
{
	char *lines[VERIFIER_LINES] = {0}, *line, *save = NULL;
	struct buf out = {0};
	size_t n = 0, i;

	for (line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (text_starts(line, "processed ") || text_starts(line, "verification time") ||
		    text_starts(line, "stack depth"))
			continue;
		lines[n++ % VERIFIER_LINES] = line;
	}
	for (i = n > VERIFIER_LINES ? n - VERIFIER_LINES : 0; i < n; i++)
		buf_printf(&out, "\n    %s", lines[i % VERIFIER_LINES]);
	return buf_take(&out);
}

static int load_error(struct prog_spec *s, const char *name, int err, struct diag *d)
{
	char *log = xmalloc(VERIFIER_LOG), *tail;
	int fd;

	log[0] = '\0';
	s->log = log;
	s->log_size = VERIFIER_LOG;
	fd = sys_prog_load(s);
	if (fd >= 0)
		close(fd);
	tail = log_tail(log);
	if (err == -EPERM && (!tail || !*tail))
		diag_add(d, DIAG_ERROR,
			 "program %s: the kernel does not let this process load BPF programs: run "
			 "as root or with CAP_BPF and CAP_PERFMON",
			 name);
	else
		diag_add(d, DIAG_ERROR, "program %s: the kernel's verifier refused it: %s%s", name,
			 strerror(-err), tail ? tail : "");
	free(tail);
	free(log);
	return err;
}

/* The kind of a program with what it is to be attached to. */
static enum bpf_kind kind_of(const struct bpf_load_opts *o, const char *name, const char **target)
{
	size_t i;

	for (i = 0; i < o->n_kinds; i++) {
		if (!strcmp(o->kinds[i].name, name)) {
			*target = o->kinds[i].target;
			return o->kinds[i].kind;
		}
	}
	return bpf_kind_of_name(name, target);
}

/* Who wants to hear the verifier. */
struct listener {
	char *log;
	uint32_t log_size;
	void (*take)(void *ctx, const char *program, const char *log);
	void *ctx;
};

struct loading {
	struct bpf_module *m;
	const struct bpf_code *code;
	const struct bpf_load_opts *o;
	const struct listener *listener; /* NULL: the programs are to be kept */
};

/* Programs loaded for multi links can be attached in every other way too, so it is always asked
 * for; kernels that do not know it may refuse. What the second try says is about the program. */
static int load_any_attach(struct prog_spec *s)
{
	int fd = sys_prog_load(s);

	if (fd >= 0 || s->attach_type != ATTACH_UPROBE_MULTI)
		return fd;
	s->attach_type = 0;
	return sys_prog_load(s);
}

static void listen(const struct listener *l, const char *name, struct prog_spec *s)
{
	int fd;

	s->log = l->log;
	s->log_size = l->log_size;
	s->log_all = true;
	l->log[0] = '\0';
	fd = load_any_attach(s);
	if (fd >= 0)
		close(fd);
	l->take(l->ctx, name, l->log);
}

static int keep(const struct loading *l, const char *name, struct prog_spec *s, struct diag *d)
{
	int fd = load_any_attach(s);

	if (fd < 0)
		return load_error(s, name, fd, d);
	*VEC_PUSH(l->m->programs, l->m->n_programs, l->m->cap_programs) =
		(struct loaded){xstrdup(name), fd};
	return 0;
}

/* Loads what `s` says about `p`, whose instructions and kind are still missing there. */
static int load_spec(const struct loading *l, const struct code_program *p, struct prog_spec *s,
		     struct diag *d)
{
	const char *target = NULL;
	enum bpf_kind kind = kind_of(l->o, p->name, &target);
	struct kernel_kind k;
	struct bpf_insn *insns;
	int err = resolve_kind(kind, p->name, target, &k, d);

	if (err)
		return err;
	insns = patched_insns(l->m, p, l->o, d);
	if (!insns)
		return -EINVAL;
	s->type = k.type;
	s->attach_type = k.attach_type;
	s->attach_btf_id = k.btf_id;
	s->flags = k.flags;
	s->insns = insns;
	s->n_insns = p->n_insns;
	if (l->listener)
		listen(l->listener, p->name, s);
	else
		err = keep(l, p->name, s, d);
	free(insns);
	return err;
}

static int load_program(const struct loading *l, const struct code_program *p, struct diag *d)
{
	struct prog_spec s = {.licence = l->code->licence,
			      .name = p->name,
			      .kern_version = l->code->kern_version};
	struct callback_joined j;
	int err;

	if (!callback_used_by(p))
		return load_spec(l, p, &s, d);
	err = callback_join(l->code, p, &j, d);
	s.btf_fd = j.btf_fd;
	s.funcs = j.funcs;
	s.n_funcs = j.n_funcs;
	if (!err)
		err = load_spec(l, &j.program, &s, d);
	callback_joined_free(&j);
	return err;
}

static bool wanted(const struct bpf_load_opts *o, const char *name)
{
	size_t i;

	for (i = 0; o->only && i < o->n_only; i++) {
		if (!strcmp(o->only[i], name))
			return true;
	}
	return !o->only && !callback_is_name(name);
}

struct bpf_module *bpf_module_load(const struct bpf_code *code, const struct bpf_load_opts *o,
				   struct diag *d)
{
	static const struct bpf_load_opts none;
	struct bpf_module *m = xcalloc(1, sizeof(*m));
	struct loading l = {m, code, o ? o : &none, NULL};
	uint32_t i;
	int err;

	o = l.o;
	err = make_maps(m, code, o, d);
	for (i = 0; !err && i < code->n_programs; i++) {
		if (wanted(o, code->programs[i].name))
			err = load_program(&l, &code->programs[i], d);
	}
	for (i = 0; !err && i < o->n_only; i++) {
		if (!bpf_code_program(code, o->only[i]))
			err = diag_fail(d, -ENOENT, "the text has no program '%s'", o->only[i]);
	}
	if (err) {
		bpf_module_free(m);
		return NULL;
	}
	return m;
}

void bpf_module_explain(struct bpf_module *m, const struct bpf_code *code,
			const struct bpf_load_opts *o, uint32_t log_size,
			void (*take)(void *ctx, const char *program, const char *log), void *ctx)
{
	uint32_t size = log_size < VERIFIER_LOG_MIN ? VERIFIER_LOG_MIN : log_size;
	struct listener listener = {xmalloc(size), size, take, ctx};
	struct loading l = {m, code, o, &listener};
	struct diag *quiet = diag_new();

	for (size_t i = 0; i < m->n_programs; i++) {
		const struct code_program *p = bpf_code_program(code, m->programs[i].name);

		if (p)
			load_program(&l, p, quiet);
	}
	diag_free(quiet);
	free(listener.log);
}

int bpf_module_prog_fd(const struct bpf_module *m, const char *name)
{
	size_t i;

	for (i = 0; i < m->n_programs; i++) {
		if (!strcmp(m->programs[i].name, name))
			return m->programs[i].fd;
	}
	return -ENOENT;
}

int bpf_module_map_fd(const struct bpf_module *m, const char *name)
{
	uint32_t i;

	for (i = 0; i < m->n_maps; i++) {
		if (!strcmp(m->maps[i].name, name))
			return m->map_fds[i];
	}
	return -ENOENT;
}

const struct code_map *bpf_module_map(const struct bpf_module *m, size_t i, int *fd)
{
	if (i >= m->n_maps)
		return NULL;
	if (fd)
		*fd = m->map_fds[i];
	return &m->maps[i];
}

const char *bpf_module_prog(const struct bpf_module *m, size_t i, int *fd)
{
	if (i >= m->n_programs)
		return NULL;
	if (fd)
		*fd = m->programs[i].fd;
	return m->programs[i].name;
}

int bpf_module_run(const struct bpf_module *m, const char *name, void *ctx, size_t ctx_len)
{
	int fd = bpf_module_prog_fd(m, name), err;
	uint32_t retval;

	if (fd < 0)
		return fd;
	err = sys_prog_run(fd, ctx, ctx_len, &retval);
	return err ? err : (int)(retval & 0x7fffffff);
}

static int prog_info(int prog_fd, struct bpf_prog_info *info)
{
	union bpf_attr attr;

	memset(info, 0, sizeof(*info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = prog_fd;
	attr.info.info_len = sizeof(*info);
	attr.info.info = (uintptr_t)info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr));
}

int bpf_prog_size(int prog_fd, struct bpf_prog_size *out)
{
	struct bpf_prog_info info;
	int err = prog_info(prog_fd, &info);

	if (!err)
		*out = (struct bpf_prog_size){info.xlated_prog_len, info.jited_prog_len};
	return err;
}

int bpf_prog_run_stats(int prog_fd, struct bpf_run_stats *out)
{
	struct bpf_prog_info info;
	int err = prog_info(prog_fd, &info);

	if (!err)
		*out = (struct bpf_run_stats){info.run_cnt, info.run_time_ns,
					      info.recursion_misses};
	return err;
}

int bpf_stats_enable(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.enable_stats.type = BPF_STATS_RUN_TIME;
	return sys_bpf(BPF_ENABLE_STATS, &attr, sizeof(attr));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/compile_child.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/code.h"
#include "util/alloc.h"
#include "util/file.h"

/* The part of libbcc's C API that all versions since 0.18 share. */
struct libbcc {
	void *(*create)(const char *text, unsigned flags, const char *cflags[], int ncflags,
			bool allow_rlimit, const char *dev);
	char *(*licence)(void *m);
	unsigned (*kern_version)(void *m);
	size_t (*num_functions)(void *m);
	const char *(*function_name)(void *m, size_t id);
	void *(*function_start)(void *m, size_t id);
	size_t (*function_size)(void *m, size_t id);
	size_t (*num_tables)(void *m);
	const char *(*table_name)(void *m, size_t id);
	int (*table_fd)(void *m, size_t id);
	int (*table_type)(void *m, size_t id);
	int (*table_flags)(void *m, size_t id);
	size_t (*table_max_entries)(void *m, size_t id);
	size_t (*table_key_size)(void *m, size_t id);
	size_t (*table_leaf_size)(void *m, size_t id);
	const char *(*table_key_desc)(void *m, size_t id);
	const char *(*table_leaf_desc)(void *m, size_t id);
	size_t (*event_fields)(void *m, const char *event);
	const char *(*event_field)(void *m, const char *event, size_t i);
};

static const struct {
	const char *name;
	size_t offset;
} libbcc_symbols[] = {
	{"bpf_module_create_c_from_string", offsetof(struct libbcc, create)},
	{"bpf_module_license", offsetof(struct libbcc, licence)},
	{"bpf_module_kern_version", offsetof(struct libbcc, kern_version)},
	{"bpf_num_functions", offsetof(struct libbcc, num_functions)},
	{"bpf_function_name", offsetof(struct libbcc, function_name)},
	{"bpf_function_start_id", offsetof(struct libbcc, function_start)},
	{"bpf_function_size_id", offsetof(struct libbcc, function_size)},
	{"bpf_num_tables", offsetof(struct libbcc, num_tables)},
	{"bpf_table_name", offsetof(struct libbcc, table_name)},
	{"bpf_table_fd_id", offsetof(struct libbcc, table_fd)},
	{"bpf_table_type_id", offsetof(struct libbcc, table_type)},
	{"bpf_table_flags_id", offsetof(struct libbcc, table_flags)},
	{"bpf_table_max_entries_id", offsetof(struct libbcc, table_max_entries)},
	{"bpf_table_key_size_id", offsetof(struct libbcc, table_key_size)},
	{"bpf_table_leaf_size_id", offsetof(struct libbcc, table_leaf_size)},
	{"bpf_table_key_desc_id", offsetof(struct libbcc, table_key_desc)},
	{"bpf_table_leaf_desc_id", offsetof(struct libbcc, table_leaf_desc)},
	{"bpf_perf_event_fields", offsetof(struct libbcc, event_fields)},
	{"bpf_perf_event_field", offsetof(struct libbcc, event_field)},
};

static void answer(int fd, char kind, const void *data, size_t len)
{
	if (!file_write_all(fd, &kind, 1))
		file_write_all(fd, data, len);
}

/*
 * libbcc reads the 120,000 lines of /proc/kallsyms once per module and once more per user-memory
 * read in the text, only to see whether these helpers exist. That is most of its compile time.
 */
static FILE *fopen_hiding_kallsyms(const char *path, const char *mode)
{
	static char helpers[] = "ffffffff81000000 T bpf_probe_read_kernel\n"
				"ffffffff81000100 T bpf_probe_read_user\n";

	if (!strcmp(path, "/proc/kallsyms"))
		return fmemopen(helpers, sizeof(helpers) - 1, "r");
	return fopen(path, mode);
}

struct dynamic {
	const ElfW(Sym) * symbols;
	const char *strings;
	const ElfW(Rela) * rela[2];
	size_t n_rela[2];
};

static struct dynamic read_dynamic(const struct link_map *lib)
{
	struct dynamic dyn = {0};
	const ElfW(Dyn) * d;

	for (d = lib->l_ld; d->d_tag != DT_NULL; d++) {
		const void *ptr = (const void *)d->d_un.d_ptr;

		if (d->d_tag == DT_SYMTAB)
			dyn.symbols = ptr;
		else if (d->d_tag == DT_STRTAB)
			dyn.strings = ptr;
		else if (d->d_tag == DT_JMPREL)
			dyn.rela[0] = ptr;
		else if (d->d_tag == DT_PLTRELSZ)
			dyn.n_rela[0] = d->d_un.d_val / sizeof(ElfW(Rela));
		else if (d->d_tag == DT_RELA)
			dyn.rela[1] = ptr;
		else if (d->d_tag == DT_RELASZ)
			dyn.n_rela[1] = d->d_un.d_val / sizeof(ElfW(Rela));
	}
	return dyn;
}

static void patch_slot(void *slot, void *value)
{
	uintptr_t page = (uintptr_t)slot & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);

	/* The table is read-only after relocation in a hardened build. */
	if (!mprotect((void *)page, (uintptr_t)slot + sizeof(value) - page, PROT_READ | PROT_WRITE))
		memcpy(slot, &value, sizeof(value));
}

/* Points libbcc's own import of fopen at ours. If there is none compiling just takes longer. */
static void hide_kallsyms(void *handle)
{
	struct link_map *lib = NULL;
	struct dynamic dyn;
	size_t t, i;

	if (dlinfo(handle, RTLD_DI_LINKMAP, &lib) || !lib)
		return;
	dyn = read_dynamic(lib);
	if (!dyn.symbols || !dyn.strings)
		return;
	for (t = 0; t < 2; t++) {
		for (i = 0; dyn.rela[t] && i < dyn.n_rela[t]; i++) {
			const ElfW(Rela) *r = &dyn.rela[t][i];
			const char *name =
				dyn.strings + dyn.symbols[ELF64_R_SYM(r->r_info)].st_name;

			if (!strcmp(name, "fopen") || !strcmp(name, "fopen64"))
				patch_slot((char *)lib->l_addr + r->r_offset,
					   (void *)fopen_hiding_kallsyms);
		}
	}
}

/*
 * TRACEPOINT_PROBE makes libbcc read the event's format, at a fixed place: 0.18 knows only the one
 * below debug. Where tracefs is not mounted it is, in a mount namespace of this child, of which
 * only /sys has to be private ("/" need not be a mount: a chroot). If that fails clang will say
 * what is missing.
 */
static void show_tracefs(const char *text)
{
	if (!strstr(text, "TRACEPOINT_PROBE") || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/sys", NULL, MS_REC | MS_PRIVATE, NULL))
		return;
	if (access("/sys/kernel/tracing/events", F_OK))
		mount("nodev", "/sys/kernel/tracing", "tracefs", 0, NULL);
	if (access("/sys/kernel/debug/tracing/events", F_OK) &&
	    !mount("nodev", "/sys/kernel/debug", "tmpfs", 0, NULL) &&
	    !mkdir("/sys/kernel/debug/tracing", 0700))
		mount("nodev", "/sys/kernel/debug/tracing", "tracefs", 0, NULL);
}

static bool open_libbcc(struct libbcc *bcc, int out)
{
	void *handle = dlopen("libbcc.so.0", RTLD_LAZY | RTLD_LOCAL);
	size_t i;

	if (!handle) {
		char *msg = xasprintf("cannot load libbcc (%s); install libbpfcc (Debian, Ubuntu) "
				      "or bcc (Fedora)",
				      dlerror());

		answer(out, CHILD_ERROR, msg, strlen(msg));
		return false;
	}
	for (i = 0; i < ARRAY_LEN(libbcc_symbols); i++) {
		void *sym = dlsym(handle, libbcc_symbols[i].name);

		if (!sym) {
			char *msg = xasprintf("this libbcc has no %s: at least 0.18 is needed",
					      libbcc_symbols[i].name);

			answer(out, CHILD_ERROR, msg, strlen(msg));
			return false;
		}
		memcpy((char *)bcc + libbcc_symbols[i].offset, &sym, sizeof(sym));
	}
	hide_kallsyms(handle);
	return true;
}

static char *copy(const char *s)
{
	return xstrdup(s ? s : "");
}

static void read_map(const struct libbcc *bcc, void *m, size_t id, struct code_map *map)
{
	uint32_t i;

	map->name = copy(bcc->table_name(m, id));
	map->type = bcc->table_type(m, id);
	map->key_size = bcc->table_key_size(m, id);
	map->value_size = bcc->table_leaf_size(m, id);
	map->max_entries = bcc->table_max_entries(m, id);
	map->flags = bcc->table_flags(m, id);
	map->key_desc = copy(bcc->table_key_desc(m, id));
	map->leaf_desc = copy(bcc->table_leaf_desc(m, id));
	if (map->type != BPF_MAP_TYPE_PERF_EVENT_ARRAY && map->type != BPF_MAP_TYPE_RINGBUF)
		return;
	map->n_fields = bcc->event_fields(m, map->name);
	map->fields = xcalloc(map->n_fields + 1, sizeof(*map->fields));
	for (i = 0; i < map->n_fields; i++)
		map->fields[i] = copy(bcc->event_field(m, map->name, i));
}

/* Turns the descriptor in an instruction back into the map it stands for. */
static bool find_reloc(const struct libbcc *bcc, void *m, int32_t imm, struct code_reloc *r)
{
	size_t id, n = bcc->num_tables(m);

	if (imm >= EXTERN_MAP_BASE && imm < EXTERN_MAP_BASE + EXTERN_MAP_MAX) {
		r->kind = CODE_RELOC_EXTERN;
		r->index = imm - EXTERN_MAP_BASE;
		return true;
	}
	for (id = 0; id < n; id++) {
		if (bcc->table_fd(m, id) == imm) {
			r->kind = CODE_RELOC_MAP;
			r->index = id;
			return true;
		}
	}
	return false;
}

static bool read_program(const struct libbcc *bcc, void *m, size_t id, struct code_program *p)
{
	size_t bytes = bcc->function_size(m, id), cap = 0, n = 0;
	uint32_t i;

	p->name = copy(bcc->function_name(m, id));
	p->n_insns = bytes / sizeof(*p->insns);
	p->insns = xcalloc(p->n_insns + 1, sizeof(*p->insns));
	memcpy(p->insns, bcc->function_start(m, id), p->n_insns * sizeof(*p->insns));
	for (i = 0; i + 1 < p->n_insns; i++) {
		struct code_reloc r = {.insn = i};

		if (p->insns[i].code != (BPF_LD | BPF_DW | BPF_IMM))
			continue;
		if (p->insns[i].src_reg == BPF_PSEUDO_MAP_FD) {
			if (!find_reloc(bcc, m, p->insns[i].imm, &r))
				return false;
			p->insns[i].imm = 0;
			*VEC_PUSH(p->relocs, n, cap) = r;
		}
		i++;
	}
	p->n_relocs = n;
	return true;
}

static struct bpf_code *read_module(const struct libbcc *bcc, void *m)
{
	struct bpf_code *code = xcalloc(1, sizeof(*code));
	size_t i;

	code->licence = copy(bcc->licence(m));
	code->kern_version = bcc->kern_version(m);
	code->n_maps = bcc->num_tables(m);
	code->maps = xcalloc(code->n_maps + 1, sizeof(*code->maps));
	for (i = 0; i < code->n_maps; i++)
		read_map(bcc, m, i, &code->maps[i]);
	code->n_programs = bcc->num_functions(m);
	code->programs = xcalloc(code->n_programs + 1, sizeof(*code->programs));
	for (i = 0; i < code->n_programs; i++) {
		if (!read_program(bcc, m, i, &code->programs[i])) {
			bpf_code_free(code);
			return NULL;
		}
	}
	return code;
}

void compile_child_run(const struct compile_child *c)
{
	static const char unknown_map[] = "a program refers to a map that the text does not define";
	struct libbcc bcc;
	struct buf out = {0};
	struct bpf_code *code;
	void *m;

	if (!open_libbcc(&bcc, c->out))
		return;
	show_tracefs(c->text);
	if (c->headers)
		setenv("BCC_KERNEL_SOURCE", c->headers, 1);
	m = bcc.create(c->text, c->debug, (const char **)c->cflags, (int)c->n_cflags, true, NULL);
	if (!m) {
		answer(c->out, CHILD_REFUSED, "", 0);
		return;
	}
	code = read_module(&bcc, m);
	if (!code) {
		answer(c->out, CHILD_ERROR, unknown_map, sizeof(unknown_map) - 1);
		return;
	}
	bpf_code_encode(code, &out);
	answer(c->out, CHILD_CODE, out.data, out.len);
}

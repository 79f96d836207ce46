/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols of stripped files from where distributions put them: .gnu_debugdata, separate debug
 * files. */
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "target/debug_file.h"
#include "target/elf_impl.h"

struct found {
	int fd;
	char *path;
};

static bool take_file(void *ctx, const struct elf *e, int fd, const char *path)
{
	struct found *f = ctx;
	struct diag *quiet = diag_new();
	struct elf *debug = elf_open_fd(fd, path, quiet);

	if (debug && !strcmp(elf_build_id(debug), elf_build_id(e)))
		*f = (struct found){fcntl(fd, F_DUPFD_CLOEXEC, 0), xstrdup(path)};
	elf_close(debug);
	diag_free(quiet);
	return f->path;
}

/* In place of the library's own search, which loads a client of debuginfod with all that this
 * needs. */
static int find_debug_file(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
			   const char *file, const char *link, GElf_Word crc, char **path)
{
	struct found f = {-1, NULL};

	(void)module;
	(void)name;
	(void)base;
	(void)file;
	(void)link;
	(void)crc;
	debug_file_each(*userdata, "", take_file, &f);
	*path = f.path;
	return f.fd;
}

static Dwfl_Module *open_module(Dwfl *dwfl, struct elf *e, const char *path)
{
	Dwfl_Module *module = dwfl ? dwfl_report_offline(dwfl, "", path, -1) : NULL;
	void **userdata;

	if (!module)
		return NULL;
	dwfl_report_end(dwfl, NULL, NULL);
	dwfl_module_info(module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = e;
	return module;
}

static void add_symbol(struct elf *e, const char *name, uint64_t vaddr, const GElf_Sym *s)
{
	unsigned type = GELF_ST_TYPE(s->st_info);

	if (!name || !*name || s->st_shndx == SHN_UNDEF || !s->st_value ||
	    (type > STT_FUNC && type != STT_GNU_IFUNC))
		return;
	*VEC_PUSH(e->debug_names, e->n_debug_names, e->cap_debug_names) = xstrdup(name);
	*VEC_PUSH(e->syms, e->n_syms, e->cap_syms) = (struct elf_sym_entry){
		.vaddr = vaddr,
		.size = s->st_size,
		.name = e->debug_names[e->n_debug_names - 1],
		.table = (uint8_t)ELF_SYMTAB,
		.is_func = type == STT_FUNC || type == STT_GNU_IFUNC,
		.is_local = GELF_ST_BIND(s->st_info) == STB_LOCAL,
	};
}

static void add_module(struct elf *e, Dwfl_Module *module)
{
	GElf_Addr bias;
	int n = dwfl_module_getelf(module, &bias) ? dwfl_module_getsymtab(module) : 0;

	for (int i = 1; i < n; i++) {
		GElf_Sym sym;
		GElf_Addr addr;
		const char *name =
			dwfl_module_getsym_info(module, i, &sym, &addr, NULL, NULL, NULL);

		add_symbol(e, name, addr - bias, &sym);
	}
}

bool elf_add_debug_symbols(struct elf *e, const char *path)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = find_debug_file,
		.section_address = dwfl_offline_section_address,
	};
	size_t before;
	Dwfl_Module *module;
	Dwfl *dwfl;

	if (e->symtab.size || e->debug_tried)
		return false;
	e->debug_tried = true;
	elf_load_symbols(e);
	before = e->n_syms;
	dwfl = dwfl_begin(&callbacks);
	module = open_module(dwfl, e, path);
	if (module)
		add_module(e, module);
	if (dwfl)
		dwfl_end(dwfl);
	if (e->n_syms == before)
		return false;
	elf_index_again(e);
	return true;
}

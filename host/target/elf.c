/* SPDX-License-Identifier: Apache-2.0 */
/* Opening an ELF file: headers, segments, the dynamic section, notes. */
#include "target/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/elf_impl.h"

/* Beyond this a file is no engine; the address space for its copy would be absurd. */
static const uint64_t file_size_max = UINT64_C(64) << 30;

/* Bytes that segments may share in all. */
static const uint64_t overlap_max = 4 << 20;

static void load_chunk(struct elf *e, uint64_t chunk)
{
	uint64_t start = chunk << CHUNK_SHIFT, end = start + (UINT64_C(1) << CHUNK_SHIFT);
	ssize_t n;

	e->loaded[chunk] = 1;
	if (e->fd < 0)
		return;
	if (end > e->size)
		end = e->size;
	while (start < end) {
		n = pread(e->fd, e->map + start, end - start, (off_t)start);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* the file shrank: the rest reads as zeros */
		start += (uint64_t)n;
	}
}

const uint8_t *elf_at(const struct elf *e, uint64_t offset, uint64_t len)
{
	struct elf *m = (struct elf *)e;

	if (offset > e->size || len > e->size - offset)
		return NULL;
	if (len)
		for (uint64_t c = offset >> CHUNK_SHIFT; c <= (offset + len - 1) >> CHUNK_SHIFT;
		     c++)
			if (!e->loaded[c])
				load_chunk(m, c);
	return e->map + offset;
}

const char *elf_table_string(const struct elf *e, const struct elf_span *table, uint64_t index)
{
	/* elf_load_strings read the table and made a NUL its last byte. */
	return index < table->size ? (const char *)e->map + table->offset + index : "";
}

void elf_load_strings(const struct elf *e, struct elf_span *table)
{
	const uint8_t *p = NULL;

	if (table->size <= TABLE_MAX)
		p = elf_at(e, table->offset, table->size);
	if (!p)
		table->size = 0;
	while (table->size && p[table->size - 1])
		table->size--;
}

const struct segment *elf_segment_at(const struct elf *e, uint64_t vaddr)
{
	for (size_t i = 0; i < e->n_seg; i++)
		if (vaddr >= e->seg[i].vaddr && vaddr - e->seg[i].vaddr < e->seg[i].filesz)
			return &e->seg[i];
	return NULL;
}

bool elf_span_at(const struct elf *e, uint64_t vaddr, uint64_t size, struct elf_span *out)
{
	const struct segment *s = elf_segment_at(e, vaddr);

	if (!s || !size || size > TABLE_MAX || size > s->filesz - (vaddr - s->vaddr))
		return false;
	out->offset = s->offset + (vaddr - s->vaddr);
	out->size = size;
	return true;
}

static void add_segment(struct elf *e, const Elf64_Phdr *ph)
{
	struct segment *s = &e->seg[e->n_seg];
	uint64_t sum = 0;

	if (e->n_seg == SEGMENTS_MAX || ph->p_offset >= e->size || !ph->p_filesz)
		return;
	/* Segments share pages at their edges; more overlap than that is no linker's work and would
	 * make every search of the file run over it many times. */
	for (size_t i = 0; i < e->n_seg; i++)
		sum += e->seg[i].filesz;
	*s = (struct segment){ph->p_vaddr, ph->p_offset, ph->p_filesz, ph->p_flags};
	if (s->filesz > e->size - s->offset)
		s->filesz = e->size - s->offset;
	if (s->vaddr + s->filesz < s->vaddr || sum + s->filesz > e->size + overlap_max)
		return;
	e->n_seg++;
}

static void read_notes(struct elf *e, uint64_t offset, uint64_t size)
{
	const uint8_t *p = elf_at(e, offset, size);
	uint64_t at = 0;

	while (p && size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		uint64_t name, desc;

		memcpy(&nh, p + at, sizeof(nh));
		name = at + sizeof(nh);
		desc = name + ((nh.n_namesz + UINT64_C(3)) & ~UINT64_C(3));
		if (desc > size || nh.n_descsz > size - desc)
			return;
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 && !memcmp(p + name, "GNU", 4))
			for (size_t i = 0; i < nh.n_descsz && i < BUILD_ID_MAX; i++)
				snprintf(e->build_id + 2 * i, 3, "%02x", p[desc + i]);
		at = desc + ((nh.n_descsz + UINT64_C(3)) & ~UINT64_C(3));
		if (at > size)
			return;
	}
}

static const char *string_at_offset(const struct elf *e, uint64_t offset, uint64_t size)
{
	const char *s = (const char *)elf_at(e, offset, size);

	return s && size && memchr(s, '\0', size) ? s : "";
}

static void read_program_headers(struct elf *e, const Elf64_Ehdr *eh, struct elf_span *dynamic)
{
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		const uint8_t *p =
			elf_at(e, eh->e_phoff + i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
		Elf64_Phdr ph;

		if (!p)
			return;
		memcpy(&ph, p, sizeof(ph));
		if (ph.p_type == PT_LOAD)
			add_segment(e, &ph);
		else if (ph.p_type == PT_DYNAMIC)
			*dynamic = (struct elf_span){ph.p_offset, ph.p_filesz};
		else if (ph.p_type == PT_INTERP && ph.p_filesz < 4096)
			e->interp = string_at_offset(e, ph.p_offset, ph.p_filesz);
		else if (ph.p_type == PT_NOTE && ph.p_filesz < 65536)
			read_notes(e, ph.p_offset, ph.p_filesz);
		else if (ph.p_type == PT_GNU_EH_FRAME)
			e->eh_frame_hdr = ph.p_vaddr;
	}
}

struct dynamic_values {
	uint64_t strtab, strsz, symtab, hash, gnu_hash, rela, relasz, jmprel, pltrelsz;
	uint64_t soname, runpath, rpath, flags_1;
	uint64_t needed[NEEDED_MAX];
	size_t n_needed;
};

static void note_dynamic(struct dynamic_values *v, const Elf64_Dyn *d)
{
	switch (d->d_tag) {
	case DT_FLAGS_1:
		v->flags_1 = d->d_un.d_val;
		break;
	case DT_STRTAB:
		v->strtab = d->d_un.d_val;
		break;
	case DT_STRSZ:
		v->strsz = d->d_un.d_val;
		break;
	case DT_SYMTAB:
		v->symtab = d->d_un.d_val;
		break;
	case DT_HASH:
		v->hash = d->d_un.d_val;
		break;
	case DT_GNU_HASH:
		v->gnu_hash = d->d_un.d_val;
		break;
	case DT_RELA:
		v->rela = d->d_un.d_val;
		break;
	case DT_RELASZ:
		v->relasz = d->d_un.d_val;
		break;
	case DT_JMPREL:
		v->jmprel = d->d_un.d_val;
		break;
	case DT_PLTRELSZ:
		v->pltrelsz = d->d_un.d_val;
		break;
	case DT_SONAME:
		v->soname = d->d_un.d_val;
		break;
	case DT_RUNPATH:
		v->runpath = d->d_un.d_val;
		break;
	case DT_RPATH:
		v->rpath = d->d_un.d_val;
		break;
	case DT_NEEDED:
		if (v->n_needed < NEEDED_MAX)
			v->needed[v->n_needed++] = d->d_un.d_val;
		break;
	}
}

static void read_dynamic(struct elf *e, const struct elf_span *dynamic)
{
	const uint8_t *p = elf_at(e, dynamic->offset, dynamic->size);
	struct dynamic_values v = {0};
	uint64_t n;

	for (size_t i = 0; p && i < dynamic->size / sizeof(Elf64_Dyn); i++) {
		Elf64_Dyn d;

		memcpy(&d, p + i * sizeof(d), sizeof(d));
		if (d.d_tag == DT_NULL)
			break;
		note_dynamic(&v, &d);
	}
	e->pie = v.flags_1 & DF_1_PIE;
	if (!elf_span_at(e, v.strtab, v.strsz, &e->dynstr))
		return;
	elf_load_strings(e, &e->dynstr);
	e->soname = elf_table_string(e, &e->dynstr, v.soname);
	e->runpath = elf_table_string(e, &e->dynstr, v.runpath ? v.runpath : v.rpath);
	for (size_t i = 0; i < v.n_needed; i++)
		e->needed[e->n_needed++] = elf_table_string(e, &e->dynstr, v.needed[i]);
	elf_span_at(e, v.rela, v.relasz, &e->rela);
	elf_span_at(e, v.jmprel, v.pltrelsz, &e->jmprel);
	n = elf_count_hashed_symbols(e, v.hash, v.gnu_hash);
	if (n && n < UINT32_MAX)
		elf_span_at(e, v.symtab, n * sizeof(Elf64_Sym), &e->dynsym);
}

static bool in_file(const struct elf *e, const struct elf_span *s)
{
	return s->size <= TABLE_MAX && s->offset <= e->size && s->size <= e->size - s->offset;
}

static void use_symtab(struct elf *e, const Elf64_Shdr *sh, const Elf64_Shdr *all, size_t n)
{
	struct elf_span tab = {sh->sh_offset, sh->sh_size}, str;

	if (sh->sh_link >= n || sh->sh_entsize != sizeof(Elf64_Sym))
		return;
	str = (struct elf_span){all[sh->sh_link].sh_offset, all[sh->sh_link].sh_size};
	if (!in_file(e, &tab) || !in_file(e, &str))
		return;
	if (sh->sh_type == SHT_SYMTAB) {
		e->symtab = tab;
		e->symstr = str;
	} else {
		elf_load_strings(e, &str);
		e->dynsym = tab;
		e->dynstr = str;
	}
}

static void read_sections(struct elf *e, const Elf64_Ehdr *eh)
{
	size_t n = eh->e_shnum;
	const uint8_t *p = eh->e_shentsize == sizeof(Elf64_Shdr) && eh->e_shoff
				   ? elf_at(e, eh->e_shoff, n * sizeof(Elf64_Shdr))
				   : NULL;
	Elf64_Shdr *sh;
	struct elf_span names = {0};

	if (!p || !n)
		return;
	sh = xcalloc(n, sizeof(*sh));
	memcpy(sh, p, n * sizeof(*sh));
	if (eh->e_shstrndx < n) {
		names = (struct elf_span){sh[eh->e_shstrndx].sh_offset, sh[eh->e_shstrndx].sh_size};
		if (names.size < (UINT64_C(1) << 24))
			elf_load_strings(e, &names);
		else
			names.size = 0;
	}
	for (size_t i = 0; i < n; i++) {
		const char *name = elf_table_string(e, &names, sh[i].sh_name);

		if (sh[i].sh_type == SHT_SYMTAB || sh[i].sh_type == SHT_DYNSYM)
			use_symtab(e, &sh[i], sh, n);
		else if (!strcmp(name, ".debug_info") || !strcmp(name, ".zdebug_info"))
			e->has_dwarf = sh[i].sh_type != SHT_NOBITS && sh[i].sh_size > 0;
		else if (!strcmp(name, ".gnu_debuglink") && sh[i].sh_size < 4096)
			e->debuglink = string_at_offset(e, sh[i].sh_offset, sh[i].sh_size);
		else if (!strcmp(name, ".eh_frame") && sh[i].sh_size < (UINT64_C(1) << 26))
			e->eh_frame = (struct elf_span){sh[i].sh_addr, sh[i].sh_size};
		else if (sh[i].sh_type == SHT_NOTE && sh[i].sh_size < 65536 && !e->build_id[0])
			read_notes(e, sh[i].sh_offset, sh[i].sh_size);
	}
	free(sh);
}

/* What keeps the file from being read, or NULL. */
static const char *refusal(const struct elf *e, Elf64_Ehdr *eh)
{
	const uint8_t *p = elf_at(e, 0, sizeof(*eh));

	if (!p || memcmp(p, ELFMAG, SELFMAG))
		return "is no ELF file";
	memcpy(eh, p, sizeof(*eh));
	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return "is a 32-bit file; only 64-bit targets can be traced";
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return "is a big-endian file; only x86-64 and aarch64 targets can be traced";
	if (eh->e_machine != EM_X86_64 && eh->e_machine != EM_AARCH64)
		return "is for another processor; only x86-64 and aarch64 targets can be traced";
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return "is neither an executable nor a shared library";
	if (eh->e_phnum && eh->e_phentsize != sizeof(Elf64_Phdr))
		return "has damaged program headers";
	return NULL;
}

static struct elf *parse(struct elf *e, struct diag *d)
{
	struct elf_span dynamic = {0};
	Elf64_Ehdr eh;
	const char *why = refusal(e, &eh);

	if (why) {
		diag_add(d, DIAG_ERROR, "%s %s", e->name, why);
		elf_close(e);
		return NULL;
	}
	e->arch = eh.e_machine == EM_AARCH64 ? ELF_AARCH64 : ELF_X86_64;
	e->pic = eh.e_type == ET_DYN;
	read_program_headers(e, &eh, &dynamic);
	if (!e->n_seg) {
		diag_add(d, DIAG_ERROR,
			 "%s has no loadable segment inside the file: it is cut short or damaged",
			 e->name);
		elf_close(e);
		return NULL;
	}
	if (dynamic.size)
		read_dynamic(e, &dynamic);
	read_sections(e, &eh);
	return e;
}

static struct elf *new_elf(const char *name, uint64_t size)
{
	struct elf *e = xcalloc(1, sizeof(*e));

	e->name = xstrdup(name);
	e->fd = -1;
	e->size = size;
	e->interp = e->runpath = e->soname = e->debuglink = "";
	e->map = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (e->map == MAP_FAILED)
		e->map = NULL;
	e->loaded = xcalloc((size >> CHUNK_SHIFT) + 1, 1);
	return e;
}

struct elf *elf_open_fd(int fd, const char *shown_name, struct diag *d)
{
	struct stat st;
	struct elf *e;

	if (fstat(fd, &st)) {
		diag_add(d, DIAG_ERROR, "cannot read %s: %s", shown_name, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > file_size_max) {
		diag_add(d, DIAG_ERROR, "%s %s", shown_name,
			 S_ISREG(st.st_mode) ? "is larger than 64 GiB" : "is no regular file");
		return NULL;
	}
	e = new_elf(shown_name, (uint64_t)st.st_size);
	e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (e->fd < 0 || !e->map) {
		diag_add(d, DIAG_ERROR, "cannot read %s: %s", shown_name, strerror(errno));
		elf_close(e);
		return NULL;
	}
	return parse(e, d);
}

struct elf *elf_open(const char *path, struct diag *d)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct elf *e;

	if (fd < 0) {
		diag_add(d, DIAG_ERROR, "cannot open %s: %s", path, strerror(errno));
		return NULL;
	}
	e = elf_open_fd(fd, path, d);
	close(fd);
	return e;
}

struct elf *elf_open_mem(const void *data, size_t len, const char *shown_name, struct diag *d)
{
	struct elf *e = new_elf(shown_name, len);

	if (!e->map) {
		diag_add(d, DIAG_ERROR, "cannot read %s: %s", shown_name, strerror(ENOMEM));
		elf_close(e);
		return NULL;
	}
	if (len)
		memcpy(e->map, data, len);
	return parse(e, d);
}

void elf_close(struct elf *e)
{
	if (!e)
		return;
	if (e->fd >= 0)
		close(e->fd);
	if (e->map)
		munmap(e->map, e->size ? e->size : 1);
	free(e->loaded);
	free(e->syms);
	free(e->buckets);
	free(e->by_addr);
	free(e->relocs);
	for (size_t i = 0; i < e->n_debug_names; i++)
		free(e->debug_names[i]);
	free(e->debug_names);
	free(e->unwind);
	elf_close(e->debug);
	free(e->name);
	free(e);
}

const char *elf_name(const struct elf *e)
{
	return e->name;
}

enum elf_arch elf_arch(const struct elf *e)
{
	return e->arch;
}

const char *elf_arch_name(const struct elf *e)
{
	return e->arch == ELF_AARCH64 ? "aarch64" : "x86_64";
}

const char *elf_build_id(const struct elf *e)
{
	return e->build_id;
}

bool elf_is_pic(const struct elf *e)
{
	return e->pic;
}

uint64_t elf_file_size(const struct elf *e)
{
	return e->size;
}

bool elf_is_program(const struct elf *e)
{
	return !e->pic || e->pie || *e->interp;
}

const char *elf_interp(const struct elf *e)
{
	return e->interp;
}

const char *elf_runpath(const struct elf *e)
{
	return e->runpath;
}

const char *elf_soname(const struct elf *e)
{
	return e->soname;
}

const char *elf_needed(const struct elf *e, size_t i)
{
	return i < e->n_needed ? e->needed[i] : NULL;
}

bool elf_has_dwarf(const struct elf *e)
{
	return e->has_dwarf;
}

bool elf_has_symtab(const struct elf *e)
{
	return e->symtab.size > 0;
}

void elf_lend_symbols(struct elf *e, struct elf *debug)
{
	elf_close(e->debug);
	e->debug = debug;
}

const char *elf_debuglink(const struct elf *e)
{
	return e->debuglink;
}

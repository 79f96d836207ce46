/* SPDX-License-Identifier: Apache-2.0 */
#include "script/run/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "target/elf.h"
#include "util/cxx_name.h"

struct file {
	UT_hash_handle hh;
	char *key;	 /* inode and path: roots differ in what a path is */
	struct elf *elf; /* NULL: not readable */
	char *path;	 /* that it was opened by */
};

struct segment {
	uint64_t begin, end, offset, inode;
	struct file *file; /* NULL: not looked for yet */
	char *path;	   /* as the process sees it */
};

struct process {
	UT_hash_handle hh;
	pid_t pid;
	struct segment *v;
	size_t n, cap;
	bool noted, gone, old;
};

struct ksym {
	uint64_t address;
	char *name;
};

struct demangled {
	UT_hash_handle hh;
	char *mangled, *name;
};

struct symbols {
	struct process *processes;
	struct file *files;
	struct demangled *names;
	struct ksym *kernel;
	size_t n_kernel, cap_kernel;
	bool kernel_read, demangle;
	struct cxx_names *cxx;
};

struct symbols *symbols_new(bool demangle)
{
	struct symbols *s = xcalloc(1, sizeof(*s));

	s->demangle = demangle;
	s->cxx = cxx_names_new();
	return s;
}

static void process_free(struct process *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].path);
	free(p->v);
	free(p);
}

void symbols_free(struct symbols *s)
{
	struct process *p, *pn;
	struct file *f, *fn;
	struct demangled *d, *dn;

	if (!s)
		return;
	HASH_ITER (hh, s->processes, p, pn) {
		HASH_DEL(s->processes, p);
		process_free(p);
	}
	HASH_ITER (hh, s->files, f, fn) {
		HASH_DEL(s->files, f);
		elf_close(f->elf);
		free(f->key);
		free(f->path);
		free(f);
	}
	HASH_ITER (hh, s->names, d, dn) {
		HASH_DEL(s->names, d);
		free(d->mangled);
		free(d->name);
		free(d);
	}
	for (size_t i = 0; i < s->n_kernel; i++)
		free(s->kernel[i].name);
	free(s->kernel);
	cxx_names_free(s->cxx);
	free(s);
}

const char *symbols_demangle(struct symbols *s, const char *name)
{
	struct demangled *d;

	if (!s->demangle || strncmp(name, "_Z", 2) != 0)
		return name;
	HASH_FIND_STR(s->names, name, d);
	if (d)
		return d->name;
	d = xcalloc(1, sizeof(*d));
	d->mangled = xstrdup(name);
	d->name = cxx_demangle(s->cxx, name);
	if (!d->name)
		d->name = xstrdup(name);
	HASH_ADD_KEYPTR(hh, s->names, d->mangled, strlen(d->mangled), d);
	return d->name;
}

/* By a name of ours only when it is the very file. */
static struct elf *open_same(const char *path, uint64_t inode)
{
	struct diag *ignored = diag_new();
	struct elf *elf = NULL;
	struct stat st;

	if (!inode || (stat(path, &st) == 0 && st.st_ino == inode))
		elf = elf_open(path, ignored);
	if (elf)
		elf_add_debug_symbols(elf, path);
	diag_free(ignored);
	return elf;
}

/* Its root goes with the process: the other name lasts. */
static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static struct file *file_get(struct symbols *s, pid_t pid, const char *path, uint64_t inode)
{
	char *key = xasprintf("%llu %s", (unsigned long long)inode, path), *full;
	const char *lasting;
	struct file *f;

	HASH_FIND_STR(s->files, key, f);
	if (f) {
		free(key);
		return f;
	}
	f = xcalloc(1, sizeof(*f));
	f->key = key;
	full = xasprintf("/proc/%d/root%s", (int)pid, path);
	/* What lies beside the file is looked for by the same name, maybe after the process has
	 * ended. */
	lasting = is_same_file(full, path) ? path : full;
	f->elf = open_same(lasting, inode);
	f->path = xstrdup(f->elf ? lasting : path);
	if (!f->elf)
		f->elf = open_same(path, inode);
	free(full);
	HASH_ADD_KEYPTR(hh, s->files, f->key, strlen(f->key), f);
	return f;
}

/* The newest mapping of an address counts: what lay there before may have been unmapped. */
static struct segment *segment_at(const struct process *p, uint64_t address)
{
	for (size_t i = p->n; i-- > 0;)
		if (address >= p->v[i].begin && address < p->v[i].end)
			return &p->v[i];
	return NULL;
}

static bool is_known(const struct process *p, const struct symbols_mapping *m)
{
	const struct segment *at = segment_at(p, m->begin);

	return at && at->begin == m->begin && at->end == m->end && at->inode == m->inode;
}

static void add_segment(struct symbols *s, struct process *p, const struct symbols_mapping *m,
			bool open)
{
	struct segment *seg = VEC_PUSH(p->v, p->n, p->cap);

	*seg = (struct segment){m->begin, m->end, m->offset, m->inode, NULL, xstrdup(m->path)};
	if (open && m->path[0] == '/')
		seg->file = file_get(s, p->pid, m->path, m->inode);
}

static void read_maps(struct symbols *s, struct process *p)
{
	char name[64], line[4352];
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)p->pid);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long begin, end, offset, inode;
		char perm[5] = "", path[4096] = "";
		struct symbols_mapping m;

		if (sscanf(line, "%llx-%llx %4s %llx %*s %llu %4095[^\n]", &begin, &end, perm,
			   &offset, &inode, path) < 5 ||
		    perm[2] != 'x')
			continue;
		m = (struct symbols_mapping){begin, end, offset, inode, path};
		if (!is_known(p, &m))
			add_segment(s, p, &m, true);
	}
	if (f)
		fclose(f);
}

static struct process *process_new(struct symbols *s, pid_t pid)
{
	struct process *p = xcalloc(1, sizeof(*p));

	p->pid = pid;
	HASH_ADD_INT(s->processes, pid, p);
	return p;
}

static struct process *process_get(struct symbols *s, pid_t pid, bool again)
{
	struct process *p;

	HASH_FIND_INT(s->processes, &pid, p);
	if (p && !again)
		return p;
	if (!p)
		p = process_new(s, pid);
	if (!p->gone) /* the number may be another process's by now */
		read_maps(s, p);
	return p;
}

void symbols_note(struct symbols *s, pid_t pid, bool again)
{
	if (pid > 0)
		process_get(s, pid, again)->noted = true;
}

/* ---- what the kernel tells ---- */

/* Files of another root can be opened only while the process lives. */
static bool other_root(pid_t pid)
{
	char name[64], root[8];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/root", (int)pid);
	n = readlink(name, root, sizeof(root));
	return n > 0 && !(n == 1 && root[0] == '/');
}

void symbols_map(struct symbols *s, pid_t pid, const struct symbols_mapping *m)
{
	struct process *p;

	HASH_FIND_INT(s->processes, &pid, p);
	if (p && p->gone) { /* another one of that number */
		HASH_DEL(s->processes, p);
		process_free(p);
		p = NULL;
	}
	if (!p) {
		p = process_new(s, pid);
		/* what it had before we looked */
		read_maps(s, p);
	}
	if (m->inode && !is_known(p, m))
		add_segment(s, p, m, other_root(pid));
}

void symbols_fork(struct symbols *s, pid_t pid, pid_t parent)
{
	struct process *from, *p;

	HASH_FIND_INT(s->processes, &parent, from);
	HASH_FIND_INT(s->processes, &pid, p);
	if (!from || p)
		return;
	p = process_new(s, pid);
	for (size_t i = 0; i < from->n; i++) {
		struct segment *seg = VEC_PUSH(p->v, p->n, p->cap);

		*seg = from->v[i];
		seg->path = xstrdup(seg->path);
	}
}

void symbols_exit(struct symbols *s, pid_t pid)
{
	struct process *p;

	HASH_FIND_INT(s->processes, &pid, p);
	if (p)
		p->gone = true;
}

void symbols_forget(struct symbols *s)
{
	struct process *p, *next;

	HASH_ITER (hh, s->processes, p, next) {
		if (p->old && !p->noted) {
			HASH_DEL(s->processes, p);
			process_free(p);
		} else {
			p->old = p->gone;
		}
	}
}

bool symbols_user(struct symbols *s, pid_t pid, uint64_t address, struct symbol_at *out)
{
	struct segment *seg;
	struct elf_symbol sym;
	uint64_t vaddr;

	*out = (struct symbol_at){0};
	if (pid <= 0)
		return false;
	seg = segment_at(process_get(s, pid, false), address);
	if (!seg)
		seg = segment_at(process_get(s, pid, true), address);
	if (!seg)
		return false;
	out->module = seg->path;
	out->module_offset = address - seg->begin + seg->offset;
	if (!seg->file && seg->path[0] == '/')
		seg->file = file_get(s, pid, seg->path, seg->inode);
	if (!seg->file || !seg->file->elf ||
	    !elf_offset_to_vaddr(seg->file->elf, out->module_offset, &vaddr))
		return false;
	out->file = seg->file->path;
	out->vaddr = vaddr;
	if (!elf_symbol_at(seg->file->elf, vaddr, &sym))
		return false;
	out->name = symbols_demangle(s, sym.name);
	out->offset = vaddr - sym.vaddr;
	return true;
}

/* ---- kernel ---- */

static int by_address(const void *a, const void *b)
{
	uint64_t x = ((const struct ksym *)a)->address, y = ((const struct ksym *)b)->address;

	return x < y ? -1 : x > y;
}

static void read_kallsyms(struct symbols *s)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], name[256], type;
	unsigned long long address;

	s->kernel_read = true;
	while (f && fgets(line, sizeof(line), f)) {
		struct ksym *k;

		if (sscanf(line, "%llx %c %255s", &address, &type, name) != 3 || !address ||
		    !strchr("tTwW", type))
			continue;
		k = VEC_PUSH(s->kernel, s->n_kernel, s->cap_kernel);
		k->address = address;
		k->name = xstrdup(name);
	}
	if (f)
		fclose(f);
	if (s->n_kernel)
		qsort(s->kernel, s->n_kernel, sizeof(*s->kernel), by_address);
}

bool symbols_kernel(struct symbols *s, uint64_t address, struct symbol_at *out)
{
	size_t lo = 0, hi;

	*out = (struct symbol_at){0};
	if (!s->kernel_read)
		read_kallsyms(s);
	for (hi = s->n_kernel; lo < hi;) {
		size_t mid = (lo + hi) / 2;

		if (s->kernel[mid].address <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || address - s->kernel[lo - 1].address > 1 << 20)
		return false;
	while (lo > 1 && s->kernel[lo - 2].address == s->kernel[lo - 1].address)
		lo--;
	out->name = s->kernel[lo - 1].name;
	out->offset = address - s->kernel[lo - 1].address;
	return true;
}

uint64_t symbol_kernel_address(const char *name)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], sym[256], type;
	unsigned long long address, found = 0;

	while (f && !found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx %c %255s", &address, &type, sym) == 3 &&
		    strcmp(sym, name) == 0)
			found = address;
	if (f)
		fclose(f);
	return found;
}

bool symbol_in_file(const char *path, const char *name, uint64_t offset, struct symbol_place *out)
{
	struct diag *ignored = diag_new();
	struct elf *elf = elf_open(path, ignored);
	struct elf_symbol sym;
	bool ok = elf && (elf_find(elf, name, &sym) ||
			  (elf_add_debug_symbols(elf, path) && elf_find(elf, name, &sym)));

	*out = (struct symbol_place){0};
	if (ok) {
		out->vaddr = sym.vaddr;
		out->size = sym.size;
		out->is_pic = elf_is_pic(elf);
		ok = elf_offset_to_vaddr(elf, offset, &out->probe) || !out->is_pic;
	}
	elf_close(elf);
	diag_free(ignored);
	return ok;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Files with debug information: finding functions, types and lines in them. */
#include "script/type/debug_info.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "script/type/debug_types.h"

/* A type's name as scripts write it: "struct point", "size_t". */
struct named_die {
	UT_hash_handle hh;
	const char *name;
	Dwarf_Off offset;
};

struct debug_file {
	char *path;
	Dwfl *dwfl;
	Dwarf *dwarf; /* NULL: none */
	bool opened, indexed;
	struct named_die *names;
	struct debug_file *next;
};

struct debug_info {
	struct type_table *types;
	struct debug_file *files;
};

struct debug_info *debug_info_new(struct type_table *t)
{
	struct debug_info *d = xcalloc(1, sizeof(*d));

	d->types = t;
	return d;
}

void debug_info_free(struct debug_info *d)
{
	struct debug_file *next;

	if (!d)
		return;
	for (struct debug_file *f = d->files; f; f = next) {
		next = f->next;
		HASH_CLEAR(hh, f->names);
		if (f->dwfl)
			dwfl_end(f->dwfl);
		free(f->path);
		free(f);
	}
	free(d);
}

static struct debug_file *file_get(struct debug_info *d, const char *path)
{
	struct debug_file **tail = &d->files;

	for (; *tail; tail = &(*tail)->next)
		if (strcmp((*tail)->path, path) == 0)
			return *tail;
	*tail = xcalloc(1, sizeof(**tail));
	(*tail)->path = xstrdup(path);
	return *tail;
}

void debug_info_add(struct debug_info *d, const char *path)
{
	file_get(d, path);
}

static Dwarf *open_dwarf(struct debug_file *f)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};
	Dwfl_Module *module;
	Dwarf_Addr bias;

	if (f->opened)
		return f->dwarf;
	f->opened = true;
	f->dwfl = dwfl_begin(&callbacks);
	module = f->dwfl ? dwfl_report_offline(f->dwfl, "", f->path, -1) : NULL;
	f->dwarf = module ? dwfl_module_getdwarf(module, &bias) : NULL;
	return f->dwarf;
}

/* ---- types by name ---- */

static void add_name(struct debug_info *d, struct debug_file *f, const char *name, Dwarf_Off offset)
{
	struct named_die *n;

	HASH_FIND_STR(f->names, name, n);
	if (n)
		return;
	n = arena_alloc(type_table_arena(d->types), sizeof(*n));
	n->name = arena_strdup(type_table_arena(d->types), name);
	n->offset = offset;
	HASH_ADD_KEYPTR(hh, f->names, n->name, strlen(n->name), n);
}

static void index_die(struct debug_info *d, struct debug_file *f, Dwarf_Die *die)
{
	const char *tag = debug_type_tag(die), *name = dwarf_diename(die);
	char full[256];

	if (!tag || !name || dwarf_hasattr(die, DW_AT_declaration))
		return;
	snprintf(full, sizeof(full), "%s%s", tag, name);
	add_name(d, f, full, dwarf_dieoffset(die));
}

static void index_children(struct debug_info *d, struct debug_file *f, Dwarf_Die *parent, int depth)
{
	Dwarf_Die die;

	if (depth > 8 || dwarf_child(parent, &die) != 0)
		return;
	do {
		if (dwarf_tag(&die) == DW_TAG_namespace)
			index_children(d, f, &die, depth + 1);
		else
			index_die(d, f, &die);
	} while (dwarf_siblingof(&die, &die) == 0);
}

static void index_file(struct debug_info *d, struct debug_file *f)
{
	Dwarf_Off at = 0, next;
	size_t head;

	if (f->indexed)
		return;
	f->indexed = true;
	for (; dwarf_nextcu(f->dwarf, at, &next, &head, NULL, NULL, NULL) == 0; at = next) {
		Dwarf_Die cu;

		if (dwarf_offdie(f->dwarf, at + head, &cu))
			index_children(d, f, &cu, 0);
	}
}

const struct type *debug_info_type(struct debug_info *d, const char *name)
{
	for (struct debug_file *f = d->files; f; f = f->next) {
		struct named_die *n;
		Dwarf_Die die;

		if (!open_dwarf(f))
			continue;
		index_file(d, f);
		HASH_FIND_STR(f->names, name, n);
		if (n && dwarf_offdie(f->dwarf, n->offset, &die))
			return debug_type_import(d->types, &die);
	}
	return NULL;
}

/* ---- functions ---- */

struct function_search {
	uint64_t vaddr;
	Dwarf_Die die;
	bool found;
};

static int at_address(Dwarf_Die *die, void *ctx)
{
	struct function_search *s = ctx;
	Dwarf_Addr entry;

	if (dwarf_entrypc(die, &entry) != 0 || entry != s->vaddr)
		return DWARF_CB_OK;
	s->die = *die;
	s->found = true;
	return DWARF_CB_ABORT;
}

/* The unit with the code at `vaddr`, by the table of address ranges; not every compiler writes one.
 */
static bool find_unit(Dwarf *dwarf, uint64_t vaddr, Dwarf_Die *cu)
{
	Dwarf_Off at = 0, next;
	size_t head;

	if (dwarf_addrdie(dwarf, vaddr, cu))
		return true;
	for (; dwarf_nextcu(dwarf, at, &next, &head, NULL, NULL, NULL) == 0; at = next)
		if (dwarf_offdie(dwarf, at + head, cu) && dwarf_haspc(cu, vaddr) == 1)
			return true;
	return false;
}

/* The table of address ranges first; not every compiler writes one. */
static bool find_function(Dwarf *dwarf, struct function_search *s)
{
	Dwarf_Off at = 0, next;
	Dwarf_Die cu;
	size_t head;

	if (dwarf_addrdie(dwarf, s->vaddr, &cu)) {
		dwarf_getfuncs(&cu, at_address, s, 0);
		if (s->found)
			return true;
	}
	for (; dwarf_nextcu(dwarf, at, &next, &head, NULL, NULL, NULL) == 0; at = next) {
		if (!dwarf_offdie(dwarf, at + head, &cu) || dwarf_haspc(&cu, s->vaddr) != 1)
			continue;
		dwarf_getfuncs(&cu, at_address, s, 0);
		if (s->found)
			return true;
	}
	return false;
}

const struct type *debug_info_params(struct debug_info *d, const char *path, uint64_t vaddr)
{
	struct function_search s = {.vaddr = vaddr};
	Dwarf *dwarf = open_dwarf(file_get(d, path));

	return dwarf && find_function(dwarf, &s) ? debug_type_params(d->types, &s.die) : NULL;
}

/* ---- places ---- */

/* Where the inlined code at `die` was called: the line of the function around it. */
static struct debug_place call_place(Dwarf_Die *cu, Dwarf_Die *die)
{
	struct debug_place p = {0};
	Dwarf_Word file = 0, line = 0;
	Dwarf_Attribute attr;
	Dwarf_Files *files;
	size_t n;

	dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attr), &file);
	dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attr), &line);
	if (dwarf_getsrcfiles(cu, &files, &n) == 0 && file < n)
		p.file = dwarf_filesrc(files, file, NULL, NULL);
	p.line = (int)line;
	return p;
}

static struct debug_place line_place(Dwarf_Die *cu, uint64_t vaddr)
{
	struct debug_place p = {0};
	Dwarf_Line *line = dwarf_getsrc_die(cu, vaddr);

	if (line) {
		p.file = dwarf_linesrc(line, NULL, NULL);
		dwarf_lineno(line, &p.line);
	}
	return p;
}

size_t debug_info_places(struct debug_info *d, const char *path, uint64_t vaddr,
			 struct debug_place *out, size_t max)
{
	Dwarf *dwarf = open_dwarf(file_get(d, path));
	struct debug_place at;
	Dwarf_Die cu, *scopes = NULL;
	int n_scopes;
	size_t n = 0;

	if (!dwarf || !find_unit(dwarf, vaddr, &cu))
		return 0;
	at = line_place(&cu, vaddr);
	n_scopes = at.file ? dwarf_getscopes(&cu, vaddr, &scopes) : 0;
	for (int i = 0; i < n_scopes && n + 1 < max; i++) {
		if (dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine)
			continue;
		at.function = dwarf_diename(&scopes[i]);
		out[n++] = at;
		at = call_place(&cu, &scopes[i]);
	}
	if (at.file && n < max)
		out[n++] = at;
	free(scopes);
	return n;
}

/* ---- lines ---- */

struct line_search {
	const char *source;
	int line, col;
	void (*fn)(void *ctx, uint64_t vaddr);
	void *ctx;
	int n;
	uint64_t last;
};

static bool is_source(const char *path, const char *want)
{
	size_t n = path ? strlen(path) : 0, w = strlen(want);

	return n >= w && strcmp(path + n - w, want) == 0 && (n == w || path[n - w - 1] == '/');
}

static void search_unit(Dwarf_Die *cu, struct line_search *s)
{
	Dwarf_Lines *lines;
	size_t n;

	if (dwarf_getsrclines(cu, &lines, &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		Dwarf_Line *l = dwarf_onesrcline(lines, i);
		int line = 0, col = 0;
		Dwarf_Addr addr;
		bool begins = false;

		dwarf_linebeginstatement(l, &begins);
		if (!begins || dwarf_lineno(l, &line) != 0 || line != s->line ||
		    !is_source(dwarf_linesrc(l, NULL, NULL), s->source) ||
		    (s->col && (dwarf_linecol(l, &col) != 0 || col != s->col)) ||
		    dwarf_lineaddr(l, &addr) != 0 || addr == s->last)
			continue;
		s->last = addr;
		s->n++;
		s->fn(s->ctx, addr);
	}
}

int debug_info_lines(struct debug_info *d, const char *path, const char *source, int line, int col,
		     void (*fn)(void *ctx, uint64_t vaddr), void *ctx)
{
	struct line_search s = {.source = source, .line = line, .col = col, .fn = fn, .ctx = ctx};
	Dwarf *dwarf = open_dwarf(file_get(d, path));
	Dwarf_Off at = 0, next;
	size_t head;

	if (!dwarf)
		return -ENOENT;
	for (; dwarf_nextcu(dwarf, at, &next, &head, NULL, NULL, NULL) == 0; at = next) {
		Dwarf_Die cu;

		if (dwarf_offdie(dwarf, at + head, &cu))
			search_unit(&cu, &s);
	}
	return s.n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* uprobe, uretprobe and usdt attach points over ELF files. */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cxx_name.h"
#include "script/type/debug_info.h"
#include "script/probe/probe.h"
#include "script/probe/usdt.h"
#include "target/elf.h"
#include "target/insn.h"
#include "target/site.h"
#include "util/text.h"

struct search {
	struct attach *a;
	const struct expand_opts *o;
	struct diag *d;
	const struct elf *elf;
	const char *path;
	const char *shown; /* the path as the script names it; NULL: path */
	struct probe_match **tail;
	struct cxx_names *cxx;
	const char *pattern; /* of a C++ name */
	int err;
};

/* What `probe` shows: the file as the script names it. */
static const char *match_name(const struct search *s, const char *func)
{
	const struct attach *a = s->a;
	const char *file = s->shown ? s->shown : s->path, *provider = a->provider->name;

	if (a->source)
		return arena_printf(s->o->arena, "%s:%s@%s:%d", provider, file, a->source, a->line);
	if (a->has_address)
		return arena_printf(s->o->arena, "%s:%s:%#llx", provider, file,
				    (unsigned long long)a->address);
	if (a->offset)
		return arena_printf(s->o->arena, "%s:%s:%s+%llu", provider, file, func,
				    (unsigned long long)a->offset);
	return arena_printf(s->o->arena, "%s:%s:%s%s%s", provider, file, a->ns ? a->ns : "",
			    a->ns ? ":" : "", func);
}

static struct probe_match *add_match(struct search *s, const char *func, uint64_t file_offset)
{
	struct arena *arena = s->o->arena;
	struct probe_match *m = arena_alloc(arena, sizeof(*m));

	m->a = arena_strdup(arena, s->path);
	m->func = func ? arena_strdup(arena, func) : NULL;
	m->b = m->func;
	m->offset = file_offset;
	m->name = match_name(s, func);
	*s->tail = m;
	s->tail = &m->next;
	s->a->n_matches++;
	return m;
}

static bool have_offset(const struct search *s, uint64_t offset)
{
	for (const struct probe_match *m = s->a->matches; m; m = m->next)
		if (m->offset == offset && strcmp(m->a, s->path) == 0)
			return true;
	return false;
}

/*
 * The entry, or a cheaper instruction behind it that runs once per call with all arguments still in
 * their registers: a single-stepped instruction costs the traced thread fifteen times as much.
 */
static uint64_t entry_offset(const struct search *s, const struct elf_symbol *sym, uint64_t offset)
{
	struct elf_func f;
	struct site site;

	if (!s->o->may_move || s->a->kind != PROBE_UPROBE || s->a->offset ||
	    !elf_func_at(s->elf, sym->vaddr, &f) || f.vaddr != sym->vaddr ||
	    site_entry(s->elf, &f, 0x3f, false, &site) != 0)
		return offset;
	return site.file_offset;
}

static int refuse(struct search *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int refuse(struct search *s, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	s->err = diag_fail_at(s->d, -EINVAL, s->o->src, loc_span(s->o->src, s->a->loc), "%s", text);
	free(text);
	return -EINVAL;
}

/* A breakpoint in the middle of an instruction changes what the program does. */
static bool starts_instruction(const struct search *s, uint64_t vaddr)
{
	struct insn_list list;
	struct elf_func f;
	bool ok;

	if (!elf_func_at(s->elf, vaddr, &f) || insn_decode(s->elf, &f, 0, &list) != 0)
		return true;
	ok = insn_index(&list, vaddr) >= 0 || vaddr >= list.end;
	insn_list_free(&list);
	return ok;
}

static int check_offset(struct search *s, const struct elf_symbol *sym)
{
	uint64_t at = sym->vaddr + s->a->offset;

	if (sym->size && s->a->offset >= sym->size)
		return refuse(s, "Offset outside the function bounds ('%s' size is %llu)",
			      sym->name, (unsigned long long)sym->size);
	if (!s->o->unsafe && !starts_instruction(s, at))
		return refuse(s,
			      "Could not add %s into middle of instruction: %s:%s+%llu (--unsafe "
			      "allows it)",
			      s->a->provider->name, s->path, sym->name,
			      (unsigned long long)s->a->offset);
	return 0;
}

static void add_params(const struct search *s, struct probe_match *m, uint64_t vaddr)
{
	if (s->o->want_args && s->o->debug && s->a->kind == PROBE_UPROBE)
		m->args = debug_info_params(s->o->debug, s->path, vaddr);
}

static int add_symbol(void *ctx, const struct elf_symbol *sym)
{
	struct search *s = ctx;
	uint64_t offset;

	if (!sym->is_func)
		return 0;
	if (s->a->offset && check_offset(s, sym) != 0)
		return 1;
	if (!elf_vaddr_to_offset(s->elf, sym->vaddr + s->a->offset, &offset))
		return 0;
	offset = entry_offset(s, sym, offset);
	if (!have_offset(s, offset))
		add_params(s, add_match(s, sym->name, offset), sym->vaddr);
	return s->a->n_matches > 100000;
}

static int add_cxx_symbol(void *ctx, const struct elf_symbol *sym)
{
	struct search *s = ctx;

	/* functions of C among them, with the names that they have */
	bool fits = strncmp(sym->name, "_Z", 2) == 0 ? cxx_matches(s->cxx, s->pattern, sym->name)
						     : probe_glob(s->pattern, sym->name);

	return fits ? add_symbol(s, sym) : 0;
}

static void search_address(struct search *s)
{
	struct elf_symbol sym;
	uint64_t offset;

	if (!elf_vaddr_to_offset(s->elf, s->a->address, &offset))
		return;
	if (!s->o->unsafe && !starts_instruction(s, s->a->address)) {
		refuse(s,
		       "Could not add %s into middle of instruction: %s:%#llx (--unsafe allows it)",
		       s->a->provider->name, s->path, (unsigned long long)s->a->address);
		return;
	}
	add_match(s, elf_symbol_at(s->elf, s->a->address, &sym) ? sym.name : NULL, offset);
}

/* A line may begin at several places of a function; the first of them is meant. */
static bool take_first(struct search *s, const char *func, uint64_t offset)
{
	for (struct probe_match *m = s->a->matches; m; m = m->next) {
		if (!func || !m->func || strcmp(m->func, func) != 0 || strcmp(m->a, s->path) != 0)
			continue;
		if (offset < m->offset)
			m->offset = offset;
		return true;
	}
	return false;
}

static void add_line(void *ctx, uint64_t vaddr)
{
	struct search *s = ctx;
	struct elf_symbol sym;
	uint64_t offset;
	const char *func = elf_symbol_at(s->elf, vaddr, &sym) ? sym.name : NULL;

	if (elf_vaddr_to_offset(s->elf, vaddr, &offset) && !have_offset(s, offset) &&
	    !take_first(s, func, offset))
		add_match(s, func, offset);
}

static void search_line(struct search *s)
{
	const struct attach *a = s->a;

	if (s->o->debug && debug_info_lines(s->o->debug, s->path, a->source, a->line, a->col,
					    add_line, s) == -ENOENT)
		refuse(s, "%s has no debug information (DWARF), so lines are not known", s->path);
}

/* The library's own name for it, as it stands in symbols. */
static const char *expand_std_string(struct arena *arena, const char *pattern)
{
	static const char word[] = "std::string";
	const char *at = strstr(pattern, word), *behind = at ? at + strlen(word) : NULL;

	if (!at || isalnum((unsigned char)*behind) || *behind == '_')
		return pattern;
	return arena_printf(arena,
			    "%.*sstd::__cxx11::basic_string<char, std::char_traits<char>, "
			    "std::allocator<char> >%s",
			    (int)(at - pattern), pattern, expand_std_string(arena, behind));
}

/* One function has several symbols when it is a constructor. */
static size_t count_overloads(struct search *s)
{
	struct attach counted = {.provider = s->a->provider, .kind = s->a->kind, .func = ""};
	struct search count = *s;

	count.a = &counted;
	count.tail = &counted.matches;
	elf_match(s->elf, "*", add_cxx_symbol, &count);
	return counted.n_matches;
}

/* Without its parameters when no overload has just these and there is only one: the library's own
 * names for its types are hard to guess. */
static void search_cxx(struct search *s)
{
	size_t before = s->a->n_matches;
	const char *paren = strchr(s->a->func, '(');

	s->pattern = expand_std_string(s->o->arena, s->a->func);
	elf_match(s->elf, "*", add_cxx_symbol, s);
	if (s->a->n_matches > before || !paren || paren == s->a->func)
		return;
	s->pattern = arena_strndup(s->o->arena, s->a->func, (size_t)(paren - s->a->func));
	if (count_overloads(s) == 1)
		elf_match(s->elf, "*", add_cxx_symbol, s);
}

static bool is_cxx(const struct attach *a)
{
	return (a->ns && strcmp(a->ns, "cpp") == 0) || strstr(a->func, "::") ||
	       strchr(a->func, '(');
}

static bool names_one_symbol(const struct attach *a)
{
	return a->func && !a->source && !a->has_address && !is_cxx(a) &&
	       !probe_has_wildcard(a->func);
}

static void search_file(struct search *s)
{
	struct elf_symbol sym;

	if (s->a->source)
		search_line(s);
	else if (s->a->has_address)
		search_address(s);
	else if (is_cxx(s->a))
		search_cxx(s);
	else if (probe_has_wildcard(s->a->func))
		elf_match(s->elf, s->a->func, add_symbol, s);
	else if (!elf_find(s->elf, s->a->func, &sym))
		return;
	else if (sym.is_local) /* several source files may have one of that name */
		elf_match(s->elf, s->a->func, add_symbol, s);
	else
		add_symbol(s, &sym);
}

static bool find_address(void *ctx, const char *symbol, uint64_t *vaddr)
{
	struct search *s = ctx;
	struct elf_symbol sym;

	if (!elf_find(s->elf, symbol, &sym))
		return false;
	*vaddr = sym.vaddr;
	return true;
}

static void search_usdt(struct search *s)
{
	for (struct usdt_site *u = usdt_sites(s->path, s->o->arena); u; u = u->next) {
		struct probe_match *m;

		if (!probe_glob(s->a->ns, u->provider) || !probe_glob(s->a->func, u->name))
			continue;
		m = add_match(s, u->name, u->offset);
		m->sem_offset = u->sem_offset;
		m->b = usdt_resolve(u, s->o->arena, find_address, s);
		m->name = arena_printf(s->o->arena, "usdt:%s:%s:%s", s->shown ? s->shown : m->a,
				       u->provider, u->name);
	}
}

static int missing_file(struct search *s)
{
	if (s->o->missing != MISSING_ERROR && s->o->missing != MISSING_FILES)
		return 0;
	return diag_fail_at(s->d, -ENOENT, s->o->src, loc_span(s->o->src, s->a->loc),
			    "%s target file '%s' does not exist or is not executable",
			    s->a->provider->name, s->a->target);
}

/* One named file that is no ELF file is an error, one of many is passed over. */
static int search_path(struct search *s)
{
	bool many = !*s->a->target || probe_has_wildcard(s->a->target);
	struct diag *ignored = diag_new();
	struct elf *elf = elf_open(s->path, ignored);
	struct elf_symbol sym;

	diag_free(ignored);
	if (!elf)
		return many ? 0 : missing_file(s);
	s->elf = elf;
	if (s->o->debug)
		debug_info_add(s->o->debug, s->path);
	if (s->a->kind == PROBE_USDT) {
		search_usdt(s);
	} else {
		/* for one name only when the file itself does not know it: most do */
		if (!names_one_symbol(s->a) || !elf_find(elf, s->a->func, &sym))
			elf_add_debug_symbols(elf, s->path);
		search_file(s);
	}
	s->elf = NULL;
	elf_close(elf);
	return s->err;
}

struct symbols {
	const struct elf *elf;
	struct elf_symbol sym;
};

static const char *next_symbol(const void *state, size_t i)
{
	struct symbols *s = (struct symbols *)(uintptr_t)state;

	if (i > 200000 || !elf_symbol(s->elf, i, &s->sym))
		return NULL;
	return s->sym.name;
}

static int not_found(struct search *s)
{
	const struct attach *a = s->a;
	struct diag *ignored = diag_new();
	struct elf *elf = s->path && a->func ? elf_open(s->path, ignored) : NULL;
	struct symbols syms = {.elf = elf};
	const char *near;
	char what[512];

	if (elf)
		elf_add_debug_symbols(elf, s->path);
	near = elf ? text_nearest(a->func, next_symbol, &syms) : NULL;
	snprintf(what, sizeof(what), "%s", strchr(a->text, ':') + 1);
	diag_fail_at(s->d, -ENOENT, s->o->src, loc_span(s->o->src, a->loc),
		     "No matches for %s %s.%s%s%s", a->provider->name, what,
		     near ? " Did you mean " : "", near ? near : "", near ? "?" : "");
	elf_close(elf);
	diag_free(ignored);
	return -ENOENT;
}

static int expand_glob(struct search *s)
{
	glob_t g;
	int err = 0;

	if (glob(s->a->target, GLOB_NOSORT, NULL, &g) != 0)
		return 0;
	for (size_t i = 0; !err && i < g.gl_pathc; i++) {
		char *real = path_real(g.gl_pathv[i]);

		s->path = real;
		s->shown = g.gl_pathv[i];
		if (real && path_is_file(real))
			err = search_path(s);
		free(real);
	}
	s->path = s->shown = NULL;
	globfree(&g);
	return err;
}

static void search_mapped(void *ctx, const char *path)
{
	struct search *s = ctx;

	s->path = path;
	search_path(s);
	s->path = NULL;
}

/* Without a look at the machine: the name is taken as it stands. */
static void expand_offline(struct search *s)
{
	s->path = s->a->target;
	add_match(s, s->a->func, 0);
}

/* usdt::prov:name and usdt:*:prov:name: wherever it is mapped. */
static bool is_anywhere(const struct attach *a, const struct expand_opts *o)
{
	bool any = !*a->target || strcmp(a->target, "*") == 0;

	return any && (o->pid > 0 || o->command || a->kind == PROBE_USDT);
}

/* uprobe:FUNCTION: in the program itself, not in its libraries. */
static char *own_program(const struct search *s)
{
	char link[64], target[4096], *path;
	ssize_t n;

	if (s->o->command)
		return resolve_binary(s->o->command, 0);
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)s->o->pid);
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return NULL;
	target[n] = 0;
	path = resolve_binary(target, s->o->pid);
	/* a program that was deleted or replaced is still there by the link */
	return path ? path : xstrdup(link);
}

static int no_file(struct search *s)
{
	const char *kind = s->a->provider->name;

	return refuse(s,
		      s->a->kind == PROBE_USDT
			      ? "%s probe must specify at least path or pid to probe"
			      : "%s probe type requires 2 arguments, found 1; without a file it "
				"needs -p or -c",
		      kind);
}

static void search_anywhere(struct search *s)
{
	if (s->o->command)
		program_files_each(s->o->command, search_mapped, s);
	if (s->o->pid > 0 || !s->o->command)
		mapped_files_each(s->o->pid, search_mapped, s);
}

int expand_elf(struct attach *a, const struct expand_opts *o, struct diag *d)
{
	struct search s = {.a = a, .o = o, .d = d, .tail = &a->matches};
	char *path = NULL;
	int err = 0;

	if (o->offline) {
		expand_offline(&s);
		return 0;
	}
	s.cxx = cxx_names_new();
	if (!*a->target && !o->pid && !o->command) {
		err = no_file(&s);
	} else if (!*a->target && a->kind != PROBE_USDT) {
		s.path = path = own_program(&s);
		err = path ? search_path(&s) : missing_file(&s);
	} else if (is_anywhere(a, o)) {
		search_anywhere(&s);
	} else if (probe_has_wildcard(a->target)) {
		err = expand_glob(&s);
	} else {
		s.path = path = resolve_binary(a->target, o->pid);
		s.shown = path && path_is_file(a->target) ? a->target : NULL;
		err = path ? search_path(&s) : missing_file(&s);
	}
	if (!err && !s.err && !a->n_matches && o->missing == MISSING_ERROR)
		err = not_found(&s);
	cxx_names_free(s.cxx);
	free(path);
	return err ? err : s.err;
}

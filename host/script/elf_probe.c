/* SPDX-License-Identifier: Apache-2.0 */
/* uprobe, uretprobe and usdt attach points over ELF files. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "script/probe.h"
#include "script/usdt.h"
#include "target/elf.h"
#include "target/site.h"
#include "util/text.h"

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* libc.so and its like may be a linker's text. */
static bool is_elf(const char *path)
{
	char magic[4] = "";
	FILE *f = fopen(path, "re");
	bool ok = f && fread(magic, 1, 4, f) == 4 && memcmp(magic, "\177ELF", 4) == 0;

	if (f)
		fclose(f);
	return ok;
}

static char *in_dirs(const char *dirs, const char *prefix, const char *name, const char *suffix)
{
	while (dirs && *dirs) {
		const char *end = strchrnul(dirs, ':');
		char *path =
			xasprintf("%.*s/%s%s%s", (int)(end - dirs), dirs, prefix, name, suffix);

		if (is_file(path))
			return path;
		free(path);
		dirs = *end ? end + 1 : end;
	}
	return NULL;
}

/* libc, libc.so.6, c: as the loader would find it in the system's folders. */
static char *find_library(const char *name)
{
	static const char dirs[] = "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:"
				   "/lib/aarch64-linux-gnu:/usr/lib/aarch64-linux-gnu:/lib64:"
				   "/usr/lib64:/usr/local/lib:/lib:/usr/lib";
	static const char *const suffixes[] = {"",	".so",	 ".so.6", ".so.1",
					       ".so.2", ".so.3", ".so.0"};
	char *path = NULL;

	if (strchr(name, '/') || (strncmp(name, "lib", 3) != 0 && !strstr(name, ".so")))
		return NULL;
	for (size_t i = 0; !path && i < ARRAY_LEN(suffixes); i++) {
		char *real;

		path = in_dirs(dirs, "", name, suffixes[i]);
		real = path && is_elf(path) ? realpath(path, NULL) : NULL;
		free(path);
		path = real;
	}
	return path;
}

char *resolve_binary(const char *name, pid_t pid)
{
	char *path;

	if (pid > 0 && name[0] == '/') {
		path = xasprintf("/proc/%d/root%s", (int)pid, name);
		if (is_file(path) && !is_file(name))
			return path;
		free(path);
	}
	if (is_file(name))
		return realpath(name, NULL);
	if (strchr(name, '/'))
		return NULL;
	path = in_dirs(getenv("PATH"), "", name, "");
	return path ? path : find_library(name);
}

struct search {
	struct attach *a;
	const struct expand_opts *o;
	struct diag *d;
	const struct elf *elf;
	const char *path;
	struct probe_match **tail;
	size_t refused;
};

static struct probe_match *add_match(struct search *s, const char *func, uint64_t file_offset)
{
	struct arena *arena = s->o->arena;
	struct probe_match *m = arena_alloc(arena, sizeof(*m));

	m->a = arena_strdup(arena, s->path);
	m->func = func ? arena_strdup(arena, func) : NULL;
	m->b = m->func;
	m->offset = file_offset;
	if (s->a->has_address)
		m->name = arena_printf(arena, "%s:%s:%#llx", s->a->provider->name, m->a,
				       (unsigned long long)s->a->address);
	else if (s->a->offset)
		m->name = arena_printf(arena, "%s:%s:%s+%llu", s->a->provider->name, m->a, func,
				       (unsigned long long)s->a->offset);
	else
		m->name = arena_printf(arena, "%s:%s:%s", s->a->provider->name, m->a, func);
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

static int add_symbol(void *ctx, const struct elf_symbol *sym)
{
	struct search *s = ctx;
	uint64_t offset;

	if (!sym->is_func || !elf_vaddr_to_offset(s->elf, sym->vaddr + s->a->offset, &offset))
		return 0;
	if (s->a->offset && sym->size && s->a->offset >= sym->size) {
		s->refused++;
		return 0;
	}
	offset = entry_offset(s, sym, offset);
	if (!have_offset(s, offset))
		add_match(s, sym->name, offset);
	return s->a->n_matches > 100000;
}

static void search_address(struct search *s)
{
	uint64_t offset;
	struct elf_symbol sym;

	if (!elf_vaddr_to_offset(s->elf, s->a->address, &offset))
		return;
	add_match(s, elf_symbol_at(s->elf, s->a->address, &sym) ? sym.name : NULL, offset);
}

static void search_file(struct search *s)
{
	struct elf_symbol sym;
	bool cpp = s->a->ns && strcmp(s->a->ns, "cpp") == 0;
	char *pattern;

	if (s->a->has_address) {
		search_address(s);
	} else if (!cpp && !probe_has_wildcard(s->a->func) && elf_find(s->elf, s->a->func, &sym)) {
		add_symbol(s, &sym);
	} else if (cpp || strstr(s->a->func, "::") || strchr(s->a->func, '(')) {
		const char *paren = strchr(s->a->func, '(');

		pattern = paren ? xstrndup(s->a->func, (size_t)(paren - s->a->func) + 1)
				: xasprintf("%s(", s->a->func);
		elf_match(s->elf, pattern, add_symbol, s);
		free(pattern);
	} else if (probe_has_wildcard(s->a->func)) {
		elf_match(s->elf, s->a->func, add_symbol, s);
	}
}

static int search_path(struct search *s)
{
	struct diag *ignored = diag_new();
	struct elf *elf = elf_open(s->path, probe_has_wildcard(s->a->target) ? ignored : s->d);

	diag_free(ignored);
	if (!elf)
		return probe_has_wildcard(s->a->target) ? 0 : -EINVAL;
	s->elf = elf;
	if (s->a->kind == PROBE_USDT) {
		for (struct usdt_site *u = usdt_sites(s->path, s->o->arena); u; u = u->next) {
			struct probe_match *m;

			if (!probe_glob(s->a->ns, u->provider) || !probe_glob(s->a->func, u->name))
				continue;
			m = add_match(s, u->name, u->offset);
			m->sem_offset = u->sem_offset;
			m->b = u->args;
			m->name = arena_printf(s->o->arena, "usdt:%s:%s:%s", m->a, u->provider,
					       u->name);
		}
	} else {
		search_file(s);
	}
	s->elf = NULL;
	elf_close(elf);
	return 0;
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
	const char *near = elf ? text_nearest(a->func, next_symbol, &syms) : NULL;
	char what[512];

	snprintf(what, sizeof(what), "%s", strchr(a->text, ':') + 1);
	diag_fail_at(s->d, -ENOENT, s->o->src, loc_span(s->o->src, a->loc),
		     "No matches for %s %s.%s%s%s%s", a->provider->name, what,
		     near ? " Did you mean " : "", near ? near : "", near ? "?" : "",
		     s->refused ? " The offset is past the end of the function." : "");
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
		s->path = g.gl_pathv[i];
		if (is_file(s->path))
			err = search_path(s);
	}
	s->path = NULL;
	globfree(&g);
	return err;
}

/* The files that a process has mapped executable. */
static int expand_mapped(struct search *s)
{
	char name[64], line[4352], last[4352] = "";
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)s->o->pid);
	f = fopen(name, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		char perm[5] = "", path[4096] = "";

		if (sscanf(line, "%*s %4s %*s %*s %*s %4095s", perm, path) != 2 || perm[2] != 'x' ||
		    path[0] != '/' || strcmp(path, last) == 0)
			continue;
		snprintf(last, sizeof(last), "%s", path);
		s->path = resolve_binary(path, s->o->pid);
		if (s->path)
			search_path(s);
		free((char *)(uintptr_t)s->path);
		s->path = NULL;
	}
	fclose(f);
	return 0;
}

static int missing_file(struct search *s)
{
	if (s->o->missing != MISSING_ERROR)
		return 0;
	return diag_fail_at(s->d, -ENOENT, s->o->src, loc_span(s->o->src, s->a->loc),
			    "%s target file '%s' does not exist or is not executable",
			    s->a->provider->name, s->a->target);
}

/* Without a look at the machine: the name is taken as it stands. */
static void expand_offline(struct search *s)
{
	s->path = s->a->target;
	add_match(s, s->a->func, 0);
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
	if (o->pid > 0 && (!*a->target || strcmp(a->target, "*") == 0)) {
		err = expand_mapped(&s);
	} else if (probe_has_wildcard(a->target)) {
		err = expand_glob(&s);
	} else {
		s.path = path = resolve_binary(a->target, o->pid);
		if (!path)
			return missing_file(&s);
		err = search_path(&s);
	}
	if (!err && !a->n_matches && o->missing == MISSING_ERROR)
		err = not_found(&s);
	free(path);
	return err;
}

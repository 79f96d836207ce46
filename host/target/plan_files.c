/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of a target belong to an engine, and which of them belong together. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/debug_file.h"
#include "target/plan_impl.h"
#include "util/text.h"

enum { SEARCHED_MAX = 64 << 20 };

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Libraries of every process that are never an engine; looking into them would only cost time. */
static bool is_system_library(const char *name)
{
	static const char *const globs[] = {
		"ld-*.so*",	   "libc.so*",	  "libc-*.so",	   "libm.so*",	    "libm-*.so",
		"libpthread*.so*", "libdl*.so*",  "librt*.so*",	   "libstdc++.so*", "libgcc_s.so*",
		"libgomp.so*",	   "libssl.so*",  "libcrypto.so*", "libz.so*",	    "libzstd.so*",
		"libLLVM*.so*",	   "libicu*.so*", "libresolv.so*", "libnss_*.so*",  "libcurl*.so*",
	};

	for (size_t i = 0; i < ARRAY_LEN(globs); i++)
		if (!fnmatch(globs[i], name, 0))
			return true;
	return false;
}

/* The variants of ggml's CPU backend, of which a process keeps the one that suits its machine. */
static bool is_cpu_variant(const char *path)
{
	return text_starts(base_name(path), "libggml-cpu");
}

static bool engine_is_wanted(const struct plan *p, const struct engine *e)
{
	return !p->opts.engine || e->is_library || !strcmp(p->opts.engine, e->name);
}

static bool defines_marker(const struct engine *e, const struct elf *elf)
{
	struct elf_symbol sym;

	for (char **s = e->symbols; s && *s; s++)
		if (elf_find(elf, *s, &sym))
			return true;
	return false;
}

/* Programs that were stripped still have their messages. Libraries have names that tell more, and
 * reading all of what a process maps would take long. */
static bool holds_text(const struct engine *e, const struct elf *elf)
{
	uint64_t at;

	if (!e->strings || !elf_is_program(elf) || elf_file_size(elf) > SEARCHED_MAX)
		return false;
	for (char **s = e->strings; *s; s++)
		if (elf_find_string(elf, *s, &at, 1))
			return true;
	return false;
}

/* Marks the engines that the file belongs to; false when there is none. */
static bool classify(const struct plan *p, const struct elf *elf, const char *name, bool *engines)
{
	bool any = false;

	for (size_t i = 0; i < engine_count(p->opts.engines); i++) {
		const struct engine *e = engine_at(p->opts.engines, i);

		engines[i] =
			engine_is_wanted(p, e) && (engine_names_file(e, name) ||
						   defines_marker(e, elf) || holds_text(e, elf));
		any |= engines[i];
	}
	return any;
}

/* True when one of the files must be loaded for the other. */
static bool needs(const struct file_state *a, const struct file_state *b)
{
	const char *name = base_name(b->pub.shown), *soname = elf_soname(b->elf), *needed;

	for (size_t i = 0; (needed = elf_needed(a->elf, i)); i++)
		if (!strcmp(needed, name) || (*soname && !strcmp(needed, soname)))
			return true;
	return false;
}

static size_t folder_length(const char *path)
{
	return (size_t)(base_name(path) - path);
}

static bool same_folder(const struct file_state *a, const struct file_state *b)
{
	size_t len = folder_length(a->pub.shown);

	return len == folder_length(b->pub.shown) && !strncmp(a->pub.shown, b->pub.shown, len);
}

static size_t index_of_state(const struct plan *p, const struct file_state *f)
{
	size_t i = 0;

	while (i < p->n_files && p->files[i] != f)
		i++;
	return i;
}

/*
 * The file that `a` was linked to by the name that `b` has: with several of that name mapped, the
 * one beside it, else the first.
 */
static bool is_linked(const struct plan *p, const struct file_state *a, const struct file_state *b)
{
	if (!needs(a, b))
		return false;
	if (same_folder(a, b))
		return true;
	for (size_t i = 0; i < p->n_files; i++) {
		const struct file_state *other = p->files[i];

		if (other == b || strcmp(base_name(other->pub.shown), base_name(b->pub.shown)))
			continue;
		if (same_folder(a, other) || i < index_of_state(p, b))
			return false;
	}
	return true;
}

static void merge_families(struct plan *p, size_t a, size_t b)
{
	size_t keep = a < b ? a : b, drop = a < b ? b : a;

	if (a == b)
		return;
	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i]->family == drop)
			p->files[i]->family = keep;
	for (size_t i = 0; i < p->n_choices; i++)
		if (p->choices[i].family == drop)
			p->choices[i].family = keep;
	if (p->files[keep]->layout < 0)
		p->files[keep]->layout = p->files[drop]->layout;
}

static void join_family(struct plan *p, size_t index)
{
	struct file_state *f = p->files[index];

	for (size_t i = 0; i < index; i++)
		if (is_linked(p, f, p->files[i]) || is_linked(p, p->files[i], f))
			merge_families(p, p->files[i]->family, f->family);
}

size_t plan_family_size(const struct plan *p, size_t family)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_files; i++)
		n += p->files[i]->family == family;
	return n;
}

static long find_file(const struct plan *p, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i]->pub.ino == ino && p->files[i]->pub.dev == dev)
			return (long)i;
	return NO_FILE;
}

static bool was_seen(const struct plan *p, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < p->n_seen; i++)
		if (p->seen[i].ino == ino && p->seen[i].dev == dev)
			return true;
	return false;
}

/* Takes over `fd`, `elf` and `engines`. */
static size_t add_file(struct plan *p, const struct plan_file *pub, struct elf *elf, bool *engines)
{
	struct file_state *f = xcalloc(1, sizeof(*f));

	f->pub = *pub;
	f->elf = elf;
	f->engines = engines;
	f->layout = -1;
	f->family = p->n_files;
	snprintf(f->pub.build_id, sizeof(f->pub.build_id), "%s", elf_build_id(elf));
	*VEC_PUSH(p->files, p->n_files, p->cap_files) = f;
	join_family(p, p->n_files - 1);
	return p->n_files - 1;
}

static void drop_opened(struct plan_file *pub)
{
	if (pub->fd >= 0)
		close(pub->fd);
	free(pub->shown);
	free(pub->open_path);
}

struct elf *plan_open_elf(const struct plan_file *f, struct diag *d)
{
	struct elf *elf = elf_open_fd(f->fd, f->shown, d);
	char root[32] = "";

	if (f->pid)
		snprintf(root, sizeof(root), "/proc/%d/root", f->pid);
	if (elf)
		debug_file_lend_symbols(elf, root);
	return elf;
}

/* Takes the opened file in when it belongs to an engine, or always with `any`. */
static long take_opened(struct plan *p, struct plan_file *pub, bool any, struct diag *d)
{
	bool *engines = xcalloc(engine_count(p->opts.engines) + 1, sizeof(*engines));
	struct elf *elf = plan_open_elf(pub, d);

	if (elf && (classify(p, elf, base_name(pub->shown), engines) || any))
		return (long)add_file(p, pub, elf, engines);
	elf_close(elf);
	free(engines);
	drop_opened(pub);
	return NO_FILE;
}

static bool name_is_known(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < engine_count(p->opts.engines); i++)
		if (engine_names_file(engine_at(p->opts.engines, i), name))
			return true;
	return false;
}

static long take_mapping(struct plan *p, pid_t pid, const struct mapping *m, bool any,
			 struct diag *d)
{
	struct plan_file pub = {.fd = -1, .dev = m->dev, .ino = m->ino, .pid = pid};
	struct mapped_file opened;

	if (mapping_open(pid, m, &opened, d))
		return NO_FILE;
	pub.shown = xstrdup(m->path);
	pub.fd = opened.fd;
	pub.open_path = opened.open_path;
	pub.replaced = m->deleted;
	return take_opened(p, &pub, any, d);
}

long plan_file_of_mapping(struct plan *p, pid_t pid, const struct mapping *m, struct diag *d)
{
	long known = find_file(p, m->dev, m->ino);

	return known >= 0 ? known : take_mapping(p, pid, m, true, d);
}

/* What goes wrong with a file that may well be no engine's is not worth a word. */
static void take_new_mapping(struct plan *p, pid_t pid, const struct mapping *m)
{
	struct diag *quiet = diag_new();
	bool named = name_is_known(p, base_name(m->path));

	if (named || !is_system_library(base_name(m->path)))
		take_mapping(p, pid, m, false, quiet);
	if (named && diag_count(quiet, DIAG_ERROR) && !p->n_unread++)
		p->unread = xstrdup(diag_first_error(quiet));
	diag_free(quiet);
}

int plan_take_process(struct plan *p, pid_t pid, struct diag *d)
{
	struct mapping_list maps;
	int err = mapping_list_read(pid, &maps, d);

	for (size_t i = 0; !err && i < maps.count; i++) {
		const struct mapping *m = &maps.at[i];

		if (was_seen(p, m->dev, m->ino))
			continue;
		*VEC_PUSH(p->seen, p->n_seen, p->cap_seen) = (struct seen_file){m->dev, m->ino};
		take_new_mapping(p, pid, m);
	}
	mapping_list_free(&maps);
	return err;
}

void plan_note_mapped(struct plan *p, pid_t pid)
{
	struct diag *quiet = diag_new();
	struct mapping_list maps;
	bool is_there = !mapping_list_read(pid, &maps, quiet) && maps.count;

	for (size_t i = 0; is_there && i < p->n_files; i++)
		if (p->files[i]->pub.pid == pid)
			p->files[i]->pub.unmapped = !plan_file_is_mapped(&p->files[i]->pub, &maps);
	mapping_list_free(&maps);
	diag_free(quiet);
}

/* Opens a path into `pub`; a missing file is -ENOENT without a word. */
static int open_path(const char *path, struct plan_file *pub)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err = fd < 0 ? -errno : 0;

	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err && !S_ISREG(st.st_mode))
		err = -EINVAL;
	if (err) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	memset(pub, 0, sizeof(*pub));
	pub->fd = fd;
	pub->dev = st.st_dev;
	pub->ino = st.st_ino;
	pub->shown = realpath(path, NULL);
	if (!pub->shown)
		pub->shown = xstrdup(path);
	pub->open_path = xasprintf("/proc/self/fd/%d", fd);
	return 0;
}

/* Where the search for a file's dependencies starts. */
struct origin {
	const struct elf *elf;
	const char *shown;
	int depth;
};

enum { DEPENDENCY_DEPTH_MAX = 8, NEEDED_MAX = 256 };

static void take_needed(struct plan *p, const struct origin *from, struct diag *d);

/* Takes the file in if it is an engine's; what it needs is looked into in any case. */
static void take_unseen(struct plan *p, struct plan_file *pub, int depth, struct diag *d)
{
	struct diag *quiet = diag_new();
	struct elf *elf = elf_open_fd(pub->fd, pub->shown, quiet);

	diag_free(quiet);
	if (elf)
		take_needed(p, &(struct origin){elf, pub->shown, depth}, d);
	elf_close(elf);
	quiet = diag_new();
	take_opened(p, pub, false, quiet);
	diag_free(quiet);
}

/* True when there is such a file. */
static bool take_dependency(struct plan *p, const char *path, int depth, struct diag *d)
{
	struct plan_file pub;

	if (open_path(path, &pub))
		return false;
	if (was_seen(p, pub.dev, pub.ino)) {
		drop_opened(&pub);
		return true;
	}
	*VEC_PUSH(p->seen, p->n_seen, p->cap_seen) = (struct seen_file){pub.dev, pub.ino};
	take_unseen(p, &pub, depth, d);
	return true;
}

/* "$ORIGIN" of a run path is the folder of the file that has it. */
static char *expand_origin(const char *entry, size_t len, const char *folder)
{
	static const char *const words[] = {"$ORIGIN", "${ORIGIN}"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t w = strlen(words[i]);

		if (len >= w && !strncmp(entry, words[i], w))
			return xasprintf("%s%.*s", folder, (int)(len - w), entry + w);
	}
	return xstrndup(entry, len);
}

static bool take_from_folder(struct plan *p, const char *folder, const char *name, int depth,
			     struct diag *d)
{
	char *path = xasprintf("%s/%s", folder, name);
	bool found = take_dependency(p, path, depth, d);

	free(path);
	return found;
}

/* The root of an unpacked tree that the file lies in: what stands before /usr/. */
static char *root_of(const char *path)
{
	const char *usr = strstr(path, "/usr/");

	return usr ? xstrndup(path, (size_t)(usr - path)) : xstrdup("");
}

static bool take_by_runpath(struct plan *p, const struct origin *from, const char *folder,
			    const char *name, struct diag *d)
{
	const char *at = elf_runpath(from->elf);
	bool found = false;

	while (*at && !found) {
		size_t len = strcspn(at, ":");
		char *dir = expand_origin(at, len, folder), *root = root_of(from->shown);
		char *inside = xasprintf("%s%s", root, dir);

		found = len && (take_from_folder(p, inside, name, from->depth + 1, d) ||
				take_from_folder(p, dir, name, from->depth + 1, d));
		free(inside);
		free(root);
		free(dir);
		at += len + (at[len] == ':');
	}
	return found;
}

static char *folder_of(const char *path)
{
	size_t len = folder_length(path);

	return len ? xstrndup(path, len > 1 ? len - 1 : 1) : xstrdup(".");
}

/*
 * Where the loader would look, apart from its cache: first relative to the file, so that a tree
 * that is unpacked beside the system finds its own libraries.
 */
static void take_by_name(struct plan *p, const struct origin *from, const char *name,
			 struct diag *d)
{
	static const char *const relative[] = {"",
					       "/..",
					       "/../lib",
					       "/../lib/x86_64-linux-gnu",
					       "/../lib/aarch64-linux-gnu",
					       "/../lib64"};
	static const char *const absolute[] = {"/usr/local/lib",
					       "/usr/lib",
					       "/lib",
					       "/usr/lib64",
					       "/usr/lib/x86_64-linux-gnu",
					       "/usr/lib/aarch64-linux-gnu"};
	char *folder = folder_of(from->shown);
	bool found = take_by_runpath(p, from, folder, name, d);

	for (size_t i = 0; !found && i < ARRAY_LEN(relative); i++) {
		char *dir = xasprintf("%s%s", folder, relative[i]);

		found = take_from_folder(p, dir, name, from->depth + 1, d);
		free(dir);
	}
	for (size_t i = 0; !found && i < ARRAY_LEN(absolute); i++)
		found = take_from_folder(p, absolute[i], name, from->depth + 1, d);
	free(folder);
}

static void take_needed(struct plan *p, const struct origin *from, struct diag *d)
{
	const char *name;

	if (from->depth >= DEPENDENCY_DEPTH_MAX)
		return;
	for (size_t i = 0; i < NEEDED_MAX && (name = elf_needed(from->elf, i)); i++)
		if (!strchr(name, '/') && !is_system_library(name))
			take_by_name(p, from, name, d);
}

/* Backends that ggml loads by itself lie beside it or in a folder of their own. */
static void take_backends(struct plan *p, const char *library, struct diag *d)
{
	static const char *const patterns[] = {"/libggml-*.so", "/ggml/*/libggml-*.so",
					       "/ggml/libggml-*.so"};
	char *folder = folder_of(library);
	bool have_cpu = false;
	glob_t found;

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		char *pattern = xasprintf("%s%s", folder, patterns[i]);

		if (!glob(pattern, 0, NULL, &found)) {
			for (size_t k = 0; k < found.gl_pathc; k++) {
				if (is_cpu_variant(found.gl_pathv[k]) && have_cpu)
					continue;
				have_cpu |= is_cpu_variant(found.gl_pathv[k]);
				take_dependency(p, found.gl_pathv[k], 0, d);
			}
			globfree(&found);
		}
		free(pattern);
	}
	free(folder);
}

static void take_all_backends(struct plan *p, struct diag *d)
{
	for (size_t i = 0, n = p->n_files; i < n; i++)
		if (text_starts(base_name(p->files[i]->pub.shown), "libggml.so") ||
		    text_starts(base_name(p->files[i]->pub.shown), "libggml-base.so"))
			take_backends(p, p->files[i]->pub.shown, d);
}

int plan_take_path(struct plan *p, const char *path, struct diag *d)
{
	struct plan_file pub;
	int err = open_path(path, &pub);
	long index;

	if (err)
		return diag_fail(d, err, "%s: %s", path,
				 err == -EINVAL ? "not a regular file" : strerror(-err));
	if (was_seen(p, pub.dev, pub.ino)) {
		drop_opened(&pub);
		return 0;
	}
	*VEC_PUSH(p->seen, p->n_seen, p->cap_seen) = (struct seen_file){pub.dev, pub.ino};
	/* A program without any engine symbol can still need a library that has them. */
	index = take_opened(p, &pub, true, d);
	if (index < 0)
		return -ENOEXEC;
	take_needed(p, &(struct origin){p->files[index]->elf, p->files[index]->pub.shown, 0}, d);
	take_all_backends(p, d);
	return 0;
}

static void set_layout_error(struct file_state *f, const char *text)
{
	free(f->layout_error);
	f->layout_error = xstrdup(text);
}

static char *family_names(const struct plan *p, size_t family)
{
	struct buf out = {0};

	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i]->family == family)
			buf_printf(&out, "%s%s", out.len ? ", " : "",
				   base_name(p->files[i]->pub.shown));
	return buf_take(&out);
}

static size_t family_variants(const struct plan *p, size_t family)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_files; i++)
		n += p->files[i]->family == family && is_cpu_variant(p->files[i]->pub.shown);
	return n;
}

/* One more variant beside another tells nothing that a layout at hand does not say. */
static bool only_variants_joined(const struct plan *p, const struct file_state *first,
				 size_t family, size_t size)
{
	size_t variants = family_variants(p, family);

	return first->layout >= 0 && first->layout_variants &&
	       size - first->layout_files == variants - first->layout_variants;
}

int plan_family_layout(struct plan *p, size_t family)
{
	struct file_state *first = p->files[family];
	size_t size = plan_family_size(p, family), n = 0;
	struct diag *quiet = diag_new();
	struct layout *layout;
	struct elf **elves;
	char root[32];

	if (first->layout_files == size || only_variants_joined(p, first, family, size)) {
		diag_free(quiet);
		return first->layout;
	}
	elves = xcalloc(size, sizeof(*elves));
	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i]->family == family)
			elves[n++] = p->files[i]->elf;
	snprintf(root, sizeof(root), "/proc/%d/root", first->pub.pid);
	layout = layout_infer(&(struct layout_sources){.files = elves,
						       .count = n,
						       .root = first->pub.pid ? root : NULL},
			      quiet);
	first->layout_files = size;
	first->layout_variants = family_variants(p, family);
	if (layout) {
		struct plan_layout *l = xcalloc(1, sizeof(*l));

		l->layout = layout;
		l->source = family_names(p, family);
		*VEC_PUSH(p->layouts, p->n_layouts, p->cap_layouts) = l;
		first->layout = (int)p->n_layouts - 1;
	} else {
		set_layout_error(first, diag_first_error(quiet));
	}
	diag_free(quiet);
	free(elves);
	return first->layout;
}

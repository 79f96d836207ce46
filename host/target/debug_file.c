/* SPDX-License-Identifier: Apache-2.0 */
#include "target/debug_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"

struct attempt {
	const struct elf *e;
	debug_file_fn fn;
	void *ctx;
};

static bool use_path(const struct attempt *a, char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool found = fd >= 0 && a->fn(a->ctx, a->e, fd, path);

	if (fd >= 0)
		close(fd);
	free(path);
	return found;
}

static bool use_build_id(const struct attempt *a, const char *root)
{
	const char *id = elf_build_id(a->e);

	return strlen(id) > 2 &&
	       use_path(a, xasprintf("%s/usr/lib/debug/.build-id/%.2s/%s.debug", root, id, id + 2));
}

/* What a debuginfod client fetched earlier; nothing is fetched from here. */
static bool use_debuginfod_cache(const struct attempt *a)
{
	const char *dir = getenv("DEBUGINFOD_CACHE_PATH"), *id = elf_build_id(a->e);
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (!id[0])
		return false;
	if (dir)
		return use_path(a, xasprintf("%s/%s/debuginfo", dir, id));
	if (cache)
		return use_path(a, xasprintf("%s/debuginfod_client/%s/debuginfo", cache, id));
	return home && use_path(a, xasprintf("%s/.cache/debuginfod_client/%s/debuginfo", home, id));
}

static bool use_debuglink(const struct attempt *a, const char *root)
{
	const char *name = elf_name(a->e), *link = elf_debuglink(a->e), *slash = strrchr(name, '/');
	int dir = slash ? (int)(slash - name) : 0;

	/* A link is a bare file name; one with a path in it is not followed. */
	if (!link[0] || strchr(link, '/') || !slash)
		return false;
	return use_path(a, xasprintf("%.*s/%s", dir, name, link)) ||
	       use_path(a, xasprintf("%.*s/.debug/%s", dir, name, link)) ||
	       use_path(a, xasprintf("%s/usr/lib/debug%.*s/%s", root, dir, name, link));
}

bool debug_file_each(const struct elf *e, const char *root, debug_file_fn fn, void *ctx)
{
	struct attempt a = {e, fn, ctx};

	return use_build_id(&a, root) || (root[0] && use_build_id(&a, "")) ||
	       use_debuginfod_cache(&a) || use_debuglink(&a, root);
}

/* The file belongs to the target, too, and is trusted as little. */
static bool take_symbols(void *ctx, const struct elf *e, int fd, const char *path)
{
	struct diag *quiet = diag_new();
	struct elf *debug = elf_open_fd(fd, path, quiet);
	bool fits = debug && elf_has_symtab(debug) && elf_arch(debug) == elf_arch(e) &&
		    !strcmp(elf_build_id(debug), elf_build_id(e));

	if (fits)
		elf_lend_symbols(ctx, debug);
	else
		elf_close(debug);
	diag_free(quiet);
	return fits;
}

void debug_file_lend_symbols(struct elf *e, const char *root)
{
	if (!elf_has_symtab(e) && *elf_build_id(e))
		debug_file_each(e, root, take_symbols, e);
}

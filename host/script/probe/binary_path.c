/* SPDX-License-Identifier: Apache-2.0 */
/* From the names in probes to files. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "script/probe/probe.h"
#include "target/elf.h"

bool path_is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *path_real(const char *name)
{
	char *real = realpath(name, NULL);
	struct stat given, found;

	/* /proc/PID/root reads as a link to "/", which is another place for us */
	if (real && stat(name, &given) == 0 && stat(real, &found) == 0 &&
	    given.st_dev == found.st_dev && given.st_ino == found.st_ino)
		return real;
	free(real);
	return xstrdup(name);
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

		if (path_is_file(path))
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
		if (path_is_file(path) && !path_is_file(name))
			return path;
		free(path);
	}
	if (path_is_file(name))
		return path_real(name);
	if (strchr(name, '/'))
		return NULL;
	path = in_dirs(getenv("PATH"), "", name, "");
	return path ? path : find_library(name);
}

/* ---- what processes have mapped ---- */

struct seen_file {
	UT_hash_handle hh;
	char key[64]; /* device and inode */
};

struct mapped_walk {
	struct seen_file *seen;
	void (*fn)(void *ctx, const char *path);
	void *ctx;
};

static bool first_time(struct mapped_walk *w, const char *dev, unsigned long long inode)
{
	struct seen_file *f;
	char key[64];

	snprintf(key, sizeof(key), "%s:%llu", dev, inode);
	HASH_FIND_STR(w->seen, key, f);
	if (f)
		return false;
	f = xcalloc(1, sizeof(*f));
	memcpy(f->key, key, sizeof(key));
	HASH_ADD_STR(w->seen, key, f);
	return true;
}

static void walk_maps(struct mapped_walk *w, pid_t pid)
{
	char name[64], line[4352];
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char perm[5] = "", dev[16] = "", path[4096] = "", *real;
		unsigned long long inode;

		if (sscanf(line, "%*s %4s %*s %15s %llu %4095[^\n]", perm, dev, &inode, path) !=
			    4 ||
		    perm[2] != 'x' || path[0] != '/' || !first_time(w, dev, inode))
			continue;
		real = resolve_binary(path, pid);
		if (real)
			w->fn(w->ctx, real);
		free(real);
	}
	if (f)
		fclose(f);
}

void mapped_files_each(pid_t pid, void (*fn)(void *ctx, const char *path), void *ctx)
{
	struct mapped_walk w = {.fn = fn, .ctx = ctx};
	struct seen_file *f, *next;
	DIR *proc = pid > 0 ? NULL : opendir("/proc");
	struct dirent *e;

	if (pid > 0)
		walk_maps(&w, pid);
	while (proc && (e = readdir(proc)))
		if (atoi(e->d_name) > 0)
			walk_maps(&w, atoi(e->d_name));
	if (proc)
		closedir(proc);
	HASH_ITER (hh, w.seen, f, next) {
		HASH_DEL(w.seen, f);
		free(f);
	}
}

enum { MAX_LIBRARIES = 256 };

/* The libraries that the loader would add, breadth first. */
static void add_needed(const char *path, char **files, size_t *n)
{
	struct diag *ignored = diag_new();
	struct elf *elf = elf_open(path, ignored);
	const char *name;

	for (size_t i = 0; elf && *n < MAX_LIBRARIES && (name = elf_needed(elf, i)); i++) {
		char *lib = find_library(name);
		bool known = !lib;

		for (size_t k = 0; k < *n && !known; k++)
			known = strcmp(files[k], lib) == 0;
		if (known)
			free(lib);
		else
			files[(*n)++] = lib;
	}
	elf_close(elf);
	diag_free(ignored);
}

void program_files_each(const char *command, void (*fn)(void *ctx, const char *path), void *ctx)
{
	char *files[MAX_LIBRARIES];
	size_t n = 0;

	files[0] = resolve_binary(command, 0);
	n = files[0] ? 1 : 0;
	for (size_t i = 0; i < n; i++) {
		add_needed(files[i], files, &n);
		fn(ctx, files[i]);
	}
	for (size_t i = 0; i < n; i++)
		free(files[i]);
}

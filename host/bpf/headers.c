/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/headers.h"

#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/file.h"
#include "util/text.h"

static const char tree[] = "third_party/kernel-headers/";

uint32_t headers_kernel_version(const char *release)
{
	unsigned a = 0, b = 0, c = 0;

	if (sscanf(release, "%u.%u.%u", &a, &b, &c) < 2)
		return 0;
	return a << 16 | (b & 255) << 8 | (c > 255 ? 255 : c);
}

bool headers_installed(const char *release)
{
	char path[256];

	if (getenv("BCC_KERNEL_SOURCE") || !access("/sys/kernel/kheaders.tar.xz", R_OK))
		return true;
	snprintf(path, sizeof(path), "/lib/modules/%s/build/include", release);
	return !access(path, R_OK);
}

/* The name in `#include <name>` or "name" as a new string, NULL for other lines. */
static char *included(const char *line, const char *end)
{
	const char *start;
	char close;

	while (line < end && isspace((unsigned char)*line))
		line++;
	if (line == end || *line++ != '#')
		return NULL;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	if ((size_t)(end - line) < 8 || strncmp(line, "include", 7))
		return NULL;
	line += 7;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	if (line == end || (*line != '<' && *line != '"'))
		return NULL;
	close = *line == '<' ? '>' : '"';
	start = ++line;
	while (line < end && *line != close)
		line++;
	return xstrndup(start, line - start);
}

static bool stub_has(const char *name)
{
	char *path = xasprintf("%sinclude/%s", tree, name);
	char *text = data_file_read(path);
	bool has = text != NULL;

	free(text);
	free(path);
	/* libbcc serves these itself, out of memory. */
	return has || text_starts(name, "bcc/") || !strcmp(name, "stdarg.h");
}

static int refuse(const char *text, const char *line, int number, const char *name,
		  const char *release, struct diag *d)
{
	struct source src = {"program", text, strlen(text)};
	const char *at = strstr(line, name);
	int col = (int)(at - line) + 1;
	struct span span = {number, col, number, col + (int)strlen(name)};

	return diag_fail_at(
		d, -ENOENT, &src, span,
		"<%s> is a header of the running kernel, and those are not installed: "
		"install linux-headers-%s (Debian, Ubuntu) or kernel-devel-%s (Fedora), "
		"or do without the header",
		name, release, release);
}

int headers_choose(const char *text, const char *release, bool *stubs, struct diag *d)
{
	/* Our linux/sched.h only names the struct. */
	bool inside_task = strstr(text, "struct task_struct") != NULL;
	bool installed = headers_installed(release);
	const char *line, *end;
	int number = 0, err = 0;

	*stubs = true;
	for (line = text; *line && !err; line = *end ? end + 1 : end) {
		char *name;

		number++;
		end = strchrnul(line, '\n');
		name = included(line, end);
		if (!name)
			continue;
		if (inside_task && installed && !strcmp(name, "linux/sched.h"))
			*stubs = false;
		if (!stub_has(name)) {
			*stubs = false;
			if (!installed)
				err = refuse(text, line, number, name, release, d);
		}
		free(name);
	}
	return err;
}

static void hash_one(void *ctx, const char *path)
{
	char *text = data_file_read(path);

	cache_key_adds(ctx, path);
	cache_key_adds(ctx, text ? text : "");
	free(text);
}

void headers_hash(struct cache_key *k)
{
	data_file_each(tree, hash_one, k);
}

struct writing {
	const char *dir;
	int err;
};

static void write_one(void *ctx, const char *path)
{
	struct writing *w = ctx;
	char *text = data_file_read(path);
	char *to = xasprintf("%s/%s", w->dir, path + strlen(tree));
	char *slash = strrchr(to, '/');
	FILE *f = NULL;

	*slash = '\0';
	if (!w->err)
		w->err = file_mkdirs(to, 0700);
	*slash = '/';
	if (!w->err) {
		f = fopen(to, "wex");
		if (!f || fputs(text ? text : "", f) < 0)
			w->err = -errno;
		if (f && fclose(f) && !w->err)
			w->err = -errno;
	}
	free(to);
	free(text);
}

int headers_write(char *dir, size_t size, struct diag *d)
{
	const char *base = getenv("TMPDIR");
	struct writing w = {dir, 0};

	if (!base || base[0] != '/')
		base = "/tmp";
	if ((size_t)snprintf(dir, size, "%s/llmprobe-XXXXXX", base) >= size || !mkdtemp(dir))
		return diag_fail(d, -EIO,
				 "cannot make a folder in %s for the compiler: %s; set TMPDIR to a "
				 "place that can be written to",
				 base, strerror(errno));
	data_file_each(tree, write_one, &w);
	if (w.err) {
		headers_remove(dir);
		return diag_fail(d, w.err, "cannot write the stub headers to %s: %s", dir,
				 strerror(-w.err));
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

void headers_remove(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

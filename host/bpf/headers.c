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
#include "util/buf.h"
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

/* A line of the text, and which line of which file it is: `#line N "FILE"` says so. */
struct place {
	const char *line, *end;
	char *file; /* NULL: of the text itself */
	int number;
};

static void follow_line_directive(struct place *at)
{
	char file[4096];
	int number;

	if (sscanf(at->line, " # line %d \"%4095[^\"\n]\"", &number, file) != 2)
		return;
	free(at->file);
	at->file = xstrdup(file);
	at->number = number - 1;
}

static int refuse(const struct place *at, const char *name, const char *release, struct diag *d)
{
	struct source src = {.name = at->file ? at->file : "program"};
	struct buf text = {0};
	int col = (int)(strstr(at->line, name) - at->line) + 1, err;

	/* what stands above is not shown: only the number has to be right */
	for (int i = 1; i < at->number; i++)
		buf_putc(&text, '\n');
	buf_add(&text, at->line, (size_t)(at->end - at->line));
	src.text = buf_str(&text);
	src.len = text.len;
	err = diag_fail_at(
		d, -ENOENT, &src,
		(struct span){at->number, col, at->number, col + (int)strlen(name)},
		"<%s> is none of the headers that llmprobe brings, and those of the running kernel "
		"are not installed: install linux-headers-%s (Debian, Ubuntu) or kernel-devel-%s "
		"(Fedora), or do without the header",
		name, release, release);
	buf_free(&text);
	return err;
}

int headers_choose(const char *text, const char *release, bool *stubs, struct diag *d)
{
	/* Our linux/sched.h only names the struct. */
	bool inside_task = strstr(text, "struct task_struct") != NULL;
	bool installed = headers_installed(release);
	struct place at = {.line = text};
	int err = 0;

	*stubs = true;
	for (; *at.line && !err; at.line = *at.end ? at.end + 1 : at.end) {
		char *name;

		at.number++;
		at.end = strchrnul(at.line, '\n');
		follow_line_directive(&at);
		name = included(at.line, at.end);
		if (!name)
			continue;
		if (inside_task && installed && !strcmp(name, "linux/sched.h"))
			*stubs = false;
		if (!stub_has(name)) {
			*stubs = false;
			if (!installed)
				err = refuse(&at, name, release, d);
		}
		free(name);
	}
	free(at.file);
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

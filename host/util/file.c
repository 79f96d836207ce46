/* SPDX-License-Identifier: Apache-2.0 */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/text.h"

int file_read(const char *path, struct buf *out, size_t limit)
{
	char chunk[16384];
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			break;
		}
		buf_add(out, chunk, (size_t)n);
		if (limit && out->len > limit) {
			err = -EFBIG;
			break;
		}
	}
	close(fd);
	return err;
}

int file_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_device(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : file_write_all(fd, data, len);

	if (fd >= 0)
		close(fd);
	return err;
}

int file_replace(const char *path, const void *data, size_t len)
{
	char *tmp;
	int fd, err;

	if (file_is_special(path))
		return write_device(path, data, len);
	tmp = xasprintf("%s.%d.tmp", path, getpid());
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : file_write_all(fd, data, len);
	if (fd >= 0 && close(fd) < 0 && !err)
		err = -errno;
	if (!err && rename(tmp, path) < 0)
		err = -errno;
	if (err && fd >= 0)
		unlink(tmp);
	free(tmp);
	return err;
}

bool file_is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

int file_mkdirs(const char *path, mode_t mode)
{
	char *copy = xstrdup(path);
	int err = 0;

	for (char *p = copy + 1; !err; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			err = -errno;
		*p = c;
		if (!c)
			break;
	}
	free(copy);
	return err;
}

static char *data_dir;

void data_dir_set(const char *dir)
{
	free(data_dir);
	data_dir = dir ? xstrdup(dir) : NULL;
}

char *data_file_read(const char *path)
{
	if (data_dir) {
		char *full = xasprintf("%s/%s", data_dir, path);
		struct buf text = {0};
		int err = file_read(full, &text, 0);

		free(full);
		if (!err)
			return buf_take(&text);
		buf_free(&text);
	}
	for (const struct embedded_file *f = embedded_files; f->path; f++)
		if (strcmp(f->path, path) == 0)
			return xstrndup(f->data, f->len);
	return NULL;
}

int data_file_include(struct buf *out, const char *path, struct diag *d)
{
	char *text = data_file_read(path);

	if (!text)
		return diag_fail(d, -ENOENT, "%s is missing from the program's data", path);
	buf_printf(out, "#line 1 \"%s\"\n%s", path, text);
	free(text);
	return 0;
}

void data_file_each(const char *prefix, void (*fn)(void *ctx, const char *path), void *ctx)
{
	for (const struct embedded_file *f = embedded_files; f->path; f++)
		if (text_starts(f->path, prefix))
			fn(ctx, f->path);
}

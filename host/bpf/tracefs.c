/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/tracefs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/text.h"

#ifndef SYS_fsopen
#define SYS_fsopen   430
#define SYS_fsconfig 431
#define SYS_fsmount  432
#endif

static int open_mounted(void)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	struct statfs st;
	size_t i;

	for (i = 0; i < ARRAY_LEN(places); i++) {
		int fd;

		if (statfs(places[i], &st) || st.f_type != TRACEFS_MAGIC)
			continue;
		fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

static int open_detached(void)
{
	long fs = syscall(SYS_fsopen, "tracefs", 1 /* FSOPEN_CLOEXEC */), mnt;
	int err;

	if (fs < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0)) {
		err = -errno;
		close((int)fs);
		return err;
	}
	mnt = syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, 0);
	err = mnt < 0 ? -errno : (int)mnt;
	close((int)fs);
	return err;
}

int tracefs_open(void)
{
	int fd = open_mounted();

	return fd >= 0 ? fd : open_detached();
}

int tracefs_read(int tracefs, const char *path, struct buf *out)
{
	int fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC), err = 0;
	char chunk[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(out, chunk, n);
	if (n < 0)
		err = -errno;
	close(fd);
	return err;
}

int tracefs_event_id(int tracefs, const char *category, const char *event)
{
	char *path = xasprintf("events/%s/%s/id", category, event);
	struct buf b = {0};
	int err = strchr(category, '/') || strchr(event, '/') ? -ENOENT
							      : tracefs_read(tracefs, path, &b);
	int id = atoi(buf_str(&b));

	buf_free(&b);
	free(path);
	if (err)
		return err;
	return id > 0 ? id : -EINVAL;
}

int tracefs_uprobe_event(int tracefs, const char *command)
{
	int fd = openat(tracefs, "uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, command, strlen(command)) < 0)
		err = -errno;
	close(fd);
	return err;
}

typedef void (*event_fn)(void *ctx, const char *category, const char *event);

static int each_in(int events, const char *category, event_fn fn, void *ctx)
{
	int fd = openat(events, category, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return err;
	}
	while ((e = readdir(dir))) {
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			fn(ctx, category, e->d_name);
	}
	closedir(dir);
	return 0;
}

static void each_category(int events, event_fn fn, void *ctx)
{
	int fd = dup(events);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir))) {
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			each_in(events, e->d_name, fn, ctx);
	}
	closedir(dir);
}

int tracefs_each_event(int tracefs, const char *category, event_fn fn, void *ctx)
{
	int events = openat(tracefs, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (events < 0)
		return -errno;
	if (category)
		err = each_in(events, category, fn, ctx);
	else
		each_category(events, fn, ctx);
	close(events);
	return err;
}

/* "p:llmprobe_123/ev /path:0x10" or "r:..": the group and event of one of ours whose process is
 * gone, as a removal command; NULL for other lines. */
static char *stale_command(const char *line)
{
	int pid = 0, len = 0;

	if ((line[0] != 'p' && line[0] != 'r') ||
	    sscanf(line + 1, ":llmprobe_%d/%*[^ ]%n", &pid, &len) < 1 || !len || pid <= 0)
		return NULL;
	if (!kill(pid, 0) || errno != ESRCH)
		return NULL;
	return xasprintf("-%.*s\n", len, line + 1);
}

int tracefs_clean_stale(int tracefs)
{
	struct buf b = {0};
	char *line, *save = NULL;
	int n = 0;

	if (tracefs_read(tracefs, "uprobe_events", &b) || !b.len) {
		buf_free(&b);
		return 0;
	}
	for (line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *command = stale_command(line);

		if (command && !tracefs_uprobe_event(tracefs, command))
			n++;
		free(command);
	}
	buf_free(&b);
	return n;
}

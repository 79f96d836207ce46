/* SPDX-License-Identifier: Apache-2.0 */
#include "target/mapping.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "target/process.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/text.h"

/* A hostile target can map a file 65530 times (vm.max_map_count) and more with it raised. */
enum { MAPS_BYTES_MAX = 64 << 20 };

static const char deleted_suffix[] = " (deleted)";

void mapping_clear(struct mapping *m)
{
	free(m->path);
	memset(m, 0, sizeof(*m));
}

void mapping_list_free(struct mapping_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		mapping_clear(&l->at[i]);
	free(l->at);
	memset(l, 0, sizeof(*l));
}

/* The kernel writes a newline in a name as \012 and nothing else so. */
static void unescape_path(char *path)
{
	char *to = path;

	for (char *from = path; *from; to++) {
		if (!strncmp(from, "\\012", 4)) {
			*to = '\n';
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* One line of /proc/PID/maps. False when it is no executable mapping of a file. */
static bool parse_line(char *line, struct mapping *m)
{
	unsigned int major_nr, minor_nr;
	uint64_t ino;
	char perms[5];
	int path_at = 0;
	char *path;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start,
		   &m->end, perms, &m->offset, &major_nr, &minor_nr, &ino, &path_at) < 7)
		return false;
	path = line + path_at;
	if (perms[2] != 'x' || !path_at || *path != '/' || !ino)
		return false;
	m->deleted = text_ends(path, deleted_suffix);
	if (m->deleted)
		path[strlen(path) - strlen(deleted_suffix)] = '\0';
	unescape_path(path);
	m->path = path;
	m->dev = makedev(major_nr, minor_nr);
	m->ino = ino;
	return true;
}

static bool is_known(const struct mapping_list *l, const struct mapping *m)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].ino == m->ino && l->at[i].dev == m->dev)
			return true;
	return false;
}

static int read_maps(pid_t pid, struct buf *text, struct diag *d)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	err = file_read(path, text, MAPS_BYTES_MAX);
	if (err == -EACCES || err == -EPERM)
		return process_explain_access(pid, err, "the memory map", d);
	if (err == -ENOENT || err == -ESRCH)
		return diag_fail(d, -ESRCH, "process %d has ended", pid);
	if (err)
		return diag_fail(d, err, "%s: %s", path, strerror(-err));
	return 0;
}

static void mark_exe(pid_t pid, struct mapping_list *l)
{
	char *exe = process_exe(pid);

	for (size_t i = 0; exe && i < l->count; i++)
		if (!strcmp(l->at[i].path, exe)) {
			l->at[i].is_exe = true;
			break;
		}
	free(exe);
}

int mapping_list_read(pid_t pid, struct mapping_list *out, struct diag *d)
{
	struct buf text = {0};
	char *save = NULL;
	int err = read_maps(pid, &text, d);

	memset(out, 0, sizeof(*out));
	for (char *line = err || !text.len ? NULL : strtok_r(text.data, "\n", &save);
	     line && out->count < MAPPING_FILES_MAX; line = strtok_r(NULL, "\n", &save)) {
		struct mapping m = {0};

		if (!parse_line(line, &m) || is_known(out, &m))
			continue;
		m.path = xstrdup(m.path);
		*VEC_PUSH(out->at, out->count, out->cap) = m;
	}
	buf_free(&text);
	if (!err)
		mark_exe(pid, out);
	return err;
}

bool mapping_resolve(pid_t pid, uint64_t address, struct mapping *out, uint64_t *file_offset)
{
	struct diag *ignored = diag_new();
	struct buf text = {0};
	char *save = NULL;
	bool found = false;

	if (!read_maps(pid, &text, ignored) && text.len)
		for (char *line = strtok_r(text.data, "\n", &save); line && !found;
		     line = strtok_r(NULL, "\n", &save)) {
			memset(out, 0, sizeof(*out));
			found = parse_line(line, out) && address >= out->start &&
				address < out->end;
		}
	if (found) {
		out->path = xstrdup(out->path);
		*file_offset = address - out->start + out->offset;
	}
	buf_free(&text);
	diag_free(ignored);
	return found;
}

/* Opens only regular files: a name may lead to a FIFO or a device by now. */
static int open_regular(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(fd, st))
		err = -errno;
	else if (!S_ISREG(st->st_mode))
		err = -ESTALE;
	else
		return fd;
	close(fd);
	return err;
}

static int open_map_file(pid_t pid, const struct mapping *m)
{
	char path[96];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, m->start,
		 m->end);
	fd = open_regular(path, &st);
	/* The range may hold another file by now. */
	if (fd >= 0 && st.st_ino != m->ino) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

static int open_by_name(const char *root, const struct mapping *m, bool *exact)
{
	char *path = xasprintf("%s%s", root, m->path);
	struct stat st;
	int fd = open_regular(path, &st);

	free(path);
	if (fd < 0)
		return fd;
	if (st.st_ino != m->ino) {
		close(fd);
		return -ESTALE;
	}
	/* btrfs and overlayfs show another device in stat than in maps. */
	*exact = st.st_dev == m->dev;
	return fd;
}

static int explain_open(pid_t pid, const struct mapping *m, int err, struct diag *d)
{
	if (err == -ESTALE)
		return diag_fail(
			d, err,
			"%s was replaced on disk after process %d had mapped it; reading the "
			"mapped file needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE: run as root "
			"or restart the process",
			m->path, pid);
	if (err == -EACCES || err == -EPERM)
		return process_explain_access(pid, err, m->path, d);
	return diag_fail(d, err, "%s of process %d: %s", m->path, pid, strerror(-err));
}

int mapping_open(pid_t pid, const struct mapping *m, struct mapped_file *out, struct diag *d)
{
	char root[32];
	int fd, err;

	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	out->exact = true;
	fd = open_map_file(pid, m);
	err = fd;
	if (fd < 0)
		fd = open_by_name(root, m, &out->exact);
	/* The kernel prints the path from our root where it can (chroot), else from the target's.
	 */
	if (fd < 0) {
		int plain = open_by_name("", m, &out->exact);

		fd = plain >= 0 || fd == -ENOENT ? plain : fd;
	}
	if (fd < 0) {
		out->fd = -1;
		out->open_path = NULL;
		/* What map_files said is the cause when the name leads nowhere. */
		return explain_open(pid, m, fd == -ENOENT && err != -ENOENT ? -ESTALE : fd, d);
	}
	out->fd = fd;
	/* The kernel follows this name to the inode however the file is called by now. */
	out->open_path = xasprintf("/proc/self/fd/%d", fd);
	return 0;
}

void mapped_file_close(struct mapped_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->open_path);
	f->fd = -1;
	f->open_path = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "target/lookout.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "target/process_match.h"
#include "util/alloc.h"

/* A library may be loaded long after the start; then the process is looked into less often. */
enum { YOUNG_LOOKS = 40, OLD_EVERY = 20 };

struct seen {
	pid_t pid;
	dev_t exe_dev;
	ino_t exe_ino;
	unsigned looks;
	bool reported, alive;
	UT_hash_handle hh;
};

struct lookout {
	struct wanted_file file;
	char *path;
	struct seen *seen;
};

struct lookout *lookout_new(const char *path, struct diag *d)
{
	struct lookout *l = xcalloc(1, sizeof(*l));

	l->path = xstrdup(path);
	if (process_wanted_file(l->path, &l->file, d)) {
		lookout_free(l);
		return NULL;
	}
	return l;
}

void lookout_free(struct lookout *l)
{
	struct seen *s, *next;

	if (!l)
		return;
	HASH_ITER (hh, l->seen, s, next) {
		HASH_DEL(l->seen, s);
		free(s);
	}
	free(l->path);
	free(l);
}

static struct seen *find_or_add(struct lookout *l, pid_t pid)
{
	struct seen *s;

	HASH_FIND(hh, l->seen, &pid, sizeof(pid), s);
	if (s)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->pid = pid;
	HASH_ADD(hh, l->seen, pid, sizeof(s->pid), s);
	return s;
}

/* Another program in the same process starts its youth again. */
static void note_exe(struct seen *s)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", s->pid);
	if (stat(path, &st) || (st.st_dev == s->exe_dev && st.st_ino == s->exe_ino))
		return;
	s->exe_dev = st.st_dev;
	s->exe_ino = st.st_ino;
	s->looks = 0;
	s->reported = false;
}

static void look_at(struct lookout *l, pid_t pid, struct process_list *out)
{
	struct seen *s = find_or_add(l, pid);

	s->alive = true;
	note_exe(s);
	if (s->reported || (s->looks++ >= YOUNG_LOOKS && s->looks % OLD_EVERY))
		return;
	s->reported = process_maps_file(pid, &l->file, out);
}

/* Those that have gone; their ids may come again. */
static void forget_dead(struct lookout *l)
{
	struct seen *s, *next;

	HASH_ITER (hh, l->seen, s, next) {
		if (!s->alive) {
			HASH_DEL(l->seen, s);
			free(s);
			continue;
		}
		s->alive = false;
	}
}

int lookout_look(struct lookout *l, struct process_list *out)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	memset(out, 0, sizeof(*out));
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;

		if (pid && pid != getpid())
			look_at(l, pid, out);
	}
	closedir(dir);
	forget_dead(l);
	return 0;
}

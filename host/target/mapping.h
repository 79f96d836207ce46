/* SPDX-License-Identifier: Apache-2.0 */
/* The executable files that a process maps, and how to get at the very files it runs. */
#ifndef LLMPROBE_TARGET_MAPPING_H
#define LLMPROBE_TARGET_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/diag.h"

/* One file with at least one executable mapping. */
struct mapping {
	char *path; /* as the process sees it, without " (deleted)" */
	dev_t dev;  /* as /proc/PID/maps prints it, which can differ from stat's st_dev */
	ino_t ino;
	bool deleted;	     /* the name is gone or names another file by now */
	bool is_exe;	     /* the process's main executable */
	uint64_t start, end; /* its first executable mapping */
	uint64_t offset;     /* file offset of `start` */
};

struct mapping_list {
	struct mapping *at;
	size_t count, cap;
};

/*
 * The distinct files that `pid` maps executable, in address order, at most MAPPING_FILES_MAX.
 * Anonymous and special mappings are left out. Returns 0 or -errno with an error in `d`.
 */
enum { MAPPING_FILES_MAX = 4096 };
int mapping_list_read(pid_t pid, struct mapping_list *out, struct diag *d);
void mapping_list_free(struct mapping_list *l);
/* Resolves an address of the process. False when no executable file mapping covers it. */
bool mapping_resolve(pid_t pid, uint64_t address, struct mapping *out, uint64_t *file_offset);
void mapping_clear(struct mapping *m);

/* An open file of a process. */
struct mapped_file {
	int fd;
	char *open_path; /* opens the same inode, usable for uprobes while the process lives */
	bool exact;	 /* the inode was verified; false: only the name could be followed */
};
/*
 * Opens the file behind a mapping: the mapped inode itself even when it was replaced, deleted or
 * lies in another mount namespace (/proc/PID/map_files), else by name under /proc/PID/root, refused
 * when that is another file by now (-ESTALE). Returns 0 or -errno with an error in `d`.
 */
int mapping_open(pid_t pid, const struct mapping *m, struct mapped_file *out, struct diag *d);
void mapped_file_close(struct mapped_file *f);

#endif

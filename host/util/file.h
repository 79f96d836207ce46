/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files and embedded data. */
#ifndef LLMPROBE_UTIL_FILE_H
#define LLMPROBE_UTIL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/diag.h"

/* Appends the content of `path` to `out`, at most `limit` bytes (0: no limit; more gives -EFBIG).
 * Returns 0 or -errno. */
int file_read(const char *path, struct buf *out, size_t limit);
/* Writes all of `data` or returns -errno; restarts on short writes and EINTR. */
int file_write_all(int fd, const void *data, size_t len);
/* Writes through a temporary file and rename, so readers never see a half; to a device directly.
 * Returns 0 or -errno. */
int file_replace(const char *path, const void *data, size_t len);
/* mkdir -p. Returns 0 or -errno. */
int file_mkdirs(const char *path, mode_t mode);
/* Whether there is something that is neither a file nor a folder: a device, a pipe, a socket. To
 * put a file in its place would take it from everyone. */
bool file_is_special(const char *path);

/* One file of probes/, yaml/, third_party/kernel-headers/ that was embedded at build time. */
struct embedded_file {
	const char *path; /* relative to the source root: "probes/operator.c" */
	const char *data; /* NUL-terminated */
	size_t len;
};
/* The table, ended by path == NULL; made by cmake/embed.cmake. */
extern const struct embedded_file embedded_files[];

/* When set, files under `dir` win over the embedded ones of the same relative path. */
void data_dir_set(const char *dir);
/* The text of a data file as a new string (free it), or NULL when there is no such file. */
char *data_file_read(const char *path);
/* Appends it as C text; messages of a compiler name it. Returns 0 or -errno with an error in `d`.
 */
int data_file_include(struct buf *out, const char *path, struct diag *d);
/* Calls `fn` for each embedded path that starts with `prefix`. */
void data_file_each(const char *prefix, void (*fn)(void *ctx, const char *path), void *ctx);

#endif

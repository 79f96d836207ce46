/* SPDX-License-Identifier: Apache-2.0 */
/* Output files of views: written beside their name and renamed at the end, so never half there. */
#ifndef LLMPROBE_VIEW_EXPORT_FILE_H
#define LLMPROBE_VIEW_EXPORT_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/diag.h"

struct export_file {
	FILE *out;
	char *path;	 /* NULL when `out` is the caller's */
	char *temporary; /* NULL when `path` is written to as it stands */
};

/*
 * Opens `path`, or uses `fallback` when it is NULL. An existing file is refused unless `force`,
 * a device or a pipe is written to; `binary` output to a terminal is refused too. Returns 0 or
 * -errno with an error in `d`.
 */
int export_file_open(struct export_file *f, const char *path, FILE *fallback, bool force,
		     bool binary, struct diag *d);
/* Finishes: with err 0 the file gets its name, otherwise it is removed. Returns the final error. */
int export_file_close(struct export_file *f, int err, struct diag *d);

#endif

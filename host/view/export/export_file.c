/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/file.h"
#include "view/export/export_file.h"

int export_file_open(struct export_file *f, const char *path, FILE *fallback, bool force,
		     bool binary, struct diag *d)
{
	*f = (struct export_file){.out = fallback};
	if (!path || !strcmp(path, "-")) {
		if (binary && isatty(fileno(fallback)))
			return diag_fail(
				d, -EINVAL,
				"this is no text for a terminal; name a file with -o FILE");
		return 0;
	}
	if (!file_is_special(path)) {
		if (!force && access(path, F_OK) == 0)
			return diag_fail(d, -EEXIST, "%s exists; use --force to replace it", path);
		f->temporary = xasprintf("%s.%ld.part", path, (long)getpid());
	}
	f->out = fopen(f->temporary ? f->temporary : path, "we");
	if (!f->out) {
		int err = -errno;

		free(f->temporary);
		return diag_fail(d, err, "cannot write %s: %s", path, strerror(-err));
	}
	f->path = xstrdup(path);
	return 0;
}

int export_file_close(struct export_file *f, int err, struct diag *d)
{
	if (!f->path)
		return err;
	if ((fflush(f->out) || ferror(f->out)) && !err)
		err = diag_fail(d, errno ? -errno : -EIO, "cannot write %s: %s", f->path,
				strerror(errno));
	fclose(f->out);
	if (!err && f->temporary && rename(f->temporary, f->path))
		err = diag_fail(d, -errno, "cannot write %s: %s", f->path, strerror(errno));
	if (err && f->temporary)
		unlink(f->temporary);
	free(f->path);
	free(f->temporary);
	*f = (struct export_file){0};
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cmd/progress.h"
#include "trace/store.h"
#include "util/text.h"

static const char ending[] = ".spool";

enum { LOCK_TRIES = 20, LOCK_PAUSE_US = 50000 };

/* A spool is locked by whoever writes it. One that was killed takes some time to be gone. */
static bool gets_idle(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_SH | LOCK_NB) == 0)
			return true;
		usleep(LOCK_PAUSE_US);
	}
	return false;
}

static int check_idle(const char *spool, struct diag *d)
{
	int fd = open(spool, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return diag_fail(d, -errno, "cannot read the spool %s: %s", spool, strerror(errno));
	if (!gets_idle(fd))
		err = diag_fail(d, -EBUSY, "%s is still being recorded; end the recording first",
				spool);
	close(fd);
	return err;
}

static int recover(const char *spool, const char *run, bool force, struct diag *d)
{
	struct store_convert_opts o = {.force = force, .progress = cmd_progress()};
	int err = check_idle(spool, d);

	if (!err)
		err = store_convert(spool, run, &o, d);
	if (err)
		return err;
	unlink(spool);
	diag_add(d, DIAG_NOTE, "recovered %s from what an interrupted recording left", run);
	return 0;
}

char *cmd_recover(const char *name, bool force, bool *made, struct diag *d)
{
	bool is_spool = text_ends(name, ending);
	size_t len = strlen(name) - (is_spool ? strlen(ending) : 0);
	char *run = xasprintf("%.*s", (int)len, name);
	char *spool = xasprintf("%s%s", run, ending);

	*made = access(spool, F_OK) == 0 && (is_spool || access(run, F_OK) != 0);
	if (*made && recover(spool, run, force, d)) {
		free(run);
		run = NULL;
	} else if (!*made && is_spool) {
		/* The name as it was given is the one to complain about. */
		free(run);
		run = xstrdup(name);
	}
	free(spool);
	return run;
}

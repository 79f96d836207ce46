/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress.h"

#include <stdio.h>
#include <unistd.h>

static void show(void *ctx, const char *what, double done)
{
	enum { CELLS = 30 };
	int full = (int)(done * CELLS);

	(void)ctx;
	if (done >= 1)
		fputs("\r\033[K", stderr);
	else
		fprintf(stderr, "\r%s [%.*s%*s] %3d %%", what, full,
			"==============================", CELLS - full, "", (int)(done * 100));
}

const struct progress *cmd_progress(void)
{
	static const struct progress bar = {.show = show};

	return isatty(STDERR_FILENO) ? &bar : NULL;
}

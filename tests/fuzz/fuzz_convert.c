/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes converted as a spool: a run file or an error, no crash. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_convert_opts opts = {.force = true};
	int fd = memfd_create("spool", 0);
	struct diag *d = diag_new();
	char spool[64], out[64];
	sqlite3 *db;

	snprintf(spool, sizeof(spool), "/proc/self/fd/%d", fd);
	snprintf(out, sizeof(out), "/tmp/fuzz_convert.%d.llmp", (int)getpid());
	if (fd >= 0 && write(fd, data, size) == (ssize_t)size &&
	    store_convert(spool, out, &opts, d) == 0) {
		db = store_open(out, d);
		if (!db)
			abort();
		sqlite3_close(db);
		unlink(out);
	}
	diag_free(d);
	if (fd >= 0)
		close(fd);
	return 0;
}

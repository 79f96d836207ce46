/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes read as a spool: no crash, no read beyond the end. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every byte, so that a sanitizer sees a wrong length. */
static int on_record(void *ctx, const void *rec, size_t len)
{
	unsigned *sum = ctx;

	for (size_t i = 0; i < len; i++)
		*sum += ((const uint8_t *)rec)[i];
	return 0;
}

static int on_note(void *ctx, const struct cJSON *note)
{
	(void)note;
	++*(unsigned *)ctx;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct spool_reader_ops ops = {.record = on_record, .note = on_note};
	int fd = memfd_create("spool", 0);
	struct diag *d = diag_new();
	unsigned sum = 0;
	char path[64];
	bool whole;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && write(fd, data, size) == (ssize_t)size)
		spool_read(path, &ops, &sum, &whole, d);
	diag_free(d);
	if (fd >= 0)
		close(fd);
	return 0;
}

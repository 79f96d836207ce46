/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds every file of the folders named on the command line to a fuzz target once. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	struct buf b = {0};
	int err = file_read(path, &b, 0);

	if (!err)
		LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&b), b.len);
	buf_free(&b);
	return err;
}

static int replay_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;

	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		char *full = xasprintf("%s/%s", path, e->d_name);

		n += e->d_type == DT_REG && replay_file(full) == 0;
		free(full);
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++)
		n += replay_dir(argv[i]);
	printf("%d inputs replayed\n", n);
	return n ? 0 : 1;
}

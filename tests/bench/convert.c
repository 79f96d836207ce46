/* SPDX-License-Identifier: Apache-2.0 */
/* Converts a spool (see tests/engines/run_make.c) and prints operator rows per second and memory.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "trace/store.h"
#include "view/view.h"

int main(int argc, char **argv)
{
	struct store_convert_opts opts = {.force = true};
	struct diag *d = diag_new();
	struct timespec a, b;
	struct rusage use;
	sqlite3 *db = NULL;
	double s;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_convert SPOOL RUN\n");
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (store_convert(argv[1], argv[2], &opts, d) == 0)
		db = store_open(argv[2], d);
	clock_gettime(CLOCK_MONOTONIC, &b);
	diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	diag_free(d);
	if (!db)
		return 1;
	getrusage(RUSAGE_SELF, &use);
	s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
	printf("%lld rows in %.2f s: %.0f rows/s, %ld MB resident at most\n",
	       (long long)view_int(db, 0, "SELECT value FROM run WHERE key = 'op_rows'", NULL), s,
	       (double)view_int(db, 0, "SELECT value FROM run WHERE key = 'op_rows'", NULL) / s,
	       use.ru_maxrss / 1024);
	sqlite3_close(db);
	return 0;
}

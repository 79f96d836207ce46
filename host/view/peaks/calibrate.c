/* SPDX-License-Identifier: Apache-2.0 */
/* calibrate: measures what this machine can do at most and keeps it for report's MBU and MFU. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"
#include "view/peaks/peaks.h"
#include "view/table.h"

static int store(const struct peaks *p, const char *path, struct diag *d)
{
	char *dir = xstrdup(path), *slash = strrchr(dir, '/'), *text = NULL;
	size_t len = 0;
	FILE *mem = open_memstream(&text, &len);
	int err = mem ? 0 : -ENOMEM;

	if (mem) {
		peaks_print(p, mem);
		fclose(mem);
	}
	if (slash && slash != dir) {
		*slash = '\0';
		err = err ? err : file_mkdirs(dir, 0755);
	}
	err = err ? err : file_replace(path, text, len);
	free(text);
	free(dir);
	if (err)
		return diag_fail(d, err, "cannot store the peaks in %s: %s", path, strerror(-err));
	return 0;
}

static struct table *peaks_table(const struct peaks *p)
{
	struct table *t = table_new();

	table_column(t, "threads", "threads", TABLE_COUNT);
	table_column(t, "gbs", "GB/s", TABLE_NUMBER);
	table_column(t, "gflops", "GFLOP/s (f32)", TABLE_NUMBER);
	table_column(t, "gops8", "Gop/s (8-bit)", TABLE_NUMBER);
	table_column(t, "ridge", "ridge f32", TABLE_NUMBER);
	table_column(t, "ridge8", "ridge 8-bit", TABLE_NUMBER);
	for (int i = 0; i < p->n; i++) {
		const struct peaks_entry *e = &p->entry[i];

		table_row(t);
		table_number(t, e->threads);
		table_number(t, e->gbs);
		table_number(t, e->gflops);
		table_number(t, e->gops8);
		table_number(t, e->gflops / e->gbs);
		table_number(t, e->gops8 > 0 ? e->gops8 / e->gbs : NAN);
	}
	return t;
}

static int calibrate_print(const struct view_run *runs, size_t n, const struct view_opts *o,
			   FILE *out, struct diag *d)
{
	char *path = o->output ? xstrdup(o->output) : peaks_path(NULL);
	struct peaks p;
	int err = peaks_measure(&p, o->progress, d);

	(void)runs;
	(void)n;
	if (!err)
		err = store(&p, path, d);
	if (!err) {
		struct table *t = peaks_table(&p);

		table_print(t, o, 0, out);
		table_free(t);
		if (!o->json && !o->csv)
			fprintf(out,
				"ridge: operations per byte from which on arithmetic binds, not "
				"memory\nstored in %s\n",
				path);
	}
	free(path);
	return err;
}

const struct view view_calibrate = {
	.name = "calibrate",
	.args = "",
	.help = "measure this machine's memory bandwidth and arithmetic, for MBU and MFU",
	.options = "json csv ascii output",
	.min_runs = 0,
	.max_runs = 0,
	.print = calibrate_print,
};

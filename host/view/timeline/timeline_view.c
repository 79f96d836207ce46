/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline as one of the views of the command line. */
#include <errno.h>
#include <string.h>

#include "util/text.h"
#include "view/export/export_file.h"
#include "view/timeline/timeline.h"
#include "view/view.h"

static int format_of(const char *name, enum timeline_format *format, struct diag *d)
{
	if (!name || !strcmp(name, "perfetto"))
		*format = TIMELINE_PERFETTO;
	else if (!strcmp(name, "json") || !strcmp(name, "chrome"))
		*format = TIMELINE_CHROME;
	else
		return diag_fail(d, -EINVAL,
				 "timeline has no format '%s'; it writes perfetto and json", name);
	return 0;
}

static int time_of(const char *text, const char *option, uint64_t *ns, struct diag *d)
{
	if (!text || !text_to_duration(text, ns))
		return 0;
	return diag_fail(d, -EINVAL, "--%s '%s' is no time after the start; write 1.5s or 200ms",
			 option, text);
}

static int print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
		 struct diag *d)
{
	struct timeline_opts t = {.progress = o->progress};
	struct export_file f;
	int err;

	(void)n;
	err = format_of(o->json ? "json" : o->format, &t.format, d);
	if (!err && o->levels)
		err = timeline_parse_levels(o->levels, &t.levels, d);
	if (!err)
		err = time_of(o->from, "from", &t.from_ns, d);
	if (!err)
		err = time_of(o->to, "to", &t.to_ns, d);
	if (!err && t.to_ns && t.to_ns <= t.from_ns)
		err = diag_fail(d, -EINVAL, "the time range is empty: it starts after it ends");
	if (!err)
		err = export_file_open(&f, o->output, out, o->force, t.format == TIMELINE_PERFETTO,
				       d);
	if (err)
		return err;
	err = timeline_write(runs[0].db, &t, f.out, d);
	return export_file_close(&f, err, d);
}

const struct view view_timeline = {
	.name = "timeline",
	.args = "RUN",
	.help = "write the run as a Perfetto trace, or as Chrome's JSON with --format json",
	.options = "format json output force levels from to",
	.min_runs = 1,
	.max_runs = 1,
	.print = print,
};

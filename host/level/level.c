/* SPDX-License-Identifier: Apache-2.0 */
#include "level/level.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"

static const struct level *const levels[LEVEL_COUNT] = {
	[LEVEL_TOKEN] = &level_token,
	[LEVEL_GRAPH] = &level_graph,
	[LEVEL_OPERATOR] = &level_operator,
	[LEVEL_SCHEDULER] = &level_scheduler,
};

/* Counters ride on the operator level's programs, plugins bring their own. */
static const char *const level_names[LEVEL_COUNT] = {
	[LEVEL_TOKEN] = "token",       [LEVEL_GRAPH] = "graph",
	[LEVEL_OPERATOR] = "operator", [LEVEL_SCHEDULER] = "scheduler",
	[LEVEL_COUNTERS] = "counters", [LEVEL_PLUGIN] = "plugin",
};

const struct level *level_get(enum rec_level id)
{
	return (unsigned)id < LEVEL_COUNT ? levels[id] : NULL;
}

const char *level_name(enum rec_level id)
{
	return (unsigned)id < LEVEL_COUNT ? level_names[id] : "?";
}

int level_by_name(const char *name)
{
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (strcmp(level_names[i], name) == 0)
			return i;
	return -1;
}

const struct level_event *level_event_find(const struct level *l, const char *event)
{
	for (const struct level_event *e = l->events; e->event; e++)
		if (strcmp(e->event, event) == 0)
			return e;
	return NULL;
}

bool level_define_field(struct buf *out, const struct layout *l, enum layout_field f,
			const char *name)
{
	int32_t v = layout_get(l, f);

	if (v < 0)
		return false;
	buf_printf(out, "#define %s %d\n", name, v);
	return true;
}

int level_require_field(struct buf *out, const struct layout *l, enum layout_field f,
			const char *name, struct diag *d)
{
	if (level_define_field(out, l, f, name))
		return 0;
	return diag_fail(d, -ENODATA,
			 "the engine's struct field %s could not be inferred; `llmprobe doctor` "
			 "shows what was found, debug symbols of the engine would tell it",
			 layout_field_name(f));
}

static void common_defines(struct buf *out, const struct level_input *in)
{
	buf_puts(out, "#define LLMPROBE_BPF 1\n");
	transport_defines(in->transport, out);
	buf_printf(out, "#define N_COUNTERS %zu\n",
		   in->counters ? counters_count(in->counters) : 0);
	if (in->task_storage)
		buf_puts(out, "#define HAVE_TASK_STORAGE 1\n");
	if (in->filter_tgid)
		buf_puts(out, "#define FILTER_TGID 1\n");
	if (in->bpf_loop)
		buf_puts(out, "#define HAVE_BPF_LOOP 1\n");
	if (in->summary)
		buf_puts(out, "#define SUMMARY 1\n");
}

static void add_instance(struct buf *out, const struct level_instance *i)
{
	buf_printf(out, "PROGRAM_%s(%s, %u", i->macro, i->name, i->point);
	for (size_t a = 0; a < LEVEL_ARGS_MAX && i->args[a]; a++)
		buf_printf(out, ", %s", i->args[a]);
	buf_puts(out, ")\n");
}

int level_text(const struct level *l, const struct level_input *in,
	       const struct level_instance *instances, size_t n, struct buf *out, struct diag *d)
{
	static const char *const common[] = {"probes/record.h", "probes/state.h",
					     "probes/common.h"};
	static const char *const calls[] = {"probes/call.c", NULL};
	bool bare = l->needs_layout && !in->layout;
	int err = data_file_include(out, "probes/lean.h", d);

	common_defines(out, in);
	buf_printf(out, "#define LEVEL_OF_CALLS %d\n", l->id);
	if (!err && l->defines && !bare)
		err = l->defines(out, in, d);
	for (size_t i = 0; !err && i < ARRAY_LEN(common); i++)
		err = data_file_include(out, common[i], d);
	for (const char *const *f = bare ? calls : l->files; !err && *f; f++)
		err = data_file_include(out, *f, d);
	if (err)
		return err;
	buf_puts(out, "#line 1 \"probe points\"\n");
	for (size_t i = 0; i < n; i++)
		add_instance(out, &instances[i]);
	return 0;
}

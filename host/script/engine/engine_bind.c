/* SPDX-License-Identifier: Apache-2.0 */
#include "script/engine/engine_bind.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/cache.h"
#include "bpf/kbtf.h"
#include "util/alloc.h"
#include "util/file.h"

struct engine_bind {
	struct script_engine_binding binding;
	struct engine_targets *targets;
	int current;  /* the program whose text is being made */
	int attached; /* programs come to be attached in the order of their texts */
	bool has_sched;
};

static void add_file(struct buf *out, const char *path)
{
	char *text = data_file_read(path);

	buf_printf(out, "#line 1 \"%s\"\n%s", path, text ? text : "#error missing\n");
	free(text);
}

/* Without the kernel's offsets there are no sched probes; `entry` says so. */
static void prologue(void *ctx, struct buf *out)
{
	struct engine_bind *b = ctx;
	struct diag *quiet = diag_new();
	struct task_offsets task;
	char dir[512];

	add_file(out, "probes/script_engine.h");
	add_file(out, "probes/script_args.c");
	b->has_sched =
		btf_task_offsets(*bpf_cache_dir(dir, sizeof(dir)) ? dir : NULL, &task, quiet) == 0;
	if (b->has_sched) {
		btf_task_defines(&task, out);
		add_file(out, "probes/script_sched.c");
	}
	diag_free(quiet);
}

static int source_of(const struct engine_event *e)
{
	static const char *const names[] = {"token", "graph", "op", "expert", "sched"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(e->provider, names[i]) == 0)
			return (int)i;
	return -1;
}

/* What the body begins with: it leaves where the event did not happen. */
static void entry_text(const struct engine_bind *b, const struct engine_event *e, struct buf *out)
{
	unsigned state = engine_targets_state(b->current), work = engine_targets_work(b->current);

	if (strcmp(e->provider, "op") == 0 && strcmp(e->event, "end") == 0)
		buf_printf(out,
			   "\tif (!engine_op_round(EXTERN_MAP(%u), EXTERN_MAP(%u), left))\n"
			   "\t\treturn 0;\n",
			   state, work);
	else if (strcmp(e->provider, "expert") == 0)
		buf_printf(out,
			   "\tif (!engine_expert_round(EXTERN_MAP(%u), left))\n\t\treturn 0;\n",
			   state);
	else if (strcmp(e->event, "offcpu") == 0)
		buf_printf(out,
			   "\tif (!engine_sched_offcpu(ctx, EXTERN_MAP(%u), EXTERN_MAP(%u)))\n"
			   "\t\treturn 0;\n",
			   state, work);
	else if (strcmp(e->event, "wakeup") == 0)
		buf_printf(out, "\tif (!engine_sched_wakeup(ctx, EXTERN_MAP(%u)))\n\t\treturn 0;\n",
			   state);
}

/* Operators are all capitals: a filter with a small letter is for the tensor's name. */
static bool is_tensor_name(const char *filter)
{
	for (; *filter; filter++)
		if (islower((unsigned char)*filter))
			return true;
	return false;
}

static int entry(void *ctx, const struct engine_event *e, const char *filter_op,
		 const char *filter_name, struct buf *out, struct diag *d)
{
	struct engine_bind *b = ctx;
	int source = source_of(e);
	struct engine_want w = {.source = (enum engine_source)source,
				.at_end = strcmp(e->event, "end") == 0};

	if (e->is_kernel && !b->has_sched)
		return diag_fail(d, -ENODATA,
				 "%s:%s needs the kernel's type information "
				 "(/sys/kernel/btf/vmlinux)",
				 e->provider, e->event);
	if (source == ENGINE_EXPERT && b->targets && !engine_targets_can_loop(b->targets))
		return diag_fail(d, -EOPNOTSUPP,
				 "expert:select needs a kernel from 5.17 on (bpf_loop)");
	if (filter_op && !filter_name && is_tensor_name(filter_op)) {
		filter_name = filter_op;
		filter_op = NULL;
	}
	w.filter_op = filter_op ? xstrdup(filter_op) : NULL;
	w.filter_name = filter_name ? xstrdup(filter_name) : NULL;
	b->current = b->targets ? engine_targets_add(b->targets, &w, d) : 0;
	if (b->current < 0)
		return b->current;
	entry_text(b, e, out);
	return 0;
}

/* Experts are chosen many at a time. A worker's last operator ends with its graph, which another
 * thread sees. */
static bool rounds(void *ctx, const struct engine_event *e, struct buf *out)
{
	struct engine_bind *b = ctx;
	bool last_ops = strcmp(e->provider, "op") == 0 && strcmp(e->event, "end") == 0;

	if (b->targets && !engine_targets_can_loop(b->targets))
		return false;
	if (!last_ops && strcmp(e->provider, "expert") != 0)
		return false;
	buf_printf(out, "engine_rounds(EXTERN_MAP(%u))", engine_targets_state(b->current));
	return true;
}

static void note_use(struct engine_want *w, const char *arg)
{
	const struct {
		const char *name;
		bool *flag;
	} uses[] = {
		{"op", &w->op},	      {"type", &w->type},      {"ne", &w->ne},
		{"name", &w->name},   {"layer", &w->name},     {"thread_index", &w->thread_index},
		{"phase", &w->token}, {"n_tokens", &w->token}, {"token_id", &w->token},
	};

	for (size_t i = 0; i < sizeof(uses) / sizeof(*uses); i++)
		if (strcmp(uses[i].name, arg) == 0)
			*uses[i].flag = true;
	if (w->source == ENGINE_TOKEN)
		w->token = false;
}

static int arg(void *ctx, const struct engine_event *e, const struct engine_arg *a, const char *dst,
	       struct buf *out, struct diag *d)
{
	struct engine_bind *b = ctx;

	(void)d;
	if (b->targets)
		note_use(engine_targets_want(b->targets, b->current), a->name);
	buf_printf(out, "\tengine_%s_%s(EXTERN_MAP(%u), %s);\n", e->provider, a->name,
		   engine_targets_state(b->current), dst);
	return 0;
}

static int attach(void *ctx, const struct engine_event *e, int prog_fd, struct diag *d)
{
	struct engine_bind *b = ctx;

	return engine_targets_program(b->targets, b->attached++, e->is_kernel ? e->event : NULL,
				      prog_fd, d);
}

static size_t externs(void *ctx, struct bpf_extern *ext)
{
	struct engine_bind *b = ctx;

	return b->targets ? engine_targets_externs(b->targets, ext) : 0;
}

struct engine_bind *engine_bind_new(void)
{
	struct engine_bind *b = xcalloc(1, sizeof(*b));

	b->binding =
		(struct script_engine_binding){b, prologue, entry, rounds, arg, attach, externs};
	return b;
}

void engine_bind_free(struct engine_bind *b)
{
	if (b)
		engine_targets_free(b->targets);
	free(b);
}

const struct script_engine_binding *engine_bind_binding(struct engine_bind *b)
{
	return &b->binding;
}

int engine_bind_open(struct engine_bind *b, const struct engine_targets_opts *o, struct diag *d)
{
	b->targets = engine_targets_new(o, d);
	return b->targets ? 0 : -EINVAL;
}

struct engine_targets *engine_bind_targets(struct engine_bind *b)
{
	return b->targets;
}

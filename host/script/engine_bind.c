/* SPDX-License-Identifier: Apache-2.0 */
#include "script/engine_bind.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/file.h"

struct engine_bind {
	struct script_engine_binding binding;
	struct engine_targets *targets;
	int current;  /* the program whose text is being made */
	int attached; /* programs come to be attached in the order of their texts */
};

static void prologue(void *ctx, struct buf *out)
{
	static const char *const files[] = {"probes/script_engine.h", "probes/script_args.c"};

	(void)ctx;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char *text = data_file_read(files[i]);

		buf_printf(out, "#line 1 \"%s\"\n%s", files[i], text ? text : "#error missing\n");
		free(text);
	}
}

static int source_of(const struct engine_event *e)
{
	static const char *const names[] = {"token", "graph", "op"};

	for (int i = 0; i < 3; i++)
		if (strcmp(e->provider, names[i]) == 0)
			return i;
	return -1;
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
	struct engine_want w = {.at_end = strcmp(e->event, "end") == 0};
	int source = source_of(e);

	(void)out;
	if (source < 0)
		return diag_fail(d, -EOPNOTSUPP, "%s:%s cannot be attached here", e->provider,
				 e->event);
	if (filter_op && !filter_name && is_tensor_name(filter_op)) {
		filter_name = filter_op;
		filter_op = NULL;
	}
	w.source = (enum engine_source)source;
	w.filter_op = filter_op ? xstrdup(filter_op) : NULL;
	w.filter_name = filter_name ? xstrdup(filter_name) : NULL;
	b->current = b->targets ? engine_targets_add(b->targets, &w, d) : 0;
	return b->current < 0 ? b->current : 0;
}

static void note_use(struct engine_want *w, const char *arg)
{
	const struct {
		const char *name;
		bool *flag;
	} uses[] = {
		{"op", &w->op},
		{"type", &w->type},
		{"ne", &w->ne},
		{"name", &w->name},
		{"thread_index", &w->thread_index},
		{"phase", &w->token},
		{"n_tokens", &w->token},
		{"token_id", &w->token},
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

	(void)e;
	return engine_targets_program(b->targets, b->attached++, prog_fd, d);
}

static size_t externs(void *ctx, struct bpf_extern *ext)
{
	struct engine_bind *b = ctx;

	return b->targets ? engine_targets_externs(b->targets, ext) : 0;
}

struct engine_bind *engine_bind_new(void)
{
	struct engine_bind *b = xcalloc(1, sizeof(*b));

	b->binding = (struct script_engine_binding){b, prologue, entry, arg, attach, externs};
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

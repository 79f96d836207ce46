/* SPDX-License-Identifier: Apache-2.0 */
#include "script/list.h"

#include <errno.h>
#include <string.h>

#include "script/engine_probe.h"
#include "script/probe.h"
#include "script/types.h"

struct list {
	FILE *out;
	struct arena *arena;
	struct type_table *types;
	struct diag *diag;
	const char *pattern;
	pid_t pid;
	bool args;
};

static void print_type(struct list *l, const struct type *t, const char *name)
{
	char text[128];
	const struct type *base = t;

	if (t->kind == TY_STRING || t->kind == TY_ARRAY) {
		base = t->kind == TY_ARRAY ? t->elem : NULL;
		fprintf(l->out, "    %s %s[%u]\n", base ? type_text(base, text) : "char", name,
			base ? t->count : t->size);
		return;
	}
	fprintf(l->out, "    %s %s\n", type_text(t, text), name);
}

static void print_fields(struct list *l, const struct type *st)
{
	for (size_t i = 0; l->args && st && i < st->fields->n; i++) {
		const struct field *f = &st->fields->v[i];

		if (!f->name || strncmp(f->name, "common_", 7) == 0)
			continue;
		if (f->is_data_loc)
			fprintf(l->out, "    __data_loc char[] %s\n", f->name);
		else
			print_type(l, f->type, f->name);
	}
}

static void print_match(struct list *l, const struct probe_match *m)
{
	fprintf(l->out, "%s\n", m->name);
	print_fields(l, m->args);
}

/* What is found by expanding the pattern as an attach point. */
static int list_expanded(struct list *l, const char *text)
{
	struct source *src = arena_alloc(l->arena, sizeof(*src));
	struct attach_point *ap = arena_alloc(l->arena, sizeof(*ap));
	struct expand_opts o = {
		.types = l->types,
		.arena = l->arena,
		.src = src,
		.pid = l->pid,
		.max_probes = 1 << 24,
		.missing = MISSING_IGNORE,
	};
	struct attach *a;
	int err;

	*src = (struct source){"pattern", text, strlen(text)};
	*ap = (struct attach_point){.loc = {0, (uint32_t)strlen(text)}, .text = text};
	a = attach_parse(l->arena, src, ap, l->diag);
	if (!a)
		return -EINVAL;
	err = attach_expand(a, &o, l->diag);
	for (const struct probe_match *m = a->matches; m && !err; m = m->next)
		print_match(l, m);
	return err;
}

static void list_events(struct list *l)
{
	for (const struct perf_event_name *e = perf_event_names; e->name; e++) {
		const char *provider = e->kind == PROBE_SOFTWARE ? "software" : "hardware";
		char text[128];

		snprintf(text, sizeof(text), "%s:%s:", provider, e->name);
		if (probe_glob(l->pattern, text) ||
		    (strncmp(text, l->pattern, strlen(text) - 1) == 0))
			fprintf(l->out, "%s\n", text);
	}
}

static void list_engine(struct list *l)
{
	for (const struct engine_event *e = typed_events; e->provider; e++) {
		char text[128];

		snprintf(text, sizeof(text), "%s:%s", e->provider, e->event);
		if (!probe_glob(l->pattern, text))
			continue;
		fprintf(l->out, "%s\n", text);
		for (const struct engine_arg *a = e->args; l->args && a->name; a++)
			fprintf(l->out, "    %s %s%s\n",
				a->kind == ENGINE_ARG_STRING ? "string" : "int64", a->name,
				a->kind == ENGINE_ARG_INT4 ? "[4]" : "");
	}
}

static int list_struct(struct list *l)
{
	const struct type *t = type_by_name(l->types, l->pattern);

	if (!t)
		return diag_fail(l->diag, -ENOENT, "the kernel has no type '%s'", l->pattern);
	fprintf(l->out, "%s {\n", l->pattern);
	for (size_t i = 0; t->fields && i < t->fields->n; i++)
		print_type(l, t->fields->v[i].type,
			   t->fields->v[i].name ? t->fields->v[i].name : "");
	fprintf(l->out, "};\n");
	return 0;
}

static int list_pattern(struct list *l)
{
	const char *colon = strchr(l->pattern, ':');
	char name[64];
	const struct provider *p;

	if (strncmp(l->pattern, "struct ", 7) == 0 || strncmp(l->pattern, "union ", 6) == 0 ||
	    strncmp(l->pattern, "enum ", 5) == 0)
		return list_struct(l);
	snprintf(name, sizeof(name), "%.*s", (int)(colon ? colon - l->pattern : 63), l->pattern);
	p = colon ? provider_find(name) : NULL;
	if (p && p->kind != PROBE_SOFTWARE && p->kind != PROBE_HARDWARE && p->kind != PROBE_ENGINE)
		return list_expanded(l, l->pattern);
	if (p) /* the short name in full */
		l->pattern = arena_printf(l->arena, "%s%s", p->name, colon);
	list_events(l);
	list_engine(l);
	if (!p) { /* a pattern over everything */
		struct list all = *l;

		all.pattern = arena_printf(l->arena, "%s", colon ? l->pattern : "*");
		if (probe_glob(l->pattern, "tracepoint:sched:sched_switch") || !colon)
			return list_expanded(&all, arena_printf(l->arena, "tracepoint:*:%s",
								colon ? "*" : l->pattern));
	}
	return 0;
}

int script_list(const char *pattern, pid_t pid, bool args, FILE *out, struct diag *d)
{
	struct list l = {.out = out, .diag = d, .pid = pid, .args = args};
	struct kernel_types *k = kernel_types_new();
	int err;

	l.pattern = pattern && *pattern ? pattern : "*";
	l.arena = arena_new();
	l.types = type_table_new(l.arena);
	type_table_use_kernel(l.types, k);
	err = list_pattern(&l);
	type_table_free(l.types);
	arena_free(l.arena);
	kernel_types_free(k);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "script/probe/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/tracefs.h"
#include "script/type/debug_info.h"
#include "script/engine/engine_probe.h"
#include "script/probe/probe.h"
#include "script/type/types.h"

struct list {
	FILE *out;
	struct arena *arena;
	struct type_table *types;
	struct debug_info *debug;
	struct diag *diag;
	const char *pattern;
	pid_t pid;
	bool args;
	/* names of tracepoints, sorted before they are printed */
	const char **names;
	size_t n_names, cap_names;
};

/* ---- fields, as C declares them ---- */

static const char *int_name(const struct type *t)
{
	switch (t->size) {
	case 1:
		return t->is_char ? "char" : t->is_signed ? "signed char" : "unsigned char";
	case 2:
		return t->is_signed ? "short" : "unsigned short";
	case 4:
		return t->is_signed ? "int" : "unsigned int";
	default:
		return t->is_signed ? "long" : "unsigned long";
	}
}

static const char *c_name(const struct type *t, char out[128])
{
	char to[128];

	if (t->kind == TY_PTR)
		snprintf(out, 128, "%.120s *", c_name(t->elem, to));
	else if (t->kind == TY_VOID || t->kind == TY_BOOL)
		snprintf(out, 128, "%s", t->kind == TY_VOID ? "void" : "bool");
	else if (t->kind == TY_INT)
		snprintf(out, 128, "%s", int_name(t));
	else
		type_text(t, out);
	return out;
}

static void print_type(FILE *out, const struct type *t, const char *name)
{
	char text[128];

	if (t->kind == TY_STRING)
		fprintf(out, "    char %s[%u]\n", name, t->size);
	else if (t->kind == TY_ARRAY)
		fprintf(out, "    %s %s[%u]\n", c_name(t->elem, text), name, t->count);
	else
		fprintf(out, "    %s %s\n", c_name(t, text), name);
}

void list_probe(FILE *out, const char *name, const struct type *args)
{
	fprintf(out, "%s\n", name);
	for (size_t i = 0; args && i < args->fields->n; i++) {
		const struct field *f = &args->fields->v[i];

		if (f->decl)
			fprintf(out, "    %s\n", f->decl);
		else if (f->name)
			print_type(out, f->type, f->name);
	}
}

static void print_name(struct list *l, const char *name, const struct type *args)
{
	list_probe(l->out, name, l->args ? args : NULL);
}

/* ---- what the kernel has ---- */

static bool wanted(const struct list *l, const char *name)
{
	size_t n = strlen(l->pattern);

	/* software:cpu-clock without the colon of its count */
	return probe_glob(l->pattern, name) ||
	       (name[strlen(name) - 1] == ':' && strlen(name) == n + 1 &&
		strncmp(name, l->pattern, n) == 0);
}

static void list_fixed(struct list *l)
{
	static const char *const names[] = {"begin",	    "end",	    "self:signal:SIGUSR1",
					    "interval:hz:", "interval:ms:", "interval:s:",
					    "interval:us:", "profile:hz:",  "profile:ms:",
					    "profile:s:",   "profile:us:"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (wanted(l, names[i]))
			print_name(l, names[i], NULL);
}

static void list_events(struct list *l)
{
	for (const struct perf_event_name *e = perf_event_names; e->name; e++) {
		const char *provider = e->kind == PROBE_SOFTWARE ? "software" : "hardware";
		char text[128];

		snprintf(text, sizeof(text), "%s:%s:", provider, e->name);
		if (wanted(l, text))
			print_name(l, text, NULL);
	}
}

static void list_engine(struct list *l)
{
	for (const struct engine_event *e = typed_events; e->provider; e++) {
		char text[128];

		snprintf(text, sizeof(text), "%s:%s", e->provider, e->event);
		if (!wanted(l, text))
			continue;
		print_name(l, text, NULL);
		for (const struct engine_arg *a = e->args; l->args && a->name; a++)
			fprintf(l->out, "    %s %s%s\n",
				a->kind == ENGINE_ARG_STRING ? "string" : "int64", a->name,
				a->kind == ENGINE_ARG_INT4 ? "[4]" : "");
	}
}

static int collect_name(void *ctx, const char *category, const char *event)
{
	struct list *l = ctx;

	*VEC_PUSH(l->names, l->n_names, l->cap_names) =
		arena_printf(l->arena, "%s:%s", category, event);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_event(const void *a, const void *b)
{
	return strcmp(strchr(*(const char *const *)a, ':'), strchr(*(const char *const *)b, ':'));
}

static const struct type *args_of(struct list *l, const char *name)
{
	const char *colon = strchr(name, ':');
	int dir = l->args ? tracefs_open() : -1;
	const struct type *st = NULL;
	char *category;

	if (dir < 0)
		return NULL;
	category = arena_strndup(l->arena, name, (size_t)(colon - name));
	st = tracepoint_args(l->types, dir, category, colon + 1);
	close(dir);
	return st;
}

/* The pattern also stands for everything below it: tracepoint:sched is tracepoint:sched:*. */
static bool wants(struct list *l, const char *full)
{
	size_t n = strlen(l->pattern);

	return wanted(l, full) || (strncmp(full, l->pattern, n) == 0 && full[n] == ':') ||
	       (!strchr(l->pattern, ':') && probe_glob(l->pattern, strrchr(full, ':') + 1));
}

static void list_tracepoints(struct list *l)
{
	qsort(l->names, l->n_names, sizeof(*l->names), by_name);
	for (size_t i = 0; i < l->n_names; i++) {
		const char *full = arena_printf(l->arena, "tracepoint:%s", l->names[i]);

		if (wants(l, full))
			print_name(l, full, l->args ? args_of(l, l->names[i]) : NULL);
	}
}

static void list_raw(struct list *l)
{
	const char *last = "";

	qsort(l->names, l->n_names, sizeof(*l->names), by_event);
	for (size_t i = 0; i < l->n_names; i++) {
		const char *event = strchr(l->names[i], ':') + 1;
		const char *full = arena_printf(l->arena, "rawtracepoint:%s", event);
		const char *typed = arena_printf(l->arena, "rawtracepoint:vmlinux:%s", event);

		/* system calls share two raw tracepoints */
		if (strcmp(event, last) == 0 || strncmp(l->names[i], "syscalls:", 9) == 0)
			continue;
		last = event;
		if (wants(l, full) || wanted(l, typed))
			print_name(l, full, l->args ? type_rawtp_args(l->types, event) : NULL);
	}
}

static int list_kernel(struct list *l)
{
	int err = tracepoint_each("*", "*", collect_name, l);

	if (err < 0)
		return diag_fail(l->diag, err,
				 "cannot read tracefs (%s); tracepoints need root and "
				 "/sys/kernel/tracing",
				 strerror(-err));
	list_tracepoints(l);
	if (strchr(l->pattern, ':') || strcmp(l->pattern, "*") == 0)
		list_raw(l);
	return 0;
}

static int list_struct(struct list *l)
{
	const struct type *t = type_by_name(l->types, l->pattern);

	if (!t)
		return diag_fail(l->diag, -ENOENT, "the kernel has no type '%s'", l->pattern);
	fprintf(l->out, "%s {\n", l->pattern);
	for (size_t i = 0; t->fields && i < t->fields->n; i++) {
		const struct field *f = &t->fields->v[i];

		if (t->kind == TY_ENUM)
			fprintf(l->out, "    %s = %lld\n", f->name, (long long)f->value);
		else
			print_type(l->out, f->type, f->name ? f->name : "");
	}
	fprintf(l->out, "};\n");
	return 0;
}

/* ---- what files have ---- */

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
		.unsafe = true,
		.want_args = l->args,
		.debug = l->debug,
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
		if (a->kind != PROBE_USDT || m == a->matches || !match_repeats(a->matches, m))
			print_name(l, m->name, m->args);
	return err;
}

/* uprobe:FILE stands for all functions, usdt:FILE for all of its probes. */
static int list_file(struct list *l, const struct provider *p, const char *rest)
{
	bool quoted = false;
	int colons = 0;

	for (const char *s = rest; *s; s++) {
		quoted ^= *s == '"';
		colons += *s == ':' && !quoted;
	}
	return list_expanded(l, arena_printf(l->arena, "%s:%s%s", p->name, *rest ? rest : "*",
					     colons		     ? ""
					     : p->kind == PROBE_USDT ? ":*:*"
								     : ":*"));
}

static int list_provider(struct list *l, const struct provider *p, const char *rest)
{
	l->pattern = arena_printf(l->arena, "%s:%s", p->name, rest);
	switch (p->kind) {
	case PROBE_UPROBE:
	case PROBE_URETPROBE:
	case PROBE_USDT:
		return list_file(l, p, rest);
	case PROBE_TRACEPOINT:
	case PROBE_RAWTRACEPOINT:
		return list_kernel(l);
	default:
		list_fixed(l);
		list_events(l);
		list_engine(l);
		return 0;
	}
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
	p = provider_find(name);
	if (p && p->kind != PROBE_BEGIN && p->kind != PROBE_END)
		return list_provider(l, p, colon ? colon + 1 : "*");
	list_fixed(l);
	list_events(l);
	list_engine(l);
	return list_kernel(l);
}

int script_list(const char *pattern, pid_t pid, bool args, FILE *out, struct diag *d)
{
	struct list l = {.out = out, .diag = d, .pid = pid, .args = args};
	struct kernel_types *k = kernel_types_new();
	int err;

	l.pattern = pattern && *pattern ? pattern : "*";
	l.arena = arena_new();
	l.types = type_table_new(l.arena);
	l.debug = debug_info_new(l.types);
	type_table_use_kernel(l.types, k);
	err = list_pattern(&l);
	debug_info_free(l.debug);
	type_table_free(l.types);
	arena_free(l.arena);
	kernel_types_free(k);
	free(l.names);
	return err;
}

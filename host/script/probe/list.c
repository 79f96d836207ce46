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
#include "util/cxx_name.h"

struct list {
	FILE *out;
	struct arena *arena;
	struct type_table *types;
	struct kernel_types *kernel;
	struct debug_info *debug;
	struct cxx_names *cxx;
	struct diag *diag;
	const char *pattern;
	pid_t pid;
	bool args;
	bool guess; /* the kind of probe was not named: what does not fit it is passed over */
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
	if (args && args->fields->listing) {
		fputs(args->fields->listing, out);
		return;
	}
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
		print_name(l, text, engine_event_args(l->types, e));
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
		const char *full = arena_printf(l->arena, "rawtracepoint:vmlinux:%s", event);
		const char *bare = arena_printf(l->arena, "rawtracepoint:%s", event);

		/* system calls share two raw tracepoints */
		if (strcmp(event, last) == 0 || strncmp(l->names[i], "syscalls:", 9) == 0)
			continue;
		last = event;
		if (wants(l, full) || wants(l, bare))
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

static int list_types(struct list *l)
{
	int found = kernel_types_print(l->kernel, l->pattern, l->args, l->out);

	return found ? 0 : diag_fail(l->diag, -ENOENT, "the kernel has no type '%s'", l->pattern);
}

/* ---- what files have ---- */

static int by_match_name(const void *a, const void *b)
{
	return strcmp((*(const struct probe_match *const *)a)->name,
		      (*(const struct probe_match *const *)b)->name);
}

/* As it can be used in a script: C++ functions by their names in source, which need quotes. */
static const char *listed_name(struct list *l, const struct attach *a, const struct probe_match *m)
{
	char *source = a->ns && a->kind != PROBE_USDT ? cxx_demangle(l->cxx, m->b) : NULL;
	const char *name = m->name;

	if (source)
		name = arena_printf(l->arena, "%.*s\"%s\"", (int)(strlen(name) - strlen(m->b)),
				    name, source);
	free(source);
	return name;
}

static void print_matches(struct list *l, const struct attach *a)
{
	const struct probe_match **v = xcalloc(a->n_matches + 1, sizeof(struct probe_match *));
	size_t n = 0;

	for (const struct probe_match *m = a->matches; m; m = m->next)
		v[n++] = m;
	qsort(v, n, sizeof(*v), by_match_name);
	for (size_t i = 0; i < n; i++)
		if (!i || strcmp(v[i]->name, v[i - 1]->name) != 0)
			print_name(l, listed_name(l, a, v[i]), v[i]->args);
	free(v);
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
	/* a file that is not there is a mistake, one without such probes is not */
	if (*a->target && !probe_has_wildcard(a->target) && !l->guess)
		o.missing = MISSING_FILES;
	err = attach_expand(a, &o, l->diag);
	if (!err)
		print_matches(l, a);
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

static int list_all(struct list *l)
{
	list_fixed(l);
	list_events(l);
	list_engine(l);
	return list_kernel(l);
}

/* "*:sched:*", "u*:./program:*": every kind of probe whose name fits. */
static int list_kinds(struct list *l, const char *kind, const char *rest)
{
	bool of_file = *rest != '*' && *rest != ':';
	int found = 0, err = 0;

	l->guess = true;
	for (const struct provider *p = providers; p->name && !err; p++) {
		bool takes_file = p->kind == PROBE_UPROBE || p->kind == PROBE_URETPROBE ||
				  p->kind == PROBE_USDT;

		if (!probe_glob(kind, p->name) || (takes_file && !of_file && !l->pid))
			continue;
		found++;
		err = list_provider(l, p, rest);
	}
	return found ? err : diag_fail(l->diag, -EINVAL, "Invalid probe type: %s", kind);
}

static bool is_type_name(const char *s)
{
	return strncmp(s, "struct ", 7) == 0 || strncmp(s, "union ", 6) == 0 ||
	       strncmp(s, "enum ", 5) == 0;
}

static int list_pattern(struct list *l)
{
	const char *colon = strchr(l->pattern, ':');
	char *kind = arena_strndup(l->arena, l->pattern, strcspn(l->pattern, ":"));
	const struct provider *p = provider_find(kind);

	if (is_type_name(l->pattern))
		return list_types(l);
	if (p && p->kind != PROBE_BEGIN && p->kind != PROBE_END)
		return list_provider(l, p, colon ? colon + 1 : "*");
	if (!colon)
		return list_all(l);
	return list_kinds(l, kind, colon + 1);
}

/* Several patterns are separated by commas, as probes are. */
static int list_patterns(struct list *l, const char *patterns)
{
	int err = 0;

	while (*patterns && !err) {
		bool quoted = false;
		size_t n = 0;

		l->guess = false;
		for (; patterns[n] && (quoted || patterns[n] != ','); n++)
			quoted ^= patterns[n] == '"';
		l->pattern = arena_strndup(l->arena, patterns, n);
		err = list_pattern(l);
		patterns += n + (patterns[n] == ',');
	}
	return err;
}

int script_list(const char *pattern, pid_t pid, bool args, FILE *out, struct diag *d)
{
	struct list l = {.out = out, .diag = d, .pid = pid, .args = args};
	int err;

	l.kernel = kernel_types_new();
	l.arena = arena_new();
	l.types = type_table_new(l.arena);
	l.debug = debug_info_new(l.types);
	l.cxx = cxx_names_new();
	type_table_use_kernel(l.types, l.kernel);
	err = list_patterns(&l, pattern && *pattern ? pattern : "*");
	debug_info_free(l.debug);
	cxx_names_free(l.cxx);
	type_table_free(l.types);
	arena_free(l.arena);
	kernel_types_free(l.kernel);
	free(l.names);
	return err;
}

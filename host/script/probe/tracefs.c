/* SPDX-License-Identifier: Apache-2.0 */
/* Tracepoints: names and argument structs from tracefs, raw ones from BTF. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/tracefs.h"
#include "script/probe/probe.h"
#include "util/file.h"
#include "util/text.h"

/* One "field:TYPE NAME[N]; offset:O; size:S; signed:B;" line. */
struct format_line {
	char type[128], name[64];
	unsigned offset, size, is_signed;
	bool data_loc;
};

static bool parse_format_line(const char *line, struct format_line *out)
{
	const char *end = strchr(line, ';'), *name;
	char decl[192];
	char *bracket;

	if (!end || sscanf(end, "; offset:%u; size:%u; signed:%u;", &out->offset, &out->size,
			   &out->is_signed) != 3)
		return false;
	snprintf(decl, sizeof(decl), "%.*s", (int)(end - line), line);
	out->data_loc = strncmp(decl, "__data_loc", 10) == 0;
	bracket = strrchr(decl, '[');
	if (bracket && !out->data_loc)
		*bracket = 0;
	name = strrchr(decl, ' ');
	if (!name)
		return false;
	snprintf(out->name, sizeof(out->name), "%s", name + 1);
	snprintf(out->type, sizeof(out->type), "%.*s%s", (int)(name - decl), decl,
		 bracket && !out->data_loc ? "[]" : "");
	return true;
}

static const struct type *pointer_type(struct type_table *t, const char *text)
{
	char base[128];
	const struct type *to;
	const char *p = text;

	while (strncmp(p, "const ", 6) == 0)
		p += 6;
	snprintf(base, sizeof(base), "%.*s", (int)sizeof(base) - 1, p);
	*strchrnul(base, '*') = 0;
	for (size_t n = strlen(base); n && base[n - 1] == ' '; n--)
		base[n - 1] = 0;
	if (strcmp(base, "char") == 0 || strcmp(base, "unsigned char") == 0)
		return type_ptr(t, &type_char);
	to = type_by_name(t, base);
	return type_ptr(t, to ? to : &type_void);
}

static const struct type *format_type(struct type_table *t, const struct format_line *l)
{
	size_t n = strlen(l->type);

	if (l->data_loc)
		return type_int(4, false);
	if (n > 2 && strcmp(l->type + n - 2, "[]") == 0) {
		if (strstr(l->type, "char") && !strstr(l->type, "unsigned"))
			return type_string(t, l->size);
		if (strstr(l->type, "char") || strstr(l->type, "u8"))
			return type_array(t, type_int(1, false), l->size);
		for (unsigned w = 8; w > 1; w /= 2) {
			const char *elem = w == 8 ? "64|long" : w == 4 ? "32|int" : "16|short";
			char *word = xstrdup(elem), *bar = strchr(word, '|');
			bool hit;

			*bar = 0;
			hit = strstr(l->type, word) || strstr(l->type, bar + 1);
			free(word);
			if (hit)
				return type_array(t, type_int(w, l->is_signed), l->size / w);
		}
		return type_array(t, type_int(1, false), l->size);
	}
	if (n && l->type[n - 1] == '*')
		return pointer_type(t, l->type);
	if (l->size == 1 || l->size == 2 || l->size == 4 || l->size == 8)
		return type_int(l->size, l->is_signed);
	return type_array(t, type_int(1, false), l->size);
}

const struct type *tracepoint_args_of(struct type_table *t, const char *name, const char *format)
{
	struct type *st = type_alloc(t, TY_STRUCT);

	st->name = arena_printf(type_table_arena(t), "struct _tracepoint_%s", name);
	st->fields = arena_alloc(type_table_arena(t), sizeof(*st->fields));
	st->fields->complete = true;
	for (const char *p = format; (p = strstr(p, "field:")); p++) {
		struct format_line l;
		struct field *f;

		/* a program finds a pointer of the kernel's own in the first 8 bytes */
		if (!parse_format_line(p + 6, &l) || l.offset < 8 || l.offset > 65535 ||
		    l.size > 65535)
			continue;
		f = fields_add(t, st->fields);
		f->name = arena_strdup(type_table_arena(t), l.name);
		f->type = format_type(t, &l);
		f->offset = l.offset;
		f->is_data_loc = l.data_loc;
		f->decl = arena_strndup(type_table_arena(t), p + 6, strcspn(p + 6, ";"));
		if (l.offset + l.size > st->size)
			st->size = l.offset + l.size;
	}
	return st;
}

const struct type *tracepoint_args(struct type_table *t, int tracefs, const char *category,
				   const char *event)
{
	char path[256], name[192];
	const struct type *st = NULL;
	struct buf text = {0};

	snprintf(path, sizeof(path), "events/%s/%s/format", category, event);
	snprintf(name, sizeof(name), "%s_%s", category, event);
	if (tracefs_read(tracefs, path, &text) == 0)
		st = tracepoint_args_of(t, name, buf_str(&text));
	buf_free(&text);
	return st;
}

static int each_event(int dir, const char *category, const char *event,
		      int (*fn)(void *ctx, const char *category, const char *event), void *ctx)
{
	char path[256];
	int fd, err = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "events/%s", category);
	fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return 0;
	while (!err && (e = readdir(d)))
		if (e->d_name[0] != '.' && e->d_type == DT_DIR && probe_glob(event, e->d_name))
			err = fn(ctx, category, e->d_name);
	closedir(d);
	return err;
}

static int each_in(int dir, const char *category, const char *event,
		   int (*fn)(void *ctx, const char *category, const char *event), void *ctx)
{
	int fd, err = 0;
	struct dirent *e;
	DIR *d;

	if (!probe_has_wildcard(category))
		return each_event(dir, category, event, fn, ctx);
	fd = openat(dir, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -errno;
	while (!err && (e = readdir(d)))
		if (e->d_name[0] != '.' && e->d_type == DT_DIR && probe_glob(category, e->d_name))
			err = each_event(dir, e->d_name, event, fn, ctx);
	closedir(d);
	return err;
}

int tracepoint_each(const char *category, const char *event,
		    int (*fn)(void *ctx, const char *category, const char *event), void *ctx)
{
	int dir = tracefs_open(), err;

	if (dir < 0)
		return dir;
	err = each_in(dir, category, event, fn, ctx);
	close(dir);
	return err;
}

struct collect {
	int tracefs;
	struct attach *a;
	const struct expand_opts *o;
	struct probe_match **tail;
};

static int add_match(void *ctx, const char *category, const char *event)
{
	struct collect *c = ctx;
	struct probe_match *m = arena_alloc(c->o->arena, sizeof(*m));

	m->a = arena_strdup(c->o->arena, category);
	m->b = arena_strdup(c->o->arena, event);
	m->func = m->b;
	m->name = arena_printf(c->o->arena, "tracepoint:%s:%s", category, event);
	m->args =
		c->tracefs >= 0 ? tracepoint_args(c->o->types, c->tracefs, category, event) : NULL;
	*c->tail = m;
	c->tail = &m->next;
	c->a->n_matches++;
	return 0;
}

struct nearest {
	const char *names[4096];
	size_t n;
	struct arena *arena;
};

static int collect_name(void *ctx, const char *category, const char *event)
{
	struct nearest *c = ctx;

	if (c->n < ARRAY_LEN(c->names))
		c->names[c->n++] = arena_printf(c->arena, "%s:%s", category, event);
	return 0;
}

static int not_found(struct attach *a, const struct expand_opts *o, struct diag *d)
{
	struct nearest *c = arena_alloc(o->arena, sizeof(*c));
	char *want = arena_printf(o->arena, "%s:%s", a->target, a->func);
	const char *near;

	c->arena = o->arena;
	tracepoint_each("*", "*", collect_name, c);
	near = text_nearest_of(want, c->names, c->n);
	return diag_fail_at(
		d, -ENOENT, o->src, loc_span(o->src, a->loc), "No matches for tracepoint %s.%s%s%s",
		want, near ? " Did you mean tracepoint:" : "", near ? near : "", near ? "?" : "");
}

static int find_events(struct collect *c)
{
	const struct attach *a = c->a;

	if (probe_has_wildcard(a->target) || probe_has_wildcard(a->func))
		return each_in(c->tracefs, a->target, a->func, add_match, c);
	if (tracefs_event_id(c->tracefs, a->target, a->func) >= 0)
		return add_match(c, a->target, a->func);
	return 0;
}

int expand_tracepoint(struct attach *a, const struct expand_opts *o, struct diag *d)
{
	struct collect c = {-1, a, o, &a->matches};
	int err;

	if (o->offline)
		return add_match(&c, a->target, a->func);
	c.tracefs = tracefs_open();
	err = c.tracefs < 0 ? c.tracefs : find_events(&c);
	if (c.tracefs >= 0)
		close(c.tracefs);
	if (err < 0)
		return diag_fail_at(d, err, o->src, loc_span(o->src, a->loc),
				    "cannot read tracefs (%s); tracepoints need root and "
				    "/sys/kernel/tracing",
				    strerror(-err));
	if (!a->n_matches && o->missing == MISSING_ERROR)
		return not_found(a, o, d);
	return 0;
}

static int add_raw(void *ctx, const char *category, const char *event)
{
	struct collect *c = ctx;
	struct probe_match *m;

	(void)category;
	for (m = c->a->matches; m; m = m->next)
		if (strcmp(m->b, event) == 0)
			return 0;
	m = arena_alloc(c->o->arena, sizeof(*m));
	m->a = "";
	m->b = arena_strdup(c->o->arena, event);
	m->func = m->b;
	m->name = arena_printf(c->o->arena, "rawtracepoint:%s", event);
	m->args = c->o->offline ? NULL : type_rawtp_args(c->o->types, event);
	*c->tail = m;
	c->tail = &m->next;
	c->a->n_matches++;
	return 0;
}

static int collect_event(void *ctx, const char *category, const char *event)
{
	struct nearest *c = ctx;

	if (c->n < ARRAY_LEN(c->names) && strcmp(category, "syscalls") != 0)
		c->names[c->n++] = arena_strdup(c->arena, event);
	return 0;
}

static int raw_not_found(struct attach *a, const struct expand_opts *o, struct diag *d)
{
	struct nearest *c = arena_alloc(o->arena, sizeof(*c));
	const char *near;

	c->arena = o->arena;
	tracepoint_each("*", "*", collect_event, c);
	near = text_nearest_of(a->func, c->names, c->n);
	return diag_fail_at(d, -ENOENT, o->src, loc_span(o->src, a->loc),
			    "No matches for rawtracepoint %s.%s%s%s", a->func,
			    near ? " Did you mean rawtracepoint:" : "", near ? near : "",
			    near ? "?" : "");
}

static int find_raw(struct collect *c)
{
	const struct attach *a = c->a;

	if (probe_has_wildcard(a->func))
		return tracepoint_each("*", a->func, add_raw, c);
	/* some have no event in tracefs; without the kernel's types there is no telling */
	if (type_rawtp_args(c->o->types, a->func) || !type_rawtp_args(c->o->types, "sched_switch"))
		return add_raw(c, "", a->func);
	return tracepoint_each("*", a->func, add_raw, c);
}

int expand_rawtracepoint(struct attach *a, const struct expand_opts *o, struct diag *d)
{
	struct collect c = {-1, a, o, &a->matches};

	if (o->offline)
		return add_raw(&c, "", a->func);
	find_raw(&c);
	if (!a->n_matches && o->missing == MISSING_ERROR)
		return raw_not_found(a, o, d);
	return 0;
}

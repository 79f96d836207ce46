/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's report as text and as JSON. */
#include "view/doctor.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "target/plan.h"
#include "util/text.h"

static const char *const level_names[] = {
	[LEVEL_TOKEN] = "token",
	[LEVEL_GRAPH] = "graph",
	[LEVEL_OPERATOR] = "operator",
};

struct page {
	FILE *out;
	const struct doctor_opts *opts;
};

static void put_mark(const struct page *pg, bool ok)
{
	const char *start = !pg->opts->colour ? "" : ok ? "\033[32m" : "\033[31m";

	fprintf(pg->out, "  %s%-3s%s ", start, ok ? "ok" : "no", pg->opts->colour ? "\033[0m" : "");
}

static void put_heading(const struct page *pg, const char *text)
{
	fprintf(pg->out, pg->opts->colour ? "\n\033[1m%s\033[0m\n" : "\n%s\n", text);
}

/* Text of several lines, each with `indent` in front. */
static void put_lines(const struct page *pg, const char *indent, const char *text)
{
	while (*text) {
		int len = (int)strcspn(text, "\n");

		fprintf(pg->out, "%s%.*s\n", indent, len, text);
		text += len + (text[len] == '\n');
	}
}

static void print_facts(const struct page *pg, const struct doctor_fact *facts, size_t n)
{
	const char *group = "";

	for (size_t i = 0; i < n; i++) {
		const struct doctor_fact *f = &facts[i];

		if (strcmp(f->group, group)) {
			if (i)
				fputc('\n', pg->out);
			fprintf(pg->out, pg->opts->colour ? "\033[1m%s\033[0m\n" : "%s\n",
				f->group);
			group = f->group;
		}
		put_mark(pg, f->ok);
		fprintf(pg->out, "%-18s %s\n", f->name, f->detail ? f->detail : "");
		if (f->fix)
			fprintf(pg->out, "      fix: %s\n", f->fix);
	}
}

static void print_files(const struct page *pg, const struct plan *p)
{
	struct plan_mark m = plan_mark(p);

	put_heading(pg, "files");
	for (size_t i = 0; i < m.files; i++) {
		const struct plan_file *f = plan_file(p, i);

		fprintf(pg->out, "  %-3zu %s%s\n", i, f->shown,
			f->replaced ? " (replaced on disk; the mapped file is used)" : "");
		fprintf(pg->out, "      build id %s\n", *f->build_id ? f->build_id : "none");
	}
	put_heading(pg, "engines");
	for (size_t i = 0; i < m.copies; i++) {
		const struct plan_copy *c = plan_copy(p, i);

		fprintf(pg->out, "  %-14s %s%s%s\n", c->engine->name,
			c->engine->about ? c->engine->about : "", *c->version ? ", version " : "",
			c->version);
	}
}

static const char *title_of_level(enum rec_level level)
{
	return level < ARRAY_LEN(level_names) ? level_names[level] : "other";
}

static void print_site(const struct page *pg, const struct plan_site *s, const char *event)
{
	char cost[32], place[160];

	snprintf(place, sizeof(place), "%.120s+0x%" PRIx64 "%s", s->symbol, s->sym_offset,
		 s->is_return ? " (return probe)" : "");
	fprintf(pg->out, "    %-14s %s\n", event, place);
	fprintf(pg->out, "    %-14s file %zu offset 0x%" PRIx64 ", %s, %s, about %s a hit\n", "",
		s->file, s->offset, s->insn, insn_class_name(s->class), text_ns(s->cost_ns, cost));
	fprintf(pg->out, "    %-14s %s\n", "", s->how);
}

static void print_arguments(const struct page *pg, const struct plan_point *pt)
{
	for (size_t i = 0; i < pt->n_args; i++)
		fprintf(pg->out, "    %-14s %s = %s\n", "", pt->args[i].name, pt->args[i].expr);
}

static void print_level(const struct page *pg, struct plan *p, enum rec_level level)
{
	struct plan_mark m = plan_mark(p);

	fprintf(pg->out, "  %s\n", title_of_level(level));
	if (!plan_has_level(p, level))
		put_lines(pg, "    ", plan_level_reason(p, level));
	for (size_t i = 0; i < m.points; i++) {
		const struct plan_point *pt = plan_point(p, i);

		if (pt->level != level)
			continue;
		for (size_t k = 0; k < m.sites; k++)
			if (plan_site(p, k)->point == pt->id)
				print_site(pg, plan_site(p, k), pt->event);
		print_arguments(pg, pt);
	}
}

/* Each alternative in use says once what it cannot see. */
static void print_blind_spots(const struct page *pg, const struct plan *p)
{
	struct plan_mark m = plan_mark(p);
	const char *last = "";
	bool any = *plan_notes(p) != '\0';

	for (size_t i = 0; i < m.points; i++)
		any |= *plan_point(p, i)->cannot != '\0';
	if (!any)
		return;
	put_heading(pg, "not visible");
	for (size_t i = 0; i < m.points; i++) {
		const struct plan_point *pt = plan_point(p, i);

		if (*pt->cannot && strcmp(pt->cannot, last))
			fprintf(pg->out, "  %s, %s: %s\n", pt->engine, pt->alternative, pt->cannot);
		last = pt->cannot;
	}
	put_lines(pg, "  ", plan_notes(p));
}

static void print_field(void *ctx, const char *name, const struct layout_value *v)
{
	const struct page *pg = ctx;

	if (v->how == LAYOUT_UNKNOWN)
		fprintf(pg->out, "    %-22s    - not in this build, or nothing tells\n", name);
	else
		fprintf(pg->out, "    %-22s %4d %s: %s\n", name, v->value, layout_how_name(v->how),
			v->source);
}

static void print_layout(const struct page *pg, const struct plan_layout *l)
{
	fprintf(pg->out, "  from %s\n", l->source);
	fprintf(pg->out, "    %zu operators, %zu types\n", layout_op_count(l->layout),
		layout_type_count(l->layout));
	layout_each_field(l->layout, print_field, (void *)pg);
}

static void print_plan(const struct page *pg, struct plan *p)
{
	struct plan_mark m = plan_mark(p);

	print_files(pg, p);
	put_heading(pg, "probe points");
	for (int i = LEVEL_TOKEN; i <= LEVEL_OPERATOR; i++)
		print_level(pg, p, (enum rec_level)i);
	print_blind_spots(pg, p);
	if (m.layouts)
		put_heading(pg, "struct layouts (bytes)");
	for (size_t i = 0; i < m.layouts; i++)
		print_layout(pg, plan_layout(p, i));
}

/* JSON: the same facts, names as in the structs. */

static void add_text(cJSON *o, const char *name, const char *text)
{
	if (text && *text)
		cJSON_AddStringToObject(o, name, text);
}

static cJSON *facts_json(const struct doctor_fact *facts, size_t n)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < n; i++) {
		cJSON *o = cJSON_CreateObject();

		add_text(o, "group", facts[i].group);
		add_text(o, "name", facts[i].name);
		cJSON_AddBoolToObject(o, "ok", facts[i].ok);
		add_text(o, "detail", facts[i].detail);
		add_text(o, "fix", facts[i].fix);
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

static cJSON *files_json(const struct plan *p)
{
	cJSON *list = cJSON_CreateArray();
	struct plan_mark m = plan_mark(p);

	for (size_t i = 0; i < m.files; i++) {
		const struct plan_file *f = plan_file(p, i);
		cJSON *o = cJSON_CreateObject();

		add_text(o, "path", f->shown);
		add_text(o, "build_id", f->build_id);
		cJSON_AddBoolToObject(o, "replaced", f->replaced);
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

static cJSON *site_json(const struct plan_site *s)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "file", (double)s->file);
	cJSON_AddNumberToObject(o, "offset", (double)s->offset);
	cJSON_AddNumberToObject(o, "function_offset", (double)s->sym_offset);
	cJSON_AddBoolToObject(o, "return_probe", s->is_return);
	add_text(o, "instruction", s->insn);
	add_text(o, "class", insn_class_name(s->class));
	cJSON_AddNumberToObject(o, "cost_ns", s->cost_ns);
	add_text(o, "how", s->how);
	return o;
}

static cJSON *point_json(const struct plan *p, const struct plan_point *pt)
{
	cJSON *o = cJSON_CreateObject(), *args = cJSON_CreateObject(), *sites;
	struct plan_mark m = plan_mark(p);

	cJSON_AddNumberToObject(o, "id", pt->id);
	add_text(o, "level", title_of_level(pt->level));
	add_text(o, "engine", pt->engine);
	add_text(o, "alternative", pt->alternative);
	add_text(o, "event", pt->event);
	add_text(o, "symbol", pt->symbol);
	add_text(o, "kind", pt->kind);
	add_text(o, "backend", pt->backend);
	add_text(o, "cannot", pt->cannot);
	cJSON_AddNumberToObject(o, "layout", pt->layout);
	for (size_t i = 0; i < pt->n_args; i++)
		add_text(args, pt->args[i].name, pt->args[i].expr);
	cJSON_AddItemToObject(o, "args", args);
	sites = cJSON_AddArrayToObject(o, "sites");
	for (size_t i = 0; i < m.sites; i++)
		if (plan_site(p, i)->point == pt->id)
			cJSON_AddItemToArray(sites, site_json(plan_site(p, i)));
	return o;
}

static void add_field_json(void *ctx, const char *name, const struct layout_value *v)
{
	cJSON *f = cJSON_AddObjectToObject(ctx, name);

	if (v->how != LAYOUT_UNKNOWN)
		cJSON_AddNumberToObject(f, "value", v->value);
	add_text(f, "how", layout_how_name(v->how));
	add_text(f, "source", v->source);
}

static cJSON *layouts_json(const struct plan *p)
{
	cJSON *list = cJSON_CreateArray();
	struct plan_mark m = plan_mark(p);

	for (size_t i = 0; i < m.layouts; i++) {
		const struct plan_layout *l = plan_layout(p, i);
		cJSON *o = cJSON_CreateObject();

		add_text(o, "files", l->source);
		add_text(o, "version", layout_version(l->layout));
		add_text(o, "commit", layout_commit(l->layout));
		cJSON_AddNumberToObject(o, "operators", (double)layout_op_count(l->layout));
		cJSON_AddNumberToObject(o, "types", (double)layout_type_count(l->layout));
		layout_each_field(l->layout, add_field_json, cJSON_AddObjectToObject(o, "fields"));
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

static void add_plan_json(cJSON *root, struct plan *p)
{
	cJSON *points = cJSON_CreateArray(), *missing = cJSON_CreateObject();
	struct plan_mark m = plan_mark(p);

	for (size_t i = 0; i < m.points; i++)
		cJSON_AddItemToArray(points, point_json(p, plan_point(p, i)));
	for (int i = LEVEL_TOKEN; i <= LEVEL_OPERATOR; i++)
		add_text(missing, level_names[i], plan_level_reason(p, (enum rec_level)i));
	cJSON_AddItemToObject(root, "files", files_json(p));
	cJSON_AddItemToObject(root, "points", points);
	cJSON_AddItemToObject(root, "levels_without_points", missing);
	add_text(root, "notes", plan_notes(p));
	cJSON_AddItemToObject(root, "layouts", layouts_json(p));
}

static void print_json(FILE *out, const struct doctor_fact *facts, size_t n, struct plan *p)
{
	cJSON *root = cJSON_CreateObject();
	char *text;

	cJSON_AddItemToObject(root, "facts", facts_json(facts, n));
	if (p)
		add_plan_json(root, p);
	text = cJSON_Print(root);
	fprintf(out, "%s\n", text ? text : "{}");
	cJSON_free(text);
	cJSON_Delete(root);
}

int doctor_print(FILE *out, const struct doctor_fact *facts, size_t n, struct plan *plan,
		 const struct doctor_opts *opts)
{
	struct page pg = {.out = out, .opts = opts};

	if (opts->json) {
		print_json(out, facts, n, plan);
	} else {
		print_facts(&pg, facts, n);
		if (plan)
			print_plan(&pg, plan);
	}
	return ferror(out) || fflush(out) ? -EIO : 0;
}

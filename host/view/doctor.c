/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's report as text and as JSON. */
#include "view/doctor.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "target/plan.h"
#include "util/cxx_name.h"
#include "util/text.h"

static const char *const level_names[] = {
	[LEVEL_TOKEN] = "token",
	[LEVEL_GRAPH] = "graph",
	[LEVEL_OPERATOR] = "operator",
};

struct page {
	FILE *out;
	const struct doctor_opts *opts;
	struct cxx_names *names;
};

/* What a build does not show besides the blind spots of its points. */
struct gap {
	bool (*is)(const struct layout *l);
	const char *what, *fix;
};

static bool lacks(const struct layout *l, enum layout_field f)
{
	return layout_get(l, f) < 0;
}

static bool lacks_names(const struct layout *l)
{
	return lacks(l, LAYOUT_TENSOR_NAME);
}

static bool lacks_experts(const struct layout *l)
{
	return layout_op_number(l, "MUL_MAT_ID") < 0;
}

static bool lacks_expert_data(const struct layout *l)
{
	return !lacks_experts(l) && (lacks(l, LAYOUT_TENSOR_DATA) || lacks(l, LAYOUT_TENSOR_NB));
}

static bool lacks_first_experts(const struct layout *l)
{
	return !lacks_experts(l) && !lacks(l, LAYOUT_PARAMS_TYPE);
}

static bool lacks_uid(const struct layout *l)
{
	return lacks(l, LAYOUT_CGRAPH_UID);
}

static bool lacks_schedulers(const struct layout *l)
{
	return lacks(l, LAYOUT_SCHED_BACKENDS) || lacks(l, LAYOUT_BACKEND_GRAPH_COMPUTE);
}

static bool lacks_guids(const struct layout *l)
{
	return !lacks(l, LAYOUT_BACKEND_GRAPH_COMPUTE) && lacks(l, LAYOUT_BACKEND_GUID);
}

static const struct gap gaps[] = {
	{lacks_names, "tensor names: tensors had none before 2023-05", NULL},
	{lacks_experts, "experts: this build computes each with an operator of its own, or none",
	 "llama.cpp since 2024-04"},
	{lacks_expert_data, "experts: where a tensor's data lies could not be found",
	 "debug symbols of the engine"},
	{lacks_first_experts, "experts of builds before 2024-04, whose ids come first",
	 "llama.cpp since 2024-04"},
	{lacks_uid,
	 "whether a graph is the one before (they have numbers since 2026-04): each is "
	 "looked through when it is computed",
	 NULL},
	{lacks_schedulers,
	 "compute functions of backends that nothing names: schedulers have no "
	 "fields that could be found",
	 "llama.cpp since 2024-03, or debug symbols of the engine"},
	{lacks_guids,
	 "the kind of a backend, except by the name of its function: there are no GUIDs "
	 "before 2024-02",
	 NULL},
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

/* A file that was loaded to be looked at and given up again computes nothing. */
static bool is_given_up(const struct plan *p, const struct plan_point *pt)
{
	struct plan_mark m = plan_mark(p);

	for (size_t i = 0; i < m.sites; i++)
		if (plan_site(p, i)->point == pt->id)
			return plan_file(p, plan_site(p, i)->file)->unmapped;
	return false;
}

static void print_files(const struct page *pg, const struct plan *p)
{
	struct plan_mark m = plan_mark(p);
	size_t unmapped = 0;

	put_heading(pg, "files");
	for (size_t i = 0; i < m.files; i++) {
		const struct plan_file *f = plan_file(p, i);

		unmapped += f->unmapped;
		if (f->unmapped)
			continue;
		fprintf(pg->out, "  %-3zu %s%s\n", i, f->shown,
			f->replaced ? " (replaced on disk; the mapped file is used)" : "");
		fprintf(pg->out, "      build id %s\n", *f->build_id ? f->build_id : "none");
	}
	if (unmapped)
		fprintf(pg->out, "  and %zu that were loaded and given up again\n", unmapped);
	put_heading(pg, "engines");
	for (size_t i = 0; i < m.copies; i++) {
		const struct plan_copy *c = plan_copy(p, i);

		if (!plan_copy_is_latest(p, i))
			continue;
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
	char cost[32], *name = cxx_demangle(pg->names, s->symbol);

	fprintf(pg->out, "    %-14s %s+0x%" PRIx64 "%s\n", event, name ? name : s->symbol,
		s->sym_offset, s->is_return ? " (return probe)" : "");
	free(name);
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

		if (pt->level != level || is_given_up(p, pt))
			continue;
		for (size_t k = 0; k < m.sites; k++)
			if (plan_site(p, k)->point == pt->id)
				print_site(pg, plan_site(p, k), pt->event);
		print_arguments(pg, pt);
	}
}

static void print_gaps(const struct page *pg, const struct plan_layout *l)
{
	for (size_t i = 0; i < ARRAY_LEN(gaps); i++)
		if (gaps[i].is(l->layout))
			fprintf(pg->out, "  %s: %s%s%s\n", l->source, gaps[i].what,
				gaps[i].fix ? "; fix: " : "", gaps[i].fix ? gaps[i].fix : "");
}

static bool was_said(const struct plan *p, size_t point)
{
	const char *cannot = plan_point(p, point)->cannot;

	for (size_t i = 0; i < point; i++)
		if (!strcmp(plan_point(p, i)->cannot, cannot))
			return true;
	return false;
}

/* Each alternative in use says once what it cannot see. */
static void print_blind_spots(const struct page *pg, const struct plan *p)
{
	struct plan_mark m = plan_mark(p);

	if (!m.points)
		return;
	put_heading(pg, "not visible");
	for (size_t i = 0; i < m.points; i++) {
		const struct plan_point *pt = plan_point(p, i);

		if (*pt->cannot && !was_said(p, i))
			fprintf(pg->out, "  %s, %s: %s\n", pt->engine, pt->alternative, pt->cannot);
	}
	for (size_t i = 0; i < m.layouts; i++)
		print_gaps(pg, plan_layout(p, i));
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
		cJSON_AddBoolToObject(o, "unmapped", f->unmapped);
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

static cJSON *gaps_json(const struct layout *l)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < ARRAY_LEN(gaps); i++) {
		cJSON *o;

		if (!gaps[i].is(l))
			continue;
		o = cJSON_CreateObject();
		add_text(o, "what", gaps[i].what);
		add_text(o, "fix", gaps[i].fix);
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

static cJSON *point_json(const struct plan *p, const struct plan_point *pt, struct cxx_names *names)
{
	char *name = cxx_demangle(names, pt->symbol);
	cJSON *o = cJSON_CreateObject(), *args = cJSON_CreateObject(), *sites;
	struct plan_mark m = plan_mark(p);

	cJSON_AddNumberToObject(o, "id", pt->id);
	add_text(o, "level", title_of_level(pt->level));
	add_text(o, "engine", pt->engine);
	add_text(o, "alternative", pt->alternative);
	add_text(o, "event", pt->event);
	add_text(o, "symbol", pt->symbol);
	add_text(o, "name", name ? name : pt->symbol);
	free(name);
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
		cJSON_AddItemToObject(o, "gaps", gaps_json(l->layout));
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

static void add_plan_json(cJSON *root, struct plan *p, struct cxx_names *names)
{
	cJSON *points = cJSON_CreateArray(), *missing = cJSON_CreateObject();
	struct plan_mark m = plan_mark(p);

	for (size_t i = 0; i < m.points; i++)
		if (!is_given_up(p, plan_point(p, i)))
			cJSON_AddItemToArray(points, point_json(p, plan_point(p, i), names));
	for (int i = LEVEL_TOKEN; i <= LEVEL_OPERATOR; i++)
		add_text(missing, level_names[i], plan_level_reason(p, (enum rec_level)i));
	cJSON_AddItemToObject(root, "files", files_json(p));
	cJSON_AddItemToObject(root, "points", points);
	cJSON_AddItemToObject(root, "levels_without_points", missing);
	add_text(root, "notes", plan_notes(p));
	cJSON_AddItemToObject(root, "layouts", layouts_json(p));
}

static void print_json(const struct page *pg, const struct doctor_fact *facts, size_t n,
		       struct plan *p)
{
	cJSON *root = cJSON_CreateObject();
	char *text;

	cJSON_AddItemToObject(root, "facts", facts_json(facts, n));
	if (p)
		add_plan_json(root, p, pg->names);
	text = cJSON_Print(root);
	fprintf(pg->out, "%s\n", text ? text : "{}");
	cJSON_free(text);
	cJSON_Delete(root);
}

int doctor_print(FILE *out, const struct doctor_fact *facts, size_t n, struct plan *plan,
		 const struct doctor_opts *opts)
{
	struct page pg = {.out = out, .opts = opts, .names = cxx_names_new()};

	if (opts->json) {
		print_json(&pg, facts, n, plan);
	} else {
		print_facts(&pg, facts, n);
		if (plan)
			print_plan(&pg, plan);
	}
	cxx_names_free(pg.names);
	return ferror(out) || fflush(out) ? -EIO : 0;
}

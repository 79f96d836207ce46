/* SPDX-License-Identifier: Apache-2.0 */
/* list engines, list points: what the engine files say. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/list.h"
#include "target/engine.h"
#include "util/cxx_name.h"

static const char *level_text(enum rec_level level)
{
	static const char *const names[LEVEL_COUNT] = {
		[LEVEL_TOKEN] = "token",       [LEVEL_GRAPH] = "graph",
		[LEVEL_OPERATOR] = "operator", [LEVEL_SCHEDULER] = "scheduler",
		[LEVEL_COUNTERS] = "counters", [LEVEL_PLUGIN] = "plugin",
	};

	return names[level];
}

static void print_engine(const struct engine *e)
{
	printf("%-16s ", e->name);
	cmd_print_wrapped(e->about ? e->about : "", 17, stdout);
	printf("%-16s levels:", "");
	for (size_t i = 0; i < e->n_levels; i++)
		printf(" %s", level_text(e->levels[i].level));
	printf("; from %s\n", e->source);
}

static cJSON *engine_json(const struct engine *e)
{
	cJSON *o = cJSON_CreateObject(), *levels;

	cJSON_AddStringToObject(o, "name", e->name);
	cJSON_AddStringToObject(o, "about", e->about ? e->about : "");
	cJSON_AddStringToObject(o, "source", e->source);
	levels = cJSON_AddArrayToObject(o, "levels");
	for (size_t i = 0; i < e->n_levels; i++)
		cJSON_AddItemToArray(levels, cJSON_CreateString(level_text(e->levels[i].level)));
	return o;
}

int list_engines(const struct cmd_context *ctx)
{
	struct engine_set *set = engine_set_load(NULL, ctx->diag);
	cJSON *json = ctx->config->json ? cJSON_CreateArray() : NULL;

	if (!set) {
		cJSON_Delete(json);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < engine_count(set); i++) {
		if (json)
			cJSON_AddItemToArray(json, engine_json(engine_at(set, i)));
		else
			print_engine(engine_at(set, i));
	}
	engine_set_free(set);
	return json ? list_json(json) : EXIT_OK;
}

/* One function of an alternative. */
struct point {
	const struct engine *engine;
	const struct engine_level *level;
	const struct engine_alternative *alternative;
	const struct engine_function *function;
	struct cxx_names *names;
};

static void add_events(const struct engine_function *f, struct buf *out)
{
	if (f->entry.event)
		buf_printf(out, "entry: %s", f->entry.event->name);
	if (f->exit.event)
		buf_printf(out, "%sexit: %s", out->len ? ", " : "", f->exit.event->name);
}

/* Text with the control characters of C strings written as in C. */
static void add_escaped(const char *text, struct buf *out)
{
	for (; *text; text++)
		if (*text == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, *text);
}

static bool is_everywhere(const struct engine_arg *a)
{
	const char *x = a->text[ELF_X86_64], *arm = a->text[ELF_AARCH64];

	return x && arm && !strcmp(x, arm);
}

static void print_probe(const char *place, const struct engine_probe *p)
{
	if (!p->event)
		return;
	printf("      %-6s %s", place, p->event->name);
	for (size_t i = 0; i < p->n_args; i++) {
		const struct engine_arg *a = &p->args[i];

		printf("%s %s = ", i ? "," : ":", a->name);
		if (is_everywhere(a))
			printf("%s", a->text[ELF_X86_64]);
		else
			printf("%s (x86_64), %s (aarch64)",
			       a->text[ELF_X86_64] ? a->text[ELF_X86_64] : "?",
			       a->text[ELF_AARCH64] ? a->text[ELF_AARCH64] : "?");
	}
	putchar('\n');
}

static void print_point(const struct point *p)
{
	const struct engine_function *f = p->function;
	char *plain = f->symbol ? cxx_demangle(p->names, f->symbol) : NULL;
	struct buf name = {0};

	if (f->library)
		buf_printf(&name, "%s:", f->library);
	if (f->symbol)
		buf_puts(&name, plain ? plain : f->symbol);
	if (f->symbol && f->string)
		buf_puts(&name, ", else ");
	if (f->string) {
		buf_puts(&name, "the user of \"");
		add_escaped(f->string, &name);
		buf_putc(&name, '"');
	}
	printf("    %s\n", buf_str(&name));
	print_probe("entry", &f->entry);
	print_probe("exit", &f->exit);
	buf_free(&name);
	free(plain);
}

static cJSON *arguments_json(const struct engine_probe *p)
{
	cJSON *o = cJSON_CreateObject();

	for (size_t i = 0; i < p->n_args; i++) {
		const struct engine_arg *a = &p->args[i];
		cJSON *each = cJSON_AddObjectToObject(o, a->name);

		if (a->text[ELF_X86_64])
			cJSON_AddStringToObject(each, "x86_64", a->text[ELF_X86_64]);
		if (a->text[ELF_AARCH64])
			cJSON_AddStringToObject(each, "aarch64", a->text[ELF_AARCH64]);
	}
	return o;
}

static void add_text(cJSON *o, const char *key, const char *text)
{
	if (text)
		cJSON_AddStringToObject(o, key, text);
}

static cJSON *point_json(const struct point *p)
{
	const struct engine_function *f = p->function;
	char *plain = f->symbol ? cxx_demangle(p->names, f->symbol) : NULL;
	cJSON *o = cJSON_CreateObject();
	struct buf events = {0};

	add_events(f, &events);
	add_text(o, "engine", p->engine->name);
	add_text(o, "level", level_text(p->level->level));
	add_text(o, "alternative", p->alternative->name);
	add_text(o, "since", p->alternative->since);
	add_text(o, "until", p->alternative->until);
	add_text(o, "symbol", f->symbol);
	add_text(o, "string", f->string);
	add_text(o, "name", plain);
	add_text(o, "library", f->library);
	add_text(o, "events", buf_str(&events));
	cJSON_AddItemToObject(o, "entry_args", arguments_json(&f->entry));
	cJSON_AddItemToObject(o, "exit_args", arguments_json(&f->exit));
	add_text(o, "cannot", p->alternative->cannot);
	free(plain);
	buf_free(&events);
	return o;
}

/* "llama, token, public-calls (since 2023-03)" */
static void print_heading(const struct engine *e, const struct engine_level *l,
			  const struct engine_alternative *alt)
{
	printf("%s, %s, %s", e->name, level_text(l->level), alt->name);
	if (alt->since || alt->until)
		printf(" (%s%s%s%s%s)", alt->since ? "since " : "", alt->since ? alt->since : "",
		       alt->since && alt->until ? ", " : "", alt->until ? "until " : "",
		       alt->until ? alt->until : "");
	putchar('\n');
}

static void print_level_points(const struct engine *e, const struct engine_level *l,
			       struct cxx_names *names, cJSON *json)
{
	for (size_t a = 0; a < l->n_alternatives; a++) {
		const struct engine_alternative *alt = &l->alternatives[a];

		if (!json)
			print_heading(e, l, alt);
		for (size_t f = 0; f < alt->n_functions; f++) {
			struct point p = {e, l, alt, &alt->functions[f], names};

			if (json)
				cJSON_AddItemToArray(json, point_json(&p));
			else
				print_point(&p);
		}
		if (alt->cannot && !json)
			printf("    cannot see: %s\n", alt->cannot);
	}
}

int list_points(const struct cmd_context *ctx)
{
	struct engine_set *set = engine_set_load(NULL, ctx->diag);
	cJSON *json = ctx->config->json ? cJSON_CreateArray() : NULL;
	struct cxx_names *names;

	if (!set) {
		cJSON_Delete(json);
		return EXIT_USAGE;
	}
	names = cxx_names_new();
	for (size_t i = 0; i < engine_count(set); i++) {
		const struct engine *e = engine_at(set, i);

		for (size_t l = 0; l < e->n_levels; l++)
			print_level_points(e, &e->levels[l], names, json);
	}
	cxx_names_free(names);
	engine_set_free(set);
	return json ? list_json(json) : EXIT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* list engines, list points: what the engine files say. */
#include <cjson/cJSON.h>
#include <stdlib.h>

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
	printf("%-14s ", e->name);
	cmd_print_wrapped(e->about ? e->about : "", 15, stdout);
	printf("%-14s levels:", "");
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

static void print_events(const struct engine_function *f, struct buf *out)
{
	if (f->entry.event)
		buf_printf(out, "entry: %s", f->entry.event->name);
	if (f->exit.event)
		buf_printf(out, "%sexit: %s", out->len ? ", " : "", f->exit.event->name);
}

static void print_point(const struct point *p, cJSON *json)
{
	const struct engine_function *f = p->function;
	const char *symbol = f->symbol ? f->symbol : f->string;
	char *plain = f->symbol ? cxx_demangle(p->names, symbol) : NULL;
	const char *name = plain ? plain : symbol;
	struct buf events = {0};
	cJSON *o;

	print_events(f, &events);
	if (!json) {
		printf("%-14s %-9s %-22s %s%s%s%s%s  (%s)\n", p->engine->name,
		       level_text(p->level->level), p->alternative->name,
		       f->library ? f->library : "", f->library ? ":" : "",
		       f->symbol ? "" : "user of \"", name, f->symbol ? "" : "\"",
		       buf_str(&events));
	} else {
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "engine", p->engine->name);
		cJSON_AddStringToObject(o, "level", level_text(p->level->level));
		cJSON_AddStringToObject(o, "alternative", p->alternative->name);
		cJSON_AddStringToObject(o, f->symbol ? "symbol" : "string", symbol);
		if (plain)
			cJSON_AddStringToObject(o, "name", plain);
		if (f->library)
			cJSON_AddStringToObject(o, "library", f->library);
		cJSON_AddStringToObject(o, "events", buf_str(&events));
		if (p->alternative->cannot)
			cJSON_AddStringToObject(o, "cannot", p->alternative->cannot);
		cJSON_AddItemToArray(json, o);
	}
	free(plain);
	buf_free(&events);
}

static void print_level_points(const struct engine *e, const struct engine_level *l,
			       struct cxx_names *names, cJSON *json)
{
	for (size_t a = 0; a < l->n_alternatives; a++) {
		const struct engine_alternative *alt = &l->alternatives[a];

		for (size_t f = 0; f < alt->n_functions; f++)
			print_point(&(struct point){e, l, alt, &alt->functions[f], names}, json);
		if (alt->cannot && !json)
			printf("%-24s it cannot see: %s\n", "", alt->cannot);
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

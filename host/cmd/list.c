/* SPDX-License-Identifier: Apache-2.0 */
/* list: what llmprobe knows by itself, one function per topic. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/list.h"
#include "util/text.h"

int list_json(cJSON *json)
{
	char *text = cJSON_Print(json);

	puts(text);
	free(text);
	cJSON_Delete(json);
	return EXIT_OK;
}

static int list_levels(const struct cmd_context *ctx)
{
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];

		if (!o->key || !text_starts(o->key, "levels."))
			continue;
		printf("%-10s ", o->key + strlen("levels."));
		cmd_print_wrapped(o->help, 11, stdout);
	}
	(void)ctx;
	return EXIT_OK;
}

/* Keys with their present values, so that -c FILE shows what a file amounts to. */
static int list_options(const struct cmd_context *ctx)
{
	cJSON *json = ctx->config->json ? cJSON_CreateObject() : NULL;

	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];
		struct buf value = {0};

		if (!o->key || (o->flags & OPTION_ALIAS))
			continue;
		option_print(o, ctx->config, &value);
		if (json)
			cJSON_AddStringToObject(json, o->key, buf_str(&value));
		else
			printf("%-24s %-24s %s\n", o->key, *buf_str(&value) ? buf_str(&value) : "-",
			       option_expects(o));
		buf_free(&value);
	}
	return json ? list_json(json) : EXIT_OK;
}

/* Adding a topic: a function (cmd/list_*.c) and a row; completion and help follow. */
const struct list_topic list_topics[] = {
	{"levels", "the trace levels and what their rows mean", list_levels},
	{"options", "every configuration key with its value (of -c FILE, else the default)",
	 list_options},
	{"engines", "the engine files and the levels they serve", list_engines},
	{"points", "the functions that each engine file probes, best alternative first",
	 list_points},
	{"builtins", "names and functions of the script language", list_builtins},
	{"events", "the engine's events for scripts, with their arguments", list_events},
	{"counters", "events for trace_pmc, and whether they count here", list_counters},
	{0},
};

static const char *next_topic(const void *state, size_t i)
{
	(void)state;
	return list_topics[i].name;
}

int cmd_list(const struct cmd_context *ctx)
{
	const char *topic = ctx->config->args.count ? ctx->config->args.items[0] : NULL;
	const char *near;

	for (const struct list_topic *t = list_topics; t->name; t++) {
		if (!topic)
			printf("%-10s %s\n", t->name, t->help);
		else if (strcmp(t->name, topic) == 0)
			return t->run(ctx);
	}
	if (!topic)
		return EXIT_OK;
	near = text_nearest(topic, next_topic, NULL);
	diag_add(ctx->diag, DIAG_ERROR, "there is no list of '%s'%s%s%s", topic,
		 near ? "; did you mean '" : "; llmprobe list names the topics", near ? near : "",
		 near ? "'?" : "");
	return EXIT_USAGE;
}

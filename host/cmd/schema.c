/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON schema of the configuration file, so that editors complete and check it. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

static cJSON *typed(const char *type)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "type", type);
	return o;
}

static cJSON *list_of_words(void)
{
	cJSON *o = typed("array");

	cJSON_AddItemToObject(o, "items", typed("string"));
	return o;
}

static cJSON *any_of(cJSON *a, cJSON *b, cJSON *c)
{
	cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "anyOf");

	cJSON_AddItemToArray(list, a);
	cJSON_AddItemToArray(list, b);
	if (c)
		cJSON_AddItemToArray(list, c);
	return o;
}

static cJSON *value_schema(const struct option *o)
{
	cJSON *s;

	switch (o->type) {
	case OPTION_BOOL:
		return typed("boolean");
	case OPTION_INT:
		s = typed("integer");
		cJSON_AddNumberToObject(s, "minimum", o->min);
		cJSON_AddNumberToObject(s, "maximum", o->max);
		return s;
	case OPTION_ENUM:
		s = typed("string");
		cJSON_AddItemToObject(
			s, "enum",
			cJSON_CreateStringArray(o->choices, (int)option_choice_count(o)));
		return s;
	case OPTION_LIST:
	case OPTION_COMMAND:
	case OPTION_LEVELS:
		return any_of(list_of_words(), typed("string"), NULL);
	case OPTION_COUNTERS:
		return any_of(typed("boolean"), list_of_words(), typed("string"));
	case OPTION_PERCENT:
		return any_of(typed("string"), typed("boolean"), NULL);
	case OPTION_SIZE:
	case OPTION_DURATION:
	case OPTION_BARRIER:
		return any_of(typed("string"), typed("integer"), NULL);
	default:
		return typed("string");
	}
}

static cJSON *group_schema(void)
{
	cJSON *o = typed("object");

	cJSON_AddItemToObject(o, "properties", cJSON_CreateObject());
	cJSON_AddBoolToObject(o, "additionalProperties", false);
	return o;
}

/* A key that is a value and a group at once ("buffer", "levels") takes either. */
static void add_property(cJSON *group, const char *name, cJSON *schema)
{
	cJSON *properties = cJSON_GetObjectItem(group, "properties");
	cJSON *other = cJSON_DetachItemFromObject(properties, name);

	cJSON_AddItemToObject(properties, name, other ? any_of(other, schema, NULL) : schema);
}

/* All keys below `prefix`, in table order. */
static void fill_group(cJSON *group, const char *prefix)
{
	size_t len = strlen(prefix);

	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];
		cJSON *s;

		if (!o->key || strncmp(o->key, prefix, len) != 0 || strchr(o->key + len, '.'))
			continue;
		s = value_schema(o);
		cJSON_AddStringToObject(s, "description", o->help);
		if (o->def)
			cJSON_AddStringToObject(s, "default", o->def);
		add_property(group, o->key + len, s);
	}
}

static void add_groups(cJSON *root)
{
	const char *done = "";

	for (size_t i = 0; i < option_count(); i++) {
		const char *key = option_table[i].key, *dot = key ? strchr(key, '.') : NULL;
		cJSON *group;
		char *prefix;

		if (!dot || strncmp(key, done, (size_t)(dot - key) + 1) == 0)
			continue;
		done = key;
		prefix = xstrndup(key, (size_t)(dot - key) + 1);
		group = group_schema();
		fill_group(group, prefix);
		prefix[dot - key] = '\0';
		add_property(root, prefix, group);
		free(prefix);
	}
}

void cmd_print_schema(FILE *out)
{
	cJSON *root = group_schema();
	char *text;

	cJSON_AddStringToObject(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
	cJSON_AddStringToObject(root, "title", "llmprobe configuration");
	fill_group(root, "");
	add_groups(root);
	text = cJSON_Print(root);
	fprintf(out, "%s\n", text);
	free(text);
	cJSON_Delete(root);
}

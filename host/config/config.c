/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/state.h"
#include "util/text.h"

const struct option *option_primary(const struct option *o)
{
	while (o->flags & OPTION_ALIAS)
		o--;
	return o;
}

struct config_origin *config_origin(const struct config *c, const struct option *o)
{
	return &c->state->origin[option_index(option_primary(o))];
}

struct config *config_new(void)
{
	struct config *c = xcalloc(1, sizeof(*c));

	c->state = xcalloc(1, sizeof(*c->state));
	c->state->origin = xcalloc(option_count(), sizeof(*c->state->origin));
	for (size_t i = 0; i < option_count(); i++)
		option_reset(&option_table[i], c);
	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < option_count(); i++)
		if (!(option_table[i].flags & OPTION_ALIAS))
			option_release(&option_table[i], c);
	string_list_clear(&c->args);
	for (struct config_text *t = c->state->texts, *next; t; t = next) {
		next = t->next;
		free((char *)t->source.name);
		free((char *)t->source.text);
		free(t);
	}
	free(c->state->origin);
	free(c->state);
	free(c);
}

const char *config_spelling(const struct config *c, const struct option *o, struct buf *scratch)
{
	buf_reset(scratch);
	if (config_origin(c, o)->layer != LAYER_ARGS)
		buf_puts(scratch, o->key);
	else if (o->type == OPTION_COMMAND)
		buf_puts(scratch, "-- CMD");
	else
		buf_printf(scratch, "--%s", o->flag);
	return buf_str(scratch);
}

int config_complain(const struct config *c, const struct option *o, struct diag *d, const char *fmt,
		    ...)
{
	const struct config_origin *from = config_origin(c, o);
	struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (from->layer == LAYER_FILE)
		diag_add_at(d, DIAG_ERROR, from->source, from->at, "%s", buf_str(&text));
	else
		diag_add(d, DIAG_ERROR, "%s", buf_str(&text));
	buf_free(&text);
	return -EINVAL;
}

void config_refuse(const struct config *c, const char *key, const char *why, struct diag *d)
{
	config_complain(c, option_by_key(key), d, "%s", why);
}

/* Two values that exclude each other; the later layer is the one to point at. */
static int conflict(const struct config *c, const char *key_a, const char *key_b, struct diag *d,
		    const char *why)
{
	const struct option *a = option_by_key(key_a), *b = option_by_key(key_b);
	struct buf name_a = {0}, name_b = {0};
	const struct config_origin *from = config_origin(c, a);
	char line[32] = "";

	if (from->layer == LAYER_FILE)
		snprintf(line, sizeof(line), " (line %d)", from->at.line);
	config_complain(c, b, d, "%s and %s%s exclude each other: %s",
			config_spelling(c, b, &name_b), config_spelling(c, a, &name_a), line, why);
	buf_free(&name_a);
	buf_free(&name_b);
	return -EINVAL;
}

/* A target named on the command line replaces one of the file, of whatever kind. */
static int check_target(struct config *c, struct diag *d)
{
	static const char *const keys[] = {"target.pid", "target.exe", "target.command"};
	const char *chosen = NULL;
	enum config_layer top = LAYER_DEFAULT;
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		enum config_layer layer = config_origin(c, option_by_key(keys[i]))->layer;

		top = layer > top ? layer : top;
	}
	for (size_t i = 0; top > LAYER_DEFAULT && i < ARRAY_LEN(keys); i++) {
		const struct option *o = option_by_key(keys[i]);

		if (config_origin(c, o)->layer < top) {
			option_reset(o, c);
			config_origin(c, o)->layer = LAYER_DEFAULT;
		} else if (chosen) {
			err = conflict(c, chosen, keys[i], d, "name one target");
		} else {
			chosen = keys[i];
		}
	}
	return err;
}

static bool level_given(const struct config *c, const char *key)
{
	return config_given(c, key) || config_given(c, "levels");
}

static bool any_level_given(const struct config *c)
{
	for (size_t i = 0; i < option_count(); i++) {
		const char *key = option_table[i].key;

		if (key && text_starts(key, "levels") && config_given(c, key))
			return true;
	}
	return false;
}

/* Counters are values of operator rows. Where nobody can switch those on later, they are on. */
static void add_operators(struct config *c, enum command_id command, struct diag *d)
{
	if (command != COMMAND_RECORD || !c->pmc || c->level[LEVEL_OPERATOR])
		return;
	if (config_given(c, "levels.operator"))
		diag_add(d, DIAG_WARNING,
			 "there will be no counters: they are values of operator rows, and the "
			 "operator level is off");
	else
		c->level[LEVEL_OPERATOR] = true;
}

static int check_counter_level(struct config *c, struct diag *d)
{
	enum config_layer own;

	own = config_origin(c, option_by_key("levels.counters"))->layer;
	if (own == LAYER_DEFAULT || own < config_origin(c, option_by_key("trace_pmc"))->layer) {
		c->level[LEVEL_COUNTERS] |= c->pmc;
		c->pmc |= c->level[LEVEL_COUNTERS];
		return 0;
	}
	if (c->level[LEVEL_COUNTERS] && !c->pmc && config_given(c, "trace_pmc"))
		return conflict(c, "levels.counters", "trace_pmc", d,
				"the one switches counters on, the other off");
	c->pmc |= c->level[LEVEL_COUNTERS];
	return 0;
}

static int check_levels(struct config *c, enum command_id command, struct diag *d)
{
	int err;

	if (command == COMMAND_RECORD && !any_level_given(c))
		c->level[LEVEL_OPERATOR] = c->level[LEVEL_SCHEDULER] = true;
	err = check_counter_level(c, d);
	add_operators(c, command, d);
	return err;
}

/* Without times there are sums only, so nothing that consists of times can be asked for. */
static int check_timestamps(struct config *c, struct diag *d)
{
	int err = 0;

	if (c->timestamps)
		return 0;
	if (config_given(c, "operators.mode") && c->operators.mode == CONFIG_OPS_EVENTS)
		err = conflict(c, "operators.mode", "trace_timestamps", d,
			       "events are stored with their times");
	if (level_given(c, "levels.scheduler") && c->level[LEVEL_SCHEDULER])
		err = conflict(c,
			       config_given(c, "levels.scheduler") ? "levels.scheduler" : "levels",
			       "trace_timestamps", d, "scheduler intervals consist of times");
	c->operators.mode = CONFIG_OPS_SUMMARY;
	c->level[LEVEL_SCHEDULER] = false;
	return err;
}

int config_check(struct config *c, enum command_id command, struct diag *d)
{
	int err = check_target(c, d);
	int levels = check_levels(c, command, d);
	int times = check_timestamps(c, d);

	if (!c->operators.include.count)
		err = config_complain(c, option_by_key("operators.include"), d,
				      "operators.include is empty, so no operator would be traced; "
				      "leave it out, or switch the level off");
	return err ? err : levels ? levels : times;
}

static const struct option *key_or_complain(const char *key, struct diag *d)
{
	const struct option *o = option_by_key(key);
	const char *near;

	if (o)
		return o;
	near = option_nearest_key(key);
	diag_add(d, DIAG_ERROR, "there is no key '%s'%s%s%s", key, near ? "; did you mean '" : "",
		 near ? near : "", near ? "'?" : "; `set` alone lists them");
	return NULL;
}

int config_set(struct config *c, const char *key, const char *value, enum config_effect *effect,
	       struct diag *d)
{
	const struct option *o = key_or_complain(key, d);
	struct buf why = {0};
	int err;

	if (!o)
		return -ENOENT;
	if (o->effect == CONFIG_FIXED)
		return diag_fail(d, -EPERM,
				 "%s cannot change while llmprobe runs; put it into the "
				 "configuration or on the command line",
				 key);
	err = option_parse(o, c, value, &why);
	if (err)
		diag_add(d, DIAG_ERROR, "%s: %s", key, buf_str(&why));
	else
		config_origin(c, o)->layer = LAYER_SET;
	if (effect)
		*effect = o->effect;
	buf_free(&why);
	return err;
}

bool config_get(const struct config *c, const char *key, struct buf *out)
{
	const struct option *o = option_by_key(key);

	if (o)
		option_print(o, c, out);
	return o != NULL;
}

bool config_given(const struct config *c, const char *key)
{
	const struct option *o = option_by_key(key);

	return o && config_origin(c, o)->layer != LAYER_DEFAULT;
}

/* A scalar in double quotes, with the escapes of YAML. */
static void write_quoted(const char *s, struct buf *out)
{
	buf_putc(out, '"');
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch == '"' || ch == '\\')
			buf_printf(out, "\\%c", ch);
		else if (ch < 0x20 || ch == 0x7f)
			buf_printf(out, "\\x%02x", ch);
		else
			buf_putc(out, *s);
	}
	buf_putc(out, '"');
}

static void write_list(const struct string_list *l, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < l->count; i++) {
		buf_puts(out, i ? ", " : "");
		write_quoted(l->items[i], out);
	}
	buf_putc(out, ']');
}

static void write_value(const struct config *c, const struct option *o, struct buf *out)
{
	struct buf text = {0};

	if (o->type == OPTION_LIST || o->type == OPTION_COMMAND) {
		write_list((const struct string_list *)((const char *)c + o->offset), out);
		return;
	}
	if (o->type == OPTION_COUNTERS && c->pmc_names.count) {
		write_list(&c->pmc_names, out);
		return;
	}
	option_print(o, c, &text);
	if (o->type == OPTION_STRING || o->type == OPTION_PATH)
		write_quoted(buf_str(&text), out);
	else
		buf_puts(out, buf_str(&text));
	buf_free(&text);
}

void config_write(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];
		struct buf now = {0};
		bool same;

		if (!o->key || o->type == OPTION_LEVELS || (o->flags & OPTION_ALIAS))
			continue;
		option_print(o, c, &now);
		same = strcmp(buf_str(&now), o->def ? o->def : "") == 0 ||
		       (!o->def && o->type == OPTION_INT && strcmp(buf_str(&now), "0") == 0);
		if (!same) {
			buf_printf(out, "%s: ", o->key);
			write_value(c, o, out);
			buf_putc(out, '\n');
		}
		buf_free(&now);
	}
}

bool config_use_colour(const struct config *c, FILE *f)
{
	const char *no_color = getenv("NO_COLOR");

	if (c->colour != CONFIG_COLOUR_AUTO)
		return c->colour == CONFIG_COLOUR_ALWAYS;
	return isatty(fileno(f)) && !(no_color && *no_color);
}

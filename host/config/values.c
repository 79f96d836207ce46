/* SPDX-License-Identifier: Apache-2.0 */
/* From text to a field of struct config and back, one pair of functions per option type. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"
#include "util/text.h"
#include "util/words.h"

static const char *const level_names[LEVEL_COUNT] = {
	[LEVEL_TOKEN] = "token",       [LEVEL_GRAPH] = "graph",
	[LEVEL_OPERATOR] = "operator", [LEVEL_SCHEDULER] = "scheduler",
	[LEVEL_COUNTERS] = "counters", [LEVEL_PLUGIN] = "plugin",
};
/* Plugins are named by their files, not switched on as a level. */
enum { NAMED_LEVELS = LEVEL_PLUGIN };

static void *field(const struct option *o, const struct config *c)
{
	return (char *)c + o->offset;
}

void string_list_add(struct string_list *l, const char *s, size_t len)
{
	*VEC_PUSH(l->items, l->count, l->cap) = xstrndup(s, len);
	*VEC_PUSH(l->items, l->count, l->cap) = NULL;
	l->count--;
}

void string_list_clear(struct string_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct string_list){0};
}

static int refuse(struct buf *why, const char *text, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int refuse(struct buf *why, const char *text, const char *fmt, ...)
{
	va_list ap;

	buf_printf(why, "'%s' ", text);
	va_start(ap, fmt);
	buf_vprintf(why, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int parse_truth(const char *text, bool *out)
{
	static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no",
									       "off"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*out = strcasecmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

static void print_number(const struct option *o, double v, struct buf *out);

static int check_range(const struct option *o, double v, const char *text, struct buf *why)
{
	if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
		return 0;
	refuse(why, text, "is out of range: ");
	print_number(o, o->min, why);
	buf_puts(why, " to ");
	print_number(o, o->max, why);
	return -ERANGE;
}

static int parse_bool(const struct option *o, void *dst, const char *text, struct buf *why)
{
	(void)o;
	return parse_truth(text, dst) ? refuse(why, text, "is neither true nor false") : 0;
}

static int parse_int(const struct option *o, void *dst, const char *text, struct buf *why)
{
	int64_t v = 0;
	int err = text_to_i64(text, &v);

	if (err == -ERANGE)
		return check_range(o, o->max * 2 + 1, text, why);
	if (err)
		return refuse(why, text, "is not a whole number");
	err = check_range(o, (double)v, text, why);
	if (!err)
		*(int64_t *)dst = v;
	return err;
}

/* The powers of two around a size, for a message. */
static int refuse_odd_size(const char *text, uint64_t v, struct buf *why)
{
	static const struct option size = {.type = OPTION_SIZE};
	uint64_t below = 1;

	while (below * 2 < v)
		below *= 2;
	refuse(why, text, "is no power of two; next to it are ");
	print_number(&size, (double)below, why);
	buf_puts(why, " and ");
	print_number(&size, (double)below * 2, why);
	return -EINVAL;
}

static int parse_size(const struct option *o, void *dst, const char *text, struct buf *why)
{
	uint64_t v = 0;
	int err = text_to_size(text, &v);

	if (err == -ERANGE)
		return check_range(o, o->max * 2 + 1, text, why);
	if (err)
		return refuse(why, text, "is not a size; write it like 16MiB");
	err = check_range(o, (double)v, text, why);
	if (!err && (o->flags & OPTION_POWER_OF_2) && (v & (v - 1)))
		err = refuse_odd_size(text, v, why);
	if (!err)
		*(uint64_t *)dst = v;
	return err;
}

static int parse_duration(const struct option *o, void *dst, const char *text, struct buf *why)
{
	uint64_t v = 0;
	int err = text_to_duration(text, &v);

	if (err == -ERANGE)
		return check_range(o, o->max * 2 + 1, text, why);
	if (err)
		return refuse(why, text, "is not a time; write it like 50ms, 10s or 5m");
	err = check_range(o, (double)v, text, why);
	if (!err)
		*(uint64_t *)dst = v;
	return err;
}

static int parse_percent(const struct option *o, void *dst, const char *text, struct buf *why)
{
	size_t len = strlen(text);
	char *number;
	double v = 0;
	bool truth = true;
	int err;

	if (parse_truth(text, &truth) == 0 && !truth) {
		*(double *)dst = 0;
		return 0;
	}
	if (!len || text[len - 1] != '%')
		return refuse(why, text, "is not a percentage; write it like 2%%, or off");
	number = xstrndup(text, len - 1);
	err = text_to_double(number, &v);
	free(number);
	if (err)
		return refuse(why, text, "is not a percentage; write it like 2%%, or off");
	err = check_range(o, v, text, why);
	if (!err)
		*(double *)dst = v;
	return err;
}

static int parse_string(const struct option *o, void *dst, const char *text, struct buf *why)
{
	char **s = dst;

	(void)o;
	if (!*text)
		return refuse(why, text, "is empty");
	free(*s);
	*s = xstrdup(text);
	return 0;
}

size_t option_choice_count(const struct option *o)
{
	size_t n = 0;

	while (o->choices[n])
		n++;
	return n;
}

static void add_nearest(struct buf *why, const char *text, const char *const *names, size_t n)
{
	const char *near = text_nearest_of(text, names, n);

	if (near)
		buf_printf(why, "; did you mean '%s'?", near);
}

static int parse_enum(const struct option *o, void *dst, const char *text, struct buf *why)
{
	size_t n = option_choice_count(o);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(o->choices[i], text) == 0) {
			*(int *)dst = (int)i;
			return 0;
		}
	}
	refuse(why, text, "is %s", n > 2 ? "not one of " : "neither ");
	for (size_t i = 0; i < n; i++)
		buf_printf(why, "%s%s", i == 0 ? "" : n > 2 ? ", " : " nor ", o->choices[i]);
	add_nearest(why, text, o->choices, n);
	return -EINVAL;
}

static int parse_barrier(const struct option *o, void *dst, const char *text, struct buf *why)
{
	int64_t v = 0;
	int err;

	if (strcmp(text, "always") == 0 || strcmp(text, "never") == 0) {
		*(int64_t *)dst = strcmp(text, "always") == 0;
		return 0;
	}
	err = text_to_i64(text, &v);
	if (err == -EINVAL)
		return refuse(why, text, "is neither always, never nor a number of decodes");
	err = check_range(o, err ? o->max + 1 : (double)v, text, why);
	if (!err)
		*(int64_t *)dst = v;
	return err;
}

/* Splits at commas, except where each flag gives one item. */
static int list_from_text(const struct option *o, const char *text, struct string_list *out,
			  struct buf *why)
{
	const char *p = text, *comma;

	for (;; p = comma + 1) {
		comma = o->flags & OPTION_REPEAT ? NULL : strchr(p, ',');
		if (comma == p || !*p)
			return refuse(why, text, *text ? "has an empty item" : "is empty");
		string_list_add(out, p, comma ? (size_t)(comma - p) : strlen(p));
		if (!comma)
			return 0;
	}
}

static int command_from_text(const char *text, struct string_list *out, struct buf *why)
{
	struct words w;
	int err = words_split(text, &w, NULL);

	if (err)
		refuse(why, text, "has a quote that is not closed");
	else if (!w.argc)
		err = refuse(why, text, "is empty");
	for (size_t i = 0; !err && i < w.argc; i++)
		string_list_add(out, w.argv[i], strlen(w.argv[i]));
	words_free(&w);
	return err;
}

static int levels_from_list(bool *dst, const struct string_list *names, struct buf *why)
{
	bool on[LEVEL_COUNT] = {false};

	for (size_t i = 0; i < names->count; i++) {
		const char *name = names->items[i];
		int level = 0;

		if (strcmp(name, "none") == 0)
			continue;
		if (strcmp(name, "all") == 0) {
			for (level = 0; level < NAMED_LEVELS; level++)
				on[level] |= level != LEVEL_COUNTERS;
			continue;
		}
		while (level < NAMED_LEVELS && strcmp(level_names[level], name) != 0)
			level++;
		if (level == NAMED_LEVELS) {
			refuse(why, name, "is not a level");
			add_nearest(why, name, level_names, NAMED_LEVELS);
			return -EINVAL;
		}
		on[level] = true;
	}
	memcpy(dst, on, sizeof(on));
	return 0;
}

/* Puts a list in place; takes `l` over. */
static int assign_list(const struct option *o, struct config *c, struct string_list *l,
		       struct buf *why)
{
	struct string_list *dst;
	int err = 0;

	if (o->type == OPTION_LEVELS) {
		err = levels_from_list(field(o, c), l, why);
		string_list_clear(l);
		return err;
	}
	if (o->type == OPTION_COUNTERS) {
		*(bool *)field(o, c) = true;
		dst = &c->pmc_names;
	} else {
		dst = field(o, c);
	}
	string_list_clear(dst);
	*dst = *l;
	return 0;
}

static int parse_as_list(const struct option *o, struct config *c, const char *text,
			 struct buf *why)
{
	struct string_list l = {0};
	bool truth;
	int err;

	if (o->type == OPTION_COUNTERS && parse_truth(text, &truth) == 0) {
		string_list_clear(&c->pmc_names);
		*(bool *)field(o, c) = truth;
		return 0;
	}
	err = o->type == OPTION_COMMAND ? command_from_text(text, &l, why)
					: list_from_text(o, text, &l, why);
	if (!err)
		return assign_list(o, c, &l, why);
	string_list_clear(&l);
	return err;
}

int option_append(const struct option *o, struct config *c, const char *text, struct buf *why)
{
	return list_from_text(o, text, field(o, c), why);
}

typedef int parse_fn(const struct option *o, void *dst, const char *text, struct buf *why);

static parse_fn *const scalar_parsers[] = {
	[OPTION_BOOL] = parse_bool,	  [OPTION_INT] = parse_int,
	[OPTION_SIZE] = parse_size,	  [OPTION_DURATION] = parse_duration,
	[OPTION_PERCENT] = parse_percent, [OPTION_STRING] = parse_string,
	[OPTION_PATH] = parse_string,	  [OPTION_ENUM] = parse_enum,
	[OPTION_BARRIER] = parse_barrier, [OPTION_LIST] = NULL,
	[OPTION_COMMAND] = NULL,	  [OPTION_LEVELS] = NULL,
	[OPTION_COUNTERS] = NULL,
};

bool option_is_list(const struct option *o)
{
	return !scalar_parsers[o->type];
}

int option_parse(const struct option *o, struct config *c, const char *text, struct buf *why)
{
	if (option_is_list(o))
		return parse_as_list(o, c, text, why);
	return scalar_parsers[o->type](o, field(o, c), text, why);
}

int option_parse_list(const struct option *o, struct config *c, const char *const *items, size_t n,
		      struct buf *why)
{
	struct string_list l = {0};

	if (!option_is_list(o))
		return refuse(why, "a list", "is no value for it");
	for (size_t i = 0; i < n; i++)
		string_list_add(&l, items[i], strlen(items[i]));
	return assign_list(o, c, &l, why);
}

void option_release(const struct option *o, struct config *c)
{
	switch (o->type) {
	case OPTION_STRING:
	case OPTION_PATH:
		free(*(char **)field(o, c));
		*(char **)field(o, c) = NULL;
		break;
	case OPTION_LIST:
	case OPTION_COMMAND:
		string_list_clear(field(o, c));
		break;
	case OPTION_COUNTERS:
		string_list_clear(&c->pmc_names);
		break;
	case OPTION_INT:
		*(int64_t *)field(o, c) = 0;
		break;
	default:
		break;
	}
}

void option_reset(const struct option *o, struct config *c)
{
	struct buf why = {0};

	if (o->flags & OPTION_ALIAS)
		return;
	option_release(o, c);
	if (o->def)
		option_parse(o, c, o->def, &why);
	buf_free(&why);
}

struct unit {
	const char *name;
	double factor;
};

/* The largest unit that divides the value, so that nothing is rounded. */
static void print_exact(double v, const struct unit *units, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		double count = v / units[i].factor;

		if (i + 1 == n || count == (double)(uint64_t)count) {
			buf_printf(out, "%.0f%s", count, units[i].name);
			return;
		}
	}
}

static void print_number(const struct option *o, double v, struct buf *out)
{
	static const struct unit sizes[] = {
		{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}};
	static const struct unit times[] = {{"h", 3600e9}, {"m", 60e9}, {"s", 1e9},
					    {"ms", 1e6},   {"us", 1e3}, {"ns", 1}};

	if (v == 0)
		buf_putc(out, '0');
	else if (o->type == OPTION_SIZE)
		print_exact(v, sizes, ARRAY_LEN(sizes), out);
	else if (o->type == OPTION_DURATION)
		print_exact(v, times, ARRAY_LEN(times), out);
	else
		buf_printf(out, "%.*g%s", 15, v, o->type == OPTION_PERCENT ? "%" : "");
}

static void print_list(const struct string_list *l, struct buf *out)
{
	for (size_t i = 0; i < l->count; i++)
		buf_printf(out, "%s%s", i ? "," : "", l->items[i]);
}

static void print_levels(const bool *on, struct buf *out)
{
	size_t start = out->len;

	for (int level = 0; level < NAMED_LEVELS; level++)
		if (on[level])
			buf_printf(out, "%s%s", out->len > start ? "," : "", level_names[level]);
	if (out->len == start)
		buf_puts(out, "none");
}

/* Words that a plain split would not give back are put in single quotes. */
static void print_command(const struct string_list *l, struct buf *out)
{
	for (size_t i = 0; i < l->count; i++) {
		const char *word = l->items[i];
		bool plain = *word && !strpbrk(word, " \t\n\r'\"\\#");

		buf_puts(out, i ? " " : "");
		if (plain) {
			buf_puts(out, word);
			continue;
		}
		buf_putc(out, '\'');
		for (; *word; word++)
			buf_puts(out, *word == '\'' ? "'\"'\"'" : (char[]){*word, '\0'});
		buf_putc(out, '\'');
	}
}

void option_print(const struct option *o, const struct config *c, struct buf *out)
{
	const void *p = field(o, c);

	switch (o->type) {
	case OPTION_BOOL:
		buf_puts(out, *(const bool *)p ? "true" : "false");
		break;
	case OPTION_INT:
		buf_printf(out, "%lld", (long long)*(const int64_t *)p);
		break;
	case OPTION_SIZE:
	case OPTION_DURATION:
		print_number(o, (double)*(const uint64_t *)p, out);
		break;
	case OPTION_PERCENT:
		if (*(const double *)p > 0)
			print_number(o, *(const double *)p, out);
		else
			buf_puts(out, "off");
		break;
	case OPTION_STRING:
	case OPTION_PATH:
		buf_puts(out, *(char *const *)p ? *(char *const *)p : "");
		break;
	case OPTION_ENUM:
		buf_puts(out, o->choices[*(const int *)p]);
		break;
	case OPTION_LIST:
		print_list(p, out);
		break;
	case OPTION_COMMAND:
		print_command(p, out);
		break;
	case OPTION_LEVELS:
		print_levels(p, out);
		break;
	case OPTION_COUNTERS:
		if (c->pmc_names.count)
			print_list(&c->pmc_names, out);
		else
			buf_puts(out, *(const bool *)p ? "true" : "false");
		break;
	case OPTION_BARRIER:
		if (*(const int64_t *)p > 1)
			buf_printf(out, "%lld", (long long)*(const int64_t *)p);
		else
			buf_puts(out, *(const int64_t *)p ? "always" : "never");
		break;
	}
}

const char *option_expects(const struct option *o)
{
	static const char *const texts[] = {
		[OPTION_BOOL] = "true or false",
		[OPTION_INT] = "a whole number",
		[OPTION_SIZE] = "a size such as 16MiB",
		[OPTION_DURATION] = "a time such as 50ms",
		[OPTION_PERCENT] = "a percentage such as 2%, or off",
		[OPTION_STRING] = "a word",
		[OPTION_PATH] = "a path",
		[OPTION_ENUM] = "one of its choices",
		[OPTION_LIST] = "a list",
		[OPTION_COMMAND] = "a list of arguments",
		[OPTION_LEVELS] = "a list of levels, or each level with true or false",
		[OPTION_COUNTERS] = "true, false or a list of counter names",
		[OPTION_BARRIER] = "always, never or a number of decodes",
	};

	return texts[o->type];
}

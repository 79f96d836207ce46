/* SPDX-License-Identifier: Apache-2.0 */
#include "script/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/text.h"

enum setting_kind { SET_NUMBER, SET_BOOL, SET_TEXT, SET_WORD };

struct setting {
	const char *key;
	enum setting_kind kind;
	size_t offset;
	uint64_t min, max;
	const char *words; /* SET_WORD: blank-separated, the value is the position */
	uint64_t number;   /* default */
	const char *text;
};

#define AT(field) offsetof(struct settings, field)

static const struct setting table[] = {
	{"max_map_keys", SET_NUMBER, AT(max_map_keys), 1, 1 << 26, NULL, 4096, NULL},
	{"max_strlen", SET_NUMBER, AT(max_strlen), 1, 16384, NULL, 1024, NULL},
	{"max_probes", SET_NUMBER, AT(max_probes), 1, 1 << 20, NULL, 1024, NULL},
	{"max_bpf_progs", SET_NUMBER, AT(max_bpf_progs), 1, 1 << 20, NULL, 1024, NULL},
	{"max_cat_bytes", SET_NUMBER, AT(max_cat_bytes), 1, 1 << 30, NULL, 10240, NULL},
	{"log_size", SET_NUMBER, AT(log_size), 1, 1 << 30, NULL, 1000000, NULL},
	{"perf_rb_pages", SET_NUMBER, AT(perf_rb_pages), 0, 1 << 20, NULL, 0, NULL},
	{"on_stack_limit", SET_NUMBER, AT(on_stack_limit), 0, 256, NULL, 32, NULL},
	{"missing_probes", SET_WORD, AT(missing_probes), 0, 0, "error warn ignore", 0, NULL},
	{"stack_mode", SET_WORD, AT(stack_mode), 0, 0, "bpftrace perf raw build_id", 0, NULL},
	{"cache_user_symbols", SET_WORD, AT(cache_user_symbols), 0, 0, "PER_PROGRAM PER_PID NONE",
	 0, NULL},
	{"unstable_map_decl", SET_WORD, AT(unstable_map_decl), 0, 0, "enable warn error", 0, NULL},
	{"unstable_tseries", SET_WORD, AT(unstable_tseries), 0, 0, "enable warn error", 0, NULL},
	{"unstable_addr", SET_WORD, AT(unstable_addr), 0, 0, "enable warn error", 0, NULL},
	{"print_maps_on_exit", SET_BOOL, AT(print_maps_on_exit), 0, 0, NULL, 1, NULL},
	{"cpp_demangle", SET_BOOL, AT(cpp_demangle), 0, 0, NULL, 1, NULL},
	{"lazy_symbolication", SET_BOOL, AT(lazy_symbolication), 0, 0, NULL, 1, NULL},
	{"show_debug_info", SET_BOOL, AT(show_debug_info), 0, 0, NULL, 0, NULL},
	{"str_trunc_trailer", SET_TEXT, AT(str_trunc_trailer), 0, 0, NULL, 0, ".."},
	{"license", SET_TEXT, AT(license), 0, 0, NULL, 0, "GPL"},
};

static const struct setting *find(const char *key)
{
	/* bpftrace's own environment names work as keys too */
	if (strncasecmp(key, "BPFTRACE_", 9) == 0)
		key += 9;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcasecmp(table[i].key, key) == 0)
			return &table[i];
	return strcasecmp(key, "strlen") == 0	      ? find("max_strlen")
	       : strcasecmp(key, "map_keys_max") == 0 ? find("max_map_keys")
						      : NULL;
}

static bool set_word(const struct setting *s, uint64_t *dst, const char *value)
{
	uint64_t i = 0;

	for (const char *p = s->words; *p; i++) {
		const char *end = strchrnul(p, ' ');

		if (strlen(value) == (size_t)(end - p) &&
		    strncasecmp(value, p, (size_t)(end - p)) == 0) {
			*dst = i;
			return true;
		}
		p = *end ? end + 1 : end;
	}
	return false;
}

static bool set_bool(bool *dst, const char *value)
{
	if (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0)
		*dst = true;
	else if (strcmp(value, "0") == 0 || strcasecmp(value, "false") == 0)
		*dst = false;
	else
		return false;
	return true;
}

static bool set_value(struct settings *out, const struct setting *s, const char *value)
{
	void *dst = (char *)out + s->offset;
	uint64_t n;

	switch (s->kind) {
	case SET_NUMBER:
		if (text_to_u64(value, &n) != 0 || n < s->min || n > s->max)
			return false;
		*(uint64_t *)dst = n;
		return true;
	case SET_BOOL:
		return set_bool(dst, value);
	case SET_WORD:
		return set_word(s, dst, value);
	default:
		*(const char **)dst = value;
		return true;
	}
}

static int bad_key(const struct program *p, const struct config_item *c, struct diag *d)
{
	const char *names[ARRAY_LEN(table)], *near;

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		names[i] = table[i].key;
	near = text_nearest_of(c->key, names, ARRAY_LEN(names));
	diag_add_at(d, DIAG_ERROR, p->src, loc_span(p->src, c->loc),
		    "%s: not a known configuration option", c->key);
	if (near)
		diag_add(d, DIAG_HINT, "did you mean '%s'?", near);
	return -EINVAL;
}

static int bad_value(const struct program *p, const struct config_item *c, const struct setting *s,
		     struct diag *d)
{
	struct span at = loc_span(p->src, c->loc);

	if (s->kind == SET_NUMBER)
		return diag_fail_at(d, -EINVAL, p->src, at,
				    "%s: '%s' is not a number from %llu to %llu", s->key, c->value,
				    (unsigned long long)s->min, (unsigned long long)s->max);
	return diag_fail_at(d, -EINVAL, p->src, at, "%s: invalid value '%s'; valid: %s", s->key,
			    c->value, s->kind == SET_WORD ? s->words : "true false");
}

static int from_environment(struct settings *out, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char name[64] = "BPFTRACE_";
		const char *value;
		size_t n = strlen(name);

		for (const char *p = table[i].key; *p; p++)
			name[n++] = (char)toupper((unsigned char)*p);
		value = getenv(name);
		if (value && !set_value(out, &table[i], value))
			err = diag_fail(d, -EINVAL, "%s: invalid value '%s'", name, value);
	}
	return err;
}

int settings_load(struct settings *out, const struct program *p, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		void *dst = (char *)out + table[i].offset;

		if (table[i].kind == SET_BOOL)
			*(bool *)dst = table[i].number != 0;
		else if (table[i].kind == SET_TEXT)
			*(const char **)dst = table[i].text;
		else
			*(uint64_t *)dst = table[i].number;
	}
	for (const struct config_item *c = p->config; c; c = c->next) {
		const struct setting *s = find(c->key);

		if (!s && strncmp(c->key, "unstable_", 9) == 0)
			continue;
		if (!s)
			err = bad_key(p, c, d);
		else if (!set_value(out, s, c->value))
			err = bad_value(p, c, s, d);
	}
	return err ? err : from_environment(out, d);
}

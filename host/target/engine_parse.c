/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an engine file: YAML in, struct engine out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "target/engine.h"
#include "util/text.h"

enum { FILE_BYTES_MAX = 1 << 20, LIST_MAX = 256, CALL_ARGS_MAX = 4 };

const struct engine_event engine_events[] = {
	{.name = "token_begin",
	 .args = {"context", "n_tokens", "sequence", "sequence_before"},
	 .n_optional = 2},
	{.name = "token_end", .args = {"ret"}, .is_end = true},
	{.name = "graph_begin", .args = {"graph", "backend"}},
	{.name = "graph_end", .is_end = true},
	{.name = "op_graph_begin", .args = {"graph"}},
	{.name = "op_graph_end", .is_end = true},
	{.name = "op_begin", .args = {"params", "tensor"}},
	{.name = "op_fused", .args = {"params", "tensor", "consumer"}},
	{.name = "op_own", .args = {"params", "tensor"}, .is_own = true},
	{.name = "op_own_fused", .args = {"params", "tensor", "consumer"}, .is_own = true},
	{.name = "op_end", .is_end = true},
	{.name = "op_barrier"},
	{.name = "op_node", .args = {"params", "graph", "next"}},
	{.name = "scheduler_seen", .args = {"scheduler"}},
	{.name = "call_begin", .open_args = true},
	{.name = "call_end", .args = {"ret"}, .is_end = true},
	{.name = NULL},
};

struct reader {
	yaml_document_t doc;
	struct source src;
	struct diag *d;
	size_t mistakes;
};

/* How one key of a mapping is read: `offset` is that of the member in the object. */
struct key {
	const char *name;
	void (*read)(struct reader *r, yaml_node_t *n, void *member);
	size_t offset;
};
#define END_OF_KEYS                                                                                \
	{                                                                                          \
		NULL, NULL, 0                                                                      \
	}

static struct span span_of(const yaml_node_t *n)
{
	struct span s = {
		.line = (int)n->start_mark.line + 1,
		.col = (int)n->start_mark.column + 1,
		.end_line = (int)n->end_mark.line + 1,
		.end_col = (int)n->end_mark.column + 1,
	};

	/* Blocks end where the next thing begins; mark their first character. */
	if (n->type != YAML_SCALAR_NODE || s.end_line != s.line) {
		s.end_line = 0;
		s.end_col = s.col + 1;
	}
	return s;
}

static void mistake(struct reader *r, const yaml_node_t *n, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void mistake(struct reader *r, const yaml_node_t *n, const char *fmt, ...)
{
	va_list ap;
	char *text;

	r->mistakes++;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	diag_add_at(r->d, DIAG_ERROR, &r->src, span_of(n), "%s", text);
	free(text);
}

static const char *scalar(struct reader *r, yaml_node_t *n, const char *what)
{
	const char *s;

	if (n->type != YAML_SCALAR_NODE) {
		mistake(r, n, "%s is expected here, not a list or mapping", what);
		return NULL;
	}
	s = (const char *)n->data.scalar.value;
	if (strlen(s) != n->data.scalar.length) {
		mistake(r, n, "%s must not hold a NUL character", what);
		return NULL;
	}
	return s;
}

static void read_string(struct reader *r, yaml_node_t *n, void *member)
{
	const char *s = scalar(r, n, "a text");
	char **out = member;

	if (!s)
		return;
	if (!*s)
		mistake(r, n, "the text must not be empty");
	free(*out);
	*out = xstrdup(s);
}

static void read_bool(struct reader *r, yaml_node_t *n, void *member)
{
	const char *s = scalar(r, n, "true or false");
	bool *out = member;

	if (!s)
		return;
	if (!strcmp(s, "true") || !strcmp(s, "yes"))
		*out = true;
	else if (!strcmp(s, "false") || !strcmp(s, "no"))
		*out = false;
	else
		mistake(r, n, "'%s' is neither true nor false", s);
}

/* The i-th element of a list; a single scalar counts as a list of one. */
static yaml_node_t *element(struct reader *r, yaml_node_t *n, size_t i)
{
	yaml_node_item_t *first = n->data.sequence.items.start;

	if (n->type == YAML_SCALAR_NODE)
		return i ? NULL : n;
	if (n->type != YAML_SEQUENCE_NODE || i >= (size_t)(n->data.sequence.items.top - first))
		return NULL;
	if (i == LIST_MAX) {
		mistake(r, n, "the list has more than %d elements", LIST_MAX);
		return NULL;
	}
	return i < LIST_MAX ? yaml_document_get_node(&r->doc, first[i]) : NULL;
}

static void free_strings(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

static void read_strings(struct reader *r, yaml_node_t *n, void *member)
{
	char ***out = member;
	size_t count = 0, cap = 0;
	yaml_node_t *e;

	if (n->type == YAML_MAPPING_NODE) {
		mistake(r, n, "a list of texts is expected here");
		return;
	}
	free_strings(*out);
	*out = NULL;
	for (size_t i = 0; (e = element(r, n, i)); i++) {
		char *s = NULL;

		read_string(r, e, &s);
		if (s)
			*VEC_PUSH(*out, count, cap) = s;
	}
	*VEC_PUSH(*out, count, cap) = NULL;
}

static const char *next_key(const void *state, size_t i)
{
	return ((const struct key *)state)[i].name;
}

static void unknown_key(struct reader *r, yaml_node_t *n, const struct key *keys, const char *where)
{
	const char *s = scalar(r, n, "a key");
	const char *near = s ? text_nearest(s, next_key, keys) : NULL;

	if (!s)
		return;
	if (near)
		mistake(r, n, "%s has no key '%s'; did you mean '%s'?", where, s, near);
	else
		mistake(r, n, "%s has no key '%s'", where, s);
}

/* Reads a mapping into `object` after `keys`; each key may stand once. */
static void read_mapping(struct reader *r, yaml_node_t *n, const struct key *keys, void *object,
			 const char *where)
{
	uint64_t seen = 0;

	if (n->type != YAML_MAPPING_NODE) {
		mistake(r, n, "%s must be a mapping of keys", where);
		return;
	}
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *k = yaml_document_get_node(&r->doc, p->key);
		yaml_node_t *v = yaml_document_get_node(&r->doc, p->value);
		const char *name =
			k->type == YAML_SCALAR_NODE ? (const char *)k->data.scalar.value : "";
		size_t i = 0;

		while (keys[i].name && strcmp(keys[i].name, name))
			i++;
		if (!keys[i].name) {
			unknown_key(r, k, keys, where);
		} else if (seen & (1ULL << i)) {
			mistake(r, k, "the key '%s' stands twice", name);
		} else {
			seen |= 1ULL << i;
			keys[i].read(r, v, (char *)object + keys[i].offset);
		}
	}
}

static const char *next_event(const void *state, size_t i)
{
	(void)state;
	return engine_events[i].name;
}

static void read_event(struct reader *r, yaml_node_t *n, void *member)
{
	const char *s = scalar(r, n, "an event");
	struct engine_probe *probe = member;
	const char *near;

	for (const struct engine_event *e = engine_events; s && e->name; e++)
		if (!strcmp(e->name, s)) {
			probe->event = e;
			return;
		}
	if (!s)
		return;
	near = text_nearest(s, next_event, NULL);
	mistake(r, n, "there is no event '%s'%s%s%s", s, near ? "; did you mean '" : "",
		near ? near : "", near ? "'?" : "");
}

static void parse_arg_text(struct reader *r, yaml_node_t *n, struct engine_arg *arg, int arch)
{
	const char *s = scalar(r, n, "an expression");
	struct span at = span_of(n);

	if (!s)
		return;
	if (n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		at.col++;
	arg->text[arch] = xstrdup(s);
	arg->expr[arch] = expr_parse(s, &r->src, at, r->d);
	if (!arg->expr[arch])
		r->mistakes++;
}

static void read_x86(struct reader *r, yaml_node_t *n, void *member)
{
	parse_arg_text(r, n, member, ELF_X86_64);
}

static void read_arm(struct reader *r, yaml_node_t *n, void *member)
{
	parse_arg_text(r, n, member, ELF_AARCH64);
}

/* One expression for all architectures, or a mapping with one for each. */
static void read_arg(struct reader *r, yaml_node_t *n, struct engine_arg *arg)
{
	static const struct key keys[] = {
		{"x86_64", read_x86, 0},
		{"aarch64", read_arm, 0},
		END_OF_KEYS,
	};

	if (n->type == YAML_MAPPING_NODE) {
		read_mapping(r, n, keys, arg, "an argument");
		return;
	}
	parse_arg_text(r, n, arg, ELF_X86_64);
	if (arg->expr[ELF_X86_64])
		parse_arg_text(r, n, arg, ELF_AARCH64);
}

static void read_args(struct reader *r, yaml_node_t *n, void *member)
{
	struct engine_probe *probe = member;

	if (n->type != YAML_MAPPING_NODE) {
		mistake(r, n, "arguments are a mapping of names to expressions");
		return;
	}
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *k = yaml_document_get_node(&r->doc, p->key);
		const char *name = scalar(r, k, "an argument's name");

		if (!name)
			continue;
		if (probe->n_args == ENGINE_ARGS_MAX) {
			mistake(r, k, "more than %d arguments", ENGINE_ARGS_MAX);
			return;
		}
		probe->args[probe->n_args].name = xstrdup(name);
		read_arg(r, yaml_document_get_node(&r->doc, p->value),
			 &probe->args[probe->n_args++]);
	}
}

static struct engine_arg *find_arg(struct engine_probe *p, const char *name)
{
	for (size_t i = 0; i < p->n_args; i++)
		if (!strcmp(p->args[i].name, name))
			return &p->args[i];
	return NULL;
}

static size_t count_args(const struct engine_event *e)
{
	size_t n = 0;

	while (e->args[n])
		n++;
	return n;
}

bool engine_arg_is_optional(const struct engine_event *e, size_t i)
{
	return i + e->n_optional >= count_args(e);
}

/* The arguments must be those of the event; they are put into its order. */
static void check_named_args(struct reader *r, yaml_node_t *n, struct engine_probe *p)
{
	struct engine_arg sorted[ENGINE_ARGS_MAX] = {0};
	size_t want = 0;

	for (; p->event->args[want]; want++) {
		struct engine_arg *a = find_arg(p, p->event->args[want]);

		if (!a && engine_arg_is_optional(p->event, want))
			break;
		if (!a) {
			mistake(r, n, "the event %s needs the argument '%s'", p->event->name,
				p->event->args[want]);
			return;
		}
		sorted[want] = *a;
	}
	if (p->n_args > want) {
		mistake(r, n, "the event %s takes %zu arguments, not %zu", p->event->name,
			count_args(p->event), p->n_args);
		return;
	}
	memcpy(p->args, sorted, sizeof(sorted));
}

static void check_arg_use(struct reader *r, yaml_node_t *n, const struct engine_probe *p, bool exit)
{
	for (size_t i = 0; i < p->n_args; i++)
		for (int arch = 0; arch < 2; arch++) {
			const struct expr *e = p->args[i].expr[arch];

			if (!e)
				continue;
			if (!exit && expr_uses_ret(e))
				mistake(r, n, "'%s' uses ret, which only a function's exit has",
					p->args[i].name);
			if (exit && (expr_arg_mask(e) || expr_uses_sp(e)))
				mistake(r, n, "'%s' uses an argument, which is gone at the exit",
					p->args[i].name);
		}
}

static void check_probe(struct reader *r, yaml_node_t *n, struct engine_probe *p, bool exit)
{
	if (!p->event) {
		if (p->n_args)
			mistake(r, n, "arguments without an event");
		return;
	}
	if (p->event->is_end != exit)
		mistake(r, n, "the event %s belongs at a function's %s", p->event->name,
			p->event->is_end ? "exit" : "entry");
	if (!p->event->open_args)
		check_named_args(r, n, p);
	else if (p->n_args > CALL_ARGS_MAX)
		mistake(r, n, "the event %s takes at most %d arguments", p->event->name,
			CALL_ARGS_MAX);
	check_arg_use(r, n, p, exit);
}

static const struct key function_keys[] = {
	{"symbol", read_string, offsetof(struct engine_function, symbol)},
	{"string", read_string, offsetof(struct engine_function, string)},
	{"and_string", read_string, offsetof(struct engine_function, and_string)},
	{"library", read_string, offsetof(struct engine_function, library)},
	{"unless", read_strings, offsetof(struct engine_function, unless)},
	{"calls_beside", read_string, offsetof(struct engine_function, calls_beside)},
	{"node_ends", read_string, offsetof(struct engine_function, node_ends)},
	{"unless_probed", read_strings, offsetof(struct engine_function, instead)},
	{"optional", read_bool, offsetof(struct engine_function, optional)},
	{"nothrow", read_bool, offsetof(struct engine_function, nothrow)},
	{"all", read_bool, offsetof(struct engine_function, all)},
	{"kind", read_string, offsetof(struct engine_function, kind)},
	{"backend", read_string, offsetof(struct engine_function, backend)},
	{"entry", read_event, offsetof(struct engine_function, entry)},
	{"args", read_args, offsetof(struct engine_function, entry)},
	{"exit", read_event, offsetof(struct engine_function, exit)},
	{"exit_args", read_args, offsetof(struct engine_function, exit)},
	END_OF_KEYS,
};

static bool uses_node(const struct engine_probe *p)
{
	for (size_t i = 0; i < p->n_args; i++)
		for (int arch = 0; arch < 2; arch++)
			if (p->args[i].expr[arch] && expr_uses_node(p->args[i].expr[arch]))
				return true;
	return false;
}

static void check_function(struct reader *r, yaml_node_t *n, struct engine_function *f)
{
	if (!f->symbol && !f->string)
		mistake(r, n, "a function needs a symbol or a string");
	if (!f->entry.event && !f->exit.event)
		mistake(r, n, "a function needs an event at its entry or exit");
	if (f->and_string && !f->string)
		mistake(r, n, "and_string goes with a string");
	if (f->calls_beside && (!f->symbol || f->exit.event || f->entry.n_args))
		mistake(r, n, "calls_beside is for a symbol with an entry event without arguments");
	if (f->node_ends && (!f->symbol || f->exit.event || f->calls_beside))
		mistake(r, n, "node_ends is for a symbol with an entry event only");
	if (!f->node_ends && (uses_node(&f->entry) || uses_node(&f->exit)))
		mistake(r, n, "node_params, node_graph and node_next go with node_ends");
	check_probe(r, n, &f->entry, false);
	check_probe(r, n, &f->exit, true);
}

static void read_functions(struct reader *r, yaml_node_t *n, void *member)
{
	struct engine_alternative *a = member;
	yaml_node_t *e;

	if (n->type != YAML_SEQUENCE_NODE) {
		mistake(r, n, "functions must be a list");
		return;
	}
	for (size_t i = 0; (e = element(r, n, i)); i++) {
		struct engine_function *f = VEC_PUSH(a->functions, a->n_functions, a->cap);

		f->line = (int)e->start_mark.line + 1;
		read_mapping(r, e, function_keys, f, "a function");
		if (e->type == YAML_MAPPING_NODE)
			check_function(r, e, f);
	}
}

static const struct key alternative_keys[] = {
	{"name", read_string, offsetof(struct engine_alternative, name)},
	{"since", read_string, offsetof(struct engine_alternative, since)},
	{"until", read_string, offsetof(struct engine_alternative, until)},
	{"cannot", read_string, offsetof(struct engine_alternative, cannot)},
	{"requires", read_strings, offsetof(struct engine_alternative, requires)},
	{"without", read_strings, offsetof(struct engine_alternative, without)},
	{"functions", read_functions, 0},
	END_OF_KEYS,
};

static void read_level(struct reader *r, yaml_node_t *n, struct engine *out, enum rec_level level)
{
	struct engine_level *l = VEC_PUSH(out->levels, out->n_levels, out->cap);
	yaml_node_t *e;

	l->level = level;
	if (n->type != YAML_SEQUENCE_NODE) {
		mistake(r, n, "a level is a list of alternatives, the best first");
		return;
	}
	for (size_t i = 0; (e = element(r, n, i)); i++) {
		struct engine_alternative *a = VEC_PUSH(l->alternatives, l->n_alternatives, l->cap);

		read_mapping(r, e, alternative_keys, a, "an alternative");
		if (!a->name)
			mistake(r, e, "an alternative needs a name");
		if (!a->n_functions)
			mistake(r, e, "an alternative needs functions");
	}
}

static void read_token_level(struct reader *r, yaml_node_t *n, void *member)
{
	read_level(r, n, member, LEVEL_TOKEN);
}

static void read_graph_level(struct reader *r, yaml_node_t *n, void *member)
{
	read_level(r, n, member, LEVEL_GRAPH);
}

static void read_operator_level(struct reader *r, yaml_node_t *n, void *member)
{
	read_level(r, n, member, LEVEL_OPERATOR);
}

static void read_levels(struct reader *r, yaml_node_t *n, void *member)
{
	static const struct key keys[] = {
		{"token", read_token_level, 0},
		{"graph", read_graph_level, 0},
		{"operator", read_operator_level, 0},
		END_OF_KEYS,
	};

	read_mapping(r, n, keys, member, "levels");
}

static const struct key engine_keys[] = {
	{"engine", read_string, offsetof(struct engine, name)},
	{"about", read_string, offsetof(struct engine, about)},
	{"backend", read_string, offsetof(struct engine, backend)},
	{"files", read_strings, offsetof(struct engine, files)},
	{"symbols", read_strings, offsetof(struct engine, symbols)},
	{"strings", read_strings, offsetof(struct engine, strings)},
	{"layout", read_bool, offsetof(struct engine, has_layout)},
	{"runtime", read_bool, offsetof(struct engine, is_library)},
	{"levels", read_levels, 0},
	END_OF_KEYS,
};

static void read_engine(struct reader *r, struct engine *e)
{
	yaml_node_t *root = yaml_document_get_root_node(&r->doc);

	if (!root) {
		r->mistakes++;
		diag_add_at(r->d, DIAG_ERROR, &r->src, (struct span){1, 1, 0, 2},
			    "the file is empty");
		return;
	}
	read_mapping(r, root, engine_keys, e, "an engine file");
	if (root->type != YAML_MAPPING_NODE)
		return;
	if (!e->name)
		mistake(r, root, "the key 'engine' (its name) is missing");
	if (!e->files && !e->symbols && !e->strings)
		mistake(r, root,
			"one of the keys 'files', 'symbols' and 'strings' is needed to recognise "
			"it");
	if (!e->n_levels)
		mistake(r, root, "the key 'levels' is missing");
}

static void report_syntax(struct reader *r, const yaml_parser_t *p)
{
	struct span at = {(int)p->problem_mark.line + 1, (int)p->problem_mark.column + 1, 0, 0};

	at.end_col = at.col + 1;
	r->mistakes++;
	diag_add_at(r->d, DIAG_ERROR, &r->src, at, "%s%s%s", p->problem ? p->problem : "bad YAML",
		    p->context ? " " : "", p->context ? p->context : "");
}

struct engine *engine_parse(const char *name, const char *text, size_t len, struct diag *d)
{
	struct reader r = {.src = {.name = name, .text = text, .len = len}, .d = d};
	struct engine *e = NULL;
	yaml_parser_t parser;

	if (len > FILE_BYTES_MAX) {
		diag_fail(d, -EFBIG, "%s: an engine file may have at most %d bytes", name,
			  FILE_BYTES_MAX);
		return NULL;
	}
	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &r.doc)) {
		e = xcalloc(1, sizeof(*e));
		e->source = xstrdup(name);
		read_engine(&r, e);
		yaml_document_delete(&r.doc);
	} else {
		report_syntax(&r, &parser);
	}
	yaml_parser_delete(&parser);
	if (!r.mistakes)
		return e;
	engine_free(e);
	return NULL;
}

static void free_probe(struct engine_probe *p)
{
	for (size_t i = 0; i < p->n_args; i++) {
		free(p->args[i].name);
		for (int arch = 0; arch < 2; arch++) {
			expr_free(p->args[i].expr[arch]);
			free(p->args[i].text[arch]);
		}
	}
}

static void free_alternative(struct engine_alternative *a)
{
	for (size_t i = 0; i < a->n_functions; i++) {
		struct engine_function *f = &a->functions[i];

		free(f->symbol);
		free(f->string);
		free(f->and_string);
		free(f->library);
		free(f->calls_beside);
		free(f->node_ends);
		free_strings(f->unless);
		free_strings(f->instead);
		free(f->kind);
		free(f->backend);
		free_probe(&f->entry);
		free_probe(&f->exit);
	}
	free(a->functions);
	free(a->name);
	free(a->since);
	free(a->until);
	free(a->cannot);
	free_strings(a->requires);
	free_strings(a->without);
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n_levels; i++) {
		for (size_t k = 0; k < e->levels[i].n_alternatives; k++)
			free_alternative(&e->levels[i].alternatives[k]);
		free(e->levels[i].alternatives);
	}
	free(e->levels);
	free(e->name);
	free(e->about);
	free(e->backend);
	free(e->source);
	free_strings(e->files);
	free_strings(e->symbols);
	free_strings(e->strings);
	free(e);
}

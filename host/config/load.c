/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML file: walks libyaml's document tree along the option table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/state.h"
#include "util/file.h"
#include "util/text.h"

enum {
	MAX_FILE = 1 << 20,
	MAX_DEPTH = 8,	 /* keys nest two deep; anchors can make a cycle */
	MAX_ERRORS = 20, /* more are not read by anyone */
};

/* A path that this file has set already. */
struct seen {
	char *path;
	int line;
};

struct loader {
	struct config *config;
	yaml_document_t doc;
	const struct source *source;
	struct diag *diag;
	struct seen *seen;
	size_t seen_count, seen_cap;
	size_t errors;
};

static struct span node_span(const yaml_node_t *node)
{
	struct span s = {(int)node->start_mark.line + 1, (int)node->start_mark.column + 1, 0, 0};

	/* A value over several lines is marked at its beginning only. */
	s.end_line = s.line;
	if (node->end_mark.line == node->start_mark.line)
		s.end_col = (int)node->end_mark.column + 1;
	return s;
}

static void complain(struct loader *l, const yaml_node_t *node, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static void complain(struct loader *l, const yaml_node_t *node, const char *fmt, ...)
{
	struct buf text = {0};
	va_list ap;

	l->errors++;
	if (l->errors > MAX_ERRORS)
		return;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	diag_add_at(l->diag, DIAG_ERROR, l->source, node_span(node), "%s", buf_str(&text));
	buf_free(&text);
}

/* The text of a scalar, NULL for other nodes and for texts with a NUL inside. */
static const char *scalar(const yaml_node_t *node)
{
	if (node->type != YAML_SCALAR_NODE ||
	    strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
		return NULL;
	return (const char *)node->data.scalar.value;
}

static bool is_plain(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* `key:` with nothing behind it, or an explicit null. */
static bool is_null(const yaml_node_t *node)
{
	const char *text = scalar(node);

	return is_plain(node) && text &&
	       (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static bool is_group(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < option_count(); i++) {
		const char *key = option_table[i].key;

		if (key && strncmp(key, path, len) == 0 && key[len] == '.')
			return true;
	}
	return false;
}

/* Names that may stand where an unknown one stood: one level of the tree below `prefix`. */
struct siblings {
	char names[64][48];
	const char *list[64];
	size_t count;
};

static void find_siblings(const char *prefix, struct siblings *out)
{
	size_t len = strlen(prefix);

	out->count = 0;
	for (size_t i = 0; i < option_count() && out->count < ARRAY_LEN(out->list); i++) {
		const char *key = option_table[i].key;
		char *name = out->names[out->count];
		size_t same = 0;

		if (!key || (option_table[i].flags & OPTION_ALIAS) || strncmp(key, prefix, len))
			continue;
		snprintf(name, sizeof(out->names[0]), "%.*s", (int)strcspn(key + len, "."),
			 key + len);
		while (same < out->count && strcmp(out->list[same], name) != 0)
			same++;
		if (same == out->count)
			out->list[out->count++] = name;
	}
}

static void unknown_key(struct loader *l, const yaml_node_t *node, const char *prefix,
			const char *name)
{
	struct siblings around;
	const char *near;
	struct buf below = {0};

	find_siblings(prefix, &around);
	near = option_key_by_last_word(name);
	if (!near)
		near = text_nearest_of(name, around.list, around.count);
	if (!near)
		near = option_nearest_key(name);
	if (*prefix)
		buf_printf(&below, " below '%.*s'", (int)strlen(prefix) - 1, prefix);
	complain(l, node, "unknown key '%s'%s%s%s%s", name, buf_str(&below),
		 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	buf_free(&below);
}

/* True when the name is new in this file; otherwise an error was added. */
static bool first_time(struct loader *l, const yaml_node_t *node, const char *path,
		       const char *name)
{
	struct seen *s;

	for (size_t i = 0; i < l->seen_count; i++) {
		if (strcmp(l->seen[i].path, name) == 0) {
			complain(l, node, "duplicate key '%s': line %d sets %s already", path,
				 l->seen[i].line, name);
			return false;
		}
	}
	s = VEC_PUSH(l->seen, l->seen_count, l->seen_cap);
	s->path = xstrdup(name);
	s->line = (int)node->start_mark.line + 1;
	return true;
}

static const char *node_kind(const yaml_node_t *node)
{
	switch (node->type) {
	case YAML_SEQUENCE_NODE:
		return "a list";
	case YAML_MAPPING_NODE:
		return "a group of keys";
	default:
		return is_plain(node) ? "a word" : "text in quotes";
	}
}

/* What the type expects, with the choices spelt out. */
static char *expected(const struct option *o)
{
	struct buf text = {0};

	if (!o->choices)
		return xstrdup(option_expects(o));
	for (size_t i = 0; o->choices[i]; i++)
		buf_printf(&text, "%s%s", i ? " or " : "", o->choices[i]);
	return buf_take(&text);
}

static void wrong_type(struct loader *l, const yaml_node_t *node, const struct option *o)
{
	char *wanted = expected(o);

	complain(l, node, "%s: %s where %s is expected", o->key,
		 is_null(node) ? "no value" : node_kind(node), wanted);
	free(wanted);
}

static void accept(struct loader *l, const yaml_node_t *node, const struct option *o)
{
	*config_origin(l->config, o) =
		(struct config_origin){LAYER_FILE, l->source, node_span(node)};
}

static void load_list(struct loader *l, const yaml_node_t *node, const struct option *o)
{
	const yaml_node_item_t *first = node->data.sequence.items.start;
	size_t n = (size_t)(node->data.sequence.items.top - first);
	const char **items = xcalloc(n + 1, sizeof(*items));
	struct buf why = {0};
	bool ok = true;

	for (size_t i = 0; i < n; i++) {
		const yaml_node_t *item = yaml_document_get_node(&l->doc, first[i]);

		items[i] = scalar(item);
		if (!items[i] || !*items[i]) {
			complain(l, item, "%s: an item of the list must be a word", o->key);
			ok = false;
		}
	}
	if (ok && option_parse_list(o, l->config, items, n, &why) < 0)
		complain(l, node, "%s: %s", o->key, buf_str(&why));
	else if (ok)
		accept(l, node, o);
	free(items);
	buf_free(&why);
}

static void load_scalar(struct loader *l, const yaml_node_t *node, const struct option *o)
{
	const char *text = scalar(node);
	bool truth_only = o->type == OPTION_BOOL || o->type == OPTION_COUNTERS;
	struct buf why = {0};

	if (!text)
		complain(l, node, "%s: the value holds a NUL character", o->key);
	else if (is_null(node) || (truth_only && !is_plain(node)))
		wrong_type(l, node, o);
	else if (option_parse(o, l->config, text, &why) < 0)
		complain(l, node, "%s: %s", o->key, buf_str(&why));
	else
		accept(l, node, o);
	buf_free(&why);
}

static void load_value(struct loader *l, const yaml_node_t *node, const struct option *o)
{
	if (node->type == YAML_SCALAR_NODE)
		load_scalar(l, node, o);
	else if (node->type == YAML_SEQUENCE_NODE && option_is_list(o))
		load_list(l, node, o);
	else
		wrong_type(l, node, o);
}

static void load_mapping(struct loader *l, const yaml_node_t *node, const char *prefix, int depth);

static void load_pair(struct loader *l, const yaml_node_t *key, const yaml_node_t *value,
		      const char *prefix, int depth)
{
	const char *name = scalar(key);
	const struct option *o;
	bool as_group;
	char *path;

	if (!name) {
		complain(l, key, "a key must be a word, found %s", node_kind(key));
		return;
	}
	path = xasprintf("%s%s", prefix, name);
	o = option_by_key(path);
	as_group = is_group(path) && (value->type == YAML_MAPPING_NODE || is_null(value));
	if (!o && !is_group(path)) {
		unknown_key(l, key, prefix, name);
	} else if (!first_time(l, key, path, o && !as_group ? option_primary(o)->key : path)) {
		/* already complained */
	} else if (as_group) {
		char *below = xasprintf("%s.", path);

		if (value->type == YAML_MAPPING_NODE)
			load_mapping(l, value, below, depth + 1);
		free(below);
	} else if (o) {
		load_value(l, value, o);
	} else {
		complain(l, value, "%s: %s where keys below it are expected", path,
			 node_kind(value));
	}
	free(path);
}

static void load_mapping(struct loader *l, const yaml_node_t *node, const char *prefix, int depth)
{
	if (depth > MAX_DEPTH) {
		complain(l, node, "nested too deep");
		return;
	}
	for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
	     p < node->data.mapping.pairs.top; p++)
		load_pair(l, yaml_document_get_node(&l->doc, p->key),
			  yaml_document_get_node(&l->doc, p->value), prefix, depth);
}

/* Line and column of a byte, for libyaml's reader errors that come without a mark. */
static struct span span_of_offset(const struct source *src, size_t offset)
{
	struct span s = {1, 1, 0, 0};

	for (size_t i = 0; i < offset && i < src->len; i++) {
		s.col = src->text[i] == '\n' ? 1 : s.col + 1;
		s.line += src->text[i] == '\n';
	}
	return s;
}

static char byte_at(const struct source *src, struct span at)
{
	size_t i = 0;

	for (int line = 1; line < at.line && i < src->len; i++)
		line += src->text[i] == '\n';
	i += (size_t)at.col - 1;
	return i < src->len ? src->text[i] : '\0';
}

static void bad_yaml(struct loader *l, const yaml_parser_t *p)
{
	struct span at = {(int)p->problem_mark.line + 1, (int)p->problem_mark.column + 1, 0, 0};
	const char *problem = p->problem ? p->problem : "it cannot be parsed";

	l->errors++;
	if (p->error == YAML_READER_ERROR)
		at = span_of_offset(l->source, p->problem_offset);
	if (p->error == YAML_SCANNER_ERROR && byte_at(l->source, at) == '\t')
		problem = "a tab; YAML is indented with spaces";
	diag_add_at(l->diag, DIAG_ERROR, l->source, at, "bad YAML: %s%s%s%s", problem,
		    p->context ? " (" : "", p->context ? p->context : "", p->context ? ")" : "");
}

static void load_root(struct loader *l)
{
	const yaml_node_t *root = yaml_document_get_root_node(&l->doc);

	if (!root || is_null(root))
		return;
	if (root->type == YAML_MAPPING_NODE)
		load_mapping(l, root, "", 0);
	else
		complain(l, root,
			 "%s where keys and values are expected, such as 'output: run.llmp'",
			 node_kind(root));
}

static void load_documents(struct loader *l, yaml_parser_t *p)
{
	const yaml_node_t *root;

	if (!yaml_parser_load(p, &l->doc)) {
		bad_yaml(l, p);
		return;
	}
	load_root(l);
	yaml_document_delete(&l->doc);
	if (!yaml_parser_load(p, &l->doc)) {
		bad_yaml(l, p);
		return;
	}
	root = yaml_document_get_root_node(&l->doc);
	if (root)
		complain(l, root, "a second document; a configuration is one");
	yaml_document_delete(&l->doc);
}

static const struct source *keep_text(struct config *c, const char *name, const char *text,
				      size_t len)
{
	struct config_text *t = xcalloc(1, sizeof(*t));

	t->source = (struct source){xstrdup(name), xstrndup(text, len), len};
	t->next = c->state->texts;
	c->state->texts = t;
	return &t->source;
}

int config_load_text(struct config *c, const char *name, const char *text, size_t len,
		     struct diag *d)
{
	struct loader l = {.config = c, .diag = d};
	yaml_parser_t parser;

	if (memchr(text, '\0', len))
		return diag_fail(d, -EINVAL, "%s holds NUL characters; is it a YAML file?", name);
	l.source = keep_text(c, name, text, len);
	if (!yaml_parser_initialize(&parser))
		return diag_fail(d, -ENOMEM, "%s: no memory for the YAML parser", name);
	yaml_parser_set_input_string(&parser, (const unsigned char *)l.source->text, len);
	load_documents(&l, &parser);
	yaml_parser_delete(&parser);
	if (l.errors > MAX_ERRORS)
		diag_add(d, DIAG_NOTE, "%s: %zu more errors are not shown", name,
			 l.errors - MAX_ERRORS);
	for (size_t i = 0; i < l.seen_count; i++)
		free(l.seen[i].path);
	free(l.seen);
	return l.errors ? -EINVAL : 0;
}

int config_load(struct config *c, const char *path, struct diag *d)
{
	struct buf text = {0};
	int err = file_read(path, &text, MAX_FILE);

	if (err == -EFBIG)
		diag_add(d, DIAG_ERROR, "%s is larger than 1 MiB; is it a configuration?", path);
	else if (err)
		diag_add(d, DIAG_ERROR, "cannot read the configuration %s: %s", path,
			 strerror(-err));
	else
		err = config_load_text(c, path, buf_str(&text), text.len, d);
	buf_free(&text);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

/* Where the scanner is in the file. */
struct place {
	const char *p, *end;
	const char *line_start;
	int line;
};

static void step(struct place *at)
{
	if (*at->p++ == '\n') {
		at->line++;
		at->line_start = at->p;
	}
}

static bool looking_at(const struct place *at, const char *two)
{
	return at->end - at->p >= 2 && at->p[0] == two[0] && at->p[1] == two[1];
}

/* Strings and character constants, up to the closing quote or the end of the line. */
static void skip_quoted(struct place *at)
{
	char quote = *at->p;

	step(at);
	while (at->p < at->end && *at->p != quote && *at->p != '\n') {
		if (*at->p == '\\' && at->p + 1 < at->end)
			step(at);
		step(at);
	}
	if (at->p < at->end)
		step(at);
}

static void tell(const struct place *at, const char *from, scan_comment_fn fn, void *ctx)
{
	if (fn)
		fn(ctx, from, (size_t)(at->p - from), at->line, at->line_start);
}

/* Stands on the first character of a comment and ends behind it. */
static void take_comment(struct place *at, scan_comment_fn fn, void *ctx)
{
	bool block = at->p[1] == '*';
	const char *from;

	at->p += 2;
	from = at->p;
	while (at->p < at->end && !(block && looking_at(at, "*/"))) {
		if (*at->p == '\n') {
			tell(at, from, fn, ctx);
			if (!block)
				return;
			from = at->p + 1;
		}
		step(at);
	}
	tell(at, from, fn, ctx);
	if (at->p < at->end)
		at->p += 2;
}

static bool at_comment(const struct place *at)
{
	return looking_at(at, "//") || looking_at(at, "/*");
}

void scan_comments(const char *text, size_t len, scan_comment_fn fn, void *ctx)
{
	struct place at = {text, text + len, text, 1};

	while (at.p < at.end) {
		if (at_comment(&at))
			take_comment(&at, fn, ctx);
		else if (*at.p == '"' || *at.p == '\'')
			skip_quoted(&at);
		else
			step(&at);
	}
}

struct token {
	const char *s;
	size_t len;
};

struct tokens {
	struct token *at;
	size_t n, cap;
};

static void skip_directive(struct place *at)
{
	while (at->p < at->end && *at->p != '\n') {
		if (*at->p == '\\' && at->p + 1 < at->end)
			step(at);
		step(at);
	}
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Words and single characters; comments, strings and directives leave nothing. */
static void tokenize(const char *text, size_t len, struct tokens *out)
{
	struct place at = {text, text + len, text, 1};
	bool line_begins = true;

	while (at.p < at.end) {
		const char *from = at.p;

		if (at_comment(&at)) {
			take_comment(&at, NULL, NULL);
		} else if (*at.p == '"' || *at.p == '\'') {
			skip_quoted(&at);
		} else if (*at.p == '#' && line_begins) {
			skip_directive(&at);
		} else if (isspace((unsigned char)*at.p)) {
			line_begins = line_begins || *at.p == '\n';
			step(&at);
			continue;
		} else {
			while (at.p < at.end && is_word(*at.p))
				at.p++;
			if (at.p == from)
				at.p++;
			*VEC_PUSH(out->at, out->n, out->cap) =
				(struct token){from, (size_t)(at.p - from)};
		}
		line_begins = false;
	}
}

static bool is(const struct tokens *t, size_t i, const char *s)
{
	return i < t->n && t->at[i].len == strlen(s) && memcmp(t->at[i].s, s, t->at[i].len) == 0;
}

static bool is_name(const struct tokens *t, size_t i)
{
	return i < t->n && is_word(*t->at[i].s) && !isdigit((unsigned char)*t->at[i].s);
}

static char *copy(const struct tokens *t, size_t i)
{
	return xstrndup(t->at[i].s, t->at[i].len);
}

/* The token behind the brace that closes the one at `i`. */
static size_t behind_braces(const struct tokens *t, size_t i)
{
	size_t depth = 0;

	for (; i < t->n; i++) {
		if (is(t, i, "{"))
			depth++;
		else if (is(t, i, "}") && --depth == 0)
			return i + 1;
	}
	return i;
}

static void take_values(struct scan_enum *e, const struct tokens *t, size_t i)
{
	int64_t next = 0;

	while (is_name(t, i)) {
		char *end = NULL;
		size_t at = i++;

		if (is(t, i, "=")) {
			bool minus = is(t, ++i, "-");

			i += minus;
			if (i < t->n)
				next = strtoll(t->at[i].s, &end, 0) * (minus ? -1 : 1);
			/* More than one plain number: the values from here on are not known. */
			if (i >= t->n || end != t->at[i].s + t->at[i].len)
				return;
			i++;
		}
		if (!is(t, i, ",") && !is(t, i, "}"))
			return;
		*VEC_PUSH(e->values, e->n_values, e->cap) =
			(struct ctype_enum){copy(t, at), next++};
		i++;
	}
}

static void add_enum(struct scan *s, const struct tokens *t, size_t name, size_t values)
{
	struct scan_enum *e = VEC_PUSH(s->enums, s->n_enums, s->cap_enums);

	*e = (struct scan_enum){.name = copy(t, name)};
	take_values(e, t, values);
}

/* `i` stands on "enum": one with values is known by its tag, and by the name a typedef gives it. */
static void take_enum(struct scan *s, const struct tokens *t, size_t i)
{
	size_t open = is_name(t, i + 1) ? i + 2 : i + 1, end;

	if (!is(t, open, "{"))
		return;
	if (open == i + 2)
		add_enum(s, t, i + 1, open + 1);
	end = behind_braces(t, open);
	if (i && is(t, i - 1, "typedef") && is_name(t, end))
		add_enum(s, t, end, open + 1);
}

static bool is_enum(const struct scan *s, const struct tokens *t, size_t i)
{
	for (size_t k = 0; k < s->n_enums; k++)
		if (is(t, i, s->enums[k].name))
			return true;
	return false;
}

/* "enum NAME member" and "TYPEDEF member", `i` on the name of the type. */
static void take_member(struct scan *s, const struct tokens *t, size_t i)
{
	bool tagged = i && is(t, i - 1, "enum");

	if (is_name(t, i) && is_name(t, i + 1) && (is(t, i + 2, ";") || is(t, i + 2, "[")) &&
	    (tagged || is_enum(s, t, i)))
		*VEC_PUSH(s->members, s->n_members, s->cap_members) =
			(struct scan_member){copy(t, i), copy(t, i + 1)};
}

/* The token behind the bracket that closes the one at `i`. */
static size_t behind_brackets(const struct tokens *t, size_t i)
{
	size_t depth = 0;

	for (; i < t->n; i++) {
		if (is(t, i, "["))
			depth++;
		else if (is(t, i, "]") && --depth == 0)
			return i + 1;
	}
	return i;
}

/* Where members are looked for: what leads there, and the struct they are in. */
struct body {
	const char *root, *prefix, *owner;
};

static void take_bodies(struct scan *s, const struct tokens *t, const struct body *b, size_t open,
			size_t end);

/* A struct within another one, `open` on its brace: behind it stands its member's name, or nothing.
 * Returns where to go on. */
static size_t take_inner(struct scan *s, const struct tokens *t, const struct body *b, size_t open)
{
	size_t end = behind_braces(t, open), i = end + 1;
	bool tagged = open >= 2 && is_name(t, open - 1) &&
		      (is(t, open - 2, "struct") || is(t, open - 2, "union"));
	char *owner = tagged ? xasprintf("struct %.*s", (int)t->at[open - 1].len, t->at[open - 1].s)
			     : xstrdup("");
	struct buf prefix = {0};

	buf_puts(&prefix, b->prefix);
	if (is_name(t, end))
		buf_printf(&prefix, "%.*s", (int)t->at[end].len, t->at[end].s);
	for (; is_name(t, end) && is(t, i, "["); i = behind_brackets(t, i))
		buf_puts(&prefix, "[0]");
	buf_puts(&prefix, is_name(t, end) ? "." : "");
	if (is_name(t, end) || is(t, end, ";"))
		take_bodies(s, t, &(struct body){b->root, buf_str(&prefix), owner}, open, end - 1);
	buf_free(&prefix);
	free(owner);
	return end;
}

/* Members between the braces at `open` and `end`, also those of structs within. */
static void take_bodies(struct scan *s, const struct tokens *t, const struct body *b, size_t open,
			size_t end)
{
	for (size_t i = open + 1; i < end;) {
		size_t at = i, n = 0;

		if (is(t, i, "{")) {
			i = take_inner(s, t, b, i);
			continue;
		}
		for (i++; is_name(t, at) && i < end && is(t, i, "["); n++)
			i = behind_brackets(t, i);
		if (n > 1)
			*VEC_PUSH(s->dims, s->n_dims, s->cap_dims) = (struct scan_dims){
				xstrdup(b->root),
				xasprintf("%s%.*s", b->prefix, (int)t->at[at].len, t->at[at].s),
				xstrdup(b->owner),
				copy(t, at),
				n,
				xcalloc(n, sizeof(uint32_t))};
	}
}

static void add_struct(struct scan *s, char *name)
{
	*VEC_PUSH(s->structs, s->n_structs, s->cap_structs) = name;
}

/* `i` stands on "struct" or "union" at the top level. Returns where to go on. */
static size_t take_struct(struct scan *s, const struct tokens *t, size_t i, bool is_typedef)
{
	size_t name = i + 1, open = is_name(t, i + 1) ? i + 2 : i + 1, end;
	const char *root;

	if (!is(t, open, "{"))
		return open;
	end = behind_braces(t, open);
	if (is(t, open + 1, "}"))
		return end;
	if (open > name)
		add_struct(s, xasprintf("%.*s %.*s", (int)t->at[i].len, t->at[i].s,
					(int)t->at[name].len, t->at[name].s));
	else if (is_typedef && is_name(t, end) && is(t, end + 1, ";"))
		add_struct(s, copy(t, end));
	else
		return end;
	root = s->structs[s->n_structs - 1];
	take_bodies(s, t, &(struct body){root, "", is_name(t, i + 1) ? root : ""}, open, end - 1);
	return end;
}

/* The name in argument `n` of the macro call at `i`, "enum" left out: its only or last word. NULL
 * when it is more than that. */
static char *argument(const struct tokens *t, size_t i, size_t n)
{
	for (i += 2; n && i < t->n && !is(t, i, ")"); i++)
		n -= is(t, i, ",");
	i += is(t, i, "enum");
	return is_name(t, i) && (is(t, i + 1, ",") || is(t, i + 1, ")")) ? copy(t, i) : NULL;
}

/* BPF_HASH(NAME, KEY, VALUE) and the like, `i` on the macro. */
static void take_table(struct scan *s, const struct tokens *t, size_t i)
{
	static const struct {
		const char *macro;
		int name, key, value; /* arguments, -1: none */
	} kinds[] = {
		{"BPF_HASH", 0, 1, 2},	       {"BPF_PERCPU_HASH", 0, 1, 2},
		{"BPF_ARRAY", 0, -1, 1},       {"BPF_PERCPU_ARRAY", 0, -1, 1},
		{"BPF_HISTOGRAM", 0, 1, -1},   {"BPF_TABLE", 3, 1, 2},
		{"BPF_TABLE_PUBLIC", 3, 1, 2},
	};

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		if (!is(t, i, kinds[k].macro) || !is(t, i + 1, "("))
			continue;
		*VEC_PUSH(s->tables, s->n_tables, s->cap_tables) = (struct scan_table){
			argument(t, i, (size_t)kinds[k].name),
			kinds[k].key < 0 ? NULL : argument(t, i, (size_t)kinds[k].key),
			kinds[k].value < 0 ? NULL : argument(t, i, (size_t)kinds[k].value),
		};
	}
}

/* BPF_TABLE("histogram", KEY, LEAF, NAME, SIZE), whose string is no token: the place of NAME, 0 for
 * other text. */
static size_t histogram_table(const struct tokens *t, size_t i)
{
	static const char kind[] = "\"histogram\"";
	size_t commas = 0, gap;

	if (!is(t, i, "BPF_TABLE") || !is(t, i + 1, "(") || !is(t, i + 2, ","))
		return 0;
	gap = (size_t)(t->at[i + 2].s - t->at[i + 1].s);
	if (!memmem(t->at[i + 1].s, gap, kind, strlen(kind)))
		return 0;
	for (i += 2; i < t->n && !is(t, i, ")"); i++) {
		commas += is(t, i, ",");
		if (commas == 3)
			return is_name(t, i + 1) ? i + 1 : 0;
	}
	return 0;
}

static void note_words(struct scan *s, const struct tokens *t, size_t i)
{
	if ((is(t, i, "BPF_HISTOGRAM") || is(t, i, "BPF_HISTGRAM")) && is(t, i + 1, "(") &&
	    is_name(t, i + 2))
		*VEC_PUSH(s->histograms, s->n_histograms, s->cap_histograms) = copy(t, i + 2);
	if (histogram_table(t, i))
		*VEC_PUSH(s->histograms, s->n_histograms, s->cap_histograms) =
			copy(t, histogram_table(t, i));
	s->uses_log2 = s->uses_log2 || is(t, i, "bpf_log2l") || is(t, i, "bpf_log2");
	s->uses_printk = s->uses_printk || is(t, i, "bpf_trace_printk");
	take_member(s, t, i);
	take_table(s, t, i);
	if (is(t, i, "enum"))
		take_enum(s, t, i);
}

void scan_text(const char *text, size_t len, struct scan *out)
{
	struct tokens t = {0};

	memset(out, 0, sizeof(*out));
	tokenize(text, len, &t);
	for (size_t i = 0; i < t.n; i++)
		note_words(out, &t, i);
	for (size_t i = 0; i < t.n;) {
		if (is(&t, i, "struct") || is(&t, i, "union"))
			i = take_struct(out, &t, i, i && is(&t, i - 1, "typedef"));
		else
			i = is(&t, i, "{") ? behind_braces(&t, i) : i + 1;
	}
	free(t.at);
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

void scan_free(struct scan *s)
{
	for (size_t i = 0; i < s->n_enums; i++) {
		for (size_t k = 0; k < s->enums[i].n_values; k++)
			free(s->enums[i].values[k].name);
		free(s->enums[i].values);
		free(s->enums[i].name);
	}
	for (size_t i = 0; i < s->n_members; i++) {
		free(s->members[i].enum_name);
		free(s->members[i].member);
	}
	for (size_t i = 0; i < s->n_dims; i++) {
		free(s->dims[i].root);
		free(s->dims[i].path);
		free(s->dims[i].owner);
		free(s->dims[i].member);
		free(s->dims[i].sizes);
	}
	for (size_t i = 0; i < s->n_tables; i++) {
		free(s->tables[i].name);
		free(s->tables[i].key);
		free(s->tables[i].value);
	}
	free_names(s->structs, s->n_structs);
	free_names(s->histograms, s->n_histograms);
	free(s->enums);
	free(s->members);
	free(s->dims);
	free(s->tables);
	memset(s, 0, sizeof(*s));
}

bool scan_is_histogram(const struct scan *s, const char *table)
{
	for (size_t i = 0; i < s->n_histograms; i++)
		if (strcmp(s->histograms[i], table) == 0)
			return true;
	return false;
}

void scan_name_enum(const struct scan *s, const char *enum_name, struct ctype *t)
{
	if (t->kind == CTYPE_ARRAY) {
		scan_name_enum(s, enum_name, t->elem);
		return;
	}
	for (size_t i = 0; i < s->n_enums && t->kind == CTYPE_INT && !t->n_enums; i++) {
		const struct scan_enum *e = &s->enums[i];

		if (strcmp(e->name, enum_name) != 0)
			continue;
		t->enums = xcalloc(e->n_values + 1, sizeof(*t->enums));
		for (size_t k = 0; k < e->n_values; k++)
			t->enums[t->n_enums++] =
				(struct ctype_enum){xstrdup(e->values[k].name), e->values[k].value};
	}
}

void scan_name_enums(const struct scan *s, struct ctype *t)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		scan_name_enums(s, t->fields[i].type);
		for (size_t k = 0; k < s->n_members; k++)
			if (strcmp(s->members[k].member, t->fields[i].name) == 0)
				scan_name_enum(s, s->members[k].enum_name, t->fields[i].type);
	}
	if (t->elem)
		scan_name_enums(s, t->elem);
}

const struct scan_table *scan_table(const struct scan *s, const char *name)
{
	for (size_t i = 0; i < s->n_tables; i++)
		if (s->tables[i].name && strcmp(s->tables[i].name, name) == 0)
			return &s->tables[i];
	return NULL;
}

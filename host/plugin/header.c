/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/header.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/scan.h"
#include "util/text.h"

/* A header line while it is read. */
struct line {
	const struct source *src;
	const char *p, *end; /* what is left of it */
	int number;
	const char *start; /* of the source line, for columns */
	struct plugin_header *out;
	struct diag *d;
	int err;
};

static struct span span_at(const struct line *l, const char *from, const char *to)
{
	int col = (int)(from - l->start) + 1;

	return (struct span){l->number, col, 0, col + (to > from ? (int)(to - from) : 1)};
}

static void __attribute__((format(printf, 4, 5)))
wrong(struct line *l, const char *from, const char *to, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	l->err = diag_fail_at(l->d, -EINVAL, l->src, span_at(l, from, to), "%s", text);
	free(text);
}

static void skip_blanks(struct line *l)
{
	while (l->p < l->end && (*l->p == ' ' || *l->p == '\t'))
		l->p++;
}

/* The next word: up to a blank, or to one of `stop`. "" at the end of the line. */
static char *word(struct line *l, const char *stop, const char **from)
{
	const char *start;

	skip_blanks(l);
	start = *from = l->p;
	while (l->p < l->end && !isspace((unsigned char)*l->p) && !strchr(stop, *l->p))
		l->p++;
	return xstrndup(start, (size_t)(l->p - start));
}

static bool at_end(struct line *l)
{
	skip_blanks(l);
	return l->p == l->end;
}

static bool is_identifier(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	while (*s && (isalnum((unsigned char)*s) || *s == '_'))
		s++;
	return !*s;
}

static void nothing_more(struct line *l)
{
	if (!l->err && !at_end(l))
		wrong(l, l->p, l->end, "nothing more is expected here");
}

/* "-> FUNCTION" */
static void take_function(struct line *l, struct plugin_probe *p)
{
	const char *from;

	if (at_end(l) || l->end - l->p < 2 || memcmp(l->p, "->", 2) != 0) {
		wrong(l, l->p, l->end, "'-> FUNCTION' is expected here: what is to run");
		return;
	}
	l->p += 2;
	p->function = word(l, "", &from);
	if (!is_identifier(p->function))
		wrong(l, from, l->p, "a function of the plugin is expected behind '->'");
	nothing_more(l);
}

/* The place of a uprobe: [FILE:]SYMBOL[+OFFSET], where C++ names hold "::". */
static void split_place(struct line *l, struct plugin_probe *p, char *place, const char *from)
{
	char *colon = place, *plus;

	while ((colon = strchr(colon, ':')) && colon[1] == ':')
		colon += 2;
	if (colon) {
		*colon = '\0';
		p->file = xstrdup(place);
		place = colon + 1;
	}
	plus = strrchr(place, '+');
	if (plus && text_to_u64(plus + 1, &p->offset) == 0)
		*plus = '\0';
	else if (plus && isdigit((unsigned char)plus[1]))
		wrong(l, from, l->p, "'%s' is not an offset; write it like +16 or +0x10", plus);
	p->symbol = xstrdup(place);
	if (!l->err && (!*place || (p->file && !*p->file)))
		wrong(l, from, l->p, "a function is expected here: [FILE:]SYMBOL[+OFFSET]");
}

static void take_uprobe(struct line *l, struct plugin_probe *p)
{
	const char *from;
	char *place = word(l, "", &from);

	split_place(l, p, place, from);
	free(place);
	if (!l->err && p->kind == PLUGIN_URETPROBE && p->offset)
		wrong(l, from, l->p, "a return probe has no offset");
	if (!l->err)
		take_function(l, p);
}

static void take_args(struct line *l, struct plugin_probe *p)
{
	const char *from;

	for (l->p++; !l->err; l->p++) {
		char *name = word(l, ",)", &from);

		if (!is_identifier(name))
			wrong(l, from, l->p, "an argument's name is expected here");
		else if (p->n_args == PLUGIN_ARGS_MAX)
			wrong(l, from, l->p, "at most %d arguments are possible", PLUGIN_ARGS_MAX);
		if (l->err) {
			free(name);
			return;
		}
		p->args[p->n_args++] = name;
		skip_blanks(l);
		if (l->p == l->end || (*l->p != ',' && *l->p != ')')) {
			wrong(l, l->p, l->end, "',' or ')' is expected here");
			return;
		}
		if (*l->p == ')') {
			l->p++;
			return;
		}
	}
}

static void take_engine(struct line *l, struct plugin_probe *p)
{
	const char *from, *to;
	char *colon;

	p->symbol = word(l, "(", &from);
	to = l->p;
	colon = strchr(p->symbol, ':');
	if (!colon || colon == p->symbol || !colon[1])
		wrong(l, from, to, "an event of the engine is expected here, like op:begin");
	if (!l->err && l->p < l->end && *l->p == '(')
		take_args(l, p);
	if (!l->err)
		take_function(l, p);
}

static void take_tracepoint(struct line *l, struct plugin_probe *p)
{
	const char *from;
	char *colon;

	p->symbol = word(l, "", &from);
	colon = strchr(p->symbol, ':');
	if (!colon || colon == p->symbol || !colon[1] || strchr(colon + 1, ':'))
		wrong(l, from, l->p,
		      "a tracepoint is expected here, like exceptions:page_fault_user");
	if (!l->err)
		take_function(l, p);
}

static void take_raw(struct line *l, struct plugin_probe *p)
{
	const char *from;

	p->symbol = word(l, "", &from);
	if (!is_identifier(p->symbol))
		wrong(l, from, l->p, "a tracepoint's name without category is expected here");
	if (!l->err)
		take_function(l, p);
}

enum { HZ_MAX = 20000 };

static void take_profile(struct line *l, struct plugin_probe *p)
{
	const char *from;

	p->symbol = word(l, "", &from);
	if (text_to_u64(p->symbol, &p->hz) || !p->hz || p->hz > HZ_MAX)
		wrong(l, from, l->p, "a rate in samples per second is expected here, 1 to %d",
		      HZ_MAX);
	if (!l->err)
		take_function(l, p);
}

static const struct {
	const char *name;
	enum plugin_probe_kind kind;
	void (*take)(struct line *l, struct plugin_probe *p);
} probe_words[] = {
	{"uprobe", PLUGIN_UPROBE, take_uprobe},
	{"uretprobe", PLUGIN_URETPROBE, take_uprobe},
	{"engine", PLUGIN_ENGINE, take_engine},
	{"tracepoint", PLUGIN_TRACEPOINT, take_tracepoint},
	{"rawtracepoint", PLUGIN_RAW_TRACEPOINT, take_raw},
	{"profile", PLUGIN_PROFILE, take_profile},
};

static void take_about(struct line *l)
{
	skip_blanks(l);
	free(l->out->about);
	l->out->about = xstrndup(l->p, (size_t)(l->end - l->p));
	if (!*l->out->about)
		wrong(l, l->p, l->p, "a line of text is expected behind 'about'");
	l->p = l->end;
}

static void take_table(struct line *l)
{
	static const char *const forms[] = {"auto", "log2", "linear", "hide"};
	struct plugin_table_hint *h =
		VEC_PUSH(l->out->tables, l->out->n_tables, l->out->cap_tables);
	const char *from = l->p, *at;
	char *form;

	h->name = word(l, "", &at);
	h->at = span_at(l, from, l->end);
	if (!is_identifier(h->name)) {
		wrong(l, at, l->p, "a table's name is expected here");
		return;
	}
	form = word(l, "", &at);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (strcmp(form, forms[i]) == 0)
			h->form = (enum plugin_table_form)i;
	if (h->form == PLUGIN_TABLE_AUTO && strcmp(form, forms[0]) != 0) {
		const char *near = text_nearest_of(form, forms, ARRAY_LEN(forms));

		wrong(l, at, l->p, "log2, linear, hide or auto is expected here%s%s%s",
		      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	free(form);
	if (!l->err && !at_end(l))
		h->unit = word(l, "", &at);
	nothing_more(l);
}

static void take_every(struct line *l)
{
	const char *from;
	char *time = word(l, "", &from);

	if (text_to_duration(time, &l->out->every_ns) || l->out->every_ns < 10000000)
		wrong(l, from, l->p, "a time of at least 10ms is expected here, like 1s");
	free(time);
	nothing_more(l);
}

static const struct {
	const char *name;
	void (*take)(struct line *l);
} other_words[] = {{"about", take_about}, {"table", take_table}, {"every", take_every}};

static void unknown_word(struct line *l, const char *w, const char *from)
{
	const char *names[ARRAY_LEN(probe_words) + ARRAY_LEN(other_words)], *near;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(probe_words); i++)
		names[n++] = probe_words[i].name;
	for (size_t i = 0; i < ARRAY_LEN(other_words); i++)
		names[n++] = other_words[i].name;
	near = text_nearest_of(w, names, n);
	wrong(l, from, l->p,
	      "'%s' is no word of a plugin's header%s%s%s; there are uprobe, uretprobe, engine, "
	      "tracepoint, rawtracepoint, profile, table, every and about",
	      w, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void take_line(struct line *l)
{
	const char *from;
	char *w = word(l, "", &from);
	size_t i;

	for (i = 0; i < ARRAY_LEN(other_words); i++) {
		if (strcmp(w, other_words[i].name) == 0) {
			other_words[i].take(l);
			break;
		}
	}
	if (i < ARRAY_LEN(other_words)) {
		free(w);
		return;
	}
	for (i = 0; i < ARRAY_LEN(probe_words); i++) {
		if (strcmp(w, probe_words[i].name) == 0) {
			struct plugin_probe *p =
				VEC_PUSH(l->out->probes, l->out->n_probes, l->out->cap_probes);

			p->kind = probe_words[i].kind;
			p->at = span_at(l, from, l->end);
			probe_words[i].take(l, p);
			break;
		}
	}
	if (i == ARRAY_LEN(probe_words))
		unknown_word(l, w, from);
	free(w);
}

struct reading {
	const struct source *src;
	struct plugin_header *out;
	struct diag *d;
	int err;
};

static void comment_line(void *ctx, const char *text, size_t len, int number, const char *start)
{
	static const char mark[] = "llmprobe:";
	struct reading *r = ctx;
	struct line l = {r->src, text, text + len, number, start, r->out, r->d, 0};

	while (l.p < l.end && (isspace((unsigned char)*l.p) || *l.p == '*' || *l.p == '/'))
		l.p++;
	while (l.end > l.p && isspace((unsigned char)l.end[-1]))
		l.end--;
	if ((size_t)(l.end - l.p) < sizeof(mark) - 1 || memcmp(l.p, mark, sizeof(mark) - 1) != 0)
		return;
	l.p += sizeof(mark) - 1;
	take_line(&l);
	if (l.err)
		r->err = l.err;
}

int plugin_header_parse(const struct source *src, struct plugin_header *out, struct diag *d)
{
	struct reading r = {src, out, d, 0};

	memset(out, 0, sizeof(*out));
	scan_comments(src->text, src->len, comment_line, &r);
	return r.err;
}

void plugin_header_free(struct plugin_header *h)
{
	for (size_t i = 0; i < h->n_probes; i++) {
		struct plugin_probe *p = &h->probes[i];

		free(p->file);
		free(p->symbol);
		free(p->function);
		for (size_t k = 0; k < p->n_args; k++)
			free(p->args[k]);
	}
	for (size_t i = 0; i < h->n_tables; i++) {
		free(h->tables[i].name);
		free(h->tables[i].unit);
	}
	free(h->probes);
	free(h->tables);
	free(h->about);
	memset(h, 0, sizeof(*h));
}

static const struct {
	const char *prefix;
	enum plugin_probe_kind kind;
	bool two; /* the first "__" behind the prefix stands for a colon */
} function_names[] = {
	{"tracepoint__", PLUGIN_TRACEPOINT, true},
	{"raw_tracepoint__", PLUGIN_RAW_TRACEPOINT, false},
	{"kprobe__", PLUGIN_KPROBE, false},
	{"kretprobe__", PLUGIN_KRETPROBE, false},
	{"kfunc__", PLUGIN_TRACING, false},
	{"kretfunc__", PLUGIN_TRACING, false},
	{"tp_btf__", PLUGIN_TRACING, false},
	{"uprobe__", PLUGIN_UPROBE, false},
	{"uretprobe__", PLUGIN_URETPROBE, false},
	{"engine__", PLUGIN_ENGINE, true},
};

/* "category__event": neither half may be missing. */
static char *join_halves(const char *rest)
{
	const char *sep = strstr(rest, "__");

	if (!sep || sep == rest || !sep[2])
		return NULL;
	return xasprintf("%.*s:%s", (int)(sep - rest), rest, sep + 2);
}

bool plugin_header_add_function(struct plugin_header *h, const char *function)
{
	for (size_t i = 0; i < ARRAY_LEN(function_names); i++) {
		const char *rest = function + strlen(function_names[i].prefix);
		struct plugin_probe *p;
		char *symbol;

		if (!text_starts(function, function_names[i].prefix) || !*rest)
			continue;
		symbol = function_names[i].two ? join_halves(rest) : xstrdup(rest);
		if (!symbol)
			return false;
		p = VEC_PUSH(h->probes, h->n_probes, h->cap_probes);
		p->kind = function_names[i].kind;
		p->symbol = symbol;
		p->function = xstrdup(function);
		return true;
	}
	return false;
}

const struct plugin_table_hint *plugin_header_table(const struct plugin_header *h, const char *name)
{
	for (size_t i = 0; i < h->n_tables; i++)
		if (strcmp(h->tables[i].name, name) == 0)
			return &h->tables[i];
	return NULL;
}

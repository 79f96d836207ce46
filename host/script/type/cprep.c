/* SPDX-License-Identifier: Apache-2.0 */
#include "script/type/cprep.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/check/const.h"
#include "util/file.h"

enum { MAX_INCLUDE_DEPTH = 32, MAX_COND_DEPTH = 64, MAX_HEADER = 4 << 20 };

/* Constants of kernel headers that its type information does not have. */
#define CONSTANTS "third_party/kernel-headers/constants/"

#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#else
#define MULTIARCH "aarch64-linux-gnu"
#endif

struct prep {
	struct type_table *t;
	const struct ctype_opts *o;
	struct diag *diag;
	struct c_text *out;
	const char *folder; /* of the header that is being read */
	bool active[MAX_COND_DEPTH], taken[MAX_COND_DEPTH];
	int cond, include_depth;
	int err;
};

static void prep_text(struct prep *p, const char *text);

static bool prep_live(const struct prep *p)
{
	for (int i = 0; i < p->cond; i++)
		if (!p->active[i])
			return false;
	return true;
}

static const char *skip_ws(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

static char *take_word(const char **s)
{
	const char *start = skip_ws(*s), *end = start;

	while (isalnum((unsigned char)*end) || *end == '_')
		end++;
	*s = end;
	return xstrndup(start, (size_t)(end - start));
}

static bool is_defined(struct prep *p, const char *name)
{
	char call[128];

	snprintf(call, sizeof(call), "%.120s(", name);
	return type_macro(p->t, name) || type_macro(p->t, call);
}

static void prep_define(struct prep *p, const char *rest)
{
	char *name = take_word(&rest), *key, *value;
	const char *end = rest + strlen(rest);

	if (*name) {
		/* a function-like one is kept with its parenthesis */
		key = xasprintf("%s%s", name, *rest == '(' ? "(" : "");
		rest = *rest == '(' ? rest + 1 : skip_ws(rest);
		while (end > rest && isspace((unsigned char)end[-1]))
			end--;
		value = xstrndup(rest, (size_t)(end - rest));
		type_define_macro(p->t, key, value);
		free(value);
		free(key);
	}
	free(name);
}

/* ---- conditions ---- */

/* defined(X) and defined X become 1 or 0. */
static char *resolve_defined(struct prep *p, const char *rest)
{
	struct buf out = {0};
	const char *at;

	while ((at = strstr(rest, "defined"))) {
		const char *word = skip_ws(at + strlen("defined"));
		bool paren = *word == '(';
		char *name;

		buf_add(&out, rest, (size_t)(at - rest));
		word = skip_ws(word + paren);
		name = take_word(&word);
		buf_puts(&out, is_defined(p, name) ? "1" : "0");
		free(name);
		word = paren ? skip_ws(word) : word;
		rest = word + (paren && *word == ')');
	}
	buf_puts(&out, rest);
	return buf_take(&out);
}

/* Names that are no macros are 0. */
static char *resolve_names(const char *s)
{
	struct buf out = {0};

	while (*s) {
		const char *word = s;
		bool name = isalpha((unsigned char)*s) || *s == '_';

		while (isalnum((unsigned char)*s) || *s == '_')
			s++;
		if (name)
			buf_putc(&out, '0');
		else
			buf_add(&out, word, s > word ? (size_t)(s - word) : 1);
		s += s == word;
	}
	return buf_take(&out);
}

static bool prep_condition(struct prep *p, const char *text)
{
	struct arena *arena = arena_new();
	struct diag *ignored = diag_new();
	char *flags = resolve_defined(p, text), *rest;
	struct buf expanded = {0};
	struct source src = {.name = "#if"};
	struct node *n;
	int64_t v = 0;
	bool ok;

	cmacro_expand(p->t, flags, &expanded);
	src.text = rest = resolve_names(buf_str(&expanded));
	src.len = strlen(rest);
	n = script_parse_expr(&src, arena, ignored);
	ok = n && const_eval(p->t, n, &v) && v;
	diag_free(ignored);
	arena_free(arena);
	buf_free(&expanded);
	free(flags);
	free(rest);
	return ok;
}

static void prep_push(struct prep *p, bool on)
{
	if (p->cond == MAX_COND_DEPTH) {
		p->err = diag_fail(p->diag, -EINVAL, "#if is nested too deeply");
		return;
	}
	p->active[p->cond] = p->taken[p->cond] = on;
	p->cond++;
}

static void prep_else(struct prep *p, bool on)
{
	if (!p->cond)
		return;
	p->active[p->cond - 1] = !p->taken[p->cond - 1] && on;
	p->taken[p->cond - 1] |= on;
}

/* ---- #include ---- */

static char *header_in(const char *folder, size_t len, const char *name)
{
	char *path = xasprintf("%.*s/%s", (int)len, folder, name);
	FILE *f = len ? fopen(path, "re") : NULL;

	if (f) {
		fclose(f);
		return path;
	}
	free(path);
	return NULL;
}

/* The folders of a variable such as CPATH, or of a list written the same way. */
static char *header_in_list(const char *list, const char *name)
{
	char *path = NULL;

	while (list && *list && !path) {
		const char *end = strchrnul(list, ':');

		path = header_in(list, (size_t)(end - list), name);
		list = *end ? end + 1 : end;
	}
	return path;
}

static char *find_header(struct prep *p, const char *name, bool quoted)
{
	const char *folder = p->folder ? p->folder : ".";
	char *path = NULL;

	if (name[0] == '/')
		return xstrdup(name);
	if (quoted)
		path = header_in(folder, strlen(folder), name);
	for (size_t i = 0; i < p->o->n_include_dirs && !path; i++)
		path = header_in(p->o->include_dirs[i], strlen(p->o->include_dirs[i]), name);
	path = path ? path : header_in_list(getenv("CPATH"), name);
	path = path ? path : header_in_list(getenv("C_INCLUDE_PATH"), name);
	return path ? path
		    : header_in_list("/usr/local/include:/usr/include/" MULTIARCH ":/usr/include",
				     name);
}

static bool prep_constants(struct prep *p, const char *name)
{
	char *path = xasprintf(CONSTANTS "%s", name), *text = data_file_read(path);
	bool found = text != NULL;

	if (found)
		prep_text(p, text);
	free(text);
	free(path);
	return found;
}

static int prep_header(struct prep *p, char *path)
{
	const char *outer = p->folder;
	struct buf text = {0};
	char *slash = strrchr(path, '/');
	int err = file_read(path, &text, MAX_HEADER);

	if (!err) {
		*slash = 0;
		p->folder = path;
		prep_text(p, buf_str(&text));
		p->folder = outer;
	}
	buf_free(&text);
	return err;
}

/* Headers of the kernel give types and constants that BTF has too, those of the compiler what is
 * known anyway: they need not be there. */
static bool may_be_missing(const char *name)
{
	static const char *const kernel[] = {"linux/", "net/",	  "asm/",  "asm-generic/", "uapi/",
					     "trace/", "drm/",	  "scsi/", "sound/",	   "rdma/",
					     "xen/",   "crypto/", "acpi/", "generated/"};
	static const char *const compiler[] = {"stddef.h", "stdarg.h", "stdbool.h",
					       "stdint.h", "limits.h", "float.h"};

	for (size_t i = 0; i < ARRAY_LEN(kernel); i++)
		if (strncmp(name, kernel[i], strlen(kernel[i])) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(compiler); i++)
		if (strcmp(name, compiler[i]) == 0)
			return true;
	return false;
}

static void prep_include(struct prep *p, const char *rest)
{
	char open = *(rest = skip_ws(rest)), *name, *path;
	const char *end = open ? strchr(rest + 1, open == '<' ? '>' : '"') : NULL;
	size_t from = p->out->text.len;
	bool found;

	if (!end || (open != '<' && open != '"') || p->include_depth >= MAX_INCLUDE_DEPTH)
		return;
	p->include_depth++;
	name = xstrndup(rest + 1, (size_t)(end - rest - 1));
	path = find_header(p, name, open == '"');
	found = path && prep_header(p, path) == 0;
	/* they win: what the system has are the constants of its user space */
	found |= open == '<' && prep_constants(p, name);
	if (!found && !p->folder && (open == '"' || !may_be_missing(name)))
		p->err = diag_fail(p->diag, -ENOENT,
				   "fatal error: '%s' file not found; name its folder with -I",
				   name);
	p->include_depth--;
	if (!p->include_depth && open == '<') {
		struct c_range *r =
			VEC_PUSH(p->out->headers, p->out->n_headers, p->out->cap_headers);

		*r = (struct c_range){from, p->out->text.len};
	}
	free(path);
	free(name);
}

/* ---- lines ---- */

static void prep_directive(struct prep *p, const char *line)
{
	char *word = take_word(&line), *name;

	if (strcmp(word, "ifdef") == 0 || strcmp(word, "ifndef") == 0) {
		name = take_word(&line);
		prep_push(p, is_defined(p, name) == (word[2] == 'd'));
		free(name);
	} else if (strcmp(word, "if") == 0) {
		prep_push(p, prep_live(p) && prep_condition(p, line));
	} else if (strcmp(word, "else") == 0) {
		prep_else(p, true);
	} else if (strcmp(word, "elif") == 0) {
		prep_else(p, prep_condition(p, line));
	} else if (strcmp(word, "endif") == 0) {
		p->cond -= p->cond > 0;
	} else if (!prep_live(p)) {
		;
	} else if (strcmp(word, "define") == 0) {
		prep_define(p, line);
	} else if (strcmp(word, "undef") == 0) {
		name = take_word(&line);
		type_undef_macro(p->t, name);
		free(name);
	} else if (strcmp(word, "include") == 0 || strcmp(word, "include_next") == 0) {
		prep_include(p, line);
	}
	free(word);
}

/* One logical line: backslash-newline joined. Returns the start of the next one. */
static const char *take_line(const char *s, struct buf *line)
{
	for (; *s && *s != '\n'; s++) {
		if (*s == '\\' && s[1] == '\n') {
			s++;
			buf_putc(line, ' ');
		} else {
			buf_putc(line, *s);
		}
	}
	return *s ? s + 1 : s;
}

/* Comments become blanks; lines and columns stay. */
static void blank_comments(char *s)
{
	bool quoted = false;

	while (*s) {
		char *end = s + 1;

		if (*s == '\\' && s[1]) {
			end++;
		} else if (*s == '"' || *s == '\n') {
			quoted = *s == '"' && !quoted;
		} else if (!quoted && s[0] == '/' && (s[1] == '/' || s[1] == '*')) {
			bool line = s[1] == '/';

			end = line ? strchrnul(s, '\n') : strstr(s + 2, "*/");
			end = line ? end : end ? end + 2 : s + strlen(s);
			for (char *c = s; c < end; c++)
				*c = *c == '\n' ? '\n' : ' ';
		}
		s = end;
	}
}

static void prep_text(struct prep *p, const char *original)
{
	char *copy = xstrdup(original);
	const char *text = copy;
	struct buf line = {0};

	blank_comments(copy);
	while (*text && !p->err) {
		const char *start;

		buf_reset(&line);
		text = take_line(text, &line);
		start = skip_ws(buf_str(&line));
		if (*start == '#') {
			prep_directive(p, start + 1);
		} else if (prep_live(p)) {
			cmacro_expand(p->t, buf_str(&line), &p->out->text);
			buf_putc(&p->out->text, '\n');
		}
	}
	buf_free(&line);
	free(copy);
}

/* What headers ask a compiler for. */
static void predefine(struct prep *p)
{
	static const struct {
		const char *name, *value;
	} macros[] = {
#if defined(__x86_64__)
		{"__x86_64__", "1"},
#else
		{"__aarch64__", "1"},
#endif
		{"__linux__", "1"},
		{"__LP64__", "1"},
		{"__STDC__", "1"},
		{"__STDC_VERSION__", "201112L"},
		{"__GNUC__", "4"},
		{"__GNUC_MINOR__", "2"},
		{"__SIZE_TYPE__", "unsigned long"},
		{"__PTRDIFF_TYPE__", "long"},
		{"__WCHAR_TYPE__", "int"},
		{"__CHAR_BIT__", "8"},
		{"__INT_MAX__", "0x7fffffff"},
		{"__LONG_MAX__", "0x7fffffffffffffff"},
		{"__SIZEOF_LONG__", "8"},
		{"__ORDER_LITTLE_ENDIAN__", "1234"},
		{"__ORDER_BIG_ENDIAN__", "4321"},
		{"__BYTE_ORDER__", "1234"},
	};

	for (size_t i = 0; i < ARRAY_LEN(macros); i++)
		type_define_macro(p->t, macros[i].name, macros[i].value);
	if (p->o->have_btf)
		type_define_macro(p->t, "BPFTRACE_HAVE_BTF", "1");
}

int cprep_run(struct type_table *t, const char *text, const struct ctype_opts *o,
	      struct c_text *out, struct diag *d)
{
	struct prep p = {.t = t, .o = o, .diag = d, .out = out};

	predefine(&p);
	prep_text(&p, text);
	return p.err;
}

void c_text_free(struct c_text *c)
{
	buf_free(&c->text);
	free(c->headers);
}

bool c_text_from_header(const struct c_text *c, size_t at)
{
	for (size_t i = 0; i < c->n_headers; i++)
		if (at >= c->headers[i].from && at < c->headers[i].to)
			return true;
	return false;
}

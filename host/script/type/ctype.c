/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C part of a script: directives and the declarations of structs, unions, enums and typedefs.
 * What is no type declaration (prototypes, functions, variables) is skipped.
 */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/check/const.h"
#include "script/type/types.h"
#include "util/file.h"

enum { MAX_INCLUDE_DEPTH = 16, MAX_COND_DEPTH = 64, MAX_NESTING = 64, MAX_HEADER = 4 << 20 };

/* ---- directives ---- */

struct prep {
	struct type_table *t;
	const struct ctype_opts *o;
	struct diag *diag;
	struct buf out; /* what is left for the declaration parser */
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
	return type_macro(p->t, name) || (p->o->have_btf && strcmp(name, "BPFTRACE_HAVE_BTF") == 0);
}

/* Where a comment starts outside of strings, or the end. */
static size_t comment_at(const char *s)
{
	bool quoted = false;
	size_t i;

	for (i = 0; s[i]; i++) {
		if (s[i] == '\\' && s[i + 1])
			i++;
		else if (s[i] == '"')
			quoted = !quoted;
		else if (!quoted && s[i] == '/' && (s[i + 1] == '/' || s[i + 1] == '*'))
			break;
	}
	return i;
}

static void prep_define(struct prep *p, const char *rest)
{
	char *name = take_word(&rest), *value, *key;

	if (*name) {
		/* a function-like one is kept with its parenthesis */
		key = xasprintf("%s%s", name, *rest == '(' ? "(" : "");
		rest = *rest == '(' ? rest + 1 : skip_ws(rest);
		value = xstrndup(rest, comment_at(rest));
		type_define_macro(p->t, key, value);
		free(value);
		free(key);
	}
	free(name);
}

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

static bool prep_condition(struct prep *p, const char *text)
{
	struct arena *arena = arena_new();
	struct diag *ignored = diag_new();
	char *rest = resolve_defined(p, text);
	struct source src = {"#if", rest, strlen(rest)};
	struct node *n = script_parse_expr(&src, arena, ignored);
	int64_t v = 0;
	bool ok = n && const_eval(p->t, n, &v) && v;

	diag_free(ignored);
	arena_free(arena);
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

static char *find_header(struct prep *p, const char *name)
{
	for (size_t i = 0; i < p->o->n_include_dirs; i++) {
		char *path = xasprintf("%s/%s", p->o->include_dirs[i], name);
		FILE *f = fopen(path, "re");

		if (f) {
			fclose(f);
			return path;
		}
		free(path);
	}
	return NULL;
}

/* Kernel headers give only types and constants that BTF has too, so they need not be there. */
static void prep_include(struct prep *p, const char *rest)
{
	char open = *(rest = skip_ws(rest)), *name, *path;
	const char *end = open ? strchr(rest + 1, open == '<' ? '>' : '"') : NULL;
	struct buf text = {0};

	if (!end || (open != '<' && open != '"'))
		return;
	name = xstrndup(rest + 1, (size_t)(end - rest - 1));
	path = name[0] == '/' ? xstrdup(name) : find_header(p, name);
	if (path && p->include_depth < MAX_INCLUDE_DEPTH &&
	    file_read(path, &text, MAX_HEADER) == 0) {
		p->include_depth++;
		prep_text(p, buf_str(&text));
		p->include_depth--;
	} else if (open == '"') {
		p->err = diag_fail(p->diag, -ENOENT, "'%s' file not found; name its folder with -I",
				   name);
	}
	buf_free(&text);
	free(path);
	free(name);
}

static void prep_else(struct prep *p, bool on)
{
	if (!p->cond)
		return;
	p->active[p->cond - 1] = !p->taken[p->cond - 1] && on;
	p->taken[p->cond - 1] |= on;
}

static void prep_directive(struct prep *p, const char *line)
{
	char *word = take_word(&line), *name;

	if (strcmp(word, "ifdef") == 0 || strcmp(word, "ifndef") == 0) {
		name = take_word(&line);
		prep_push(p, is_defined(p, name) == (word[2] == 'd'));
		free(name);
	} else if (strcmp(word, "if") == 0) {
		prep_push(p, prep_condition(p, line));
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
	} else if (strcmp(word, "include") == 0) {
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

static void prep_text(struct prep *p, const char *text)
{
	struct buf line = {0};

	while (*text && !p->err) {
		const char *start;

		buf_reset(&line);
		text = take_line(text, &line);
		start = skip_ws(buf_str(&line));
		if (*start == '#')
			prep_directive(p, start + 1);
		else if (prep_live(p))
			buf_printf(&p->out, "%s\n", buf_str(&line));
	}
	buf_free(&line);
}

/* ---- declarations ---- */

struct decl {
	struct type_table *t;
	struct lexer lx;
	struct diag *diag;
	struct token tok;
	int depth;
	jmp_buf fail;
};

struct declarator {
	const char *name;
	const struct type *type;
	int bits; /* -1: no bitfield */
};

static const struct type *decl_specifier(struct decl *d);

static void __attribute__((noreturn)) decl_fail(struct decl *d, const char *msg)
{
	if (d->tok.kind != TOK_BAD)
		diag_add_at(d->diag, DIAG_ERROR, d->lx.src, loc_span(d->lx.src, d->tok.loc), "%s",
			    msg);
	longjmp(d->fail, 1);
}

static void decl_advance(struct decl *d)
{
	d->tok = lexer_next(&d->lx);
	if (d->tok.kind == TOK_BAD)
		decl_fail(d, "");
}

static bool decl_accept(struct decl *d, int kind)
{
	if ((int)d->tok.kind != kind)
		return false;
	decl_advance(d);
	return true;
}

static bool at_word(const struct decl *d, const char *w)
{
	return d->tok.kind == TOK_IDENT && strcmp(d->tok.text, w) == 0;
}

static void skip_parens(struct decl *d)
{
	int depth = 0;

	do {
		depth += d->tok.kind == '(' ? 1 : d->tok.kind == ')' ? -1 : 0;
		if (d->tok.kind == TOK_EOF)
			decl_fail(d, "unexpected end of C text, expecting )");
		decl_advance(d);
	} while (depth > 0);
}

/* __attribute__((packed)) and friends; sets *packed. */
static void skip_attributes(struct decl *d, bool *packed)
{
	for (;;) {
		if (at_word(d, "const") || at_word(d, "volatile") || at_word(d, "extern") ||
		    at_word(d, "static") || at_word(d, "inline") || at_word(d, "__extension__")) {
			decl_advance(d);
		} else if (at_word(d, "__attribute__")) {
			uint32_t start = d->lx.pos;
			char *text;

			decl_advance(d);
			skip_parens(d);
			text = xstrndup(d->lx.src->text + start, d->tok.loc.pos - start);
			*packed |= strstr(text, "packed") != NULL;
			free(text);
		} else if (at_word(d, "__packed")) {
			*packed = true;
			decl_advance(d);
		} else {
			return;
		}
	}
}

/* A constant expression up to one of , ] } ; at this level. */
static int64_t decl_const(struct decl *d)
{
	uint32_t start = d->tok.loc.pos, end = start;
	struct source *src = arena_alloc(type_table_arena(d->t), sizeof(*src));
	struct node *n;
	int64_t v;
	int depth = 0;

	while (d->tok.kind != TOK_EOF &&
	       (depth || !strchr(",]};", d->tok.kind < 256 ? (int)d->tok.kind : '?'))) {
		depth += d->tok.kind == '(' ? 1 : d->tok.kind == ')' ? -1 : 0;
		end = d->tok.loc.end;
		decl_advance(d);
	}
	src->name = d->lx.src->name;
	src->text = arena_strndup(type_table_arena(d->t), d->lx.src->text + start, end - start);
	src->len = end - start;
	n = script_parse_expr(src, type_table_arena(d->t), d->diag);
	if (!n)
		longjmp(d->fail, 1);
	if (!const_eval(d->t, n, &v))
		decl_fail(d, "expected a constant expression");
	return v;
}

static struct declarator parse_declarator(struct decl *d, const struct type *base)
{
	struct declarator out = {.type = base, .bits = -1};
	int64_t dims[8];
	bool packed = false;
	int n = 0;

	skip_attributes(d, &packed);
	while (decl_accept(d, '*')) {
		out.type = type_ptr(d->t, out.type);
		skip_attributes(d, &packed);
	}
	if (d->tok.kind == '(') { /* pointer to function */
		decl_advance(d);
		while (decl_accept(d, '*'))
			;
		if (d->tok.kind == TOK_IDENT) {
			out.name = d->tok.text;
			decl_advance(d);
		}
		while (d->tok.kind != ')' && d->tok.kind != TOK_EOF)
			decl_advance(d);
		decl_accept(d, ')');
		if (d->tok.kind == '(')
			skip_parens(d);
		out.type = type_ptr(d->t, &type_void);
	} else if (d->tok.kind == TOK_IDENT) {
		out.name = d->tok.text;
		decl_advance(d);
	}
	while (d->tok.kind == '[' && n < 8) {
		decl_advance(d);
		dims[n++] = d->tok.kind == ']' ? 0 : decl_const(d);
		if (!decl_accept(d, ']') || dims[n - 1] < 0 || dims[n - 1] > 1 << 24)
			decl_fail(d, "invalid array size");
	}
	while (n--)
		out.type = type_array(d->t, out.type, (uint32_t)dims[n]);
	if (decl_accept(d, ':'))
		out.bits = (int)decl_const(d);
	skip_attributes(d, &packed);
	return out;
}

struct layout {
	uint64_t bit; /* next free, in a union always 0 */
	uint32_t size, align;
	bool is_union, packed;
};

/* Places a member by the System V rules. */
static void place(struct decl *d, struct layout *l, struct field *f, int bits)
{
	uint32_t size = f->type->size, align = l->packed ? 1 : f->type->align;
	uint64_t unit = (uint64_t)size * 8;

	if (bits >= 0 && size) {
		if ((uint64_t)bits > unit)
			decl_fail(d, "bitfield is wider than its type");
		if (!bits || (!l->packed && l->bit / unit != (l->bit + (unsigned)bits - 1) / unit))
			l->bit = (l->bit + unit - 1) / unit * unit;
		f->offset = (uint32_t)(l->bit / unit * size);
		f->bit_offset = (uint8_t)(l->bit - (uint64_t)f->offset * 8);
		f->bit_size = (uint8_t)bits;
		l->bit += (unsigned)bits;
	} else {
		l->bit = (l->bit + 7) / 8;
		l->bit = (l->bit + align - 1) / align * align;
		f->offset = (uint32_t)l->bit;
		l->bit = (l->bit + size) * 8;
	}
	l->align = align > l->align ? align : l->align;
	if ((l->bit + 7) / 8 > l->size)
		l->size = (uint32_t)((l->bit + 7) / 8);
	if (l->is_union)
		l->bit = 0;
}

static void parse_members(struct decl *d, struct type *st)
{
	struct layout l = {.align = 1, .is_union = st->is_union};

	while (!decl_accept(d, '}')) {
		const struct type *base = decl_specifier(d);

		if (d->tok.kind == TOK_EOF)
			decl_fail(d, "unexpected end of C text, expecting }");
		do {
			struct declarator m = parse_declarator(d, base);
			struct field *f = fields_add(d->t, st->fields);

			f->name = m.name;
			f->type = m.type;
			if (!m.name && m.bits < 0 && base->kind != TY_STRUCT)
				st->fields->n--;
			else
				place(d, &l, f, m.bits);
		} while (decl_accept(d, ','));
		if (!decl_accept(d, ';') && d->tok.kind != '}')
			decl_fail(d, "syntax error in struct, expecting ;");
	}
	skip_attributes(d, &l.packed);
	st->align = l.packed ? 1 : l.align;
	st->size = (l.size + st->align - 1) / st->align * st->align;
	st->fields->complete = true;
}

/* With a packed attribute behind the brace the offsets are laid again. */
static void repack(struct decl *d, struct type *st)
{
	struct layout l = {.align = 1, .is_union = st->is_union, .packed = true};

	for (size_t i = 0; i < st->fields->n; i++) {
		struct field *f = &st->fields->v[i];

		place(d, &l, f, f->bit_size ? f->bit_size : -1);
	}
	st->size = l.size;
}

static const struct type *parse_struct(struct decl *d)
{
	bool is_union = at_word(d, "union"), packed = false;
	const char *tag = NULL;
	struct type *st;

	decl_advance(d);
	skip_attributes(d, &packed);
	if (d->tok.kind == TOK_IDENT) {
		tag = arena_printf(type_table_arena(d->t), "%s %s", is_union ? "union" : "struct",
				   d->tok.text);
		decl_advance(d);
	}
	if (d->tok.kind != '{') {
		const struct type *known = tag ? type_by_name(d->t, tag) : NULL;

		if (known)
			return known;
	}
	st = type_alloc(d->t, TY_STRUCT);
	st->name = tag;
	st->is_union = is_union;
	st->align = 1;
	st->fields = arena_alloc(type_table_arena(d->t), sizeof(*st->fields));
	if (tag)
		type_define(d->t, tag, st);
	if (decl_accept(d, '{')) {
		parse_members(d, st);
		if (packed || st->align == 1)
			repack(d, st);
	}
	return st;
}

static const struct type *parse_enum(struct decl *d)
{
	struct type *e = type_alloc(d->t, TY_ENUM);
	int64_t next = 0;

	e->size = e->align = 4;
	e->fields = arena_alloc(type_table_arena(d->t), sizeof(*e->fields));
	decl_advance(d);
	if (d->tok.kind == TOK_IDENT) {
		e->name = arena_printf(type_table_arena(d->t), "enum %s", d->tok.text);
		decl_advance(d);
		if (d->tok.kind != '{') {
			const struct type *known = type_by_name(d->t, e->name);

			return known ? known : e;
		}
		type_define(d->t, e->name, e);
	}
	if (!decl_accept(d, '{'))
		return e;
	while (d->tok.kind == TOK_IDENT) {
		struct field *f = fields_add(d->t, e->fields);

		f->name = d->tok.text;
		decl_advance(d);
		if (decl_accept(d, '='))
			next = decl_const(d);
		f->value = next;
		e->is_signed |= next < 0;
		if (next > UINT32_MAX || next < INT32_MIN)
			e->size = e->align = 8;
		type_define_enum_value(d->t, f->name, next++, e);
		if (!decl_accept(d, ','))
			break;
	}
	if (!decl_accept(d, '}'))
		decl_fail(d, "syntax error in enum, expecting }");
	return e;
}

/* unsigned long long int in any order */
static const struct type *parse_int_words(struct decl *d)
{
	int longs = 0, size = 4, seen = 0;
	bool is_unsigned = false;

	for (; d->tok.kind == TOK_IDENT; seen++) {
		if (at_word(d, "unsigned"))
			is_unsigned = true;
		else if (at_word(d, "long"))
			longs++;
		else if (at_word(d, "short"))
			size = 2;
		else if (at_word(d, "char"))
			size = 1;
		else if (!at_word(d, "int") && !at_word(d, "signed") && !at_word(d, "const"))
			break;
		decl_advance(d);
	}
	if (seen && !longs && size == 1 && !is_unsigned)
		return &type_char;
	return seen ? type_int(longs ? 8 : (unsigned)size, !is_unsigned) : NULL;
}

static const struct type *decl_specifier(struct decl *d)
{
	const struct type *ty;
	bool packed = false;

	if (++d->depth > MAX_NESTING)
		decl_fail(d, "structs are nested too deeply");
	skip_attributes(d, &packed);
	if (at_word(d, "struct") || at_word(d, "union")) {
		ty = parse_struct(d);
	} else if (at_word(d, "enum")) {
		ty = parse_enum(d);
	} else if (!(ty = parse_int_words(d))) {
		if (d->tok.kind != TOK_IDENT)
			decl_fail(d, "syntax error in C text, expecting a type");
		ty = type_by_name(d->t, d->tok.text);
		if (!ty)
			decl_fail(d, "unknown type name in C text");
		decl_advance(d);
	}
	skip_attributes(d, &packed);
	d->depth--;
	return ty;
}

/* To the end of something that declares no type: a semicolon or a closing brace at level 0. */
static void skip_external(struct decl *d)
{
	int depth = 0;

	while (d->tok.kind != TOK_EOF) {
		int k = (int)d->tok.kind;

		depth += k == '{' ? 1 : k == '}' ? -1 : 0;
		decl_advance(d);
		if (depth <= 0 && (k == ';' || k == '}'))
			return;
	}
}

static void parse_typedef(struct decl *d)
{
	const struct type *base;

	decl_advance(d);
	base = decl_specifier(d);
	do {
		struct declarator m = parse_declarator(d, base);

		if (d->tok.kind == '(') {
			skip_parens(d);
			m.type = &type_void;
		}
		if (m.name)
			type_define(d->t, m.name, m.type);
	} while (decl_accept(d, ','));
	if (!decl_accept(d, ';'))
		decl_fail(d, "syntax error in typedef, expecting ;");
}

static void parse_declarations(struct decl *d)
{
	decl_advance(d);
	while (d->tok.kind != TOK_EOF) {
		if (at_word(d, "typedef")) {
			parse_typedef(d);
		} else if (at_word(d, "struct") || at_word(d, "union") || at_word(d, "enum")) {
			decl_specifier(d);
			if (!decl_accept(d, ';'))
				skip_external(d);
		} else {
			skip_external(d);
		}
	}
}

int ctype_parse(struct type_table *t, const char *text, const struct ctype_opts *o,
		struct diag *diag)
{
	struct prep p = {.t = t, .o = o, .diag = diag};
	struct decl *d = arena_alloc(type_table_arena(t), sizeof(*d));
	struct source *src = arena_alloc(type_table_arena(t), sizeof(*src));
	int err = 0;

	prep_text(&p, text);
	src->name = "definitions";
	src->len = p.out.len;
	src->text = arena_strndup(type_table_arena(t), buf_str(&p.out), p.out.len);
	buf_free(&p.out);
	if (p.err)
		return p.err;
	lexer_init(&d->lx, src, type_table_arena(t), diag);
	d->t = t;
	d->diag = diag;
	if (setjmp(d->fail))
		err = -EINVAL;
	else
		parse_declarations(d);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C part of a script: declarations of structs, unions, enums and typedefs. What is no type
 * declaration (prototypes, functions, variables) is skipped, and so is what is not understood of
 * headers of the system.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/check/const.h"
#include "script/type/cprep.h"

enum { MAX_NESTING = 64, MAX_DIMS = 8 };

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

static bool at_qualifier(const struct decl *d)
{
	static const char *const words[] = {"const",	    "volatile", "extern",	"static",
					    "inline",	    "__inline", "__restrict",	"restrict",
					    "__volatile__", "__const",	"__extension__"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (at_word(d, words[i]))
			return true;
	return false;
}

/* __attribute__((packed)) and friends; sets *packed. */
static void skip_attributes(struct decl *d, bool *packed)
{
	for (;;) {
		if (at_qualifier(d)) {
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

/* [4][N] into dims; returns how many there are now. */
static int parse_dims(struct decl *d, int64_t dims[MAX_DIMS], int n)
{
	while (d->tok.kind == '[' && n < MAX_DIMS) {
		decl_advance(d);
		dims[n++] = d->tok.kind == ']' ? 0 : decl_const(d);
		if (!decl_accept(d, ']') || dims[n - 1] < 0 || dims[n - 1] > 1 << 24)
			decl_fail(d, "invalid array size");
	}
	return n;
}

/* (*name)(int), also (*name[4])(int): returns the number of dimensions. */
static int parse_function_pointer(struct decl *d, struct declarator *out, int64_t dims[MAX_DIMS])
{
	int n = 0;

	decl_advance(d);
	while (decl_accept(d, '*'))
		;
	if (d->tok.kind == TOK_IDENT) {
		out->name = d->tok.text;
		decl_advance(d);
	}
	n = parse_dims(d, dims, n);
	while (d->tok.kind != ')' && d->tok.kind != TOK_EOF)
		decl_advance(d);
	decl_accept(d, ')');
	if (d->tok.kind == '(')
		skip_parens(d);
	out->type = type_ptr(d->t, &type_void);
	return n;
}

static struct declarator parse_declarator(struct decl *d, const struct type *base)
{
	struct declarator out = {.type = base, .bits = -1};
	int64_t dims[MAX_DIMS];
	bool packed = false;
	int n = 0;

	skip_attributes(d, &packed);
	while (decl_accept(d, '*')) {
		out.type = type_ptr(d->t, out.type);
		skip_attributes(d, &packed);
	}
	if (d->tok.kind == '(') {
		n = parse_function_pointer(d, &out, dims);
	} else if (d->tok.kind == TOK_IDENT) {
		out.name = d->tok.text;
		decl_advance(d);
	}
	n = parse_dims(d, dims, n);
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
		else if (!at_word(d, "int") && !at_word(d, "signed") && !at_word(d, "__signed__") &&
			 !at_word(d, "const"))
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

static void parse_declaration(struct decl *d)
{
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

/* Where the declaration that starts at `from` ends, whatever it holds. */
static uint32_t declaration_end(const struct source *src, uint32_t from)
{
	int depth = 0;

	for (uint32_t i = from; i < src->len; i++) {
		char c = src->text[i];

		depth += c == '{' ? 1 : c == '}' ? -1 : 0;
		if ((c == ';' || c == '}') && depth <= 0)
			return i + 1;
	}
	return (uint32_t)src->len;
}

/* Parses from `pos` on. Returns 0 at the end, else -EINVAL with *pos at what was not understood. */
static int parse_from(struct decl *d, uint32_t *volatile pos)
{
	if (setjmp(d->fail))
		return -EINVAL;
	d->depth = 0;
	d->lx.pos = *pos;
	decl_advance(d);
	while (d->tok.kind != TOK_EOF) {
		*pos = d->tok.loc.pos;
		parse_declaration(d);
	}
	return 0;
}

/* In headers of the system what is not understood is passed over, elsewhere it is an error. */
static int parse_all(struct decl *d, const struct c_text *text, struct diag *diag)
{
	struct diag *ignored = diag_new();
	uint32_t pos = 0;
	int err;

	d->diag = d->lx.diag = ignored;
	while ((err = parse_from(d, &pos)) && c_text_from_header(text, pos))
		pos = declaration_end(d->lx.src, pos);
	if (err) { /* once more, to say what is wrong */
		d->diag = d->lx.diag = diag;
		err = parse_from(d, &pos);
	}
	diag_free(ignored);
	return err;
}

int ctype_parse(struct type_table *t, const char *text, const struct ctype_opts *o,
		struct diag *diag)
{
	struct decl *d = arena_alloc(type_table_arena(t), sizeof(*d));
	struct source *src = arena_alloc(type_table_arena(t), sizeof(*src));
	struct c_text left = {0};
	int err = cprep_run(t, text, o, &left, diag);

	src->name = "definitions";
	src->len = left.text.len;
	src->text = arena_strndup(type_table_arena(t), buf_str(&left.text), left.text.len);
	lexer_init(&d->lx, src, type_table_arena(t), diag);
	d->t = t;
	err = err ? err : parse_all(d, &left, diag);
	c_text_free(&left);
	return err;
}

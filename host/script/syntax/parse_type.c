/* SPDX-License-Identifier: Apache-2.0 */
/* Type names as casts, sizeof and let write them. */
#include <stdlib.h>
#include <string.h>

#include "script/syntax/parser.h"

static bool is_word_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static const char *const tag_words[] = {"struct", "union", "enum", NULL};
static const char *const c_words[] = {"unsigned", "signed", "char",  "short",
				      "int",	  "long",   "const", NULL};

static bool at_end_of_cast(const struct lexer *lx, uint32_t pos)
{
	return lexer_peek_is(lx, pos, ')');
}

/* (name *) and (name **): a type, whatever name is; `pos` is behind the name. */
static bool is_pointer_cast(const struct lexer *lx, uint32_t pos)
{
	struct lexer look = *lx;

	look.pos = pos;
	for (;;) {
		lexer_skip_space(&look);
		if (look.pos >= look.src->len || look.src->text[look.pos] != '*')
			return false;
		look.pos++;
		if (at_end_of_cast(&look, look.pos))
			return true;
	}
}

static bool is_typedef(const struct parser *p)
{
	for (const struct typedef_name *t = p->typedefs; t; t = t->next)
		if (strcmp(t->name, p->tok.text) == 0)
			return true;
	return false;
}

bool parse_at_type(struct parser *p)
{
	if (p->tok.kind != TOK_IDENT)
		return false;
	if (is_word_of(p->tok.text, tag_words) || is_word_of(p->tok.text, c_words) ||
	    strcmp(p->tok.text, "typeof") == 0)
		return true;
	if (type_is_scalar_name(p->tok.text) || is_typedef(p))
		return at_end_of_cast(&p->lx, p->lx.pos) || lexer_peek_is(&p->lx, p->lx.pos, '*') ||
		       lexer_peek_is(&p->lx, p->lx.pos, '[');
	return is_pointer_cast(&p->lx, p->lx.pos);
}

static void parse_tag(struct parser *p, struct node *n)
{
	const char *tag = p->tok.text;

	parser_advance(p);
	if (p->tok.kind != TOK_IDENT)
		parser_unexpected(p, "type name");
	n->name = arena_printf(p->arena, "%s %s", tag, p->tok.text);
	parser_advance(p);
}

/* unsigned long int and the like, normalised to our widths */
static void parse_c_words(struct parser *p, struct node *n)
{
	int longs = 0, bits = 0;
	bool is_unsigned = false, is_char = false;

	while (p->tok.kind == TOK_IDENT && is_word_of(p->tok.text, c_words)) {
		const char *w = p->tok.text;

		longs += strcmp(w, "long") == 0;
		is_unsigned |= strcmp(w, "unsigned") == 0;
		is_char |= strcmp(w, "char") == 0;
		bits = strcmp(w, "short") == 0 ? 16 : bits;
		parser_advance(p);
	}
	bits = longs ? 64 : is_char ? 8 : bits ? bits : 32;
	if (is_char && !is_unsigned)
		n->name = "char";
	else
		n->name = arena_printf(p->arena, "%sint%d", is_unsigned ? "u" : "", bits);
}

static void parse_stars(struct parser *p, struct node *n)
{
	for (;;) {
		if (p->tok.kind == '*')
			parser_role(p, ROLE_STAR);
		if (parser_accept(p, '*'))
			n->value++;
		else if (!parser_accept_word(p, "const"))
			return;
	}
}

static void parse_dims(struct parser *p, struct node *n)
{
	struct node **tail = &n->list;

	while (parser_accept(p, '[')) {
		struct node *dim = parser_node(p, N_INT);

		if (p->tok.kind == TOK_INT)
			dim->value = p->tok.value;
		else if (p->tok.kind != ']')
			parser_unexpected(p, "array size");
		if (p->tok.kind == TOK_INT)
			parser_advance(p);
		parser_expect(p, ']');
		node_append(&tail, parser_done(p, dim));
	}
}

/* int32[4] * is a pointer to the array: stars behind a bracket are of a type around it. */
static struct node *parse_suffixes(struct parser *p, struct node *n)
{
	parse_stars(p, n);
	parse_dims(p, n);
	while (p->tok.kind == '*' && n->list) {
		struct node *outer = parser_node(p, N_TYPE);

		outer->loc.pos = n->loc.pos;
		outer->a = parser_done(p, n);
		n = outer;
		parse_stars(p, n);
		parse_dims(p, n);
	}
	return parser_done(p, n);
}

struct node *parse_type(struct parser *p)
{
	struct node *n = parser_node(p, N_TYPE);

	parser_accept_word(p, "const");
	if (p->tok.kind != TOK_IDENT)
		parser_unexpected(p, "type name");
	if (strcmp(p->tok.text, "typeof") == 0) {
		parser_advance(p);
		parser_expect(p, '(');
		n->a = parse_at_type(p) ? parse_type(p) : parse_expr(p);
		parser_expect(p, ')');
	} else if (is_word_of(p->tok.text, tag_words)) {
		parse_tag(p, n);
	} else if (is_word_of(p->tok.text, c_words)) {
		parse_c_words(p, n);
	} else {
		n->name = p->tok.text;
		parser_advance(p);
	}
	return parse_suffixes(p, n);
}

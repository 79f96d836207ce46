/* SPDX-License-Identifier: Apache-2.0 */
/* Statements and blocks. */
#include <string.h>

#include "script/syntax/parser.h"

static struct node *parse_stmt(struct parser *p, bool *needs_semicolon);

/* Up to the closing brace. *open_end tells that no semicolon follows the last statement. */
static struct node *parse_statements(struct parser *p, bool *open_end)
{
	struct node *list = NULL, **tail = &list;
	bool needs;

	*open_end = false;
	parser_enter(p);
	while (p->tok.kind != '}') {
		if (parser_accept(p, ';')) {
			*open_end = false;
			continue;
		}
		if (p->tok.kind == TOK_EOF)
			parser_unexpected(p, "}");
		node_append(&tail, parse_stmt(p, &needs));
		*open_end = true;
		if (p->tok.kind != '}' && p->tok.kind != ';' && needs)
			parser_unexpected(p, p->tok.kind == TOK_EOF ? "}" : "; or }");
	}
	parser_leave(p);
	return list;
}

struct node *parse_block(struct parser *p)
{
	struct node *n = parser_node(p, N_BLOCK);

	parser_expect(p, '{');
	n->list = parse_statements(p, &n->flag);
	parser_expect(p, '}');
	return parser_done(p, n);
}

static struct node **last_of(struct node **list)
{
	while (*list && (*list)->next)
		list = &(*list)->next;
	return list;
}

/* Whether the statement has a value where a block ends with it: an expression, a block that ends
 * with such, an if with two of them. */
static bool yields(struct node *n)
{
	switch (n ? n->kind : N_KIND_COUNT) {
	case N_EXPR:
		return true;
	case N_BLOCK:
		return n->flag && yields(*last_of(&n->list));
	case N_IF:
		return yields(n->b) && yields(n->c);
	default:
		return false;
	}
}

/* The expression that a statement is which yields a value. */
static struct node *as_expression(struct node *n)
{
	struct node **last;

	if (n->kind == N_EXPR)
		return n->a;
	if (n->kind == N_IF) {
		n->kind = N_TERNARY;
		n->b = as_expression(n->b);
		n->c = as_expression(n->c);
		return n;
	}
	last = last_of(&n->list);
	n->kind = N_BLOCK_EXPR;
	n->flag = false;
	n->a = as_expression(*last);
	*last = NULL;
	return n;
}

struct node *parse_block_body(struct parser *p, struct node **value)
{
	bool open_end;
	struct node *list = parse_statements(p, &open_end), **last = last_of(&list);

	if (open_end && yields(*last)) {
		*value = as_expression(*last);
		*last = NULL;
	}
	return list;
}

static struct node *parse_if(struct parser *p)
{
	struct node *n = parser_node(p, N_IF);

	parser_enter(p);
	parser_advance(p);
	n->a = parse_expr(p);
	n->b = parse_block(p);
	if (parser_accept_word(p, "else"))
		n->c = parser_at_word(p, "if") ? parse_if(p) : parse_block(p);
	parser_leave(p);
	return parser_done(p, n);
}

static struct node *parse_while(struct parser *p)
{
	struct node *n = parser_node(p, N_WHILE);

	parser_advance(p);
	n->a = parse_expr(p);
	n->b = parse_block(p);
	return parser_done(p, n);
}

static struct node *parse_unroll(struct parser *p)
{
	struct node *n = parser_node(p, N_UNROLL);

	parser_advance(p);
	parser_expect(p, '(');
	n->a = parse_expr(p);
	parser_expect(p, ')');
	n->b = parse_block(p);
	return parser_done(p, n);
}

/* for ($kv : @m) {} and for ($i : 0..10) {} */
static struct node *parse_for(struct parser *p)
{
	struct node *n = parser_node(p, N_FOR_MAP);
	bool paren;

	parser_advance(p);
	paren = parser_accept(p, '(');
	if (p->tok.kind != TOK_VAR)
		parser_unexpected(p, "variable");
	n->a = parser_node(p, N_VAR);
	n->a->name = p->tok.text;
	parser_advance(p);
	parser_done(p, n->a);
	parser_expect(p, ':');
	n->b = parse_expr(p);
	if (parser_accept(p, TOK_DOTDOT)) {
		n->kind = N_FOR_RANGE;
		n->d = parse_expr(p);
	} else if (n->b->kind != N_MAP || n->b->a) {
		parser_fail(p, n->b->loc,
			    "a for loop goes over a map or a range: "
			    "for ($kv : @map) or for ($i : 0..10)");
	}
	if (paren)
		parser_expect(p, ')');
	n->c = parse_block(p);
	return parser_done(p, n);
}

static struct node *parse_let(struct parser *p)
{
	struct node *n = parser_node(p, N_LET);

	parser_advance(p);
	if (p->tok.kind != TOK_VAR)
		parser_unexpected(p, "variable");
	n->a = parser_node(p, N_VAR);
	n->a->name = p->tok.text;
	parser_advance(p);
	parser_done(p, n->a);
	if (p->tok.kind == ':')
		parser_role(p, ROLE_TYPE_COLON);
	if (parser_accept(p, ':'))
		n->b = parse_type(p);
	if (parser_accept(p, '='))
		n->c = parse_expr(p);
	return parser_done(p, n);
}

static struct node *parse_jump(struct parser *p, enum node_kind kind)
{
	struct node *n = parser_node(p, kind);

	parser_advance(p);
	if (kind == N_RETURN && p->tok.kind != ';' && p->tok.kind != '}')
		n->a = parse_expr(p);
	return parser_done(p, n);
}

static struct node *parse_discard(struct parser *p)
{
	struct node *n = parser_node(p, N_DISCARD);

	parser_advance(p);
	parser_expect(p, '=');
	n->a = parse_expr(p);
	return parser_done(p, n);
}

static void fail_assignment(struct parser *p, const struct node *left)
{
	if (left->kind == N_TUPLE_FIELD) {
		parser_advance(p);
		parse_expr(p);
		parser_fail(p, (struct loc){left->loc.pos, p->prev_end},
			    "Tuples are immutable once created. Consider creating a new tuple and "
			    "assigning it instead.");
	}
	if (left->kind == N_FIELD || left->kind == N_INDEX)
		parser_fail(p, left->loc,
			    "only variables and maps can be assigned to, not their parts");
	parser_unexpected(p, NULL);
}

static struct node *parse_assign(struct parser *p)
{
	struct node *left = parse_expr(p), *n;
	int op = 0;

	if (p->tok.kind == TOK_ASSIGN_OP)
		op = (int)p->tok.value;
	if (p->tok.kind != '=' && !op) {
		n = parser_node(p, N_EXPR);
		n->loc = left->loc;
		n->a = left;
		return n;
	}
	if (left->kind != N_VAR && left->kind != N_MAP)
		fail_assignment(p, left);
	n = parser_node(p, N_ASSIGN);
	n->loc.pos = left->loc.pos;
	n->op = op;
	n->a = left;
	parser_advance(p);
	n->b = parse_expr(p);
	return parser_done(p, n);
}

static struct node *parse_stmt(struct parser *p, bool *needs_semicolon)
{
	static const struct {
		const char *word;
		struct node *(*parse)(struct parser *p);
	} compound[] = {
		{"if", parse_if},
		{"while", parse_while},
		{"unroll", parse_unroll},
		{"for", parse_for},
	};

	*needs_semicolon = false;
	if (p->tok.kind == '{')
		return parse_block(p);
	for (size_t i = 0; p->tok.kind == TOK_IDENT && i < ARRAY_LEN(compound); i++)
		if (parser_at_word(p, compound[i].word))
			return compound[i].parse(p);
	*needs_semicolon = true;
	if (parser_at_word(p, "let"))
		return parse_let(p);
	if (parser_at_word(p, "break"))
		return parse_jump(p, N_BREAK);
	if (parser_at_word(p, "continue"))
		return parse_jump(p, N_CONTINUE);
	if (parser_at_word(p, "return"))
		return parse_jump(p, N_RETURN);
	if (parser_at_word(p, "_") && parser_peek(p).kind == '=')
		return parse_discard(p);
	return parse_assign(p);
}

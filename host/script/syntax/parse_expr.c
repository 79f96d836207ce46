/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: precedence climbing over C's table. */
#include <string.h>

#include "script/syntax/parser.h"

static struct node *parse_unary(struct parser *p);

static int precedence(int op)
{
	switch (op) {
	case TOK_OR:
		return 1;
	case TOK_AND:
		return 2;
	case '|':
		return 3;
	case '^':
		return 4;
	case '&':
		return 5;
	case TOK_EQ:
	case TOK_NE:
		return 6;
	case '<':
	case '>':
	case TOK_LE:
	case TOK_GE:
		return 7;
	case TOK_SHL:
	case TOK_SHR:
		return 8;
	case '+':
	case '-':
		return 9;
	case '*':
	case '/':
	case '%':
		return 10;
	default:
		return 0;
	}
}

/* A slash before an opening brace ends a predicate. */
static int binary_precedence(struct parser *p)
{
	if (p->tok.kind == '/' && lexer_peek_is(&p->lx, p->lx.pos, '{'))
		return 0;
	return precedence((int)p->tok.kind);
}

static struct node *parse_binary(struct parser *p, int min)
{
	struct node *left = parse_unary(p);
	int prec, links = 0;

	while ((prec = binary_precedence(p)) >= min && prec > 0) {
		struct node *n = parser_node(p, N_BINARY);

		/* the tree leans to the left: each operator is one level for the passes */
		if (++links > PARSER_MAX_CHAIN)
			parser_fail(p, p->tok.loc, "expression has more than %d operators in a row",
				    PARSER_MAX_CHAIN);

		n->loc.pos = left->loc.pos;
		n->op = (int)p->tok.kind;
		n->name_loc = p->tok.loc;
		parser_advance(p);
		n->a = left;
		n->b = parse_binary(p, prec + 1);
		left = parser_done(p, n);
	}
	return left;
}

struct node *parse_expr(struct parser *p)
{
	struct node *cond, *n;

	parser_enter(p);
	cond = parse_binary(p, 1);
	if (p->tok.kind == '?') {
		n = parser_node(p, N_TERNARY);
		n->loc.pos = cond->loc.pos;
		n->a = cond;
		parser_advance(p);
		if (p->tok.kind != ':')
			n->b = parse_expr(p);
		parser_expect(p, ':');
		n->c = parse_expr(p);
		cond = parser_done(p, n);
	}
	parser_leave(p);
	return cond;
}

static void parse_args(struct parser *p, struct node *call)
{
	struct node **tail = &call->list;

	bool type = strcmp(call->name, "typeinfo") == 0;

	parser_expect(p, '(');
	while (p->tok.kind != ')') {
		node_append(&tail, type && parse_at_type(p) ? parse_type(p) : parse_expr(p));
		if (!parser_accept(p, ','))
			break;
	}
	parser_expect(p, ')');
}

/* sizeof(T), sizeof(e), offsetof(T, a.b) */
static struct node *parse_sizeof(struct parser *p, bool offset)
{
	struct node *n = parser_node(p, offset ? N_OFFSETOF : N_SIZEOF);
	struct node **tail = &n->list;

	parser_advance(p);
	parser_expect(p, '(');
	n->a = parse_at_type(p) ? parse_type(p) : parse_expr(p);
	if (offset) {
		parser_expect(p, ',');
		do {
			struct node *part = parser_node(p, N_IDENT);

			if (p->tok.kind != TOK_IDENT)
				parser_unexpected(p, "field name");
			part->name = p->tok.text;
			parser_advance(p);
			node_append(&tail, parser_done(p, part));
		} while (parser_accept(p, '.'));
	}
	parser_expect(p, ')');
	return parser_done(p, n);
}

static struct node *parse_ident(struct parser *p)
{
	struct token next = parser_peek(p);
	struct node *n;

	if (next.kind == '(' && parser_at_word(p, "sizeof"))
		return parse_sizeof(p, false);
	if (next.kind == '(' && parser_at_word(p, "offsetof"))
		return parse_sizeof(p, true);
	n = parser_node(p, N_IDENT);
	n->name = p->tok.text;
	n->name_loc = p->tok.loc;
	if (parser_at_word(p, "true") || parser_at_word(p, "false")) {
		n->kind = N_BOOL;
		n->value = p->tok.text[0] == 't';
	}
	parser_advance(p);
	if (n->kind == N_IDENT && p->tok.kind == '(') {
		n->kind = N_CALL;
		parse_args(p, n);
	}
	return parser_done(p, n);
}

static struct node *parse_map(struct parser *p)
{
	struct node *n = parser_node(p, N_MAP), *key;
	struct node **tail;

	n->name = p->tok.text;
	n->name_loc = p->tok.loc;
	parser_advance(p);
	if (p->tok.kind != '[')
		return parser_done(p, n);
	key = parser_node(p, N_TUPLE);
	tail = &key->list;
	parser_advance(p);
	do {
		node_append(&tail, parse_expr(p));
	} while (parser_accept(p, ','));
	key->loc.pos = key->list->loc.pos;
	parser_done(p, key);
	parser_expect(p, ']');
	/* one key stays what it is, several are the same as a tuple */
	n->a = key->list->next ? key : key->list;
	return parser_done(p, n);
}

static struct node *parse_record(struct parser *p, struct node *n)
{
	struct node **tail = &n->list;

	n->kind = N_RECORD;
	while (p->tok.kind != ')') {
		struct node *f = parser_node(p, N_RECORD_FIELD);

		if (p->tok.kind != TOK_IDENT)
			parser_unexpected(p, "field name");
		f->name = p->tok.text;
		parser_advance(p);
		parser_expect(p, '=');
		f->a = parse_expr(p);
		node_append(&tail, parser_done(p, f));
		if (!parser_accept(p, ','))
			break;
	}
	parser_expect(p, ')');
	return parser_done(p, n);
}

/* What follows (name) when that is a cast to a typedef: nothing else stands there. */
static bool starts_operand(const struct parser *p)
{
	switch ((int)p->tok.kind) {
	case TOK_INT:
	case TOK_STR:
	case TOK_VAR:
	case TOK_MAP:
	case TOK_PARAM:
	case '(':
		return true;
	case TOK_IDENT:
		return !parser_at_word(p, "else");
	default:
		return false;
	}
}

static struct node *named_cast(struct parser *p, struct node *n, struct node *name)
{
	n->kind = N_CAST;
	n->a = name;
	name->kind = N_TYPE;
	n->b = parse_unary(p);
	return parser_done(p, n);
}

/* After the opening parenthesis: (e), (a,b), (a,), (), (x=1) */
static struct node *parse_paren(struct parser *p, struct node *n)
{
	struct node **tail = &n->list;
	struct node *first;

	if (parser_accept(p, ')'))
		return parser_done(p, n);
	if (p->tok.kind == TOK_IDENT && parser_peek(p).kind == '=')
		return parse_record(p, n);
	first = parse_expr(p);
	node_append(&tail, first);
	if (p->tok.kind == ')') {
		parser_advance(p);
		if (first->kind != N_IDENT || !starts_operand(p))
			return first;
		parser_role_before(p, ROLE_CAST_END);
		return named_cast(p, n, first);
	}
	while (parser_accept(p, ',') && p->tok.kind != ')')
		node_append(&tail, parse_expr(p));
	parser_expect(p, ')');
	return parser_done(p, n);
}

static struct node *parse_cast(struct parser *p, struct node *n)
{
	n->kind = N_CAST;
	n->a = parse_type(p);
	parser_role(p, ROLE_CAST_END);
	parser_expect(p, ')');
	n->b = parse_unary(p);
	return parser_done(p, n);
}

static struct node *parse_block_expr(struct parser *p)
{
	struct node *n = parser_node(p, N_BLOCK_EXPR);

	parser_role(p, ROLE_VALUE_BLOCK);
	parser_advance(p);
	n->list = parse_block_body(p, &n->a);
	if (!n->a) /* the last statement gives no value */
		parser_unexpected(p, NULL);
	parser_role(p, ROLE_VALUE_BLOCK);
	parser_expect(p, '}');
	return parser_done(p, n);
}

static struct node *parse_leaf(struct parser *p, enum node_kind kind)
{
	struct node *n = parser_node(p, kind);

	n->name = p->tok.text;
	n->len = p->tok.len;
	n->value = p->tok.value;
	n->flag = p->tok.is_duration;
	parser_advance(p);
	return parser_done(p, n);
}

/* if c { a } else { b } as a value is c ? a : b. */
static struct node *parse_if_expr(struct parser *p)
{
	struct node *n = parser_node(p, N_TERNARY);

	parser_enter(p);
	parser_advance(p);
	n->a = parse_expr(p);
	if (p->tok.kind != '{')
		parser_unexpected(p, "{");
	n->b = parse_block_expr(p);
	if (!parser_accept_word(p, "else"))
		parser_unexpected(p, "else");
	n->c = parser_at_word(p, "if") ? parse_if_expr(p) : parse_block_expr(p);
	parser_leave(p);
	return parser_done(p, n);
}

static struct node *parse_primary(struct parser *p)
{
	struct node *n;

	switch ((int)p->tok.kind) {
	case TOK_INT:
		return parse_leaf(p, N_INT);
	case TOK_STR:
		return parse_leaf(p, N_STR);
	case TOK_VAR:
		return parse_leaf(p, N_VAR);
	case TOK_PARAM:
		return parse_leaf(p, N_PARAM);
	case TOK_PARAM_COUNT:
		return parse_leaf(p, N_PARAM_COUNT);
	case TOK_IDENT:
		return parser_at_word(p, "if") ? parse_if_expr(p) : parse_ident(p);
	case TOK_MAP:
		return parse_map(p);
	case '{':
		return parse_block_expr(p);
	case '(':
		n = parser_node(p, N_TUPLE);
		parser_advance(p);
		return parse_at_type(p) ? parse_cast(p, n) : parse_paren(p, n);
	default:
		parser_unexpected(p, NULL);
	}
}

static struct node *postfix_node(struct parser *p, enum node_kind kind, struct node *base)
{
	struct node *n = parser_node(p, kind);

	n->loc.pos = base->loc.pos;
	n->a = base;
	n->op = (int)p->tok.kind;
	parser_advance(p);
	return n;
}

/* After . or -> */
static struct node *parse_member(struct parser *p, struct node *base)
{
	bool arrow = p->tok.kind == TOK_ARROW;
	struct node *n = postfix_node(p, N_FIELD, base);

	n->flag = arrow;
	n->name_loc = p->tok.loc;
	if (p->tok.kind == TOK_IDENT) {
		n->name = p->tok.text;
	} else if (p->tok.kind == TOK_INT && !arrow) {
		n->kind = N_TUPLE_FIELD;
		n->value = p->tok.value;
	} else {
		parser_unexpected(p, "field name");
	}
	parser_advance(p);
	return parser_done(p, n);
}

static struct node *parse_postfix(struct parser *p)
{
	struct node *n = parse_primary(p);
	int links = 0;

	for (;; links++) {
		if (links > PARSER_MAX_DEPTH)
			parser_fail(p, n->loc, "expression is nested too deeply");
		switch ((int)p->tok.kind) {
		case '.':
		case TOK_ARROW:
			n = parse_member(p, n);
			break;
		case '[':
			n = postfix_node(p, N_INDEX, n);
			n->b = parse_expr(p);
			parser_expect(p, ']');
			parser_done(p, n);
			break;
		case TOK_INC:
		case TOK_DEC:
			parser_role(p, ROLE_POSTFIX);
			n = postfix_node(p, N_STEP, n);
			n->flag = true;
			parser_done(p, n);
			break;
		default:
			return n;
		}
	}
}

static struct node *parse_unary(struct parser *p)
{
	struct node *n;
	int op = (int)p->tok.kind;

	if (parser_at_word(p, "comptime")) {
		n = parser_node(p, N_COMPTIME);
		parser_advance(p);
		n->a = parse_unary(p);
		return parser_done(p, n);
	}
	if (!op || (op < 256 && !strchr("!~-+*&", op)) ||
	    (op >= 256 && op != TOK_INC && op != TOK_DEC))
		return parse_postfix(p);
	parser_enter(p);
	n = parser_node(p, op == TOK_INC || op == TOK_DEC ? N_STEP : N_UNARY);
	n->op = op;
	parser_role(p, ROLE_PREFIX);
	parser_advance(p);
	n->a = parse_unary(p);
	parser_leave(p);
	return op == '+' ? n->a : parser_done(p, n);
}

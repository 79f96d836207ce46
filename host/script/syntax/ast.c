/* SPDX-License-Identifier: Apache-2.0 */
#include "script/syntax/ast.h"

#include <stdio.h>
#include <string.h>

#include "util/buf.h"

static struct node *clone_one(struct arena *arena, const struct node *n, const struct node *at)
{
	struct node *c = arena_alloc(arena, sizeof(*c)), **tail = &c->list;

	*c = *n;
	c->next = c->list = NULL;
	if (at) {
		c->loc = at->loc;
		c->name_loc = at->loc;
		c->src = at->src;
	}
	c->a = node_clone(arena, n->a, at);
	c->b = node_clone(arena, n->b, at);
	c->c = node_clone(arena, n->c, at);
	c->d = node_clone(arena, n->d, at);
	for (const struct node *child = n->list; child; child = child->next) {
		*tail = clone_one(arena, child, at);
		tail = &(*tail)->next;
	}
	return c;
}

struct node *node_clone(struct arena *arena, const struct node *n, const struct node *at)
{
	return n ? clone_one(arena, n, at) : NULL;
}

void node_walk(struct node *n, void (*fn)(void *ctx, struct node *n), void *ctx)
{
	if (!n)
		return;
	fn(ctx, n);
	node_walk(n->a, fn, ctx);
	node_walk(n->b, fn, ctx);
	node_walk(n->c, fn, ctx);
	node_walk(n->d, fn, ctx);
	for (struct node *c = n->list; c; c = c->next)
		node_walk(c, fn, ctx);
}

const char *op_text(int op)
{
	static const struct {
		int op;
		const char *text;
	} names[] = {
		{TOK_OR, "||"}, {TOK_AND, "&&"}, {TOK_EQ, "=="},  {TOK_NE, "!="},  {TOK_LE, "<="},
		{TOK_GE, ">="}, {TOK_SHL, "<<"}, {TOK_SHR, ">>"}, {TOK_INC, "++"}, {TOK_DEC, "--"},
		{'+', "+"},	{'-', "-"},	 {'*', "*"},	  {'/', "/"},	   {'%', "%"},
		{'&', "&"},	{'|', "|"},	 {'^', "^"},	  {'<', "<"},	   {'>', ">"},
		{'!', "!"},	{'~', "~"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].op == op)
			return names[i].text;
	return "?";
}

void node_become(struct node *n, const struct node *value)
{
	struct node *next = n->next;
	struct loc loc = n->loc;
	const struct source *src = n->src;

	*n = *value;
	n->next = next;
	n->loc = loc;
	n->src = src;
}

bool op_is_comparison(int op)
{
	return op == TOK_EQ || op == TOK_NE || op == '<' || op == '>' || op == TOK_LE ||
	       op == TOK_GE;
}

struct dump {
	struct buf *out;
	bool types;
	int depth;
};

static const char *kind_name(enum node_kind kind)
{
	static const char *const names[N_KIND_COUNT] = {
		[N_INT] = "int",
		[N_STR] = "string",
		[N_BOOL] = "bool",
		[N_IDENT] = "builtin",
		[N_VAR] = "variable",
		[N_MAP] = "map",
		[N_PARAM] = "param",
		[N_PARAM_COUNT] = "param count",
		[N_UNARY] = "unary",
		[N_STEP] = "step",
		[N_BINARY] = "binary",
		[N_TERNARY] = "?:",
		[N_FIELD] = "field",
		[N_TUPLE_FIELD] = "element",
		[N_INDEX] = "[]",
		[N_CALL] = "call",
		[N_CAST] = "cast",
		[N_SIZEOF] = "sizeof",
		[N_OFFSETOF] = "offsetof",
		[N_TUPLE] = "tuple",
		[N_RECORD] = "record",
		[N_RECORD_FIELD] = "member",
		[N_COMPTIME] = "comptime",
		[N_BLOCK_EXPR] = "block value",
		[N_TYPE] = "type",
		[N_EXPR] = "expression",
		[N_ASSIGN] = "assign",
		[N_LET] = "let",
		[N_DISCARD] = "discard",
		[N_IF] = "if",
		[N_WHILE] = "while",
		[N_FOR_MAP] = "for map",
		[N_FOR_RANGE] = "for range",
		[N_UNROLL] = "unroll",
		[N_BREAK] = "break",
		[N_CONTINUE] = "continue",
		[N_RETURN] = "return",
		[N_BLOCK] = "block",
	};

	return names[kind];
}

static void dump_string(struct buf *out, const char *s, size_t len)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '\n')
			buf_puts(out, "\\n");
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < 32 || c > 126)
			buf_printf(out, "\\x%02x", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
}

static void dump_label(struct dump *d, const struct node *n)
{
	buf_puts(d->out, kind_name(n->kind));
	switch (n->kind) {
	case N_INT:
	case N_PARAM:
	case N_TUPLE_FIELD:
	case N_BOOL:
		buf_printf(d->out, " %lld", (long long)n->value);
		break;
	case N_STR:
		buf_putc(d->out, ' ');
		dump_string(d->out, n->name, n->len);
		break;
	case N_VAR:
		buf_printf(d->out, " $%s", n->name);
		break;
	case N_TYPE:
		buf_printf(d->out, " %s", n->name ? n->name : "typeof");
		for (uint64_t i = 0; i < n->value; i++)
			buf_putc(d->out, '*');
		break;
	case N_STEP:
		buf_printf(d->out, " %s %s", n->flag ? "post" : "pre", op_text(n->op));
		break;
	default:
		if (n->name)
			buf_printf(d->out, " %s", n->name);
		if (n->op && n->kind != N_FIELD && n->kind != N_TUPLE_FIELD && n->kind != N_INDEX)
			buf_printf(d->out, " %s", op_text(n->op));
	}
}

static void dump_node(struct dump *d, const struct node *n)
{
	char text[128];

	if (!n)
		return;
	buf_printf(d->out, "%*s", d->depth * 1, "");
	dump_label(d, n);
	if (d->types && n->type && n->type->kind != TY_NONE)
		buf_printf(d->out, " :: %s", type_text(n->type, text));
	buf_putc(d->out, '\n');
	d->depth++;
	dump_node(d, n->a);
	dump_node(d, n->b);
	dump_node(d, n->d);
	for (const struct node *c = n->list; c; c = c->next)
		dump_node(d, c);
	dump_node(d, n->c);
	d->depth--;
}

static void dump_macros(struct dump *d, const struct program *p)
{
	for (const struct macro *m = p->macros; m; m = m->next) {
		buf_printf(d->out, "macro %s/%d\n", m->name, m->n_params);
		d->depth = 1;
		dump_node(d, m->body);
	}
}

void program_dump(const struct program *p, bool types, struct buf *out)
{
	struct dump d = {.out = out, .types = types};

	for (const struct config_item *c = p->config; c; c = c->next)
		buf_printf(out, "config %s = %s\n", c->key, c->value);
	for (const struct map_decl *m = p->map_decls; m; m = m->next)
		buf_printf(out, "let %s = %s(%llu)\n", m->name, m->kind,
			   (unsigned long long)m->max);
	dump_macros(&d, p);
	for (const struct probe *pr = p->probes; pr; pr = pr->next) {
		buf_puts(out, "probe\n");
		for (const struct attach_point *ap = pr->points; ap; ap = ap->next)
			buf_printf(out, " at %s\n", ap->text);
		d.depth = 1;
		if (pr->pred) {
			buf_puts(out, " if\n");
			d.depth = 2;
			dump_node(&d, pr->pred);
		}
		d.depth = 1;
		dump_node(&d, pr->body);
	}
}

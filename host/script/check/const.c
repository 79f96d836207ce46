/* SPDX-License-Identifier: Apache-2.0 */
#include "script/check/const.h"

#include <string.h>

enum { CONST_DEPTH = 32 };

bool const_binary(int op, int64_t a, int64_t b, int64_t *out)
{
	uint64_t x = (uint64_t)a, y = (uint64_t)b;

	switch (op) {
	case '+':
		*out = (int64_t)(x + y);
		return true;
	case '-':
		*out = (int64_t)(x - y);
		return true;
	case '*':
		*out = (int64_t)(x * y);
		return true;
	case '/':
		*out = b == -1 ? (int64_t)-x : b ? a / b : 0;
		return b != 0;
	case '%':
		*out = b == -1 ? 0 : b ? a % b : 0;
		return b != 0;
	case '|':
		*out = a | b;
		return true;
	case '&':
		*out = a & b;
		return true;
	case '^':
		*out = a ^ b;
		return true;
	case TOK_SHL:
		*out = (int64_t)(x << (y & 63));
		return true;
	case TOK_SHR:
		*out = (int64_t)(x >> (y & 63));
		return true;
	case TOK_EQ:
		*out = a == b;
		return true;
	case TOK_NE:
		*out = a != b;
		return true;
	case '<':
		*out = a < b;
		return true;
	case '>':
		*out = a > b;
		return true;
	case TOK_LE:
		*out = a <= b;
		return true;
	case TOK_GE:
		*out = a >= b;
		return true;
	case TOK_AND:
		*out = a && b;
		return true;
	case TOK_OR:
		*out = a || b;
		return true;
	default:
		return false;
	}
}

static bool eval(struct type_table *t, const struct node *n, int64_t *out, int depth);

static bool eval_name(struct type_table *t, const struct node *n, int64_t *out, int depth)
{
	const struct enum_value *e = type_enum_value(t, n->name);
	const char *text = type_expansion(t, n->name);
	struct source *src;
	struct node *value;
	struct diag *d;

	if (e) {
		*out = e->value;
		return true;
	}
	if (!text)
		return false;
	src = arena_alloc(type_table_arena(t), sizeof(*src));
	*src = (struct source){n->name, text, strlen(text)};
	d = diag_new();
	value = script_parse_expr(src, type_table_arena(t), d);
	diag_free(d);
	return value && eval(t, value, out, depth + 1);
}

/* sizeof(TYPE); of expressions only the type pass knows it. */
static bool eval_sizeof(struct type_table *t, const struct node *n, int64_t *out)
{
	const struct type *ty;

	if (n->kind != N_TYPE || n->a)
		return false;
	ty = n->value ? &type_u64 : type_by_name(t, n->name);
	if (!ty || !ty->size)
		return false;
	*out = ty->size;
	for (const struct node *dim = n->list; dim; dim = dim->next)
		*out *= (int64_t)dim->value;
	return true;
}

static bool eval(struct type_table *t, const struct node *n, int64_t *out, int depth)
{
	int64_t a, b;

	if (depth > CONST_DEPTH)
		return false;
	switch (n->kind) {
	case N_INT:
	case N_BOOL:
		*out = (int64_t)n->value;
		return true;
	case N_IDENT:
		return eval_name(t, n, out, depth);
	case N_UNARY:
		if (!eval(t, n->a, &a, depth + 1))
			return false;
		*out = n->op == '-' ? (int64_t) - (uint64_t)a : n->op == '~' ? ~a : !a;
		return n->op == '-' || n->op == '~' || n->op == '!';
	case N_BINARY:
		return eval(t, n->a, &a, depth + 1) && eval(t, n->b, &b, depth + 1) &&
		       const_binary(n->op, a, b, out);
	case N_SIZEOF:
		return eval_sizeof(t, n->a, out);
	case N_TERNARY:
		if (!n->b || !eval(t, n->a, &a, depth + 1))
			return false;
		return eval(t, a ? n->b : n->c, out, depth + 1);
	default:
		return false;
	}
}

bool const_eval(struct type_table *t, const struct node *n, int64_t *out)
{
	return eval(t, n, out, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Operators on literals: they are worked out before types are given. */
#include <string.h>

#include "script/check/const.h"
#include "script/check/sema.h"

static bool is_literal(const struct node *n)
{
	return n->kind == N_INT && !(n->type && n->type->kind == TY_ENUM);
}

static __int128 literal_value(const struct node *n)
{
	return n->op ? (__int128)(int64_t)n->value : (__int128)n->value;
}

/* Literals become their result, so that its type is the smallest one too. */
static void fold_into(struct node *n, __int128 v)
{
	struct node value = {.kind = N_INT, .op = v < 0 ? '-' : 0, .value = (uint64_t)v};

	node_become(n, &value);
}

static void fold_into_bool(struct node *n, bool v)
{
	node_become(n, &(struct node){.kind = N_BOOL, .value = v});
}

bool sema_fold_unary(struct node *n)
{
	if (n->op == '!' && n->a->kind == N_BOOL) {
		fold_into_bool(n, !n->a->value);
		return true;
	}
	if (!is_literal(n->a))
		return false;
	if (n->op == '!')
		fold_into_bool(n, !n->a->value);
	else if (n->op == '-' && literal_value(n->a) <= (__int128)1 << 63)
		fold_into(n, -literal_value(n->a));
	else if (n->op == '~')
		fold_into(n, (__int128)(uint64_t)~n->a->value);
	else
		return false;
	return true;
}

static bool fold_arith(int op, __int128 a, __int128 b, __int128 *out)
{
	int64_t x;

	switch (op) {
	case '+':
		*out = a + b;
		break;
	case '-':
		*out = a - b;
		break;
	case '*':
		if (__builtin_mul_overflow(a, b, out))
			return false;
		break;
	case '/':
	case '%':
		if (!b)
			return false;
		*out = op == '/' ? a / b : a % b;
		break;
	default:
		if (!const_binary(op, (int64_t)a, (int64_t)b, &x))
			return false;
		/* what is made of positive bits stays positive */
		*out = op == TOK_SHR && a < 0 ? (__int128)((int64_t)a >> (b & 63))
		       : a >= 0 && b >= 0     ? (__int128)(uint64_t)x
					      : (__int128)x;
	}
	return *out >= INT64_MIN && *out <= UINT64_MAX;
}

static bool fold_compare(int op, int c)
{
	switch (op) {
	case TOK_EQ:
		return c == 0;
	case TOK_NE:
		return c != 0;
	case '<':
		return c < 0;
	case '>':
		return c > 0;
	case TOK_LE:
		return c <= 0;
	default:
		return c >= 0;
	}
}

static int literal_order(const struct node *a, const struct node *b)
{
	__int128 x, y;

	if (a->kind == N_STR)
		return strcmp(a->name, b->name);
	x = literal_value(a);
	y = literal_value(b);
	return x < y ? -1 : x > y;
}

/* "abc" + 1 is "bc", "ab" + "c" is "abc". */
static bool fold_strings(struct sema *s, struct node *n)
{
	struct node value = {.kind = N_STR};
	const struct node *a = n->a, *b = n->b;

	if (n->op != '+')
		return false;
	if (a->kind == N_STR && b->kind == N_STR) {
		value.name = arena_printf(s->arena, "%s%s", a->name, b->name);
	} else if (a->kind == N_STR && is_literal(b)) {
		value.name = b->value < a->len ? a->name + b->value : "";
	} else {
		return false;
	}
	value.len = (uint32_t)strlen(value.name);
	node_become(n, &value);
	return true;
}

int sema_fold_binary(struct sema *s, struct node *n)
{
	bool ints = is_literal(n->a) && is_literal(n->b);
	bool strings = n->a->kind == N_STR && n->b->kind == N_STR;
	__int128 v;

	if (n->op == TOK_AND || n->op == TOK_OR) {
		if ((n->a->kind != N_BOOL && !is_literal(n->a)) ||
		    (n->b->kind != N_BOOL && !is_literal(n->b)))
			return 0;
		fold_into_bool(n, n->op == TOK_AND ? n->a->value && n->b->value
						   : n->a->value || n->b->value);
		return 1;
	}
	if (op_is_comparison(n->op) && (ints || strings)) {
		fold_into_bool(n, fold_compare(n->op, literal_order(n->a, n->b)));
		return 1;
	}
	if (!ints)
		return fold_strings(s, n);
	if (!fold_arith(n->op, literal_value(n->a), literal_value(n->b), &v))
		return -1;
	fold_into(n, v);
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "target/expr.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

enum kind { NUMBER, ARG, SP, RET, NODE, FIELD, READ, ADD, SUB, MUL, DIV };

struct expr {
	enum kind kind;
	uint64_t number; /* NUMBER; ARG: from 0; NODE: enum node_value */
	enum layout_field field;
	const char *macro; /* READ */
	struct expr *left, *right;
};

enum node_value { NODE_PARAMS, NODE_GRAPH, NODE_NEXT };

struct parser {
	const char *text, *at;
	const struct source *src;
	struct span span;
	struct diag *d;
	int depth;
	bool failed;
};

static const struct {
	const char *word, *macro;
} readers[] = {
	{"u8", "RD_U8"}, {"u16", "RD_U16"}, {"u32", "RD_U32"}, {"s32", "RD_S32"}, {"u64", "RD_U64"},
};

static struct expr *parse_sum(struct parser *p);

static struct expr *fail(struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The first mistake counts; what follows it is a consequence. */
static struct expr *fail(struct parser *p, const char *fmt, ...)
{
	struct span at = p->span;
	va_list ap;
	char *text;

	if (p->failed)
		return NULL;
	p->failed = true;
	at.col += (int)(p->at - p->text);
	at.end_line = 0;
	at.end_col = at.col + 1;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	diag_add_at(p->d, DIAG_ERROR, p->src, at, "%s", text);
	free(text);
	return NULL;
}

static struct expr *node(enum kind kind, struct expr *left, struct expr *right)
{
	struct expr *e = xcalloc(1, sizeof(*e));

	e->kind = kind;
	e->left = left;
	e->right = right;
	return e;
}

static void skip_space(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t')
		p->at++;
}

static bool take(struct parser *p, char c)
{
	skip_space(p);
	if (*p->at != c)
		return false;
	p->at++;
	return true;
}

static struct expr *parse_number(struct parser *p)
{
	struct expr *e;
	char *end;

	errno = 0;
	e = node(NUMBER, NULL, NULL);
	e->number = strtoull(p->at, &end, 0);
	if (errno || isalnum((unsigned char)*end) || *end == '_' || *end == '.') {
		free(e);
		return fail(p, "this is no whole number of 64 bits");
	}
	p->at = end;
	return e;
}

static const char *next_field(const void *state, size_t i)
{
	(void)state;
	return i < LAYOUT_FIELD_COUNT ? layout_field_name((enum layout_field)i) : NULL;
}

static struct expr *parse_field(struct parser *p)
{
	const char *start = ++p->at;
	size_t len = strcspn(start, "}");
	char *name = xstrndup(start, len);
	struct expr *e = NULL;
	const char *near;

	for (int i = 0; i < LAYOUT_FIELD_COUNT && !e; i++)
		if (!strcmp(name, layout_field_name((enum layout_field)i))) {
			e = node(FIELD, NULL, NULL);
			e->field = (enum layout_field)i;
		}
	near = e ? NULL : text_nearest(name, next_field, NULL);
	if (!e)
		fail(p, "the layout has no field '%s'%s%s%s", name, near ? "; did you mean '" : "",
		     near ? near : "", near ? "'?" : "");
	else if (start[len] != '}')
		fail(p, "'}' is missing");
	p->at = start + len + (start[len] == '}');
	free(name);
	return e;
}

static struct expr *parse_read(struct parser *p, const char *macro)
{
	struct expr *e;

	if (!take(p, '['))
		return fail(p, "'[' and an address are expected");
	e = node(READ, parse_sum(p), NULL);
	e->macro = macro;
	if (!take(p, ']'))
		fail(p, "']' is expected");
	return e;
}

static const struct {
	const char *word;
	enum kind kind;
	unsigned number;
} words[] = {
	{"arg1", ARG, 0},
	{"arg2", ARG, 1},
	{"arg3", ARG, 2},
	{"arg4", ARG, 3},
	{"arg5", ARG, 4},
	{"arg6", ARG, 5},
	{"sp", SP, 0},
	{"ret", RET, 0},
	{"node_params", NODE, NODE_PARAMS},
	{"node_graph", NODE, NODE_GRAPH},
	{"node_next", NODE, NODE_NEXT},
	{"u8", READ, 0},
	{"u16", READ, 1},
	{"u32", READ, 2},
	{"s32", READ, 3},
	{"u64", READ, 4},
};

static const char *next_word(const void *state, size_t i)
{
	(void)state;
	return i < ARRAY_LEN(words) ? words[i].word : NULL;
}

static struct expr *parse_word(struct parser *p)
{
	const char *start = p->at;
	size_t len = 0;
	struct expr *e;
	char word[16] = "";
	const char *near;

	while (isalnum((unsigned char)start[len]) || start[len] == '_')
		len++;
	memcpy(word, start, len < sizeof(word) - 1 ? len : sizeof(word) - 1);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (len >= sizeof(word) || strcmp(word, words[i].word))
			continue;
		p->at += len;
		if (words[i].kind == READ)
			return parse_read(p, readers[words[i].number].macro);
		e = node(words[i].kind, NULL, NULL);
		e->number = words[i].number;
		return e;
	}
	near = text_nearest(word, next_word, NULL);
	return fail(p, "'%.*s' is no word of an argument expression%s%s%s",
		    (int)(len < 40 ? len : 40), start, near ? "; did you mean '" : "",
		    near ? near : "", near ? "'?" : "");
}

static struct expr *parse_atom(struct parser *p)
{
	struct expr *e;

	skip_space(p);
	if (isdigit((unsigned char)*p->at))
		return parse_number(p);
	if (*p->at == '{')
		return parse_field(p);
	if (isalpha((unsigned char)*p->at))
		return parse_word(p);
	if (!take(p, '('))
		return fail(p,
			    *p->at ? "a value is expected here" : "the expression ends too early");
	e = parse_sum(p);
	if (!take(p, ')'))
		fail(p, "')' is expected");
	return e;
}

static struct expr *parse_unary(struct parser *p)
{
	struct expr *e;

	if (++p->depth > EXPR_DEPTH_MAX)
		fail(p, "the expression is nested too deeply");
	if (p->failed)
		return NULL;
	if (take(p, '-'))
		e = node(SUB, node(NUMBER, NULL, NULL), parse_unary(p));
	else
		e = parse_atom(p);
	p->depth--;
	return e;
}

static struct expr *parse_term(struct parser *p)
{
	struct expr *e = parse_unary(p);

	while (!p->failed) {
		if (take(p, '*')) {
			e = node(MUL, e, parse_unary(p));
		} else if (take(p, '/')) {
			e = node(DIV, e, parse_unary(p));
			if (e->right && e->right->kind == NUMBER && !e->right->number)
				fail(p, "this divides by zero");
		} else {
			break;
		}
	}
	return e;
}

static struct expr *parse_sum(struct parser *p)
{
	struct expr *e = parse_term(p);

	while (!p->failed) {
		if (take(p, '+'))
			e = node(ADD, e, parse_term(p));
		else if (take(p, '-'))
			e = node(SUB, e, parse_term(p));
		else
			break;
	}
	return e;
}

struct expr *expr_parse(const char *text, const struct source *src, struct span at, struct diag *d)
{
	struct parser p = {.text = text, .at = text, .src = src, .span = at, .d = d};
	struct expr *e = parse_sum(&p);

	skip_space(&p);
	if (*p.at)
		fail(&p, "an operator or the end is expected here");
	if (p.failed) {
		expr_free(e);
		return NULL;
	}
	return e;
}

void expr_free(struct expr *e)
{
	/* Chains of a + b + c grow to the left: follow them without recursion. */
	while (e) {
		struct expr *left = e->left;

		expr_free(e->right);
		free(e);
		e = left;
	}
}

/* Ors together what `bits` says of each node. */
static uint32_t collect(const struct expr *e, uint32_t (*bits)(const struct expr *e))
{
	uint32_t all = 0;

	for (; e; e = e->left)
		all |= bits(e) | collect(e->right, bits);
	return all;
}

static uint32_t arg_bits(const struct expr *e)
{
	return e->kind == ARG ? 1u << e->number : 0;
}

static uint32_t sp_bits(const struct expr *e)
{
	return e->kind == SP;
}

static uint32_t ret_bits(const struct expr *e)
{
	return e->kind == RET;
}

static uint32_t node_bits(const struct expr *e)
{
	return e->kind == NODE;
}

uint32_t expr_arg_mask(const struct expr *e)
{
	return collect(e, arg_bits);
}

bool expr_uses_sp(const struct expr *e)
{
	return collect(e, sp_bits);
}

bool expr_uses_ret(const struct expr *e)
{
	return collect(e, ret_bits);
}

bool expr_uses_node(const struct expr *e)
{
	return collect(e, node_bits);
}

const char *expr_missing_field(const struct expr *e, const struct layout *l)
{
	for (; e; e = e->left) {
		const char *missing = expr_missing_field(e->right, l);
		const struct expr *by = e->kind == DIV ? e->right : NULL;

		if (missing)
			return missing;
		if (e->kind == FIELD && (!l || layout_get(l, e->field) < 0))
			return layout_field_name(e->field);
		if (by && by->kind == FIELD && !layout_get(l, by->field))
			return layout_field_name(by->field);
	}
	return NULL;
}

static void emit_base(int reg, struct buf *out)
{
	enum { RSP = 4 };

	if (reg == RSP)
		buf_puts(out, "SP");
	else
		buf_printf(out, "REG(%d)", reg);
}

static void emit_place(const struct loop_place *p, struct buf *out)
{
	switch (p->kind) {
	case LOOP_NO_PLACE:
		buf_puts(out, "0");
		return;
	case LOOP_ENTRY:
		buf_puts(out, "NODE_ENTRY");
		return;
	case LOOP_STACK_SLOT:
		buf_puts(out, "(RD_U64(");
		emit_base(p->reg, out);
		buf_printf(out, " + %d) + %d)", p->disp, p->add);
		return;
	default:
		buf_putc(out, '(');
		emit_base(p->reg, out);
		buf_printf(out, " + %d)", p->disp + p->add);
	}
}

static void emit_node(enum node_value which, const struct node_loop *loop, struct buf *out)
{
	const struct loop_place *const places[] = {[NODE_PARAMS] = &loop->params,
						   [NODE_GRAPH] = &loop->graph,
						   [NODE_NEXT] = &loop->next};

	emit_place(places[which], out);
}

void expr_emit(const struct expr *e, const struct layout *l, const struct expr_place *at,
	       struct buf *out)
{
	static const char operators[] = {[ADD] = '+', [SUB] = '-', [MUL] = '*', [DIV] = '/'};

	switch (e->kind) {
	case NUMBER:
		buf_printf(out, "%" PRIu64 "ULL", e->number);
		return;
	case ARG:
		buf_printf(out, "ARG%" PRIu64, e->number + 1);
		return;
	case RET:
		if (at->value_reg < 0)
			buf_puts(out, "RET");
		else
			buf_printf(out, "REG(%d)", at->value_reg);
		return;
	case SP:
		buf_printf(out, "(SP + %d)", at->sp_adjust);
		return;
	case NODE:
		emit_node((enum node_value)e->number, at->loop, out);
		return;
	case FIELD:
		buf_printf(out, "%dULL", layout_get(l, e->field));
		return;
	case READ:
		buf_printf(out, "%s(", e->macro);
		expr_emit(e->left, l, at, out);
		buf_putc(out, ')');
		return;
	default:
		buf_putc(out, '(');
		expr_emit(e->left, l, at, out);
		buf_printf(out, " %c ", operators[e->kind]);
		expr_emit(e->right, l, at, out);
		buf_putc(out, ')');
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "script/syntax/lexer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"

static const struct {
	char text[4];
	int kind;
	int value;
} multi_ops[] = {
	{"<<=", TOK_ASSIGN_OP, TOK_SHL},
	{">>=", TOK_ASSIGN_OP, TOK_SHR},
	{"...", TOK_ELLIPSIS, 0},
	{"->", TOK_ARROW, 0},
	{"++", TOK_INC, 0},
	{"--", TOK_DEC, 0},
	{"<<", TOK_SHL, 0},
	{">>", TOK_SHR, 0},
	{"<=", TOK_LE, 0},
	{">=", TOK_GE, 0},
	{"==", TOK_EQ, 0},
	{"!=", TOK_NE, 0},
	{"&&", TOK_AND, 0},
	{"||", TOK_OR, 0},
	{"..", TOK_DOTDOT, 0},
	{"+=", TOK_ASSIGN_OP, '+'},
	{"-=", TOK_ASSIGN_OP, '-'},
	{"*=", TOK_ASSIGN_OP, '*'},
	{"/=", TOK_ASSIGN_OP, '/'},
	{"%=", TOK_ASSIGN_OP, '%'},
	{"|=", TOK_ASSIGN_OP, '|'},
	{"&=", TOK_ASSIGN_OP, '&'},
	{"^=", TOK_ASSIGN_OP, '^'},
};

static const struct {
	const char *unit;
	uint64_t ns;
} durations[] = {
	{"ns", 1ull},
	{"us", 1000ull},
	{"ms", 1000000ull},
	{"s", 1000000000ull},
	{"m", 60ull * 1000000000},
	{"h", 3600ull * 1000000000},
	{"d", 86400ull * 1000000000},
};

void lexer_init(struct lexer *lx, const struct source *src, struct arena *arena, struct diag *diag)
{
	*lx = (struct lexer){.src = src, .arena = arena, .diag = diag};
}

struct span loc_span(const struct source *src, struct loc loc)
{
	struct span s = {1, 1, 1, 1};
	size_t end = loc.end > src->len ? src->len : loc.end;

	for (size_t i = 0; i < end; i++) {
		bool nl = src->text[i] == '\n';

		s.end_line += nl;
		s.end_col = nl ? 1 : s.end_col + 1;
		if (i < loc.pos) {
			s.line = s.end_line;
			s.col = s.end_col;
		}
	}
	return s;
}

static int at(const struct lexer *lx, uint32_t pos)
{
	return pos < lx->src->len ? (unsigned char)lx->src->text[pos] : 0;
}

static bool is_ident_start(int c)
{
	return isalpha(c) || c == '_';
}

static bool is_ident(int c)
{
	return isalnum(c) || c == '_';
}

static uint32_t skip_blank(const struct lexer *lx, uint32_t pos)
{
	for (;;) {
		while (isspace(at(lx, pos)))
			pos++;
		if (at(lx, pos) == '/' && at(lx, pos + 1) == '/') {
			while (pos < lx->src->len && at(lx, pos) != '\n')
				pos++;
		} else if (at(lx, pos) == '/' && at(lx, pos + 1) == '*') {
			pos += 2;
			while (pos < lx->src->len &&
			       !(at(lx, pos) == '*' && at(lx, pos + 1) == '/'))
				pos++;
			pos = pos < lx->src->len ? pos + 2 : pos;
		} else {
			return pos;
		}
	}
}

void lexer_skip_space(struct lexer *lx)
{
	lx->pos = skip_blank(lx, lx->pos);
}

bool lexer_peek_is(const struct lexer *lx, uint32_t pos, char c)
{
	return at(lx, skip_blank(lx, pos)) == c;
}

static struct token bad(struct lexer *lx, uint32_t start, const char *msg)
{
	struct token t = {.kind = TOK_BAD, .loc = {start, lx->pos}};

	diag_fail_at(lx->diag, -EINVAL, lx->src, loc_span(lx->src, t.loc), "%s", msg);
	return t;
}

/* 10 ** exp, or 0 when it does not fit. */
static uint64_t power_of_ten(unsigned exp)
{
	uint64_t v = 1;

	if (exp > 19)
		return 0;
	while (exp--)
		v *= 10;
	return v;
}

/* Digits of `base`, underscores between them allowed. Sets *overflow when 64 bits do not hold it.
 */
static uint64_t lex_digits(struct lexer *lx, int base, bool *overflow)
{
	uint64_t v = 0;

	for (;; lx->pos++) {
		int c = at(lx, lx->pos);
		int d = isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : 99;

		if (c == '_' && isxdigit(at(lx, lx->pos + 1)))
			continue;
		if (d >= base)
			return v;
		*overflow |= __builtin_mul_overflow(v, (uint64_t)base, &v);
		*overflow |= __builtin_add_overflow(v, (uint64_t)d, &v);
	}
}

/* 5e3; what stands before the e has one digit. */
static bool lex_exponent(struct lexer *lx, uint64_t *v, bool *overflow)
{
	uint64_t exp, scale;
	bool one_digit = *v >= 1 && *v <= 9;

	if (tolower(at(lx, lx->pos)) != 'e' || !isdigit(at(lx, lx->pos + 1)))
		return true;
	lx->pos++;
	exp = lex_digits(lx, 10, overflow);
	scale = power_of_ten(exp > 100 ? 100 : (unsigned)exp);
	*overflow |= !scale || __builtin_mul_overflow(*v, scale, v);
	return one_digit;
}

/* A unit of time or a C suffix; anything else that clings to the number is an error. */
static bool lex_suffix(struct lexer *lx, struct token *t, bool *overflow)
{
	uint32_t start = lx->pos, n;

	while (is_ident(at(lx, lx->pos)))
		lx->pos++;
	n = lx->pos - start;
	if (!n)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		if (strlen(durations[i].unit) != n ||
		    memcmp(durations[i].unit, lx->src->text + start, n) != 0)
			continue;
		t->is_duration = true;
		*overflow |= __builtin_mul_overflow(t->value, durations[i].ns, &t->value);
		return true;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!strchr("uUlL", at(lx, start + i)))
			return false;
	return n <= 3;
}

static struct token bad_number(struct lexer *lx, uint32_t start, const char *what)
{
	char msg[160];

	while (is_ident(at(lx, lx->pos)))
		lx->pos++;
	snprintf(msg, sizeof(msg), "%s: %.*s", what,
		 (int)(lx->pos - start > 60 ? 60 : lx->pos - start), lx->src->text + start);
	return bad(lx, start, msg);
}

/* The base that a prefix tells; the prefix of an octal number is its first digit. */
static int lex_base(struct lexer *lx)
{
	int next = tolower(at(lx, lx->pos + 1));

	if (at(lx, lx->pos) != '0')
		return 10;
	if (next != 'x' && next != 'b')
		return isdigit(next) ? 8 : 10;
	lx->pos += 2;
	return next == 'x' ? 16 : 2;
}

static struct token lex_number(struct lexer *lx)
{
	struct token t = {.kind = TOK_INT, .loc = {lx->pos, 0}};
	int base = lex_base(lx);
	uint32_t digits = lx->pos;
	bool overflow = false;

	t.value = lex_digits(lx, base, &overflow);
	if (lx->pos == digits)
		return bad_number(lx, t.loc.pos, "invalid integer");
	if (base == 10 && !lex_exponent(lx, &t.value, &overflow))
		return bad_number(lx, t.loc.pos,
				  "coefficient part of scientific literal must be 1-9");
	if (!lex_suffix(lx, &t, &overflow))
		return bad_number(lx, t.loc.pos, "invalid trailing bytes");
	if (overflow)
		return bad_number(lx, t.loc.pos,
				  "overflow error, maximum value is 18446744073709551615");
	t.loc.end = lx->pos;
	return t;
}

static int lex_octal_escape(struct lexer *lx)
{
	int v = 0;

	for (int i = 0; i < 3 && at(lx, lx->pos) >= '0' && at(lx, lx->pos) <= '7'; i++)
		v = v * 8 + at(lx, lx->pos++) - '0';
	return v & 0xff;
}

static int lex_hex_escape(struct lexer *lx)
{
	int v = -1;

	for (int i = 0; i < 2 && isxdigit(at(lx, lx->pos)); i++) {
		int c = tolower(at(lx, lx->pos++));

		v = (v < 0 ? 0 : v * 16) + (isdigit(c) ? c - '0' : c - 'a' + 10);
	}
	return v;
}

/* After the backslash. Returns the byte, or -1 for an unknown escape. */
static int lex_escape(struct lexer *lx)
{
	static const char from[] = "ntrbaefv\\\"'?", to[] = "\n\t\r\b\a\033\f\v\\\"'?";
	int c = at(lx, lx->pos);
	const char *p;

	if (c >= '0' && c <= '7')
		return lex_octal_escape(lx);
	lx->pos++;
	if (c == 'x')
		return lex_hex_escape(lx);
	p = c ? strchr(from, c) : NULL;
	return p ? to[p - from] : -1;
}

static struct token lex_string(struct lexer *lx)
{
	struct token t = {.kind = TOK_STR, .loc = {lx->pos++, 0}};
	struct buf b = {0};
	int c;

	while ((c = at(lx, lx->pos)) != '"') {
		if (lx->pos >= lx->src->len || c == '\n') {
			buf_free(&b);
			return bad(lx, t.loc.pos, "unterminated string");
		}
		lx->pos++;
		if (c == '\\') {
			uint32_t start = lx->pos - 1;
			char msg[64];

			c = lex_escape(lx);
			if (c < 0) {
				buf_free(&b);
				snprintf(msg, sizeof(msg), "invalid escape character '\\%c'",
					 at(lx, start + 1));
				return bad(lx, start, msg);
			}
		}
		buf_putc(&b, (char)c);
	}
	t.loc.end = ++lx->pos;
	t.len = (uint32_t)b.len;
	t.text = arena_strndup(lx->arena, buf_str(&b), b.len);
	buf_free(&b);
	return t;
}

static const char *take_ident(struct lexer *lx, uint32_t start, uint32_t *len)
{
	while (is_ident(at(lx, lx->pos)))
		lx->pos++;
	*len = lx->pos - start;
	return arena_strndup(lx->arena, lx->src->text + start, *len);
}

static struct token lex_dollar(struct lexer *lx)
{
	struct token t = {.loc = {lx->pos++, 0}};
	bool overflow = false;
	int c = at(lx, lx->pos);

	if (c == '#') {
		t.kind = TOK_PARAM_COUNT;
		lx->pos++;
	} else if (isdigit(c)) {
		t.kind = TOK_PARAM;
		t.value = lex_digits(lx, 10, &overflow);
		if (overflow || t.value > 100000 || t.value == 0)
			return bad(lx, t.loc.pos, "positional parameters count from $1");
	} else if (is_ident_start(c)) {
		t.kind = TOK_VAR;
		t.text = take_ident(lx, lx->pos, &t.len);
	} else {
		return bad(lx, t.loc.pos, "invalid character '$'");
	}
	t.loc.end = lx->pos;
	return t;
}

static struct token lex_punct(struct lexer *lx)
{
	struct token t = {.loc = {lx->pos, 0}};
	char msg[64];

	for (size_t i = 0; i < ARRAY_LEN(multi_ops); i++) {
		size_t n = strlen(multi_ops[i].text);

		if (lx->src->len - lx->pos < n ||
		    memcmp(multi_ops[i].text, lx->src->text + lx->pos, n) != 0)
			continue;
		lx->pos += n;
		t.kind = multi_ops[i].kind;
		t.value = (uint64_t)multi_ops[i].value;
		t.loc.end = lx->pos;
		return t;
	}
	t.kind = at(lx, lx->pos++);
	t.loc.end = lx->pos;
	if (t.kind && strchr("(){}[]<>=!+-*/%&|^~?:;,.#", (int)t.kind))
		return t;
	if (isprint((int)t.kind))
		snprintf(msg, sizeof(msg), "invalid character '%c'", (int)t.kind);
	else
		snprintf(msg, sizeof(msg), "invalid character '\\x%02x'", (unsigned)t.kind);
	return bad(lx, t.loc.pos, msg);
}

struct token lexer_next(struct lexer *lx)
{
	struct token t = {0};
	int c;

	lexer_skip_space(lx);
	t.loc.pos = t.loc.end = lx->pos;
	if (lx->pos >= lx->src->len)
		return t;
	c = at(lx, lx->pos);
	if (isdigit(c))
		return lex_number(lx);
	if (c == '"')
		return lex_string(lx);
	if (c == '$')
		return lex_dollar(lx);
	if (c != '@' && !is_ident_start(c))
		return lex_punct(lx);
	t.kind = c == '@' ? TOK_MAP : TOK_IDENT;
	lx->pos += c == '@' && is_ident_start(at(lx, lx->pos + 1)) ? 2 : 1;
	if (c == '@' && lx->pos == t.loc.pos + 1) {
		t.text = "@";
		t.len = 1;
	} else {
		t.text = take_ident(lx, t.loc.pos, &t.len);
	}
	t.loc.end = lx->pos;
	return t;
}

const char *token_name(const struct token *t, char out[64])
{
	if ((int)t->kind == '#')
		return "preprocessor directive";
	switch (t->kind) {
	case TOK_EOF:
		return "end of file";
	case TOK_INT:
		return "integer";
	case TOK_STR:
		return "string";
	case TOK_IDENT:
		return "identifier";
	case TOK_VAR:
		return "variable";
	case TOK_MAP:
		return "map";
	case TOK_PARAM:
		return "positional parameter";
	case TOK_PARAM_COUNT:
		return "$#";
	case TOK_ASSIGN_OP:
		snprintf(out, 64, "assignment operator");
		return out;
	default:
		break;
	}
	for (size_t i = 0; i < ARRAY_LEN(multi_ops); i++)
		if (multi_ops[i].kind == (int)t->kind)
			return multi_ops[i].text;
	snprintf(out, 64, "%c", (int)t->kind);
	return out;
}

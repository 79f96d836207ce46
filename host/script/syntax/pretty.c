/* SPDX-License-Identifier: Apache-2.0 */
#include "script/syntax/pretty.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "script/syntax/parser.h"

enum { WRAP_BLANKS = 4 };

/* A token or a comment. */
struct piece {
	int kind; /* COMMENT_..., else as the lexer has it */
	enum token_role role;
	const char *text;
	size_t len;
	unsigned breaks; /* line breaks in front of it in the source */
};

enum { COMMENT_LINE = -1, COMMENT_BLOCK = -2 };

struct pieces {
	struct piece *v;
	size_t n, cap;
};

/* ---- taking the source apart ---- */

static size_t trimmed(const char *text, size_t len)
{
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return len;
}

static size_t comment_length(const char *text, size_t len, bool line)
{
	const char *end = line ? memchr(text, '\n', len) : memmem(text + 2, len - 2, "*/", 2);

	return end ? (size_t)(end - text) + (line ? 0 : 2) : len;
}

/* The comments between two tokens. Returns the line breaks behind the last of them. */
static unsigned take_comments(struct pieces *p, const char *text, size_t len)
{
	unsigned breaks = 0;

	for (size_t i = 0; i < len;) {
		bool line = text[i] == '#' || (i + 1 < len && text[i + 1] == '/');
		size_t n;

		if (text[i] != '/' && text[i] != '#') {
			breaks += text[i++] == '\n';
			continue;
		}
		n = comment_length(text + i, len - i, line);
		*VEC_PUSH(p->v, p->n, p->cap) =
			(struct piece){.kind = line ? COMMENT_LINE : COMMENT_BLOCK,
				       .text = text + i,
				       .len = trimmed(text + i, n),
				       .breaks = breaks};
		breaks = 0;
		i += n;
	}
	return breaks;
}

static int take_pieces(const struct source *src, struct pieces *p, struct diag *diag)
{
	struct token_list tokens = {0};
	int err = script_tokens(src, &tokens, diag);
	size_t at = 0;

	for (size_t i = 0; !err && i < tokens.n; i++) {
		const struct parsed_token *t = &tokens.v[i];
		unsigned breaks = take_comments(p, src->text + at, t->loc.pos - at);

		*VEC_PUSH(p->v, p->n, p->cap) = (struct piece){.kind = t->kind,
							       .role = t->role,
							       .text = src->text + t->loc.pos,
							       .len = t->loc.end - t->loc.pos,
							       .breaks = breaks};
		at = t->loc.end;
	}
	if (!err)
		take_comments(p, src->text + at, src->len - at);
	free(tokens.v);
	return err;
}

/* ---- what stands between two pieces ---- */

enum gap {
	GAP_NONE,
	GAP_SPACE,
	GAP_LINE,
	GAP_EMPTY_LINE,
};

struct frame {
	int parens;	/* that were open around the block */
	bool on_a_line; /* a value's block that was written on one line stays so */
};

struct printer {
	const struct piece *v;
	size_t n;
	struct buf *out;
	struct frame *frames;
	size_t depth, cap; /* of frames */
	int parens;
};

static bool is_comment(const struct piece *p)
{
	return p->kind == COMMENT_LINE || p->kind == COMMENT_BLOCK;
}

static bool on_a_line(const struct printer *p)
{
	return p->depth && p->frames[p->depth - 1].on_a_line;
}

static bool is_word(const struct piece *p, const char *word)
{
	return p->kind == TOK_IDENT && strlen(word) == p->len && !memcmp(p->text, word, p->len);
}

static bool ends_line(const struct piece *p)
{
	return p->role == ROLE_RAW || p->role == ROLE_PATH;
}

static bool is_keyword(const struct piece *p)
{
	static const char *const words[] = {"if", "else", "while", "for", "unroll", "return"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (is_word(p, words[i]))
			return true;
	return false;
}

static bool is_operand(const struct piece *p)
{
	switch (p->kind) {
	case TOK_IDENT:
	case TOK_VAR:
	case TOK_MAP:
	case TOK_PARAM:
	case TOK_STR:
	case TOK_INT:
	case ')':
	case ']':
	case '}':
		return !is_keyword(p);
	default:
		return p->role == ROLE_STAR;
	}
}

static bool is_tight(int kind)
{
	return kind == '.' || kind == TOK_ARROW || kind == TOK_DOTDOT || kind == TOK_ELLIPSIS;
}

/* Whether the piece clings to what is in front of it, even where a line was broken there. */
static bool clings(const struct piece *cur)
{
	return cur->kind == ',' || cur->kind == ';' || cur->kind == ')' || cur->kind == ']' ||
	       cur->role == ROLE_POSTFIX || cur->role == ROLE_PRED_CLOSE ||
	       cur->role == ROLE_TYPE_COLON;
}

/* Two operators that would become another one. */
static bool would_join(const struct piece *prev, const struct piece *cur)
{
	return cur->role == ROLE_PREFIX && prev->text[prev->len - 1] == cur->text[0];
}

static bool is_spaced(const struct piece *prev, const struct piece *cur)
{
	if (prev->role == ROLE_PREFIX)
		return would_join(prev, cur);
	if (clings(cur) || is_tight(cur->kind) || is_tight(prev->kind) || prev->kind == '(' ||
	    prev->kind == '[' || prev->role == ROLE_CAST_END || prev->role == ROLE_PRED_OPEN)
		return false;
	if (cur->kind == '(' && cur->role == ROLE_NONE && prev->kind == TOK_IDENT)
		return is_keyword(prev);
	if (cur->kind == '[')
		return !is_operand(prev);
	if (prev->role == ROLE_STAR && cur->role == ROLE_STAR)
		return false;
	return prev->kind != '?' || cur->kind != ':';
}

static enum gap kept_line(const struct piece *cur)
{
	return cur->breaks > 1 ? GAP_EMPTY_LINE : GAP_LINE;
}

static enum gap comment_gap(const struct printer *p, const struct piece *prev,
			    const struct piece *cur)
{
	if (prev->kind == COMMENT_LINE && !cur->breaks)
		return GAP_LINE;
	if (!cur->breaks)
		return prev->kind == '(' || prev->kind == '[' ? GAP_NONE : GAP_SPACE;
	if (prev->kind == '{')
		return GAP_LINE;
	if (prev->kind == '}' && !p->depth)
		return GAP_EMPTY_LINE;
	return kept_line(cur);
}

/* Behind a block that is a statement. */
static enum gap block_gap(const struct printer *p, const struct piece *cur)
{
	if (is_word(cur, "else"))
		return GAP_SPACE;
	return p->depth ? kept_line(cur) : GAP_EMPTY_LINE;
}

static enum gap brace_gap(const struct printer *p, const struct piece *prev,
			  const struct piece *cur)
{
	if (prev->kind == '{' && cur->kind == '}')
		return GAP_NONE;
	return on_a_line(p) ? GAP_SPACE : GAP_LINE;
}

/* Between the parts of a probe's head: where the author broke the line. */
static bool may_break_head(const struct piece *prev, const struct piece *cur)
{
	return (prev->kind == ',' && cur->role == ROLE_ATTACH) || cur->role == ROLE_PRED_OPEN ||
	       (cur->kind == '{' && (prev->role == ROLE_ATTACH || prev->role == ROLE_PRED_CLOSE));
}

static enum gap token_gap(const struct printer *p, const struct piece *prev,
			  const struct piece *cur)
{
	if (cur->kind == ';' && prev->kind != '{' && prev->role != ROLE_RAW)
		return GAP_NONE;
	if (prev->kind == '{' || cur->kind == '}')
		return brace_gap(p, prev, cur);
	if (ends_line(prev) || cur->role == ROLE_RAW)
		return kept_line(cur);
	if (prev->kind == ';' && !p->parens)
		return on_a_line(p) ? GAP_SPACE : kept_line(cur);
	if (prev->kind == '}' && prev->role != ROLE_VALUE_BLOCK)
		return block_gap(p, cur);
	if (may_break_head(prev, cur))
		return cur->breaks ? GAP_LINE : GAP_SPACE;
	if (cur->kind == '{')
		return prev->kind == '(' ? GAP_NONE : GAP_SPACE;
	if (cur->breaks && !clings(cur))
		return GAP_LINE;
	return is_spaced(prev, cur) ? GAP_SPACE : GAP_NONE;
}

/* The token in front of the piece, with the comments between them passed over. */
static const struct piece *token_before(const struct printer *p, const struct piece *cur)
{
	do {
		if (cur == p->v)
			return NULL;
		cur--;
	} while (is_comment(cur));
	return cur;
}

/* Behind a comment that ended on the same line. */
static enum gap after_comment(const struct printer *p, const struct piece *cur)
{
	const struct piece *prev = token_before(p, cur);

	if (prev && token_gap(p, prev, cur) >= GAP_LINE)
		return GAP_LINE;
	return clings(cur) ? GAP_NONE : GAP_SPACE;
}

static enum gap gap_before(const struct printer *p, size_t i)
{
	const struct piece *cur = &p->v[i], *prev = cur - 1;

	if (!i)
		return GAP_NONE;
	if (is_comment(cur))
		return comment_gap(p, prev, cur);
	if (prev->kind == COMMENT_LINE || (prev->kind == COMMENT_BLOCK && cur->breaks))
		return cur->kind == '}' || cur->breaks < 2 ? GAP_LINE : GAP_EMPTY_LINE;
	if (prev->kind == COMMENT_BLOCK)
		return after_comment(p, cur);
	return token_gap(p, prev, cur);
}

/* ---- printing ---- */

/* Whether a line that begins with this piece goes on with what is in front of it. */
static bool continues(const struct printer *p, size_t i)
{
	const struct piece *cur = &p->v[i], *prev = token_before(p, cur);

	if (!prev || cur->role == ROLE_PRED_OPEN || cur->role == ROLE_ATTACH || cur->kind == '}' ||
	    cur->kind == '{')
		return false;
	if (p->parens)
		return true;
	return prev->kind != '{' && prev->kind != ';' && !ends_line(prev) &&
	       (prev->kind != '}' || prev->role == ROLE_VALUE_BLOCK) &&
	       (prev->kind != ',' || p->depth);
}

static void put_gap(struct printer *p, size_t i, enum gap gap)
{
	if (gap == GAP_SPACE)
		buf_putc(p->out, ' ');
	if (gap < GAP_LINE)
		return;
	buf_puts(p->out, gap == GAP_EMPTY_LINE ? "\n\n" : "\n");
	for (size_t k = 0; k < p->depth; k++)
		buf_putc(p->out, '\t');
	buf_printf(p->out, "%*s", continues(p, i) ? WRAP_BLANKS : 0, "");
}

/* Blocks that are statements take lines of their own. */
static bool was_on_a_line(const struct printer *p, size_t open)
{
	int depth = 0;

	for (size_t i = open; i < p->n; i++) {
		const struct piece *cur = &p->v[i];

		if ((i > open && cur->breaks) || cur->kind == COMMENT_LINE ||
		    (cur->kind == '{' && cur->role != ROLE_VALUE_BLOCK))
			return false;
		depth += cur->kind == '{' ? 1 : cur->kind == '}' ? -1 : 0;
		if (!depth)
			return true;
	}
	return true;
}

static void enter_block(struct printer *p, size_t open)
{
	struct frame f = {p->parens, was_on_a_line(p, open)};

	*VEC_PUSH(p->frames, p->depth, p->cap) = f;
	p->parens = 0;
}

static void print_piece(struct printer *p, size_t i)
{
	const struct piece *cur = &p->v[i];
	enum gap gap = gap_before(p, i);

	if (cur->kind == '}' && p->depth)
		p->parens = p->frames[--p->depth].parens;
	put_gap(p, i, gap);
	buf_add(p->out, cur->text, cur->len);
	if (cur->kind == '{')
		enter_block(p, i);
	p->parens += cur->kind == '(' || cur->kind == '[';
	p->parens -= cur->kind == ')' || cur->kind == ']';
}

static void print_all(const struct pieces *from, struct buf *out)
{
	struct printer p = {.v = from->v, .n = from->n, .out = out};

	/* on the first line it would be the interpreter's */
	if (p.n && p.v[0].role == ROLE_RAW && p.v[0].len > 1 && p.v[0].text[1] == '!')
		buf_putc(out, '\n');
	for (size_t i = 0; i < p.n; i++)
		print_piece(&p, i);
	/* behind the backslash of a directive that the source ends in, a line would go on */
	if (p.n && !(p.v[p.n - 1].role == ROLE_RAW && out->data[out->len - 1] == '\\'))
		buf_putc(out, '\n');
	free(p.frames);
}

/* ---- the promise that nothing but blanks changed ---- */

static bool same_pieces(const struct pieces *a, const struct pieces *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++)
		if (a->v[i].kind != b->v[i].kind || a->v[i].role != b->v[i].role ||
		    a->v[i].len != b->v[i].len ||
		    memcmp(a->v[i].text, b->v[i].text, a->v[i].len) != 0)
			return false;
	return a->n == b->n;
}

static int check(const struct source *src, const struct pieces *before, const char *text,
		 size_t len, struct diag *diag)
{
	struct source laid_out = {src->name, text, len};
	struct diag *why = diag_new();
	struct pieces after = {0};
	int err = take_pieces(&laid_out, &after, why);

	if (err || !same_pieces(before, &after))
		err = diag_fail(diag, -EPROTO,
				"%s was not laid out: the result would not be the same script, "
				"which is a mistake of this program",
				src->name);
	free(after.v);
	diag_free(why);
	return err;
}

int script_pretty(const struct source *src, struct buf *out, struct diag *diag)
{
	struct pieces pieces = {0};
	size_t before = out->len;
	int err = take_pieces(src, &pieces, diag);

	if (!err) {
		print_all(&pieces, out);
		err = check(src, &pieces, out->data ? out->data + before : "", out->len - before,
			    diag);
	}
	free(pieces.v);
	return err;
}

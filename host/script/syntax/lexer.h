/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of the script language. The lexer is pulled by the parser, one token at a time. */
#ifndef LLMPROBE_SCRIPT_LEXER_H
#define LLMPROBE_SCRIPT_LEXER_H

#include <stdint.h>

#include "script/syntax/arena.h"
#include "util/diag.h"

/* Byte offsets into the source; `end` is exclusive. */
struct loc {
	uint32_t pos, end;
};

/* Single-character punctuation is its own code. */
enum token_kind {
	TOK_EOF = 0,
	TOK_INT = 256,
	TOK_STR,
	TOK_IDENT,
	TOK_VAR,   /* $name; text without the dollar */
	TOK_MAP,   /* @name; text with the at sign */
	TOK_PARAM, /* $1 */
	TOK_PARAM_COUNT,
	TOK_ARROW,
	TOK_INC,
	TOK_DEC,
	TOK_SHL,
	TOK_SHR,
	TOK_LE,
	TOK_GE,
	TOK_EQ,
	TOK_NE,
	TOK_AND,
	TOK_OR,
	TOK_DOTDOT,
	TOK_ELLIPSIS,
	TOK_ASSIGN_OP, /* `value` is the operator's own token code */
	TOK_BAD,       /* an error was reported */
};

struct token {
	enum token_kind kind;
	struct loc loc;
	uint64_t value;
	bool is_duration;
	const char *text; /* identifier, or the string with its escapes resolved; in the arena */
	uint32_t len;	  /* of text: strings may hold NUL */
};

struct lexer {
	const struct source *src;
	struct arena *arena;
	struct diag *diag;
	uint32_t pos;
};

void lexer_init(struct lexer *lx, const struct source *src, struct arena *arena, struct diag *diag);
/* Errors go to the diag and give TOK_BAD. */
struct token lexer_next(struct lexer *lx);
/* Skips blanks and comments. */
void lexer_skip_space(struct lexer *lx);
/* True when, from `pos` on, the next thing that is neither blank nor comment is `c`. */
bool lexer_peek_is(const struct lexer *lx, uint32_t pos, char c);
/* How a syntax error names the token. */
const char *token_name(const struct token *t, char out[64]);

struct span loc_span(const struct source *src, struct loc loc);

#endif

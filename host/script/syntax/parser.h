/* SPDX-License-Identifier: Apache-2.0 */
/* What the three parser files share. Everything that fails leaves through parser_fail (longjmp). */
#ifndef LLMPROBE_SCRIPT_PARSER_H
#define LLMPROBE_SCRIPT_PARSER_H

#include <setjmp.h>

#include "script/syntax/ast.h"
#include "util/buf.h"

enum { PARSER_MAX_DEPTH = 200, PARSER_MAX_CHAIN = 1000 };

/* A name that a typedef of the preamble made: (name)x is a cast. */
struct typedef_name {
	const char *name;
	struct typedef_name *next;
};

/* What only the parser knows about a token. */
enum token_role {
	ROLE_NONE,
	ROLE_ATTACH,	 /* the raw text of an attach point */
	ROLE_RAW,	 /* a directive or a declaration of the C preamble */
	ROLE_PATH,	 /* of an import, whose semicolon is often missing */
	ROLE_PREFIX,	 /* an operator in front of its operand */
	ROLE_POSTFIX,	 /* ++ and -- behind theirs */
	ROLE_STAR,	 /* of a pointer type */
	ROLE_CAST_END,	 /* the parenthesis that closes a cast */
	ROLE_TYPE_COLON, /* of let $x: type */
	ROLE_PRED_OPEN,	 /* the slashes around a predicate */
	ROLE_PRED_CLOSE,
	ROLE_VALUE_BLOCK, /* the braces of a block that is an expression */
};

struct parsed_token {
	int kind;
	struct loc loc;
	enum token_role role;
};

/* Everything but blanks and comments, in order, without gaps of meaning. */
struct token_list {
	struct parsed_token *v;
	size_t n, cap;
};

/* The tokens of a whole script; free out->v. Returns 0, or -EINVAL after adding errors to `diag`.
 */
int script_tokens(const struct source *src, struct token_list *out, struct diag *diag);

struct parser {
	struct lexer lx;
	struct arena *arena;
	struct diag *diag;
	const struct script_args *args;
	struct token tok; /* the one being looked at */
	enum token_role role;
	uint32_t prev_end;	  /* where the token before it ended */
	struct token_list *taken; /* what was consumed so far; NULL: nobody asks */
	int depth;
	struct buf raw; /* an attach point in the making */
	struct typedef_name *typedefs;
	jmp_buf fail;
};

void parser_fail(struct parser *p, struct loc at, const char *fmt, ...) PRINTF_LIKE(3, 4)
	__attribute__((noreturn));
/* "syntax error, unexpected X, expecting Y"; `expecting` may be NULL. */
void parser_unexpected(struct parser *p, const char *expecting) __attribute__((noreturn));
void parser_advance(struct parser *p);
/* Says what the current token is. */
void parser_role(struct parser *p, enum token_role role);
/* Says it of the one that was consumed last. */
void parser_role_before(struct parser *p, enum token_role role);
/* Appends to the list of what was consumed; nothing when that text is in it already. */
void parser_take(struct parser *p, int kind, struct loc loc, enum token_role role);
bool parser_accept(struct parser *p, int kind);
void parser_expect(struct parser *p, int kind);
bool parser_at_word(const struct parser *p, const char *word);
bool parser_accept_word(struct parser *p, const char *word);
/* What the lexer gives after the current token, without moving. */
struct token parser_peek(struct parser *p);
void parser_enter(struct parser *p); /* counts nesting */
void parser_leave(struct parser *p);
/* A node that starts at the current token. */
struct node *parser_node(struct parser *p, enum node_kind kind);
/* Ends the node's location after the last consumed token and returns it. */
struct node *parser_done(struct parser *p, struct node *n);
void node_append(struct node ***tail, struct node *n);

/* parse_expr.c */
struct node *parse_expr(struct parser *p);
/* parse_type.c */
struct node *parse_type(struct parser *p);
/* True when the current token starts a type name (after an opening parenthesis of a cast). */
bool parse_at_type(struct parser *p);
/* parse_stmt.c */
struct node *parse_block(struct parser *p);
/* The inside of a block up to the closing brace; sets *value to a last expression without
 * semicolon. */
struct node *parse_block_body(struct parser *p, struct node **value);

#endif

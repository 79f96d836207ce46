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

struct parser {
	struct lexer lx;
	struct arena *arena;
	struct diag *diag;
	const struct script_args *args;
	struct token tok;  /* the one being looked at */
	uint32_t prev_end; /* where the token before it ended */
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

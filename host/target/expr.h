/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argument expressions of engine files: where a probed function finds a value.
 *
 *   expr  := term (('+' | '-') term)*     term := unary (('*' | '/') unary)*
 *   unary := '-' unary | atom             atom := NUMBER | argN | sp | ret | {field} | READ '['
 * expr ']' | '(' expr ')' | NODE READ  := u8 | u16 | u32 | s32 | u64   reads the target's memory
 *   NODE  := node_params | node_graph | node_next
 *
 * arg1 is the first integer argument, sp the stack pointer at function entry, ret the returned
 * value, {field} a number of the inferred layout such as {batch_ext.tokens_begin}. The words of
 * NODE are the values of the loop over a graph's nodes, for node_ends only.
 */
#ifndef LLMPROBE_TARGET_EXPR_H
#define LLMPROBE_TARGET_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/layout.h"
#include "target/site.h"
#include "util/buf.h"
#include "util/diag.h"

struct expr;

/* Where things lie at the instruction that is probed. */
struct expr_place {
	int32_t sp_adjust; /* bytes that the stack pointer is below its value at function entry */
	int value_reg;	   /* see struct site; -1: where a return leaves the value */
	const struct node_loop *loop; /* NULL: not in that loop */
};

enum { EXPR_DEPTH_MAX = 32 };

/* Parses text that stands in `src` at `at`. NULL with an error in `d`. */
struct expr *expr_parse(const char *text, const struct source *src, struct span at, struct diag *d);
void expr_free(struct expr *e); /* NULL is fine */

/* Which arguments it reads: bit i stands for arg(i+1). */
uint32_t expr_arg_mask(const struct expr *e);
bool expr_uses_sp(const struct expr *e);
bool expr_uses_ret(const struct expr *e);
bool expr_uses_node(const struct expr *e);
/* The first {field} that `l` does not know, NULL when all are there. `l` NULL knows none. */
const char *expr_missing_field(const struct expr *e, const struct layout *l);
/*
 * Appends it as C text over ARG1.., SP, RET, REG(n), RD_U8, RD_U16, RD_U32, RD_S32, RD_U64,
 * NODE_ENTRY (none has begun), for a probe at `at`.
 */
void expr_emit(const struct expr *e, const struct layout *l, const struct expr_place *at,
	       struct buf *out);

#endif

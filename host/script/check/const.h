/* SPDX-License-Identifier: Apache-2.0 */
/* Values that are known before the program runs. */
#ifndef LLMPROBE_SCRIPT_CONST_H
#define LLMPROBE_SCRIPT_CONST_H

#include "script/syntax/ast.h"

/* Evaluates literals, enum constants, #defines and operators on them. False when `n` is not
 * constant. */
bool const_eval(struct type_table *t, const struct node *n, int64_t *out);
/* One operator on 64-bit values; division by zero gives false. */
bool const_binary(int op, int64_t a, int64_t b, int64_t *out);

#endif

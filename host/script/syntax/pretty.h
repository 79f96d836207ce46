/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one layout of a script: a tab for each level and four blanks more for a line that goes on, a
 * statement a line; line breaks inside of statements and of a probe's head and single empty lines
 * as the author had them. Only blanks change: comments, the C preamble and every token stay as they
 * are.
 */
#ifndef LLMPROBE_SCRIPT_PRETTY_H
#define LLMPROBE_SCRIPT_PRETTY_H

#include "script/syntax/lexer.h"
#include "util/buf.h"

/*
 * Appends the laid out script to `out`. Returns 0, or -EINVAL after adding to `diag` why it cannot
 * be parsed; -EPROTO, said to be our mistake, when the result would not be the same script.
 */
int script_pretty(const struct source *src, struct buf *out, struct diag *diag);

#endif

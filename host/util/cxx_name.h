/* SPDX-License-Identifier: Apache-2.0 */
/* Names of C++ symbols as source writes them. The C++ run-time is opened when the first is seen. */
#ifndef LLMPROBE_UTIL_CXX_NAME_H
#define LLMPROBE_UTIL_CXX_NAME_H

#include <stdbool.h>

struct cxx_names;

struct cxx_names *cxx_names_new(void);
void cxx_names_free(struct cxx_names *c); /* NULL is fine */
/* The name with its parameters, to be freed; NULL when `symbol` is no mangled name. */
char *cxx_demangle(struct cxx_names *c, const char *symbol);
/*
 * True when the symbol's name in source fits the glob. A pattern with a parenthesis is held against
 * the name with its parameters (blanks after commas do not matter), any other against the name
 * without them, with or without the return type that templates carry.
 */
bool cxx_matches(struct cxx_names *c, const char *pattern, const char *symbol);

#endif

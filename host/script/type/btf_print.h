/* SPDX-License-Identifier: Apache-2.0 */
/* Types of a BTF as C text, for listings. */
#ifndef LLMPROBE_SCRIPT_BTF_PRINT_H
#define LLMPROBE_SCRIPT_BTF_PRINT_H

#include <stdbool.h>
#include <stdio.h>

struct btf;

/* Prints the types whose names ("struct x") fit the glob, with their C text when `text` is set.
 * Returns how many there were; NULL has none. */
int btf_print_types(const struct btf *btf, const char *pattern, bool text, FILE *out);

#endif

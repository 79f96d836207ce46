/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that few runs need are opened when they are, not at start: their own dependencies would
 * cost every run some ten MB.
 */
#ifndef LLMPROBE_UTIL_LAZY_H
#define LLMPROBE_UTIL_LAZY_H

#include <stddef.h>

#include "util/diag.h"

/*
 * Opens `soname` and looks up `n` functions; table[i] gets the address of names[i]. The library
 * stays open until lazy_unload. Returns 0, or -ENOSYS with an error that names what is missing. A
 * table whose first entry is set already is left alone.
 */
int lazy_load(const char *soname, const char *const *names, void **table, size_t n, struct diag *d);
/* Closes what lazy_load opened, if it did, and clears the table. */
void lazy_unload(const char *soname, void **table, size_t n);

#endif

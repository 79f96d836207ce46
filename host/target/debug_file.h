/* SPDX-License-Identifier: Apache-2.0 */
/* Where the separate debug file of an engine's file may lie. Nothing is fetched from anywhere. */
#ifndef LLMPROBE_TARGET_DEBUG_FILE_H
#define LLMPROBE_TARGET_DEBUG_FILE_H

#include <stdbool.h>

#include "target/elf.h"

/* Returns true when the file, which is open as `fd` during the call, is the one. */
typedef bool (*debug_file_fn)(void *ctx, const struct elf *e, int fd, const char *path);

/*
 * Calls `fn` for each candidate that can be opened until it returns true: by build id below `root`
 * ("" for this system's) and here, in the cache of debuginfod's client, and by the file's debug
 * link. A build id is not compared here. Returns true when `fn` has.
 */
bool debug_file_each(const struct elf *e, const char *root, debug_file_fn fn, void *ctx);
/* Lends `e` the symbols of its debug file, where it has none of its own but a build id that names
 * one. */
void debug_file_lend_symbols(struct elf *e, const char *root);

#endif

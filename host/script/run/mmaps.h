/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the mappings of processes from their begin on, by the kernel's own records: a process that
 * lives for a millisecond has names all the same.
 */
#ifndef LLMPROBE_SCRIPT_MMAPS_H
#define LLMPROBE_SCRIPT_MMAPS_H

#include "script/run/symbols.h"

struct mmaps;

/* From now on what any process maps is told to `s`, which is borrowed. NULL where the kernel does
 * not give such records; then mappings are read when a process is first heard of. */
struct mmaps *mmaps_new(struct symbols *s);
/* Takes what has come. Call it before the addresses of new records are looked up. */
void mmaps_drain(struct mmaps *m); /* NULL is fine, here and below */
void mmaps_free(struct mmaps *m);

#endif

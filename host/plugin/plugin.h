/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugins: BCC C files that run beside the levels. A plugin is compiled and loaded by
 * plugins_load, attached to every target of the session it belongs to as soon as that maps what it
 * names, and read by its C types: nobody writes a host program for it.
 *
 * Beyond plain BCC its text may use
 *   LLMPROBE                    defined to 1
 *   llmprobe_target()           true when the current process is a target
 */
#ifndef LLMPROBE_PLUGIN_PLUGIN_H
#define LLMPROBE_PLUGIN_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/diag.h"

struct session;
struct plugins;

/* The plugins of a session, none at first. The session must outlive it. */
struct plugins *plugins_new(struct session *s, const char *cache_dir);
/* Detaches and unloads all. NULL is fine. */
void plugins_free(struct plugins *p);

/*
 * Compiles, loads and attaches the file at `path`, under its file name without ".c". Returns 0 or
 * -errno with errors that name the plugin's own lines. What a target does not map yet is attached
 * when it does.
 */
int plugins_load(struct plugins *p, const char *path, struct diag *d);
size_t plugins_count(const struct plugins *p);
/* Name of plugin i, NULL beyond the last. */
const char *plugins_name(const struct plugins *p, size_t i);
/* -ENOENT (nothing in `d`): no plugin of that name. A disabled one keeps its tables. */
int plugins_enable(struct plugins *p, const char *name, struct diag *d);
int plugins_disable(struct plugins *p, const char *name, struct diag *d);

/* Where records go that come while no recording runs; NULL: nowhere, they are counted. */
void plugins_set_output(struct plugins *p, FILE *out);
/* All tables by their types; `name` NULL: of all plugins. */
void plugins_print_tables(struct plugins *p, const char *name, FILE *out);
/* One line per plugin: on or off, probes, records, losses; then what could not be attached. */
void plugins_print_status(struct plugins *p, FILE *out);
/* A warning for each function that was attached nowhere. */
void plugins_warn_missing(const struct plugins *p, struct diag *d);
/* Probes attached now, over all plugins. */
size_t plugins_probes(const struct plugins *p);
uint64_t plugins_lost(const struct plugins *p);

#endif

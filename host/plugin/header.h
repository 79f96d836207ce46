/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comment header of a plugin: lines of comments that begin with "llmprobe:" and say what BCC
 * leaves to a host program. Anywhere in the file, one per comment line:
 *
 *   about TEXT                                one line for lists
 *   uprobe [FILE:]SYMBOL[+OFFSET] -> FN       FILE: glob over the files that the target maps
 *   uretprobe [FILE:]SYMBOL -> FN
 *   engine GROUP:EVENT[(ARG, ...)] -> FN      an event of the probe plan: op:begin(tensor)
 *   tracepoint CATEGORY:EVENT -> FN
 *   rawtracepoint EVENT -> FN
 *   profile HZ -> FN                          every CPU, so many times a second
 *   table NAME [log2|linear|hide] [UNIT]      how a table is printed
 *   every TIME                                print the tables again and again
 */
#ifndef LLMPROBE_PLUGIN_HEADER_H
#define LLMPROBE_PLUGIN_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"

enum plugin_probe_kind {
	PLUGIN_UPROBE,
	PLUGIN_URETPROBE,
	PLUGIN_ENGINE,
	PLUGIN_TRACEPOINT,
	PLUGIN_RAW_TRACEPOINT,
	PLUGIN_PROFILE,
	PLUGIN_KPROBE, /* by function name only, as all below */
	PLUGIN_KRETPROBE,
	PLUGIN_TRACING, /* kfunc__, kretfunc__, tp_btf__: the target is fixed at load */
};

enum { PLUGIN_ARGS_MAX = 6 };

struct plugin_probe {
	enum plugin_probe_kind kind;
	char *file;   /* glob, NULL: any file of the target */
	char *symbol; /* or event, or "CATEGORY:EVENT" */
	uint64_t offset;
	char *args[PLUGIN_ARGS_MAX]; /* of an engine event */
	size_t n_args;
	uint64_t hz;
	char *function;
	struct span at; /* of the whole line; line 0: named by its function */
};

enum plugin_table_form {
	PLUGIN_TABLE_AUTO,
	PLUGIN_TABLE_LOG2,
	PLUGIN_TABLE_LINEAR,
	PLUGIN_TABLE_HIDE
};

struct plugin_table_hint {
	char *name, *unit; /* unit NULL: none */
	enum plugin_table_form form;
	struct span at;
};

struct plugin_header {
	char *about; /* NULL: none */
	struct plugin_probe *probes;
	size_t n_probes, cap_probes;
	struct plugin_table_hint *tables;
	size_t n_tables, cap_tables;
	uint64_t every_ns; /* 0: never */
};

/*
 * Reads the header of `src`; every mistake is an error at its place. Returns 0 or -EINVAL; `out` is
 * to be freed in both cases.
 */
int plugin_header_parse(const struct source *src, struct plugin_header *out, struct diag *d);
void plugin_header_free(struct plugin_header *h);
/*
 * The probe that a function's name stands for: tracepoint__CAT__EVENT, raw_tracepoint__EVENT,
 * kprobe__FN, kretprobe__FN, kfunc__FN, kretfunc__FN, tp_btf__EVENT, and uprobe__SYMBOL,
 * uretprobe__SYMBOL, engine__GROUP__EVENT. Appends it to the header. False for other names.
 */
bool plugin_header_add_function(struct plugin_header *h, const char *function);
/* The hint for a table, NULL: none. */
const struct plugin_table_hint *plugin_header_table(const struct plugin_header *h,
						    const char *name);

#endif

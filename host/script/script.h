/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script from text to output. The stages are calls of their own, so that a dump, a dry run and
 * the REPL stop where they want:
 *   script_new       parse, types, names (no root needed with opts.offline)
 *   script_emit      BPF C text
 *   script_load      compile, make maps, load
 *   script_attach    begin probes run, then all others are attached
 *   script_drain     prints what has arrived
 *   script_stop      detaches, end probes run, the rest is printed
 *   script_free
 */
#ifndef LLMPROBE_SCRIPT_SCRIPT_H
#define LLMPROBE_SCRIPT_SCRIPT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "script/engine/engine_probe.h"
#include "script/run/runtime.h"

struct reaper;

struct script_opts {
	const char *name; /* of the source in messages: a file name or "stdin" */
	const char *text; /* borrowed until script_free */
	size_t len;
	const char *const *argv; /* positional parameters and --options of the script; borrowed */
	int argc;
	const char *const *include_dirs;
	size_t n_include_dirs;
	const char *preamble;  /* further C text (--include); NULL: none */
	pid_t pid;	       /* only this process where the probe kind can; 0: all */
	pid_t cpid;	       /* child of -c, 0: none */
	const char *command;   /* what the child will run: usdt:*: looks into it; NULL: none */
	const char *filter;    /* regular expression: only probes whose name matches; NULL: all */
	enum probe_kind trial; /* PROBE_TEST, PROBE_BENCH: see script_test; else a usual run */
	bool debug_info;       /* stacks name files and lines, whatever the script says */
	bool check_helpers;    /* say when reading memory fails */
	bool offline;	       /* nothing of this machine is looked at */
	bool unsafe, no_warnings;
	bool no_uprobe_multi; /* attach function by function */
	enum script_format format;
	FILE *out, *err;
	const struct script_engine_binding *engine; /* NULL: engine probes cannot be attached */
	struct reaper *reaper; /* closes links; borrowed, needed by script_load */
};

struct script;

struct script *script_new(const struct script_opts *o, struct diag *d);
void script_free(struct script *s); /* NULL is fine */
/*
 * Appends what stages made of the script: their names, separated by commas, or "all" (with
 * opts.offline only those that need no kernel). Those of the kernel load the script. Returns 0, or
 * -errno with an error in `d`: -EINVAL for a name that is none.
 */
int script_dump(struct script *s, const char *stages, struct buf *out, struct diag *d);
int script_emit(struct script *s, struct diag *d);
/* To BPF instructions. Needs no rights. */
int script_compile(struct script *s, struct diag *d);
int script_load(struct script *s, struct diag *d);
int script_attach(struct script *s, struct diag *d);
/* Number of probes that are attached or would be. */
size_t script_probes(const struct script *s);
/* Names of all matches, one per line, with `args` also the fields of their arguments. */
void script_print_probes(const struct script *s, bool args, FILE *out);
/* True when it has probes on the inference engine. */
bool script_uses_engine(const struct script *s);
/* True when only begin and end probes are there: nothing to wait for. */
bool script_is_finite(const struct script *s);
/* Readable when records wait; drain every 10 ms as well. */
int script_fd(const struct script *s);
void script_drain(struct script *s);
/* True after exit(); its code through `code` when not NULL. */
bool script_exited(const struct script *s, int *code);
/* Runs the self:signal:SIGUSR1 probes. */
void script_signal(struct script *s);
void script_stop(struct script *s);
/*
 * Between script_attach and script_stop, with opts.trial PROBE_TEST: runs each test probe once and
 * prints how it went. A test fails that returns another value than 0, or calls exit() with one or
 * assert() in vain; only then is what it printed shown. Returns how many failed, or -errno.
 */
int script_test(struct script *s, bool colour, struct diag *d);
/*
 * With PROBE_BENCH: runs each bench probe many times and prints the average by the kernel's own
 * accounting, whose two looks at the clock are part of it. What they print is thrown away. Returns
 * 0 or -errno.
 */
int script_bench(struct script *s, struct diag *d);
void script_print_maps(struct script *s);
/* Records that were lost for want of room. */
uint64_t script_lost(const struct script *s);
bool script_prints_maps_on_exit(const struct script *s);

#endif

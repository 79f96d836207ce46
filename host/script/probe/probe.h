/* SPDX-License-Identifier: Apache-2.0 */
/* Attach points: their syntax, the providers, and what they match on this machine. */
#ifndef LLMPROBE_SCRIPT_PROBE_H
#define LLMPROBE_SCRIPT_PROBE_H

#include <sys/types.h>

#include "script/syntax/ast.h"

enum probe_kind {
	PROBE_BEGIN,
	PROBE_END,
	PROBE_SELF,
	PROBE_TRACEPOINT,
	PROBE_RAWTRACEPOINT,
	PROBE_UPROBE,
	PROBE_URETPROBE,
	PROBE_USDT,
	PROBE_PROFILE,
	PROBE_INTERVAL,
	PROBE_SOFTWARE,
	PROBE_HARDWARE,
	PROBE_WATCHPOINT,
	PROBE_KPROBE,
	PROBE_KRETPROBE,
	PROBE_FENTRY,
	PROBE_FEXIT,
	PROBE_ITER,
	PROBE_TEST,   /* run once by --test, else not at all */
	PROBE_BENCH,  /* run many times by --bench, else not at all */
	PROBE_ENGINE, /* token, graph, op, expert, sched: see engine_probe.h */
};

struct provider {
	const char *name;
	const char *shorts; /* further names, blank-separated */
	enum probe_kind kind;
	const char *usage; /* what follows the name: "category:event" */
};

extern const struct provider providers[];
/* By long or short name, any case; NULL when there is none. */
const struct provider *provider_find(const char *name);

/* Whether the kernel has what probes of that kind need. */
struct features;
bool provider_works(const struct provider *p, struct features *f);

struct engine_event;

/* One thing an attach point matched. */
struct probe_match {
	const char *name;	 /* the full name: what the `probe` built-in shows */
	const char *func;	 /* the function: what `func` shows; NULL: none */
	const char *a, *b;	 /* file and symbol, or category and event */
	uint64_t offset;	 /* in the file */
	uint64_t sem_offset;	 /* usdt: semaphore's file offset, 0: none */
	const struct type *args; /* struct behind `args`; NULL: none */
	struct probe_match *next;
};

/* A parsed attach point. */
struct attach {
	const struct provider *provider;
	enum probe_kind kind;
	struct loc loc;
	const char *text;
	const char *target; /* file ("": of -p or -c), category, unit */
	const char *func;   /* symbol, event, usdt name; may hold wildcards */
	const char *ns;	    /* usdt provider, or language of the symbol ("cpp") */
	const char *mode;   /* watchpoint: rwx */
	uint64_t address;   /* uprobe:bin:0x.., watchpoint */
	bool has_address;
	uint64_t offset;    /* fn+off */
	const char *source; /* uprobe:bin@file.c:line:col */
	int line, col;
	uint64_t period; /* ns for profile and interval, count for events, bytes of a watchpoint */
	uint64_t freq;	 /* profile:hz */
	const struct engine_event *engine;
	struct probe_match *matches;
	size_t n_matches;
	const struct type *args; /* type of the first match's args */
	struct attach *next;
};

/* The last is for listings: files must be there, but need not have such probes. */
enum missing_policy { MISSING_ERROR, MISSING_WARN, MISSING_IGNORE, MISSING_FILES };

struct expand_opts {
	struct type_table *types;
	struct arena *arena;
	const struct source *src;
	pid_t pid;	     /* whose files are meant, 0: ours */
	const char *command; /* of -c: a program that does not run yet; NULL: none */
	size_t max_probes;
	enum missing_policy missing;
	bool may_move; /* nothing in the script tells a function's entry from the next instructions
			*/
	bool offline;  /* no look at the machine: --dump and fuzzing */
	enum probe_kind trial; /* PROBE_TEST, PROBE_BENCH: only those and begin and end probes run;
				* any other kind: all but those */
	bool unsafe;	       /* offsets inside of instructions are allowed */
	bool want_args;	       /* the parameters of functions are needed */
	struct debug_info *debug; /* borrowed; NULL: none */
};

/* Parses the text of one attach point; NULL with an error in `d`. */
struct attach *attach_parse(struct arena *arena, const struct source *src,
			    const struct attach_point *ap, struct diag *d);
/*
 * Finds what the attach point matches. Returns 0, or -errno with an error in `d` that names near
 * misses. With MISSING_WARN and MISSING_IGNORE nothing found is no error.
 */
int attach_expand(struct attach *a, const struct expand_opts *o, struct diag *d);

/* True when an earlier match of the list has the same name: several places of one probe. */
bool match_repeats(const struct probe_match *list, const struct probe_match *m);
/* True when the text matches the glob: * and ? and [..]. */
bool probe_glob(const char *pattern, const char *text);
bool probe_has_wildcard(const char *s);

/* elf_probe.c */
int expand_elf(struct attach *a, const struct expand_opts *o, struct diag *d);
/* binary_path.c */
bool path_is_file(const char *path);
/* The file without links in its path, to be freed; as it stands where that leads elsewhere. */
char *path_real(const char *name);
/* Calls fn for each file that a process (0: every process) has mapped executable, once, with a
 * path that can be opened from here. */
/* Same for what a program and the libraries that it names would map. */
void program_files_each(const char *command, void (*fn)(void *ctx, const char *path), void *ctx);
void mapped_files_each(pid_t pid, void (*fn)(void *ctx, const char *path), void *ctx);
/* The file behind a name in a probe: absolute, relative, in $PATH, or a library. NULL if none. */
char *resolve_binary(const char *name, pid_t pid);

/* perf_events.c: what software: and hardware: know. */
struct perf_event_name {
	const char *name, *alias;
	enum probe_kind kind;
	uint32_t config;
	uint64_t period; /* when the probe names none */
};
extern const struct perf_event_name perf_event_names[]; /* ends with a NULL name */
/* By name or alias; NULL when there is none. */
const struct perf_event_name *perf_event_find(enum probe_kind kind, const char *name);

/* tracefs.c */
int expand_tracepoint(struct attach *a, const struct expand_opts *o, struct diag *d);
int expand_rawtracepoint(struct attach *a, const struct expand_opts *o, struct diag *d);
/* The struct behind `args` of a tracepoint from its format file; NULL when it has none. */
const struct type *tracepoint_args(struct type_table *t, int tracefs, const char *category,
				   const char *event);
/* Same from the text of a format file. */
const struct type *tracepoint_args_of(struct type_table *t, const char *name, const char *format);
/* Calls fn with "category:event" for each one that matches. */
int tracepoint_each(const char *category, const char *event,
		    int (*fn)(void *ctx, const char *category, const char *event), void *ctx);

#endif

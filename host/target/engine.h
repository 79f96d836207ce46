/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine files: which functions of which libraries give which events, as data.
 *
 * yaml/engines/README.md describes the format. Files of the user's configuration directory and of
 * --data-dir replace shipped ones of the same engine name and add new ones.
 */
#ifndef LLMPROBE_TARGET_ENGINE_H
#define LLMPROBE_TARGET_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "probes/record.h"
#include "target/expr.h"
#include "util/diag.h"

enum { ENGINE_ARGS_MAX = 6 };

/* The arguments that an event's program takes, in order. */
struct engine_event {
	const char *name;
	const char *args[ENGINE_ARGS_MAX + 1]; /* NULL-terminated */
	size_t n_optional; /* the last ones may be left out, and are where a build does not tell
			    * them */
	bool open_args;	   /* up to four arguments of any name instead */
	bool is_end;	   /* belongs at a function's exit */
	bool is_own;	   /* of one operator's own function: only where plan_opts asks for it */
};
extern const struct engine_event engine_events[]; /* ends with name NULL */
/* Whether argument `i` of the event may be left out. */
bool engine_arg_is_optional(const struct engine_event *e, size_t i);

struct engine_arg {
	char *name;
	struct expr *expr[2]; /* by enum elf_arch; NULL: not known on that architecture */
	char *text[2];	      /* as written */
};

/* An event and the values that its program gets. */
struct engine_probe {
	const struct engine_event *event; /* NULL: no probe here */
	struct engine_arg args[ENGINE_ARGS_MAX];
	size_t n_args;
};

/* A function of the engine that is probed. */
struct engine_function {
	char *symbol; /* a name, a glob, or a C++ name with "::"; NULL when only `string` is given
		       */
	char *string; /* a string constant that this function alone uses, for stripped files */
	char *and_string; /* when several use it: the one that uses this constant as well */
	char *library;	  /* glob over file names; NULL: any file of the engine */
	char **unless;	  /* left out when the copy's files define one of these; NULL-ended */
	char **instead;	  /* left out when one of these symbols is probed already; NULL-ended */
	/* Probe its calls in the function that also calls this one where they can be found, not its
	 * entry; NULL: the entry. */
	char *calls_beside;
	/* Probe its calls that end a node in the loop over nodes that computes each by this
	 * function; NULL: no. Where there is no such loop the function counts as not found. */
	char *node_ends;
	bool optional; /* the alternative is usable without it */
	bool nothrow;  /* no exception can cross it, whatever the disassembly suggests */
	bool all;      /* every function that `symbol` matches, not only one */
	char *kind;    /* decode, encode, process, ...; NULL: none */
	char *backend; /* overrides the engine's */
	struct engine_probe entry, exit;
	int line;
};

/* A set of functions that together serve a level. */
struct engine_alternative {
	char *name;
	char *since, *until, *cannot; /* for people; NULL: not told */
	char **requires,
		**without; /* symbols that the copy's files must (not) define; NULL-ended */
	struct engine_function *functions;
	size_t n_functions, cap;
};

struct engine_level {
	enum rec_level level;
	struct engine_alternative *alternatives; /* best first */
	size_t n_alternatives, cap;
};

struct engine {
	char *name, *about, *backend;
	char *source;	 /* the file it came from */
	char **files;	 /* globs over file names */
	char **symbols;	 /* one of these marks a file of any name; NULL-ended */
	char **strings;	 /* one of these constants marks a program of any name; NULL-ended */
	bool has_layout; /* its points need ggml's struct layouts */
	bool is_library; /* a run-time library: says nothing about which process to trace */
	struct engine_level *levels;
	size_t n_levels, cap;
};

struct engine_set;

/* The shipped engines, then `user_dir` (NULL: $XDG_CONFIG_HOME/llmprobe/engines). A broken file is
 * an error with file:line:col for each mistake and NULL. */
struct engine_set *engine_set_load(const char *user_dir, struct diag *d);
void engine_set_free(struct engine_set *s);
size_t engine_count(const struct engine_set *s);
const struct engine *engine_at(const struct engine_set *s, size_t i);
const struct engine *engine_by_name(const struct engine_set *s, const char *name);
/* Parses one engine file's text; `name` is used in messages. For tests, fuzzing and `list`. */
struct engine *engine_parse(const char *name, const char *text, size_t len, struct diag *d);
void engine_free(struct engine *e);
/* True when `file_name` (without folders) matches one of the engine's file globs. */
bool engine_names_file(const struct engine *e, const char *file_name);

#endif

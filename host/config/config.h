/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user asked for: defaults, then a YAML file, then the command line, then the REPL's
 * `set`, each layer over the one before. All four read the one table in config/options.c.
 *
 * Fields are read directly. Strings and lists belong to the config and change when it is set anew,
 * so modules copy what they keep. Only main, cmd/ and config/ include this header.
 */
#ifndef LLMPROBE_CONFIG_CONFIG_H
#define LLMPROBE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "probes/record.h"
#include "util/buf.h"
#include "util/diag.h"

/* Subcommands with options of the table. cmd/cmd.c maps names to these; views of recorded runs
 * have options of their own (view/view.h). */
enum command_id {
	COMMAND_REPL, /* no subcommand: llmprobe -c CONFIG */
	COMMAND_RECORD,
	COMMAND_DOCTOR,
	COMMAND_OVERHEAD,
	COMMAND_LIST,
	COMMAND_SCRIPT,
	COMMAND_TOP,
	COMMAND_SWEEP,
	COMMAND_IMPORT,
	COMMAND_HELP,
	COMMAND_VERSION,
	COMMAND_COMPLETION,
	COMMAND_COUNT
};

enum config_buffer { CONFIG_BUFFER_RING, CONFIG_BUFFER_PERF };
enum config_op_mode { CONFIG_OPS_EVENTS, CONFIG_OPS_SUMMARY };
enum config_colour { CONFIG_COLOUR_AUTO, CONFIG_COLOUR_ALWAYS, CONFIG_COLOUR_NEVER };
enum config_script_format { CONFIG_SCRIPT_TEXT, CONFIG_SCRIPT_JSON };
/* In order of the choices of --mode. */
enum config_script_mode {
	CONFIG_SCRIPT_RUN,
	CONFIG_SCRIPT_CODEGEN,
	CONFIG_SCRIPT_COMPILER_BENCH,
	CONFIG_SCRIPT_BENCH,
	CONFIG_SCRIPT_TEST,
	CONFIG_SCRIPT_FORMAT,
};
enum config_script_buffering { CONFIG_SCRIPT_LINE, CONFIG_SCRIPT_FULL, CONFIG_SCRIPT_NONE };

/* NULL-terminated when count > 0, so `items` serves as an argv; NULL when empty. */
struct string_list {
	char **items;
	size_t count, cap;
};

struct config_state;

struct config {
	/* At most one of pid, exe and command is set after config_check. */
	struct {
		int64_t pid; /* 0: none */
		char *exe;   /* every process that maps this file; NULL: none */
		struct string_list command;
		char *engine; /* name of an engine file, or "auto" */
	} target;
	bool level[LEVEL_COUNT]; /* what is on at the start, by enum rec_level */
	struct {
		struct string_list include, exclude; /* glob patterns on tensor or op names */
		enum config_op_mode mode;
		int64_t barrier_every; /* barrier wait on every Nth decode; 0: begin-only */
	} operators;
	bool tensor_dimensions;
	bool timestamps;	      /* false: sums instead of events, see the man page */
	bool pmc;		      /* the counters level was asked for */
	struct string_list pmc_names; /* empty: the default set */
	struct {
		enum config_buffer type;
		uint64_t size; /* bytes, a power of two */
	} buffer;
	double overhead_cap;	    /* percent; 0: no governor */
	uint64_t drain_interval_ns; /* between two drains of the buffers */
	struct string_list plugins; /* paths of BCC C files */

	char *output; /* run file to write, or a view's or script's output file; NULL: default */
	bool force;   /* replace an existing output file */
	uint64_t duration_ns; /* of a recording; 0: until the target ends or ^C */

	char *data_dir;	 /* overrides embedded probes/ and yaml/; NULL: none */
	char *cache_dir; /* compiled programs; NULL: bpf_cache_dir() */
	char *log;	 /* file for the tool's own messages; NULL: stderr */
	bool verbose;
	enum config_colour colour;
	bool json;	  /* doctor, overhead, list, sweep */
	char *prometheus; /* record: where to serve metrics; NULL: nowhere */

	struct {
		struct string_list params; /* "threads=1,2,4" */
		int64_t repeat, warmup, seed;
	} sweep;

	struct string_list figures; /* import: "throughput=3.07 q/s" */

	struct {
		char *program;	  /* -e; NULL: args.items[0] is the file */
		char *command;	  /* -c, split into words with a shell's quotes */
		char *no_feature; /* of the kernel, separated by commas; NULL: none is left out */
		char *pid;	  /* -p, as it was written; NULL: none */
		enum config_script_format format;
		enum config_script_buffering buffering;
		enum config_script_mode mode;
		bool fmt, test, bench; /* other words for a mode */
		bool list, quiet, dry_run, unsafe, keep_going, no_warnings, info, debug_info,
			usdt_file_activation;
		char *dump;		  /* stages to print and end; NULL: none */
		struct string_list debug; /* stages to print before the run */
		char *probe_filter;
		struct string_list include_dirs, includes;
	} script;

	struct string_list args;    /* positional arguments */
	char *config_file;	    /* as given with -c; NULL: none */
	bool help;		    /* --help was given: nothing else was checked */
	bool version;		    /* --version, likewise */
	bool help_man, help_schema; /* of the help command */

	struct config_state *state; /* where each value came from; private */
};

/* All defaults. */
struct config *config_new(void);
void config_free(struct config *c); /* NULL is fine */
/*
 * Reads a YAML file over the present values. All errors of the file are added to `d`, each with
 * line, column and the nearest known key. Returns 0 or -errno (-EINVAL for bad content).
 */
int config_load(struct config *c, const char *path, struct diag *d);
/* Same for a text in memory; `name` is what messages call it. */
int config_load_text(struct config *c, const char *name, const char *text, size_t len,
		     struct diag *d);

enum {
	/* Short script form (no subcommand): -c X is the config when X ends in .yaml or .yml. */
	CONFIG_ARGS_SHORT_SCRIPT = 1,
};
/*
 * Parses the arguments after the subcommand's name (argv[0] is the first of them), having loaded
 * the file that -c names, and runs config_check. All errors are added to `d`. Returns 0 or -errno;
 * any failure means exit 2.
 */
int config_parse_args(struct config *c, enum command_id command, unsigned flags, int argc,
		      char *const *argv, struct diag *d);
/*
 * Settles what depends on several values (one target, counters, timestamps) and names conflicts by
 * both keys. config_parse_args calls it; call it after config_load when there is no command line.
 */
int config_check(struct config *c, enum command_id command, struct diag *d);

/* When a value changed by `set` takes effect: at once (the session is told), with the next `start`,
 * or never, because the session was made with it. */
enum config_effect { CONFIG_AT_ONCE, CONFIG_AT_START, CONFIG_FIXED };
/*
 * Sets one value by its YAML path ("buffer.size") and says in *effect (may be NULL) when that
 * counts: at once, with the next `start`, or never in this session (then -EPERM, nothing changed).
 */
int config_set(struct config *c, const char *key, const char *value, enum config_effect *effect,
	       struct diag *d);
/* The value of a key as text that config_set would take; false when there is no such key. */
bool config_get(const struct config *c, const char *key, struct buf *out);
/* True when the user gave the key at all (file, command line or set), not merely the default. */
bool config_given(const struct config *c, const char *key);
/* Adds an error about the key's value, at its place in the file when it came from there. */
void config_refuse(const struct config *c, const char *key, const char *why, struct diag *d);
/* Writes all values that differ from the defaults as YAML, for the run table and `set`. */
void config_write(const struct config *c, struct buf *out);
/* Colours on `f`: what --color says, else a terminal without NO_COLOR. */
bool config_use_colour(const struct config *c, FILE *f);

#endif

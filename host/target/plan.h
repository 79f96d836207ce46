/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe plan: which instruction of which file gives which event, with which arguments.
 *
 * A plan grows and never shrinks: ids stay valid for its life, and everything added by a call is at
 * the end of the arrays. Points and sites are shared by all processes that run the same file.
 */
#ifndef LLMPROBE_TARGET_PLAN_H
#define LLMPROBE_TARGET_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probes/record.h"
#include "target/engine.h"
#include "target/layout.h"
#include "target/mapping.h"
#include "target/process.h"
#include "target/site.h"
#include "util/diag.h"

/* A file that has sites. */
struct plan_file {
	char *shown;	 /* as the target sees it */
	char *open_path; /* opens the very inode, good for uprobes while the process `pid` lives */
	int fd;		 /* the same, open as long as the plan; -1 for none */
	dev_t dev;
	ino_t ino;
	char build_id[41]; /* hex, "" when it has none */
	pid_t pid;	   /* the process that it was found in; 0: a file given by name */
	bool replaced;	   /* the name is gone or leads to another file by now */
	bool unmapped;	   /* the process gave it up again while plan_build_command looked */
};

/* One copy of an engine: files of one process that belong together and share a layout. */
struct plan_copy {
	const struct engine *engine;
	int layout;    /* index into the plan's layouts, -1: none needed or none found */
	size_t family; /* index of one of its files, the same for all copies of the family */
	char *version; /* as the engine tells it, "" unknown */
};

struct plan_arg {
	const char *name;
	char *expr; /* C text over ARG1.., SP, RET, RD_U8.. */
};

struct plan_point {
	uint16_t id; /* index of itself, from 0 */
	enum rec_level level;
	const char *engine, *event;
	const char *symbol;	 /* the function as its file names it, or how it was found */
	const char *kind;	 /* "decode", ...; "" for none */
	const char *backend;	 /* "CPU", "CUDA", ...; "" when the engine file does not say */
	const char *alternative; /* which alternative of the engine file */
	const char *cannot;	 /* what it cannot see; "" when nothing is known */
	struct plan_arg args[ENGINE_ARGS_MAX];
	size_t n_args;
	int layout;	  /* index into the plan's layouts, -1: none */
	size_t copy;	  /* index into the plan's copies */
	uint64_t variant; /* same for points that can share one program text apart from their id */
};

struct plan_site {
	uint16_t point;
	size_t file;
	uint64_t offset; /* in the file: what a uprobe takes */
	bool is_return;	 /* attach as a return probe */
	enum insn_class class;
	char insn[INSN_TEXT_MAX];
	char *symbol;	     /* function name for people, demangled */
	uint64_t sym_offset; /* of the instruction from the function's first byte */
	char how[96];	     /* how the function was found and why this instruction */
	double cost_ns;	     /* estimate per hit, the kernel's trap included */
};

struct plan_layout {
	struct layout *layout;
	char *source; /* the files that it was inferred from */
};

struct plan;

struct plan_opts {
	const struct engine_set *engines;
	const char *engine; /* use only this engine and run-time libraries; NULL: all */
	uint32_t levels;    /* bits 1 << enum rec_level; 0: all */
	/* Which functions of single operators get points; NULL: none. */
	bool (*own_function)(const void *ctx, const char *symbol);
	const void *own_ctx;
};

/* Sizes before a call tell what the call added. */
struct plan_mark {
	size_t copies, points, sites, files, layouts;
};

/* An empty plan. The engine set must outlive it. */
struct plan *plan_new(const struct plan_opts *opts);
void plan_free(struct plan *p);
/*
 * Adds what `pid` maps now and the plan does not know yet. Call it again after watch events. A
 * process without any engine is no error here: see plan_level_reason. Returns the number of new
 * points or -errno with an error in `d`; what is worth knowing goes to `d` as warnings.
 */
int plan_extend(struct plan *p, pid_t pid, struct diag *d);
/* plan_new and plan_extend, with an error when no point at all was found (-ENOENT). */
struct plan *plan_build(pid_t pid, const struct plan_opts *opts, struct diag *d);
/* The plan of files on disk with their dependencies, as for a process that maps them all. */
struct plan *plan_build_files(const char *const *paths, size_t n, const struct plan_opts *opts,
			      struct diag *d);
/*
 * The plan of a command, which is started, followed until its engine is loaded (all levels have
 * points and no more come, or a time is up), and ended with all that it forked. What it prints goes
 * to standard error. A command without an engine is no error; NULL when it cannot be started.
 */
struct plan *plan_build_command(char *const argv[], const struct plan_opts *opts, struct diag *d);
/*
 * Adds graph begin and end points at the function at `address` of `pid`: a backend's compute
 * function that was read at run time. `backend` names it. Where its operators are seen one by one,
 * the points that send a graph's tensors are added, too. Returns like plan_extend, 0 when it is
 * already in.
 */
int plan_extend_backend(struct plan *p, pid_t pid, uint64_t address, const char *backend,
			struct diag *d);

/* Gives the memory of the files' contents back; they are read again when the plan is extended. */
void plan_rest(struct plan *p);

struct plan_mark plan_mark(const struct plan *p);
const struct plan_point *plan_point(const struct plan *p, size_t i);
const struct plan_site *plan_site(const struct plan *p, size_t i);
const struct plan_file *plan_file(const struct plan *p, size_t i);
/* True when a process with these mappings has the very file that was planned for. */
bool plan_file_is_mapped(const struct plan_file *f, const struct mapping_list *maps);
const struct plan_copy *plan_copy(const struct plan *p, size_t i);
/* False when a later one is the same copy, of which more was mapped by then. */
bool plan_copy_is_latest(const struct plan *p, size_t i);
/* The file that has copy i's functions, or at least belongs to it; NULL when there is no copy i. */
const struct plan_file *plan_copy_file(const struct plan *p, size_t i);
const struct plan_layout *plan_layout(const struct plan *p, size_t i);
bool plan_has_level(const struct plan *p, enum rec_level level);
/*
 * Why a level has no usable point (what was looked for, in which files, what to do), one text of
 * several lines; "" when it has one. Owned by the plan, valid until it is extended.
 */
const char *plan_level_reason(struct plan *p, enum rec_level level);
/* Functions that were found but could not be used, one per line; "" when there are none. */
const char *plan_notes(const struct plan *p);
/* "CPU", "CUDA", ... for the 16 bytes of a backend's GUID; "" when unknown. */
const char *plan_backend_of_guid(const uint8_t guid[16]);
/* Name number i of those with its 16 bytes; NULL after the last. */
const char *plan_backend_guid(size_t i, const uint8_t **guid);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plan share. */
#ifndef LLMPROBE_TARGET_PLAN_IMPL_H
#define LLMPROBE_TARGET_PLAN_IMPL_H

#include "target/mapping.h"
#include "target/plan.h"
#include "util/buf.h"

enum { NO_FILE = -1, NO_ALTERNATIVE = -1 };

/* A file that belongs to an engine. */
struct file_state {
	struct plan_file pub;
	struct elf *elf;
	bool *engines; /* by index in the engine set: the file is one of its files */
	/* Files that need each other form one copy of an engine, named by its first file. */
	size_t family;
	/* The following are kept at a family's first file. */
	int layout;		/* -1: none yet */
	size_t layout_files;	/* size of the family when the layout was inferred, or tried */
	size_t layout_variants; /* CPU variants among them */
	char *layout_error;	/* why there is none */
};

/* Every file that was looked at, so that it is looked at once. */
struct seen_file {
	dev_t dev;
	ino_t ino;
};

/* What was decided for one level of one engine in one family of files. */
struct choice {
	size_t family, engine;
	enum rec_level level;
	long alternative;
	size_t n_files; /* size of the family at the decision */
	char *reason;	/* when there is no alternative */
};

/* A function that has points for these events already, whichever engine file asked for them. */
struct done_function {
	size_t file;
	uint64_t vaddr;
	const struct engine_event *entry, *exit;
};

struct plan {
	struct plan_opts opts;
	struct file_state **files;
	size_t n_files, cap_files;
	struct seen_file *seen;
	size_t n_seen, cap_seen;
	struct plan_copy **copies;
	size_t n_copies, cap_copies;
	struct plan_layout **layouts;
	size_t n_layouts, cap_layouts;
	struct plan_point **points;
	size_t n_points, cap_points;
	struct plan_site **sites;
	size_t n_sites, cap_sites;
	struct choice *choices;
	size_t n_choices, cap_choices;
	struct done_function *done;
	size_t n_done, cap_done;
	/* For functions that were found at run time; made on first use. */
	struct engine *iface;
	char *reason; /* plan_level_reason's last answer */
	char *unread; /* why the first of n_unread files of engines could not be read */
	size_t n_unread, n_unread_told;
	struct buf notes; /* what optional functions lack */
};

/* A function of the target that an engine function names. */
struct found {
	size_t file;
	struct elf_func func;
	char *symbol; /* as people write it */
	const char *how;
};
struct found_list {
	struct found *at;
	size_t count, cap;
};

/* plan_files.c: opens the file's content, with the symbols of its debug file where it has none. */
struct elf *plan_open_elf(const struct plan_file *f, struct diag *d);
/* Takes in the files that `pid` maps; returns 0 or -errno. */
int plan_take_process(struct plan *p, pid_t pid, struct diag *d);
/* Takes in a file on disk and those it needs. */
int plan_take_path(struct plan *p, const char *path, struct diag *d);
/* The state of a mapped file, opened if need be; NO_FILE with an error. */
long plan_file_of_mapping(struct plan *p, pid_t pid, const struct mapping *m, struct diag *d);
/* Notes which of the files found in `pid` it maps at present; nothing when it is gone. */
void plan_note_mapped(struct plan *p, pid_t pid);
size_t plan_family_size(const struct plan *p, size_t family);
/* The family's layout index, inferred when it is not yet or the family has grown; -1 for none. */
int plan_family_layout(struct plan *p, size_t family);

/* plan_points.c: decides for everything that has new files and adds points and sites. */
void plan_decide(struct plan *p);
/* Adds the points of one function; false with `why` filled in when it cannot be probed. */
bool plan_add_function(struct plan *p, const struct engine *engine,
		       const struct engine_alternative *alt, enum rec_level level,
		       const struct engine_function *fn, const struct found *at, size_t copy,
		       char *why, size_t n);
size_t plan_copy_of(struct plan *p, const struct engine *engine, size_t family);
/* True for the same engine in the same family of files, whatever was known of it when. */
bool plan_same_copy(const struct plan *p, size_t a, size_t b);

#endif

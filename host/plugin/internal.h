/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of plugins, shared by the files of this folder only. */
#ifndef LLMPROBE_PLUGIN_INTERNAL_H
#define LLMPROBE_PLUGIN_INTERNAL_H

#include "bpf/link.h"
#include "bpf/module.h"
#include "bpf/transport.h"
#include "plugin/header.h"
#include "plugin/plugin.h"
#include "plugin/scan.h"
#include "session/rider.h"
#include "util/buf.h"
#include "util/ctype.h"

struct symbols;

/* A table that people read. */
struct plugin_table {
	const char *name; /* all four: the module's and header's */
	const struct code_map *map;
	const char *unit; /* NULL: none */
	int fd;
	struct ctype *key, *value; /* NULL: not known, printed as bytes */
	enum plugin_table_form form;
	bool histogram;
	unsigned id; /* of its note, once one was written */
	bool noted;
};

/* A perf or ring output that is drained. */
struct plugin_output {
	struct plugin *plugin;
	const char *name;
	struct transport *transport;
	struct ctype *type; /* NULL: not known */
	unsigned id;
	bool noted;
	uint64_t records, dropped; /* dropped: too large for the trace */
};

/* Programs beyond those of the first load: engine events whose arguments lie elsewhere. */
struct plugin_extra {
	char *key; /* the generated text that it was made for */
	char *program;
	struct bpf_module *module;
};

/* A probe that is attached for one process and file (or plan site). */
struct plugin_attached {
	size_t probe;
	pid_t pid;
	uint64_t dev, ino; /* of the file, or 0 and the plan's site */
};

struct plugin {
	struct plugins *set;
	char *name, *path, *text;
	struct source source;
	struct plugin_header header;
	struct scan scan;
	struct bpf_code *code;
	struct bpf_module *module;
	struct plugin_extra *extras;
	size_t n_extras, cap_extras;
	struct plugin_table *tables;
	size_t n_tables;
	struct plugin_output *outputs;
	size_t n_outputs;
	int lost_fd;
	bool on;
	struct bpf_links *links;
	struct plugin_attached *attached;
	size_t n_attached, cap_attached;
	char **missing; /* per probe: why it is nowhere attached; NULL: it is, or was not tried */
	uint64_t next_print_ns;
};

struct plugins {
	struct session *session;
	char *cache_dir; /* NULL: none */
	struct plugin **at;
	size_t count, cap;
	FILE *out;
	struct symbols *symbols;
	pid_t first_pid;  /* of the targets; stays when it has ended */
	unsigned next_id; /* of notes */
	struct diag *quiet;
};

/* compile.c: fills code, module, types. Returns 0 or -errno. */
int plugin_compile(struct plugin *p, struct diag *d);
/* The program that runs the probe's function with the arguments in `exprs`; compiled when there is
 * none yet. Descriptor or -errno. */
int plugin_engine_program(struct plugin *p, const struct plugin_probe *probe,
			  const char *const *exprs, struct diag *d);

/* attach.c */
int plugin_attach_global(struct plugin *p, struct diag *d);
int plugin_attach_process(struct plugin *p, pid_t pid, struct diag *d);
/* engine.c: the same for one engine probe. `reason` (may be NULL) is replaced when nothing fits. */
int plugin_attach_engine(struct plugin *p, size_t probe, pid_t pid, struct diag *d);
bool plugin_is_attached(const struct plugin *p, size_t probe, pid_t pid, uint64_t dev,
			uint64_t ino);
/* What probes are limited to, and known by: the process, or 0 where they are in all of them. */
pid_t plugin_probed_pid(const struct plugin *p, pid_t pid);
/* The process has ended. */
void plugin_drop_process(struct plugin *p, pid_t pid);
void plugin_remember(struct plugin *p, size_t probe, pid_t pid, uint64_t dev, uint64_t ino);
void plugin_set_missing(struct plugin *p, size_t probe, char *why);

/* table.c */
void plugin_table_print(const struct plugin *p, const struct plugin_table *t, FILE *out);
bool plugin_table_readable(const struct plugin_table *t);
/* hist.c: `counts` of `n` slots. */
void plugin_hist_log2(const char *unit, const uint64_t *counts, size_t n, FILE *out);
void plugin_hist_linear(const char *unit, const uint64_t *counts, size_t n, FILE *out);

/* output.c */
void plugin_drain(struct plugin *p);
/* Explains the tables and outputs to a recording that begins. */
void plugin_note(struct plugin *p);
void plugin_note_losses(struct plugin *p);
/* Writes all tables' entries into the recording. */
void plugin_record_tables(struct plugin *p);
/* Lost records and updates so far. */
uint64_t plugin_lost(const struct plugin *p);
uint64_t plugin_lost_kind(const struct plugin *p, uint32_t kind);

#endif

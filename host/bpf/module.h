/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded BPF code: its maps and verified programs, held by descriptors. */
#ifndef LLMPROBE_BPF_MODULE_H
#define LLMPROBE_BPF_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/code.h"
#include "util/diag.h"

/* How a program is loaded, which decides what it can be attached to. */
enum bpf_kind {
	BPF_KIND_UPROBE,  /* entry and return probes, multi links included; kprobes too */
	BPF_KIND_SESSION, /* one program for entry and return, kernels from 6.13; links_uprobes only
			   */
	BPF_KIND_TRACEPOINT,
	BPF_KIND_RAW_TRACEPOINT, /* also for bpf_module_run */
	BPF_KIND_TP_BTF,	 /* target: the tracepoint, "sched_switch" */
	BPF_KIND_FENTRY,	 /* target: the kernel function */
	BPF_KIND_FEXIT,
	BPF_KIND_PERF_EVENT,
	BPF_KIND_SYSCALL, /* only for bpf_module_run */
};

/*
 * What kind a program is. Without an entry its name decides, as in BCC: tracepoint__CAT__EVENT,
 * raw_tracepoint__EVENT, tp_btf__EVENT, kfunc__FN, kretfunc__FN, perf_event__*, run__* (raw
 * tracepoint kind, for bpf_module_run); any other name is BPF_KIND_UPROBE.
 */
struct bpf_program_kind {
	const char *name;
	enum bpf_kind kind;
	const char *target; /* TP_BTF, FENTRY, FEXIT */
};
enum bpf_kind bpf_kind_of_name(const char *name, const char **target);

/* The descriptor behind EXTERN_MAP(n) of the text; borrowed. */
struct bpf_extern {
	uint32_t n;
	int fd;
};

struct bpf_load_opts {
	const struct bpf_extern *externs;
	size_t n_externs;
	const struct bpf_program_kind *kinds;
	size_t n_kinds;
	/* Only these programs are loaded; NULL: all but callbacks (bpf/callback.h), which come with
	 * those that use them. Maps are made for all. */
	const char *const *only;
	size_t n_only;
	/* When not NULL: max_entries of the map `name` instead of what the text says, 0 = as is. */
	uint32_t (*map_size)(void *ctx, const struct code_map *map);
	void *map_size_ctx;
	/* When not NULL: maps of a name that this module has are its, not made anew. */
	const struct bpf_module *share;
};

struct bpf_module;

/*
 * Makes the maps, resolves the references, loads the programs. A program that the kernel refuses is
 * an error with the program's name and the last lines of the verifier's log. NULL on error.
 */
struct bpf_module *bpf_module_load(const struct bpf_code *code, const struct bpf_load_opts *o,
				   struct diag *d);
/*
 * What the verifier says about the programs of a loaded module: each is loaded once more, with its
 * log, of which the last `log_size` bytes are kept by kernels that can. `o` is that of the load.
 */
void bpf_module_explain(struct bpf_module *m, const struct bpf_code *code,
			const struct bpf_load_opts *o, uint32_t log_size,
			void (*take)(void *ctx, const char *program, const char *log), void *ctx);
/* Closes programs and maps. Attached links keep their program alive. NULL is fine. */
void bpf_module_free(struct bpf_module *m);

/* Descriptors, borrowed; -ENOENT when there is none of that name. */
int bpf_module_prog_fd(const struct bpf_module *m, const char *name);
int bpf_module_map_fd(const struct bpf_module *m, const char *name);
/* Maps in order of the text; NULL beyond the last. `fd` may be NULL. */
const struct code_map *bpf_module_map(const struct bpf_module *m, size_t i, int *fd);
/* Programs that were loaded; NULL beyond the last. */
const char *bpf_module_prog(const struct bpf_module *m, size_t i, int *fd);

/*
 * Runs a program of kind RAW_TRACEPOINT or SYSCALL once, in the calling thread. `ctx` holds its
 * arguments (RAW_TRACEPOINT: u64 words). Returns its return value (>= 0) or -errno.
 */
int bpf_module_run(const struct bpf_module *m, const char *name, void *ctx, size_t ctx_len);

/* How much the kernel made of a program, in bytes. */
struct bpf_prog_size {
	uint32_t verified, machine; /* machine: 0 without a just-in-time compiler */
};
/* Returns 0 or -errno. */
int bpf_prog_size(int prog_fd, struct bpf_prog_size *out);

/* What the kernel counted for a program while bpf_stats_enable was on. */
struct bpf_run_stats {
	uint64_t run_cnt, run_ns, missed; /* missed: not run because it was already running */
};
/* Returns 0 or -errno. */
int bpf_prog_run_stats(int prog_fd, struct bpf_run_stats *out);
/* Switches counting on for the whole system (+94 ns per run here); close the descriptor to switch
 * it off. Returns the descriptor or -errno. Needs CAP_SYS_ADMIN. */
int bpf_stats_enable(void);

#endif

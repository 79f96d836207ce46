/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of struct script share. */
#ifndef LLMPROBE_SCRIPT_SCRIPT_IMPL_H
#define LLMPROBE_SCRIPT_SCRIPT_IMPL_H

#include "bpf/link.h"
#include "bpf/module.h"
#include "bpf/reaper.h"
#include "bpf/transport.h"
#include "script/fn/builtin.h"
#include "script/script.h"

struct watchpoint {
	uint64_t address;
	struct bpf_links *links; /* NULL: it was taken off */
};

struct script {
	struct script_opts o;
	struct source src;
	struct arena *arena;
	struct program *prog;
	struct type_table *types;
	struct kernel_types *kernel;
	struct debug_info *debug;
	struct settings settings;
	struct script_args args;
	struct sema sema;
	struct probe_plan *plans;
	size_t n_plans;
	bool emitted;
	struct script_code code;
	struct runtime rt;
	/* loaded */
	struct transport *transport;
	struct bpf_code *bpf;
	struct bpf_module *module;
	struct bpf_links *links; /* of all probes but watchpoints */
	struct watchpoint *watchpoints;
	size_t n_watchpoints, cap_watchpoints;
	struct mmaps *mmaps; /* of a script that names addresses of processes */
	int loss_fd, scratch_fd, globals_fd, seen_fd;
	int *map_fds, *stack_fds;
	int *usdt_fds; /* perf events of probes with a semaphore */
	size_t n_usdt, cap_usdt;
	bool stopped;
};

/* script_load.c */
/* How its module is loaded, once its maps are made; what it points to lives as long as the script.
 */
void script_load_opts(const struct script *s, struct bpf_load_opts *o);
void script_unload(struct script *s);
/* Runs the begin, end or self programs, in order of the source. */
void script_run_special(struct script *s, enum probe_kind kind);

/* watchpoint.c: attaches a watchpoint; 0 or -errno with an error in `d`. */
int script_watch(struct script *s, const struct attach *a, int prog_fd, struct diag *d);
/* Takes off all of them. */
void script_unwatch(struct script *s);
/* Takes off those of the address; `script` is a struct script. */
void script_unwatch_address(void *script, uint64_t address);

#endif

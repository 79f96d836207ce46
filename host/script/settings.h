/* SPDX-License-Identifier: Apache-2.0 */
/* What config = { } and BPFTRACE_* set. One table in settings.c. */
#ifndef LLMPROBE_SCRIPT_SETTINGS_H
#define LLMPROBE_SCRIPT_SETTINGS_H

#include "script/syntax/ast.h"

/* What bpftrace may still change can be forbidden; it is as stable here as anything else. */
enum unstable_policy { UNSTABLE_ENABLE, UNSTABLE_WARN, UNSTABLE_ERROR };

struct settings {
	uint64_t max_map_keys;
	uint64_t max_strlen;
	uint64_t max_probes;
	uint64_t max_bpf_progs;
	uint64_t max_cat_bytes;
	uint64_t log_size;
	uint64_t perf_rb_pages; /* 0: automatic */
	uint64_t on_stack_limit;
	uint64_t missing_probes; /* enum missing_policy */
	uint64_t stack_mode;	 /* enum stack_mode */
	uint64_t cache_user_symbols;
	uint64_t unstable_map_decl; /* enum unstable_policy, as are the next two */
	uint64_t unstable_tseries;
	uint64_t unstable_addr;
	bool print_maps_on_exit;
	bool cpp_demangle;
	bool lazy_symbolication;
	bool show_debug_info;
	const char *str_trunc_trailer;
	const char *license;
};

/* Defaults, then the script's config block, then the environment, which wins. Returns 0 or -EINVAL
 * with errors in `d`. Strings are borrowed from the program and the environment. */
int settings_load(struct settings *out, const struct program *p, struct diag *d);

#endif

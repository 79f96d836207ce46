/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF C text to struct bpf_code, through libbcc in a short-lived child: LLVM's memory, libbcc's
 * chdir and its crashes stay there. Nothing here needs kernel headers unless the text includes
 * some that third_party/kernel-headers does not have.
 */
#ifndef LLMPROBE_BPF_COMPILE_H
#define LLMPROBE_BPF_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/code.h"
#include "util/buf.h"
#include "util/diag.h"

/* What the compiler makes on the way; the values are libbcc's own. */
enum bpf_listing {
	BPF_LIST_NONE = 0,
	BPF_LIST_LLVM = 1, /* LLVM's intermediate form, optimised */
	BPF_LIST_ASM = 8,  /* BPF instructions between the lines of the text */
};

struct bpf_compile_opts {
	const char *text; /* BCC C; `#line N "file"` in it decides what messages name */
	const char *name; /* what messages call the text where no #line does; NULL: "program" */
	const char *const *cflags; /* further compiler flags, "-DX=1" */
	size_t n_cflags;
	bool lean; /* the text has probes/lean.h in place of what libbcc includes by itself */
	bool optimise_once; /* a third of the time less; the code differs somewhat, so it is for
			     * text that is known to load this way */
	enum bpf_listing listing; /* is added to `log`, and the cache is left alone */
	struct buf *log;	  /* NULL when there is no listing */
	const char *cache_dir;	  /* bpf_cache_dir(), or NULL for no cache */
	unsigned timeout_ms;	  /* after which the child is killed; 0: 60 s */
	bool *from_cache;	  /* set when not NULL */
	uint64_t *took_ns;	  /* set when not NULL */
};

/*
 * Compiles, or takes the result of an earlier run from the cache. Returns NULL after adding clang's
 * errors (with file:line:col) or the reason why the compiler could not run; clang's warnings are
 * added as warnings. Safe beside other threads; the caller must not reap children by wait(-1).
 */
struct bpf_code *bpf_compile(const struct bpf_compile_opts *o, struct diag *d);

/*
 * Compiles `n` texts side by side, as many at a time as there are processors, and gives the results
 * to `out`: NULL for those that could not be compiled. Says nothing about why: bpf_compile does.
 */
void bpf_compile_many(const struct bpf_compile_opts *o, size_t n, struct bpf_code **out);

/* "0.26.0", or "" when libbcc.so.0 cannot be found; loads no LLVM. `out` holds 32 bytes. */
const char *bpf_compiler_version(char out[32]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of host/bpf share: a function to probe, its place in the file, loading a text. */
#ifndef LLMPROBE_TESTS_BPF_HELPER_H
#define LLMPROBE_TESTS_BPF_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "bpf/compile.h"
#include "bpf/kmap.h"
#include "bpf/link.h"
#include "bpf/module.h"
#include "bpf/sys.h"
#include "tests/own_code.h"

/* The offset of a function of this program in its file. */
static inline uint64_t file_offset(void (*fn)(long))
{
	return own_offset((const void *)fn);
}

/* Tests that load programs are skipped where nobody may. */
static inline void need_bpf(void)
{
	int fd = sys_prog_load_null(BPF_PROG_TYPE_KPROBE, 0);

	if (fd < 0)
		skip();
	close(fd);
}

static inline struct bpf_code *must_compile_with(const struct bpf_compile_opts *o)
{
	struct diag *d = diag_new();
	struct bpf_code *code = bpf_compile(o, d);

	if (!code)
		diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	assert_non_null(code);
	diag_free(d);
	return code;
}

static inline struct bpf_code *must_compile(const char *text)
{
	struct bpf_compile_opts o = {.text = text, .name = "test"};

	return must_compile_with(&o);
}

static inline struct bpf_module *must_load(const char *text, const struct bpf_load_opts *o)
{
	struct bpf_code *code = must_compile(text);
	struct diag *d = diag_new();
	struct bpf_module *m = bpf_module_load(code, o, d);

	if (!m)
		diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	assert_non_null(m);
	diag_free(d);
	bpf_code_free(code);
	return m;
}

#endif

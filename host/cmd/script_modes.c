/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/script_modes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/compile.h"
#include "script/syntax/pretty.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/median.h"

enum { BENCH_RUNS = 11 };

int script_mode(const struct config *c, enum config_script_mode *out, struct diag *d)
{
	const struct {
		bool given;
		enum config_script_mode mode;
		const char *flag;
	} flags[] = {
		{c->script.fmt, CONFIG_SCRIPT_FORMAT, "--fmt"},
		{c->script.test, CONFIG_SCRIPT_TEST, "--test"},
		{c->script.bench, CONFIG_SCRIPT_BENCH, "--bench"},
	};

	*out = c->script.mode;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (!flags[i].given || flags[i].mode == *out)
			continue;
		if (*out != CONFIG_SCRIPT_RUN)
			return diag_fail(d, -EINVAL, "%s conflicts with the mode asked for before",
					 flags[i].flag);
		*out = flags[i].mode;
	}
	return 0;
}

int script_mode_format(const struct cmd_context *ctx, const struct script_opts *o)
{
	struct source src = {o->name, o->text, o->len};
	const char *path = ctx->config->output;
	struct buf out = {0};
	int err = script_pretty(&src, &out, ctx->diag);

	if (!err && path) {
		err = file_replace(path, out.data, out.len);
		if (err)
			diag_add(ctx->diag, DIAG_ERROR, "cannot write %s: %s", path,
				 strerror(-err));
	} else if (!err) {
		fwrite(buf_str(&out), 1, out.len, stdout);
		err = fflush(stdout) != 0 ? -errno : 0;
	}
	buf_free(&out);
	return err ? EXIT_FAILED : EXIT_OK;
}

int script_mode_codegen(const struct cmd_context *ctx, const struct script_opts *o)
{
	struct script *s = script_new(o, ctx->diag);
	int err = s ? script_compile(s, ctx->diag) : -EINVAL;

	script_free(s);
	return err ? EXIT_FAILED : EXIT_OK;
}

/* ---- compiler-bench ---- */

/* Nanoseconds of each stage, one per run. */
struct stage_times {
	double check[BENCH_RUNS], emit[BENCH_RUNS], compile[BENCH_RUNS];
};

/* Without the cache, which would leave nothing to measure. */
static int compile_anew(struct script *s, const struct script_opts *o, struct diag *d)
{
	struct buf text = {0};
	struct bpf_compile_opts c = {.name = o->name, .lean = true};
	struct bpf_code *code = NULL;
	int err = script_dump(s, "bpf", &text, d);

	if (!err) {
		c.text = buf_str(&text);
		code = bpf_compile(&c, d);
	}
	bpf_code_free(code);
	buf_free(&text);
	return code ? 0 : -EINVAL;
}

static int time_stages(const struct script_opts *o, struct stage_times *t, size_t run,
		       struct diag *d)
{
	uint64_t start = clock_now(), checked, emitted;
	struct script *s = script_new(o, d);
	int err = s ? 0 : -EINVAL;

	checked = clock_now();
	err = err ? err : script_emit(s, d);
	emitted = clock_now();
	err = err ? err : compile_anew(s, o, d);
	t->check[run] = (double)(checked - start);
	t->emit[run] = (double)(emitted - checked);
	t->compile[run] = (double)(clock_now() - emitted);
	script_free(s);
	return err;
}

static void print_stage(const char *name, double *ns)
{
	printf("%-40s %-15.0f%d\n", name, median(ns, BENCH_RUNS), BENCH_RUNS);
}

int script_mode_compiler_bench(const struct cmd_context *ctx, const struct script_opts *o)
{
	struct stage_times t;

	for (size_t run = 0; run < BENCH_RUNS; run++) {
		if (time_stages(o, &t, run, ctx->diag) != 0)
			return EXIT_FAILED;
		diag_clear(ctx->diag);
	}
	printf("%-40s %-15s%s\n", "Stage", "Median(ns)", "Runs");
	print_stage("parse and check", t.check);
	print_stage("BPF text", t.emit);
	print_stage("compile", t.compile);
	return EXIT_OK;
}

/* ---- test and bench ---- */

int script_mode_trials(const struct cmd_context *ctx, struct script *s, const struct script_opts *o)
{
	bool colour = config_use_colour(ctx->config, o->out);
	int code = 0, result = script_attach(s, ctx->diag);

	if (!result)
		result = o->trial == PROBE_TEST ? script_test(s, colour, ctx->diag)
						: script_bench(s, ctx->diag);
	script_stop(s);
	script_exited(s, &code);
	if (result >= 0 && script_prints_maps_on_exit(s))
		script_print_maps(s);
	fflush(o->out);
	return result ? EXIT_FAILED : code;
}

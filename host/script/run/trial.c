/* SPDX-License-Identifier: Apache-2.0 */
/* Test and bench probes: programs that are run for their own sake. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/kmap.h"
#include "script/script_impl.h"
#include "util/clock.h"

enum { NAME_WIDTH = 40, TIME_WIDTH = 15, BENCH_MAX = 1 << 20, DRAIN_EVERY = 256 };
static const uint64_t bench_ns = 100000000; /* of running, after which a bench probe is done */

struct trials {
	struct script *s;
	const struct script_program **v;
	size_t n;
	bool colour;
};

static const char *trial_name(const struct script_program *p)
{
	return p->attach->func;
}

static int trials_find(struct trials *t, struct script *s, enum probe_kind kind, struct diag *d)
{
	*t = (struct trials){.s = s};
	t->v = xcalloc(s->code.n_programs + 1, sizeof(*t->v));
	for (const struct script_program *p = s->code.programs; p; p = p->next)
		if (p->attach->kind == kind)
			t->v[t->n++] = p;
	if (t->n)
		return 0;
	free(t->v);
	return diag_fail(d, -ENOENT, "the program has no %s: probes to run",
			 kind == PROBE_TEST ? "test" : "bench");
}

static int run_program(struct script *s, const struct script_program *p)
{
	uint64_t ctx[12] = {0};

	return bpf_module_run(s->module, p->name, ctx, sizeof(ctx));
}

static void print_record(struct script *s, const char *type, const char *name, const char *text)
{
	struct buf data = {0};

	buf_putc(&data, '{');
	json_string(&data, name, strlen(name));
	buf_printf(&data, ": %s}", text);
	output_json(&s->rt, type, buf_str(&data));
	buf_free(&data);
}

/* ---- tests ---- */

struct verdict {
	bool passed;
	uint64_t took_ns;
	char *output;
	size_t len;
};

/* What the probe before this one returned; for the next it is set to 0. */
static uint64_t take_result(struct script *s)
{
	uint64_t words[GLOBAL_WORDS] = {0}, result;
	uint32_t zero = 0;

	if (kmap_lookup(s->globals_fd, &zero, words) != 0)
		return 1;
	result = words[GLOBAL_RESULT];
	words[GLOBAL_RESULT] = 0;
	kmap_update(s->globals_fd, &zero, words, 0);
	return result;
}

static struct verdict run_test(struct script *s, const struct script_program *p)
{
	FILE *out = s->rt.out, *err = s->rt.err;
	struct verdict v = {0};
	uint64_t start;
	int ran;

	take_result(s);
	s->rt.exiting = false;
	s->rt.exit_code = 0;
	s->rt.out = s->rt.err = open_memstream(&v.output, &v.len);
	start = clock_now();
	ran = run_program(s, p);
	v.took_ns = clock_now() - start;
	script_drain(s);
	fclose(s->rt.out);
	s->rt.out = out;
	s->rt.err = err;
	v.passed = ran >= 0 && take_result(s) == 0 && s->rt.exit_code == 0;
	return v;
}

static void mark(const struct trials *t, bool good, const char *text)
{
	fprintf(t->s->rt.out, "%s[%s]%s ",
		!t->colour ? ""
		: good	   ? "\033[32m"
			   : "\033[31m",
		text, t->colour ? "\033[0m" : "");
}

static const char *tests(size_t n)
{
	return n == 1 ? "test" : "tests";
}

static void print_verdict(const struct trials *t, const char *name, const struct verdict *v)
{
	FILE *out = t->s->rt.out;

	mark(t, true, " RUN      ");
	fprintf(out, "%s\n", name);
	if (!v->passed && v->len)
		fprintf(out, "%s%s", v->output, v->output[v->len - 1] == '\n' ? "" : "\n");
	mark(t, v->passed, v->passed ? "       OK " : "  FAILED  ");
	fprintf(out, "%s (%llu us)\n", name, (unsigned long long)(v->took_ns / 1000));
}

static void print_verdict_json(struct script *s, const char *name, const struct verdict *v)
{
	struct buf text = {0};

	buf_printf(&text, "{\"duration\": %llu, \"passed\": %s, \"output\": ",
		   (unsigned long long)v->took_ns, v->passed ? "true" : "false");
	json_string(&text, v->output, v->len);
	buf_putc(&text, '}');
	print_record(s, "test_result", name, buf_str(&text));
	buf_free(&text);
}

static void print_summary(const struct trials *t, const bool *passed, size_t failed)
{
	FILE *out = t->s->rt.out;

	mark(t, true, "==========");
	fprintf(out, "%zu %s ran.\n", t->n, tests(t->n));
	mark(t, true, "  PASSED  ");
	fprintf(out, "%zu %s.\n", t->n - failed, tests(t->n - failed));
	if (!failed)
		return;
	mark(t, false, "  FAILED  ");
	fprintf(out, "%zu %s, listed below:\n", failed, tests(failed));
	for (size_t i = 0; i < t->n; i++) {
		if (passed[i])
			continue;
		mark(t, false, "  FAILED  ");
		fprintf(out, "%s\n", trial_name(t->v[i]));
	}
}

static size_t run_tests(struct trials *t, bool json)
{
	bool *passed = xcalloc(t->n, sizeof(*passed));
	size_t failed = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct verdict v = run_test(t->s, t->v[i]);

		if (json)
			print_verdict_json(t->s, trial_name(t->v[i]), &v);
		else
			print_verdict(t, trial_name(t->v[i]), &v);
		passed[i] = v.passed;
		failed += !v.passed;
		free(v.output);
	}
	if (!json)
		print_summary(t, passed, failed);
	free(passed);
	return failed;
}

int script_test(struct script *s, bool colour, struct diag *d)
{
	struct trials t;
	int err = trials_find(&t, s, PROBE_TEST, d);

	if (err)
		return err;
	t.colour = colour;
	script_drain(s); /* what begin probes print comes first */
	if (s->o.format == SCRIPT_TEXT) {
		mark(&t, true, "==========");
		fprintf(s->rt.out, "Running %zu %s.\n", t.n, tests(t.n));
	}
	err = (int)run_tests(&t, s->o.format == SCRIPT_JSON);
	s->rt.exiting = false;
	s->rt.exit_code = 0;
	free(t.v);
	return err;
}

/* ---- benches ---- */

/* Runs until it has run for long enough. */
static int measure(struct script *s, const struct script_program *p, struct bpf_run_stats *out)
{
	int fd = bpf_module_prog_fd(s->module, p->name), err = 0;
	struct bpf_run_stats before = {0}, now = {0};

	err = bpf_prog_run_stats(fd, &before);
	for (uint64_t i = 1; !err && i <= BENCH_MAX; i++) {
		int ran = run_program(s, p);

		err = ran < 0 ? ran : 0;
		if (err || i % DRAIN_EVERY != 0)
			continue;
		script_drain(s);
		s->rt.exiting = false;
		err = bpf_prog_run_stats(fd, &now);
		if (now.run_ns - before.run_ns >= bench_ns)
			break;
	}
	out->run_cnt = now.run_cnt - before.run_cnt;
	out->run_ns = now.run_ns - before.run_ns;
	return err;
}

static void print_bench(struct script *s, const char *name, const struct bpf_run_stats *r)
{
	unsigned long long each = r->run_cnt ? r->run_ns / r->run_cnt : 0;
	unsigned long long runs = r->run_cnt;
	char text[96];

	if (s->o.format == SCRIPT_TEXT) {
		fprintf(s->rt.out, "%-*s %-*llu%llu\n", NAME_WIDTH, name, TIME_WIDTH, each, runs);
		return;
	}
	snprintf(text, sizeof(text), "{\"average\": %llu, \"iters\": %llu}", each, runs);
	print_record(s, "benchmark_result", name, text);
}

static void print_bench_head(struct script *s)
{
	int n = fprintf(s->rt.out, "%-*s %-*s%s", NAME_WIDTH, "Benchmark", TIME_WIDTH, "Time(ns)",
			"Iterations");

	fputc('\n', s->rt.out);
	while (n-- > 0)
		fputc('-', s->rt.out);
	fputc('\n', s->rt.out);
}

static int run_bench(struct script *s, const struct script_program *p, struct diag *d)
{
	FILE *out = s->rt.out, *err_out = s->rt.err, *null = fopen("/dev/null", "we");
	struct bpf_run_stats r = {0};
	int err;

	if (!null)
		return diag_fail(d, -errno, "cannot open /dev/null: %s", strerror(errno));
	s->rt.out = s->rt.err = null;
	err = measure(s, p, &r);
	s->rt.out = out;
	s->rt.err = err_out;
	fclose(null);
	if (err)
		return diag_fail(d, err, "bench:%s could not be run: %s", trial_name(p),
				 strerror(-err));
	print_bench(s, trial_name(p), &r);
	return 0;
}

int script_bench(struct script *s, struct diag *d)
{
	struct trials t;
	int stats, err = trials_find(&t, s, PROBE_BENCH, d);

	if (err)
		return err;
	script_drain(s);
	stats = bpf_stats_enable();
	if (stats < 0)
		err = diag_fail(d, stats, "the kernel does not count run times: %s",
				strerror(-stats));
	if (!err && s->o.format == SCRIPT_TEXT)
		print_bench_head(s);
	for (size_t i = 0; i < t.n && !err; i++)
		err = run_bench(s, t.v[i], d);
	s->rt.exiting = false;
	if (stats >= 0)
		close(stats);
	free(t.v);
	return err;
}

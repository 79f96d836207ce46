/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the files of tests/corpus: programs with the exact text that they must give. A case is
 *
 *   === what it shows
 *   the program
 *   --- error | ast | types | pretty | output | json      (args and -p have no place here)
 *   expected text
 *
 * Every program that can be parsed is laid out as well: that must be the same program, and the
 * layout of itself.
 *
 * error needs no rights: errors and warnings that are printed before anything runs. output and json
 * run the program in the kernel and are skipped where that is not allowed. CORPUS_UPDATE=1 writes
 * what came out back to the files: read the difference before it is kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "bpf/feature.h"
#include "bpf/reaper.h"
#include "script/script.h"
#include "script/syntax/pretty.h"
#include "util/file.h"

struct corpus_case {
	const char *file;
	char *name, *program, *kind, *want;
	bool can_run;
	int run;
};

static char *printed(const struct diag *d)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	diag_print(d, f, DIAG_STYLE_BPFTRACE, false);
	fclose(f);
	return text;
}

static void drain_until_done(struct script *s)
{
	for (int i = 0; i < 500 && !script_exited(s, NULL); i++) {
		struct pollfd p = {script_fd(s), POLLIN, 0};

		script_drain(s);
		if (script_is_finite(s))
			break;
		poll(&p, 1, 10);
	}
	script_stop(s);
	script_print_maps(s);
}

static char *run_program(struct script_opts *o, struct diag *d)
{
	char *text = NULL;
	size_t len = 0;
	struct script *s;

	o->out = open_memstream(&text, &len);
	o->err = o->out;
	o->reaper = reaper_new();
	s = script_new(o, d);
	if (s && script_load(s, d) == 0 && script_attach(s, d) == 0)
		drain_until_done(s);
	script_free(s);
	diag_print(d, o->out, DIAG_STYLE_BPFTRACE, false);
	fclose(o->out);
	reaper_free(o->reaper);
	return text;
}

static char *dump_program(struct script_opts *o, const char *kind, struct diag *d)
{
	bool is_error = strcmp(kind, "error") == 0;
	const char *stage = is_error ? "bpf" : kind;
	struct buf out = {0};
	struct script *s;

	o->offline = true;
	s = script_new(o, d);
	if (s)
		script_dump(s, stage, &out, d);
	script_free(s);
	if (!s || is_error) {
		buf_free(&out);
		return printed(d);
	}
	return out.data ? buf_take(&out) : xstrdup("");
}

/* The layout, or what is wrong with the program. */
static char *lay_out(const char *text, struct diag *d)
{
	struct source src = {"stdin", text, strlen(text)};
	struct buf out = {0};

	if (script_pretty(&src, &out, d) == 0)
		return out.data ? buf_take(&out) : xstrdup("");
	buf_free(&out);
	return printed(d);
}

static char *syntax_tree(const char *text)
{
	struct source src = {"stdin", text, strlen(text)};
	struct script_args args = {0};
	struct arena *arena = arena_new();
	struct diag *d = diag_new();
	struct program *p = script_parse(&src, arena, &args, d);
	struct buf out = {0};

	if (p)
		program_dump(p, false, &out);
	arena_free(arena);
	diag_free(d);
	return p ? buf_take(&out) : NULL;
}

static void check_layout(const struct corpus_case *c)
{
	char *tree = syntax_tree(c->program), *once, *twice, *again;
	struct diag *d = diag_new();

	if (tree) {
		once = lay_out(c->program, d);
		again = syntax_tree(once);
		twice = lay_out(once, d);
		if (!again || strcmp(tree, again) != 0 || strcmp(once, twice) != 0)
			fail_msg("%s: %s\n--- program\n%s--- laid out\n%s--- twice\n%s", c->file,
				 c->name, c->program, once, twice);
		free(once);
		free(twice);
		free(again);
	}
	free(tree);
	diag_free(d);
}

static void check_case(struct corpus_case *c)
{
	static const char *const argv[] = {"42", "word", "--depth=7"};
	struct diag *d = diag_new();
	struct script_opts o = {
		.name = "stdin",
		.text = c->program,
		.len = strlen(c->program),
		.argv = argv,
		.argc = 3,
		.include_dirs = (const char *const[]){"tests/corpus/include"},
		.n_include_dirs = 1,
	};
	char *have;

	check_layout(c);
	if (strcmp(c->kind, "output") == 0 || strcmp(c->kind, "json") == 0) {
		if (!c->can_run) {
			diag_free(d);
			return;
		}
		o.format = c->kind[0] == 'j' ? SCRIPT_JSON : SCRIPT_TEXT;
		have = run_program(&o, d);
	} else if (strcmp(c->kind, "pretty") == 0) {
		have = lay_out(c->program, d);
	} else {
		have = dump_program(&o, c->kind, d);
	}
	c->run++;
	if (getenv("CORPUS_UPDATE")) {
		free(c->want);
		c->want = xstrdup(have);
	} else if (strcmp(have, c->want) != 0)
		fail_msg("%s: %s\n--- program\n%s--- want (%s)\n%s--- have\n%s", c->file, c->name,
			 c->program, c->kind, c->want, have);
	free(have);
	diag_free(d);
}

/* The text from `from` up to a line that starts with `mark` (or the end), as a new string. */
static char *take_section(char **from, const char *mark)
{
	char *end = *from, *text;

	while (*end && strncmp(end, mark, strlen(mark)) != 0) {
		end += strcspn(end, "\n");
		end += *end == '\n';
	}
	text = xstrndup(*from, (size_t)(end - *from));
	*from = end;
	return text;
}

static char *take_line(char **from, size_t skip)
{
	size_t n = strcspn(*from, "\n");
	char *line = xstrndup(*from + skip, n - skip);

	*from += n + ((*from)[n] == '\n');
	return line;
}

static int run_file(const char *path, bool can_run)
{
	struct buf text = {0};
	struct corpus_case c = {.file = path, .can_run = can_run};
	struct buf now = {0};
	char *p;

	assert_int_equal(file_read(path, &text, 0), 0);
	p = strstr(buf_str(&text), "=== ");
	while (p && *p) {
		c.name = take_line(&p, 4);
		c.program = take_section(&p, "--- ");
		c.kind = take_line(&p, 4);
		c.want = take_section(&p, "=== ");
		check_case(&c);
		buf_printf(&now, "=== %s\n%s--- %s\n%s", c.name, c.program, c.kind, c.want);
		free(c.name);
		free(c.program);
		free(c.kind);
		free(c.want);
	}
	if (getenv("CORPUS_UPDATE"))
		assert_int_equal(file_replace(path, buf_str(&now), now.len), 0);
	buf_free(&now);
	buf_free(&text);
	return c.run;
}

static bool bpf_works(void)
{
	struct features *f = features_new();
	bool ok = feature_ok(f, FEATURE_BPF) && feature_ok(f, FEATURE_RINGBUF) &&
		  feature_ok(f, FEATURE_LIBBCC);

	features_free(f);
	return ok;
}

static void test_corpus(void **state)
{
	bool can_run = bpf_works();
	glob_t g;
	int n = 0;

	(void)state;
	assert_int_equal(glob("tests/corpus/*.test", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++)
		n += run_file(g.gl_pathv[i], can_run);
	globfree(&g);
	assert_true(n > 20);
	print_message("%d cases%s\n", n,
		      can_run ? "" : "; those that run in the kernel were skipped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "target/engine.h"
#include "util/buf.h"
#include "util/file.h"

static char *print_diag(const struct diag *d)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	diag_print(d, f, DIAG_STYLE_FIELD, false);
	fclose(f);
	return text;
}

/* Emits `text` without a layout. */
static char *emit(const char *text, int32_t sp_adjust, int value_reg)
{
	struct source src = {.name = "e", .text = text, .len = strlen(text)};
	struct diag *d = diag_new();
	struct expr *e = expr_parse(text, &src, (struct span){1, 1, 0, 0}, d);
	struct buf out = {0};

	assert_non_null(e);
	expr_emit(e, NULL, &(struct expr_place){sp_adjust, value_reg, NULL}, &out);
	expr_free(e);
	diag_free(d);
	return buf_take(&out);
}

static void check_emit(const char *text, int32_t sp_adjust, const char *want)
{
	char *got = emit(text, sp_adjust, -1);

	assert_string_equal(got, want);
	free(got);
}

static void test_expr_emit(void **state)
{
	char *got;

	(void)state;
	check_emit("arg1", 0, "ARG1");
	check_emit("s32[sp + 8]", 16, "RD_S32(((SP + 16) + 8ULL))");
	check_emit("arg1 + arg2 * 0x10 - 1", 0, "((ARG1 + (ARG2 * 16ULL)) - 1ULL)");
	check_emit("(u64[arg3+8] - u64[arg3]) / 112", 0,
		   "((RD_U64((ARG3 + 8ULL)) - RD_U64(ARG3)) / 112ULL)");
	check_emit("-1", 0, "(0ULL - 1ULL)");
	check_emit("ret", 0, "RET");
	got = emit("ret", 0, 13);
	assert_string_equal(got, "REG(13)");
	free(got);
}

static void check_expr_error(const char *text, const char *want)
{
	struct source src = {.name = "e", .text = text, .len = strlen(text)};
	struct diag *d = diag_new();

	assert_null(expr_parse(text, &src, (struct span){1, 1, 0, 0}, d));
	assert_int_equal(diag_count(d, DIAG_ERROR), 1);
	if (!strstr(diag_first_error(d), want))
		fail_msg("'%s' gives '%s', not '%s'", text, diag_first_error(d), want);
	diag_free(d);
}

static void test_expr_errors(void **state)
{
	char deep[201];

	(void)state;
	memset(deep, '(', 200);
	deep[200] = '\0';
	check_expr_error("", "ends too early");
	check_expr_error("arg7", "did you mean 'arg");
	check_expr_error("u64 arg1", "'['");
	check_expr_error("u64[arg1", "']'");
	check_expr_error("arg1 arg2", "operator or the end");
	check_expr_error("12abc", "no whole number");
	check_expr_error("99999999999999999999", "no whole number");
	check_expr_error("arg1 / 0", "divides by zero");
	check_expr_error("{tensor.nee}", "did you mean 'tensor.ne'");
	check_expr_error("{tensor.ne", "'}' is missing");
	check_expr_error(deep, "nested too deeply");
}

static void test_expr_uses(void **state)
{
	static const char text[] = "u64[arg3 + {batch_ext.tokens_end}] - sp * arg1";
	struct source src = {.name = "e", .text = text, .len = sizeof(text) - 1};
	struct diag *d = diag_new();
	struct expr *e = expr_parse(text, &src, (struct span){1, 1, 0, 0}, d);

	(void)state;
	assert_int_equal(expr_arg_mask(e), 5);
	assert_true(expr_uses_sp(e));
	assert_false(expr_uses_ret(e));
	assert_string_equal(expr_missing_field(e, NULL), "batch_ext.tokens_end");
	expr_free(e);
	diag_free(d);
}

static const char good[] = "engine: toy\n"
			   "files: [\"libtoy*.so*\", toy]\n"
			   "levels:\n"
			   "  token:\n"
			   "    - name: a\n"
			   "      requires: toy_init\n"
			   "      functions:\n"
			   "        - symbol: toy_decode\n"
			   "          kind: decode\n"
			   "          entry: token_begin\n"
			   "          args: {n_tokens: arg2, context: arg1}\n"
			   "          exit: token_end\n"
			   "          exit_args: {ret: ret}\n";

static void test_parse(void **state)
{
	struct diag *d = diag_new();
	struct engine *e = engine_parse("toy.yaml", good, sizeof(good) - 1, d);
	const struct engine_function *f;

	(void)state;
	assert_non_null(e);
	assert_string_equal(e->name, "toy");
	assert_true(engine_names_file(e, "libtoy-cpu.so.1"));
	assert_false(engine_names_file(e, "libtoys"));
	assert_int_equal(e->n_levels, 1);
	assert_string_equal(e->levels[0].alternatives[0].requires[0], "toy_init");
	f = &e->levels[0].alternatives[0].functions[0];
	assert_string_equal(f->kind, "decode");
	/* Arguments stand in the order of the event, not of the file. */
	assert_string_equal(f->entry.args[0].name, "context");
	assert_string_equal(f->entry.args[1].text[ELF_AARCH64], "arg2");
	assert_string_equal(f->exit.event->name, "token_end");
	engine_free(e);
	diag_free(d);
}

/* Replaces `from` by `to` in the good file and looks for `want` in what is printed. */
static void check_mistake(const char *from, const char *to, const char *want)
{
	const char *at = strstr(good, from);
	char *text = xasprintf("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	struct diag *d = diag_new();
	char *printed;

	assert_null(engine_parse("toy.yaml", text, strlen(text), d));
	printed = print_diag(d);
	if (!strstr(printed, want))
		fail_msg("wanted '%s' in:\n%s", want, printed);
	free(printed);
	diag_free(d);
	free(text);
}

static void test_mistakes(void **state)
{
	(void)state;
	check_mistake("engine:", "engin:",
		      "toy.yaml:1:1: error: an engine file has no key 'engin'; did you "
		      "mean 'engine'?");
	check_mistake("kind:", "kin:", "toy.yaml:9:11: error: a function has no key 'kin'");
	check_mistake("token_begin", "token_start", "toy.yaml:10:18: error: there is no event");
	check_mistake("arg2", "arg22", "toy.yaml:11:28: error: 'arg22' is no word");
	check_mistake("n_tokens:", "tokens:", "needs the argument 'n_tokens'");
	check_mistake("{ret: ret}", "{ret: arg1}", "gone at the exit");
	check_mistake("arg1}", "ret}", "only a function's exit has");
	check_mistake("exit: token_end", "exit: token_begin", "belongs at a function's entry");
	check_mistake("kind: decode", "kind: [a]", "toy.yaml:9:17: error: a text is expected");
	check_mistake("kind: decode", "symbol: x", "'symbol' stands twice");
	check_mistake("files: [", "files: {", "error: ");
	check_mistake("  token:", "  tokens:", "did you mean 'token'?");
	check_mistake("engine: toy", "engine: \"\"", "must not be empty");
}

static void test_empty(void **state)
{
	struct diag *d = diag_new();

	(void)state;
	assert_null(engine_parse("x", "", 0, d));
	assert_null(engine_parse("x", "- a\n", 4, d));
	assert_int_equal(diag_count(d, DIAG_ERROR), 2);
	diag_free(d);
}

static void test_shipped_and_user(void **state)
{
	static const char *const names[] = {"llama", "ggml-cpu", "ggml-backend"};
	char dir[] = "/tmp/llmprobe-test-XXXXXX";
	struct diag *d = diag_new();
	struct engine_set *s;
	char *path, *text, *text_of_errors;

	(void)state;
	assert_non_null(mkdtemp(dir));
	s = engine_set_load(dir, d);
	if (!s)
		fail_msg("%s", diag_first_error(d));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_non_null(engine_by_name(s, names[i]));
	engine_set_free(s);

	path = xasprintf("%s/mine.yaml", dir);
	text = xasprintf("engine: llama%s", good + strlen("engine: toy"));
	assert_int_equal(file_replace(path, text, strlen(text)), 0);
	s = engine_set_load(dir, d);
	assert_non_null(s);
	assert_string_equal(engine_by_name(s, "llama")->source, path);
	engine_set_free(s);

	assert_int_equal(file_replace(path, "engine: [", 9), 0);
	assert_null(engine_set_load(dir, d));
	text_of_errors = print_diag(d);
	assert_non_null(strstr(text_of_errors, "mine.yaml:"));
	free(text_of_errors);
	unlink(path);
	rmdir(dir);
	free(text);
	free(path);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expr_emit),	 cmocka_unit_test(test_expr_errors),
		cmocka_unit_test(test_expr_uses),	 cmocka_unit_test(test_parse),
		cmocka_unit_test(test_mistakes),	 cmocka_unit_test(test_empty),
		cmocka_unit_test(test_shipped_and_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

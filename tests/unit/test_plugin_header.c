/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "plugin/header.h"

static int parse(const char *text, struct plugin_header *h, struct diag *d)
{
	struct source src = {"p.c", text, strlen(text)};

	return plugin_header_parse(&src, h, d);
}

static void test_lines_become_probes(void **state)
{
	static const char text[] =
		"// llmprobe: about counts calls\n"
		"/*\n"
		" * llmprobe: uprobe libggml-cpu*.so:ggml_barrier+0x10 -> on_barrier\n"
		" * llmprobe: uretprobe llama_context::decode -> on_decoded\n"
		" */\n"
		"// llmprobe: engine op:begin(tensor, name) -> on_op\n"
		"// llmprobe: tracepoint sched:sched_switch -> on_switch\n"
		"// llmprobe: profile 99 -> on_tick\n"
		"// llmprobe: table lat log2 usecs\n"
		"// llmprobe: every 1s\n"
		"char *s = \"// llmprobe: nonsense\";\n";
	struct diag *d = diag_new();
	struct plugin_header h;

	(void)state;
	assert_int_equal(parse(text, &h, d), 0);
	assert_string_equal(h.about, "counts calls");
	assert_int_equal(h.n_probes, 5);
	assert_int_equal(h.probes[0].kind, PLUGIN_UPROBE);
	assert_string_equal(h.probes[0].file, "libggml-cpu*.so");
	assert_string_equal(h.probes[0].symbol, "ggml_barrier");
	assert_int_equal(h.probes[0].offset, 16);
	assert_string_equal(h.probes[0].function, "on_barrier");
	assert_int_equal(h.probes[0].at.line, 3);
	assert_int_equal(h.probes[0].at.col, 14);
	assert_null(h.probes[1].file);
	assert_string_equal(h.probes[1].symbol, "llama_context::decode");
	assert_int_equal(h.probes[2].n_args, 2);
	assert_string_equal(h.probes[2].args[1], "name");
	assert_string_equal(h.probes[3].symbol, "sched:sched_switch");
	assert_int_equal(h.probes[4].hz, 99);
	assert_int_equal(plugin_header_table(&h, "lat")->form, PLUGIN_TABLE_LOG2);
	assert_string_equal(plugin_header_table(&h, "lat")->unit, "usecs");
	assert_null(plugin_header_table(&h, "other"));
	assert_int_equal(h.every_ns, 1000000000);
	plugin_header_free(&h);
	diag_free(d);
}

static void test_mistakes_are_shown_at_their_place(void **state)
{
	static const struct {
		const char *line, *says;
	} wrong[] = {
		{"// llmprobe: uprob x -> f", "did you mean 'uprobe'?"},
		{"// llmprobe: uprobe libx.so:f", "'-> FUNCTION' is expected"},
		{"// llmprobe: uprobe libx.so:f -> 1x", "a function of the plugin"},
		{"// llmprobe: uprobe libx.so:f -> g h", "nothing more"},
		{"// llmprobe: uprobe libx.so: -> g", "a function is expected here"},
		{"// llmprobe: uprobe f+1x -> g", "not an offset"},
		{"// llmprobe: uretprobe f+4 -> g", "has no offset"},
		{"// llmprobe: engine begin -> g", "like op:begin"},
		{"// llmprobe: engine op:begin(a -> g", "',' or ')'"},
		{"// llmprobe: engine op:begin(a,b,c,d,e,f,g) -> g", "at most 6"},
		{"// llmprobe: tracepoint a -> g", "a tracepoint is expected"},
		{"// llmprobe: profile 0 -> g", "a rate"},
		{"// llmprobe: table t log3", "did you mean 'log2'?"},
		{"// llmprobe: every 1ms", "at least 10ms"},
		{"// llmprobe:", "is no word"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct diag *d = diag_new();
		struct plugin_header h;

		if (parse(wrong[i].line, &h, d) == 0)
			fail_msg("accepted: %s", wrong[i].line);
		if (!strstr(diag_first_error(d), wrong[i].says))
			fail_msg("'%s' does not say '%s'", diag_first_error(d), wrong[i].says);
		plugin_header_free(&h);
		diag_free(d);
	}
}

static void test_function_names_are_probes(void **state)
{
	struct plugin_header h = {0};

	(void)state;
	assert_true(plugin_header_add_function(&h, "tracepoint__exceptions__page_fault_user"));
	assert_true(plugin_header_add_function(&h, "raw_tracepoint__sched_switch"));
	assert_true(plugin_header_add_function(&h, "uprobe__ggml_barrier"));
	assert_true(plugin_header_add_function(&h, "engine__op__begin"));
	assert_false(plugin_header_add_function(&h, "helper"));
	assert_false(plugin_header_add_function(&h, "tracepoint__half"));
	assert_int_equal(h.n_probes, 4);
	assert_string_equal(h.probes[0].symbol, "exceptions:page_fault_user");
	assert_int_equal(h.probes[2].kind, PLUGIN_UPROBE);
	assert_string_equal(h.probes[2].symbol, "ggml_barrier");
	assert_string_equal(h.probes[3].symbol, "op:begin");
	plugin_header_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_become_probes),
		cmocka_unit_test(test_mistakes_are_shown_at_their_place),
		cmocka_unit_test(test_function_names_are_probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

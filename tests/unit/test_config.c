/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/options.h"
#include "util/file.h"

/* A config and the messages about it, both made anew by each test. */
struct fixture {
	struct config *c;
	struct diag *d;
	char *messages;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->c = config_new();
	f->d = diag_new();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	config_free(f->c);
	diag_free(f->d);
	free(f->messages);
	free(f);
	return 0;
}

static const char *messages(struct fixture *f)
{
	size_t len;
	FILE *out;

	free(f->messages);
	out = open_memstream(&f->messages, &len);
	diag_print(f->d, out, DIAG_STYLE_FIELD, false);
	fclose(out);
	return f->messages;
}

static int load(struct fixture *f, const char *text)
{
	int err = config_load_text(f->c, "c.yaml", text, strlen(text), f->d);

	return err ? err : config_check(f->c, COMMAND_REPL, f->d);
}

static int parse(struct fixture *f, enum command_id command, const char *const *argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return config_parse_args(f->c, command, 0, argc, (char *const *)argv, f->d);
}
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
	struct fixture *f = *state;

	assert_true(f->c->level[LEVEL_TOKEN] && f->c->level[LEVEL_GRAPH]);
	assert_false(f->c->level[LEVEL_OPERATOR]);
	assert_true(f->c->tensor_dimensions && f->c->timestamps);
	assert_int_equal(f->c->buffer.type, CONFIG_BUFFER_RING);
	assert_int_equal(f->c->buffer.size, 4 << 20);
	assert_int_equal(f->c->drain_interval_ns, 100000000);
	assert_string_equal(f->c->target.engine, "auto");
	assert_int_equal(f->c->operators.barrier_every, 1);
	assert_int_equal(f->c->operators.include.count, 1);
	assert_true(f->c->overhead_cap == 0);
}

static void test_every_default_is_parsed_and_printed_back(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < option_count(); i++) {
		const struct option *o = &option_table[i];
		struct buf now = {0}, why = {0};

		assert_true(o->flag || o->letter || o->key);
		assert_true(o->flags & OPTION_ALIAS || o->help[strlen(o->help) - 1] == '.');
		if (!o->def)
			continue;
		assert_int_equal(option_parse(o, f->c, o->def, &why), 0);
		option_print(o, f->c, &now);
		assert_string_equal(buf_str(&now), o->def);
		buf_free(&now);
		buf_free(&why);
	}
}

static void test_a_whole_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f,
			      "target: {command: [llama-bench, -m, 'a b.gguf']}\n"
			      "levels: {token: true, graph: no, operator: on, scheduler: true}\n"
			      "operators: {include: ['MUL_*', ROPE], mode: summary, barrier: 8}\n"
			      "trace_tensor_dimensions: false\n"
			      "trace_pmc: [cycles, instructions]\n"
			      "buffer: {type: perf, size: 1MiB}\n"
			      "overhead: {cap: 2.5%}\n"
			      "drain_interval: 5ms\n"
			      "output: run.llmp\n"),
			 0);
	assert_string_equal(f->c->target.command.items[2], "a b.gguf");
	assert_null(f->c->target.command.items[3]);
	assert_false(f->c->level[LEVEL_GRAPH]);
	assert_true(f->c->level[LEVEL_SCHEDULER] && f->c->level[LEVEL_COUNTERS]);
	assert_int_equal(f->c->operators.include.count, 2);
	assert_int_equal(f->c->operators.mode, CONFIG_OPS_SUMMARY);
	assert_int_equal(f->c->operators.barrier_every, 8);
	assert_false(f->c->tensor_dimensions);
	assert_string_equal(f->c->pmc_names.items[1], "instructions");
	assert_int_equal(f->c->buffer.type, CONFIG_BUFFER_PERF);
	assert_int_equal(f->c->buffer.size, 1 << 20);
	assert_true(f->c->overhead_cap == 2.5);
	assert_int_equal(f->c->drain_interval_ns, 5000000);
}

static void test_flat_keys_of_the_original_design(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "trace_tensor_dimensions: false\n"
				 "trace_timestamps: true\n"
				 "trace_pmc: true\n"
				 "buffer_type: perf\n"
				 "buffer_size: 65536\n"),
			 0);
	assert_false(f->c->tensor_dimensions);
	assert_true(f->c->timestamps && f->c->level[LEVEL_COUNTERS]);
	assert_int_equal(f->c->pmc_names.count, 0);
	assert_int_equal(f->c->buffer.type, CONFIG_BUFFER_PERF);
	assert_int_equal(f->c->buffer.size, 65536);
	assert_int_equal(load(f, "buffer: ring\nbuffer.size: 8KiB\n"), 0);
	assert_int_equal(f->c->buffer.type, CONFIG_BUFFER_RING);
	assert_int_equal(f->c->buffer.size, 8192);
}

static void test_empty_files_and_groups(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, ""), 0);
	assert_int_equal(load(f, "# nothing\n"), 0);
	assert_int_equal(load(f, "target:\nlevels:\n#  token: true\n"), 0);
	assert_int_equal(load(f, "output:\n"), -22);
	assert_string_equal(messages(f), "c.yaml:1:8: error: output: no value where a path is "
					 "expected\noutput:\n       ^\n");
}

/* Each error with its line, column and marker, and all of one file together. */
static void test_errors_of_a_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "levls: {token: true}\n"
				 "levels:\n"
				 "  tokn: true\n"
				 "  graph: \"true\"\n"
				 "buffer: {type: rong, size: 15MiB}\n"
				 "trace_timestamps: nope\n"
				 "overhead: {cap: 2}\n"
				 "operators:\n"
				 "  mode: [events]\n"
				 "output: a\n"
				 "output: b\n"
				 "size: 1MiB\n"),
			 -22);
	assert_string_equal(
		messages(f),
		"c.yaml:1:1: error: unknown key 'levls'; did you mean 'levels'?\n"
		"levls: {token: true}\n"
		"^~~~~\n"
		"c.yaml:3:3: error: unknown key 'tokn' below 'levels'; did you mean 'token'?\n"
		"  tokn: true\n"
		"  ^~~~\n"
		"c.yaml:4:10: error: levels.graph: text in quotes where true or false is expected\n"
		"  graph: \"true\"\n"
		"         ^~~~~~\n"
		"c.yaml:5:16: error: buffer.type: 'rong' is neither ring nor perf; "
		"did you mean 'ring'?\n"
		"buffer: {type: rong, size: 15MiB}\n"
		"               ^~~~\n"
		"c.yaml:5:28: error: buffer.size: '15MiB' is no power of two; "
		"next to it are 8MiB and 16MiB\n"
		"buffer: {type: rong, size: 15MiB}\n"
		"                           ^~~~~\n"
		"c.yaml:6:19: error: trace_timestamps: 'nope' is neither true nor false\n"
		"trace_timestamps: nope\n"
		"                  ^~~~\n"
		"c.yaml:7:17: error: overhead.cap: '2' is not a percentage; write it like 2%, "
		"or off\n"
		"overhead: {cap: 2}\n"
		"                ^\n"
		"c.yaml:9:9: error: operators.mode: a list where events or summary is expected\n"
		"  mode: [events]\n"
		"        ^~~~~~~~\n"
		"c.yaml:11:1: error: duplicate key 'output': line 10 sets output already\n"
		"output: b\n"
		"^~~~~~\n"
		"c.yaml:12:1: error: unknown key 'size'; did you mean 'buffer.size'?\n"
		"size: 1MiB\n"
		"^~~~\n");
}

static void assert_refused(struct fixture *f, const char *text, const char *first_line)
{
	size_t len = strlen(first_line);

	diag_clear(f->d);
	assert_int_equal(load(f, text), -22);
	if (strncmp(messages(f), first_line, len) != 0)
		fail_msg("got:  %swanted: %s", f->messages, first_line);
}

static void test_refused_values(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, "a: [", "c.yaml:2:1: error: bad YAML: ");
	assert_refused(f, "levels:\n\ttoken: true\n", "c.yaml:2:1: error: bad YAML: a tab");
	assert_refused(f, "output: \xff\n", "c.yaml:1:9: error: bad YAML: ");
	assert_refused(f, "- a\n- b\n", "c.yaml:1:1: error: a list where keys and values");
	assert_refused(f, "hello", "c.yaml:1:1: error: a word where keys and values");
	assert_refused(f, "output: a\n---\noutput: b\n", "c.yaml:3:1: error: a second document");
	assert_refused(f, "target: 12\n", "c.yaml:1:9: error: target: a word where keys below");
	assert_refused(f, "target: {pid: 0}\n",
		       "c.yaml:1:15: error: target.pid: '0' is out of range: 1 to 4194304");
	assert_refused(f, "target: {pid: 99999999999999999999}\n",
		       "c.yaml:1:15: error: target.pid: '99999999999999999999' is out of range");
	assert_refused(f, "buffer: {size: 1TiB}\n",
		       "c.yaml:1:16: error: buffer.size: '1TiB' is not");
	assert_refused(f, "buffer: {size: 2GiB}\n",
		       "c.yaml:1:16: error: buffer.size: '2GiB' is out of range: 4KiB to 1GiB");
	assert_refused(f, "drain_interval: 1h\n",
		       "c.yaml:1:17: error: drain_interval: '1h' is out of range: 1ms to 10s");
	assert_refused(f, "overhead: {cap: 200%}\n",
		       "c.yaml:1:17: error: overhead.cap: '200%' is out of range: 0.01% to 100%");
	assert_refused(f, "operators: {barrier: seldom}\n",
		       "c.yaml:1:22: error: operators.barrier: 'seldom' is neither always");
	assert_refused(f, "levels: [token, grap]\n",
		       "c.yaml:1:9: error: levels: 'grap' is not a level; did you mean 'graph'?");
	assert_refused(f, "trace_pmc: [cycles, [a]]\n",
		       "c.yaml:1:21: error: trace_pmc: an item of the list must be a word");
	assert_refused(
		f, "trace_pmc: {a: b}\n",
		"c.yaml:1:12: error: trace_pmc: a group of keys where true, false or a list");
	assert_refused(f, "output: \"a\\0b\"\n",
		       "c.yaml:1:9: error: output: the value holds a NUL");
	assert_refused(f, "? [a]\n: b\n", "c.yaml:1:3: error: a key must be a word, found a list");
	assert_refused(f, "buffer: perf\nbuffer_type: ring\n",
		       "c.yaml:2:1: error: duplicate key 'buffer_type'");
}

static void test_cyclic_anchors_end(void **state)
{
	struct fixture *f = *state;

	diag_clear(f->d);
	assert_int_equal(load(f, "target: &a {target: *a}\n"), -22);
	assert_int_equal(load(f, "&a levels: &b {token: true, *a : *b}\n"), -22);
}

static void test_many_errors_are_cut(void **state)
{
	struct fixture *f = *state;
	struct buf text = {0};

	for (int i = 0; i < 100; i++)
		buf_printf(&text, "nothing%d: x\n", i);
	assert_int_equal(load(f, buf_str(&text)), -22);
	assert_int_equal(diag_count(f->d, DIAG_ERROR), 20);
	assert_non_null(strstr(messages(f), "80 more errors are not shown"));
	buf_free(&text);
}

static void test_conflicts_name_both(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, "target:\n  pid: 7\n  command: [a]\n",
		       "c.yaml:3:12: error: target.command and target.pid (line 2) exclude each "
		       "other: name one target\n");
	config_free(f->c);
	f->c = config_new();
	assert_refused(
		f, "trace_timestamps: false\nlevels: {scheduler: true}\n",
		"c.yaml:1:19: error: trace_timestamps and levels.scheduler (line 2) exclude");
	config_free(f->c);
	f->c = config_new();
	assert_refused(f, "trace_pmc: false\nlevels: {counters: true}\n",
		       "c.yaml:1:12: error: trace_pmc and levels.counters (line 2) exclude");
	config_free(f->c);
	f->c = config_new();
	diag_clear(f->d);
	assert_int_equal(parse(f, COMMAND_RECORD, ARGS("-p", "7", "--", "a")), -22);
	assert_string_equal(messages(f), "llmprobe: error: -- CMD and --pid exclude each other: "
					 "name one target\n");
}

static void test_no_timestamps_means_sums(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "trace_timestamps: false\nlevels: {operator: true}\n"), 0);
	assert_int_equal(f->c->operators.mode, CONFIG_OPS_SUMMARY);
	assert_false(f->c->level[LEVEL_SCHEDULER]);
	assert_true(f->c->level[LEVEL_TOKEN] && f->c->level[LEVEL_OPERATOR]);
}

static void test_command_line(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, COMMAND_RECORD,
			       ARGS("-o", "x.llmp", "--buffer-size=64KiB", "--no-dimensions",
				    "-vd5s", "--include-op", "MUL_*,ADD", "--include-op=ROPE",
				    "--plugin", "a,b.c", "--", "prog", "-p", "--output")),
			 0);
	assert_string_equal(f->c->output, "x.llmp");
	assert_int_equal(f->c->buffer.size, 65536);
	assert_false(f->c->tensor_dimensions);
	assert_true(f->c->verbose);
	assert_int_equal(f->c->duration_ns, 5000000000);
	assert_int_equal(f->c->operators.include.count, 3);
	assert_string_equal(f->c->plugins.items[0], "a,b.c");
	assert_int_equal(f->c->target.command.count, 3);
	assert_string_equal(f->c->target.command.items[2], "--output");
	/* No level was named: a recording takes all but the counters. */
	assert_true(f->c->level[LEVEL_OPERATOR] && f->c->level[LEVEL_SCHEDULER]);
	assert_false(f->c->level[LEVEL_COUNTERS]);
}

static void test_command_line_levels(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, COMMAND_RECORD, ARGS("--levels", "token", "--pmc=cycles")), 0);
	assert_true(f->c->level[LEVEL_TOKEN] && f->c->level[LEVEL_COUNTERS]);
	assert_false(f->c->level[LEVEL_GRAPH] || f->c->level[LEVEL_SCHEDULER]);
}

static void test_command_line_errors(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, COMMAND_RECORD,
			       ARGS("--ouput", "x", "-p", "12abc", "-Z", "--force=maybe", "-o")),
			 -22);
	assert_string_equal(messages(f),
			    "llmprobe: error: unknown option '--ouput'; did you mean '--output'?\n"
			    "llmprobe: error: unknown option '-Z'; --help lists the options\n"
			    "llmprobe: error: -o needs a value: -o FILE\n"
			    "llmprobe: error: -p: '12abc' is not a whole number\n"
			    "llmprobe: error: --force: 'maybe' is neither true nor false\n");
}

static void test_help_wins_over_errors(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, COMMAND_RECORD, ARGS("--nonsense", "--help")), 0);
	assert_true(f->c->help);
	assert_int_equal(diag_count(f->d, DIAG_ERROR), 0);
}

static char *write_temporary(const char *text)
{
	char *path = strdup("/tmp/llmprobe-config-XXXXXX.yaml");
	int fd = mkstemps(path, 5);
	FILE *out = fdopen(fd, "w");

	fputs(text, out);
	fclose(out);
	return path;
}

static void test_command_line_wins_over_file(void **state)
{
	struct fixture *f = *state;
	char *path = write_temporary("target: {pid: 7}\noutput: a\nbuffer: {size: 1MiB}\n"
				     "operators: {include: [A]}\n");

	assert_int_equal(parse(f, COMMAND_RECORD,
			       ARGS("-o", "b", "-c", path, "--include-op", "B", "--", "cmd")),
			 0);
	assert_string_equal(f->c->output, "b");
	assert_int_equal(f->c->buffer.size, 1 << 20);
	assert_int_equal(f->c->target.pid, 0);
	assert_string_equal(f->c->target.command.items[0], "cmd");
	assert_int_equal(f->c->operators.include.count, 1);
	assert_string_equal(f->c->operators.include.items[0], "B");
	assert_string_equal(f->c->config_file, path);
	unlink(path);
	free(path);
}

static void test_missing_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, COMMAND_REPL, ARGS("-c", "/nowhere/x.yaml")), -22);
	assert_string_equal(messages(f), "llmprobe: error: cannot read the configuration "
					 "/nowhere/x.yaml: No such file or directory\n");
}

static void test_script_short_form(void **state)
{
	struct fixture *f = *state;
	char *path = write_temporary("output: from-file\n");
	const char *argv[] = {"-c", path, "-e", "BEGIN {}", "-c", "sleep 1", "one", "-lv"};

	assert_int_equal(config_parse_args(f->c, COMMAND_SCRIPT, CONFIG_ARGS_SHORT_SCRIPT, 8,
					   (char *const *)argv, f->d),
			 0);
	assert_string_equal(f->c->output, "from-file");
	assert_string_equal(f->c->script.command, "sleep 1");
	assert_string_equal(f->c->script.program, "BEGIN {}");
	assert_string_equal(f->c->args.items[0], "one");
	assert_true(f->c->script.list && f->c->verbose);
	unlink(path);
	free(path);
}

static void test_set(void **state)
{
	struct fixture *f = *state;
	enum config_effect effect;

	assert_int_equal(config_set(f->c, "output", "a.llmp", &effect, f->d), 0);
	assert_int_equal(effect, CONFIG_AT_START);
	assert_string_equal(f->c->output, "a.llmp");
	assert_int_equal(config_set(f->c, "operators.barrier", "3", &effect, f->d), 0);
	assert_int_equal(effect, CONFIG_AT_ONCE);
	assert_int_equal(config_set(f->c, "levels", "graph,operator", &effect, f->d), 0);
	assert_true(f->c->level[LEVEL_OPERATOR] && !f->c->level[LEVEL_TOKEN]);
	assert_int_equal(config_set(f->c, "operators.mode", "summary", &effect, f->d), 0);
	assert_int_equal(effect, CONFIG_AT_ONCE);
	assert_int_equal(config_set(f->c, "target.pid", "3", &effect, f->d), -1);
	assert_int_equal(config_set(f->c, "bufer.size", "3", &effect, f->d), -2);
	assert_int_equal(config_set(f->c, "operators.barrier", "x", &effect, f->d), -22);
	assert_int_equal(f->c->operators.barrier_every, 3);
	assert_string_equal(
		messages(f),
		"llmprobe: error: target.pid cannot change while llmprobe runs; put it "
		"into the configuration or on the command line\n"
		"llmprobe: error: there is no key 'bufer.size'; did you mean "
		"'buffer.size'?\n"
		"llmprobe: error: operators.barrier: 'x' is neither always, never nor a "
		"number of decodes\n");
}

/* What config_write writes loads to the same values. */
static void test_written_config_loads(void **state)
{
	struct fixture *f = *state;
	struct config *again = config_new();
	struct buf text = {0}, text_again = {0};

	assert_int_equal(load(f, "target: {command: [a, 'b c', \"d\\\"\\n\"]}\n"
				 "levels: {graph: false, operator: true}\n"
				 "operators: {exclude: ['x,y'], barrier: never}\n"
				 "trace_pmc: [r01c2, 'a:b']\nbuffer: {type: perf, size: 4KiB}\n"
				 "overhead: {cap: 0.5%}\nduration: 1500ms\noutput: 'a # b'\n"),
			 0);
	config_write(f->c, &text);
	assert_int_equal(config_load_text(again, "again", buf_str(&text), text.len, f->d), 0);
	assert_int_equal(config_check(again, COMMAND_REPL, f->d), 0);
	config_write(again, &text_again);
	assert_string_equal(buf_str(&text), buf_str(&text_again));
	assert_string_equal(again->target.command.items[2], "d\"\n");
	assert_string_equal(again->operators.exclude.items[0], "x,y");
	assert_string_equal(again->output, "a # b");
	assert_non_null(strstr(buf_str(&text), "duration: 1500ms\n"));
	buf_free(&text);
	buf_free(&text_again);
	config_free(again);
}

/* yaml/llmprobe.yaml says the defaults, and forgets no key. */
static void test_the_commented_configuration(void **state)
{
	struct fixture *f = *state;
	struct buf written = {0};
	char *text = data_file_read("yaml/llmprobe.yaml");

	assert_non_null(text);
	assert_int_equal(load(f, text), 0);
	config_write(f->c, &written);
	assert_string_equal(buf_str(&written), "");
	for (size_t i = 0; i < option_count(); i++) {
		const char *key = option_table[i].key;
		const char *dot = key ? strrchr(key, '.') : NULL;
		char *line;

		if (!key || (option_table[i].flags & OPTION_ALIAS))
			continue;
		line = xasprintf("%s:", dot ? dot + 1 : key);
		if (!strstr(text, line))
			fail_msg("%s is not in yaml/llmprobe.yaml", key);
		free(line);
	}
	buf_free(&written);
	free(text);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_defaults),
		T(test_every_default_is_parsed_and_printed_back),
		T(test_a_whole_file),
		T(test_flat_keys_of_the_original_design),
		T(test_empty_files_and_groups),
		T(test_errors_of_a_file),
		T(test_refused_values),
		T(test_cyclic_anchors_end),
		T(test_many_errors_are_cut),
		T(test_conflicts_name_both),
		T(test_no_timestamps_means_sums),
		T(test_command_line),
		T(test_command_line_levels),
		T(test_command_line_errors),
		T(test_help_wins_over_errors),
		T(test_command_line_wins_over_file),
		T(test_missing_file),
		T(test_script_short_form),
		T(test_set),
		T(test_written_config_loads),
		T(test_the_commented_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

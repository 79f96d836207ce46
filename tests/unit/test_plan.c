/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "target/plan.h"
#include "util/file.h"
#include "view/doctor.h"

static struct engine_set *engines;
static struct diag *d;

static int load_engines(void **state)
{
	(void)state;
	d = diag_new();
	engines = engine_set_load("/nonexistent", d);
	return engines ? 0 : -1;
}

static int free_engines(void **state)
{
	(void)state;
	engine_set_free(engines);
	diag_free(d);
	return 0;
}

/* The made engine is built beside the tests. */
static char *made(const char *name)
{
	char *exe = process_exe(getpid());
	char *path = xasprintf("%.*s/fake/%s", (int)(strrchr(exe, '/') - exe), exe, name);

	free(exe);
	return path;
}

static struct plan *plan_of(const char *path, const struct plan_opts *o)
{
	struct plan *p = plan_build_files(&path, 1, o, d);

	if (!p)
		fail_msg("%s", diag_first_error(d));
	return p;
}

static struct plan *plan_of_made(uint32_t levels)
{
	char *path = made("libllama.so");
	struct plan *p = plan_of(path, &(struct plan_opts){.engines = engines, .levels = levels});

	free(path);
	return p;
}

static const struct plan_point *find_point(const struct plan *p, const char *event,
					   const char *symbol)
{
	const struct plan_point *pt;

	for (size_t i = 0; (pt = plan_point(p, i)); i++)
		if (!strcmp(pt->event, event) && !strcmp(pt->symbol, symbol))
			return pt;
	fail_msg("no %s at %s", event, symbol);
	return NULL;
}

static const struct plan_site *site_of(const struct plan *p, const struct plan_point *pt)
{
	const struct plan_site *s;

	for (size_t i = 0; (s = plan_site(p, i)); i++)
		if (s->point == pt->id)
			return s;
	fail_msg("point %d has no site", pt->id);
	return NULL;
}

static void test_made_engine(void **state)
{
	struct plan *p = plan_of_made(0);
	const struct plan_point *op, *decode, *encode;
	const struct plan_site *s;

	(void)state;
	for (int l = LEVEL_TOKEN; l <= LEVEL_OPERATOR; l++) {
		assert_true(plan_has_level(p, (enum rec_level)l));
		assert_string_equal(plan_level_reason(p, (enum rec_level)l), "");
	}
	for (size_t i = 0; i < plan_mark(p).points; i++)
		assert_int_equal(plan_point(p, i)->id, i);
	op = find_point(p, "op_begin", "ggml_cpu_extra_compute_forward");
	assert_int_equal(op->level, LEVEL_OPERATOR);
	assert_string_equal(op->backend, "CPU");
	assert_string_equal(op->args[1].name, "tensor");
	assert_string_equal(op->args[1].expr, "ARG2");
	assert_true(op->layout >= 0 && plan_layout(p, (size_t)op->layout));
	find_point(p, "op_barrier", "ggml_barrier");
	/* One program text serves both, and another event has another. */
	decode = find_point(p, "token_begin", "llama_decode");
	encode = find_point(p, "token_begin", "llama_encode");
	assert_true(decode->variant == encode->variant);
	assert_true(decode->variant != op->variant);
	assert_string_equal(decode->kind, "decode");
	s = site_of(p, op);
	assert_true(s->offset > 0 && s->cost_ns > 0 && !s->is_return);
	assert_true(site_of(p, find_point(p, "graph_end", "ggml_graph_compute"))->is_return);
	plan_free(p);
}

/* The loop over nodes of today's ggml, as this compiler made it: a point where nodes end, at a jump
 * that has the next one's index in a register, and one where a worker begins. */
static void test_node_ends(void **state)
{
	char *path = made("../fake_loop/libllama.so");
	struct plan *p = plan_of(path, &(struct plan_opts){.engines = engines});
	const struct plan_point *pt;
	size_t n = 0, jumps = 0, entries = 0, sites = 0;

	(void)state;
	for (size_t i = 0; (pt = plan_point(p, i)); i++) {
		if (strcmp(pt->event, "op_node") != 0)
			continue;
		n++;
		for (size_t k = 0; plan_site(p, k); k++)
			sites += plan_site(p, k)->point == i;
		jumps += !strncmp(pt->args[2].expr, "(REG(", 5) &&
			 strstr(site_of(p, pt)->how, "the jump");
		entries += !strcmp(pt->args[2].expr, "NODE_ENTRY");
		assert_true(site_of(p, pt)->class <= INSN_PUSH);
	}
#ifdef __x86_64__
	assert_int_equal(n, 2);
	assert_int_equal(sites, 2);
	assert_int_equal(jumps, 1);
	assert_int_equal(entries, 1);
#endif
	find_point(p, "op_begin", "ggml_cpu_extra_compute_forward");
	plan_free(p);
	/* Without the test of the flag it is the loop of an earlier version. */
	p = plan_of_made(1u << LEVEL_OPERATOR);
	for (size_t i = 0; (pt = plan_point(p, i)); i++)
		assert_string_not_equal(pt->event, "op_node");
	plan_free(p);
	free(path);
}

static void test_levels_and_engine(void **state)
{
	struct plan *p = plan_of_made(1u << LEVEL_TOKEN);
	char *path = made("libllama.so");

	(void)state;
	assert_true(plan_has_level(p, LEVEL_TOKEN));
	assert_false(plan_has_level(p, LEVEL_GRAPH));
	plan_free(p);
	p = plan_of(path, &(struct plan_opts){.engines = engines, .engine = "ggml-cpu"});
	assert_false(plan_has_level(p, LEVEL_TOKEN));
	assert_true(plan_has_level(p, LEVEL_OPERATOR));
	plan_free(p);
	free(path);
}

static void test_reasons(void **state)
{
	static const char text[] =
		"engine: toy\nfiles: [true]\nlevels:\n  token:\n"
		"    - name: calls\n      functions:\n"
		"        - {symbol: toy_decode, entry: call_begin}\n"
		"    - name: later\n      requires: [toy_init]\n      functions:\n"
		"        - {symbol: toy_run, entry: call_begin}\n";
	char dir[] = "/tmp/llmprobe-test-XXXXXX", *file;
	struct engine_set *set;
	struct plan *p = plan_of("/bin/true", &(struct plan_opts){.engines = engines});
	const char *why;

	(void)state;
	assert_int_equal(plan_mark(p).points, 0);
	assert_non_null(strstr(plan_level_reason(p, LEVEL_OPERATOR), "libggml"));
	plan_free(p);
	assert_non_null(mkdtemp(dir));
	file = xasprintf("%s/toy.yaml", dir);
	assert_int_equal(file_replace(file, text, sizeof(text) - 1), 0);
	set = engine_set_load(dir, d);
	assert_non_null(set);
	p = plan_of("/bin/true", &(struct plan_opts){.engines = set});
	why = plan_level_reason(p, LEVEL_TOKEN);
	assert_non_null(strstr(why, "calls: toy_decode was not found"));
	assert_non_null(strstr(why, "later: no file defines toy_init"));
	plan_free(p);
	engine_set_free(set);
	unlink(file);
	rmdir(dir);
	free(file);
}

static void test_bad_files(void **state)
{
	static const char *const paths[] = {"/no/such/file", "/tmp", "/etc/passwd"};
	struct plan_opts o = {.engines = engines};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		diag_clear(d);
		assert_null(plan_build_files(&paths[i], 1, &o, d));
		assert_int_equal(diag_count(d, DIAG_ERROR), 1);
	}
	/* This process has no engine; the reason says what was looked for. */
	diag_clear(d);
	assert_null(plan_build(getpid(), &o, d));
	assert_non_null(strstr(diag_first_error(d), "no probe point of a known engine"));
	diag_clear(d);
	assert_null(plan_build(1 << 30, &o, d));
	diag_clear(d);
}

/* A running process gives the same points, and a second look nothing new. */
/* What is linked statically and stripped is known by a message, whatever it is called. */
static void test_stripped_program(void **state)
{
	static const char program[] =
		"#include <stdio.h>\n"
		"__attribute__((noinline)) int compute(int n)\n"
		"{ if (n > 9) puts(\"made: nothing to compute\"); return n * 2; }\n"
		"int main(int n, char **v) { return compute(n) + !v; }\n";
	static const char engine[] =
		"engine: made-static\n"
		"strings: [\"made: nothing to compute\"]\n"
		"levels: {graph: [{name: a, functions: [{string: \"made: nothing to compute\",\n"
		"  nothrow: true, entry: call_begin, args: {n: arg1}, exit: call_end,\n"
		"  exit_args: {ret: ret}}]}]}\n";
	char dir[] = "/tmp/llmprobe-plan-XXXXXX", *path, *command;
	struct engine_set *own;
	struct plan *p;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/made.yaml", dir);
	assert_int_equal(file_replace(path, engine, strlen(engine)), 0);
	free(path);
	path = xasprintf("%s/p.c", dir);
	assert_int_equal(file_replace(path, program, strlen(program)), 0);
	free(path);
	command = xasprintf("cd %s && cc -O2 -static -s -o p p.c", dir);
	assert_int_equal(system(command), 0);
	free(command);
	own = engine_set_load(dir, d);
	assert_non_null(own);
	path = xasprintf("%s/p", dir);
	p = plan_of(path, &(struct plan_opts){.engines = own});
	assert_int_equal(plan_mark(p).points, 2);
	assert_string_equal(plan_point(p, 0)->event, "call_begin");
	assert_non_null(strstr(plan_site(p, 0)->how, "string constant"));
	plan_free(p);
	engine_set_free(own);
	free(path);
	command = xasprintf("rm -r %s", dir);
	assert_int_equal(system(command), 0);
	free(command);
}

static void test_process(void **state)
{
	char *exe = made("fake_engine");
	char *argv[] = {exe, NULL};
	struct spawn *s = process_spawn(argv, d);
	struct plan *p = plan_new(&(struct plan_opts){.engines = engines});
	int status, started, n = 0;

	(void)state;
	assert_non_null(s);
	spawn_release(s);
	started = spawn_started(s, d);
	/* Under an emulator the made engine is a program for another machine. */
	assert_true(!started || started == -ENOEXEC);
	for (int i = 0; !started && i < 100 && n == 0; i++) {
		n = plan_extend(p, spawn_pid(s), d);
		usleep(n ? 0 : 2000);
	}
	/* The made engine may be done before it was looked at on a slow machine. */
	if (n > 0) {
		struct stat st;

		assert_int_equal(stat(plan_file(p, 0)->open_path, &st), 0);
		assert_true(plan_has_level(p, LEVEL_OPERATOR));
		assert_true(plan_extend(p, spawn_pid(s), d) <= 0);
		/* No function starts in the middle of one. */
		assert_true(plan_extend_backend(p, spawn_pid(s), 4096, "CPU", d) < 0);
	}
	kill(spawn_pid(s), SIGKILL);
	spawn_wait(s, true, &status);
	spawn_free(s);
	plan_free(p);
	free(exe);
	diag_clear(d);
}

static char *doctor(struct plan *p, bool json)
{
	static const struct doctor_fact facts[] = {
		{"kernel", "ringbuf", true, "events", NULL},
		{"capabilities", "needed", false, "CAP_BPF", "run as root"},
	};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(doctor_print(f, facts, 2, p, &(struct doctor_opts){.json = json}), 0);
	fclose(f);
	return text;
}

static void test_doctor(void **state)
{
	struct plan *p = plan_of_made(0);
	char *text = doctor(p, false);
	cJSON *root;

	(void)state;
	assert_non_null(strstr(text, "fix: run as root"));
	assert_non_null(strstr(text, "op_begin"));
	assert_non_null(strstr(text, "tensor.ne "));
	assert_null(strstr(text, "nan"));
	free(text);
	text = doctor(p, true);
	root = cJSON_Parse(text);
	assert_non_null(root);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "facts")), 2);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "points")),
			 plan_mark(p).points);
	cJSON_Delete(root);
	free(text);
	plan_free(p);
	text = doctor(NULL, false);
	assert_null(strstr(text, "probe points"));
	free(text);
}

static void test_guid(void **state)
{
	uint8_t guid[16] = {0xaa, 0x67, 0xc7, 0x43, 0x96, 0xe6, 0xa3, 0x8a,
			    0xe3, 0xaf, 0xea, 0x92, 0x36, 0xbc, 0xfc, 0x89};

	(void)state;
	assert_string_equal(plan_backend_of_guid(guid), "CPU");
	/* Some backends share the first half with another. */
	guid[15]++;
	assert_string_equal(plan_backend_of_guid(guid), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_engine),
		cmocka_unit_test(test_node_ends),
		cmocka_unit_test(test_levels_and_engine),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_stripped_program),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_doctor),
		cmocka_unit_test(test_guid),
	};

	return cmocka_run_group_tests(tests, load_engines, free_engines);
}

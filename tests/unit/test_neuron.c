/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "trace/store.h"
#include "view/neuron/neuron.h"
#include "view/view.h"
#include "view_fixture.h"

/* The published figures of a reranker on two NeuronCores: its two models. Fractions, as the tool
 * prints them, with the times that tell so. */
static const char context_encoding[] =
	"{\"1124379083106961\": {\"total_time\": 0.05, \"tensor_engine_active_time\": 0.005395,"
	"\"tensor_engine_active_time_percent\": 0.1079, \"vector_engine_active_time\": 0.02851,"
	"\"vector_engine_active_time_percent\": 0.5702, \"scalar_engine_active_time_percent\": "
	"0.1324,"
	"\"gpsimd_engine_active_time_percent\": 0.0452, \"total_active_time_percent\": 0.9516,"
	"\"dma_active_time_percent\": 0.3033, \"dma_active_time\": 0.015165,"
	"\"hbm_read_bytes\": 593170000, \"hbm_write_bytes\": 29880000,"
	"\"mbu_estimated_percent\": 0.1219, \"mfu_estimated_percent\": 0.0487,"
	"\"mfu_hlo_estimated_percent\": 0.0487, \"mfu_max_achievable_estimated_percent\": 0.3995,"
	"\"hardware_flops\": 86660000000, \"transpose_flops\": 1000000000,"
	"\"peak_flops_bandwidth_ratio\": 232.0}}";
static const char token_generation[] =
	"{\"948584188481322\": {\"total_time\": 0.02, \"tensor_engine_active_time\": 0.00209,"
	"\"tensor_engine_active_time_percent\": 0.1045, \"vector_engine_active_time_percent\": "
	"0.1180,"
	"\"scalar_engine_active_time_percent\": 0.3203, \"gpsimd_engine_active_time_percent\": "
	"0.0005,"
	"\"total_active_time_percent\": 0.7766, \"dma_active_time_percent\": 0.7548,"
	"\"hbm_read_bytes\": 761390000, \"hbm_write_bytes\": 756110000,"
	"\"mbu_estimated_percent\": 0.4566, \"mfu_estimated_percent\": 0.0,"
	"\"hardware_flops\": 56370000000, \"spill_reload_bytes\": 300000000,"
	"\"dma_transfer_average_bytes\": 20000, \"peak_flops_bandwidth_ratio\": 232.0,"
	"\"mm_arithmetic_intensity\": -1}}";

static void parse(struct neuron_set *s, const char *name, const char *text)
{
	struct diag *d = diag_new();

	if (neuron_parse(s, name, text, d)) {
		diag_print(d, stderr, DIAG_STYLE_FIELD, false);
		fail();
	}
	diag_free(d);
}

static double figure(const struct neuron_profile *p, const char *key)
{
	double v = NAN;

	for (const struct neuron_figure *f = neuron_figures; f->key; f++)
		if (!strcmp(f->key, key) && !neuron_figure_value(f, p, &v))
			v = NAN;
	return v;
}

static double mean(const struct neuron_set *s, const char *key)
{
	double v = NAN;

	for (const struct neuron_figure *f = neuron_figures; f->key; f++)
		if (!strcmp(f->key, key) && !neuron_figure_mean(f, s, &v))
			v = NAN;
	return v;
}

static void test_the_published_tables(void **state)
{
	struct neuron_set s = {0};
	struct neuron_profile *p;

	(void)state;
	parse(&s, "context_encoding", context_encoding);
	parse(&s, "token_generation", token_generation);
	assert_int_equal(s.count, 2);
	p = &s.profiles[0];
	assert_true(p->scale_known);
	assert_float_equal(figure(p, "tensor_engine"), 0.1079, 1e-9);
	assert_float_equal(figure(p, "vector_engine"), 0.5702, 1e-9);
	assert_float_equal(figure(p, "scalar_engine"), 0.1324, 1e-9);
	assert_float_equal(figure(p, "gpsimd_engine"), 0.0452, 1e-9);
	assert_float_equal(figure(p, "total_active"), 0.9516, 1e-9);
	assert_float_equal(figure(p, "dma"), 0.3033, 1e-9);
	assert_float_equal(figure(p, "hbm_read"), 593.17e6, 1);
	assert_float_equal(figure(p, "mbu"), 0.1219, 1e-9);
	assert_float_equal(figure(p, "mfu"), 0.0487, 1e-9);
	assert_float_equal(figure(p, "mfu_max"), 0.3995, 1e-9);
	assert_float_equal(figure(&s.profiles[1], "dma"), 0.7548, 1e-9);
	assert_float_equal(figure(&s.profiles[1], "mbu"), 0.4566, 1e-9);
	/* MFU 2.4 % and vector engine 34.4 % on average. */
	assert_float_equal(mean(&s, "mfu"), 0.024, 0.0005);
	assert_float_equal(mean(&s, "vector_engine"), 0.344, 0.0005);
	assert_string_equal(neuron_level(mean(&s, "mfu")), "very low");
	assert_string_equal(neuron_level(0.108), "low");
	assert_string_equal(neuron_level(0.344), "medium");
	assert_string_equal(neuron_level(0.525), "medium");
	neuron_set_free(&s);
}

static sqlite3 *imported(const char *dir, const char *name, const char *json, const char *figure)
{
	char path[128];
	char *figures[] = {(char *)figure};
	struct neuron_set s = {0};
	struct diag *d = diag_new();
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/%s.llmp", dir, name);
	parse(&s, name, json);
	assert_int_equal(neuron_store(&s, path, true, d), 0);
	assert_int_equal(neuron_add_figures(path, figures, 1, d), 0);
	db = store_open(path, d);
	assert_non_null(db);
	neuron_set_free(&s);
	diag_free(d);
	return db;
}

/* The verdict and change that diff gives a figure. */
static void assert_compared(const cJSON *figures, const char *name, double change,
			    const char *verdict)
{
	const cJSON *f = cJSON_GetObjectItem(figures, name);

	assert_non_null(f);
	assert_float_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(f, "absolute")), change, 1e-9);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(f, "verdict")), verdict);
}

/* Before and after max_num_seqs went from 4 to 16: the throughput rose, the use did not. */
static void test_the_published_comparison(void **state)
{
	static const char form[] =
		"{\"total_time\": 1, \"tensor_engine_active_time\": %s,"
		"\"tensor_engine_active_time_percent\": %s, \"mfu_estimated_percent\": 0.0240,"
		"\"vector_engine_active_time_percent\": %s, \"dma_active_time_percent\": %s}";
	char dir[] = "/tmp/neuron-XXXXXX", before[512], after[512], clean[64], *text = NULL;
	struct view_run runs[2] = {{.name = "before"}, {.name = "after"}};
	struct diag *d = diag_new();
	const cJSON *figures;
	size_t len = 0;
	cJSON *j;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(before, sizeof(before), form, "0.1080", "0.1080", "0.3440", "0.5250");
	snprintf(after, sizeof(after), form, "0.1082", "0.1082", "0.3415", "0.5252");
	runs[0].db = imported(dir, "before", before, "throughput=3.072 q/s");
	runs[1].db = imported(dir, "after", after, "throughput=3.171 q/s");
	f = open_memstream(&text, &len);
	assert_int_equal(view_diff.print(runs, 2, &(struct view_opts){.json = true}, f, d), 0);
	fclose(f);
	j = cJSON_Parse(text);
	figures = cJSON_GetObjectItem(cJSON_GetArrayItem(j, 0), "figures");
	assert_compared(figures, "mfu", 0, "no change");
	assert_compared(figures, "tensor_engine", 0.0002, "no change");
	assert_compared(figures, "vector_engine", -0.0025, "about the same");
	assert_compared(figures, "dma", 0.0002, "no change");
	assert_compared(figures, "throughput", 0.099, "better");
	assert_float_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(
				   cJSON_GetObjectItem(figures, "throughput"), "relative")),
			   0.032, 0.0005);
	/* A profile says nothing of tokens. */
	assert_true(cJSON_IsNull(
		cJSON_GetObjectItem(cJSON_GetObjectItem(figures, "tokens_per_s"), "first")));
	cJSON_Delete(j);
	free(text);
	sqlite3_close(runs[0].db);
	sqlite3_close(runs[1].db);
	snprintf(clean, sizeof(clean), "rm -r %s", dir);
	assert_int_equal(system(clean), 0);
	diag_free(d);
}

static void test_percent_and_fraction_are_told_apart(void **state)
{
	struct neuron_set s = {0};

	(void)state;
	parse(&s, "a",
	      "{\"total_time\": 2.0, \"tensor_engine_active_time\": 0.01,"
	      "\"tensor_engine_active_time_percent\": 0.5, \"mfu_estimated_percent\": 0.4}");
	parse(&s, "b",
	      "{\"total_time\": 2.0, \"tensor_engine_active_time\": 1.0,"
	      "\"tensor_engine_active_time_percent\": 0.5, \"mfu_estimated_percent\": 0.4}");
	parse(&s, "c", "{\"total_time\": 2.0, \"mfu_estimated_percent\": 40}");
	assert_float_equal(figure(&s.profiles[0], "mfu"), 0.004, 1e-12);
	assert_float_equal(figure(&s.profiles[1], "mfu"), 0.4, 1e-12);
	assert_float_equal(figure(&s.profiles[2], "mfu"), 0.4, 1e-12);
	assert_false(s.profiles[2].scale_known);
	neuron_set_free(&s);
}

static void test_missing_and_unavailable_fields(void **state)
{
	struct neuron_set s = {0};

	(void)state;
	parse(&s, "x",
	      "{\"total_time\": 1, \"mfu_estimated_percent\": -1, \"hbm_read_bytes\": \"?\"}");
	assert_true(isnan(figure(&s.profiles[0], "mfu")));
	assert_true(isnan(figure(&s.profiles[0], "hbm_read")));
	assert_true(isnan(figure(&s.profiles[0], "intensity")));
	assert_true(isnan(mean(&s, "dma")));
	neuron_set_free(&s);
}

/* A field with another name than expected is pointed out, and what follows from it is not guessed.
 */
static void test_renamed_fields(void **state)
{
	struct neuron_set s = {0};
	struct buf text = {0};

	(void)state;
	parse(&s, "x",
	      "{\"total_time\": 1, \"tensor_engine_active_time_percent\": 0.5,"
	      " \"dma_activ_time_percent\": 0.9, \"vector_engine_active_time_percent\": 0.1}");
	assert_true(isnan(figure(&s.profiles[0], "dma")));
	neuron_gaps(&s.profiles[0], &text);
	assert_non_null(strstr(buf_str(&text), "dma_active_time_percent (there is "
					       "dma_activ_time_percent, which this version does"
					       " not know)"));
	assert_non_null(strstr(buf_str(&text), ", mfu_estimated_percent,"));
	assert_null(strstr(buf_str(&text), "tensor_engine_active_time_percent"));
	buf_reset(&text);
	assert_int_equal(neuron_verdict(&s.profiles[0], &text), NEURON_UNKNOWN);
	assert_string_equal(buf_str(&text),
			    "what binds is not known: without dma_active_time_percent");
	buf_free(&text);
	neuron_set_free(&s);
}

static void test_shapes_of_the_file(void **state)
{
	struct neuron_set s = {0};
	struct diag *d = diag_new();

	(void)state;
	parse(&s, "ranks",
	      "INFO reading\n{\"r0\": {\"total_time\": 1}, \"r1\": {\"total_time\": 2}}");
	parse(&s, "old", "{\"summary\": [{\"total_time\": 3}], \"instruction\": []}");
	assert_int_equal(s.count, 3);
	assert_string_equal(s.profiles[1].name, "ranks:r1");
	assert_float_equal(figure(&s.profiles[2], "total_time"), 3, 0);
	assert_int_equal(neuron_parse(&s, "bad.json", "{\"a\":\n  1,,}", d), -22);
	assert_int_equal(neuron_parse(&s, "empty.json", "{\"k\": \"v\"}", d), -22);
	/* Numbers, but none of a profile. */
	assert_int_equal(neuron_parse(&s, "other.json", "{\"a\": 1, \"b\": {\"c\": 2}}", d), -22);
	assert_int_equal(s.count, 3);
	diag_free(d);
	neuron_set_free(&s);
}

static void test_verdicts_and_alarms(void **state)
{
	struct neuron_set s = {0};
	struct buf why = {0};

	(void)state;
	parse(&s, "context", context_encoding);
	parse(&s, "token", token_generation);
	assert_int_equal(neuron_verdict(&s.profiles[0], &why), NEURON_ENGINE);
	assert_int_equal(neuron_verdict(&s.profiles[1], &why), NEURON_MEMORY);
	assert_non_null(strstr(buf_str(&why), "vector engine: busy 57.0 %"));
	buf_reset(&why);
	neuron_alarms(&s.profiles[0], &why);
	assert_int_equal(why.len, 0);
	neuron_alarms(&s.profiles[1], &why);
	assert_non_null(strstr(buf_str(&why), "39 % of the HBM reads"));
	assert_non_null(strstr(buf_str(&why), "19.5 KiB"));
	buf_free(&why);
	neuron_set_free(&s);
}

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

static void test_a_folder_becomes_a_run(void **state)
{
	struct neuron_set s = {0};
	struct diag *d = diag_new();
	char dir[] = "/tmp/neuron-XXXXXX", run[64], script[2048], *paths[] = {dir}, *path_was;
	sqlite3 *db;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(run, sizeof(run), "%s/n.llmp", dir);
	put(dir, "context_encoding.json", context_encoding, 0644);
	put(dir, "token_generation.neff", "", 0644);
	put(dir, "token_generation_rank_0.ntff", "", 0644);
	path_was = strdup(getenv("PATH"));
	/* Without the tool the pair is an error that names it. */
	setenv("PATH", dir, 1);
	assert_int_equal(neuron_import(paths, 1, run, false, d), -2);
	assert_non_null(strstr(diag_first_error(d), "neuron-profile"));
	snprintf(script, sizeof(script), "#!/bin/sh\necho '%s'\n", token_generation);
	put(dir, "neuron-profile", script, 0755);
	assert_int_equal(neuron_import(paths, 1, run, false, d), 0);
	setenv("PATH", path_was, 1);
	free(path_was);
	assert_int_equal(neuron_import(paths, 1, run, false, d), -17);
	db = store_open(run, d);
	assert_non_null(db);
	neuron_load(&s, db);
	assert_int_equal(s.count, 2);
	assert_float_equal(figure(&s.profiles[1], "dma"), 0.7548, 1e-9);
	assert_string_equal(s.profiles[0].name, "context_encoding");
	assert_int_equal(
		fixture_int(db, "SELECT end_ns - begin_ns FROM token WHERE phase = 'prefill'"),
		50000000);
	assert_int_equal(fixture_int(db,
				     "SELECT sum(compute_ns) FROM op_summary o JOIN tensor t ON "
				     "t.id = o.tensor_id WHERE t.op = 'TENSOR_ENGINE'"),
			 5395000 + 2090000);
	assert_int_equal(fixture_int(db, "SELECT bytes FROM tensor WHERE op = 'DMA'"), 623050000);
	sqlite3_close(db);
	neuron_set_free(&s);
	snprintf(script, sizeof(script), "rm -r %s", dir);
	assert_int_equal(system(script), 0);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_published_tables),
		cmocka_unit_test(test_the_published_comparison),
		cmocka_unit_test(test_percent_and_fraction_are_told_apart),
		cmocka_unit_test(test_missing_and_unavailable_fields),
		cmocka_unit_test(test_renamed_fields),
		cmocka_unit_test(test_shapes_of_the_file),
		cmocka_unit_test(test_verdicts_and_alarms),
		cmocka_unit_test(test_a_folder_becomes_a_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

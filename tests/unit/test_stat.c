/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of stat and diff on runs small enough to know every cell. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#include "view_fixture.h"
#include "view/table.h"

static cJSON *json_of(const struct view *v, sqlite3 *a, sqlite3 *b, struct view_opts o)
{
	struct diag *d = diag_new();
	char *text;
	cJSON *j;
	int rc;

	o.json = true;
	text = fixture_print(v, a, b, &o, &rc, d);
	diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	assert_int_equal(rc, 0);
	j = cJSON_Parse(text);
	assert_non_null(j);
	free(text);
	diag_free(d);
	return j;
}

static char *text_of(const struct view *v, sqlite3 *a, sqlite3 *b, struct view_opts o)
{
	struct diag *d = diag_new();
	char *text;
	int rc;

	text = fixture_print(v, a, b, &o, &rc, d);
	assert_int_equal(rc, 0);
	diag_free(d);
	return text;
}

static double cell(const cJSON *rows, int row, const char *key)
{
	const cJSON *v = cJSON_GetObjectItem(cJSON_GetArrayItem(rows, row), key);

	return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static const char *text_cell(const cJSON *rows, int row, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, row), key));
}

/* A layer with experts: a prompt of two tokens, then three decodes of 10, 50 and 20 us. */
static sqlite3 *with_experts(void)
{
	sqlite3 *db = fixture_empty();

	fixture_exec(
		db,
		"INSERT INTO token_t(id, begin_ns, end_ns, phase, n_tokens, first_op) VALUES(1, 0, "
		"1,"
		" 'prefill', 2, 1), (2, 2, 3, 'decode', 1, 2), (3, 4, 5, 'decode', 1, 3), (4, 6, 7,"
		" 'decode', 1, 4);"
		"INSERT INTO tensor_t(id, name, layer, op) VALUES(1, 'up', 0, 'MUL_MAT_ID'), (2,"
		" 'up', 0, 'MUL_MAT_ID');"
		"INSERT INTO op_t(id, token_id, tensor_id, compute_ns) VALUES(1, 1, 1, 900000), "
		"(2, 2,"
		" 2, 10000), (3, 3, 2, 50000), (4, 4, 2, 20000);"
		"INSERT INTO expert_t VALUES(1, 1, 0, 0, 5), (1, 1, 0, 1, 6), (1, 1, 1, 0, 5), (1, "
		"1, 1,"
		" 1, 7), (2, 2, 0, 0, 5), (2, 2, 0, 1, 7), (3, 2, 0, 0, 8), (3, 2, 0, 1, 5), (4, "
		"2, 0,"
		" 0, 6), (4, 2, 0, 1, 5)");
	return db;
}

/* Both experts of the first decode were used by the prompt's last token; the second has one that
 * nobody used before, the third one that only the prompt's first token used. */
static void first_use_and_reuse(void **state)
{
	sqlite3 *db = with_experts();
	struct view_opts o = {.table = "latency"};
	cJSON *j = json_of(&view_stat, db, NULL, o);
	static const double wanted[3][4] = {{0, 0, 1, 10000}, {0, 1, 1, 20000}, {1, 1, 1, 50000}};
	char *text;

	(void)state;
	assert_int_equal(cJSON_GetArraySize(j), 3);
	for (int i = 0; i < 3; i++) {
		assert_true(cell(j, i, "first") == wanted[i][0]);
		assert_true(cell(j, i, "fresh") == wanted[i][1]);
		assert_true(cell(j, i, "runs") == wanted[i][2]);
		assert_true(cell(j, i, "mean_ns") == wanted[i][3]);
	}
	cJSON_Delete(j);
	text = text_of(&view_stat, db, NULL, o);
	assert_non_null(strstr(text,
			       "1 products with an expert that was never used before took 50.0"
			       " us each, 2 of experts used before 15.0 us"));
	free(text);
	sqlite3_close(db);
}

/* The columns are tokens, those of a prompt too: five of them, one per column. */
static void heat_is_by_token(void **state)
{
	sqlite3 *db = with_experts();
	struct view_opts o = {.table = "heat", .ascii = true};
	cJSON *j = json_of(&view_stat, db, NULL, o);
	char *text = text_of(&view_stat, db, NULL, o);

	(void)state;
	assert_int_equal(cJSON_GetArraySize(j), 9);
	assert_string_equal(text_cell(j, 5, "heat"), "#           #           #           #  "
						     "         #           ");
	assert_string_equal(text_cell(j, 6, "heat"), "#                                      "
						     "         #           ");
	assert_non_null(strstr(text, "layer 0, 5 tokens, 1 each column"));
	cJSON_Delete(j);
	free(text);
	sqlite3_close(db);
}

/* Ten products of each phase: in the prompt on a line, in the decodes all the same but one. */
static sqlite3 *with_products(void)
{
	sqlite3 *db = fixture_empty();

	for (int i = 1; i <= 20; i++) {
		bool decode = i > 10;
		char *sql = xasprintf(
			"INSERT INTO tensor_t(id, name, layer, op, ne0, ne1, flops) VALUES(%d, "
			"'p%d', 0,"
			" 'MUL_MAT', 8, 8, %d);"
			"INSERT INTO op_phase_t VALUES('%s', %d, 1, 0, 2, %d, 0, 0, 0, 0)",
			i, i, i % 10 * 1000, decode ? "decode" : "prefill", i,
			decode ? (i == 15 ? 8000 : 2000) : 2 * (500 + i % 10 * 1000));

		fixture_exec(db, sql);
		free(sql);
	}
	return db;
}

static void each_phase_has_its_fit(void **state)
{
	sqlite3 *db = with_products();
	struct view_opts o = {.table = "complexity"};
	cJSON *j = json_of(&view_stat, db, NULL, o), *row;
	char *text = text_of(&view_stat, db, NULL, o);
	int outliers = 0;

	(void)state;
	cJSON_ArrayForEach(row, j)
	{
		const char *phase = cJSON_GetStringValue(cJSON_GetObjectItem(row, "phase"));
		const char *note = cJSON_GetStringValue(cJSON_GetObjectItem(row, "note"));
		double rest = cJSON_GetNumberValue(cJSON_GetObjectItem(row, "residual_ns"));

		if (strcmp(phase, "prefill") == 0)
			assert_true(fabs(rest) < 1e-6);
		outliers += *note != '\0';
		if (*note)
			assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(row, "name")),
					    "p15 8x8");
	}
	assert_int_equal(outliers, 1);
	assert_non_null(strstr(text, "prefill: time = 0.5 us + flop / 1.0 GFLOP/s (r2 = 1.00)"));
	cJSON_Delete(j);
	free(text);
	sqlite3_close(db);
}

/* Nobody reads JSON and CSV to their end, so they have all rows unless told otherwise. */
static void json_is_complete(void **state)
{
	sqlite3 *db = fixture_empty();
	struct view_opts o = {.table = "ops", .by = "tensor"};
	cJSON *j;
	char *text;

	(void)state;
	for (int i = 1; i <= 50; i++) {
		char *sql =
			xasprintf("INSERT INTO tensor_t(id, name, op) VALUES(%d, 't%d', 'ADD');"
				  "INSERT INTO op_phase_t VALUES('decode', %d, 1, 0, 1, 10, 0, 0,"
				  " 0, 0)",
				  i, i, i);

		fixture_exec(db, sql);
		free(sql);
	}
	j = json_of(&view_stat, db, NULL, o);
	assert_int_equal(cJSON_GetArraySize(j), 50);
	cJSON_Delete(j);
	text = text_of(&view_stat, db, NULL, o);
	assert_non_null(strstr(text, "(30 of 50 rows; --limit -1 shows all)"));
	free(text);
	o.limit = 7;
	j = json_of(&view_stat, db, NULL, o);
	assert_int_equal(cJSON_GetArraySize(j), 7);
	cJSON_Delete(j);
	sqlite3_close(db);
}

/* Time per call of tensors and of layers, which the sums per operator do not know. */
static void series_of_tensors(void **state)
{
	sqlite3 *db = fixture_empty();
	struct view_opts o = {.table = "series", .filter = "kq*"};
	cJSON *j;

	(void)state;
	fixture_exec(db,
		     "INSERT INTO token_t(id, begin_ns, end_ns, phase, n_tokens, first_op)"
		     " VALUES(1, 0, 9, 'decode', 1, 1), (2, 10, 19, 'decode', 1, 4);"
		     "INSERT INTO tensor_t(id, name, layer, op) VALUES(1, 'kq-0', 0, 'MUL_MAT'),"
		     " (2, 'ffn-0', 0, 'MUL_MAT'), (3, 'kq-1', 1, 'MUL_MAT');"
		     "INSERT INTO op_t(id, token_id, tensor_id, compute_ns) VALUES(1, 1, 1, 10),"
		     " (2, 1, 2, 100), (3, 1, 3, 1000), (4, 2, 1, 20), (5, 2, 2, 200);"
		     "INSERT INTO op_token_t VALUES(1, 'MUL_MAT', 0, 3, 1110, 0), (2, 'MUL_MAT',"
		     " 0, 2, 220, 0)");
	j = json_of(&view_stat, db, NULL, o);
	assert_true(cell(j, 0, "compute_ns") == 1010 && cell(j, 1, "compute_ns") == 20);
	cJSON_Delete(j);
	o.layers = "0";
	j = json_of(&view_stat, db, NULL, o);
	assert_true(cell(j, 0, "compute_ns") == 10 && cell(j, 1, "compute_ns") == 20);
	cJSON_Delete(j);
	o = (struct view_opts){.table = "series", .filter = "MUL_*"};
	j = json_of(&view_stat, db, NULL, o);
	assert_true(cell(j, 0, "compute_ns") == 1110 && cell(j, 1, "compute_ns") == 220);
	cJSON_Delete(j);
	sqlite3_close(db);
}

static sqlite3 *attention_by(const char *op, int ns)
{
	sqlite3 *db = fixture_empty();
	char *sql = xasprintf(
		"INSERT INTO token_t(id, begin_ns, end_ns, phase, n_tokens, first_op) VALUES(1, 0, "
		"9,"
		" 'decode', 1, 1), (2, 10, 19, 'decode', 1, 2), (3, 20, 30, 'prefill', 4, 3);"
		"INSERT INTO tensor_t(id, name, op) VALUES(1, 'a', '%s'), (2, 'm', 'MUL_MAT');"
		"INSERT INTO op_phase_t VALUES('decode', 1, 1, 0, 2, %d, 0, 0, 0, 0), ('decode', "
		"2, 1,"
		" 0, 2, 200, 0, 0, 0, 0), ('prefill', 2, 1, 0, 1, 4000, 0, 0, 0, 0)",
		op, ns);

	fixture_exec(db, sql);
	free(sql);
	return db;
}

/* An operator that only one of the runs has is shown, and both phases are, per token. */
static void operators_of_either_run(void **state)
{
	sqlite3 *a = attention_by("FLASH_ATTN_EXT", 600), *b = attention_by("SOFT_MAX", 100);
	cJSON *j = json_of(&view_diff, a, b, (struct view_opts){0});
	const cJSON *pair = cJSON_GetArrayItem(j, 0);
	const cJSON *rows = cJSON_GetObjectItem(pair, "decode_operators");
	char *text = text_of(&view_diff, a, b, (struct view_opts){.ascii = true});

	(void)state;
	assert_int_equal(cJSON_GetArraySize(rows), 3);
	assert_string_equal(text_cell(rows, 0, "op"), "FLASH_ATTN_EXT");
	assert_true(cell(rows, 0, "first_ns") == 300 && isnan(cell(rows, 0, "other_ns")));
	assert_true(cell(rows, 0, "absolute_ns") == -300);
	assert_string_equal(text_cell(rows, 2, "op"), "SOFT_MAX");
	assert_true(cell(rows, 2, "other_ns") == 50 && cell(rows, 2, "absolute_ns") == 50);
	rows = cJSON_GetObjectItem(pair, "prefill_operators");
	assert_int_equal(cJSON_GetArraySize(rows), 1);
	assert_true(cell(rows, 0, "first_ns") == 1000 && cell(rows, 0, "relative") == 0);
	assert_non_null(strstr(text, "decode_share_attention"));
	assert_non_null(strstr(text, "= no change"));
	cJSON_Delete(j);
	free(text);
	sqlite3_close(a);
	sqlite3_close(b);
}

/* One value far out leaves the shape of the others to be seen. */
static void sparks_stand_outliers(void **state)
{
	double v[60];
	char *line;

	(void)state;
	for (int i = 0; i < 60; i++)
		v[i] = i == 7 ? 1e6 : i < 30 ? 10 : 20;
	line = table_spark(v, 60, 6, true);
	assert_string_equal(line, "===@@@");
	free(line);
}

/* The help names every table that there is. */
static void the_help_names_the_tables(void **state)
{
	struct diag *d = diag_new();
	sqlite3 *db = fixture_empty();
	struct view_opts o = {.table = "nonsense"};
	char *text, *messages = NULL, *p;
	size_t len = 0;
	FILE *f = open_memstream(&messages, &len);
	int rc, n = 0;

	(void)state;
	text = fixture_print(&view_stat, db, NULL, &o, &rc, d);
	assert_int_equal(rc, -EINVAL);
	diag_print(d, f, DIAG_STYLE_FIELD, false);
	fclose(f);
	for (p = messages; (p = strstr(p, "--table ")); n++) {
		char *name;

		p += strlen("--table ");
		name = xasprintf(" %.*s", (int)strcspn(p, ":"), p);
		assert_non_null(strstr(view_stat.about, name));
		free(name);
	}
	assert_true(n >= 13);
	free(text);
	free(messages);
	diag_free(d);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_use_and_reuse),
		cmocka_unit_test(heat_is_by_token),
		cmocka_unit_test(each_phase_has_its_fit),
		cmocka_unit_test(json_is_complete),
		cmocka_unit_test(series_of_tensors),
		cmocka_unit_test(operators_of_either_run),
		cmocka_unit_test(sparks_stand_outliers),
		cmocka_unit_test(the_help_names_the_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

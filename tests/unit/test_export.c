/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#include "view/export/export.h"
#include "view/export/export_file.h"
#include "view_fixture.h"

static char *exported(sqlite3 *db, const char *table, enum export_format format, uint64_t *rows)
{
	struct diag *d = diag_new();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(export_table(db, table, format, "a,run", f, rows, d), 0);
	fclose(f);
	diag_free(d);
	return text;
}

static void test_csv_quotes_and_tells_null_from_empty(void **state)
{
	sqlite3 *db = fixture_empty();
	char *text;

	(void)state;
	fixture_exec(db, "INSERT INTO note_t VALUES(1, 'a\"b', 'x,y' || char(10) || 'z'), "
			 "(2, '', NULL)");
	text = exported(db, "note", EXPORT_CSV, NULL);
	assert_string_equal(text, "at_ns,kind,text\n1,\"a\"\"b\",\"x,y\nz\"\n2,\"\",\n");
	free(text);
	text = exported(db, "note", EXPORT_POSTGRES, NULL);
	assert_string_equal(text, "run_id,at_ns,kind,text\n\"a,run\",1,\"a\"\"b\",\"x,y\nz\"\n"
				  "\"a,run\",2,\"\",\n");
	free(text);
	sqlite3_close(db);
}

static void test_json_lines_hold_every_row(void **state)
{
	sqlite3 *db = fixture_run(3);
	uint64_t rows, lines = 0;
	int64_t wait = 0;
	char *text = exported(db, "op", EXPORT_JSONL, &rows), *save = NULL;

	(void)state;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save), lines++) {
		cJSON *o = cJSON_Parse(l);

		assert_non_null(o);
		wait += (int64_t)cJSON_GetObjectItem(o, "wait_ns")->valuedouble;
		cJSON_Delete(o);
	}
	assert_int_equal(lines, rows);
	assert_int_equal(rows, fixture_int(db, "SELECT count(*) FROM op"));
	assert_int_equal(wait, fixture_int(db, "SELECT sum(wait_ns) FROM op"));
	free(text);
	sqlite3_close(db);
}

static void test_folder_with_all_tables(void **state)
{
	sqlite3 *db = fixture_run(1);
	struct diag *d = diag_new();
	char dir[] = "/tmp/export-XXXXXX", path[64], command[128];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(export_folder(db, dir, EXPORT_POSTGRES, "r", false, d), 0);
	for (const char *const *t = export_tables; *t; t++) {
		snprintf(path, sizeof(path), "%s/%s.csv", dir, *t);
		assert_int_equal(access(path, R_OK), 0);
	}
	snprintf(command, sizeof(command), "grep -q 'end_ns bigint' %s/load.sql", dir);
	assert_int_equal(system(command), 0);
	/* What is there is not replaced without being told to. */
	assert_int_equal(export_folder(db, dir, EXPORT_POSTGRES, "r", false, d), -17);
	assert_int_equal(export_folder(db, dir, EXPORT_POSTGRES, "r", true, d), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	diag_free(d);
	sqlite3_close(db);
}

static void test_unknown_table_names_the_nearest(void **state)
{
	sqlite3 *db = fixture_empty();
	struct diag *d = diag_new();

	(void)state;
	assert_int_equal(export_table(db, "tokens", EXPORT_CSV, "", stdout, NULL, d), -22);
	assert_non_null(strstr(diag_first_error(d), "did you mean token"));
	diag_free(d);
	sqlite3_close(db);
}

static void test_a_failed_file_leaves_nothing(void **state)
{
	struct diag *d = diag_new();
	struct export_file f;
	char dir[] = "/tmp/export-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x", dir);
	assert_int_equal(export_file_open(&f, path, NULL, false, false, d), 0);
	fputs("half", f.out);
	assert_int_equal(export_file_close(&f, -5, d), -5);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(export_file_open(&f, path, NULL, false, false, d), -2);
	diag_free(d);
}

static void test_a_pipe_stays_a_pipe(void **state)
{
	struct diag *d = diag_new();
	struct export_file f;
	char dir[] = "/tmp/export-XXXXXX", path[64], text[8];
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pipe", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	assert_int_equal(export_file_open(&f, path, NULL, false, false, d), 0);
	fputs("whole", f.out);
	assert_int_equal(export_file_close(&f, 0, d), 0);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	close(fd);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv_quotes_and_tells_null_from_empty),
		cmocka_unit_test(test_json_lines_hold_every_row),
		cmocka_unit_test(test_folder_with_all_tables),
		cmocka_unit_test(test_unknown_table_names_the_nearest),
		cmocka_unit_test(test_a_failed_file_leaves_nothing),
		cmocka_unit_test(test_a_pipe_stays_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

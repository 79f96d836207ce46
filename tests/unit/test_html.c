/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#include "view/html/html_data.h"
#include "view/html/html_page.h"
#include "view_fixture.h"

static char *page_of(const struct view_run *runs, size_t n)
{
	struct view_opts o = {0};
	struct diag *d = diag_new();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	const struct view *v = view_find("html");

	if (v->print(runs, n, &o, f, d)) {
		diag_print(d, stderr, DIAG_STYLE_FIELD, false);
		fail();
	}
	fclose(f);
	diag_free(d);
	return text;
}

/* The data that the page's script reads, as a browser would cut it out. */
static cJSON *data_of(const char *page)
{
	const char *begin = strstr(page, "id=\"data\">"), *end;
	char *json;
	cJSON *root;

	assert_non_null(begin);
	begin += strlen("id=\"data\">");
	end = strstr(begin, "</script>");
	json = strndup(begin, (size_t)(end - begin));
	root = cJSON_Parse(json);
	free(json);
	assert_non_null(root);
	return root;
}

static void test_data_equals_the_run(void **state)
{
	sqlite3 *db = fixture_run(30);
	struct view_run run = {"fixture", db};
	char *page = page_of(&run, 1);
	cJSON *root = data_of(page), *r = root->child, *item, *lane, *kind;
	double compute = 0, binned = 0, span, experts = 0;

	(void)state;
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(r, "operators")) compute +=
		cJSON_GetArrayItem(item, 5)->valuedouble;
	assert_float_equal(compute, fixture_int(db, "SELECT sum(end_ns - begin_ns) FROM op"), 0.5);
	item = cJSON_GetObjectItem(r, "timeline");
	span = cJSON_GetObjectItem(item, "end")->valuedouble -
	       cJSON_GetObjectItem(item, "begin")->valuedouble;
	/* Each character of a bin is the part of it in 64ths: the sum is the time, rounded. */
	cJSON_ArrayForEach(lane, cJSON_GetObjectItem(item, "lanes"))
	{
		int k = 0;

		cJSON_ArrayForEach(
			kind,
			cJSON_GetObjectItem(lane, "bins")) for (const char *p =
									k++ < CLASS_COUNT
										? kind->valuestring
										: "";
								*p; p++) binned +=
			(*p - '0') / 64.0 * span / 2000;
	}
	assert_float_equal(binned, compute, compute * 0.02);
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(r, "expert_layers")) experts +=
		cJSON_GetArrayItem(item, 2)->valuedouble;
	assert_float_equal(experts, fixture_int(db, "SELECT count(*) FROM expert"), 0);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(r, "steps")), 30);
	cJSON_Delete(root);
	free(page);
	sqlite3_close(db);
}

static uint64_t varint(const unsigned char **p)
{
	uint64_t v = 0;
	int shift = 0;

	do
		v |= (uint64_t)(**p & 0x7f) << shift, shift += 7;
	while (*(*p)++ & 0x80);
	return v;
}

static size_t from_base64(const char *text, unsigned char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	size_t n = 0, have = 0;

	for (; *text && *text != '='; text++) {
		bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
		have += 6;
		if (have >= 8)
			out[n++] = (unsigned char)(bits >> (have -= 8));
	}
	return n;
}

/* Each operator that the page draws when zoomed in: when it ran, how long, how it is called. */
static void test_rows_of_the_strip_are_those_of_the_run(void **state)
{
	sqlite3 *db = fixture_run(30);
	struct view_run run = {"fixture", db};
	char *page = page_of(&run, 1);
	cJSON *root = data_of(page), *timeline = cJSON_GetObjectItem(root->child, "timeline");
	cJSON *names = cJSON_GetObjectItem(timeline, "names"), *lane;
	int rows = 0;

	(void)state;
	cJSON_ArrayForEach(lane, cJSON_GetObjectItem(timeline, "lanes"))
	{
		const char *text = cJSON_GetObjectItem(lane, "ops")->valuestring;
		unsigned char *bytes = malloc(strlen(text) + 1);
		const unsigned char *p = bytes, *end = bytes + from_base64(text, bytes);
		int64_t at = (int64_t)cJSON_GetObjectItem(timeline, "begin")->valuedouble;

		while (p < end) {
			uint64_t gap = varint(&p);
			int64_t begin = at + (int64_t)(gap >> 1 ^ -(gap & 1));
			int64_t compute = (int64_t)varint(&p), wait = (int64_t)varint(&p);
			char *sql = sqlite3_mprintf(
				"SELECT count(*) FROM op o JOIN tensor t ON t.id = o.tensor_id "
				"WHERE o.tid = %d AND begin_ns = %lld AND end_ns = %lld AND "
				"ifnull(wait_ns, 0) = %lld AND %Q LIKE name || char(9) || op || "
				"char(9) || '%%'",
				cJSON_GetObjectItem(lane, "tid")->valueint, (long long)begin,
				(long long)(begin + compute), (long long)wait,
				cJSON_GetArrayItem(names, (int)varint(&p))->valuestring);

			assert_int_equal(fixture_int(db, sql), 1);
			sqlite3_free(sql);
			at = begin + compute;
			rows++;
		}
		free(bytes);
	}
	assert_int_equal(rows, fixture_int(db, "SELECT count(*) FROM op"));
	cJSON_Delete(root);
	free(page);
	sqlite3_close(db);
}

static void test_names_with_markup_stay_text(void **state)
{
	sqlite3 *db = fixture_run(1);
	struct view_run run = {"<img src=x onerror=alert(1)>", db};
	char *page;
	cJSON *root;

	(void)state;
	fixture_exec(db,
		     "UPDATE tensor_t SET name = '</script><script>alert(1)</script>' WHERE id = 4;"
		     "UPDATE thread_t SET name = '<b>' || char(7) || '\"&' WHERE tid = 100");
	page = page_of(&run, 1);
	assert_null(strstr(page, "<script>alert"));
	assert_null(strstr(page, "<img src=x"));
	assert_null(strstr(page, "<b>\a"));
	root = data_of(page);
	cJSON_Delete(root);
	free(page);
	sqlite3_close(db);
}

static void test_nothing_is_loaded_from_outside(void **state)
{
	sqlite3 *db = fixture_run(1);
	struct view_run runs[] = {{"a", db}, {"b", db}};
	char *page = page_of(runs, 2);

	(void)state;
	assert_null(strstr(page, "src=\"http"));
	assert_null(strstr(page, "url(http"));
	assert_null(strstr(page, "@import"));
	assert_null(strstr(page, "href=\"http"));
	assert_true(strlen(page) < 3 * 1024 * 1024);
	free(page);
	sqlite3_close(db);
}

static void test_runs_with_levels_missing(void **state)
{
	sqlite3 *empty = fixture_empty(), *bare = fixture_run(3);
	struct view_run runs[] = {{"empty", empty}, {"bare", bare}};
	char *page = page_of(&runs[0], 1);
	cJSON *root = data_of(page);

	(void)state;
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root->child, "operators")), 0);
	cJSON_Delete(root);
	free(page);
	fixture_exec(bare,
		     "DELETE FROM op_t; DELETE FROM op_phase_t; DELETE FROM op_token_t;"
		     "DELETE FROM sched_t; DELETE FROM expert_t; UPDATE token_t SET end_ns = NULL");
	page = page_of(runs, 2);
	root = data_of(page);
	assert_int_equal(cJSON_GetArraySize(root), 2);
	cJSON_Delete(root);
	free(page);
	sqlite3_close(empty);
	sqlite3_close(bare);
}

static void test_escaping(void **state)
{
	struct buf b = {0};

	(void)state;
	html_escape(&b, "<a href=\"x\">&'");
	assert_string_equal(buf_str(&b), "&lt;a href=&quot;x&quot;&gt;&amp;'");
	buf_reset(&b);
	html_json_string(&b, "a\"\\\n</script>\xc3\xa9");
	assert_string_equal(buf_str(&b), "\"a\\\"\\\\\\u000a\\u003c/script\\u003e\xc3\xa9\"");
	buf_reset(&b);
	/* Cut in the middle of a character, a lone half of a pair, longer than need be. */
	html_json_string(&b, "a\xc3"
			     "b\xed\xa0\x80\xc0\xaf\xf0\x9f\x98\x80");
	assert_string_equal(buf_str(&b),
			    "\"a\\ufffdb\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\xf0\x9f\x98\x80\"");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_equals_the_run),
		cmocka_unit_test(test_rows_of_the_strip_are_those_of_the_run),
		cmocka_unit_test(test_names_with_markup_stay_text),
		cmocka_unit_test(test_nothing_is_loaded_from_outside),
		cmocka_unit_test(test_runs_with_levels_missing),
		cmocka_unit_test(test_escaping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#include "probes/record.h"
#include "trace/spool.h"

struct seen {
	int records, notes;
	uint64_t ts_sum;
	char last_kind[16];
};

static int on_record(void *ctx, const void *rec, size_t len)
{
	struct seen *s = ctx;
	struct rec_head h;

	assert_true(len >= sizeof(h));
	memcpy(&h, rec, sizeof(h));
	assert_int_equal(h.size, len);
	s->records++;
	s->ts_sum += h.ts_ns;
	return 0;
}

static int on_note(void *ctx, const struct cJSON *note)
{
	struct seen *s = ctx;

	s->notes++;
	snprintf(s->last_kind, sizeof(s->last_kind), "%s",
		 cJSON_GetStringValue(cJSON_GetObjectItem(note, "k")));
	return 0;
}

static const struct spool_reader_ops ops = {.record = on_record, .note = on_note};

static struct rec_token token(uint64_t ts)
{
	return (struct rec_token){
		.head = {.size = sizeof(struct rec_token), .kind = REC_TOKEN_BEGIN, .ts_ns = ts}};
}

static struct spool *new_spool(char *path, struct diag *d)
{
	strcpy(path, "/tmp/test_spool.XXXXXX");
	close(mkstemp(path));
	return spool_create(path, true, d);
}

static void add_note(struct spool *s, const char *kind)
{
	cJSON *note = cJSON_CreateObject();

	cJSON_AddStringToObject(note, "k", kind);
	assert_int_equal(spool_note(s, note), 0);
}

/* Two plain records, one note, and a ring block with a busy and a discarded record between. */
static void fill(struct spool *s)
{
	struct rec_token t[2] = {token(1), token(2)};
	struct {
		uint32_t len, off;
		struct rec_token rec;
	} ring[4] = {{sizeof(t[0]), 0, token(10)},
		     {sizeof(t[0]) | 1u << 31, 0, token(1000)},
		     {sizeof(t[0]) | 1u << 30, 0, token(2000)},
		     {sizeof(t[0]), 0, token(20)}};

	assert_int_equal(spool_write(s, BLOCK_PLAIN, 1, t, sizeof(t)), 0);
	add_note(s, "run");
	assert_int_equal(spool_write(s, BLOCK_RING, 0, ring, sizeof(ring)), 0);
}

static void round_trip(void **state)
{
	struct diag *d = diag_new();
	struct seen seen = {0};
	char path[64];
	struct spool *s = new_spool(path, d);
	struct stat st;
	bool whole;

	(void)state;
	fill(s);
	add_note(s, "end");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, spool_bytes(s));
	spool_close(s);
	assert_int_equal(spool_read(path, &ops, &seen, &whole, d), 0);
	assert_true(whole);
	assert_int_equal(seen.records, 4);
	assert_int_equal(seen.ts_sum, 33);
	assert_int_equal(seen.notes, 2);
	assert_string_equal(seen.last_kind, "end");
	unlink(path);
	diag_free(d);
}

/* Cut at every length: never an error past the file's head, never more than whole blocks. */
static void cut_anywhere(void **state)
{
	struct diag *d = diag_new();
	char path[64];
	struct spool *s = new_spool(path, d);
	uint64_t len;
	bool whole;

	(void)state;
	fill(s);
	len = spool_bytes(s);
	spool_close(s);
	while (--len >= 8) {
		struct seen seen = {0};

		assert_int_equal(truncate(path, (off_t)len), 0);
		diag_clear(d);
		assert_int_equal(spool_read(path, &ops, &seen, &whole, d), 0);
		assert_true(seen.records <= 2);
		assert_int_equal(diag_count(d, DIAG_WARNING), whole ? 0 : 1);
	}
	assert_int_equal(truncate(path, 3), 0);
	assert_int_equal(spool_read(path, &ops, NULL, &whole, d), -EINVAL);
	assert_int_equal(diag_count(d, DIAG_ERROR), 1);
	unlink(path);
	diag_free(d);
}

static void full_disk(void **state)
{
	struct diag *d = diag_new();
	char path[64];
	struct spool *s = new_spool(path, d);
	struct rlimit old, small;
	struct seen seen = {0};
	uint64_t before;
	void *big = calloc(1, 1 << 20);
	bool whole;

	(void)state;
	fill(s);
	before = spool_bytes(s);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){before + 1000, old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(spool_write(s, BLOCK_PLAIN, 0, big, 1 << 20), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_true(spool_failed(s));
	assert_int_equal(spool_write(s, BLOCK_PLAIN, 0, big, 8), -EFBIG);
	assert_int_equal(spool_bytes(s), before);
	spool_close(s);
	assert_int_equal(spool_read(path, &ops, &seen, &whole, d), 0);
	assert_true(whole);
	assert_int_equal(seen.records, 4);
	free(big);
	unlink(path);
	diag_free(d);
}

static void refuses(void **state)
{
	struct diag *d = diag_new();
	bool whole;

	(void)state;
	assert_null(spool_create("/proc/none/x.spool", false, d));
	assert_null(spool_create("/etc/passwd", false, d));
	assert_int_equal(diag_count(d, DIAG_ERROR), 2);
	assert_int_equal(spool_read("/etc/passwd", &ops, NULL, &whole, d), -EINVAL);
	assert_int_equal(spool_read("/nowhere", &ops, NULL, &whole, d), -ENOENT);
	assert_int_equal(spool_read("/etc", &ops, NULL, &whole, d), -EINVAL);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(full_disk),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

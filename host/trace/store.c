/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/store.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"

static int pragma(sqlite3 *db, const char *name)
{
	char *sql = xasprintf("PRAGMA %s", name);
	sqlite3_stmt *stmt = NULL;
	int value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	free(sql);
	return value;
}

/* A recording that did not get as far as its run file. */
static void hint_spool(const char *path, struct diag *d)
{
	char *spool = xasprintf("%s.spool", path);

	if (access(spool, R_OK) == 0)
		diag_add(d, DIAG_HINT,
			 "%s is left over from an interrupted recording; `llmprobe export %s` "
			 "completes it",
			 spool, path);
	free(spool);
}

static int check_spool_magic(const char *path)
{
	char magic[8] = "";
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(magic, 1, sizeof(magic), f) : 0;

	if (f)
		fclose(f);
	return n == sizeof(magic) && memcmp(magic, "LLMPSPL1", sizeof(magic)) == 0;
}

static uint32_t big_endian(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* From the file's header: SQLite would only notice a missing page when it reads it, and then not
 * say what is wrong. */
static bool is_cut(const char *path)
{
	enum { PAGE_SIZE_AT = 16, PAGES_AT = 28, APPLICATION_AT = 68, HEADER = 100 };
	uint8_t head[HEADER] = {0};
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(head, 1, sizeof(head), f) : 0;
	uint32_t page = big_endian(head + PAGE_SIZE_AT, 2);
	struct stat st;

	if (f)
		fclose(f);
	if (n < HEADER || big_endian(head + APPLICATION_AT, 4) != STORE_APPLICATION_ID)
		return false;
	/* 1 stands for 64 KiB, which two bytes cannot hold. */
	return stat(path, &st) == 0 &&
	       (uint64_t)big_endian(head + PAGES_AT, 4) * (page == 1 ? 65536 : page) >
		       (uint64_t)st.st_size;
}

static int check(sqlite3 *db, const char *path, struct diag *d)
{
	int version = pragma(db, "user_version");

	if (check_spool_magic(path))
		return diag_fail(d, -EINVAL,
				 "%s is a spool, not a run yet; `llmprobe export %s` converts it",
				 path, path);
	if (is_cut(path))
		return diag_fail(d, -EINVAL, "%s is cut short; copy it again or convert its spool",
				 path);
	if (pragma(db, "application_id") != STORE_APPLICATION_ID)
		return diag_fail(d, -EINVAL, "%s is no llmprobe run", path);
	if (version > STORE_VERSION)
		return diag_fail(d, -EINVAL,
				 "%s has schema %d; this llmprobe knows up to %d: use a newer one",
				 path, version, STORE_VERSION);
	return 0;
}

sqlite3 *store_open(const char *path, struct diag *d)
{
	sqlite3 *db = NULL;

	if (access(path, R_OK) < 0) {
		diag_add(d, DIAG_ERROR, "cannot read the run %s: %s", path, strerror(errno));
		hint_spool(path, d);
		return NULL;
	}
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK) {
		diag_add(d, DIAG_ERROR, "cannot open the run %s: %s", path, sqlite3_errmsg(db));
		sqlite3_close(db);
		return NULL;
	}
	if (check(db, path, d) < 0) {
		hint_spool(path, d);
		sqlite3_close(db);
		return NULL;
	}
	return db;
}

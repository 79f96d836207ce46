/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/store.h"

#include <errno.h>
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

/* SQLite would only notice a missing page when it reads it. */
static int is_cut(sqlite3 *db, const char *path)
{
	struct stat st;
	int pages = pragma(db, "page_count"), size = pragma(db, "page_size");

	return stat(path, &st) == 0 && pages > 0 && (long long)pages * size > (long long)st.st_size;
}

static int check(sqlite3 *db, const char *path, struct diag *d)
{
	int version = pragma(db, "user_version");

	if (check_spool_magic(path))
		return diag_fail(d, -EINVAL,
				 "%s is a spool, not a run yet; `llmprobe export %s` converts it",
				 path, path);
	if (pragma(db, "application_id") != STORE_APPLICATION_ID)
		return diag_fail(d, -EINVAL, "%s is no llmprobe run", path);
	if (version > STORE_VERSION)
		return diag_fail(d, -EINVAL,
				 "%s has schema %d; this llmprobe knows up to %d: use a newer one",
				 path, version, STORE_VERSION);
	if (is_cut(db, path))
		return diag_fail(d, -EINVAL, "%s is cut short; copy it again or convert its spool",
				 path);
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

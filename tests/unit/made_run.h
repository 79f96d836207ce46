/* SPDX-License-Identifier: Apache-2.0 */
/* Runs for tests: a spool by run_make (tests/engines), which lies beside the test, and its run. */
#ifndef LLMPROBE_TESTS_MADE_RUN_H
#define LLMPROBE_TESTS_MADE_RUN_H

#include <cjson/cJSON.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "trace/store.h"
#include "view/view.h"

struct made_run {
	char spool[64], path[64];
	cJSON *sums; /* what run_make says is in the spool */
	sqlite3 *db;
};

/* Makes the spool only. */
static void made_spool(struct made_run *m, const char *options)
{
	char self[PATH_MAX] = "", line[4096] = "", *cmd;
	FILE *p;

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(m->spool, sizeof(m->spool), "/tmp/made_run.%d.spool", (int)getpid());
	snprintf(m->path, sizeof(m->path), "/tmp/made_run.%d.llmp", (int)getpid());
	cmd = xasprintf("%s/run_make %s %s", dirname(self), options, m->spool);
	p = popen(cmd, "r");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	assert_int_equal(pclose(p), 0);
	free(cmd);
	m->sums = cJSON_Parse(line);
	assert_non_null(m->sums);
}

static void made_convert(struct made_run *m)
{
	struct diag *d = diag_new();

	assert_int_equal(
		store_convert(m->spool, m->path, &(struct store_convert_opts){.force = true}, d),
		0);
	m->db = store_open(m->path, d);
	diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	assert_non_null(m->db);
	diag_free(d);
}

static struct made_run made_run(const char *options)
{
	struct made_run m = {0};

	made_spool(&m, options);
	made_convert(&m);
	return m;
}

static void made_free(struct made_run *m)
{
	sqlite3_close(m->db);
	cJSON_Delete(m->sums);
	unlink(m->spool);
	unlink(m->path);
}

static inline int64_t made_sum(const struct made_run *m, const char *key)
{
	return (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(m->sums, key));
}

static inline int64_t made_int(const struct made_run *m, const char *sql)
{
	return view_int(m->db, -1, sql, NULL);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "trace/store.h"
#include "util/file.h"
#include "util/text.h"

struct writer {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *stmt[W_COUNT];
	int error;
	char *message;
};

static const struct {
	const char *table;
	int columns;
} tables[] = {
	[W_RUN] = {"run_t", 2},
	[W_TOKEN] = {"token_t", 11},
	[W_GRAPH] = {"graph_t", 11},
	[W_GRAPH_ASYNC] = {"graph_async_t", 2},
	[W_TENSOR] = {"tensor_t", 14},
	[W_EDGE] = {"edge_t", 3},
	[W_OP] = {"op_t", 10},
	[W_OP_SUM] = {"op_sum_t", 9},
	[W_COUNTER_NAME] = {"counter_name_t", 2},
	[W_COUNTER] = {"counter_t", 4},
	[W_SCHED] = {"sched_t", 11},
	[W_THREAD] = {"thread_t", 5},
	[W_EXPERT] = {"expert_t", 5},
	[W_CALL] = {"call_t", 11},
	[W_PLUGIN] = {"plugin_t", 6},
	[W_LOSS] = {"loss_t", 3},
	[W_COST] = {"cost_t", 6},
	[W_NOTE] = {"note_t", 3},
	[W_OP_PHASE] = {"op_phase_t", 10},
	[W_OP_TOKEN] = {"op_token_t", 6},
	[W_COUNTER_PHASE] = {"counter_phase_t", 7},
};

static const char *const updates[W_COUNT] = {
	[W_TENSOR_COST] = "UPDATE tensor_t SET bytes = ?2, weight_bytes = ?3 WHERE id = ?1",
	[W_TENSOR_LAYER] = "UPDATE tensor_t SET layer = ?2 WHERE id = ?1",
};

/* The file is made new and renamed when whole, so a journal would only cost. */
static const char pragmas[] = "PRAGMA page_size = 16384; PRAGMA journal_mode = OFF;"
			      "PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
			      "PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY;";

static void failed(struct writer *w, int code)
{
	if (w->error || code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
		return;
	w->error = code;
	w->message = xstrdup(sqlite3_errmsg(w->db));
}

void writer_exec(struct writer *w, const char *sql)
{
	if (!w->error)
		failed(w, sqlite3_exec(w->db, sql, NULL, NULL, NULL));
}

static void prepare(struct writer *w, int i)
{
	char *sql;

	if (updates[i]) {
		sql = xstrdup(updates[i]);
	} else {
		sql = xasprintf("INSERT OR REPLACE INTO %s VALUES(?", tables[i].table);
		for (int c = 1; c < tables[i].columns; c++) {
			char *more = xasprintf("%s,?", sql);

			free(sql);
			sql = more;
		}
		char *whole = xasprintf("%s)", sql);

		free(sql);
		sql = whole;
	}
	if (!w->error)
		failed(w, sqlite3_prepare_v3(w->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &w->stmt[i],
					     NULL));
	free(sql);
}

static void create(struct writer *w)
{
	char *schema = data_file_read("host/trace/schema.sql");
	char *version = xasprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; BEGIN",
				  STORE_APPLICATION_ID, STORE_VERSION);

	writer_exec(w, pragmas);
	writer_exec(w, schema ? schema : "SELECT schema_is_missing");
	writer_exec(w, version);
	for (int i = 0; i < W_COUNT; i++)
		prepare(w, i);
	free(version);
	free(schema);
}

static int report(struct writer *w, struct diag *d)
{
	int err = w->error == SQLITE_FULL ? -ENOSPC : -EIO;

	if (!w->error)
		return 0;
	return diag_fail(d, err, "cannot write the run file %s: %s", w->path,
			 w->error == SQLITE_FULL ? "the disk is full; the spool is kept"
						 : w->message);
}

struct writer *writer_new(const char *path, struct diag *d)
{
	struct writer *w = xcalloc(1, sizeof(*w));

	w->path = xstrdup(path);
	failed(w, sqlite3_open_v2(path, &w->db,
				  SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
				  NULL));
	create(w);
	if (report(w, d)) {
		writer_abort(w);
		return NULL;
	}
	return w;
}

void writer_abort(struct writer *w)
{
	if (!w)
		return;
	for (int i = 0; i < W_COUNT; i++)
		sqlite3_finalize(w->stmt[i]);
	sqlite3_close(w->db);
	free(w->message);
	free(w->path);
	free(w);
}

int writer_finish(struct writer *w, struct diag *d)
{
	int err;

	writer_exec(w, "COMMIT");
	err = report(w, d);
	writer_abort(w);
	return err;
}

/* Names come from another process, or cut at 15 bytes; what is stored is text. */
static void bind_text(sqlite3_stmt *s, int col, const char *text)
{
	char *fixed = text && !text_is_utf8(text) ? text_to_utf8(text) : NULL;

	if (fixed)
		sqlite3_bind_text(s, col, fixed, -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_text(s, col, text, -1, SQLITE_STATIC);
	free(fixed);
}

static void bind_one(sqlite3_stmt *s, int col, char type, va_list *ap)
{
	int64_t v;

	switch (type) {
	case 'd':
		sqlite3_bind_double(s, col, va_arg(*ap, double));
		return;
	case 's':
		bind_text(s, col, va_arg(*ap, const char *));
		return;
	default:
		v = va_arg(*ap, int64_t);
		if (type == 'I' && v == WRITER_NULL)
			sqlite3_bind_null(s, col);
		else
			sqlite3_bind_int64(s, col, v);
	}
}

void writer_add(struct writer *w, enum writer_table table, const char *fmt, ...)
{
	sqlite3_stmt *s = w->stmt[table];
	va_list ap;

	if (w->error)
		return;
	va_start(ap, fmt);
	for (int i = 0; fmt[i]; i++)
		bind_one(s, i + 1, fmt[i], &ap);
	va_end(ap);
	failed(w, sqlite3_step(s));
	sqlite3_reset(s);
}

static void bind_or_null(sqlite3_stmt *s, int col, int64_t v)
{
	if (v == WRITER_NULL)
		sqlite3_bind_null(s, col);
	else
		sqlite3_bind_int64(s, col, v);
}

void writer_op(struct writer *w, const struct writer_op *op)
{
	sqlite3_stmt *s = w->stmt[W_OP];

	if (w->error)
		return;
	sqlite3_bind_int64(s, 1, op->id);
	bind_or_null(s, 2, op->token);
	bind_or_null(s, 3, op->graph);
	bind_or_null(s, 4, op->tensor);
	sqlite3_bind_int64(s, 5, op->tid);
	sqlite3_bind_int64(s, 6, op->thread_index);
	sqlite3_bind_int64(s, 7, op->cpu);
	sqlite3_bind_int64(s, 8, op->begin);
	sqlite3_bind_int64(s, 9, op->compute);
	bind_or_null(s, 10, op->wait);
	failed(w, sqlite3_step(s));
	sqlite3_reset(s);
}

int writer_error(const struct writer *w)
{
	return w->error;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What views share when they ask a run. */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/view.h"

static void bind_values(sqlite3_stmt *stmt, const char *fmt, va_list ap)
{
	for (int i = 0; fmt && fmt[i]; i++) {
		switch (fmt[i]) {
		case 'i':
			sqlite3_bind_int64(stmt, i + 1, va_arg(ap, int64_t));
			break;
		case 'd':
			sqlite3_bind_double(stmt, i + 1, va_arg(ap, double));
			break;
		default:
			sqlite3_bind_text(stmt, i + 1, va_arg(ap, const char *), -1,
					  SQLITE_TRANSIENT);
		}
	}
}

static sqlite3_stmt *query(sqlite3 *db, struct diag *d, const char *sql, const char *fmt,
			   va_list ap)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
		if (d)
			diag_add(d, DIAG_ERROR, "the run cannot be read: %s", sqlite3_errmsg(db));
		return NULL;
	}
	bind_values(stmt, fmt, ap);
	return stmt;
}

sqlite3_stmt *view_query(sqlite3 *db, struct diag *d, const char *sql, const char *fmt, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, fmt);
	stmt = query(db, d, sql, fmt, ap);
	va_end(ap);
	return stmt;
}

bool view_step(sqlite3_stmt *stmt)
{
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		return true;
	sqlite3_finalize(stmt);
	return false;
}

int64_t view_int(sqlite3 *db, int64_t none, const char *sql, const char *fmt, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, fmt);
	stmt = query(db, NULL, sql, fmt, ap);
	va_end(ap);
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		none = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return none;
}

double view_double(sqlite3 *db, double none, const char *sql, const char *fmt, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, fmt);
	stmt = query(db, NULL, sql, fmt, ap);
	va_end(ap);
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		none = sqlite3_column_double(stmt, 0);
	sqlite3_finalize(stmt);
	return none;
}

char *view_run_value(sqlite3 *db, const char *key)
{
	sqlite3_stmt *stmt = view_query(db, NULL, "SELECT value FROM run WHERE key = ?1", "s", key);
	char *value = NULL;

	if (stmt && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		value = xstrdup(view_text(stmt, 0));
	sqlite3_finalize(stmt);
	return value;
}

const char *view_text(sqlite3_stmt *stmt, int col)
{
	const char *text = (const char *)sqlite3_column_text(stmt, col);

	return text ? text : "";
}

bool view_has_column(sqlite3 *db, const char *table, const char *column)
{
	return sqlite3_table_column_metadata(db, NULL, table, column, NULL, NULL, NULL, NULL,
					     NULL) == SQLITE_OK;
}

static bool any(sqlite3 *db, const char *table)
{
	char *sql = xasprintf("SELECT 1 FROM %s LIMIT 1", table);
	bool found = view_int(db, 0, sql, NULL) != 0;

	free(sql);
	return found;
}

struct view_levels view_levels(sqlite3 *db)
{
	return (struct view_levels){
		.token = any(db, "token_t"),
		.graph = any(db, "graph_t"),
		.op = any(db, "op_phase_t"),
		.op_sum = any(db, "op_sum_t"),
		.sched = any(db, "sched_t"),
		.counter = any(db, "counter_t"),
		.expert = any(db, "expert_t"),
		.wait = any(db, "op_phase_t WHERE wait_known > 0"),
	};
}

void view_span(sqlite3 *db, int64_t *begin, int64_t *end)
{
	*begin = view_int(db, 0, "SELECT value FROM run WHERE key = 'begin_ns'", NULL);
	*end = view_int(db, *begin, "SELECT value FROM run WHERE key = 'end_ns'", NULL);
}

static int one_time(const char *text, int64_t base, int64_t *out, const char *option,
		    struct diag *d)
{
	uint64_t ns;

	if (!text)
		return 0;
	if (text_to_duration(text, &ns) < 0 || ns > INT64_MAX / 2)
		return diag_fail(d, -EINVAL,
				 "--%s '%s' is no time after the start; write 1.5s or 200ms",
				 option, text);
	*out = base + (int64_t)ns;
	return 0;
}

int view_range(sqlite3 *db, const struct view_opts *o, int64_t *begin, int64_t *end, struct diag *d)
{
	int64_t start;
	int err;

	view_span(db, begin, end);
	start = *begin;
	err = one_time(o->from, start, begin, "from", d);
	if (!err)
		err = one_time(o->to, start, end, "to", d);
	if (!err && *begin > *end)
		err = diag_fail(d, -EINVAL, "the time range is empty: it starts after it ends");
	return err;
}

int view_layers(const char *text, int *first, int *last, struct diag *d)
{
	char *end;
	long a, b;

	*first = -1;
	*last = INT_MAX;
	if (!text)
		return 0;
	a = b = strtol(text, &end, 10);
	if (end != text && *end == '-' && end[1])
		b = strtol(end + 1, &end, 10);
	if (end == text || *end || a < 0 || b < a || b > INT_MAX)
		return diag_fail(d, -EINVAL, "'%s' is no layer or range of layers; write 3 or 0-7",
				 text);
	*first = (int)a;
	*last = (int)b;
	return 0;
}

bool view_glob(const char *list, const char *name)
{
	if (!list)
		return true;
	while (*list) {
		size_t len = strcspn(list, ",");
		char *glob = xstrndup(list, len);
		bool match = fnmatch(glob, name, 0) == 0;

		free(glob);
		if (match)
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

static const struct {
	const char *op;
	enum op_class class;
} op_classes[] = {
	{"MUL_MAT", CLASS_MATMUL},
	{"MUL_MAT_ID", CLASS_MATMUL},
	{"OUT_PROD", CLASS_MATMUL},
	{"FLASH_ATTN_EXT", CLASS_ATTENTION},
	{"FLASH_ATTN", CLASS_ATTENTION},
	{"SOFT_MAX", CLASS_ATTENTION},
	{"ROPE", CLASS_ATTENTION},
	{"DIAG_MASK_INF", CLASS_ATTENTION},
	{"NORM", CLASS_NORM},
	{"RMS_NORM", CLASS_NORM},
	{"RMS_NORM+MUL", CLASS_NORM},
	{"GROUP_NORM", CLASS_NORM},
	{"L2_NORM", CLASS_NORM},
	{"ADD", CLASS_ELEMENT},
	{"ADD1", CLASS_ELEMENT},
	{"ADD_ID", CLASS_ELEMENT},
	{"SUB", CLASS_ELEMENT},
	{"MUL", CLASS_ELEMENT},
	{"DIV", CLASS_ELEMENT},
	{"SCALE", CLASS_ELEMENT},
	{"UNARY", CLASS_ELEMENT},
	{"GLU", CLASS_ELEMENT},
	{"SQR", CLASS_ELEMENT},
	{"SQRT", CLASS_ELEMENT},
	{"LOG", CLASS_ELEMENT},
	{"SIN", CLASS_ELEMENT},
	{"COS", CLASS_ELEMENT},
	{"SILU", CLASS_ELEMENT},
	{"CLAMP", CLASS_ELEMENT},
	{"SUM_ROWS", CLASS_ELEMENT},
	{"CPY", CLASS_MOVE},
	{"CONT", CLASS_MOVE},
	{"DUP", CLASS_MOVE},
	{"GET_ROWS", CLASS_MOVE},
	{"SET_ROWS", CLASS_MOVE},
	{"SET", CLASS_MOVE},
	{"CONCAT", CLASS_MOVE},
	{"REPEAT", CLASS_MOVE},
	{"PAD", CLASS_MOVE},
	{"VIEW", CLASS_MOVE},
	{"RESHAPE", CLASS_MOVE},
	{"PERMUTE", CLASS_MOVE},
	{"TRANSPOSE", CLASS_MOVE},
	/* Engines of a NeuronCore, by what they are for. */
	{"TENSOR_ENGINE", CLASS_MATMUL},
	{"VECTOR_ENGINE", CLASS_ELEMENT},
	{"SCALAR_ENGINE", CLASS_ELEMENT},
	{"DMA", CLASS_MOVE},
	{"COLLECTIVES", CLASS_MOVE},
};

enum op_class view_op_class(const char *op)
{
	for (size_t i = 0; i < ARRAY_LEN(op_classes); i++)
		if (strcmp(op, op_classes[i].op) == 0)
			return op_classes[i].class;
	return CLASS_OTHER;
}

const char *view_class_name(enum op_class c)
{
	static const char *const names[CLASS_COUNT] = {
		[CLASS_MATMUL] = "matrix products", [CLASS_ATTENTION] = "attention",
		[CLASS_NORM] = "normalisation",	    [CLASS_ELEMENT] = "element-wise",
		[CLASS_MOVE] = "data movement",	    [CLASS_OTHER] = "other",
	};

	return names[c];
}

double view_percentile(const double *sorted, size_t n, double p)
{
	double at = p / 100 * (double)(n ? n - 1 : 0);
	size_t i = (size_t)at;

	if (!n)
		return NAN;
	if (i + 1 >= n)
		return sorted[n - 1];
	return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

int view_cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "view/export/export.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"
#include "util/text.h"
#include "view/export/export_file.h"
#include "view/html/html_page.h"
#include "view/export/otlp.h"
#include "view/export/prometheus.h"
#include "view/view.h"

const char *const export_tables[] = {"run",	  "token",  "graph",	  "graph_async", "tensor",
				     "edge",	  "op",	    "op_summary", "counter",	 "sched",
				     "sched_run", "thread", "expert",	  "call",	 "plugin",
				     "loss",	  "cost",   "note",	  NULL};

static int known_table(const char *table, struct diag *d)
{
	size_t n = 0;
	const char *near;

	for (; export_tables[n]; n++)
		if (!strcmp(table, export_tables[n]))
			return 0;
	near = text_nearest_of(table, export_tables, n);
	return diag_fail(d, -EINVAL, "a run has no table '%s'%s%s", table,
			 near ? "; did you mean " : "", near ? near : "");
}

/* Runs of older versions lack the newer tables. */
static bool has_table(sqlite3 *db, const char *table)
{
	return view_int(db, 0, "SELECT 1 FROM sqlite_master WHERE type = 'view' AND name = ?1", "s",
			table) != 0;
}

static void csv_text(FILE *out, const char *text)
{
	if (*text && !strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_double(FILE *out, double value)
{
	struct buf text = {0};

	buf_double(&text, value);
	fputs(buf_str(&text), out);
	buf_free(&text);
}

static void csv_cell(FILE *out, sqlite3_stmt *row, int col)
{
	switch (sqlite3_column_type(row, col)) {
	case SQLITE_NULL:
		break;
	case SQLITE_INTEGER:
		fprintf(out, "%" PRId64, (int64_t)sqlite3_column_int64(row, col));
		break;
	case SQLITE_FLOAT:
		put_double(out, sqlite3_column_double(row, col));
		break;
	default:
		csv_text(out, view_text(row, col));
	}
}

static void csv_row(FILE *out, sqlite3_stmt *row, const char *run)
{
	if (run)
		csv_text(out, run);
	for (int i = 0; i < sqlite3_column_count(row); i++) {
		if (i || run)
			fputc(',', out);
		csv_cell(out, row, i);
	}
	fputc('\n', out);
}

static void csv_header(FILE *out, sqlite3_stmt *row, const char *run)
{
	if (run)
		fputs("run_id", out);
	for (int i = 0; i < sqlite3_column_count(row); i++)
		fprintf(out, "%s%s", i || run ? "," : "", sqlite3_column_name(row, i));
	fputc('\n', out);
}

static void json_row(FILE *out, sqlite3_stmt *row, struct buf *text)
{
	for (int i = 0; i < sqlite3_column_count(row); i++) {
		fprintf(out, "%s\"%s\":", i ? "," : "{", sqlite3_column_name(row, i));
		switch (sqlite3_column_type(row, i)) {
		case SQLITE_NULL:
			fputs("null", out);
			break;
		case SQLITE_TEXT:
			buf_reset(text);
			html_json_string(text, view_text(row, i));
			fputs(buf_str(text), out);
			break;
		case SQLITE_FLOAT:
			if (isfinite(sqlite3_column_double(row, i)))
				put_double(out, sqlite3_column_double(row, i));
			else
				fputs("null", out);
			break;
		default:
			csv_cell(out, row, i);
		}
	}
	fputs("}\n", out);
}

int export_table(sqlite3 *db, const char *table, enum export_format format, const char *run,
		 FILE *out, uint64_t *rows, struct diag *d)
{
	int err = known_table(table, d);
	struct buf text = {0};
	sqlite3_stmt *row;
	uint64_t n = 0;
	char *sql;

	if (err)
		return err;
	if (!has_table(db, table))
		return diag_fail(d, -ENOENT,
				 "this run is of an older version and has no table '%s'", table);
	sql = xasprintf("SELECT * FROM \"%s\"", table);
	row = view_query(db, d, sql, NULL);
	free(sql);
	if (!row)
		return -EIO;
	run = format == EXPORT_POSTGRES ? run : NULL;
	if (format != EXPORT_JSONL)
		csv_header(out, row, run);
	for (; sqlite3_step(row) == SQLITE_ROW; n++) {
		if (format == EXPORT_JSONL)
			json_row(out, row, &text);
		else
			csv_row(out, row, run);
	}
	if (sqlite3_finalize(row) != SQLITE_OK)
		err = diag_fail(d, -EIO, "cannot read table %s: %s", table, sqlite3_errmsg(db));
	buf_free(&text);
	if (rows)
		*rows = n;
	return err;
}

/* The declared type of a column of a view; expressions have none, and ours are times. */
static const char *postgres_type(sqlite3 *db, const char *table, const char *column)
{
	sqlite3_stmt *s =
		view_query(db, NULL, "SELECT type FROM pragma_table_info(?1) WHERE name = ?2", "ss",
			   table, column);
	const char *type = "bigint";

	if (s && sqlite3_step(s) == SQLITE_ROW) {
		if (!strcmp(view_text(s, 0), "TEXT"))
			type = "text";
		else if (!strcmp(view_text(s, 0), "REAL"))
			type = "double precision";
	}
	sqlite3_finalize(s);
	return type;
}

static void postgres_table(sqlite3 *db, const char *table, FILE *out)
{
	sqlite3_stmt *s =
		view_query(db, NULL, "SELECT name FROM pragma_table_info(?1)", "s", table);

	fprintf(out, "CREATE TABLE IF NOT EXISTS %s (run_id text NOT NULL", table);
	while (view_step(s))
		fprintf(out, ", %s %s", view_text(s, 0), postgres_type(db, table, view_text(s, 0)));
	fprintf(out, ");\n\\copy %s FROM '%s.csv' WITH (FORMAT csv, HEADER)\n", table, table);
}

static void postgres_script(sqlite3 *db, FILE *out)
{
	fputs("-- Loads one exported run beside those that are there already:\n"
	      "--   cd FOLDER && psql -d DATABASE -f load.sql\n"
	      "-- The tables are llmprobe's public views with the run's name in front.\n"
	      "\\set ON_ERROR_STOP on\nSET client_min_messages TO warning;\nBEGIN;\n"
	      "CREATE SCHEMA IF NOT EXISTS llmprobe;\nSET search_path TO llmprobe;\n",
	      out);
	for (const char *const *t = export_tables; *t; t++)
		if (has_table(db, *t))
			postgres_table(db, *t, out);
	fputs("\\ir report.sql\nCOMMIT;\n", out);
}

/* The report's queries, for the database. */
static int write_report_queries(const char *dir, bool force, struct diag *d)
{
	char *path = xasprintf("%s/report.sql", dir);
	char *text = data_file_read("host/view/assets/postgres.sql");
	struct export_file f;
	int err = text ? export_file_open(&f, path, NULL, force, false, d)
		       : diag_fail(d, -ENOENT, "postgres.sql is missing from the data directory");

	if (!err) {
		fputs(text, f.out);
		err = export_file_close(&f, 0, d);
	}
	free(text);
	free(path);
	return err;
}

static int write_file(sqlite3 *db, const char *dir, const char *table, enum export_format format,
		      const char *run, bool force, uint64_t *rows, struct diag *d)
{
	char *path = xasprintf("%s/%s.%s", dir, table ? table : "load",
			       !table			? "sql"
			       : format == EXPORT_JSONL ? "jsonl"
							: "csv");
	struct export_file f;
	int err = export_file_open(&f, path, NULL, force, false, d);

	if (!err) {
		if (table)
			err = export_table(db, table, format, run, f.out, rows, d);
		else
			postgres_script(db, f.out);
		err = export_file_close(&f, err, d);
	}
	free(path);
	return err;
}

int export_folder(sqlite3 *db, const char *dir, enum export_format format, const char *run,
		  bool force, struct diag *d)
{
	int err = file_mkdirs(dir, 0777);
	uint64_t rows, total = 0;
	int tables = 0;

	if (err)
		return diag_fail(d, err, "cannot make the folder %s: %s", dir, strerror(-err));
	for (const char *const *t = export_tables; *t && !err; t++) {
		if (!has_table(db, *t))
			continue;
		tables++;
		err = write_file(db, dir, *t, format, run, force, &rows, d);
		total += err ? 0 : rows;
	}
	if (!err && format == EXPORT_POSTGRES)
		err = write_file(db, dir, NULL, format, run, force, NULL, d);
	if (!err && format == EXPORT_POSTGRES)
		err = write_report_queries(dir, force, d);
	if (!err)
		diag_add(d, DIAG_NOTE, "%s: %" PRIu64 " rows in %d tables", dir, total, tables);
	return err;
}

static int format_of(const struct view_opts *o, enum export_format *format, struct diag *d)
{
	static const char *const names[] = {"csv", "jsonl", "postgres", "prometheus"};
	const char *name = o->format ? o->format : o->json ? "jsonl" : "csv";

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i])) {
			*format = (enum export_format)i;
			return 0;
		}
	return diag_fail(d, -EINVAL,
			 "export has no format '%s'; it writes csv, jsonl, postgres and prometheus",
			 name);
}

static int print_metrics(sqlite3 *db, const struct view_opts *o, FILE *out, struct diag *d)
{
	struct metrics *m = metrics_of_run(db);
	struct export_file f;
	struct buf text = {0};
	int err = export_file_open(&f, o->output, out, o->force, false, d);

	if (!err) {
		prometheus_text(m, &text);
		fputs(buf_str(&text), f.out);
		err = export_file_close(&f, 0, d);
	}
	buf_free(&text);
	metrics_free(m);
	return err;
}

static int print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
		 struct diag *d)
{
	const char *slash = strrchr(runs[0].name, '/');
	const char *run = slash ? slash + 1 : runs[0].name;
	enum export_format format = EXPORT_CSV;
	struct export_file f;
	int err = format_of(o, &format, d);

	(void)n;
	if (err)
		return err;
	if (o->otlp)
		return otlp_send(runs[0].db, o->otlp, d);
	if (format == EXPORT_PROMETHEUS)
		return print_metrics(runs[0].db, o, out, d);
	if (!o->table && !o->output)
		return diag_fail(d, -EINVAL,
				 "export needs -o FOLDER for all tables, or --table NAME "
				 "for one");
	if (!o->table)
		return export_folder(runs[0].db, o->output, format, run, o->force, d);
	err = known_table(o->table, d);
	if (!err)
		err = export_file_open(&f, o->output, out, o->force, false, d);
	if (err)
		return err;
	err = export_table(runs[0].db, o->table, format, run, f.out, NULL, d);
	return export_file_close(&f, err, d);
}

const struct view view_export = {
	.name = "export",
	.args = "RUN",
	.help = "write the tables of a run as CSV, JSON lines or for PostgreSQL, or its metrics",
	.about = "Formats: csv, jsonl, postgres (a folder with load.sql), prometheus (for a "
		 "text-file "
		 "collector). --table names one public view of the run (see RUN FILES of the man "
		 "page), -o FOLDER writes all. --otlp sends metrics and spans to a collector (OTLP "
		 "over HTTP, JSON). A recording that was interrupted is completed first.",
	.options = "format table output force json otlp",
	.min_runs = 1,
	.max_runs = 1,
	.print = print,
};

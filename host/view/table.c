/* SPDX-License-Identifier: Apache-2.0 */
#include "view/table.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/median.h"
#include "util/text.h"

struct column {
	const char *key, *title;
	enum table_type type;
};

struct cell {
	char *text;
	double number;
};

struct table {
	struct column *columns;
	size_t n_columns, columns_cap;
	struct cell **rows;
	size_t n_rows, rows_cap;
	size_t filled; /* cells of the last row */
};

enum { BAR_CELLS = 12, GAP = 2, MIN_TEXT = 12 };

struct table *table_new(void)
{
	return xcalloc(1, sizeof(struct table));
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t r = 0; r < t->n_rows; r++) {
		for (size_t c = 0; c < t->n_columns; c++)
			free(t->rows[r][c].text);
		free(t->rows[r]);
	}
	free(t->rows);
	free(t->columns);
	free(t);
}

void table_column(struct table *t, const char *key, const char *title, enum table_type type)
{
	*VEC_PUSH(t->columns, t->n_columns, t->columns_cap) = (struct column){key, title, type};
}

void table_row(struct table *t)
{
	struct cell *cells = xcalloc(t->n_columns, sizeof(*cells));

	for (size_t i = 0; i < t->n_columns; i++)
		cells[i].number = NAN;
	*VEC_PUSH(t->rows, t->n_rows, t->rows_cap) = cells;
	t->filled = 0;
}

void table_text(struct table *t, const char *text)
{
	struct cell *c;

	if (!t->n_rows || t->filled >= t->n_columns)
		return;
	c = &t->rows[t->n_rows - 1][t->filled++];
	c->text = text ? text_to_utf8(text) : NULL;
}

void table_number(struct table *t, double value)
{
	if (t->n_rows && t->filled < t->n_columns)
		t->rows[t->n_rows - 1][t->filled++].number = value;
}

size_t table_rows(const struct table *t)
{
	return t->n_rows;
}

static const struct cell *cell_at(const struct table *t, size_t row, const char *key)
{
	size_t c = 0;

	while (strcmp(t->columns[c].key, key) != 0)
		c++;
	return &t->rows[row][c];
}

const char *table_text_at(const struct table *t, size_t row, const char *key)
{
	const char *text = cell_at(t, row, key)->text;

	return text ? text : "";
}

double table_number_at(const struct table *t, size_t row, const char *key)
{
	return cell_at(t, row, key)->number;
}

/* Sorting: stable, so that rows equal in the key keep their order. */

struct order {
	size_t column;
	bool text, turned;
};

static int compare(const struct order *o, const struct cell *a, const struct cell *b)
{
	double x = a[o->column].number, y = b[o->column].number;
	int r;

	if (o->text)
		r = strcmp(a[o->column].text ? a[o->column].text : "",
			   b[o->column].text ? b[o->column].text : "");
	else if (isnan(x) || isnan(y))
		return isnan(x) - isnan(y); /* unknown goes last, either way round */
	else
		r = (y > x) - (y < x);
	return o->turned ? -r : r;
}

static void merge_sort(struct cell **rows, struct cell **spare, size_t n, const struct order *o)
{
	size_t half = n / 2, i = 0, j = half, k = 0;

	if (n < 2)
		return;
	merge_sort(rows, spare, half, o);
	merge_sort(rows + half, spare, n - half, o);
	while (i < half && j < n)
		spare[k++] = compare(o, rows[i], rows[j]) <= 0 ? rows[i++] : rows[j++];
	while (i < half)
		spare[k++] = rows[i++];
	memcpy(rows, spare, k * sizeof(*rows));
}

static int no_column(const struct table *t, const char *key, struct diag *d)
{
	const char **names = xcalloc(t->n_columns + 1, sizeof(*names));
	struct buf list = {0};
	const char *near;

	for (size_t i = 0; i < t->n_columns; i++) {
		names[i] = t->columns[i].key;
		if (t->columns[i].type != TABLE_BAR)
			buf_printf(&list, "%s%s", list.len ? ", " : "", names[i]);
	}
	near = text_nearest_of(key, names, t->n_columns);
	diag_add(d, DIAG_ERROR, "no column '%s' to sort by; %s%s", key,
		 near ? "did you mean " : "there are ", near ? near : buf_str(&list));
	buf_free(&list);
	free(names);
	return -EINVAL;
}

int table_sort(struct table *t, const char *key, struct diag *d)
{
	struct order o = {.turned = key[0] == '-'};
	struct cell **spare;

	key += o.turned;
	while (o.column < t->n_columns && strcmp(t->columns[o.column].key, key) != 0)
		o.column++;
	if (o.column == t->n_columns)
		return no_column(t, key, d);
	o.text = t->columns[o.column].type == TABLE_TEXT;
	spare = xcalloc(t->n_rows + 1, sizeof(*spare));
	merge_sort(t->rows, spare, t->n_rows, &o);
	free(spare);
	return 0;
}

/* Text. */

size_t table_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

const char *table_bar(double f, int cells, bool ascii, char *out)
{
	static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	int eighths;
	char *p = out;

	if (!(f > 0))
		f = 0;
	if (f > 1)
		f = 1;
	eighths = (int)lround(f * cells * 8);
	for (int i = 0; i < eighths / 8; i++)
		p = stpcpy(p, ascii ? "#" : "█");
	if (!ascii)
		p = stpcpy(p, part[eighths % 8]);
	*p = '\0';
	return out;
}

/* Medians of stretches of the series: one value far out would flatten all the others. */
static double *stretches(const double *values, size_t n, size_t cells)
{
	double *out = xcalloc(cells + 1, sizeof(*out)), *own = xcalloc(n + 1, sizeof(*own));

	for (size_t i = 0; i < cells; i++) {
		size_t from = i * n / cells, to = (i + 1) * n / cells;

		memcpy(own, values + from, (to - from) * sizeof(*own));
		out[i] = median(own, to - from);
	}
	free(own);
	return out;
}

char *table_spark(const double *values, size_t n, size_t cells, bool ascii)
{
	static const char *const block[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char levels[] = "_.-=+*#@";
	struct buf b = {0};
	double max = 0, *cell;

	if (cells > n)
		cells = n;
	cell = stretches(values, n, cells);
	for (size_t i = 0; i < cells; i++)
		max = cell[i] > max ? cell[i] : max;
	for (size_t i = 0; i < cells; i++) {
		int level = max > 0 ? (int)(cell[i] / max * 7.999) : 0;

		level = level < 0 ? 0 : level;
		if (ascii)
			buf_putc(&b, levels[level]);
		else
			buf_puts(&b, block[level]);
	}
	buf_puts(&b, "");
	free(cell);
	return buf_take(&b);
}

void table_wrap(const char *text, int64_t width, size_t indent, FILE *out)
{
	size_t column = indent, room = width > 0 ? (size_t)width : SIZE_MAX;

	for (bool first = true; *text; first = false) {
		size_t bytes = strcspn(text, " ");
		char *raw = xstrndup(text, bytes), *word = text_for_terminal(raw);
		size_t len = table_width(word);

		/* A percent sign stays with its number. */
		if (!first && column + 1 + len > room && column > indent && *word != '%') {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', out);
			column++;
		}
		fputs(word, out);
		free(word);
		free(raw);
		column += len;
		text += bytes + (text[bytes] == ' ');
	}
	fputc('\n', out);
}

static const char *show_number(double v, char out[32])
{
	double a = fabs(v);

	if (v == floor(v) && a < 1e6)
		snprintf(out, 32, "%.0f", v);
	else if (a >= 1e6 || a < 1e-3)
		snprintf(out, 32, "%.3g", v);
	else
		snprintf(out, 32, "%.*f", a >= 100 ? 0 : a >= 10 ? 1 : a >= 1 ? 2 : 3, v);
	return out;
}

static char *show(const struct column *col, const struct cell *c, bool ascii)
{
	char tmp[4 * BAR_CELLS + 32];

	if (col->type == TABLE_TEXT)
		return text_for_terminal(c->text ? c->text : "-");
	if (isnan(c->number))
		return xstrdup(col->type == TABLE_BAR ? "" : "-");
	switch (col->type) {
	case TABLE_COUNT:
		if (c->number < 0)
			return xasprintf("%.0f", c->number);
		return xstrdup(text_count((uint64_t)c->number, tmp));
	case TABLE_NS:
		return xstrdup(text_ns(c->number, tmp));
	case TABLE_BYTES:
		return xstrdup(text_bytes(c->number, tmp));
	case TABLE_PERCENT:
		return xasprintf("%.1f %%", c->number * 100);
	case TABLE_CHANGE:
		return xasprintf("%+.1f %%", c->number * 100);
	case TABLE_BAR:
		return xstrdup(table_bar(c->number, BAR_CELLS, ascii, tmp));
	default:
		return xstrdup(show_number(c->number, tmp));
	}
}

static void pad(FILE *out, size_t n)
{
	fprintf(out, "%*s", (int)n, "");
}

/* Bytes of the first `columns` characters. */
static size_t bytes_of(const char *text, size_t columns)
{
	const char *p = text;

	while (*p && columns--)
		for (p++; ((unsigned char)*p & 0xc0) == 0x80;)
			p++;
	return (size_t)(p - text);
}

/* Keeps the head and the tail, where names of tensors differ. */
static void put_cut(FILE *out, const char *text, size_t width)
{
	size_t head = (width - 2) / 2, tail = width - 2 - head;

	fprintf(out, "%.*s..%s", (int)bytes_of(text, head), text,
		text + bytes_of(text, table_width(text) - tail));
}

static void put_cell(FILE *out, const struct column *col, const char *text, size_t width, bool last)
{
	size_t w = table_width(text);
	bool left = col->type == TABLE_TEXT || col->type == TABLE_BAR;

	if (w > width) {
		width > 4 ? put_cut(out, text, width)
			  : (void)fprintf(out, "%.*s", (int)bytes_of(text, width), text);
		w = width;
		left = true;
	} else if (left) {
		fputs(text, out);
	} else {
		pad(out, width - w);
		fputs(text, out);
	}
	if (!last)
		pad(out, GAP + (left && w < width ? width - w : 0));
}

static size_t total_width(const struct table *t, const size_t *width)
{
	size_t total = 0;

	for (size_t c = 0; c < t->n_columns; c++)
		total += width[c] ? width[c] + GAP : 0;
	return total ? total - GAP : 0;
}

/* The widest text that can be cut, t->n_columns when there is none. */
static size_t widest_text(const struct table *t, const size_t *width)
{
	size_t widest = t->n_columns;

	for (size_t c = 0; c < t->n_columns; c++)
		if (t->columns[c].type == TABLE_TEXT && width[c] > MIN_TEXT &&
		    (widest == t->n_columns || width[c] > width[widest]))
			widest = c;
	return widest;
}

/* Makes the table fit by setting columns to less, to 0 for those that are left out altogether. */
static void fit(const struct table *t, size_t *width, size_t columns)
{
	size_t c;

	for (c = 0; c < t->n_columns && total_width(t, width) > columns; c++)
		if (t->columns[c].type == TABLE_BAR)
			width[c] = 0;
	while (total_width(t, width) > columns && (c = widest_text(t, width)) < t->n_columns)
		width[c]--;
	for (c = t->n_columns; c-- > 1 && total_width(t, width) > columns;)
		width[c] = 0;
}

static size_t last_shown(const struct table *t, const size_t *width)
{
	size_t last = t->n_columns;

	while (last > 0 && !width[last - 1])
		last--;
	return last;
}

static void print_left_out(const struct table *t, const size_t *width, const struct view_opts *o,
			   FILE *out)
{
	struct buf names = {0};

	for (size_t c = 0; c < t->n_columns; c++)
		if (!width[c] && *t->columns[c].title)
			buf_printf(&names, "%s%s", names.len ? ", " : "", t->columns[c].title);
	if (names.len) {
		char *line = xasprintf("(no room for: %s)", buf_str(&names));

		table_wrap(line, o->width, 1, out);
		free(line);
	}
	buf_free(&names);
}

static void print_line(const struct table *t, char *const *texts, const size_t *width, FILE *out)
{
	size_t last = last_shown(t, width);

	for (size_t c = 0; c < last; c++)
		if (width[c])
			put_cell(out, &t->columns[c], texts ? texts[c] : t->columns[c].title,
				 width[c], c + 1 == last);
}

static void print_text(const struct table *t, const struct view_opts *o, size_t n, FILE *out)
{
	size_t *width = xcalloc(t->n_columns, sizeof(*width));
	char **texts = xcalloc(n * t->n_columns + 1, sizeof(*texts));

	for (size_t c = 0; c < t->n_columns; c++) {
		width[c] = table_width(t->columns[c].title);
		for (size_t r = 0; r < n; r++) {
			char *s = show(&t->columns[c], &t->rows[r][c], o->ascii);

			texts[r * t->n_columns + c] = s;
			width[c] = table_width(s) > width[c] ? table_width(s) : width[c];
		}
	}
	if (o->width > 0)
		fit(t, width, (size_t)o->width);
	fputs(o->colour ? "\033[1m" : "", out);
	print_line(t, NULL, width, out);
	fputs(o->colour ? "\033[0m\n" : "\n", out);
	for (size_t r = 0; r < n; r++) {
		print_line(t, texts + r * t->n_columns, width, out);
		fputc('\n', out);
	}
	for (size_t i = 0; i < n * t->n_columns; i++)
		free(texts[i]);
	free(texts);
	print_left_out(t, width, o, out);
	free(width);
}

static void csv_text(FILE *out, const char *s)
{
	if (!strpbrk(s, ",\"\n\r")) {
		fputs(s, out);
		return;
	}
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', out);
		fputc(*s, out);
	}
	fputc('"', out);
}

static void print_csv(const struct table *t, size_t n, FILE *out)
{
	for (size_t r = 0; r <= n; r++) {
		bool first = true;

		for (size_t c = 0; c < t->n_columns; c++) {
			const struct cell *cell = r ? &t->rows[r - 1][c] : NULL;

			if (t->columns[c].type == TABLE_BAR)
				continue;
			if (!first)
				fputc(',', out);
			first = false;
			if (!cell)
				csv_text(out, t->columns[c].key);
			else if (t->columns[c].type == TABLE_TEXT)
				csv_text(out, cell->text ? cell->text : "");
			else if (!isnan(cell->number))
				fprintf(out, "%.15g", cell->number);
		}
		fputc('\n', out);
	}
}

struct cJSON *table_json(const struct table *t, size_t limit)
{
	cJSON *rows = cJSON_CreateArray();

	for (size_t r = 0; r < t->n_rows && (!limit || r < limit); r++) {
		cJSON *row = cJSON_CreateObject();

		for (size_t c = 0; c < t->n_columns; c++) {
			const struct cell *cell = &t->rows[r][c];
			const char *key = t->columns[c].key;

			if (t->columns[c].type == TABLE_BAR)
				continue;
			if (t->columns[c].type == TABLE_TEXT && cell->text)
				cJSON_AddStringToObject(row, key, cell->text);
			else if (t->columns[c].type == TABLE_TEXT || isnan(cell->number))
				cJSON_AddNullToObject(row, key);
			else
				cJSON_AddNumberToObject(row, key, cell->number);
		}
		cJSON_AddItemToArray(rows, row);
	}
	return rows;
}

void table_print(const struct table *t, const struct view_opts *o, size_t dflt, FILE *out)
{
	size_t limit = o->limit > 0	   ? (size_t)o->limit
		       : o->limit < 0	   ? 0
		       : o->json || o->csv ? 0
					   : dflt;
	size_t n = limit && limit < t->n_rows ? limit : t->n_rows;

	if (o->json) {
		cJSON *rows = table_json(t, n);
		char *text = cJSON_Print(rows);

		fprintf(out, "%s\n", text);
		free(text);
		cJSON_Delete(rows);
	} else if (o->csv) {
		print_csv(t, n, out);
	} else {
		print_text(t, o, n, out);
		if (n < t->n_rows)
			fprintf(out, "(%zu of %zu rows; --limit -1 shows all)\n", n, t->n_rows);
	}
}

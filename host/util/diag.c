/* SPDX-License-Identifier: Apache-2.0 */
#include "util/diag.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

struct message {
	enum diag_severity sev;
	char *text;
	char *file;  /* NULL when the message points nowhere */
	char *lines; /* the source lines of the span, without the last newline */
	struct span at;
};

struct diag {
	struct message *msgs;
	size_t count, cap;
};

static const struct {
	const char *field, *bpftrace, *colour;
} severity_names[] = {
	[DIAG_ERROR] = {"error", "ERROR", "\033[31m"},
	[DIAG_WARNING] = {"warning", "WARNING", "\033[33m"},
	[DIAG_HINT] = {"hint", "HINT", "\033[36m"},
	[DIAG_NOTE] = {"note", "NOTE", "\033[36m"},
};

struct diag *diag_new(void)
{
	return xcalloc(1, sizeof(struct diag));
}

void diag_clear(struct diag *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->msgs[i].text);
		free(d->msgs[i].file);
		free(d->msgs[i].lines);
	}
	d->count = 0;
}

void diag_move(struct diag *d, struct diag *from)
{
	for (size_t i = 0; i < from->count; i++)
		*VEC_PUSH(d->msgs, d->count, d->cap) = from->msgs[i];
	from->count = 0;
}

void diag_free(struct diag *d)
{
	if (!d)
		return;
	diag_clear(d);
	free(d->msgs);
	free(d);
}

void diag_vadd(struct diag *d, enum diag_severity sev, const char *fmt, va_list ap)
{
	struct message *m = VEC_PUSH(d->msgs, d->count, d->cap);

	m->sev = sev;
	m->text = xvasprintf(fmt, ap);
}

void diag_add(struct diag *d, enum diag_severity sev, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_vadd(d, sev, fmt, ap);
	va_end(ap);
}

/* Copies lines first..last of the source (counted from 1). */
static char *copy_lines(const struct source *src, int first, int last)
{
	const char *p = src->text, *end = src->text + src->len, *stop;

	for (int line = 1; line < first && p < end; line++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : end;
	}
	stop = p;
	for (int line = first; line <= last && stop < end; line++) {
		const char *nl = memchr(stop, '\n', (size_t)(end - stop));

		if (!nl || line == last) {
			stop = nl ? nl : end;
			break;
		}
		stop = nl + 1;
	}
	return xstrndup(p, (size_t)(stop - p));
}

static void add_at(struct diag *d, enum diag_severity sev, const struct source *src, struct span at,
		   const char *fmt, va_list ap)
{
	struct message *m;

	diag_vadd(d, sev, fmt, ap);
	m = &d->msgs[d->count - 1];
	if (at.end_line < at.line)
		at.end_line = at.line;
	if (at.end_line == at.line && at.end_col <= at.col)
		at.end_col = at.col + 1;
	m->file = xstrdup(src->name);
	m->lines = copy_lines(src, at.line, at.end_line);
	m->at = at;
}

void diag_add_at(struct diag *d, enum diag_severity sev, const struct source *src, struct span at,
		 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_at(d, sev, src, at, fmt, ap);
	va_end(ap);
}

int diag_fail(struct diag *d, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_vadd(d, DIAG_ERROR, fmt, ap);
	va_end(ap);
	return err;
}

int diag_fail_at(struct diag *d, int err, const struct source *src, struct span at, const char *fmt,
		 ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_at(d, DIAG_ERROR, src, at, fmt, ap);
	va_end(ap);
	return err;
}

size_t diag_count(const struct diag *d, enum diag_severity sev)
{
	size_t n = 0;

	for (size_t i = 0; i < d->count; i++)
		n += d->msgs[i].sev == sev;
	return n;
}

const char *diag_first_error(const struct diag *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->msgs[i].sev == DIAG_ERROR)
			return d->msgs[i].text;
	return "";
}

/* Tabs become `tab` spaces so that the marker line below can count columns. */
static void print_marked_line(FILE *out, const struct message *m, const char *first,
			      const char *rest, int tab)
{
	const char *line = m->lines;
	int pad = 0, width = 0;

	for (int col = 1; line[col - 1] || col < m->at.end_col; col++) {
		char c = line[col - 1];
		int cells = c == '\t' ? tab : 1;

		if (col < m->at.col)
			pad += cells;
		else if (col < m->at.end_col)
			width += cells;
		if (!c)
			break;
		fprintf(out, "%*s", cells, c == '\t' ? "" : (char[]){c, '\0'});
	}
	fprintf(out, "\n%*s%s", pad, "", first);
	for (int i = 1; i < width; i++)
		fputs(rest, out);
	fputc('\n', out);
}

static void print_position(FILE *out, const struct message *m, enum diag_style style)
{
	if (style == DIAG_STYLE_FIELD)
		fprintf(out, "%s:%d:%d: ", m->file, m->at.line, m->at.col);
	else if (m->at.end_line > m->at.line)
		fprintf(out, "%s:%d-%d: ", m->file, m->at.line, m->at.end_line);
	else
		fprintf(out, "%s:%d:%d-%d: ", m->file, m->at.line, m->at.col, m->at.end_col);
}

static void print_message(FILE *out, const struct message *m, enum diag_style style, bool colour)
{
	bool field = style == DIAG_STYLE_FIELD;
	const char *name = field ? severity_names[m->sev].field : severity_names[m->sev].bpftrace;

	if (m->file)
		print_position(out, m, style);
	else if (field)
		fputs("llmprobe: ", out);
	fprintf(out, "%s%s:%s %s\n", colour ? severity_names[m->sev].colour : "", name,
		colour ? "\033[0m" : "", m->text);
	if (!m->file)
		return;
	if (m->at.end_line > m->at.line)
		fprintf(out, "%s\n", m->lines);
	else
		print_marked_line(out, m, field ? "^" : "~", "~", field ? 8 : 4);
}

void diag_print(const struct diag *d, FILE *out, enum diag_style style, bool colour)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->msgs[i].sev == DIAG_ERROR)
			print_message(out, &d->msgs[i], style, colour);
	for (size_t i = 0; i < d->count; i++)
		if (d->msgs[i].sev != DIAG_ERROR)
			print_message(out, &d->msgs[i], style, colour);
}

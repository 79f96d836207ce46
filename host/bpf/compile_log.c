/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/compile_log.h"

#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "util/text.h"

enum { LOG_LINE_MAX = 1 << 20, LOG_MESSAGES_MAX = 40 };

struct log {
	char **lines;
	size_t n, cap;
};

static void split(struct log *log, const char *text, size_t len)
{
	const char *end = text + len, *nl;

	for (; text < end; text = nl + 1) {
		nl = memchr(text, '\n', end - text);
		if (!nl)
			nl = end;
		*VEC_PUSH(log->lines, log->n, log->cap) = xstrndup(text, nl - text);
	}
}

static const struct {
	const char *text;
	enum diag_severity severity;
} severities[] = {
	{"fatal error: ", DIAG_ERROR},
	{"error: ", DIAG_ERROR},
	{"warning: ", DIAG_WARNING},
	{"note: ", DIAG_NOTE},
};

struct message {
	char *file;
	int line, col;
	enum diag_severity severity;
	const char *text;
};

/* ":12:34: " backwards from where the severity starts; false when the line is something else. */
static bool parse_place(const char *line, size_t len, struct message *m)
{
	size_t at = len;
	int *out[2] = {&m->col, &m->line}, i;

	if (at < 2 || line[at - 1] != ' ' || line[at - 2] != ':')
		return false;
	at -= 2;
	for (i = 0; i < 2; i++) {
		size_t end = at;

		while (at && line[at - 1] >= '0' && line[at - 1] <= '9')
			at--;
		if (at == end || end - at > 7 || !at || line[at - 1] != ':')
			return false;
		*out[i] = atoi(line + at);
		at--;
	}
	m->file = xstrndup(line, at);
	return at > 0;
}

static bool parse_message(const char *line, struct message *m)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(severities); i++) {
		const char *at = strstr(line, severities[i].text);

		if (!at)
			continue;
		m->severity = severities[i].severity;
		m->text = at + strlen(severities[i].text);
		if (parse_place(line, at - line, m))
			return true;
		free(m->file);
		m->file = NULL;
		return false;
	}
	return false;
}

/* The two lines behind a message: the source and "   ^~~~". */
static int caret_width(const char *line)
{
	const char *caret = line ? strchr(line, '^') : NULL;

	if (!caret || strspn(line, " \t~^") == 0)
		return 0;
	return 1 + (int)strspn(caret + 1, "~");
}

/* A text that has the quoted line at the right number, for diag_add_at. */
static void add_at(struct diag *d, const struct message *m, const char *quoted, int width)
{
	struct span at = {m->line, m->col, m->line, m->col + width};
	struct source src = {.name = m->file};
	struct buf text = {0};
	int i;

	for (i = 1; i < m->line; i++)
		buf_putc(&text, '\n');
	buf_puts(&text, quoted);
	src.text = buf_str(&text);
	src.len = text.len;
	diag_add_at(d, m->severity, &src, at, "%s", m->text);
	buf_free(&text);
}

/* What libbcc and LLVM say without a place. */
static void add_plain(struct diag *d, const char *line)
{
	bool error = strstr(line, "error") || strstr(line, "Error") || strstr(line, "rror:") ||
		     strstr(line, "could not") || strstr(line, "annot ");

	if (!*line || text_starts(line, "In file included from") || strstr(line, " generated.") ||
	    strstr(line, "from the command line"))
		return;
	if (strspn(line, " \t^~|") == strlen(line))
		return;
	diag_add(d, error ? DIAG_ERROR : DIAG_NOTE, "compiler: %s", line);
}

void compile_log_to_diag(const char *text, size_t len, struct diag *d)
{
	struct log log = {0};
	size_t i, shown = 0;

	split(&log, text, len);
	for (i = 0; i < log.n && shown < LOG_MESSAGES_MAX; i++) {
		const char *source = i + 1 < log.n ? log.lines[i + 1] : "";
		const char *carets = i + 2 < log.n ? log.lines[i + 2] : NULL;
		struct message m = {0};
		int width;

		shown++;
		if (!parse_message(log.lines[i], &m)) {
			add_plain(d, log.lines[i]);
			continue;
		}
		width = caret_width(carets);
		if (width) {
			add_at(d, &m, source, width);
			i += 2;
		} else {
			diag_add(d, m.severity, "%s:%d:%d: %s", m.file, m.line, m.col, m.text);
		}
		free(m.file);
	}
	for (i = 0; i < log.n; i++)
		free(log.lines[i]);
	free(log.lines);
}

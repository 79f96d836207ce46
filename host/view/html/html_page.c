/* SPDX-License-Identifier: Apache-2.0 */
#include "view/html/html_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"
#include "util/text.h"
#include "view/html/html.h"

static const struct html_slot *slot_at(const char *at, const struct html_slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(slots[i].name);

		if (!strncmp(at + 1, slots[i].name, len) && at[1 + len] == '@')
			return &slots[i];
	}
	return NULL;
}

int html_page(const char *asset, const struct html_slot *slots, size_t n, FILE *out, struct diag *d)
{
	char *page = data_file_read(asset), *p = page;
	int err = 0;

	if (!page)
		return diag_fail(d, -ENOENT, "%s is missing from the data directory", asset);
	while (*p && !err) {
		size_t len = strcspn(p, "@");
		const struct html_slot *s;

		fwrite(p, 1, len, out);
		p += len;
		if (!*p)
			break;
		s = slot_at(p, slots, n);
		if (!s) {
			fputc(*p++, out);
			continue;
		}
		if (s->write)
			err = s->write(s->ctx, out, d);
		else
			fputs(s->text, out);
		p += strlen(s->name) + 2;
	}
	free(page);
	return err;
}

const char *html_svg_body(const char *svg)
{
	const char *body = strstr(svg, "<svg");

	return body ? body : svg;
}

void html_escape(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		switch (*p) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		default:
			buf_putc(out, *p);
		}
	}
}

void html_json_string(struct buf *out, const char *text)
{
	buf_putc(out, '"');
	while (*text) {
		size_t n = text_utf8_len(text);
		unsigned char c = (unsigned char)*text;

		/* A name that was cut in the middle of a character. */
		if (!n)
			buf_puts(out, "\\ufffd");
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x7f)
			buf_printf(out, "\\u%04x", c);
		else
			buf_add(out, text, n);
		text += n ? n : 1;
	}
	buf_putc(out, '"');
}

int html_dag_page(const char *svg, FILE *out, struct diag *d)
{
	char *script = data_file_read("host/view/assets/graph.js");
	struct html_slot slots[] = {
		{"SVG", html_svg_body(svg), NULL, NULL},
		{"GRAPH_JS", script ? script : "", NULL, NULL},
	};
	int err = html_page("host/view/assets/dag.html", slots, 2, out, d);

	free(script);
	return err;
}

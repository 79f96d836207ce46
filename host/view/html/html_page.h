/* SPDX-License-Identifier: Apache-2.0 */
/* Filling in the pages of assets/. */
#ifndef LLMPROBE_VIEW_HTML_PAGE_H
#define LLMPROBE_VIEW_HTML_PAGE_H

#include <stddef.h>
#include <stdio.h>

#include "util/buf.h"
#include "util/diag.h"

/* What replaces "@NAME@": text that is ready for its place, or a function that writes it. */
struct html_slot {
	const char *name;
	const char *text;
	int (*write)(void *ctx, FILE *out, struct diag *d);
	void *ctx;
};

/* Writes the data file `asset` with its slots filled in. 0 or -errno with an error in `d`. */
int html_page(const char *asset, const struct html_slot *slots, size_t n, FILE *out,
	      struct diag *d);
/* The SVG element alone, without the XML header and doctype that graphviz writes before it. */
const char *html_svg_body(const char *svg);
/* Text for HTML, with & < > and quotes escaped. */
void html_escape(struct buf *out, const char *text);
/* A JSON string that is also safe inside a script element. */
void html_json_string(struct buf *out, const char *text);

#endif

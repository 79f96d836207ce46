/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/header.h"
#include "plugin/scan.h"
#include "util/ctype.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The header, the look at the text, and the same bytes as a type description. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct source src = {"plugin.c", text, strlen(text)};
	struct diag *d = diag_new();
	struct plugin_header h;
	struct buf out = {0};
	struct ctype *t;
	struct scan s;

	plugin_header_parse(&src, &h, d);
	scan_text(text, src.len, &s);
	t = ctype_of_text(text);
	if (t) {
		scan_name_enums(&s, t);
		ctype_print(t, text, src.len, &out);
	}
	ctype_free(t);
	scan_free(&s);
	plugin_header_free(&h);
	diag_free(d);
	buf_free(&out);
	free(text);
	return 0;
}

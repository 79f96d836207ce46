/* SPDX-License-Identifier: Apache-2.0 */
/* The preprocessor for the C text in front of a script: directives, includes and macros. */
#ifndef LLMPROBE_SCRIPT_CPREP_H
#define LLMPROBE_SCRIPT_CPREP_H

#include "script/type/types.h"

/* What is left for the parser of declarations. */
struct c_text {
	struct buf text;
	struct c_range {
		size_t from, to;
	} * headers; /* what came out of #include <...>, in the order of the text */
	size_t n_headers, cap_headers;
};

/* Runs the directives of `text`, keeps its macros in `t`. Returns 0 or -errno, an error is in `d`.
 */
int cprep_run(struct type_table *t, const char *text, const struct ctype_opts *o,
	      struct c_text *out, struct diag *d);
void c_text_free(struct c_text *c);
bool c_text_from_header(const struct c_text *c, size_t at);

/* cmacro.c: appends the line with every macro replaced by what it stands for. */
void cmacro_expand(struct type_table *t, const char *line, struct buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* html: everything about one run, or two, in one file that opens without a network. */
#ifndef LLMPROBE_VIEW_HTML_H
#define LLMPROBE_VIEW_HTML_H

#include <stdio.h>

#include "util/diag.h"

/* A page with only a graph to zoom and move; `svg` comes from dag_svg. 0 or -errno. */
int html_dag_page(const char *svg, FILE *out, struct diag *d);

#endif

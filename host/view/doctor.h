/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's report: what works here, where the probes go, at which cost, what is missing. */
#ifndef LLMPROBE_VIEW_DOCTOR_H
#define LLMPROBE_VIEW_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct plan;
struct diag;

/* One line of the first part. */
struct doctor_fact {
	const char *group; /* "kernel", "limits", "capabilities", "build" */
	const char *name;
	bool ok;
	const char *detail;
	const char *fix; /* NULL when nothing is to be done */
};

struct doctor_opts {
	bool json;
	bool colour;
};

/* `plan` may be NULL: then only the facts are printed. Returns 0 or -errno of the write. */
int doctor_print(FILE *out, const struct doctor_fact *facts, size_t n, struct plan *plan,
		 const struct doctor_opts *opts);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sweep share. */
#ifndef LLMPROBE_VIEW_SWEEP_INTERNAL_H
#define LLMPROBE_VIEW_SWEEP_INTERNAL_H

#include "util/alloc.h"
#include "view/sweep/sweep.h"

struct sweep {
	struct sweep_opts o;
	struct sweep_param *params;
	size_t n_params, cap_params;
	size_t n_combinations;
	char **labels;
};

/* "FOLDER/LABEL.REPETITION.llmp", with what file names cannot hold replaced. Free it. */
char *sweep_run_path(const struct sweep *s, size_t combination, int repetition);

#endif

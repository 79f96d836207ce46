/* SPDX-License-Identifier: Apache-2.0 */
/* libpfm4, which knows the names of the processors' events: opened when one is asked for. */
#ifndef LLMPROBE_BPF_PFM_H
#define LLMPROBE_BPF_PFM_H

#include <linux/perf_event.h>
#include <perfmon/pfmlib.h>
#include <perfmon/pfmlib_perf_event.h>

#include "util/diag.h"

/* The library's own functions; not to be called before pfm_load has returned 0. */
struct pfm {
	pfm_err_t (*encode)(const char *name, int modes, pfm_os_t os, void *arg);
	int (*event_next)(int event);
	pfm_err_t (*event_info)(int event, pfm_os_t os, pfm_event_info_t *out);
	pfm_err_t (*pmu_info)(pfm_pmu_t pmu, pfm_pmu_info_t *out);
	pfm_err_t (*initialize)(void);
	void (*terminate)(void);
	const char *(*strerror)(int code);
};
extern struct pfm pfm;

/* Opens and starts it. Returns 0, or -ENOSYS with an error. */
int pfm_load(struct diag *d);

#endif

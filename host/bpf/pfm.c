/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/pfm.h"

#include <errno.h>

#include "util/lazy.h"

struct pfm pfm;

int pfm_load(struct diag *d)
{
	/* In order of the struct. */
	static const char *const names[] = {"pfm_get_os_event_encoding",
					    "pfm_get_event_next",
					    "pfm_get_event_info",
					    "pfm_get_pmu_info",
					    "pfm_initialize",
					    "pfm_terminate",
					    "pfm_strerror"};
	int err = lazy_load("libpfm.so.4", names, (void **)&pfm, ARRAY_LEN(names), d), code;

	if (err)
		return err;
	code = pfm.initialize();
	return code == PFM_SUCCESS
		       ? 0
		       : diag_fail(d, -ENOSYS, "libpfm does not start: %s", pfm.strerror(code));
}

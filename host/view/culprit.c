/* SPDX-License-Identifier: Apache-2.0 */
#include "view/culprit.h"

#include "util/alloc.h"
#include "util/text.h"

bool culprit_is_kernel(const char *comm)
{
	static const char *const begins[] = {
		"kworker/",   "ksoftirqd/", "migration/", "rcu_",     "rcuc/",
		"rcuog/",     "cpuhp/",	    "irq/",	  "kswapd",   "kcompactd",
		"khugepaged", "kthreadd",   "jbd2/",	  "ktimers/", "kblockd",
	};

	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (text_starts(comm, begins[i]))
			return true;
	return false;
}

double culprit_first_share(const char *first, const char *last)
{
	if (!first || !*first)
		return last && *last ? 0 : 1;
	if (!last || !*last)
		return 1;
	return culprit_is_kernel(first) && !culprit_is_kernel(last) ? 0 : 0.5;
}

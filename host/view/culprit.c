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

static void sql_first_share(sqlite3_context *call, int n, sqlite3_value **v)
{
	(void)n;
	sqlite3_result_double(call, culprit_first_share((const char *)sqlite3_value_text(v[0]),
							(const char *)sqlite3_value_text(v[1])));
}

void culprit_functions(sqlite3 *db)
{
	sqlite3_create_function(db, "first_share", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
				sql_first_share, NULL, NULL);
}

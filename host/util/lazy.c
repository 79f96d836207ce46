/* SPDX-License-Identifier: Apache-2.0 */
#include "util/lazy.h"

#include <dlfcn.h>
#include <errno.h>

int lazy_load(const char *soname, const char *const *names, void **table, size_t n, struct diag *d)
{
	void *lib;

	if (table[0])
		return 0;
	lib = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return diag_fail(d, -ENOSYS, "cannot load %s; install its package (%s)", soname,
				 dlerror());
	for (size_t i = n; i-- > 0;) {
		table[i] = dlsym(lib, names[i]);
		if (!table[i])
			return diag_fail(d, -ENOSYS, "%s has no function %s", soname, names[i]);
	}
	return 0;
}

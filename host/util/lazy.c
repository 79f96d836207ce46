/* SPDX-License-Identifier: Apache-2.0 */
#include "util/lazy.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

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

void lazy_unload(const char *soname, void **table, size_t n)
{
	void *lib = table[0] ? dlopen(soname, RTLD_NOW | RTLD_NOLOAD) : NULL;

	if (!lib)
		return;
	memset(table, 0, n * sizeof(*table));
	dlclose(lib); /* for this look, and for lazy_load's */
	dlclose(lib);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a stand-in library and calls its functions a given number of times:
 *   drive LIBRARY FUNCTION=COUNT...
 * Every function gets pointers to memory of its own and small numbers, as their prototypes allow.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char memory[2][4096];

typedef long (*any_fn)(void *, void *, long, long, void *, void *);

int main(int argc, char **argv)
{
	void *lib = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;

	if (!lib) {
		fprintf(stderr, "drive: %s\n", argc > 1 ? dlerror() : "no library named");
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		char *equals = strchr(argv[i], '=');
		long count = equals ? atol(equals + 1) : 1;
		any_fn fn;

		if (equals)
			*equals = '\0';
		fn = (any_fn)dlsym(lib, argv[i]);
		if (!fn) {
			fprintf(stderr, "drive: %s\n", dlerror());
			return 1;
		}
		for (long k = 0; k < count; k++)
			fn(memory[0], memory[1], 16, 1, memory[0], memory[1]);
		printf("%s %ld\n", argv[i], count);
	}
	return 0;
}

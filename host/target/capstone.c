/* SPDX-License-Identifier: Apache-2.0 */
#include "target/capstone.h"

#include "util/lazy.h"

/* The structs of another major version are other ones. */
#define TEXT_OF(x)    #x
#define SONAME(major) "libcapstone.so." TEXT_OF(major)

static const char soname[] = SONAME(CS_API_MAJOR);
/* In order of the struct. */
static const char *const names[] = {"cs_open",	 "cs_close", "cs_option",     "cs_disasm_iter",
				    "cs_malloc", "cs_free",  "cs_insn_group", "cs_regs_access"};

struct capstone capstone;

int capstone_load(struct diag *d)
{
	return lazy_load(soname, names, (void **)&capstone, ARRAY_LEN(names), d);
}

void capstone_unload(void)
{
	lazy_unload(soname, (void **)&capstone, ARRAY_LEN(names));
}

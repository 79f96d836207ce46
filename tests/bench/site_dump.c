/* SPDX-License-Identifier: Apache-2.0 */
/* site_dump FILE PATTERN [ARGS]: where probes on the matching functions go. ARGS is the number of
 * leading arguments that must be intact (default 2). */
#include <stdio.h>
#include <stdlib.h>

#include "target/site.h"

struct request {
	const struct elf *e;
	uint32_t args;
};

static void print_site(const char *what, const struct site *s)
{
	printf("  %-7s +0x%llx %-14s %-34s sp%+d %s\n", what, (unsigned long long)s->offset,
	       insn_class_name(s->class), s->text, s->sp_adjust, s->why);
}

static int print_function(void *ctx, const struct elf_symbol *sym)
{
	static const char *const verdict[] = {"no", "maybe", "yes"};
	const struct request *r = ctx;
	struct elf_func f;
	struct site s;
	struct site_exits exits;
	char why[128];

	if (!sym->is_func || !elf_func_at(r->e, sym->vaddr, &f))
		return 0;
	printf("%s 0x%llx %llu bytes\n", sym->name, (unsigned long long)f.vaddr,
	       (unsigned long long)f.size);
	if (!site_entry(r->e, &f, r->args, false, &s))
		print_site("entry", &s);
	if (!site_return(r->e, &f, &s))
		print_site("return", &s);
	if (!site_exits(r->e, &f, SITE_VALUE_ANYWHERE, &exits))
		printf("  %zu exits, %s %s\n", exits.count,
		       exits.complete ? "complete" : "incomplete:", exits.why);
	for (size_t i = 0; i < exits.count; i++)
		print_site("exit", &exits.at[i]);
	printf("  throws: %s", verdict[site_may_throw(r->e, &f, why, sizeof(why))]);
	printf(", %s\n", why);
	return 0;
}

int main(int argc, char **argv)
{
	struct diag *d = diag_new();
	struct request r = {.args = 3};

	if (argc < 3) {
		fprintf(stderr, "usage: site_dump FILE PATTERN [ARGS]\n");
		return 2;
	}
	r.e = elf_open(argv[1], d);
	if (argc > 3)
		r.args = (1u << atoi(argv[3])) - 1;
	if (r.e)
		elf_match(r.e, argv[2], print_function, &r);
	fflush(stdout);
	diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	elf_close((struct elf *)r.e);
	diag_free(d);
	return r.e ? 0 : 1;
}

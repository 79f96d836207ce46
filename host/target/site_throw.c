/* SPDX-License-Identifier: Apache-2.0 */
/* Can a C++ exception leave the function? Follows direct calls inside the file. */
#include <stdlib.h>
#include <string.h>

#include "target/site_impl.h"
#include "util/alloc.h"

enum { FUNCS_MAX = 256, INSNS_MAX = 100000 };

struct search {
	const struct elf *e;
	uint64_t seen[FUNCS_MAX];
	size_t n_seen, done, insns;
	enum site_throw verdict;
	char *why;
	size_t why_len;
};

static void conclude(struct search *s, enum site_throw verdict, const char *what, const char *name)
{
	if (verdict <= s->verdict)
		return;
	s->verdict = verdict;
	if (s->why)
		snprintf(s->why, s->why_len, "%s%s", what, name);
}

/* Functions of C libraries that return or end the program. */
static bool is_plain_c(const char *name)
{
	static const char *const whole[] = {
		"abort",
		"exit",
		"free",
		"malloc",
		"calloc",
		"realloc",
		"posix_memalign",
		"getenv",
		"clock_gettime",
		"sched_yield",
		"syscall",
		"__stack_chk_fail",
		"__assert_fail",
		"exp",
		"expf",
		"log",
		"logf",
		"pow",
		"powf",
		"sqrt",
		"sqrtf",
		"sin",
		"sinf",
		"sincosf",
		"cos",
		"cosf",
		"tanhf",
		"erff",
		"fwrite",
		"fflush",
		"fputs",
		"puts",
		"qsort",
		"__errno_location",
		"__tls_get_addr",
	};
	static const char *const start[] = {
		"mem",	     "str",	 "__mem",     "__str",	    "pthread_",	   "GOMP_",
		"omp_",	     "__kmpc_",	 "sched_",    "printf",	    "fprintf",	   "snprintf",
		"vsnprintf", "__printf", "__fprintf", "__snprintf", "__vsnprintf", "clock",
		"round",     "floor",	 "ceil",      "fma"};

	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		if (!strcmp(name, whole[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(start); i++)
		if (!strncmp(name, start[i], strlen(start[i])))
			return true;
	return false;
}

static void visit_import(struct search *s, const char *name)
{
	if (!strcmp(name, "__cxa_throw") || !strcmp(name, "__cxa_rethrow") ||
	    strstr(name, "__throw_"))
		conclude(s, SITE_THROW_YES, "it reaches ", name);
	else if (!is_plain_c(name))
		conclude(s, SITE_THROW_MAYBE, "it calls into another file: ", name);
}

static void follow(struct search *s, uint64_t target)
{
	for (size_t i = 0; i < s->n_seen; i++)
		if (s->seen[i] == target)
			return;
	if (s->n_seen == FUNCS_MAX)
		conclude(s, SITE_THROW_MAYBE, "it calls too many functions to follow", "");
	else
		s->seen[s->n_seen++] = target;
}

static void visit_insn(struct search *s, const struct elf_func *f, const struct insn *in)
{
	struct elf_symbol own;
	const char *name;

	if (in->is_call && !in->has_target) {
		conclude(s, SITE_THROW_MAYBE, "it calls through a pointer", "");
		return;
	}
	if (!in->has_target || (in->is_jump && in->target - f->vaddr < f->size))
		return;
	name = elf_plt_symbol(s->e, in->target);
	if (name && elf_find(s->e, name, &own) && own.is_func)
		follow(s, own.vaddr);
	else if (name)
		visit_import(s, name);
	else
		follow(s, in->target);
}

static void visit_func(struct search *s, const struct elf_func *f)
{
	struct insn_list list;

	if (insn_decode(s->e, f, 0, &list) || !list.complete)
		conclude(s, SITE_THROW_MAYBE, "it calls code that cannot be decoded", "");
	s->insns += list.count;
	for (size_t i = 0; i < list.count && s->verdict != SITE_THROW_YES; i++)
		visit_insn(s, f, &list.at[i]);
	insn_list_free(&list);
	if (s->insns > INSNS_MAX)
		conclude(s, SITE_THROW_MAYBE, "it calls too much code to follow", "");
}

enum site_throw site_may_throw(const struct elf *e, const struct elf_func *f, char *why, size_t n)
{
	struct search *s = xcalloc(1, sizeof(*s));
	struct elf_func callee;
	enum site_throw verdict;

	s->e = e;
	s->why = why;
	s->why_len = n;
	if (why && n)
		snprintf(why, n, "every call it makes was followed");
	follow(s, f->vaddr);
	visit_func(s, f);
	for (s->done = 1; s->done < s->n_seen && s->verdict != SITE_THROW_YES; s->done++) {
		if (s->insns > INSNS_MAX)
			break;
		if (elf_func_at(e, s->seen[s->done], &callee))
			visit_func(s, &callee);
		else
			conclude(s, SITE_THROW_MAYBE, "it calls code of unknown extent", "");
	}
	verdict = s->verdict;
	free(s);
	return verdict;
}

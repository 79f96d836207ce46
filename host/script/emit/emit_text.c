/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long texts are searched by loops that the kernel runs (bpf_loop): the verifier looks at one round
 * only, where it would follow a loop of C through every byte that there is room for. The texts lie
 * in the scratch area. What the rounds share is an array on the stack: w[0..2] for the loop itself,
 * behind them the area and a zero that the verifier does not know. Numbers that it knew, or knew to
 * be the same, it would follow through all rounds after all: so whatever the rounds share starts as
 * a zero from a place of its own, and z is a new number each time.
 */
#include <string.h>

#include "bpf/feature.h"
#include "script/emit/emit.h"

enum { SHORT_TEXT = 64, AREA = 3, ZERO, WORDS };

static bool kernel_has_loops(void)
{
	struct features *f = features_new();
	bool ok = feature_ok(f, FEATURE_BPF_LOOP);

	features_free(f);
	return ok;
}

bool em_is_long_text(struct emit *e, uint32_t size)
{
	if (size <= SHORT_TEXT)
		return false;
	if (e->kernel_loops == LOOPS_UNKNOWN)
		e->kernel_loops = e->offline || kernel_has_loops() ? LOOPS_THERE : LOOPS_ABSENT;
	return e->kernel_loops == LOOPS_THERE;
}

const char *em_scratch_text(struct emit *e, const char *at, uint32_t size)
{
	bool is_there = strstr(at, "scr") && strspn(at, "scr() +0123456789") == strlen(at);
	const char *slot;

	if (is_there)
		return at;
	slot = em_scratch(e, size);
	em_copy(e, slot, at, size);
	return slot;
}

/* The array lives no longer than the loop: the next one's may take its place on the stack. */
const char *em_byte_loop(struct emit *e, uint64_t rounds, const char *body, int result)
{
	int id = (int)e->code->n_callbacks++, n = e->tmp++;

	buf_printf(&e->code->callbacks,
		   "int cc_%d(void *index)\n{\n"
		   "\tu64 *w;\n"
		   "\tint r = 0;\n"
		   "\tasm volatile(\"%%0 = r2\" : \"=r\"(w));\n"
		   "\tchar *scr = (char *)w[%d];\n"
		   "\tu64 i = w[0], j = w[1], z = w[%d] & 0xffff;\n"
		   "%s"
		   "\treturn r;\n}\n\n",
		   id, AREA, ZERO, body);
	em(e, "s64 b%d = %d;", n, result == 2 ? -1 : 0);
	em(e, "u64 *z%d = map_lookup(EXTERN_MAP(%d), &zero);", n, EXTERN_GLOBALS);
	em_open(e, "if (z%d)", n);
	em(e, "u64 w[%d] = {z%d[%d], z%d[%d], z%d[%d] - 1, (u64)scr, z%d[%d]};", WORDS, n,
	   GLOBAL_ZEROS, n, GLOBAL_ZEROS + 1, n, GLOBAL_ZEROS + 3, n, GLOBAL_ZEROS + 2);
	em(e, "loop_rounds(%llu, %s, w, 0);", (unsigned long long)rounds,
	   em_callback_address(e, id));
	em(e, "b%d = w[%d];", n, result);
	em_close(e);
	return emf(e, "b%d", n);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bpf/code.h"
#include "util/alloc.h"

/* Two maps, one program that refers to the second map and to EXTERN_MAP(7). */
static struct bpf_code *sample(void)
{
	struct bpf_code *c = xcalloc(1, sizeof(*c));
	struct code_program *p;

	c->licence = xstrdup("GPL");
	c->kern_version = 0x060100;
	c->n_maps = 2;
	c->maps = xcalloc(2, sizeof(*c->maps));
	c->maps[0] = (struct code_map){xstrdup("hits"),	   1,	 4, 8, 100, 0, xstrdup("\"u32\""),
				       xstrdup("\"u64\""), NULL, 0};
	c->maps[1] = (struct code_map){xstrdup("out"),
				       4,
				       4,
				       4,
				       2,
				       0,
				       xstrdup(""),
				       xstrdup(""),
				       xcalloc(2, sizeof(char *)),
				       1};
	c->maps[1].fields[0] = xstrdup("pid#unsigned int");
	c->n_programs = 1;
	c->programs = p = xcalloc(1, sizeof(*p));
	p->name = xstrdup("on_entry");
	p->n_insns = 5;
	p->insns = xcalloc(5, sizeof(*p->insns));
	p->insns[0].code = p->insns[2].code = BPF_LD | BPF_DW | BPF_IMM;
	p->insns[4].code = BPF_JMP | BPF_EXIT;
	p->n_relocs = 2;
	p->relocs = xcalloc(2, sizeof(*p->relocs));
	p->relocs[0] = (struct code_reloc){0, CODE_RELOC_MAP, 1};
	p->relocs[1] = (struct code_reloc){2, CODE_RELOC_EXTERN, 7};
	return c;
}

static void test_bytes_come_back_the_same(void **state)
{
	struct bpf_code *c = sample(), *back;
	struct buf a = {0}, b = {0};

	(void)state;
	bpf_code_encode(c, &a);
	back = bpf_code_decode(a.data, a.len);
	assert_non_null(back);
	bpf_code_encode(back, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_string_equal(bpf_code_map(back, "out")->fields[0], "pid#unsigned int");
	assert_int_equal(bpf_code_program(back, "on_entry")->relocs[1].index, 7);
	assert_null(bpf_code_program(back, "on_exit"));
	assert_null(bpf_code_map(back, "on_entry"));
	buf_free(&a);
	buf_free(&b);
	bpf_code_free(c);
	bpf_code_free(back);
}

static void test_every_cut_is_refused(void **state)
{
	struct bpf_code *c = sample();
	struct buf a = {0};
	size_t len;

	(void)state;
	bpf_code_encode(c, &a);
	for (len = 0; len < a.len; len++)
		assert_null(bpf_code_decode(a.data, len));
	buf_putc(&a, 'x');
	assert_null(bpf_code_decode(a.data, a.len));
	buf_free(&a);
	bpf_code_free(c);
}

static void refuse(struct bpf_code *c)
{
	struct buf a = {0};

	bpf_code_encode(c, &a);
	assert_null(bpf_code_decode(a.data, a.len));
	buf_free(&a);
}

static void test_references_are_checked(void **state)
{
	struct bpf_code *c = sample();
	struct code_reloc *r = &c->programs[0].relocs[0];

	(void)state;
	r->index = 2; /* no such map */
	refuse(c);
	r->index = 1;
	r->insn = 4; /* no room for a load */
	refuse(c);
	r->insn = UINT32_MAX;
	refuse(c);
	r->insn = 1; /* no load */
	refuse(c);
	r->insn = 0;
	r->kind = 9;
	refuse(c);
	r->kind = CODE_RELOC_EXTERN;
	r->index = EXTERN_MAP_MAX;
	refuse(c);
	bpf_code_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_come_back_the_same),
		cmocka_unit_test(test_every_cut_is_refused),
		cmocka_unit_test(test_references_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

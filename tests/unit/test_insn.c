/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "target/insn.h"

static struct insn_list decode(int machine, const void *code, size_t len, struct elf **e)
{
	struct elf_func f;
	struct insn_list l;

	*e = fixture_elf(machine, code, len, &f);
	assert_non_null(*e);
	assert_int_equal(insn_decode(*e, &f, 0, &l), 0);
	return l;
}

static void test_classes_x86(void **state)
{
	static const struct {
		uint8_t size, bytes[10];
		enum insn_class class;
	} cases[] = {
		{1, {0x55}, INSN_PUSH},				   /* push rbp */
		{2, {0x41, 0x57}, INSN_PUSH},			   /* push r15 */
		{1, {0x90}, INSN_EMULATED},			   /* nop */
		{2, {0xeb, 0x00}, INSN_EMULATED},		   /* jmp short */
		{5, {0xe9, 0, 0, 0, 0}, INSN_EMULATED},		   /* jmp near */
		{2, {0x74, 0x00}, INSN_EMULATED},		   /* je short */
		{6, {0x0f, 0x85, 0, 0, 0, 0}, INSN_EMULATED},	   /* jne near */
		{5, {0xe8, 0, 0, 0, 0}, INSN_PUSH},		   /* call */
		{4, {0x0f, 0x1f, 0x40, 0x00}, INSN_NOP},	   /* nop4 */
		{5, {0x0f, 0x1f, 0x44, 0x00, 0x00}, INSN_NOP5},	   /* nop5 */
		{6, {0x66, 0x0f, 0x1f, 0x44, 0, 0}, INSN_STEPPED}, /* nop6: 16-bit prefix */
		{4, {0xf3, 0x0f, 0x1e, 0xfa}, INSN_STEPPED},	   /* endbr64 */
		{4, {0x48, 0x83, 0xec, 0x28}, INSN_STEPPED},	   /* sub rsp, 40 */
		{3, {0x48, 0x89, 0xe5}, INSN_STEPPED},		   /* mov rbp, rsp */
		{2, {0x6a, 0x01}, INSN_STEPPED},		   /* push 1 */
		{1, {0x5d}, INSN_STEPPED},			   /* pop rbp */
		{1, {0xc3}, INSN_STEPPED},			   /* ret */
		{2, {0xff, 0xe0}, INSN_STEPPED},		   /* jmp rax */
		{3, {0x3e, 0xff, 0xe0}, INSN_REFUSED},		   /* notrack jmp rax */
		{4, {0xf0, 0x48, 0xff, 0x00}, INSN_REFUSED},	   /* lock inc [rax] */
		{1, {0xcc}, INSN_REFUSED},			   /* int3 */
		{2, {0x0f, 0x05}, INSN_REFUSED},		   /* syscall */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct elf *e;
		struct insn_list l = decode(EM_X86_64, cases[i].bytes, cases[i].size, &e);

		assert_int_equal(l.count, 1);
		assert_true(l.complete);
		if (l.at[0].class != cases[i].class)
			fail_msg("%s is %s, not %s", l.at[0].text, insn_class_name(l.at[0].class),
				 insn_class_name(cases[i].class));
		insn_list_free(&l);
		elf_close(e);
	}
}

static void test_registers_and_stack_x86(void **state)
{
	static const uint8_t code[] = {
		0x41, 0x55,		      /* push r13 */
		0x48, 0x83, 0xec, 0x28,	      /* sub rsp, 40 */
		0x89, 0xf7,		      /* mov edi, esi */
		0x48, 0x8d, 0x64, 0x24, 0x10, /* lea rsp, [rsp + 16] */
		0x48, 0x83, 0xe4, 0xe0,	      /* and rsp, -32 */
		0xe8, 0xeb, 0xff, 0xff, 0xff, /* call back by 21 */
		0x5d,			      /* pop rbp */
		0xc3,			      /* ret */
	};
	struct elf *e;
	struct insn_list l = decode(EM_X86_64, code, sizeof(code), &e);

	(void)state;
	assert_int_equal(l.count, 8);
	assert_int_equal(l.at[0].sp_delta, -8);
	assert_true(l.at[0].reads & 1u << 13);
	assert_int_equal(l.at[1].sp_delta, -40);
	assert_true(l.at[2].writes & insn_arg_register(ELF_X86_64, 0));
	assert_true(l.at[2].reads & insn_arg_register(ELF_X86_64, 1));
	assert_false(l.at[2].writes & insn_arg_register(ELF_X86_64, 1));
	assert_int_equal(l.at[3].sp_delta, 16);
	assert_false(l.at[4].sp_known);
	assert_true(l.at[5].is_call && l.at[5].has_target);
	assert_int_equal(l.at[5].target, l.at[5].vaddr + 5 - 21);
	assert_true(l.at[5].writes & insn_arg_register(ELF_X86_64, 5));
	assert_int_equal(l.at[6].sp_delta, 8);
	assert_true(l.at[7].is_ret);
	assert_int_equal(insn_index(&l, l.at[5].vaddr), 5);
	assert_int_equal(insn_index(&l, l.at[5].vaddr + 1), -1);
	insn_list_free(&l);
	elf_close(e);
}

static void test_classes_arm(void **state)
{
	static const struct {
		uint32_t word;
		enum insn_class class;
	} cases[] = {
		{0x14000000, INSN_EMULATED}, /* b */
		{0x94000000, INSN_EMULATED}, /* bl */
		{0x54000000, INSN_EMULATED}, /* b.eq */
		{0xb4000000, INSN_EMULATED}, /* cbz x0 */
		{0x36000000, INSN_EMULATED}, /* tbz w0, #0 */
		{0x10000000, INSN_EMULATED}, /* adr x0 */
		{0x90000000, INSN_EMULATED}, /* adrp x0 */
		{0xd65f03c0, INSN_EMULATED}, /* ret */
		{0xd61f0200, INSN_EMULATED}, /* br x16 */
		{0xd63f0000, INSN_EMULATED}, /* blr x0 */
		{0x58000000, INSN_EMULATED}, /* ldr x0, literal */
		{0xd503201f, INSN_NOP},	     /* nop */
		{0xd503245f, INSN_STEPPED},  /* bti c */
		{0xd503233f, INSN_STEPPED},  /* paciasp */
		{0xa9bf7bfd, INSN_STEPPED},  /* stp x29, x30, [sp, #-16]! */
		{0x910003fd, INSN_STEPPED},  /* mov x29, sp */
		{0xd4200000, INSN_REFUSED},  /* brk */
		{0xd4000001, INSN_REFUSED},  /* svc */
		{0xc85f7c00, INSN_REFUSED},  /* ldxr x0, [x0] */
		{0xd53bd040, INSN_REFUSED},  /* mrs x0, tpidr_el0 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct elf *e;
		struct insn_list l = decode(EM_AARCH64, &cases[i].word, 4, &e);

		assert_int_equal(l.count, 1);
		if (l.at[0].class != cases[i].class)
			fail_msg("%s is %s, not %s", l.at[0].text, insn_class_name(l.at[0].class),
				 insn_class_name(cases[i].class));
		insn_list_free(&l);
		elf_close(e);
	}
}

static void test_registers_and_stack_arm(void **state)
{
	static const uint32_t code[] = {
		0xa9bd7bfd, /* stp x29, x30, [sp, #-48]! */
		0xd10083ff, /* sub sp, sp, #32 */
		0xf90007e1, /* str x1, [sp, #8] */
		0xaa0003f3, /* mov x19, x0 */
		0xa9400400, /* ldp x0, x1, [x0] */
		0xb4000041, /* cbz x1, +8 */
		0x94000000, /* bl . */
		0xa8c37bfd, /* ldp x29, x30, [sp], #48 */
		0xd65f03c0, /* ret */
	};
	struct elf *e;
	struct insn_list l = decode(EM_AARCH64, code, sizeof(code), &e);

	(void)state;
	assert_int_equal(l.count, 9);
	assert_int_equal(l.at[0].sp_delta, -48);
	assert_int_equal(l.at[1].sp_delta, -32);
	assert_true(l.at[2].sp_known && l.at[2].sp_delta == 0 && !l.at[2].writes);
	assert_int_equal(l.at[3].writes, 1u << 19);
	assert_int_equal(l.at[4].writes & 3, 3);
	assert_true(l.at[5].is_conditional && l.at[5].has_target);
	assert_int_equal(l.at[5].target, l.at[5].vaddr + 8);
	assert_true(l.at[6].is_call && (l.at[6].writes & 0xff) == 0xff);
	assert_int_equal(l.at[7].sp_delta, 48);
	assert_true(l.at[8].is_ret);
	insn_list_free(&l);
	elf_close(e);
}

static void test_stops_at_bytes_it_cannot_decode(void **state)
{
	static const uint8_t code[] = {0x55, 0x06, 0x55}; /* push rbp, then no instruction */
	struct elf *e;
	struct insn_list l = decode(EM_X86_64, code, sizeof(code), &e);

	(void)state;
	assert_int_equal(l.count, 1);
	assert_false(l.complete);
	assert_int_equal(l.end, FIXTURE_VADDR + 1);
	insn_list_free(&l);
	elf_close(e);
}

static void test_unknown_words_do_not_end_aarch64_code(void **state)
{
	static const uint32_t code[] = {0xd503201f, 0x02000005, 0xd65f03c0};
	struct elf *e;
	struct insn_list l = decode(EM_AARCH64, code, sizeof(code), &e);

	(void)state;
	assert_int_equal(l.count, 3);
	assert_true(l.complete);
	assert_int_equal(l.at[1].class, INSN_REFUSED);
	assert_false(l.at[1].sp_known);
	assert_true(l.at[1].writes & 1);
	assert_true(l.at[2].is_ret);
	insn_list_free(&l);
	elf_close(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes_x86),
		cmocka_unit_test(test_registers_and_stack_x86),
		cmocka_unit_test(test_classes_arm),
		cmocka_unit_test(test_registers_and_stack_arm),
		cmocka_unit_test(test_stops_at_bytes_it_cannot_decode),
		cmocka_unit_test(test_unknown_words_do_not_end_aarch64_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

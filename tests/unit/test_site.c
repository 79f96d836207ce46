/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "target/site.h"

#define X86(...)                                                                                   \
	static const uint8_t code[] = {__VA_ARGS__};                                               \
	struct elf_func f;                                                                         \
	struct elf *e = fixture_elf(EM_X86_64, code, sizeof(code), &f)

#define ARM(...)                                                                                   \
	static const uint32_t code[] = {__VA_ARGS__};                                              \
	struct elf_func f;                                                                         \
	struct elf *e = fixture_elf(EM_AARCH64, code, sizeof(code), &f)

#define ENDBR64	 0xf3, 0x0f, 0x1e, 0xfa
#define PUSH_RBP 0x55
#define POP_RBP	 0x5d
#define RET	 0xc3

static void test_push_behind_the_landing_pad(void **state)
{
	struct site s;
	X86(ENDBR64, PUSH_RBP, 0x48, 0x89, 0xe5 /* mov rbp, rsp */, POP_RBP, RET);

	(void)state;
	assert_int_equal(site_entry(e, &f, 3, false, &s), 0);
	assert_int_equal(s.offset, 4);
	assert_int_equal(s.class, INSN_PUSH);
	assert_int_equal(s.sp_adjust, 0);
	assert_int_equal(s.file_offset, FIXTURE_CODE + 4);
	assert_string_equal(s.text, "push rbp");
	assert_int_equal(site_return(e, &f, &s), 0);
	assert_int_equal(s.offset, 4);
	elf_close(e);
}

static void test_never_past_a_clobbered_argument(void **state)
{
	struct site s;
	X86(ENDBR64, 0x31, 0xf6 /* xor esi, esi */, PUSH_RBP, POP_RBP, RET);

	(void)state;
	assert_int_equal(site_entry(e, &f, 2, false, &s), 0);
	assert_int_equal(s.offset, 0);
	assert_int_equal(s.class, INSN_STEPPED);
	assert_non_null(strstr(s.why, "overwritten"));
	/* Argument 0 is untouched, so the push serves those who need only that. */
	assert_int_equal(site_entry(e, &f, 1, false, &s), 0);
	assert_int_equal(s.offset, 6);
	elf_close(e);
}

static void test_stack_distance(void **state)
{
	struct site s;
	X86(ENDBR64, 0x48, 0x83, 0xec, 0x28 /* sub rsp, 40 */, PUSH_RBP, POP_RBP, 0x48, 0x83, 0xc4,
	    0x28 /* add rsp, 40 */, RET);

	(void)state;
	assert_int_equal(site_entry(e, &f, 1, true, &s), 0);
	assert_int_equal(s.offset, 8);
	assert_int_equal(s.sp_adjust, 40);
	assert_true(s.sp_known);
	/* A return probe there would replace a saved register. */
	assert_int_equal(site_return(e, &f, &s), 0);
	assert_int_equal(s.offset, 0);
	elf_close(e);
}

static void test_stack_distance_lost(void **state)
{
	struct site s;
	X86(0x48, 0x83, 0xe4, 0xf0 /* and rsp, -16 */, PUSH_RBP, POP_RBP, RET);

	(void)state;
	assert_int_equal(site_entry(e, &f, 1, true, &s), 0);
	assert_int_equal(s.offset, 0);
	assert_int_equal(site_entry(e, &f, 1, false, &s), 0);
	assert_int_equal(s.offset, 4);
	assert_false(s.sp_known);
	/* Argument 7 is on the stack, so it asks for the distance as well. */
	assert_int_equal(site_entry(e, &f, 1u << 7, false, &s), 0);
	assert_int_equal(s.offset, 0);
	elf_close(e);
}

static void test_a_branch_itself_may_carry_the_probe(void **state)
{
	struct site s;
	X86(0x8b, 0x47, 0x08 /* mov eax, [rdi+8] */, 0x85, 0xc0 /* test eax, eax */, 0x74,
	    0x01 /* je +1 */, PUSH_RBP, RET);

	(void)state;
	assert_int_equal(site_entry(e, &f, 3, false, &s), 0);
	assert_int_equal(s.offset, 5);
	elf_close(e);
}

static void test_never_at_a_loop_head(void **state)
{
	struct site s;
	/* mov ecx, 3; L: push rbp; pop rbp; dec ecx; jne L; ret */
	X86(0xb8, 3, 0, 0, 0, PUSH_RBP, POP_RBP, 0xff, 0xc8, 0x75, 0xfa, RET);

	(void)state;
	assert_int_equal(site_entry(e, &f, 1, false, &s), 0);
	assert_int_equal(s.offset, 0);
	assert_non_null(strstr(s.why, "comes back"));
	elf_close(e);
}

static void test_exits(void **state)
{
	struct site_exits x;
	/* test edi, edi; je 1f; push rbp; pop rbp; ret; 1: nop; xor eax, eax; ret */
	X86(0x85, 0xff, 0x74, 0x03, PUSH_RBP, POP_RBP, RET, 0x90, 0x31, 0xc0, RET);

	(void)state;
	assert_int_equal(site_exits(e, &f, SITE_VALUE_UNUSED, &x), 0);
	assert_int_equal(x.count, 2);
	assert_true(x.complete);
	assert_int_equal(x.at[0].offset, 4); /* the push before the first return */
	assert_int_equal(x.at[0].class, INSN_PUSH);
	assert_int_equal(x.at[1].offset, 7); /* the nop that is the jump's target */
	/* There the second one's value is not made yet. */
	assert_int_equal(site_exits(e, &f, SITE_VALUE_ANYWHERE, &x), 0);
	assert_int_equal(x.at[0].offset, 4);
	assert_int_equal(x.at[0].value_reg, -1);
	assert_int_equal(x.at[1].offset, 10);
	elf_close(e);
}

static void test_exit_value_in_another_register(void **state)
{
	struct site_exits x;
	X86(0x90, 0x44, 0x89, 0xe8 /* mov eax, r13d */, 0x49, 0x89, 0xfd /* mov r13, rdi */, RET);

	(void)state;
	assert_int_equal(site_exits(e, &f, SITE_VALUE_ANYWHERE, &x), 0);
	assert_int_equal(x.count, 1);
	assert_int_equal(x.at[0].offset, 0);
	assert_int_equal(x.at[0].value_reg, 13);
	elf_close(e);
}

static void test_exit_never_before_another_way(void **state)
{
	struct site_exits x;
	/* jne 1f; pop rbx; ret; 1: nop; ret: the jump also goes elsewhere */
	X86(0x75, 0x02, 0x5b, RET, 0x90, RET);

	(void)state;
	assert_int_equal(site_exits(e, &f, SITE_VALUE_ANYWHERE, &x), 0);
	assert_int_equal(x.count, 2);
	assert_int_equal(x.at[0].offset, 3);
	assert_int_equal(x.at[1].offset, 4);
	elf_close(e);
}

static void test_exit_never_before_a_call(void **state)
{
	struct site_exits x;
	X86(PUSH_RBP, 0xe8, 0xfa, 0xff, 0xff, 0xff /* call self */, POP_RBP, RET);

	(void)state;
	assert_int_equal(site_exits(e, &f, SITE_VALUE_UNUSED, &x), 0);
	assert_int_equal(x.count, 1);
	assert_int_equal(x.at[0].offset, 7);
	assert_int_equal(x.at[0].class, INSN_STEPPED);
	elf_close(e);
}

static void test_tail_calls_are_exits(void **state)
{
	struct site_exits x;
	/* test edi, edi; je out of the function; jmp out of the function */
	X86(0x85, 0xff, 0x0f, 0x84, 0, 1, 0, 0, 0xe9, 0, 1, 0, 0);

	(void)state;
	assert_int_equal(site_exits(e, &f, SITE_VALUE_UNUSED, &x), 0);
	assert_int_equal(x.count, 1);
	assert_int_equal(x.at[0].offset, 8);
	assert_false(x.complete);
	assert_non_null(strstr(x.why, "conditional tail call"));
	elf_close(e);
}

static void test_table_jumps_are_no_exits(void **state)
{
	struct site_exits x;
	/* movsxd rax, [rdx + rdi*4]; add rax, rdx; jmp rax; ret */
	X86(0x48, 0x63, 0x04, 0xba, 0x48, 0x01, 0xd0, 0xff, 0xe0, RET);

	(void)state;
	assert_int_equal(site_exits(e, &f, SITE_VALUE_UNUSED, &x), 0);
	assert_int_equal(x.count, 1);
	assert_int_equal(x.at[0].offset, 9);
	assert_true(x.complete);
	elf_close(e);
}

static void test_refused_everywhere(void **state)
{
	struct site s;
	X86(0xcc);

	(void)state;
	assert_int_equal(site_entry(e, &f, 0, false, &s), -EOPNOTSUPP);
	f.vaddr = 1;
	assert_int_equal(site_entry(e, &f, 0, false, &s), -ENOENT);
	elf_close(e);
}

static void test_arm_entry_and_return(void **state)
{
	struct site s;
	struct site_exits x;
	ARM(0xd503245f, /* bti c */
	    0xa9be7bfd, /* stp x29, x30, [sp, #-32]! */
	    0xf9000bf3, /* str x19, [sp, #16] */
	    0xb4000061, /* cbz x1, +12 */
	    0xaa0003f3, /* mov x19, x0 */
	    0x94000000, /* bl */
	    0xa8c27bfd, /* ldp x29, x30, [sp], #32 */
	    0xd65f03c0 /* ret */);

	(void)state;
	assert_int_equal(site_entry(e, &f, 3, true, &s), 0);
	assert_int_equal(s.offset, 12);
	assert_int_equal(s.class, INSN_EMULATED);
	assert_int_equal(s.sp_adjust, 32);
	assert_int_equal(site_return(e, &f, &s), 0);
	assert_int_equal(s.offset, 0);
	assert_int_equal(site_exits(e, &f, SITE_VALUE_UNUSED, &x), 0);
	assert_int_equal(x.count, 1);
	assert_int_equal(x.at[0].offset, 28);
	elf_close(e);
}

static void test_leaf_cannot_throw_indirect_call_may(void **state)
{
	char why[64];
	X86(PUSH_RBP, POP_RBP, RET, 0xff, 0xd0 /* call rax */, RET);
	struct elf_func leaf = f, indirect = f;

	(void)state;
	leaf.size = 3;
	indirect.vaddr += 3;
	indirect.size = 3;
	assert_int_equal(site_may_throw(e, &leaf, why, sizeof(why)), SITE_THROW_NO);
	assert_int_equal(site_may_throw(e, &indirect, why, sizeof(why)), SITE_THROW_MAYBE);
	assert_string_equal(why, "it calls through a pointer");
	elf_close(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push_behind_the_landing_pad),
		cmocka_unit_test(test_never_past_a_clobbered_argument),
		cmocka_unit_test(test_stack_distance),
		cmocka_unit_test(test_stack_distance_lost),
		cmocka_unit_test(test_a_branch_itself_may_carry_the_probe),
		cmocka_unit_test(test_never_at_a_loop_head),
		cmocka_unit_test(test_exits),
		cmocka_unit_test(test_exit_value_in_another_register),
		cmocka_unit_test(test_exit_never_before_another_way),
		cmocka_unit_test(test_exit_never_before_a_call),
		cmocka_unit_test(test_tail_calls_are_exits),
		cmocka_unit_test(test_table_jumps_are_no_exits),
		cmocka_unit_test(test_refused_everywhere),
		cmocka_unit_test(test_arm_entry_and_return),
		cmocka_unit_test(test_leaf_cannot_throw_indirect_call_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

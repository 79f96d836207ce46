/* SPDX-License-Identifier: Apache-2.0 */
/* Probes compiled for aarch64 on any machine: libbcc takes the architecture from ARCH. */
#include "bpf_helper.h"

enum { X0 = 0, X1 = 8, SP_AT = 31 * 8, PC_AT = 32 * 8 };

static const char text[] = "#include <uapi/linux/ptrace.h>\n"
			   "int first(struct pt_regs *ctx) { return PT_REGS_PARM1(ctx); }\n"
			   "int second(struct pt_regs *ctx) { return PT_REGS_PARM2(ctx); }\n"
			   "int result(struct pt_regs *ctx) { return PT_REGS_RC(ctx); }\n"
			   "int stack(struct pt_regs *ctx) { return PT_REGS_SP(ctx); }\n"
			   "int place(struct pt_regs *ctx) { return PT_REGS_IP(ctx); }\n";

/* Offset of the one register that the program loads from r1. */
static int loaded(const struct bpf_code *code, const char *name)
{
	const struct code_program *p = bpf_code_program(code, name);
	int offset = -1;

	assert_non_null(p);
	for (uint32_t i = 0; i < p->n_insns; i++) {
		const struct bpf_insn *in = &p->insns[i];

		if (BPF_CLASS(in->code) == BPF_LDX && in->src_reg == BPF_REG_1)
			offset = in->off;
	}
	return offset;
}

static void test_registers_of_aarch64(void **state)
{
	/* libbcc asks for this machine's protection, which the other may not have. */
	const char *const cflags[] = {"-fcf-protection=none"};
	struct bpf_compile_opts o = {
		.text = text, .name = "test", .cflags = cflags, .n_cflags = ARRAY_LEN(cflags)};
	struct bpf_code *code;

	(void)state;
	need_bpf();
	setenv("ARCH", "arm64", 1);
	code = must_compile_with(&o);
	unsetenv("ARCH");
	assert_int_equal(loaded(code, "first"), X0);
	assert_int_equal(loaded(code, "second"), X1);
	assert_int_equal(loaded(code, "result"), X0);
	assert_int_equal(loaded(code, "stack"), SP_AT);
	assert_int_equal(loaded(code, "place"), PC_AT);
	bpf_code_free(code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers_of_aarch64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

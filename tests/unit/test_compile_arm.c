/* SPDX-License-Identifier: Apache-2.0 */
/* Probes compiled for aarch64 on any machine: libbcc takes the architecture from ARCH. */
#include "bpf_helper.h"

#include "util/file.h"

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

/* A level's text, with the registers that the engine files name. */
static void test_text_of_a_level(void **state)
{
	static const char *const files[] = {"probes/lean.h", "probes/record.h", "probes/state.h",
					    "probes/common.h", "probes/token.c"};
	const char *const cflags[] = {"-fcf-protection=none"};
	struct bpf_compile_opts o = {.name = "token",
				     .lean = true,
				     .optimise_once = true,
				     .cflags = cflags,
				     .n_cflags = ARRAY_LEN(cflags)};
	struct buf level = {0};
	struct diag *d = diag_new();
	struct bpf_code *code;

	(void)state;
	need_bpf();
	buf_puts(&level, "#define LLMPROBE_BPF 1\n#define TRANSPORT_PERF 1\n"
			 "#define LEVEL_OF_CALLS 0\n");
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		assert_int_equal(data_file_include(&level, files[i], d), 0);
	buf_puts(&level,
		 "PROGRAM_token_begin(begin, 0, ARG1, RD_S32(ARG2), REG(20), RD_S32(SP + 8))\n"
		 "PROGRAM_token_end(end, 1, PT_REGS_IP(ctx) ? RET : REG(0))\n");
	o.text = buf_str(&level);
	setenv("ARCH", "arm64", 1);
	code = must_compile_with(&o);
	unsetenv("ARCH");
	assert_non_null(bpf_code_program(code, "begin"));
	assert_non_null(bpf_code_program(code, "end"));
	bpf_code_free(code);
	buf_free(&level);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers_of_aarch64),
		cmocka_unit_test(test_text_of_a_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How long text takes to become loaded programs: cold, from the cache, and loading alone. */
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "util/buf.h"

enum { RUNS = 7 };

/* `n` programs that each read user memory and send a record. */
static char *make_text(int n)
{
	struct buf b = {0};
	int i;

	buf_puts(&b, "#include <uapi/linux/ptrace.h>\n"
		     "static long (*read_user)(void *, u32, const void *) = (void *)112;\n"
		     "BPF_HASH(state, u32, u64);\n"
		     "BPF_ARRAY(sums, u64, 64);\n");
	for (i = 0; i < n; i++)
		buf_printf(&b,
			   "int on_%d(struct pt_regs *ctx) {\n"
			   "	u64 room[16] = {}; u32 k = bpf_get_current_pid_tgid(), s = %d;\n"
			   "	u64 *v = state.lookup(&k), *sum = sums.lookup(&s);\n"
			   "	read_user(room, sizeof(room), (void *)ctx->di);\n"
			   "	room[0] += bpf_ktime_get_ns();\n"
			   "	if (v && sum) *sum += room[0] - *v;\n"
			   "	state.update(&k, room);\n"
			   "	return 0;\n"
			   "}\n",
			   i, i & 63);
	return buf_take(&b);
}

static void row(int n, const char *dir)
{
	double cold[RUNS], cached[RUNS], loaded[RUNS];
	char *text = make_text(n);
	struct diag *d = diag_new();
	int run;

	for (run = 0; run < RUNS; run++) {
		struct bpf_compile_opts o = {.text = text, .name = "bench"};
		struct bpf_code *code;
		double start;
		uint64_t ns;

		o.took_ns = &ns;
		bpf_code_free(bpf_compile(&o, d));
		cold[run] = ns;
		o.cache_dir = dir;
		bpf_code_free(bpf_compile(&o, d));
		code = bpf_compile(&o, d);
		cached[run] = ns;
		if (!code)
			die_of(d);
		start = clock_ns(CLOCK_MONOTONIC);
		bpf_module_free(bpf_module_load(code, NULL, d));
		loaded[run] = clock_ns(CLOCK_MONOTONIC) - start;
		bpf_code_free(code);
	}
	printf("%8d %10.1f %10.2f %10.2f\n", n, median(cold, RUNS) / 1e6,
	       median(cached, RUNS) / 1e6, median(loaded, RUNS) / 1e6);
	free(text);
	diag_free(d);
}

int main(void)
{
	char dir[] = "/tmp/llmprobe-bench-XXXXXX", *command;
	int err;

	if (!mkdtemp(dir))
		return 1;
	printf("medians of %d, ms\n%8s %10s %10s %10s\n", RUNS, "programs", "cold", "cached",
	       "load");
	row(1, dir);
	row(8, dir);
	row(24, dir);
	command = xasprintf("rm -r %s", dir);
	err = system(command);
	free(command);
	return err != 0;
}

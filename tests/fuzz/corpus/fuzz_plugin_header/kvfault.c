/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * Which operator touches memory for the first time: page faults of the target by the operator that
 * the faulting thread computes. The KV cache grows into untouched pages, a memory-mapped model is
 * faulted in by whoever reads its weights first.
 *
 * llmprobe: about page faults by operator
 * llmprobe: engine op:begin(name) -> on_op
 * llmprobe: engine graph:end -> on_graph_end
 * llmprobe: table current hide
 *
 * Usage: llmprobe record --plugin kvfault -- llama-cli -m model.gguf -p Hello -n 32
 *
 *   kvfault.faults: hash, 10 of 16384 entries
 *     op            write  value
 *     -                 1   1308
 *     -                 0    369
 *     Qcur-0            1      5
 *     ffn_up-0          1      4
 *     Qcur-0            0      3
 *
 * `write` is 1 for stores. "-" stands for faults outside of every operator: loading, sampling.
 */
#include <uapi/linux/ptrace.h>

struct op_name {
	char op[48];
};

struct fault {
	char op[48];
	u32 write;
};

BPF_HASH(current, u32, struct op_name);
BPF_HASH(faults, struct fault, u64, 16384);

static int on_op(struct pt_regs *ctx, u64 name)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct op_name op = {};

	bpf_probe_read_user_str(op.op, sizeof(op.op), (void *)name);
	current.update(&tid, &op);
	return 0;
}

/* Workers keep their last operator: between graphs they wait, and touch nothing. */
int on_graph_end(struct pt_regs *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();

	current.delete(&tid);
	return 0;
}

TRACEPOINT_PROBE(exceptions, page_fault_user)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct fault f = {.op = "-"};
	struct op_name *op;

	if (!llmprobe_target())
		return 0;
	op = current.lookup(&tid);
	if (op)
		__builtin_memcpy(f.op, op->op, sizeof(f.op));
	f.write = (args->error_code >> 1) & 1;
	faults.increment(f);
	return 0;
}

// llmprobe: about calls of the made engine
// llmprobe: uprobe libllama.so*:llama_decode -> on_decode
// llmprobe: uretprobe libllama.so*:llama_decode -> on_decoded
// llmprobe: engine op:begin(name, op, ith) -> on_op
#include <uapi/linux/ptrace.h>
struct opkey {
	char name[32];
	u32 op;
	u16 ith;
};
struct ev {
	u64 ts;
	u32 pid;
	u32 tid;
	char comm[16];
	int rc;
	u8 raw[3];
};
BPF_HASH(calls, u32, u64);
BPF_HASH(byname, struct opkey);
BPF_HISTOGRAM(lat);
BPF_HASH(start, u32);
BPF_PERF_OUTPUT(events);
BPF_RINGBUF_OUTPUT(ring, 8);
int on_decode(struct pt_regs *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 t = bpf_ktime_get_ns();
	calls.increment(tid);
	start.update(&tid, &t);
	struct ev e = {.ts = t, .pid = bpf_get_current_pid_tgid() >> 32, .tid = tid, .rc = -3};
	bpf_get_current_comm(&e.comm, 16);
	events.perf_submit(ctx, &e, sizeof(e));
	ring.ringbuf_output(&e, sizeof(e), 0);
	return 0;
}
int on_decoded(struct pt_regs *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 *t = start.lookup(&tid);
	if (!t)
		return 0;
	lat.increment(bpf_log2l((bpf_ktime_get_ns() - *t) / 1000));
	start.delete(&tid);
	struct ev *e = ring.ringbuf_reserve(sizeof(*e));
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->rc = PT_REGS_RC(ctx);
	e->ts = 7;
	ring.ringbuf_submit(e, 0);
	return 0;
}
static int on_op(struct pt_regs *ctx, u64 name, u64 op, u64 ith)
{
	struct opkey k = {.op = op, .ith = ith};
	bpf_probe_read_user_str(k.name, sizeof(k.name), (void *)name);
	byname.increment(k);
	return 0;
}

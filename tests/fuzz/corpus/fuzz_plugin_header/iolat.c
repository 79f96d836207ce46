/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * How long the target's file reads take, and how much they bring: what loading a model without mmap
 * waits for.
 *
 * llmprobe: about time and size of the target's reads
 * llmprobe: table start hide
 * llmprobe: table latency log2 usecs
 *
 * Usage: llmprobe record --plugin iolat -- llama-cli --no-mmap -m model.gguf -p Hello -n 1
 *
 *   iolat.latency: histogram, 6 of 1024 entries
 *   call = pread64
 *        usecs               : count     distribution
 *            0 -> 1          : 4        |****************************************|
 *   iolat.total: hash, 2 of 16 entries
 *        call  calls  bytes      ns  errors
 *        read     43  50624  159396       0
 *     pread64      4   3248    4196       0
 */
enum call { read, pread64, readv, preadv };

struct started {
	u64 ns;
	u32 call;
};

struct slot {
	enum call call;
	u32 slot;
};

struct sum {
	u64 calls, bytes, ns, errors;
};

struct which {
	enum call call;
};

BPF_HASH(start, u32, struct started);
BPF_HISTOGRAM(latency, struct slot, 1024);
BPF_HASH(total, struct which, struct sum, 16);

static inline int enter(u32 call)
{
	struct started s = {.call = call};
	u32 tid = bpf_get_current_pid_tgid();

	if (!llmprobe_target())
		return 0;
	s.ns = bpf_ktime_get_ns();
	start.update(&tid, &s);
	return 0;
}

static inline int leave(s64 ret)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct started *s = start.lookup(&tid);
	struct sum zero = {}, *sum;
	struct which w = {};
	struct slot slot = {};
	u64 ns;

	if (!s)
		return 0;
	ns = bpf_ktime_get_ns() - s->ns;
	w.call = s->call;
	slot.call = s->call;
	slot.slot = bpf_log2l(ns / 1000);
	latency.increment(slot);
	sum = total.lookup_or_try_init(&w, &zero);
	if (sum) {
		__sync_fetch_and_add(&sum->calls, 1);
		__sync_fetch_and_add(&sum->ns, ns);
		if (ret < 0)
			__sync_fetch_and_add(&sum->errors, 1);
		else
			__sync_fetch_and_add(&sum->bytes, ret);
	}
	start.delete(&tid);
	return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
	return enter(read);
}
TRACEPOINT_PROBE(syscalls, sys_enter_pread64)
{
	return enter(pread64);
}
TRACEPOINT_PROBE(syscalls, sys_enter_readv)
{
	return enter(readv);
}
TRACEPOINT_PROBE(syscalls, sys_enter_preadv)
{
	return enter(preadv);
}
TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
	return leave(args->ret);
}
TRACEPOINT_PROBE(syscalls, sys_exit_pread64)
{
	return leave(args->ret);
}
TRACEPOINT_PROBE(syscalls, sys_exit_readv)
{
	return leave(args->ret);
}
TRACEPOINT_PROBE(syscalls, sys_exit_preadv)
{
	return leave(args->ret);
}

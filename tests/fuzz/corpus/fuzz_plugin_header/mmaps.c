/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * What the target maps while it loads a model: one record per mmap, munmap and madvise, with size,
 * protection and time taken. Weights show up as one large file mapping (fd >= 0), the KV cache and
 * compute buffers as large private ones (fd = -1).
 *
 * llmprobe: about mmap, munmap and madvise calls of the target
 * llmprobe: table start hide
 *
 * Usage: llmprobe record --plugin mmaps -- llama-cli -m model.gguf -p Hello -n 1
 *        sqlite3 run.llmp "SELECT json FROM plugin WHERE map = 'calls' AND json ->> 'len' > 1e6"
 *
 *   {"ts":9082225774839,"dur_ns":3285,"pid":28170,"tid":28170,"call":"mmap","fd":-1,
 *    "addr":"0x7efd8b601000","len":8392704,"arg":3}
 *   mmaps.total: hash, 3 of 16 entries
 *        call  calls      bytes       ns
 *        mmap    174  128818280  1253494
 *      munmap     24   44221623   803768
 *     madvise      2     297536    13971
 *
 * `arg` is the protection of mmap (1 read, 2 write, 4 execute) and the advice of madvise.
 */
enum call { mmap, munmap, madvise };

struct record {
	u64 ts, dur_ns;
	u32 pid, tid;
	enum call call;
	s32 fd;
	void *addr;
	u64 len, arg;
};

struct sum {
	u64 calls, bytes, ns;
};

struct which {
	enum call call;
};

BPF_HASH(start, u32, struct record);
BPF_HASH(total, struct which, struct sum, 16);
BPF_RINGBUF_OUTPUT(calls, 64);

static inline int enter(u32 call, u64 addr, u64 len, u64 arg, s32 fd)
{
	u64 id = bpf_get_current_pid_tgid();
	struct record r = {};
	u32 tid = id;

	if (!llmprobe_target())
		return 0;
	r.ts = bpf_ktime_get_ns();
	r.pid = id >> 32;
	r.tid = tid;
	r.call = call;
	r.fd = fd;
	r.addr = (void *)addr;
	r.len = len;
	r.arg = arg;
	start.update(&tid, &r);
	return 0;
}

static inline int leave(u64 ret)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct record *r = start.lookup(&tid);
	struct sum zero = {}, *sum;
	struct which w = {};

	if (!r)
		return 0;
	r->dur_ns = bpf_ktime_get_ns() - r->ts;
	if (r->call == mmap)
		r->addr = (void *)ret;
	w.call = r->call;
	sum = total.lookup_or_try_init(&w, &zero);
	if (sum) {
		__sync_fetch_and_add(&sum->calls, 1);
		__sync_fetch_and_add(&sum->bytes, r->len);
		__sync_fetch_and_add(&sum->ns, r->dur_ns);
	}
	calls.ringbuf_output(r, sizeof(*r), 0);
	start.delete(&tid);
	return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_mmap)
{
	return enter(mmap, args->addr, args->len, args->prot, args->fd);
}
TRACEPOINT_PROBE(syscalls, sys_enter_munmap)
{
	return enter(munmap, args->addr, args->len, 0, -1);
}
TRACEPOINT_PROBE(syscalls, sys_enter_madvise)
{
	return enter(madvise, args->start, args->len_in, args->behavior, -1);
}
TRACEPOINT_PROBE(syscalls, sys_exit_mmap)
{
	return leave(args->ret);
}
TRACEPOINT_PROBE(syscalls, sys_exit_munmap)
{
	return leave(args->ret);
}
TRACEPOINT_PROBE(syscalls, sys_exit_madvise)
{
	return leave(args->ret);
}

#include <uapi/linux/ptrace.h>
struct in {
	u8 a;
	u16 b[3];
};
union un {
	int i;
	float f;
};
enum en { EN_A, EN_B = 5, EN_C };
struct key {
	u32 pid;
	char comm[16];
	enum en e;
	union un u;
	struct in in;
	void *p;
	u64 bf1 : 3, bf2 : 7;
	int *ip;
	struct {
		int x;
		union {
			int y;
			u64 z;
		};
	};
	u8 guid[4];
	_Bool b;
	double d;
	signed char sc;
	long l;
	struct in arr[2];
	unsigned __int128 big;
};
struct ev {
	u64 ts;
	u32 pid;
	char comm[16];
	int rc;
	u64 arr[4];
	struct in in;
	enum en e;
	void *p;
	u8 raw[8];
	unsigned char uc;
	short s;
	const char *name;
};
typedef struct {
	int slot;
	u64 v;
} dist_key_t;
BPF_HASH(h, struct key, u64, 100);
BPF_HASH(h2, u32);
BPF_ARRAY(arr, struct in, 4);
BPF_HISTOGRAM(hist);
BPF_HISTOGRAM(histk, dist_key_t);
BPF_PERCPU_ARRAY(pa, u64, 3);
BPF_PERCPU_HASH(ph, u32, struct in, 3);
BPF_STACK_TRACE(stacks, 1024);
BPF_PERF_OUTPUT(events);
BPF_RINGBUF_OUTPUT(ring, 8);
BPF_TABLE("lru_hash", u64, u64, lru, 10);
BPF_PERF_OUTPUT(unused);
TRACEPOINT_PROBE(exceptions, page_fault_user)
{
	u32 k = 0;
	h2.increment(k);
	bpf_trace_printk("hi %d\n", 1);
	return 0;
}
RAW_TRACEPOINT_PROBE(sched_switch)
{
	hist.increment(bpf_log2l(5));
	return 0;
}
int on_x(struct pt_regs *ctx)
{
	struct ev e = {};
	e.pid = 1;
	bpf_get_current_comm(&e.comm, 16);
	events.perf_submit(ctx, &e, sizeof(e));
	struct ev *r = ring.ringbuf_reserve(sizeof(*r));
	if (!r)
		return 0;
	r->ts = 1;
	ring.ringbuf_submit(r, 0);
	int id = stacks.get_stackid(ctx, BPF_F_USER_STACK);
	struct key k = {};
	h.increment(k);
	dist_key_t dk = {};
	histk.increment(dk);
	u32 z = 0;
	pa.increment(z);
	lru.increment(z);
	ring.ringbuf_output(&e, sizeof e, 0);
	return 0;
}

/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * What the text that is made of a script stands on. WAKE_BYTES is the fill level of the ring that
 * wakes the reader, SCRATCH_LEVELS how deep programs may interrupt one another.
 */
#define EXTERN_MAP(n) ((void *)bpf_pseudo_fd(1, 0x4c500000 + (n)))
#define INLINE	      static __attribute__((always_inline)) inline
static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static u64 (*now_ns)(void) = (void *)5;
static long (*trace_print)(const char *fmt, u32 len, ...) = (void *)6;
static u32 (*rand32)(void) = (void *)7;
static u32 (*this_cpu)(void) = (void *)8;
static u64 (*pid_tgid)(void) = (void *)14;
static u64 (*uid_gid)(void) = (void *)15;
static long (*get_comm)(void *dst, u32 len) = (void *)16;
static u64 (*current_task)(void) = (void *)35;
static u32 (*numa_node)(void) = (void *)42;
static long (*get_stack)(void *ctx, void *dst, u32 len, u64 flags) = (void *)67;
static u64 (*cgroup_id)(void) = (void *)80;
static long (*send_signal_thread)(u32 sig) = (void *)117;
static long (*send_signal_)(u32 sig) = (void *)109;
static long (*read_user)(void *dst, u32 len, const void *src) = (void *)112;
static long (*read_kernel)(void *dst, u32 len, const void *src) = (void *)113;
static long (*read_user_str)(void *dst, u32 len, const void *src) = (void *)114;
static long (*read_kernel_str)(void *dst, u32 len, const void *src) = (void *)115;
static u64 (*jiffies64)(void) = (void *)118;
static long (*ns_pid_tgid)(u64 dev, u64 ino, void *out, u32 size) = (void *)120;
static u64 (*boot_ns)(void) = (void *)125;
static void *(*ring_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*ring_submit)(void *data, u64 flags) = (void *)132;
static u64 (*ring_query)(void *ring, u64 flags) = (void *)134;
static long (*loop_rounds)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;
static long (*for_each_elem)(void *map, void *fn, void *ctx, u64 flags) = (void *)164;
static u64 (*attach_cookie)(void *ctx) = (void *)174;
static void *(*map_lookup_cpu)(void *map, const void *key, u32 cpu) = (void *)195;
static u64 (*tai_ns)(void) = (void *)208;

/*
 * The context for an address that is handed on. The compiler must not take that address for loads
 * of its own too: the verifier allows those only from the context itself.
 */
INLINE char *lp_ctx(void *ctx)
{
	asm volatile("" : "+r"(ctx));
	return ctx;
}

/* Kernel addresses have the top bit set, those of a process do not. */
INLINE long lp_read(void *dst, u32 len, u64 src)
{
	return (s64)src < 0 ? read_kernel(dst, len, (void *)src) : read_user(dst, len, (void *)src);
}

INLINE long lp_read_str(void *dst, u32 len, u64 src)
{
	return (s64)src < 0 ? read_kernel_str(dst, len, (void *)src)
			    : read_user_str(dst, len, (void *)src);
}

/* Reading from address 0 fails, and the helper then clears the destination. */
INLINE void lp_zero(void *dst, u32 len)
{
	read_kernel(dst, len, (void *)0);
}

INLINE void lp_lost(void)
{
	u32 zero = 0;
	u64 *n = map_lookup(EXTERN_MAP(1), &zero);
	if (n)
		*n += 1;
}

INLINE void lp_submit(void *rec)
{
	ring_submit(rec, ring_query(EXTERN_MAP(0), 0) > WAKE_BYTES ? 2 : 1);
}

INLINE void lp_see(void)
{
	u32 pid = pid_tgid() >> 32, one = 1;
	u64 *rec;
	if (map_lookup(EXTERN_MAP(4), &pid))
		return;
	map_update(EXTERN_MAP(4), &pid, &one, 0);
	rec = ring_reserve(EXTERN_MAP(0), 16, 0);
	if (!rec)
		return;
	rec[0] = ~0ull;
	rec[1] = pid;
	ring_submit(rec, 2);
}

INLINE s64 lp_div(s64 a, s64 b)
{
	u64 q = (u64)(a < 0 ? -a : a) / (u64)(b < 0 ? -b : b);
	return (a < 0) != (b < 0) ? -(s64)q : (s64)q;
}

INLINE s64 lp_mod(s64 a, s64 b)
{
	u64 r = (u64)(a < 0 ? -a : a) % (u64)(b < 0 ? -b : b);
	return a < 0 ? -(s64)r : (s64)r;
}

INLINE u64 lp_log2(u64 v)
{
	u64 r = 0;
	if (v >> 32) {
		v >>= 32;
		r += 32;
	}
	if (v >> 16) {
		v >>= 16;
		r += 16;
	}
	if (v >> 8) {
		v >>= 8;
		r += 8;
	}
	if (v >> 4) {
		v >>= 4;
		r += 4;
	}
	if (v >> 2) {
		v >>= 2;
		r += 2;
	}
	return r + (v >> 1);
}

/* Negative: 0, zero: 1; then 2^k buckets per power of two. */
INLINE u64 lp_hist(s64 n, u64 k)
{
	u64 l;
	if (n < 0)
		return 0;
	if ((u64)n < (1ull << k))
		return n + 1;
	l = lp_log2(n) - k;
	return 1 + (l << k) + ((u64)n >> l);
}

/* An area that no interrupted program is using; its first word says that it is taken. */
INLINE char *lp_scratch(u32 *nest)
{
#pragma unroll
	for (u32 i = 0; i < SCRATCH_LEVELS; i++) {
		u32 key = i;
		u64 *area = map_lookup(EXTERN_MAP(2), &key);
		if (!area)
			break;
		if (area[0])
			continue;
		area[0] = 1;
		*nest = i;
		return (char *)(area + 1);
	}
	lp_lost();
	return 0;
}

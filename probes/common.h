/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/*
 * What every level's BPF text stands on: helpers, the argument words of engine files, thread state
 * and the way a record leaves. The host writes the defines in front:
 *   TRANSPORT_RING + TRANSPORT_WAKE_BYTES, or TRANSPORT_PERF  the buffer
 *   HAVE_TASK_STORAGE                                    thread slots without a hash look-up
 *   FILTER_TGID                                          probes are not limited to the targets
 *   HAVE_BPF_LOOP                                        loops without an end the verifier counts
 *
 * Helpers have names of their own: libbcc would scan /proc/kallsyms once per call of
 * bpf_probe_read_user and friends.
 */
#ifndef EXTERN_MAP
#define EXTERN_MAP(n) ((void *)bpf_pseudo_fd(1, 0x4c500000 + (n)))
#endif
#define INLINE	       static __attribute__((always_inline)) inline
#define barrier_var(x) asm volatile("" : "+r"(x))

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static long (*map_push)(void *map, const void *value, u64 flags) = (void *)87;
static long (*map_pop)(void *map, void *value) = (void *)88;
static u64 (*now_ns)(void) = (void *)5;
static u64 (*pid_tgid)(void) = (void *)14;
static u32 (*this_cpu)(void) = (void *)8;
static long (*send_signal_thread)(u32 signal) = (void *)117;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static long (*read_user)(void *dst, u32 len, const void *src) = (void *)112;
static long (*read_kernel)(void *dst, u32 len, const void *src) = (void *)113;
static long (*get_comm)(void *dst, u32 len) = (void *)16;
static u64 (*current_task)(void) = (void *)35;
static long (*perf_output)(void *ctx, void *map, u64 flags, void *data, u64 len) = (void *)25;
static long (*ring_output)(void *ring, void *data, u64 len, u64 flags) = (void *)130;
static u64 (*ring_query)(void *ring, u64 flags) = (void *)134;
static void *(*task_storage)(void *map, void *task, void *value, u64 flags) = (void *)156;
static void *(*current_task_btf)(void) = (void *)158;
static long (*read_counter)(void *map, u64 index, void *value, u32 len) = (void *)55;
static long (*loop_rounds)(u32 n, void *fn, void *arg, u64 flags) = (void *)181;

/* The address of the function cc_<n>, n a hexadecimal digit, which the host puts in place
 * (bpf/callback.h). */
#define CALLBACK(f, n) asm volatile("%0 = 0x4c5800000000000" #n " ll" : "=r"(f))

/* The words of an engine file's argument expressions. */
#define ARG1 ((u64)PT_REGS_PARM1(ctx))
#define ARG2 ((u64)PT_REGS_PARM2(ctx))
#define ARG3 ((u64)PT_REGS_PARM3(ctx))
#define ARG4 ((u64)PT_REGS_PARM4(ctx))
#define ARG5 ((u64)PT_REGS_PARM5(ctx))
#define ARG6 ((u64)PT_REGS_PARM6(ctx))
#define RET  ((u64)PT_REGS_RC(ctx))
/* A register by the number that instructions call it by. */
#if defined(__x86_64__)
#define REG(n) ((u64)ctx->REG_##n)
#define REG_0  ax
#define REG_1  cx
#define REG_2  dx
#define REG_3  bx
#define REG_5  bp
#define REG_6  si
#define REG_7  di
#define REG_8  r8
#define REG_9  r9
#define REG_10 r10
#define REG_11 r11
#define REG_12 r12
#define REG_13 r13
#define REG_14 r14
#define REG_15 r15
#else
#define REG(n) (ctx->regs[n])
#endif
/* A prompt's tokens lie side by side in a batch: the last two are of one sequence. */
#define IS_PREFILL(n_tokens, sequence, sequence_before)                                            \
	((n_tokens) > 1 && (sequence) == (sequence_before))
/* The stack pointer at the probed instruction; the plan adds what the prologue took off it. */
#define SP		((u64)PT_REGS_SP(ctx))
#define RD_U8(address)	((u64)rd(address, 1))
#define RD_U16(address) ((u64)rd(address, 2))
#define RD_U32(address) ((u64)rd(address, 4))
#define RD_S32(address) ((u64)(s64)(s32)rd(address, 4))
#define RD_U64(address) (rd(address, 8))

INLINE u64 rd(u64 address, u32 len)
{
	u64 value = 0;

	read_user(&value, len, (void *)address);
	return value;
}

INLINE void count_loss(u32 level, u64 n)
{
	struct level_count *c = map_lookup(EXTERN_MAP(MAP_LEVEL), &level);

	if (c)
		c->lost += n;
}

INLINE void count_lost_tensor(void)
{
	u32 level = LEVEL_OPERATOR;
	struct level_count *c = map_lookup(EXTERN_MAP(MAP_LEVEL), &level);

	if (c)
		c->lost_tensors++;
}

INLINE void count_hit(u32 level)
{
	struct level_count *c = map_lookup(EXTERN_MAP(MAP_LEVEL), &level);

	if (c)
		c->hits++;
}

#ifdef TRANSPORT_RING
enum { RB_NO_WAKEUP = 1, RB_FORCE_WAKEUP = 2, RB_AVAIL_DATA = 0 };

/* A wake-up costs the traced thread 7 to 15 us, so none is sent until a quarter is filled; the
 * host's timer collects the rest. */
INLINE long emit_raw(void *ctx, void *rec, u32 len)
{
	u64 used = ring_query(EXTERN_MAP(MAP_EVENTS), RB_AVAIL_DATA);
	u64 flags = used > TRANSPORT_WAKE_BYTES ? RB_FORCE_WAKEUP : RB_NO_WAKEUP;

	return ring_output(EXTERN_MAP(MAP_EVENTS), rec, len, flags);
}
#else
/* The host opened the perf events with a byte watermark, which does the same. */
INLINE long emit_raw(void *ctx, void *rec, u32 len)
{
	return perf_output(ctx, EXTERN_MAP(MAP_EVENTS), 0xffffffffULL, rec, len);
}
#endif

/* Sends a record of `n` events of `level`, or counts them as lost. */
INLINE void emit(void *ctx, u32 level, void *rec, u32 len, u32 n)
{
	if (emit_raw(ctx, rec, len))
		count_loss(level, n);
}

INLINE void fill_head(struct rec_head *h, u32 size, u32 kind, u32 level, u32 point)
{
	u64 id = pid_tgid();

	h->size = size;
	h->kind = kind;
	h->level = level;
	h->tid = (u32)id;
	h->pid = id >> 32;
	h->cpu = this_cpu();
	h->point = point;
	h->ts_ns = now_ns();
}

INLINE int is_target(u32 tgid)
{
	u32 word = (tgid >> 6) & 63;
	u64 *bits = map_lookup(EXTERN_MAP(MAP_TARGET_BITS), &word);

	if (!bits || !(*bits & (1ULL << (tgid & 63))))
		return 0;
	return map_lookup(EXTERN_MAP(MAP_TARGET), &tgid) != 0;
}

/* Probes on kernels whose pid filter cannot be used fire for everyone who maps the file. */
INLINE int skip_process(void)
{
#ifdef FILTER_TGID
	return !is_target(pid_tgid() >> 32);
#else
	return 0;
#endif
}

INLINE u32 *thread_slot(void)
{
#ifdef HAVE_TASK_STORAGE
	return task_storage(EXTERN_MAP(MAP_THREAD_SLOT), current_task_btf(), 0, 1);
#else
	u32 tid = (u32)pid_tgid(), zero = 0, *slot = map_lookup(EXTERN_MAP(MAP_THREAD_SLOT), &tid);

	if (slot)
		return slot;
	map_update(EXTERN_MAP(MAP_THREAD_SLOT), &tid, &zero, 1);
	return map_lookup(EXTERN_MAP(MAP_THREAD_SLOT), &tid);
#endif
}

INLINE void control_add(u32 which, u64 n)
{
	u64 *v = map_lookup(EXTERN_MAP(MAP_CONTROL), &which);

	if (v)
		__sync_fetch_and_add(v, n);
}

INLINE u64 control_get(u32 which)
{
	u64 *v = map_lookup(EXTERN_MAP(MAP_CONTROL), &which);

	return v ? *v : 0;
}

/* Wakes the host for a thread whose counters it opens: until then its operators have none. With
 * perf buffers the timer has to do. */
INLINE void thread_tell(void)
{
#ifdef TRANSPORT_RING
	struct rec_head h = {};

	if (!control_get(CONTROL_COUNTERS))
		return;
	fill_head(&h, sizeof(h), REC_THREAD, LEVEL_COUNTERS, 0);
	ring_output(EXTERN_MAP(MAP_EVENTS), &h, sizeof(h), RB_FORCE_WAKEUP);
#endif
}

INLINE struct thread_state *thread_state_new(u32 *slot)
{
	struct thread_state *t;
	u64 id = pid_tgid();
	u32 index = 0;

	if (map_pop(EXTERN_MAP(MAP_FREE_SLOT), &index))
		return 0;
	t = map_lookup(EXTERN_MAP(MAP_THREAD), &index);
	if (!t)
		return 0;
	*slot = index + 1;
	t->slot = index;
	t->tid = (u32)id;
	t->pid = id >> 32;
	thread_tell();
	return t;
}

INLINE struct thread_state *thread_state_at(u32 index)
{
	return map_lookup(EXTERN_MAP(MAP_THREAD), &index);
}

INLINE struct thread_state *thread_state_find(void)
{
	u32 *slot = thread_slot();

	if (!slot)
		return 0;
	return *slot ? thread_state_at(*slot - 1) : thread_state_new(slot);
}

/* The calling thread's state, made at the first hit; NULL when the slots are used up. Workers keep
 * their CPUs as a rule, which is looked at before the slower ways. */
INLINE struct thread_state *thread_state(void)
{
	u32 zero = 0, tid = (u32)pid_tgid();
	u64 *recent = map_lookup(EXTERN_MAP(MAP_RECENT_SLOT), &zero);
	struct thread_state *t;

	if (recent && RECENT_TID(*recent) == tid) {
		t = thread_state_at(RECENT_SLOT(*recent));
		if (t && t->tid == tid)
			return t;
	}
	t = thread_state_find();
	if (t && recent)
		*recent = RECENT_WORD(tid, t->slot);
	return t;
}

/* What a callback of loop_rounds is given. */
struct thread_loop {
	void *ctx;
	struct thread_state *t;
};

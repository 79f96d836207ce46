/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_helper.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>

#include "bpf/transport.h"
#include "probes/record.h"
#include "util/buf.h"

/* Sends records of 64 bytes numbered on, `ctx[0]` of them; counts what did not fit. */
static const char send_text[] =
	"struct ev { u16 size; u8 kind, level; u32 tid, pid; u16 cpu, point; u64 ts, n[5]; };\n"
	"BPF_ARRAY(sums, u64, 2);\n"
	"static void *(*reserve)(void *, u64, u64) = (void *)131;\n"
	"static void (*submit)(void *, u64) = (void *)132;\n"
	"static u64 (*query)(void *, u64) = (void *)134;\n"
	"static long (*output)(void *, void *, u64, void *, u64) = (void *)25;\n"
	"int run__send(u64 *ctx) {\n"
	"	u32 k = 0, l = 1; u64 *n = sums.lookup(&k), *lost = sums.lookup(&l);\n"
	"	if (!n || !lost) return 0;\n"
	"#ifdef TRANSPORT_RING\n"
	"	struct ev *e = reserve(EXTERN_MAP(0), sizeof(*e), 0);\n"
	"	if (!e) { (*lost)++; return 1; }\n"
	"	__builtin_memset(e, 0, sizeof(*e));\n"
	"	e->size = sizeof(*e); e->n[0] = (*n)++;\n"
	"	submit(e, query(EXTERN_MAP(0), 0) > TRANSPORT_WAKE_BYTES ? 2 : 1);\n"
	"#else\n"
	"	struct ev e = {}; e.size = sizeof(e); e.n[0] = *n;\n"
	"	if (output(ctx, EXTERN_MAP(0), 0xffffffff, &e, sizeof(e))) { (*lost)++; return 1; "
	"}\n"
	"	(*n)++;\n"
	"#endif\n"
	"	return 0;\n"
	"}\n";

struct event {
	struct rec_head head;
	uint64_t n[5];
};

struct sink {
	uint64_t next, wrong;
	unsigned calls;
	int refuse;
};

static int take(void *ctx, enum record_block kind, unsigned cpu, const void *data, size_t len)
{
	struct sink *s = ctx;
	const void *rec;
	size_t at = 0, n;
	struct event e;

	(void)cpu;
	s->calls++;
	if (s->refuse)
		return -ENOSPC;
	if (kind == BLOCK_RING) {
		while (transport_next(data, len, &at, &rec, &n)) {
			memcpy(&e, rec, sizeof(e));
			s->wrong += n != sizeof(e) || e.n[0] != s->next;
			s->next++;
		}
		s->wrong += at != len;
		return 0;
	}
	for (; at < len; at += e.head.size) {
		memcpy(&e, (const char *)data + at, sizeof(e));
		s->wrong += e.head.size != sizeof(e) || e.n[0] != s->next++;
	}
	return 0;
}

struct fixture {
	struct transport *t;
	struct bpf_module *m;
	struct diag *d;
};

static struct fixture open_fixture(enum transport_kind kind, uint64_t bytes)
{
	struct fixture f = {.d = diag_new()};
	struct bpf_extern ext = {.n = 0};
	struct bpf_load_opts o = {.externs = &ext, .n_externs = 1};
	struct buf text = {0};

	f.t = transport_new(kind, bytes, f.d);
	if (!f.t)
		diag_print(f.d, stderr, DIAG_STYLE_FIELD, false);
	assert_non_null(f.t);
	transport_defines(f.t, &text);
	buf_puts(&text, send_text);
	ext.fd = transport_map_fd(f.t);
	f.m = must_load(buf_str(&text), &o);
	buf_free(&text);
	return f;
}

static void close_fixture(struct fixture *f)
{
	bpf_module_free(f->m);
	transport_free(f->t);
	diag_free(f->d);
}

static void send(const struct fixture *f, unsigned n)
{
	uint64_t args[1] = {0};

	while (n--)
		assert_true(bpf_module_run(f->m, "run__send", args, sizeof(args)) >= 0);
}

static uint64_t lost(const struct fixture *f)
{
	uint32_t k = 1;
	uint64_t v;

	assert_int_equal(kmap_lookup(bpf_module_map_fd(f->m, "sums"), &k, &v), 0);
	return v;
}

static bool readable(const struct fixture *f)
{
	struct pollfd p = {.fd = transport_fd(f->t), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* Every test sends on one CPU, so that the order of perf records is known. */
static void check_order(enum transport_kind kind)
{
	struct fixture f = open_fixture(kind, 65536);
	struct sink s = {0};
	unsigned i;

	/* Many times round the buffer, with a remainder that makes records wrap. */
	for (i = 0; i < 100; i++) {
		send(&f, 97);
		assert_int_equal(transport_drain(f.t, take, &s), 0);
	}
	assert_int_equal(s.next, 9700);
	assert_int_equal(s.wrong, 0);
	assert_int_equal(lost(&f), 0);
	assert_true(transport_fill(f.t) == 0);
	close_fixture(&f);
}

static void test_ring_keeps_order(void **state)
{
	(void)state;
	need_bpf();
	check_order(TRANSPORT_RING);
}

static void test_perf_keeps_order(void **state)
{
	(void)state;
	need_bpf();
	check_order(TRANSPORT_PERF);
}

static void check_refusal(enum transport_kind kind)
{
	struct fixture f = open_fixture(kind, 65536);
	struct sink s = {.refuse = 1};

	send(&f, 10);
	assert_int_equal(transport_drain(f.t, take, &s), -ENOSPC);
	assert_int_equal(transport_drain(f.t, take, &s), -ENOSPC);
	s.refuse = 0;
	assert_int_equal(transport_drain(f.t, take, &s), 0);
	assert_int_equal(s.next, 10);
	assert_int_equal(s.wrong, 0);
	close_fixture(&f);
}

static void test_refused_blocks_come_again(void **state)
{
	(void)state;
	need_bpf();
	check_refusal(TRANSPORT_RING);
	check_refusal(TRANSPORT_PERF);
}

static void test_ring_losses_are_the_programs(void **state)
{
	struct fixture f;
	struct sink s = {0};

	(void)state;
	need_bpf();
	f = open_fixture(TRANSPORT_RING, 4096);
	send(&f, 100);
	assert_int_equal(transport_drain(f.t, take, &s), 0);
	assert_int_equal(s.next + lost(&f), 100);
	assert_true(lost(&f) > 0);
	assert_int_equal(s.wrong, 0);
	close_fixture(&f);
}

static void test_perf_losses_are_reported(void **state)
{
	struct transport_stats st;
	struct fixture f;
	struct sink s = {0};

	(void)state;
	need_bpf();
	f = open_fixture(TRANSPORT_PERF, 4096ull * kmap_ncpu() * 2);
	send(&f, 1000);
	assert_int_equal(transport_drain(f.t, take, &s), 0);
	assert_true(lost(&f) > 0);
	/* The kernel tells with the next record that fits. */
	send(&f, 4);
	assert_int_equal(transport_drain(f.t, take, &s), 0);
	transport_stats(f.t, &st);
	assert_int_equal(st.lost, lost(&f));
	assert_int_equal(s.next, 1004 - lost(&f));
	close_fixture(&f);
}

static void check_wake(enum transport_kind kind)
{
	struct fixture f = open_fixture(kind, 65536);
	struct sink s = {0};

	assert_false(readable(&f));
	if (kind == TRANSPORT_PERF) {
		send(&f, 10);
		assert_false(readable(&f));
	}
	send(&f, 600);
	assert_true(readable(&f));
	assert_true(transport_fill(f.t) > 0.25);
	assert_int_equal(transport_drain(f.t, take, &s), 0);
	assert_false(readable(&f));
	close_fixture(&f);
}

static void test_readable_above_the_watermark(void **state)
{
	(void)state;
	need_bpf();
	check_wake(TRANSPORT_RING);
	check_wake(TRANSPORT_PERF);
}

static void test_sizes_are_checked(void **state)
{
	struct diag *d = diag_new();

	(void)state;
	assert_null(transport_new(TRANSPORT_RING, 100000, d));
	assert_non_null(strstr(diag_first_error(d), "128"));
	diag_clear(d);
	assert_null(transport_new(TRANSPORT_RING, 0, d));
	assert_non_null(strstr(diag_first_error(d), "too small"));
	diag_clear(d);
	assert_null(transport_new(TRANSPORT_PERF, 1ull << 40, d));
	assert_non_null(strstr(diag_first_error(d), "too big"));
	diag_free(d);
}

static void test_wrapped_outputs_are_framed(void **state)
{
	static const char text[] = "struct ev { u16 size; u16 a; u32 b; u64 c, ts, n[5]; };\n"
				   "BPF_RINGBUF_OUTPUT(ring, 1);\n"
				   "BPF_PERF_OUTPUT(perf);\n"
				   "BPF_ARRAY(sum, u64, 1);\n"
				   "int run__send(u64 *ctx) {\n"
				   "	u32 k = 0; u64 *n = sum.lookup(&k); struct ev e = {};\n"
				   "	if (!n) return 0;\n"
				   "	e.n[0] = (*n)++;\n"
				   "	ring.ringbuf_output(&e, sizeof(e), 0);\n"
				   "	perf.perf_submit(ctx, &e, sizeof(e));\n"
				   "	return 0;\n"
				   "}\n";
	static const char *const names[] = {"ring", "perf"};
	struct fixture f = {.d = diag_new()};
	struct transport *t[2];
	struct sink s;
	int i;

	(void)state;
	need_bpf();
	f.m = must_load(text, NULL);
	for (i = 0; i < 2; i++) {
		t[i] = transport_wrap(bpf_module_map_fd(f.m, names[i]), 16384, f.d);
		assert_non_null(t[i]);
	}
	send(&f, 20);
	for (i = 0; i < 2; i++) {
		s = (struct sink){0};
		assert_int_equal(transport_drain(t[i], take, &s), 0);
		assert_int_equal(s.next, 20);
		/* perf rounds 64 bytes up to 68, and cannot say so. */
		assert_int_equal(s.wrong, i ? 20 : 0);
		transport_free(t[i]);
	}
	assert_null(transport_wrap(bpf_module_map_fd(f.m, "sum"), 4096, f.d));
	bpf_module_free(f.m);
	diag_free(f.d);
}

static void test_damaged_blocks_end_the_walk(void **state)
{
	uint32_t block[6] = {100, 0, 1, 2, 3, 4};
	const void *rec;
	size_t at = 0, n;

	(void)state;
	assert_false(transport_next(block, sizeof(block), &at, &rec, &n));
	block[0] = 16;
	assert_true(transport_next(block, sizeof(block), &at, &rec, &n));
	assert_int_equal(n, 16);
	assert_false(transport_next(block, sizeof(block), &at, &rec, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_keeps_order),
		cmocka_unit_test(test_perf_keeps_order),
		cmocka_unit_test(test_refused_blocks_come_again),
		cmocka_unit_test(test_ring_losses_are_the_programs),
		cmocka_unit_test(test_perf_losses_are_reported),
		cmocka_unit_test(test_readable_above_the_watermark),
		cmocka_unit_test(test_sizes_are_checked),
		cmocka_unit_test(test_wrapped_outputs_are_framed),
		cmocka_unit_test(test_damaged_blocks_end_the_walk),
	};
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

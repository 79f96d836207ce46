/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record costs the traced thread and the reader: a probe that sends 200 bytes, hit in a
 * tight loop, drained by a second thread on a 10 ms timer. Needs root.
 */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "bpf/kmap.h"
#include "bpf/transport.h"
#include "probes/record.h"

enum { RUNS = 7, HITS = 60000, RECORD = 200 };

static const char text[] =
	"#include <uapi/linux/ptrace.h>\n"
	"struct record { u16 size; u8 kind, level; u32 tid, pid; u16 cpu, point; u64 ts, fill[22]; "
	"};\n"
	"static void *(*reserve)(void *, u64, u64) = (void *)131;\n"
	"static void (*submit)(void *, u64) = (void *)132;\n"
	"static u64 (*query)(void *, u64) = (void *)134;\n"
	"static long (*output)(void *, void *, u64, void *, u64) = (void *)25;\n"
	"BPF_ARRAY(lost, u64, 1);\n"
	"int null(struct pt_regs *ctx) { return 0; }\n"
	"int send(struct pt_regs *ctx) {\n"
	"	u32 k = 0; u64 *l = lost.lookup(&k);\n"
	"#ifdef TRANSPORT_RING\n"
	"	struct record *e = reserve(EXTERN_MAP(0), sizeof(*e), 0);\n"
	"	if (!e) { if (l) (*l)++; return 0; }\n"
	"#else\n"
	"	struct record room = {}, *e = &room;\n"
	"#endif\n"
	"	e->size = sizeof(*e); e->ts = bpf_ktime_get_ns();\n"
	"	e->tid = bpf_get_current_pid_tgid(); e->fill[0] = ctx->di;\n"
	"#ifdef TRANSPORT_RING\n"
	"	submit(e, query(EXTERN_MAP(0), 0) > TRANSPORT_WAKE_BYTES ? 2 : 1);\n"
	"#else\n"
	"	if (output(ctx, EXTERN_MAP(0), 0xffffffff, e, sizeof(*e)) && l) (*l)++;\n"
	"#endif\n"
	"	return 0;\n"
	"}\n";

PROBE_TARGET(bench_target)

struct reader {
	struct transport *t;
	char *to;
	uint64_t bytes;
	double cpu_ns;
	int stop;
};

static int take(void *ctx, enum record_block kind, unsigned cpu, const void *data, size_t len)
{
	struct reader *r = ctx;

	(void)kind;
	(void)cpu;
	memcpy(r->to, data, len);
	r->bytes += len;
	return 0;
}

static void *read_all(void *arg)
{
	struct reader *r = arg;
	struct pollfd p = {.fd = transport_fd(r->t), .events = POLLIN};
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		poll(&p, 1, 10);
		transport_drain(r->t, take, r);
	}
	transport_drain(r->t, take, r);
	r->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	return NULL;
}

/* CPU time per hit of the thread that is hit. */
static double hit_ns(struct bpf_module *m, const char *prog)
{
	struct uprobe_site site = {own_offset((void *)bench_target), 0};
	struct uprobe_opts o = {
		.path = "/proc/self/exe", .sites = &site, .n_sites = 1, .pid = getpid()};
	struct reaper *r = reaper_new();
	struct bpf_links *l = links_new(r);
	struct diag *d = diag_new();
	double start;
	int i;

	if (links_uprobes(l, bpf_module_prog_fd(m, prog), &o, NULL, d))
		die_of(d);
	for (i = 0; i < 100; i++)
		bench_target(i);
	start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (i = 0; i < HITS; i++)
		bench_target(i);
	start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	links_free(l);
	reaper_flush(r, 10000);
	reaper_free(r);
	diag_free(d);
	return start / HITS;
}

struct figures {
	double null[RUNS], send[RUNS], drain[RUNS];
	uint64_t lost, wrong;
};

static void once(struct transport *t, struct bpf_module *m, struct figures *f, int run)
{
	struct reader r = {.t = t, .to = malloc(2 << 20)};
	pthread_t thread;

	/* Touched before, or page faults would count as draining. */
	memset(r.to, 1, 2 << 20);
	f->null[run] = hit_ns(m, "null");
	pthread_create(&thread, NULL, read_all, &r);
	f->send[run] = hit_ns(m, "send");
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	f->drain[run] = r.cpu_ns / (HITS + 100);
	free(r.to);
}

static void row(const char *name, enum transport_kind kind, uint64_t bytes)
{
	struct bpf_extern ext = {.n = 0};
	struct bpf_load_opts o = {.externs = &ext, .n_externs = 1};
	struct diag *d = diag_new();
	struct transport *t = transport_new(kind, bytes, d);
	struct buf all = {0};
	struct bpf_module *m;
	struct figures f;
	uint32_t k = 0;
	int run;

	if (!t)
		die_of(d);
	transport_defines(t, &all);
	buf_puts(&all, text);
	ext.fd = transport_map_fd(t);
	m = load_text(buf_str(&all), &o);
	for (run = 0; run < RUNS; run++)
		once(t, m, &f, run);
	kmap_lookup(bpf_module_map_fd(m, "lost"), &k, &f.lost);
	printf("%-6s %8.1f %10.0f %10.0f %10.0f %12.1f %8llu\n", name, bytes / 1048576.0,
	       median(f.null, RUNS), median(f.send, RUNS),
	       median(f.send, RUNS) - median(f.null, RUNS), median(f.drain, RUNS),
	       (unsigned long long)f.lost);
	bpf_module_free(m);
	transport_free(t);
	buf_free(&all);
	diag_free(d);
}

int main(void)
{
	printf("medians of %d x %d hits, ns; record %d bytes\n%-6s %8s %10s %10s %10s %12s %8s\n",
	       RUNS, HITS, RECORD, "kind", "MiB", "null hit", "sending", "added", "drain/record",
	       "lost");
	row("ring", TRANSPORT_RING, 1 << 20);
	row("ring", TRANSPORT_RING, 16 << 20);
	row("perf", TRANSPORT_PERF, 1 << 20);
	row("perf", TRANSPORT_PERF, 16 << 20);
	return 0;
}

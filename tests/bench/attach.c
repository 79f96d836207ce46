/* SPDX-License-Identifier: Apache-2.0 */
/* How long attaching and detaching takes, per method and number of probes. Needs root. */
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum { SITES = 256, SITE_BYTES = 16, RUNS = 5 };

extern const char attach_sites[];
#ifdef __aarch64__
#define SITE "nop\n\tret\n\t"
#else
#define SITE "push %rbp\n\tpop %rbp\n\tret\n\t"
#endif
__asm__(".pushsection .text\n\t.balign 16\n\t.globl attach_sites\nattach_sites:\n"
	"\t.rept 256\n\t.balign 16\n\t" SITE ".endr\n\t.popsection");

struct times {
	double attach[RUNS], detach[RUNS], gone[RUNS];
};

static void once(int prog, enum link_method method, size_t n, struct times *t, int run)
{
	struct uprobe_site sites[SITES];
	struct uprobe_opts o = {.path = "/proc/self/exe",
				.sites = sites,
				.n_sites = n,
				.pid = getpid(),
				.method = method};
	struct reaper *r = reaper_new();
	struct bpf_links *l = links_new(r);
	struct diag *d = diag_new();
	uint64_t first = own_offset(attach_sites);
	double start;
	size_t i;

	for (i = 0; i < n; i++)
		sites[i] = (struct uprobe_site){first + i * SITE_BYTES, i + 1};
	start = clock_ns(CLOCK_MONOTONIC);
	if (links_uprobes(l, prog, &o, NULL, d))
		die_of(d);
	t->attach[run] = clock_ns(CLOCK_MONOTONIC) - start;
	start = clock_ns(CLOCK_MONOTONIC);
	links_free(l);
	t->detach[run] = clock_ns(CLOCK_MONOTONIC) - start;
	reaper_flush(r, 60000);
	t->gone[run] = clock_ns(CLOCK_MONOTONIC) - start;
	reaper_free(r);
	diag_free(d);
}

static void row(int prog, const char *name, enum link_method method, size_t n)
{
	struct times t;
	int run;

	for (run = 0; run < RUNS; run++)
		once(prog, method, n, &t, run);
	printf("%-12s %6zu %12.2f %14.2f %12.1f\n", name, n, median(t.attach, RUNS) / 1e6,
	       median(t.detach, RUNS) / 1e6, median(t.gone, RUNS) / 1e6);
	fflush(stdout);
}

int main(void)
{
	struct bpf_module *m = load_text("int on_hit(void *ctx) { return 0; }\n", NULL);
	int prog = bpf_module_prog_fd(m, "on_hit");

	printf("medians of %d, ms\n%-12s %6s %12s %14s %12s\n", RUNS, "method", "probes", "attach",
	       "caller waits", "all gone");
	row(prog, "multi link", LINK_UPROBE_MULTI, 2);
	row(prog, "multi link", LINK_UPROBE_MULTI, 130);
	row(prog, "multi link", LINK_UPROBE_MULTI, 256);
	row(prog, "tracefs", LINK_TRACEFS, 2);
	row(prog, "tracefs", LINK_TRACEFS, 130);
	row(prog, "perf events", LINK_PERF, 2);
	row(prog, "perf events", LINK_PERF, 10);
	bpf_module_free(m);
	return 0;
}

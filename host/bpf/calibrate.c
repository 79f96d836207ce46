/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/calibrate.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf/cache.h"
#include "bpf/link.h"
#include "bpf/sys.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/median.h"

enum { BATCHES = 7, CALLS_CHEAP = 200, CALLS_STEPPED = 30, WARM_UP = 3 };

/* One function per class, whose first instruction is of that class. */
void calibrate_emulated(void);
void calibrate_push(void);
void calibrate_stepped(void);
void calibrate_nop5(void);
void calibrate_return(void);

#if defined(__x86_64__)
#define FIRST_EMULATED "jmp 1f\n1:\tret"
#define FIRST_PUSH     "push %rbp\n\tpop %rbp\n\tret"
#define FIRST_STEPPED  "lea 8(%rdi), %rax\n\tret"
#define FIRST_NOP5     ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n\tret"
#elif defined(__aarch64__)
#define FIRST_EMULATED "b 1f\n1:\tret"
#define FIRST_PUSH     FIRST_EMULATED
#define FIRST_STEPPED  "mov x9, x10\n\tret"
#define FIRST_NOP5     "nop\n\tret"
#endif
#define FUNCTION(name, body)                                                                       \
	__asm__(".pushsection .text\n\t.balign 16\n\t.globl " name "\n\t.hidden " name             \
		"\n\t.type " name ", @function\n" name ":\n\t" body "\n\t.size " name ", .-" name  \
		"\n\t.popsection")

FUNCTION("calibrate_emulated", FIRST_EMULATED);
FUNCTION("calibrate_push", FIRST_PUSH);
FUNCTION("calibrate_stepped", FIRST_STEPPED);
FUNCTION("calibrate_nop5", FIRST_NOP5);
FUNCTION("calibrate_return", FIRST_PUSH);

static const struct {
	const char *name;
	void (*fn)(void);
	int calls;
} classes[HIT_CLASS_COUNT] = {
	[HIT_EMULATED] = {"emulated", calibrate_emulated, CALLS_CHEAP},
	[HIT_PUSH] = {"emulated push", calibrate_push, CALLS_CHEAP},
	[HIT_STEPPED] = {"single-stepped", calibrate_stepped, CALLS_STEPPED},
	[HIT_NOP5] = {"nop5", calibrate_nop5, CALLS_CHEAP},
	[HIT_RETURN] = {"return", calibrate_return, CALLS_CHEAP},
};

const char *hit_class_name(enum hit_class c)
{
	return classes[c].name;
}

/* Where a function of this program lies in its file. */
static uint64_t file_offset(void (*fn)(void))
{
	unsigned long start, end, offset, at = (unsigned long)fn;
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t found = 0;
	char line[512];

	while (maps && !found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && at >= start &&
		    at < end)
			found = at - start + offset;
	}
	if (maps)
		fclose(maps);
	return found;
}

static double thread_ns(void)
{
	/* CPU time, so that being preempted meanwhile does not count. */
	return (double)clock_read(CLOCK_THREAD_CPUTIME_ID);
}

static double measure(void (*fn)(void), int calls)
{
	double batch[BATCHES];
	int i, k;

	for (k = 0; k < WARM_UP; k++)
		fn();
	for (i = 0; i < BATCHES; i++) {
		double start = thread_ns();

		for (k = 0; k < calls; k++)
			fn();
		batch[i] = (thread_ns() - start) / calls;
	}
	return median(batch, BATCHES);
}

static int attach(struct bpf_links *l, int prog, enum hit_class first, size_t n, struct diag *d)
{
	struct uprobe_site sites[HIT_CLASS_COUNT];
	struct uprobe_opts o = {.path = "/proc/self/exe",
				.sites = sites,
				.n_sites = n,
				.is_return = first == HIT_RETURN,
				.pid = getpid()};
	size_t i;

	for (i = 0; i < n; i++)
		sites[i] = (struct uprobe_site){file_offset(classes[first + i].fn), 0};
	return links_uprobes(l, prog, &o, NULL, d);
}

static int measure_all(struct hit_cost *out, struct diag *d)
{
	int prog = sys_prog_load_null(BPF_PROG_TYPE_KPROBE, ATTACH_UPROBE_MULTI), err, c;
	struct reaper *r;
	struct bpf_links *l;

	if (prog < 0)
		prog = sys_prog_load_null(BPF_PROG_TYPE_KPROBE, 0);
	if (prog < 0)
		return diag_fail(d, prog, "cannot calibrate the cost of probes: %s",
				 strerror(-prog));
	r = reaper_new();
	l = links_new(r);
	err = attach(l, prog, HIT_EMULATED, HIT_RETURN, d);
	if (!err)
		err = attach(l, prog, HIT_RETURN, 1, d);
	for (c = 0; c < HIT_CLASS_COUNT; c++)
		out->ns[c] = err ? NAN : measure(classes[c].fn, classes[c].calls);
	links_free(l);
	reaper_free(r);
	close(prog);
	return err;
}

int calibrate_hits(const char *cache_dir, struct hit_cost *out, struct diag *d)
{
	struct cache_key key = {{0}};
	struct buf boot = {0}, b = {0};
	int err;

	file_read("/proc/sys/kernel/random/boot_id", &boot, 256);
	cache_key_adds(&key, buf_str(&boot));
	buf_free(&boot);
	err = cache_get(cache_dir, "hits", &key, &b);
	if (!err && b.len == sizeof(*out)) {
		memcpy(out, b.data, sizeof(*out));
		buf_free(&b);
		return 0;
	}
	buf_free(&b);
	err = measure_all(out, d);
	if (!err)
		cache_put(cache_dir, "hits", &key, out, sizeof(*out));
	return err;
}

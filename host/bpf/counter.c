/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/counter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bpf/counter_names.h"
#include "bpf/kmap.h"
#include "bpf/pfm.h"
#include "bpf/sys.h"
#include "util/alloc.h"
#include "util/file.h"
#include "util/text.h"

struct counters {
	struct counter list[COUNTERS_MAX];
	char *names[COUNTERS_MAX];
	size_t n, n_events;
	int map;
	unsigned threads;
	int *fds; /* threads x n_events, -1: closed */
};

static const char *next_name(const void *state, size_t i)
{
	(void)state;
	return counter_name(i);
}

/* ":u" and ":k" at the end. False for another modifier. */
static bool apply_modifier(const char *mod, struct counter *c)
{
	if (!*mod)
		return true;
	if (strcmp(mod, ":u") && strcmp(mod, ":k"))
		return false;
	c->attr.exclude_kernel = c->attr.exclude_hv = mod[1] == 'u';
	c->attr.exclude_user = mod[1] == 'k';
	return true;
}

/* Without the library its names are not known: `d` says so. */
static bool lookup_pfm(const char *name, struct counter *c, struct diag *d)
{
	pfm_perf_encode_arg_t arg = {.attr = &c->attr, .size = sizeof(arg)};

	c->method = COUNTER_EVENT;
	c->unit = "events";
	return pfm_load(d) == 0 &&
	       pfm.encode(name, PFM_PLM0 | PFM_PLM3, PFM_OS_PERF_EVENT, &arg) == PFM_SUCCESS;
}

static int parse_one(const char *name, struct counter *c, struct diag *d)
{
	size_t len = strcspn(name, ":");
	char *bare = xstrndup(name, len);
	const char *near;
	int err = 0;

	memset(c, 0, sizeof(*c));
	if (counter_lookup(name, len, c)) {
		if (!apply_modifier(name + len, c))
			err = diag_fail(d, -EINVAL, "counter '%s': only :u or :k may follow '%s'",
					name, bare);
		else if (name[len] && c->method == COUNTER_TASK)
			err = diag_fail(d, -EINVAL,
					"counter '%s': the kernel does not keep %s by mode; write "
					"it without '%s'",
					name, bare, name + len);
	} else if (!lookup_pfm(name, c, d)) {
		near = text_nearest(bare, next_name, NULL);
		err = diag_fail(d, -ENOENT, "there is no counter '%s'; %s%s%s", name,
				near ? "did you mean '" : "llmprobe list counters",
				near ? near : "", near ? "'?" : " names them");
	}
	free(bare);
	return err;
}

struct counters *counters_parse(const char *const *names, size_t n, struct diag *d)
{
	struct counters *c = xcalloc(1, sizeof(*c));
	size_t i;
	int err = 0;

	c->map = -1;
	if (n > COUNTERS_MAX)
		err = diag_fail(d, -E2BIG, "%zu counters are too many: at most %d", n,
				COUNTERS_MAX);
	for (i = 0; n <= COUNTERS_MAX && i < n; i++) {
		struct counter *one = &c->list[c->n];

		if (parse_one(names[i], one, d)) {
			err = -EINVAL;
			continue;
		}
		one->name = c->names[c->n] = xstrdup(names[i]);
		one->attr.size = sizeof(one->attr);
		one->attr.read_format =
			PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
		c->n_events += one->method == COUNTER_EVENT;
		c->n++;
	}
	if (err) {
		counters_free(c);
		return NULL;
	}
	return c;
}

void counters_free(struct counters *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->threads; i++)
		counters_close(c, (unsigned)i);
	for (i = 0; i < c->n; i++)
		free(c->names[i]);
	if (c->map >= 0)
		close(c->map);
	free(c->fds);
	free(c);
}

size_t counters_count(const struct counters *c)
{
	return c->n;
}

const struct counter *counters_get(const struct counters *c, size_t i)
{
	return i < c->n ? &c->list[i] : NULL;
}

bool counters_need_offsets(const struct counters *c)
{
	return c->n_events < c->n;
}

static int paranoid(void)
{
	struct buf b = {0};
	int level = -1;

	if (!file_read("/proc/sys/kernel/perf_event_paranoid", &b, 64))
		level = atoi(buf_str(&b));
	buf_free(&b);
	return level;
}

static bool is_software(const struct counter *c)
{
	return c->attr.type == PERF_TYPE_SOFTWARE;
}

static bool opens(struct counter *c)
{
	int fd;

	c->attr.size = sizeof(c->attr);
	fd = sys_perf_event_open(&c->attr, 0, -1, -1, 0);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The generic hardware counters of this machine, each with a comma behind it; false: none. */
static bool hardware_here(struct buf *out)
{
	uint64_t seen = 0; /* by number: some have two names */
	const char *name;
	size_t n = 0;

	for (size_t i = 0; (name = counter_name(i)); i++) {
		struct counter c = {0};

		if (!counter_lookup(name, strlen(name), &c) || c.method != COUNTER_EVENT ||
		    c.attr.type != PERF_TYPE_HARDWARE || seen >> c.attr.config & 1 || !opens(&c))
			continue;
		seen |= UINT64_C(1) << c.attr.config;
		buf_printf(out, "%s, ", name);
		n++;
	}
	return n > 0;
}

static int no_such_counter(const struct counter *c, int err, struct diag *d)
{
	struct buf here = {0};
	bool some = hardware_here(&here);

	diag_add(d, DIAG_ERROR,
		 "counter '%s': this machine has no such hardware counter%s; it has %stask-clock, "
		 "page-faults, context-switches, cpu-migrations and run-delay",
		 c->name, some ? "" : " (a virtual machine without any)", buf_str(&here));
	buf_free(&here);
	return err;
}

static int refused(const struct counter *c, int err, struct diag *d)
{
	if (err == -EACCES || err == -EPERM)
		return diag_fail(d, err,
				 "counter '%s': not permitted (perf_event_paranoid is %d): add "
				 "CAP_PERFMON, lower /proc/sys/kernel/perf_event_paranoid to 1, or "
				 "count user mode only with '%s:u'",
				 c->name, paranoid(), c->name);
	if (!is_software(c) && (err == -ENOENT || err == -EOPNOTSUPP || err == -ENODEV))
		return no_such_counter(c, err, d);
	return diag_fail(d, err, "counter '%s': the kernel refused it: %s", c->name,
			 strerror(-err));
}

/*
 * Opens the events of one thread: hardware ones as one group, so that they are counted together or
 * not at all. Returns 0 or -errno; `*failed` is the counter. Closes nothing.
 */
static int open_events(const struct counters *c, pid_t tid, int *fds, size_t *failed)
{
	int leader = -1;
	size_t i, k = 0;

	for (i = 0; i < c->n; i++) {
		struct perf_event_attr attr = c->list[i].attr;
		bool grouped = !is_software(&c->list[i]);
		int fd;

		if (c->list[i].method != COUNTER_EVENT)
			continue;
		fd = sys_perf_event_open(&attr, tid, -1, grouped ? leader : -1, 0);
		if (fd < 0) {
			*failed = i;
			return fd;
		}
		if (grouped && leader < 0)
			leader = fd;
		fds[k++] = fd;
	}
	return 0;
}

static void close_all(int *fds, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

bool counter_is_grouped(const struct counter *c)
{
	return c->method == COUNTER_EVENT && !is_software(c);
}

static size_t hardware_before(const struct counters *c, size_t end)
{
	size_t i, n = 0;

	for (i = 0; i < end; i++)
		n += counter_is_grouped(&c->list[i]);
	return n;
}

static int explain(const struct counters *c, size_t failed, int err, struct diag *d)
{
	size_t fit = hardware_before(c, failed);

	/* The kernel says EINVAL when a group has no room for one more. */
	if (err == -EINVAL && fit && !is_software(&c->list[failed]))
		return diag_fail(d, -E2BIG,
				 "only %zu of these hardware counters fit at once: leave out '%s' "
				 "or another one (of %zu)",
				 fit, c->list[failed].name, hardware_before(c, c->n));
	return refused(&c->list[failed], err, d);
}

int counters_check(const struct counters *c, struct diag *d)
{
	int fds[COUNTERS_MAX], err;
	size_t failed = 0;

	memset(fds, -1, sizeof(fds));
	err = open_events(c, 0, fds, &failed);
	close_all(fds, COUNTERS_MAX);
	return err ? explain(c, failed, err, d) : 0;
}

int counters_map(struct counters *c, unsigned threads, struct diag *d)
{
	struct kmap_spec spec = {.type = BPF_MAP_TYPE_PERF_EVENT_ARRAY,
				 .key_size = 4,
				 .value_size = 4,
				 .name = "counters"};

	if (c->map >= 0)
		return c->map;
	spec.max_entries = (uint32_t)(threads * (c->n_events ? c->n_events : 1));
	c->map = kmap_create(&spec, d);
	if (c->map < 0)
		return c->map;
	c->threads = threads;
	c->fds = xcalloc(threads * c->n_events + 1, sizeof(*c->fds));
	memset(c->fds, -1, threads * c->n_events * sizeof(*c->fds));
	return c->map;
}

int counters_open(struct counters *c, pid_t tid, unsigned slot, struct diag *d)
{
	size_t failed = 0, i;
	uint32_t key;
	int *fds, err;

	if (slot >= c->threads)
		return diag_fail(d, -ENOSPC, "counters were made for %u threads only", c->threads);
	counters_close(c, slot);
	fds = c->fds + slot * c->n_events;
	err = open_events(c, tid, fds, &failed);
	for (i = 0; !err && i < c->n_events; i++) {
		key = (uint32_t)(slot * c->n_events + i);
		err = kmap_update(c->map, &key, &fds[i], BPF_ANY);
	}
	if (!err)
		return 0;
	close_all(fds, c->n_events);
	return err == -ESRCH ? err : explain(c, failed, err, d);
}

void counters_close(struct counters *c, unsigned slot)
{
	uint32_t key;
	size_t i;

	if (slot >= c->threads)
		return;
	for (i = 0; i < c->n_events; i++) {
		key = (uint32_t)(slot * c->n_events + i);
		kmap_delete(c->map, &key);
	}
	close_all(c->fds + slot * c->n_events, c->n_events);
}

static void read_event(struct buf *out, size_t value, size_t event, size_t n_events, size_t n,
		       bool first_hardware)
{
	buf_printf(out,
		   "\tif (counter_read_value(COUNTERS_MAP, slot * %zu + %zu, &r, sizeof(r)))\n"
		   "\t\treturn 1;\n"
		   "\tv[%zu] = r.counter;\n",
		   n_events, event, value);
	if (first_hardware)
		buf_printf(out, "\tv[%zu] = r.enabled;\n\tv[%zu] = r.running;\n", n, n + 1);
}

static void read_field(struct buf *out, size_t value, const struct counter *c,
		       const struct task_offsets *o)
{
	unsigned f;

	for (f = 0; f < c->n_fields; f++) {
		if (o->at[c->fields[f]] < 0)
			continue;
		buf_printf(out,
			   "\tx = 0;\n"
			   "\tcounter_read_kernel(&x, sizeof(x), (char *)task + %d);\n"
			   "\tv[%zu] += x;\n",
			   o->at[c->fields[f]], value);
	}
}

void counters_text(const struct counters *c, const struct task_offsets *o, unsigned map,
		   struct buf *out)
{
	bool hardware_seen = false;
	size_t i, event = 0;

	buf_printf(out,
		   "#define COUNTERS %zu\n"
		   "#define COUNTERS_MAP EXTERN_MAP(%u)\n"
		   "struct counter_value { u64 counter, enabled, running; };\n"
		   "static long (*counter_read_value)(void *, u64, void *, u32) = (void *)55;\n"
		   "static long (*counter_read_kernel)(void *, u32, const void *) = (void *)113;\n"
		   "static inline int counters_read(void *task, u32 slot, u64 *v)\n"
		   "{\n"
		   "\tstruct counter_value r = {};\n"
		   "\tu64 x = 0;\n",
		   c->n, map);
	for (i = 0; i < c->n + 2; i++)
		buf_printf(out, "\tv[%zu] = 0;\n", i);
	for (i = 0; i < c->n; i++) {
		bool first;

		if (c->list[i].method == COUNTER_TASK) {
			read_field(out, i, &c->list[i], o);
			continue;
		}
		first = !hardware_seen && !is_software(&c->list[i]);
		hardware_seen = hardware_seen || first;
		read_event(out, i, event++, c->n_events, c->n, first);
	}
	buf_puts(out, "\treturn 0;\n}\n");
}

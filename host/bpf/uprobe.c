/* SPDX-License-Identifier: Apache-2.0 */
/* Three ways to attach uprobes, the fastest that the kernel has first. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bpf/headers.h"
#include "bpf/link_set.h"
#include "bpf/sys.h"
#include "bpf/tracefs.h"
#include "util/alloc.h"
#include "util/file.h"

enum { WARN_MAX = 8 };

struct attach {
	struct bpf_links *l;
	int prog_fd;
	const struct uprobe_opts *o;
	struct uprobe_result *res;
	struct diag *d;
	int first_err; /* of a site that could not be attached */
	pid_t pid;     /* what multi links filter by */
};

static void site_failed(struct attach *a, size_t i, int err)
{
	if (!a->first_err)
		a->first_err = err;
	if (a->res->failed++ < WARN_MAX)
		diag_add(a->d, DIAG_WARNING, "no probe at %s+%#llx: %s", a->o->path,
			 (unsigned long long)a->o->sites[i].offset,
			 err == -EOPNOTSUPP || err == -ENOTSUP
				 ? "the kernel cannot probe this instruction"
				 : strerror(-err));
}

/* The kernel filtered by thread instead of by process from 6.6 to 6.9. */
static bool multi_pid_by_process(void)
{
	struct utsname uts;

	uname(&uts);
	return headers_kernel_version(uts.release) >= (6 << 16 | 10 << 8);
}

static int multi_link(const struct attach *a, const uint64_t *offsets, const uint64_t *cookies,
		      size_t n)
{
	struct uprobe_multi_attr attr = {
		.prog_fd = a->prog_fd,
		.attach_type = a->o->session ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI,
		.path = (uintptr_t)a->o->path,
		.offsets = (uintptr_t)offsets,
		.cookies = (uintptr_t)cookies,
		.cnt = (uint32_t)n,
		.multi_flags = a->o->is_return,
		.pid = (uint32_t)a->pid,
	};

	return sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
}

/* One bad site makes the whole link fail, so halves are tried until the bad ones stand alone. */
static void multi_range(struct attach *a, const uint64_t *offsets, const uint64_t *cookies,
			size_t first, size_t n)
{
	int fd = multi_link(a, offsets + first, cookies + first, n);

	if (fd >= 0) {
		links_add(a->l, fd, n);
		a->res->attached += n;
	} else if (n == 1) {
		site_failed(a, first, fd);
	} else {
		multi_range(a, offsets, cookies, first, n / 2);
		multi_range(a, offsets, cookies, first + n / 2, n - n / 2);
	}
}

/* Errors that concern the program, the file or our rights: no site would do better. */
static bool concerns_all(int err)
{
	return err == -EPERM || err == -EACCES || err == -ENOENT || err == -EBADF ||
	       err == -ESRCH || err == -EISDIR || err == -ENOTDIR || err == -EMFILE;
}

/* EINVAL is all that kernels without multi links say about them. */
static bool lacks_multi(int err)
{
	return err == -EINVAL && !sys_has_uprobe_multi();
}

static int attach_multi(struct attach *a)
{
	size_t n = a->o->n_sites, i;
	uint64_t *offsets = xcalloc(2 * n, sizeof(*offsets)), *cookies = offsets + n;
	bool by_process = multi_pid_by_process();
	int fd;

	for (i = 0; i < n; i++) {
		offsets[i] = a->o->sites[i].offset;
		cookies[i] = a->o->sites[i].cookie;
	}
	a->pid = by_process ? a->o->pid : 0;
	fd = multi_link(a, offsets, cookies, n);
	if (fd >= 0) {
		links_add(a->l, fd, n);
		a->res->attached = n;
	} else if (concerns_all(fd) || n == 1 || lacks_multi(fd)) {
		a->first_err = fd;
		a->res->failed = n;
	} else {
		multi_range(a, offsets, cookies, 0, n / 2);
		multi_range(a, offsets, cookies, n / 2, n - n / 2);
	}
	a->res->method = LINK_UPROBE_MULTI;
	a->res->cookies = true;
	a->res->pid_filtered = by_process && a->o->pid;
	free(offsets);
	return a->res->attached ? 0 : a->first_err;
}

static int attach_tracefs(struct attach *a)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr)};
	char group[32], event[32], *command;
	int err = links_need_tracefs(a->l, a->d), fd;
	size_t i;

	/* The kernel splits the command at blanks. */
	if (err < 0 || strpbrk(a->o->path, " \t\n:"))
		return err < 0 ? err : -EINVAL;
	if (!a->l->n_events)
		tracefs_clean_stale(a->l->tracefs);
	snprintf(group, sizeof(group), "llmprobe_%d", getpid());
	snprintf(event, sizeof(event), "e%p_%u", (void *)a->l, a->l->n_events++);
	for (i = 0; i < a->o->n_sites; i++) {
		command = xasprintf("%c:%s/%s %s:0x%llx\n", a->o->is_return ? 'r' : 'p', group,
				    event, a->o->path, (unsigned long long)a->o->sites[i].offset);
		err = tracefs_uprobe_event(a->l->tracefs, command);
		free(command);
		if (err)
			site_failed(a, i, err);
		else
			a->res->attached++;
	}
	if (!a->res->attached)
		return a->first_err;
	buf_printf(&a->l->events, "-:%s/%s\n", group, event);
	fd = tracefs_event_id(a->l->tracefs, group, event);
	if (fd < 0)
		return fd;
	attr.config = fd;
	attr.sample_period = 1;
	fd = sys_perf_event_open(&attr, a->o->pid ? a->o->pid : -1, a->o->pid ? -1 : 0, -1, 0);
	a->res->method = LINK_TRACEFS;
	a->res->pid_filtered = a->o->pid != 0;
	return fd < 0 ? fd : links_perf(a->l, a->prog_fd, fd, 0, a->res->attached, NULL);
}

/* A number in a file of the uprobe PMU, behind the last ':' ("config:0"). */
static int pmu_number(const char *file)
{
	struct buf b = {0};
	const char *at;
	int n = file_read(file, &b, 64);

	if (!n) {
		at = strrchr(buf_str(&b), ':');
		n = atoi(at ? at + 1 : buf_str(&b));
	}
	buf_free(&b);
	return n;
}

static int attach_perf(struct attach *a)
{
	int type = pmu_number("/sys/bus/event_source/devices/uprobe/type");
	int bit = pmu_number("/sys/bus/event_source/devices/uprobe/format/retprobe");
	struct perf_event_attr attr = {.size = sizeof(attr), .type = (uint32_t)type};
	bool cookies = true;
	size_t i;

	if (type < 0)
		return type;
	attr.config = a->o->is_return ? 1ull << (bit > 0 ? bit : 0) : 0;
	attr.config1 = (uintptr_t)a->o->path;
	for (i = 0; i < a->o->n_sites; i++) {
		bool with_cookie;
		int fd, err;

		attr.config2 = a->o->sites[i].offset;
		fd = sys_perf_event_open(&attr, a->o->pid ? a->o->pid : -1, a->o->pid ? -1 : 0, -1,
					 0);
		err = fd < 0 ? fd
			     : links_perf(a->l, a->prog_fd, fd, a->o->sites[i].cookie, 1,
					  &with_cookie);
		if (err) {
			if (concerns_all(err)) {
				a->first_err = err;
				break;
			}
			site_failed(a, i, err);
			continue;
		}
		cookies = cookies && with_cookie;
		a->res->attached++;
	}
	a->res->failed = a->o->n_sites - a->res->attached;
	a->res->method = LINK_PERF;
	a->res->cookies = cookies;
	a->res->pid_filtered = a->o->pid != 0;
	return a->res->attached ? 0 : a->first_err;
}

static int nothing_attached(const struct attach *a, int err)
{
	const char *why = strerror(-err), *fix = "";

	if (err == -EPERM || err == -EACCES)
		fix = "; run as root or with CAP_BPF and CAP_PERFMON (before Linux 6.6 also "
		      "CAP_SYS_ADMIN)";
	else if (err == -ESRCH)
		why = "the process is gone";
	else if (err == -EOPNOTSUPP)
		why = "the kernel cannot probe this instruction";
	return diag_fail(a->d, err, "cannot attach %zu probe%s to %s: %s%s", a->o->n_sites,
			 a->o->n_sites == 1 ? "" : "s", a->o->path, why, fix);
}

typedef int (*attach_fn)(struct attach *a);

static int try_method(struct attach *a, attach_fn attach)
{
	memset(a->res, 0, sizeof(*a->res));
	a->first_err = 0;
	return attach(a);
}

/* The fastest way that the kernel has. */
static int attach_auto(struct attach *a)
{
	int err = a->o->no_multi ? 0 : try_method(a, attach_multi);

	if (!a->o->no_multi && !lacks_multi(err))
		return err;
	err = try_method(a, attach_tracefs);
	return err ? try_method(a, attach_perf) : 0;
}

int links_uprobes(struct bpf_links *l, int prog_fd, const struct uprobe_opts *o,
		  struct uprobe_result *res, struct diag *d)
{
	static const attach_fn methods[] = {
		[LINK_AUTO] = attach_auto,
		[LINK_UPROBE_MULTI] = attach_multi,
		[LINK_TRACEFS] = attach_tracefs,
		[LINK_PERF] = attach_perf,
	};
	struct uprobe_result own;
	struct attach a = {.l = l, .prog_fd = prog_fd, .o = o, .res = res ? res : &own, .d = d};
	int err;

	memset(a.res, 0, sizeof(*a.res));
	if (!o->n_sites)
		return 0;
	l->pid = o->pid;
	err = try_method(&a, o->session ? attach_multi : methods[o->method]);
	l->pid = 0;
	if (err)
		nothing_attached(&a, err);
	else if (a.res->failed > WARN_MAX)
		diag_add(d, DIAG_WARNING, "%s: %zu more probes could not be attached", o->path,
			 a.res->failed - WARN_MAX);
	return err;
}

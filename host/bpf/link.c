/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bpf/link_set.h"
#include "bpf/sys.h"
#include "bpf/tracefs.h"
#include "util/alloc.h"
#include "util/file.h"

enum { ATTACH_PERF_EVENT = 41 };

struct bpf_links *links_new(struct reaper *r)
{
	struct bpf_links *l = xcalloc(1, sizeof(*l));

	l->reaper = r;
	l->tracefs = -1;
	return l;
}

void links_free(struct bpf_links *l)
{
	int events = -1, *fds;

	if (!l)
		return;
	fds = xcalloc(l->n + 1, sizeof(*fds));
	for (size_t i = 0; i < l->n; i++)
		fds[i] = l->at[i].fd;
	if (l->events.len)
		events = openat(l->tracefs, "uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (l->n || events >= 0)
		reaper_close(l->reaper, fds, l->n, events >= 0 ? buf_str(&l->events) : NULL,
			     events);
	if (events >= 0)
		close(events);
	if (l->tracefs >= 0)
		close(l->tracefs);
	buf_free(&l->events);
	free(fds);
	free(l->at);
	free(l);
}

void links_drop(struct bpf_links *l, pid_t pid)
{
	int *fds = xcalloc(l->n + 1, sizeof(*fds));
	size_t kept = 0, dropped = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->at[i].pid == pid)
			fds[dropped++] = l->at[i].fd;
		else
			l->at[kept++] = l->at[i];
	l->n = kept;
	if (dropped)
		reaper_close(l->reaper, fds, dropped, NULL, -1);
	free(fds);
}

size_t links_count(const struct bpf_links *l)
{
	return l->n;
}

size_t links_sites(const struct bpf_links *l)
{
	size_t sum = 0;

	for (size_t i = 0; i < l->n; i++)
		sum += l->at[i].sites;
	return sum;
}

void links_add(struct bpf_links *l, int fd, size_t sites)
{
	*VEC_PUSH(l->at, l->n, l->cap) = (struct link){fd, sites, l->pid};
}

int links_need_tracefs(struct bpf_links *l, struct diag *d)
{
	if (l->tracefs < 0)
		l->tracefs = tracefs_open();
	if (l->tracefs < 0)
		return diag_fail(d, l->tracefs,
				 "tracefs is not mounted and cannot be opened: %s; as root: mount "
				 "-t tracefs nodev /sys/kernel/tracing",
				 strerror(-l->tracefs));
	return l->tracefs;
}

/* Refused for programs that were loaded for multi links, so cookies come from kernels without them.
 */
static int perf_link(int prog_fd, int event_fd, uint64_t cookie)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = prog_fd;
	attr.link_create.target_fd = event_fd;
	attr.link_create.attach_type = ATTACH_PERF_EVENT;
	attr.link_create.perf_event.bpf_cookie = cookie;
	return sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
}

int links_perf(struct bpf_links *l, int prog_fd, int event_fd, uint64_t cookie, size_t sites,
	       bool *cookies)
{
	int link = cookie ? perf_link(prog_fd, event_fd, cookie) : -EINVAL, err;

	if (cookies)
		*cookies = link >= 0 || !cookie;
	if ((link < 0 && ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, prog_fd)) ||
	    ioctl(event_fd, PERF_EVENT_IOC_ENABLE, 0)) {
		err = -errno;
		if (link >= 0)
			close(link);
		close(event_fd);
		return err;
	}
	if (link >= 0)
		links_add(l, link, 0);
	links_add(l, event_fd, sites);
	return 0;
}

static int open_and_attach(struct bpf_links *l, int prog_fd, struct perf_event_attr *attr)
{
	int fd;

	attr->size = sizeof(*attr);
	attr->sample_period = 1;
	attr->wakeup_events = 1;
	fd = sys_perf_event_open(attr, -1, 0, -1, 0);
	return fd < 0 ? fd : links_perf(l, prog_fd, fd, 0, 1, NULL);
}

int links_tracepoint(struct bpf_links *l, int prog_fd, const char *category, const char *event,
		     struct diag *d)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT};
	int err = links_need_tracefs(l, d);

	if (err < 0)
		return err;
	err = tracefs_event_id(l->tracefs, category, event);
	if (err < 0)
		return diag_fail(d, err, "tracepoint %s:%s: %s", category, event,
				 err == -ENOENT ? "this kernel has none of that name"
						: strerror(-err));
	attr.config = err;
	err = open_and_attach(l, prog_fd, &attr);
	if (err)
		diag_add(d, DIAG_ERROR, "cannot attach to tracepoint %s:%s: %s", category, event,
			 strerror(-err));
	return err;
}

static int open_raw(int prog_fd, const char *event)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.name = (uintptr_t)event;
	attr.raw_tracepoint.prog_fd = prog_fd;
	return sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
}

int links_raw_tracepoint(struct bpf_links *l, int prog_fd, const char *event, struct diag *d)
{
	int fd = open_raw(prog_fd, event);

	if (fd < 0)
		return diag_fail(d, fd, "cannot attach to raw tracepoint %s: %s", event,
				 fd == -ENOENT ? "this kernel has none of that name"
					       : strerror(-fd));
	links_add(l, fd, 1);
	return 0;
}

int links_tracing(struct bpf_links *l, int prog_fd, struct diag *d)
{
	int fd = open_raw(prog_fd, NULL);

	if (fd < 0)
		return diag_fail(d, fd, "cannot attach the tracing program: %s", strerror(-fd));
	links_add(l, fd, 1);
	return 0;
}

int links_kprobe(struct bpf_links *l, int prog_fd, const char *function, uint64_t offset,
		 bool is_return, struct diag *d)
{
	struct perf_event_attr attr = {.config = is_return};
	struct buf type = {0};
	int err = file_read("/sys/bus/event_source/devices/kprobe/type", &type, 64);

	attr.type = atoi(buf_str(&type));
	buf_free(&type);
	if (!err) {
		attr.config1 = (uintptr_t)function;
		attr.config2 = offset;
		err = open_and_attach(l, prog_fd, &attr);
	}
	if (err)
		diag_add(d, DIAG_ERROR, "cannot attach to kernel function %s: %s", function,
			 err == -ENOENT || err == -EADDRNOTAVAIL
				 ? "there is none of that name, or this kernel has no kprobes"
				 : strerror(-err));
	return err;
}

static int attach_on_cpu(struct bpf_links *l, int prog_fd, const struct perf_event_attr *attr,
			 pid_t pid, int cpu)
{
	struct perf_event_attr copy = *attr;
	int fd;

	copy.size = sizeof(copy);
	copy.disabled = 1;
	fd = sys_perf_event_open(&copy, pid, cpu, -1, 0);
	return fd < 0 ? fd : links_perf(l, prog_fd, fd, 0, 1, NULL);
}

int links_perf_event(struct bpf_links *l, int prog_fd, const struct perf_event_attr *attr,
		     pid_t pid, int cpu, struct diag *d)
{
	long ncpu = sysconf(_SC_NPROCESSORS_CONF);
	int err = 0, done = 0, i;

	if (cpu >= 0 || pid > 0)
		err = attach_on_cpu(l, prog_fd, attr, pid, cpu);
	else
		for (i = 0; i < ncpu && (!err || err == -ENODEV); i++) {
			err = attach_on_cpu(l, prog_fd, attr, pid, i);
			done += !err;
		}
	/* ENODEV: a processor that is switched off. */
	if (err == -ENODEV && done)
		err = 0;
	if (err)
		diag_add(d, DIAG_ERROR, "cannot attach to perf event (type %u, config %#llx): %s%s",
			 attr->type, (unsigned long long)attr->config, strerror(-err),
			 err == -EACCES ? "; see /proc/sys/kernel/perf_event_paranoid" : "");
	return err;
}

int links_perf_process(struct bpf_links *l, int prog_fd, const struct perf_event_attr *attr,
		       pid_t pid, struct diag *d)
{
	struct perf_event_attr copy = *attr;
	char *path = xasprintf("/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	int err = tasks ? -ESRCH : -errno, done = 0;
	struct dirent *e;

	copy.inherit = 1;
	while (tasks && (e = readdir(tasks))) {
		int tid = atoi(e->d_name), one;

		if (tid <= 0)
			continue;
		one = attach_on_cpu(l, prog_fd, &copy, tid, -1);
		/* a thread that has ended meanwhile is no loss */
		err = one == -ESRCH && done ? err : one;
		done += !one;
		if (err && err != -ESRCH)
			break;
	}
	if (tasks)
		closedir(tasks);
	free(path);
	if (err && !(err == -ESRCH && done))
		return diag_fail(d, err, "cannot attach to perf event (type %u, config %#llx): %s",
				 attr->type, (unsigned long long)attr->config, strerror(-err));
	return 0;
}

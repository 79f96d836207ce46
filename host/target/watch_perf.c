/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings, forks and execs from perf's side-band records. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "target/watch_impl.h"

enum { DATA_PAGES = 16, RECORD_MAX = 1 << 16 };

struct cpu_ring {
	int fd;
	struct perf_event_mmap_page *page;
	size_t bytes; /* of data */
};

struct watch_perf {
	int epoll_fd;
	struct cpu_ring *rings;
	size_t n_rings;
};

/* The heads of the records that are used, as the kernel writes them. */
struct mmap_record {
	struct perf_event_header head;
	uint32_t pid, tid;
};
struct task_record {
	struct perf_event_header head;
	uint32_t pid, ppid, tid, ptid;
};

static int open_on_cpu(int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.task = 1,
		.watermark = 1,
		.wakeup_watermark = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_ring(struct cpu_ring *r, int cpu)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	void *at;

	r->fd = open_on_cpu(cpu);
	if (r->fd < 0)
		return r->fd;
	r->bytes = DATA_PAGES * page_size;
	at = mmap(NULL, page_size + r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (at == MAP_FAILED) {
		int err = -errno;

		close(r->fd);
		return err;
	}
	r->page = at;
	return 0;
}

static void close_ring(struct cpu_ring *r)
{
	munmap(r->page, (size_t)sysconf(_SC_PAGESIZE) + r->bytes);
	close(r->fd);
}

/* -ENODEV: an offline CPU, which is no reason to give up. */
static int add_ring(struct watch_perf *p, int cpu)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct cpu_ring r;
	int err = open_ring(&r, cpu);

	if (err)
		return err == -ENODEV ? 0 : err;
	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, r.fd, &ev)) {
		err = -errno;
		close_ring(&r);
		return err;
	}
	p->rings[p->n_rings++] = r;
	return 0;
}

struct watch_perf *watch_perf_new(void)
{
	struct watch_perf *p = xcalloc(1, sizeof(*p));
	int n = get_nprocs_conf(), err = 0;

	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->rings = xcalloc((size_t)n, sizeof(*p->rings));
	for (int cpu = 0; cpu < n && !err && p->epoll_fd >= 0; cpu++)
		err = add_ring(p, cpu);
	if (!err && p->n_rings)
		return p;
	watch_perf_free(p);
	return NULL;
}

void watch_perf_free(struct watch_perf *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_rings; i++)
		close_ring(&p->rings[i]);
	if (p->epoll_fd >= 0)
		close(p->epoll_fd);
	free(p->rings);
	free(p);
}

int watch_perf_fd(const struct watch_perf *p)
{
	return p->epoll_fd;
}

static void copy_out(const struct cpu_ring *r, uint64_t at, void *out, size_t len)
{
	const char *data = (const char *)r->page + sysconf(_SC_PAGESIZE);
	size_t from = at & (r->bytes - 1), first = r->bytes - from;

	if (first > len)
		first = len;
	memcpy(out, data + from, first);
	memcpy((char *)out + first, data, len - first);
}

static void report_mmap(const struct mmap_record *m, enum watch_kind kind, watch_emit emit,
			void *ctx)
{
	struct watch_event e = {.kind = kind, .pid = (pid_t)m->pid, .tid = (pid_t)m->tid};

	emit(ctx, &e);
}

/* Returns the records that this one says were lost. */
static unsigned long report(const struct cpu_ring *r, uint64_t at,
			    const struct perf_event_header *head, watch_emit emit, void *ctx)
{
	struct task_record task;
	struct mmap_record map;
	uint64_t lost[2];

	switch (head->type) {
	case PERF_RECORD_COMM:
		if (!(head->misc & PERF_RECORD_MISC_COMM_EXEC))
			return 0;
		/* fall through */
	case PERF_RECORD_MMAP2:
		copy_out(r, at, &map, sizeof(map));
		report_mmap(&map, head->type == PERF_RECORD_COMM ? WATCH_EXEC : WATCH_MAP, emit,
			    ctx);
		return 0;
	case PERF_RECORD_FORK:
		copy_out(r, at, &task, sizeof(task));
		if (task.pid != task.ppid)
			emit(ctx, &(struct watch_event){.kind = WATCH_FORK,
							.pid = (pid_t)task.pid,
							.tid = (pid_t)task.tid,
							.parent = (pid_t)task.ppid});
		return 0;
	case PERF_RECORD_LOST:
		copy_out(r, at + sizeof(*head), lost, sizeof(lost));
		return (unsigned long)lost[1];
	default:
		return 0;
	}
}

static unsigned long drain_ring(struct cpu_ring *r, watch_emit emit, void *ctx)
{
	uint64_t head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = r->page->data_tail;
	unsigned long lost = 0;

	while (tail < head) {
		struct perf_event_header h;

		copy_out(r, tail, &h, sizeof(h));
		if (h.size < sizeof(h))
			break;
		lost += report(r, tail, &h, emit, ctx);
		tail += h.size;
	}
	__atomic_store_n(&r->page->data_tail, head, __ATOMIC_RELEASE);
	return lost;
}

unsigned long watch_perf_drain(struct watch_perf *p, watch_emit emit, void *ctx)
{
	unsigned long lost = 0;

	for (size_t i = 0; i < p->n_rings; i++)
		lost += drain_ring(&p->rings[i], emit, ctx);
	return lost;
}

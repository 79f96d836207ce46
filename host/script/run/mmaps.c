/* SPDX-License-Identifier: Apache-2.0 */
#include "script/run/mmaps.h"

#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "util/alloc.h"

enum { DATA_PAGES = 64, RECORD_MAX = 8192 };

struct ring {
	int fd;
	struct perf_event_mmap_page *page;
	uint64_t head, tail; /* of what is being drained */
};

struct mmaps {
	struct symbols *symbols;
	struct ring *rings;
	size_t n_rings, data_bytes, page_bytes;
	char record[RECORD_MAX];
};

/* As the kernel writes them. */
struct map_record {
	struct perf_event_header head;
	uint32_t pid, tid;
	uint64_t address, len, offset;
	uint32_t major, minor;
	uint64_t inode, generation;
	uint32_t prot, flags;
	char path[];
};
struct task_record {
	struct perf_event_header head;
	uint32_t pid, ppid, tid, ptid;
	uint64_t time;
};

static bool open_ring(struct mmaps *m, int cpu, struct ring *r)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.task = 1,
		.sample_id_all = 1,
		.sample_type = PERF_SAMPLE_TIME, /* behind each record: CPUs take turns */
	};
	void *at;

	r->fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (r->fd < 0)
		return false;
	at = mmap(NULL, m->page_bytes + m->data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		  0);
	if (at == MAP_FAILED) {
		close(r->fd);
		return false;
	}
	r->page = at;
	return true;
}

struct mmaps *mmaps_new(struct symbols *s)
{
	struct mmaps *m = xcalloc(1, sizeof(*m));
	int n = get_nprocs_conf();

	m->symbols = s;
	m->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	m->data_bytes = DATA_PAGES * m->page_bytes;
	m->rings = xcalloc((size_t)n, sizeof(*m->rings));
	for (int cpu = 0; cpu < n; cpu++) /* some may be offline */
		m->n_rings += open_ring(m, cpu, &m->rings[m->n_rings]);
	if (m->n_rings)
		return m;
	mmaps_free(m);
	return NULL;
}

void mmaps_free(struct mmaps *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_rings; i++) {
		munmap(m->rings[i].page, m->page_bytes + m->data_bytes);
		close(m->rings[i].fd);
	}
	free(m->rings);
	free(m);
}

static void copy_out(const struct mmaps *m, const struct ring *r, uint64_t at, void *out,
		     size_t len)
{
	const char *data = (const char *)r->page + m->page_bytes;
	size_t from = at & (m->data_bytes - 1), first = m->data_bytes - from;

	if (first > len)
		first = len;
	memcpy(out, data + from, first);
	memcpy((char *)out + first, data, len - first);
}

static void take_record(struct mmaps *m)
{
	const struct map_record *map = (const struct map_record *)m->record;
	const struct task_record *task = (const struct task_record *)m->record;

	switch (map->head.type) {
	case PERF_RECORD_MMAP2: {
		struct symbols_mapping s = {.begin = map->address,
					    .end = map->address + map->len,
					    .offset = map->offset,
					    .inode = map->inode,
					    .path = map->path};

		symbols_map(m->symbols, (pid_t)map->pid, &s);
		break;
	}
	case PERF_RECORD_FORK:
		if (task->pid != task->ppid)
			symbols_fork(m->symbols, (pid_t)task->pid, (pid_t)task->ppid);
		break;
	case PERF_RECORD_EXIT:
		if (task->pid == task->tid)
			symbols_exit(m->symbols, (pid_t)task->pid);
		break;
	default:
		break;
	}
}

/* The next record of a ring: its size, 0 for none, and its time. */
static size_t peek(const struct mmaps *m, const struct ring *r, uint64_t *time)
{
	struct perf_event_header h;

	if (r->tail >= r->head)
		return 0;
	copy_out(m, r, r->tail, &h, sizeof(h));
	if (h.size < sizeof(h) + sizeof(*time))
		return 0;
	copy_out(m, r, r->tail + h.size - sizeof(*time), time, sizeof(*time));
	return h.size;
}

static struct ring *earliest(struct mmaps *m, size_t *size)
{
	struct ring *found = NULL;
	uint64_t least = 0;

	for (size_t i = 0; i < m->n_rings; i++) {
		uint64_t time;
		size_t n = peek(m, &m->rings[i], &time);

		if (n && (!found || time < least)) {
			found = &m->rings[i];
			least = time;
			*size = n;
		}
	}
	return found;
}

void mmaps_drain(struct mmaps *m)
{
	struct ring *r;
	size_t size;

	if (!m)
		return;
	symbols_forget(m->symbols);
	for (size_t i = 0; i < m->n_rings; i++) {
		r = &m->rings[i];
		r->head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
		r->tail = r->page->data_tail;
	}
	while ((r = earliest(m, &size))) {
		/* what is behind a short record reads as zero */
		size_t len = size < RECORD_MAX ? size : RECORD_MAX - 1;

		memset(m->record, 0, sizeof(struct map_record) + 1);
		copy_out(m, r, r->tail, m->record, len);
		m->record[len] = 0;
		take_record(m);
		r->tail += size;
	}
	for (size_t i = 0; i < m->n_rings; i++)
		__atomic_store_n(&m->rings[i].page->data_tail, m->rings[i].head, __ATOMIC_RELEASE);
}

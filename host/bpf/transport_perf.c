/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/kmap.h"
#include "bpf/sys.h"
#include "bpf/transport_kind.h"
#include "probes/record.h"
#include "util/alloc.h"
#include "util/text.h"

static int map_error(const struct transport *t, int err, struct diag *d)
{
	char size[32];

	text_bytes((double)t->bytes, size);
	if (err == -EPERM)
		return diag_fail(d, err,
				 "perf buffers of %s per CPU exceed what this process may lock: "
				 "choose a smaller buffer.size, raise "
				 "/proc/sys/kernel/perf_event_mlock_kb, or give it CAP_IPC_LOCK",
				 size);
	return diag_fail(d, err, "cannot make a perf buffer of %s per CPU: %s", size,
			 strerror(-err));
}

static int open_cpu(struct transport *t, struct perf_cpu *c, struct diag *d)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
		.watermark = 1,
		.wakeup_watermark = (uint32_t)(t->bytes / 4),
	};
	struct epoll_event ev = {.events = EPOLLIN};
	int err;

	c->fd = sys_perf_event_open(&attr, -1, (int)c->cpu, -1, 0);
	if (c->fd == -ENODEV) {
		c->fd = -1;
		return 0;
	}
	if (c->fd < 0)
		return diag_fail(d, c->fd, "cannot open a perf buffer on CPU %u: %s", c->cpu,
				 strerror(-c->fd));
	c->map = mmap(NULL, sysconf(_SC_PAGESIZE) + t->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      c->fd, 0);
	if (c->map == MAP_FAILED) {
		c->map = NULL;
		return map_error(t, -errno, d);
	}
	c->data = (const char *)c->map + sysconf(_SC_PAGESIZE);
	err = kmap_update(t->map_fd, &c->cpu, &c->fd, BPF_ANY);
	if (err)
		return diag_fail(d, err, "cannot connect the perf buffer of CPU %u: %s", c->cpu,
				 strerror(-err));
	if (epoll_ctl(t->poll_fd, EPOLL_CTL_ADD, c->fd, &ev) ||
	    ioctl(c->fd, PERF_EVENT_IOC_ENABLE, 0))
		return diag_fail(d, -errno, "cannot switch on the perf buffer of CPU %u: %s",
				 c->cpu, strerror(errno));
	return 0;
}

static int perf_open(struct transport *t, struct diag *d)
{
	unsigned i;
	int err = 0;

	t->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->poll_fd < 0)
		return diag_fail(d, -errno, "epoll: %s", strerror(errno));
	t->perf.n = kmap_ncpu();
	t->perf.cpus = xcalloc(t->perf.n, sizeof(*t->perf.cpus));
	for (i = 0; i < t->perf.n; i++)
		t->perf.cpus[i].fd = -1;
	for (i = 0; i < t->perf.n && !err; i++) {
		t->perf.cpus[i].cpu = i;
		err = open_cpu(t, &t->perf.cpus[i], d);
	}
	return err;
}

static void perf_close(struct transport *t)
{
	size_t i;

	for (i = 0; i < t->perf.n; i++) {
		struct perf_cpu *c = &t->perf.cpus[i];

		if (c->map)
			munmap(c->map, sysconf(_SC_PAGESIZE) + t->bytes);
		if (c->fd >= 0)
			close(c->fd);
	}
	if (t->poll_fd >= 0)
		close(t->poll_fd);
	free(t->perf.cpus);
	buf_free(&t->perf.batch);
}

/* The word at `at`, which the ring's end never splits. */
static const void *word_at(const struct transport *t, const struct perf_cpu *c, uint64_t at)
{
	return c->data + (at & (t->bytes - 1));
}

static void copy_out(const struct transport *t, const struct perf_cpu *c, uint64_t at, char *to,
		     size_t len)
{
	size_t start = at & (t->bytes - 1), first = t->bytes - start;

	if (first >= len) {
		memcpy(to, c->data + start, len);
		return;
	}
	memcpy(to, c->data + start, first);
	memcpy(to + first, c->data, len - first);
}

/* Room for `len` more bytes at the batch's end, which count as added. */
static char *batch_room(struct buf *b, size_t len)
{
	if (b->cap < b->len + len) {
		b->cap = TRANSPORT_CHUNK + 2 * (b->len + len);
		b->data = xrealloc(b->data, b->cap);
	}
	b->len += len;
	return b->data + b->len - len;
}

/* What a sample's first word holds. */
struct sample_head {
	uint32_t raw;
	u16 own; /* of a record of ours: its true size, because perf rounds up to 4 modulo 8 */
	u16 kind;
};

static void add_sample(struct transport *t, const struct perf_cpu *c, uint64_t at, size_t size)
{
	const struct sample_head *s = word_at(t, c, at);
	uint32_t head[2] = {0, 0};
	char *to;

	if (size < sizeof(*s) || s->raw > size - sizeof(s->raw)) {
		t->stats.bad++;
		return;
	}
	at += sizeof(s->raw);
	if (t->framed) {
		head[0] = s->raw;
		to = batch_room(&t->perf.batch, sizeof(head) + ((s->raw + 7ul) & ~7ul));
		memcpy(to, head, sizeof(head));
		copy_out(t, c, at, to + sizeof(head), s->raw);
	} else if (s->own < sizeof(struct rec_head) || s->own > s->raw) {
		t->stats.bad++;
	} else {
		copy_out(t, c, at, batch_room(&t->perf.batch, s->own), s->own);
	}
}

struct walk {
	uint64_t at;   /* behind the last record taken */
	uint64_t lost; /* reported in what was taken */
};

/* Takes records into the batch up to `head` or a chunk's worth. */
static void take_batch(struct transport *t, const struct perf_cpu *c, uint64_t head, struct walk *w)
{
	t->perf.batch.len = 0;
	while (w->at < head && t->perf.batch.len < TRANSPORT_CHUNK) {
		const struct perf_event_header *h = word_at(t, c, w->at);
		size_t words = h->size / sizeof(uint64_t);

		if (h->size < sizeof(*h) || h->size > head - w->at) {
			t->stats.bad++;
			w->at = head;
			return;
		}
		if (h->type == PERF_RECORD_SAMPLE)
			add_sample(t, c, w->at + sizeof(*h), h->size - sizeof(*h));
		else if (h->type == PERF_RECORD_LOST && words >= 3)
			w->lost += *(const uint64_t *)word_at(t, c, w->at + 16);
		else if (h->type == PERF_RECORD_LOST_SAMPLES && words >= 2)
			w->lost += *(const uint64_t *)word_at(t, c, w->at + 8);
		w->at += h->size;
	}
}

static int drain_cpu(struct transport *t, const struct perf_cpu *c, transport_fn fn, void *ctx)
{
	struct perf_event_mmap_page *page = c->map;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
	struct walk w = {.at = page->data_tail};

	while (w.at < head) {
		uint64_t bad = t->stats.bad;
		int rc = 0;

		w.lost = 0;
		take_batch(t, c, head, &w);
		if (t->perf.batch.len)
			rc = fn(ctx, t->framed ? BLOCK_RING : BLOCK_PLAIN, c->cpu,
				t->perf.batch.data, t->perf.batch.len);
		if (rc) {
			t->stats.bad = bad;
			return rc;
		}
		t->stats.bytes += t->perf.batch.len;
		t->stats.lost += w.lost;
		__atomic_store_n(&page->data_tail, w.at, __ATOMIC_RELEASE);
	}
	return 0;
}

static int perf_drain(struct transport *t, transport_fn fn, void *ctx)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < t->perf.n && !rc; i++) {
		if (t->perf.cpus[i].map)
			rc = drain_cpu(t, &t->perf.cpus[i], fn, ctx);
	}
	return rc;
}

static double perf_fill(const struct transport *t)
{
	uint64_t most = 0;
	size_t i;

	for (i = 0; i < t->perf.n; i++) {
		const struct perf_event_mmap_page *page = t->perf.cpus[i].map;
		uint64_t used;

		if (!page)
			continue;
		used = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE) - page->data_tail;
		if (used > most)
			most = used;
	}
	return (double)most / (double)t->bytes;
}

const struct transport_ops transport_perf_ops = {
	.open = perf_open,
	.close = perf_close,
	.drain = perf_drain,
	.fill = perf_fill,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/transport_kind.h"

static int ring_open(struct transport *t, struct diag *d)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *mine = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, t->map_fd, 0), *theirs;

	if (mine == MAP_FAILED)
		return diag_fail(d, -errno, "cannot map the ring buffer: %s", strerror(errno));
	/* Producer's page, then the data twice, so that no record is ever cut. */
	theirs = mmap(NULL, page + 2 * t->bytes, PROT_READ, MAP_SHARED, t->map_fd, (off_t)page);
	if (theirs == MAP_FAILED) {
		int err = -errno;

		munmap(mine, page);
		return diag_fail(d, err, "cannot map the ring buffer: %s", strerror(-err));
	}
	t->ring.consumer_pos = mine;
	t->ring.producer_pos = theirs;
	t->ring.data = (const char *)theirs + page;
	t->poll_fd = t->map_fd;
	return 0;
}

static void ring_close(struct transport *t)
{
	size_t page = sysconf(_SC_PAGESIZE);

	if (!t->ring.data)
		return;
	munmap(t->ring.consumer_pos, page);
	munmap((void *)t->ring.producer_pos, page + 2 * t->bytes);
}

/* Where the committed records from `from` on end, within a chunk. */
static unsigned long committed_end(const struct transport *t, unsigned long from,
				   unsigned long producer)
{
	unsigned long at = from;

	while (at < producer && at - from < TRANSPORT_CHUNK) {
		const uint32_t *head = (const uint32_t *)(t->ring.data + (at & (t->bytes - 1)));
		uint32_t len = __atomic_load_n(head, __ATOMIC_ACQUIRE);

		if (len & BPF_RINGBUF_BUSY_BIT)
			break;
		len &= ~BPF_RINGBUF_DISCARD_BIT;
		at += BPF_RINGBUF_HDR_SZ + ((len + 7ul) & ~7ul);
	}
	return at;
}

static int ring_drain(struct transport *t, transport_fn fn, void *ctx)
{
	/* What arrives meanwhile is for the next time, or a fast producer would keep us here. */
	unsigned long producer = __atomic_load_n(t->ring.producer_pos, __ATOMIC_ACQUIRE);
	unsigned long at = *t->ring.consumer_pos;

	while (at < producer) {
		unsigned long end = committed_end(t, at, producer);
		int rc;

		if (end == at)
			break;
		rc = fn(ctx, BLOCK_RING, 0, t->ring.data + (at & (t->bytes - 1)), end - at);
		if (rc)
			return rc;
		t->stats.bytes += end - at;
		at = end;
		__atomic_store_n(t->ring.consumer_pos, at, __ATOMIC_RELEASE);
	}
	return 0;
}

static double ring_fill(const struct transport *t)
{
	unsigned long producer = __atomic_load_n(t->ring.producer_pos, __ATOMIC_ACQUIRE);

	return (double)(producer - *t->ring.consumer_pos) / (double)t->bytes;
}

const struct transport_ops transport_ring_ops = {
	.open = ring_open,
	.close = ring_close,
	.drain = ring_drain,
	.fill = ring_fill,
};

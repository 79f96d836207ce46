/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/transport.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "bpf/kmap.h"
#include "bpf/transport_kind.h"
#include "util/alloc.h"
#include "util/text.h"

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The smallest power of two that is not below `v`. */
static uint64_t next_power(uint64_t v)
{
	uint64_t p = 1;

	while (p < v)
		p <<= 1;
	return p;
}

static int check_size(enum transport_kind kind, uint64_t bytes, struct diag *d)
{
	uint64_t least = kind == TRANSPORT_RING ? page_size() : page_size() * kmap_ncpu();
	uint64_t most = 1ull << 30;
	struct sysinfo si;
	char have[32], want[32];

	if (!sysinfo(&si) && (uint64_t)si.totalram * si.mem_unit / 4 < most)
		most = next_power((uint64_t)si.totalram * si.mem_unit / 4 + 1) / 2;
	text_bytes(bytes, have);
	if (bytes < least)
		return diag_fail(d, -EINVAL, "a buffer of %s is too small: at least %s", have,
				 text_bytes(next_power(least), want));
	if (bytes > most)
		return diag_fail(d, -EINVAL,
				 "a buffer of %s is too big for this machine: at most %s", have,
				 text_bytes(most, want));
	if (bytes & (bytes - 1))
		return diag_fail(d, -EINVAL,
				 "the buffer size must be a power of two: %s is not, the next is "
				 "%s",
				 have, text_bytes(next_power(bytes), want));
	return 0;
}

static struct transport *open_buffers(struct transport *t, struct diag *d)
{
	t->ops = t->kind == TRANSPORT_RING ? &transport_ring_ops : &transport_perf_ops;
	if (t->ops->open(t, d)) {
		transport_free(t);
		return NULL;
	}
	return t;
}

struct transport *transport_new(enum transport_kind kind, uint64_t bytes, struct diag *d)
{
	struct kmap_spec spec = {
		.type = BPF_MAP_TYPE_RINGBUF, .max_entries = (uint32_t)bytes, .name = "transport"};
	struct transport *t;
	int fd;

	if (check_size(kind, bytes, d))
		return NULL;
	if (kind == TRANSPORT_PERF)
		spec = (struct kmap_spec){.type = BPF_MAP_TYPE_PERF_EVENT_ARRAY,
					  .key_size = 4,
					  .value_size = 4,
					  .name = "transport"};
	fd = kmap_create(&spec, d);
	if (fd < 0)
		return NULL;
	t = xcalloc(1, sizeof(*t));
	t->kind = kind;
	t->own_map = true;
	t->map_fd = fd;
	t->poll_fd = -1;
	t->bytes = kind == TRANSPORT_RING ? bytes : next_power(bytes / kmap_ncpu() + 1) / 2;
	return open_buffers(t, d);
}

struct transport *transport_wrap(int map_fd, uint64_t bytes, struct diag *d)
{
	struct kmap_info info;
	struct transport *t;
	int err = kmap_info(map_fd, &info);

	if (err ||
	    (info.type != BPF_MAP_TYPE_RINGBUF && info.type != BPF_MAP_TYPE_PERF_EVENT_ARRAY)) {
		diag_add(d, DIAG_ERROR, "map %s is neither a ring buffer nor a perf output",
			 err ? "" : info.name);
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	t->kind = info.type == BPF_MAP_TYPE_RINGBUF ? TRANSPORT_RING : TRANSPORT_PERF;
	t->framed = true;
	t->map_fd = map_fd;
	t->poll_fd = -1;
	t->bytes = t->kind == TRANSPORT_RING ? info.max_entries : bytes;
	if (t->kind == TRANSPORT_PERF && (bytes < page_size() || (bytes & (bytes - 1)))) {
		diag_add(d, DIAG_ERROR, "a perf buffer's size must be a power of two of pages");
		free(t);
		return NULL;
	}
	return open_buffers(t, d);
}

void transport_free(struct transport *t)
{
	if (!t)
		return;
	t->ops->close(t);
	if (t->own_map)
		close(t->map_fd);
	free(t);
}

enum transport_kind transport_kind(const struct transport *t)
{
	return t->kind;
}

int transport_map_fd(const struct transport *t)
{
	return t->map_fd;
}

uint64_t transport_bytes(const struct transport *t)
{
	return t->kind == TRANSPORT_RING ? t->bytes : t->bytes * t->perf.n;
}

void transport_defines(const struct transport *t, struct buf *out)
{
	buf_printf(out, "#define TRANSPORT_%s 1\n#define TRANSPORT_WAKE_BYTES %llu\n",
		   t->kind == TRANSPORT_RING ? "RING" : "PERF", (unsigned long long)t->bytes / 4);
}

int transport_fd(const struct transport *t)
{
	return t->poll_fd;
}

double transport_fill(const struct transport *t)
{
	return t->ops->fill(t);
}

int transport_drain(struct transport *t, transport_fn fn, void *ctx)
{
	t->stats.drains++;
	return t->ops->drain(t, fn, ctx);
}

void transport_stats(const struct transport *t, struct transport_stats *out)
{
	*out = t->stats;
}

bool transport_next(const void *data, size_t len, size_t *at, const void **rec, size_t *rec_len)
{
	uint32_t head, size;

	while (len - *at >= BPF_RINGBUF_HDR_SZ) {
		const char *pos = (const char *)data + *at;
		size_t whole;

		memcpy(&head, pos, sizeof(head));
		size = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		whole = BPF_RINGBUF_HDR_SZ + (((size_t)size + 7) & ~(size_t)7);
		if ((head & BPF_RINGBUF_BUSY_BIT) || whole > len - *at)
			return false;
		*at += whole;
		if (head & BPF_RINGBUF_DISCARD_BIT)
			continue;
		*rec = pos + BPF_RINGBUF_HDR_SZ;
		*rec_len = size;
		return true;
	}
	return false;
}

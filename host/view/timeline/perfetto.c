/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "view/timeline/perfetto.h"
#include "util/alloc.h"
#include "util/text.h"

enum {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	VARINT_MAX = 10,
	/* Readers want a compressed packet to unpack to less than 512 KiB. */
	BATCH_BYTES = 256 * 1024,
	TRACE_PACKET = 1,
	PACKET_SEQUENCE_ID = 10,
	PACKET_SEQUENCE_FLAGS = 13,
	PACKET_COMPRESSED = 50,
	SEQUENCE_ID = 1,
	DEFLATE_LEVEL = 1,
};

void pb_free(struct pb *b)
{
	free(b->data);
	*b = (struct pb){0};
}

static uint8_t *pb_reserve(struct pb *b, size_t more)
{
	if (b->cap - b->len < more) {
		b->cap = (b->cap + more) * 2;
		b->data = xrealloc(b->data, b->cap);
	}
	return b->data + b->len;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

void pb_varint(struct pb *b, unsigned int field, uint64_t value)
{
	uint8_t *p = pb_reserve(b, 2 * VARINT_MAX);

	p = put_varint(p, (uint64_t)field << 3 | WIRE_VARINT);
	p = put_varint(p, value);
	b->len = (size_t)(p - b->data);
}

void pb_fixed64(struct pb *b, unsigned int field, uint64_t value)
{
	uint8_t *p = pb_reserve(b, VARINT_MAX + 8);

	p = put_varint(p, (uint64_t)field << 3 | WIRE_FIXED64);
	for (int i = 0; i < 8; i++)
		*p++ = (uint8_t)(value >> (8 * i));
	b->len = (size_t)(p - b->data);
}

void pb_double(struct pb *b, unsigned int field, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	pb_fixed64(b, field, bits);
}

void pb_bytes(struct pb *b, unsigned int field, const void *data, size_t len)
{
	uint8_t *p = pb_reserve(b, 2 * VARINT_MAX + len);

	p = put_varint(p, (uint64_t)field << 3 | WIRE_BYTES);
	p = put_varint(p, len);
	if (len)
		memcpy(p, data, len);
	b->len = (size_t)(p - b->data) + len;
}

void pb_raw(struct pb *b, const void *data, size_t len)
{
	if (!len)
		return;
	memcpy(pb_reserve(b, len), data, len);
	b->len += len;
}

void pb_string(struct pb *b, unsigned int field, const char *text)
{
	size_t mark;

	if (!text)
		return;
	mark = pb_open(b, field);
	for (const char *s = text; *s;) {
		size_t n = text_utf8_len(s);

		pb_reserve(b, 4);
		if (!n) {
			b->data[b->len++] = '?';
			s++;
			continue;
		}
		memcpy(b->data + b->len, s, n);
		b->len += n;
		s += n;
	}
	pb_close(b, mark);
}

size_t pb_open(struct pb *b, unsigned int field)
{
	uint8_t *p = pb_reserve(b, VARINT_MAX + 1);

	p = put_varint(p, (uint64_t)field << 3 | WIRE_BYTES);
	*p++ = 0; /* one byte for the length; pb_close makes room when it needs more */
	b->len = (size_t)(p - b->data);
	return b->len;
}

void pb_close(struct pb *b, size_t mark)
{
	size_t len = b->len - mark;
	uint8_t prefix[VARINT_MAX];
	size_t n = (size_t)(put_varint(prefix, len) - prefix);

	if (n > 1) {
		pb_reserve(b, n - 1);
		memmove(b->data + mark + n - 1, b->data + mark, len);
		b->len += n - 1;
	}
	memcpy(b->data + mark - 1, prefix, n);
}

struct perfetto_file {
	FILE *out;
	bool compress;
	struct pb batch; /* being filled by the caller */
	size_t mark;
	struct perfetto_stats stats;

	pthread_t writer;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pb ready; /* being deflated; len 0: the writer waits for work */
	bool closing;
	int err;
};

static int write_out(struct perfetto_file *f, const void *data, size_t len)
{
	if (len && fwrite(data, 1, len, f->out) != len)
		return errno ? -errno : -EIO;
	f->stats.file_bytes += len;
	return 0;
}

static int write_compressed(struct perfetto_file *f, const struct pb *raw, struct pb *work)
{
	uLongf len = compressBound(raw->len);
	uint8_t *packed = xcalloc(1, len);
	size_t mark;
	int err;

	if (compress2(packed, &len, raw->data, raw->len, DEFLATE_LEVEL) != Z_OK) {
		free(packed);
		return write_out(f, raw->data, raw->len);
	}
	work->len = 0;
	mark = pb_open(work, TRACE_PACKET);
	pb_bytes(work, PACKET_COMPRESSED, packed, len);
	pb_close(work, mark);
	err = write_out(f, work->data, work->len);
	free(packed);
	return err;
}

static void *writer_main(void *arg)
{
	struct perfetto_file *f = arg;
	struct pb work = {0};

	pthread_mutex_lock(&f->lock);
	for (;;) {
		int err = 0;

		while (!f->ready.len && !f->closing)
			pthread_cond_wait(&f->changed, &f->lock);
		if (!f->ready.len)
			break;
		pthread_mutex_unlock(&f->lock);
		err = f->compress ? write_compressed(f, &f->ready, &work)
				  : write_out(f, f->ready.data, f->ready.len);
		pthread_mutex_lock(&f->lock);
		if (err && !f->err)
			f->err = err;
		f->ready.len = 0;
		pthread_cond_broadcast(&f->changed);
	}
	pthread_mutex_unlock(&f->lock);
	pb_free(&work);
	return NULL;
}

struct perfetto_file *perfetto_open(FILE *out, bool compress)
{
	struct perfetto_file *f = xcalloc(1, sizeof(*f));

	f->out = out;
	f->compress = compress;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	if (pthread_create(&f->writer, NULL, writer_main, f)) {
		free(f);
		return NULL;
	}
	return f;
}

static void hand_over(struct perfetto_file *f)
{
	struct pb tmp;

	pthread_mutex_lock(&f->lock);
	while (f->ready.len)
		pthread_cond_wait(&f->changed, &f->lock);
	f->stats.bytes += f->batch.len;
	tmp = f->ready;
	f->ready = f->batch;
	f->batch = tmp;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

struct pb *perfetto_packet(struct perfetto_file *f, uint32_t sequence_flags)
{
	f->mark = pb_open(&f->batch, TRACE_PACKET);
	pb_varint(&f->batch, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	if (sequence_flags)
		pb_varint(&f->batch, PACKET_SEQUENCE_FLAGS, sequence_flags);
	return &f->batch;
}

void perfetto_packet_end(struct perfetto_file *f)
{
	pb_close(&f->batch, f->mark);
	f->stats.packets++;
	if (f->batch.len >= BATCH_BYTES)
		hand_over(f);
}

int perfetto_close(struct perfetto_file *f, struct perfetto_stats *stats)
{
	int err;

	if (f->batch.len)
		hand_over(f);
	pthread_mutex_lock(&f->lock);
	f->closing = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->writer, NULL);
	err = f->err;
	if (!err && fflush(f->out))
		err = -errno;
	if (stats)
		*stats = f->stats;
	pb_free(&f->batch);
	pb_free(&f->ready);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/spool.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "probes/record.h"
#include "util/alloc.h"

static const char file_magic[8] = {'L', 'L', 'M', 'P', 'S', 'P', 'L', '1'};

enum { RING_BUSY = 1u << 31, RING_DISCARD = 1u << 30, RING_HEADER = 8 };

struct spool {
	int fd;
	char *path;
	uint64_t bytes; /* all of them in whole blocks */
	int error;
};

static uint64_t round8(uint64_t n)
{
	return (n + 7) & ~UINT64_C(7);
}

struct spool *spool_create(const char *path, bool force, struct diag *d)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? 0 : O_EXCL), 0600);
	struct spool *s;

	if (fd < 0) {
		diag_add(d, DIAG_ERROR, "cannot create the spool %s: %s%s", path, strerror(errno),
			 errno == EEXIST ? "; add --force to replace it" : "");
		return NULL;
	}
	/* Two recordings into one file would spoil both. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, 0) < 0) {
		diag_add(d, DIAG_ERROR, "cannot use the spool %s: %s", path,
			 errno == EWOULDBLOCK ? "another recording writes to it" : strerror(errno));
		close(fd);
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	*s = (struct spool){.fd = fd, .path = xstrdup(path)};
	if (write(fd, file_magic, sizeof(file_magic)) != (ssize_t)sizeof(file_magic)) {
		diag_add(d, DIAG_ERROR, "cannot write to the spool %s: %s", path, strerror(errno));
		unlink(path);
		spool_close(s);
		return NULL;
	}
	s->bytes = sizeof(file_magic);
	return s;
}

/* Moves past `done` bytes of the vector. */
static void advance(struct iovec **iov, int *n, size_t done)
{
	while (*n && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (*n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

static int write_all(int fd, struct iovec *iov, int n)
{
	while (n) {
		ssize_t done = writev(fd, iov, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		advance(&iov, &n, (size_t)done);
	}
	return 0;
}

int spool_write(struct spool *s, enum record_block kind, uint16_t cpu, const void *data, size_t len)
{
	static const char zero[8];
	struct spool_block head = {
		.magic = SPOOL_BLOCK_MAGIC, .kind = (uint16_t)kind, .cpu = cpu, .len = len};
	struct iovec iov[3] = {{&head, sizeof(head)},
			       {(void *)(uintptr_t)data, len},
			       {(void *)(uintptr_t)zero, round8(len) - len}};

	if (s->error)
		return s->error;
	s->error = write_all(s->fd, iov, 3);
	if (s->error) {
		/* A reader stops at a half block anyway; a clean cut only looks better. */
		if (ftruncate(s->fd, (off_t)s->bytes) == 0)
			lseek(s->fd, (off_t)s->bytes, SEEK_SET);
		return s->error;
	}
	s->bytes += sizeof(head) + round8(len);
	return 0;
}

int spool_note(struct spool *s, struct cJSON *note)
{
	char *text = cJSON_PrintUnformatted(note);
	int err = text ? spool_write(s, BLOCK_NOTE, 0, text, strlen(text)) : -ENOMEM;

	free(text);
	cJSON_Delete(note);
	return err;
}

bool spool_failed(const struct spool *s)
{
	return s->error != 0;
}

uint64_t spool_bytes(const struct spool *s)
{
	return s->bytes;
}

const char *spool_path(const struct spool *s)
{
	return s->path;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	close(s->fd);
	free(s->path);
	free(s);
}

/* Reading. The file is mapped: a block may be as large as the ring buffer it came from. */

struct reader {
	const char *path;
	const uint8_t *data;
	uint64_t len;
	const struct spool_reader_ops *ops;
	void *ctx;
	struct diag *d;
	uint64_t holes;	 /* records that were reserved and never finished */
	uint64_t bad_at; /* offset of the first damage, 0: none */
	const char *bad;
};

static void damaged(struct reader *r, const void *at, const char *what)
{
	if (r->bad)
		return;
	r->bad = what;
	r->bad_at = (uint64_t)((const uint8_t *)at - r->data);
}

static int one_record(struct reader *r, const uint8_t *rec, size_t room)
{
	struct rec_head head;

	if (room < sizeof(head)) {
		damaged(r, rec, "a record is shorter than its head");
		return 0;
	}
	memcpy(&head, rec, sizeof(head));
	if (head.size < sizeof(head) || head.size > room) {
		damaged(r, rec, "a record's size does not fit its place");
		return 0;
	}
	if (head.kind == REC_NONE || !r->ops->record)
		return 0;
	return r->ops->record(r->ctx, rec, head.size);
}

static int ring_records(struct reader *r, const uint8_t *p, uint64_t len)
{
	uint64_t at = 0;
	int err = 0;

	while (!err && len - at >= RING_HEADER) {
		uint32_t word;
		uint64_t size;

		memcpy(&word, p + at, sizeof(word));
		size = word & ~((uint32_t)RING_BUSY | RING_DISCARD);
		if (size > len - at - RING_HEADER) {
			damaged(r, p + at, "a ring-buffer record reaches beyond its block");
			break;
		}
		if (word & RING_BUSY)
			r->holes++;
		else if (!(word & RING_DISCARD))
			err = one_record(r, p + at + RING_HEADER, size);
		at += RING_HEADER + round8(size);
		if (at > len)
			break;
	}
	return err;
}

static int plain_records(struct reader *r, const uint8_t *p, uint64_t len)
{
	uint64_t at = 0;
	int err = 0;

	while (!err && at < len) {
		struct rec_head head = {0};

		if (len - at >= sizeof(head))
			memcpy(&head, p + at, sizeof(head));
		err = one_record(r, p + at, len - at);
		if (head.size < sizeof(head) || head.size > len - at)
			break;
		at += round8(head.size);
	}
	return err;
}

static int one_note(struct reader *r, const uint8_t *p, uint64_t len)
{
	struct cJSON *note = cJSON_ParseWithLength((const char *)p, len);
	int err = 0;

	if (!cJSON_IsObject(note))
		damaged(r, p, "a note is no JSON object");
	else if (r->ops->note)
		err = r->ops->note(r->ctx, note);
	cJSON_Delete(note);
	return err;
}

static int one_block(struct reader *r, const struct spool_block *b, const uint8_t *payload)
{
	switch (b->kind) {
	case BLOCK_RING:
		return ring_records(r, payload, b->len);
	case BLOCK_PLAIN:
		return plain_records(r, payload, b->len);
	case BLOCK_NOTE:
		return one_note(r, payload, b->len);
	}
	return 0; /* a kind of a later version */
}

enum { RELEASE_BYTES = 16 << 20 };

/* Gives back the pages that were read, so that a large file does not count as our memory. */
static uint64_t release(struct reader *r, uint64_t from, uint64_t to)
{
	if (to - from < RELEASE_BYTES)
		return from;
	to &= ~(uint64_t)(RELEASE_BYTES - 1);
	madvise((void *)(uintptr_t)(r->data + from), to - from, MADV_DONTNEED);
	return to;
}

/* Returns the offset behind the last whole block. */
static uint64_t blocks(struct reader *r, int *err)
{
	uint64_t at = sizeof(file_magic), told = 0, released = 0;

	*err = 0;
	while (!*err && r->len - at >= sizeof(struct spool_block)) {
		struct spool_block b;

		memcpy(&b, r->data + at, sizeof(b));
		if (b.magic != SPOOL_BLOCK_MAGIC) {
			damaged(r, r->data + at, "no block starts where one should");
			break;
		}
		if (b.len > r->len - at - sizeof(b))
			break;
		*err = one_block(r, &b, r->data + at + sizeof(b));
		at += sizeof(b) + round8(b.len);
		if (at > r->len)
			at = r->len;
		released = release(r, released, at);
		if (r->ops->progress && (at - told > 1 << 20 || at == r->len)) {
			told = at;
			r->ops->progress(r->ctx, at, r->len);
		}
	}
	return at;
}

static int read_mapped(struct reader *r, bool *whole)
{
	uint64_t at;
	int err;

	if (r->len < sizeof(file_magic) || memcmp(r->data, file_magic, sizeof(file_magic)) != 0)
		return diag_fail(r->d, -EINVAL,
				 "%s is no llmprobe spool: it does not begin with \"%.8s\"",
				 r->path, file_magic);
	at = blocks(r, &err);
	if (err)
		return err;
	*whole = at == r->len && !r->bad;
	if (r->bad)
		diag_add(r->d, DIAG_WARNING, "%s is damaged at byte %llu: %s", r->path,
			 (unsigned long long)r->bad_at, r->bad);
	else if (at != r->len)
		diag_add(r->d, DIAG_WARNING,
			 "%s is cut: the block at byte %llu is not whole, %llu bytes were left out",
			 r->path, (unsigned long long)at, (unsigned long long)(r->len - at));
	if (r->holes)
		diag_add(r->d, DIAG_WARNING, "%s: %llu records were never finished", r->path,
			 (unsigned long long)r->holes);
	return 0;
}

static int map_file(struct reader *r)
{
	int fd = open(r->path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(file_magic)) {
		err = -EINVAL;
		goto out;
	}
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED) {
		err = -errno;
		goto out;
	}
	madvise(data, (size_t)st.st_size, MADV_SEQUENTIAL);
	r->data = data;
	r->len = (uint64_t)st.st_size;
out:
	if (fd >= 0)
		close(fd);
	return err;
}

int spool_read(const char *path, const struct spool_reader_ops *ops, void *ctx, bool *whole,
	       struct diag *d)
{
	struct reader r = {.path = path, .ops = ops, .ctx = ctx, .d = d};
	int err = map_file(&r);

	*whole = false;
	if (err == -EINVAL)
		return diag_fail(d, err, "%s is no llmprobe spool", path);
	if (err)
		return diag_fail(d, err, "cannot read the spool %s: %s", path, strerror(-err));
	err = read_mapped(&r, whole);
	munmap((void *)(uintptr_t)r.data, r.len);
	return err;
}

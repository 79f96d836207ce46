/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/kmap.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/sys.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/file.h"

enum { BATCH = 256 };

/* The smallest type information that describes an int key and a value of `size` bytes. */
static int load_value_btf(uint32_t size)
{
	static const char strings[] = "\0int\0char\0value\0bytes";
	struct {
		struct btf_header h;
		struct btf_type t_int;
		uint32_t int_bits;
		struct btf_type t_char;
		uint32_t char_bits;
		struct btf_type t_array;
		struct btf_array array;
		struct btf_type t_struct;
		struct btf_member member;
		char strings[sizeof(strings)];
	} __attribute__((packed)) b;
	union bpf_attr attr;

	memset(&b, 0, sizeof(b));
	b.h.magic = BTF_MAGIC;
	b.h.version = BTF_VERSION;
	b.h.hdr_len = sizeof(b.h);
	b.h.type_len = offsetof(__typeof__(b), strings) - sizeof(b.h);
	b.h.str_off = b.h.type_len;
	b.h.str_len = sizeof(strings);
	memcpy(b.strings, strings, sizeof(strings));
	b.t_int = (struct btf_type){.name_off = 1, .info = BTF_KIND_INT << 24, .size = 4};
	b.int_bits = BTF_INT_SIGNED << 24 | 32;
	b.t_char = (struct btf_type){.name_off = 5, .info = BTF_KIND_INT << 24, .size = 1};
	b.char_bits = 8;
	b.t_array = (struct btf_type){.info = BTF_KIND_ARRAY << 24};
	b.array = (struct btf_array){.type = 2, .index_type = 1, .nelems = size};
	b.t_struct =
		(struct btf_type){.name_off = 10, .info = BTF_KIND_STRUCT << 24 | 1, .size = size};
	b.member = (struct btf_member){.name_off = 16, .type = 3};
	memset(&attr, 0, sizeof(attr));
	attr.btf = (uintptr_t)&b;
	attr.btf_size = sizeof(b);
	return sys_bpf(BPF_BTF_LOAD, &attr, sizeof(attr));
}

static int create(union bpf_attr *attr)
{
	int fd = sys_bpf(BPF_MAP_CREATE, attr, sizeof(*attr));

	if (fd == -EPERM) {
		sys_raise_memlock();
		fd = sys_bpf(BPF_MAP_CREATE, attr, sizeof(*attr));
	}
	return fd;
}

static int create_error(const struct kmap_spec *s, int err, struct diag *d)
{
	const char *name = s->name ? s->name : "map";

	if (err == -EPERM)
		return diag_fail(d, err,
				 "the kernel does not let this process make BPF maps: run as root "
				 "or with CAP_BPF and CAP_PERFMON");
	if (err == -ENOMEM || err == -E2BIG)
		return diag_fail(d, err, "map %s of %u x %u bytes: %s; make it smaller", name,
				 s->max_entries, s->value_size, strerror(-err));
	return diag_fail(
		d, err, "cannot make map %s (type %u, key %u, value %u, entries %u, flags %#x): %s",
		name, s->type, s->key_size, s->value_size, s->max_entries, s->flags,
		strerror(-err));
}

int kmap_create(const struct kmap_spec *s, struct diag *d)
{
	union bpf_attr attr;
	int fd, btf = -1;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = s->type;
	attr.key_size = s->key_size;
	attr.value_size = s->value_size;
	attr.max_entries = s->max_entries;
	attr.map_flags = s->flags;
	sys_object_name(attr.map_name, s->name);
	if (s->type == BPF_MAP_TYPE_PERF_EVENT_ARRAY && !s->max_entries)
		attr.max_entries = kmap_ncpu();
	if (s->type == BPF_MAP_TYPE_TASK_STORAGE) {
		btf = load_value_btf(s->value_size);
		if (btf < 0)
			return create_error(s, btf, d);
		attr.key_size = sizeof(int);
		attr.max_entries = 0;
		attr.map_flags = BPF_F_NO_PREALLOC;
		attr.btf_fd = btf;
		attr.btf_key_type_id = 1;
		attr.btf_value_type_id = 4;
	}
	fd = create(&attr);
	if (btf >= 0)
		close(btf);
	return fd < 0 ? create_error(s, fd, d) : fd;
}

static int element(int cmd, int fd, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = fd;
	attr.key = (uintptr_t)key;
	attr.value = (uintptr_t)value;
	attr.flags = flags;
	return sys_bpf(cmd, &attr, sizeof(attr));
}

int kmap_lookup(int fd, const void *key, void *value)
{
	return element(BPF_MAP_LOOKUP_ELEM, fd, key, value, 0);
}

int kmap_update(int fd, const void *key, const void *value, uint64_t flags)
{
	return element(BPF_MAP_UPDATE_ELEM, fd, key, value, flags);
}

int kmap_delete(int fd, const void *key)
{
	return element(BPF_MAP_DELETE_ELEM, fd, key, NULL, 0);
}

int kmap_next(int fd, const void *key, void *next)
{
	return element(BPF_MAP_GET_NEXT_KEY, fd, key, next, 0);
}

int kmap_take(int fd, const void *key, void *value)
{
	return element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, key, value, 0);
}

bool kmap_is_percpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

size_t kmap_percpu_stride(uint32_t value_size)
{
	return ((size_t)value_size + 7) & ~(size_t)7;
}

size_t kmap_value_bytes(uint32_t type, uint32_t value_size)
{
	if (!kmap_is_percpu(type))
		return value_size;
	return kmap_percpu_stride(value_size) * kmap_ncpu();
}

unsigned kmap_ncpu(void)
{
	struct buf b = {0};
	unsigned n = 0, last;
	const char *at;

	/* "0-127" or "0,2-5": one slot for each number up to the highest. */
	if (!file_read("/sys/devices/system/cpu/possible", &b, 4096)) {
		for (at = buf_str(&b); *at; at += strspn(at, "-,\n")) {
			char *end;

			last = strtoul(at, &end, 10);
			if (end == at)
				break;
			n = last + 1;
			at = end;
		}
	}
	buf_free(&b);
	return n ? n : (unsigned)sysconf(_SC_NPROCESSORS_CONF);
}

int kmap_percpu_sum(int fd, const void *key, uint32_t value_size, unsigned word, uint64_t *sum)
{
	size_t stride = kmap_percpu_stride(value_size);
	unsigned ncpu = kmap_ncpu(), i;
	char *values = xcalloc(ncpu, stride);
	int err = kmap_lookup(fd, key, values);

	*sum = 0;
	for (i = 0; !err && i < ncpu; i++) {
		uint64_t v;

		memcpy(&v, values + i * stride + word * sizeof(v), sizeof(v));
		*sum += v;
	}
	free(values);
	return err;
}

struct walk {
	int fd;
	struct kmap_info info;
	size_t value_bytes;
	int (*fn)(void *ctx, const void *key, const void *value);
	void *ctx;
};

static int walk_singly(const struct walk *w)
{
	char *key = xcalloc(1, w->info.key_size), *next = xcalloc(1, w->info.key_size);
	char *value = xcalloc(1, w->value_bytes);
	int err = kmap_next(w->fd, NULL, next);

	while (!err) {
		memcpy(key, next, w->info.key_size);
		if (!kmap_lookup(w->fd, key, value))
			err = w->fn(w->ctx, key, value);
		if (!err)
			err = kmap_next(w->fd, key, next);
	}
	free(key);
	free(next);
	free(value);
	return err == -ENOENT ? 0 : err;
}

/* -EINVAL or -ENOTSUPP before the first element: the map or kernel has no batches. */
static int walk_batched(const struct walk *w, bool *begun)
{
	uint32_t n = w->info.max_entries < BATCH ? w->info.max_entries : BATCH, i;
	char *keys = xcalloc(n ? n : 1, w->info.key_size);
	char *values = xcalloc(n ? n : 1, w->value_bytes);
	uint64_t token[2] = {0};
	union bpf_attr attr;
	int err = 0, rc = 0;

	*begun = false;
	while (!err && !rc) {
		memset(&attr, 0, sizeof(attr));
		attr.batch.map_fd = w->fd;
		attr.batch.in_batch = *begun ? (uintptr_t)token : 0;
		attr.batch.out_batch = (uintptr_t)token;
		attr.batch.keys = (uintptr_t)keys;
		attr.batch.values = (uintptr_t)values;
		attr.batch.count = n;
		err = sys_bpf(BPF_MAP_LOOKUP_BATCH, &attr, sizeof(attr));
		if (err && err != -ENOENT)
			break;
		*begun = true;
		for (i = 0; !rc && i < attr.batch.count; i++)
			rc = w->fn(w->ctx, keys + i * w->info.key_size,
				   values + i * w->value_bytes);
	}
	free(keys);
	free(values);
	if (rc)
		return rc;
	return err == -ENOENT ? 0 : err;
}

int kmap_each(int fd, int (*fn)(void *ctx, const void *key, const void *value), void *ctx)
{
	struct walk w = {.fd = fd, .fn = fn, .ctx = ctx};
	bool begun;
	int err = kmap_info(fd, &w.info);

	if (err)
		return err;
	w.value_bytes = kmap_value_bytes(w.info.type, w.info.value_size);
	/* A hash hands out buckets whole, so small ones may not fit a batch of their own size; and
	 * the batch token of a hash is 4 bytes, of an array one key. */
	if (w.info.max_entries < BATCH || w.info.key_size > sizeof(uint64_t[2]))
		return walk_singly(&w);
	err = walk_batched(&w, &begun);
	return err && !begun ? walk_singly(&w) : err;
}

static int clear_array(int fd, const struct kmap_info *info)
{
	char *zero = xcalloc(1, kmap_value_bytes(info->type, info->value_size));
	uint32_t i;
	int err = 0;

	for (i = 0; !err && i < info->max_entries; i++)
		err = kmap_update(fd, &i, zero, BPF_ANY);
	free(zero);
	return err;
}

int kmap_clear(int fd)
{
	struct kmap_info info;
	char *key;
	int err = kmap_info(fd, &info);

	if (err)
		return err;
	if (info.type == BPF_MAP_TYPE_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_ARRAY)
		return clear_array(fd, &info);
	key = xcalloc(1, info.key_size);
	/* Always the first: walking on from a removed key would start over anyway. Bounded, because
	 * a program may put keys in as fast as they are taken out. */
	for (uint64_t i = 0; i <= info.max_entries && !(err = kmap_next(fd, NULL, key)); i++) {
		err = kmap_delete(fd, key);
		if (err && err != -ENOENT)
			break;
	}
	free(key);
	return err == -ENOENT ? 0 : err;
}

int kmap_info(int fd, struct kmap_info *out)
{
	struct bpf_map_info info;
	union bpf_attr attr;
	int err;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	err = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr));
	if (err)
		return err;
	*out = (struct kmap_info){
		info.type,	info.id, info.key_size, info.value_size, info.max_entries,
		info.map_flags, ""};
	memcpy(out->name, info.name, sizeof(out->name) - 1);
	return 0;
}

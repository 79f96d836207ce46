/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/file.h"
#include "util/text.h"

enum { CACHE_LIMIT = 32 << 20, CACHE_ENTRY_LIMIT = 8 << 20 };

struct cache_head {
	char magic[8];
	struct cache_key key;
	uint64_t len;
	uint64_t sum;
};
static const char cache_magic[8] = "LPCACHE1";

/* One multiply-and-fold step; the constants are random odd numbers. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t p = (__uint128_t)(a ^ 0xa3b195354a39b70dull) * (b ^ 0x1b03738712fad5c9ull);

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t hash_bytes(uint64_t seed, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = mix(seed, len), w;

	for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		h = mix(h, w);
	}
	w = 0;
	if (len)
		memcpy(&w, p, len);
	return mix(h, w ^ 0x9e3779b97f4a7c15ull);
}

void cache_key_add(struct cache_key *k, const void *data, size_t len)
{
	k->word[0] = hash_bytes(k->word[0] + 1, data, len);
	k->word[1] = hash_bytes(~k->word[1], data, len);
}

void cache_key_adds(struct cache_key *k, const char *s)
{
	cache_key_add(k, s, strlen(s));
}

/* A folder that somebody else can write to could feed us programs of theirs. */
static int dir_usable(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	return 0;
}

const char *bpf_cache_dir(char *out, size_t size)
{
	const char *base = getenv("XDG_CACHE_HOME");
	const char *choice = getenv("LLMPROBE_CACHE"), *home = getenv("HOME"), *sub = "";
	int n;

	out[0] = '\0';
	if (choice && !strcmp(choice, "off"))
		return out;
	if (!base || base[0] != '/') {
		bool own = geteuid() && home && home[0] == '/';

		base = own ? home : "/var/cache";
		sub = own ? "/.cache" : "";
	}
	n = snprintf(out, size, "%s%s/llmprobe", base, sub);
	if (n < 0 || (size_t)n >= size || file_mkdirs(out, 0700) || dir_usable(out))
		out[0] = '\0';
	return out;
}

static char *entry_path(const char *dir, const char *kind, const struct cache_key *k)
{
	return xasprintf("%s/%s-%016llx%016llx", dir, kind, (unsigned long long)k->word[0],
			 (unsigned long long)k->word[1]);
}

static int check_entry(const struct buf *b, const struct cache_key *k)
{
	struct cache_head h;

	if (b->len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, b->data, sizeof(h));
	if (memcmp(h.magic, cache_magic, sizeof(h.magic)) || memcmp(&h.key, k, sizeof(*k)) ||
	    h.len != b->len - sizeof(h) ||
	    h.sum != hash_bytes(k->word[0], b->data + sizeof(h), h.len))
		return -EBADMSG;
	return 0;
}

int cache_get(const char *dir, const char *kind, const struct cache_key *k, struct buf *out)
{
	struct buf b = {0};
	char *path;
	int err;

	if (!dir || !*dir || dir_usable(dir))
		return -ENOENT;
	path = entry_path(dir, kind, k);
	err = file_read(path, &b, CACHE_ENTRY_LIMIT);
	if (err) {
		if (err != -ENOENT)
			unlink(path);
		err = -ENOENT;
		goto out;
	}
	err = check_entry(&b, k);
	if (err) {
		unlink(path);
		goto out;
	}
	buf_add(out, b.data + sizeof(struct cache_head), b.len - sizeof(struct cache_head));
	utimensat(AT_FDCWD, path, NULL, 0);
out:
	buf_free(&b);
	free(path);
	return err;
}

struct aged {
	char *name;
	struct timespec used;
	off_t size;
};

static int older(const void *pa, const void *pb)
{
	const struct aged *a = pa, *b = pb;

	if (a->used.tv_sec != b->used.tv_sec)
		return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
	return a->used.tv_nsec < b->used.tv_nsec ? -1 : a->used.tv_nsec > b->used.tv_nsec;
}

/* KIND-32 hexadecimal digits; whatever else lies here is somebody else's. */
static bool is_entry(const char *name)
{
	const char *dash = strrchr(name, '-');

	return dash && dash > name && strlen(dash + 1) == 32 &&
	       strspn(dash + 1, "0123456789abcdef") == 32;
}

/* Removes what was used longest ago until the rest fits. */
static void trim(const char *dir, off_t limit)
{
	struct aged *list = NULL;
	size_t n = 0, cap = 0, i;
	struct dirent *e;
	struct stat st;
	off_t total = 0;
	DIR *d = opendir(dir);

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (!is_entry(e->d_name) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		*VEC_PUSH(list, n, cap) = (struct aged){xstrdup(e->d_name), st.st_mtim, st.st_size};
		total += st.st_size;
	}
	if (n)
		qsort(list, n, sizeof(*list), older);
	for (i = 0; i < n; i++) {
		if (total > limit && !unlinkat(dirfd(d), list[i].name, 0))
			total -= list[i].size;
		free(list[i].name);
	}
	free(list);
	closedir(d);
}

int cache_put(const char *dir, const char *kind, const struct cache_key *k, const void *data,
	      size_t len)
{
	struct cache_head h = {.key = *k, .len = len};
	struct buf b = {0};
	char *path;
	int err;

	if (!dir || !*dir)
		return -ENOENT;
	err = dir_usable(dir);
	if (err)
		return err;
	if (len > CACHE_ENTRY_LIMIT - sizeof(h))
		return -EFBIG;
	memcpy(h.magic, cache_magic, sizeof(h.magic));
	h.sum = hash_bytes(k->word[0], data, len);
	buf_add(&b, &h, sizeof(h));
	buf_add(&b, data, len);
	path = entry_path(dir, kind, k);
	err = file_replace(path, b.data, b.len);
	free(path);
	buf_free(&b);
	if (!err)
		trim(dir, CACHE_LIMIT);
	return err;
}

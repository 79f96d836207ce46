/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/btf_plain.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdint.h>
#include <string.h>

#include "util/alloc.h"

/* By number: the system's linux/btf.h may be older than the kernel. */
enum {
	KIND_INT = 1,
	KIND_CONST = 10,
	KIND_UNION = 5,
	KIND_DECL_TAG = 17,
	KIND_TYPE_TAG = 18,
	KIND_ENUM64 = 19,
	INT_OF_8_BITS = 8,
};

/* What follows the head of a type: so many bytes, and so many for each of its members. */
static const struct {
	uint8_t fixed, each;
} tails[] = {
	[KIND_INT] = {4, 0},
	[2] = {0, 0},  /* pointer */
	[3] = {12, 0}, /* array */
	[4] = {0, 12}, /* struct */
	[KIND_UNION] = {0, 12},
	[6] = {0, 8}, /* enum */
	[7] = {0, 0}, /* forward */
	[8] = {0, 0}, /* typedef */
	[9] = {0, 0}, /* volatile */
	[KIND_CONST] = {0, 0},
	[11] = {0, 0},	/* restrict */
	[12] = {0, 0},	/* function */
	[13] = {0, 8},	/* prototype */
	[14] = {4, 0},	/* variable */
	[15] = {0, 12}, /* section */
	[16] = {0, 0},	/* float */
	[KIND_DECL_TAG] = {4, 0},
	[KIND_TYPE_TAG] = {0, 0},
	[KIND_ENUM64] = {0, 12},
};

static void make_plain(struct btf_type *t, uint32_t kind, uint32_t vlen, uint32_t *tail)
{
	switch (kind) {
	case KIND_TYPE_TAG:
		t->name_off = 0;
		t->info = KIND_CONST << 24;
		break;
	case KIND_DECL_TAG:
		t->name_off = 0;
		t->info = KIND_INT << 24;
		t->size = 1;
		*tail = INT_OF_8_BITS;
		break;
	case KIND_ENUM64:
		t->info = KIND_UNION << 24 | vlen;
		/* {name, low, high} becomes {name, type, offset}: void, at the start. */
		for (uint32_t i = 0; i < vlen; i++)
			tail[i * 3 + 1] = tail[i * 3 + 2] = 0;
		break;
	default:
		break;
	}
}

static int find_types(const void *data, size_t len, size_t *from, size_t *to)
{
	struct btf_header h;

	if (len < sizeof(h))
		return -EINVAL;
	memcpy(&h, data, sizeof(h));
	if (h.magic != BTF_MAGIC || h.hdr_len < sizeof(h) || h.hdr_len > len ||
	    h.type_off > len - h.hdr_len || h.type_len > len - h.hdr_len - h.type_off ||
	    (h.hdr_len | h.type_off) % sizeof(uint32_t))
		return -EINVAL;
	*from = (size_t)h.hdr_len + h.type_off;
	*to = *from + h.type_len;
	return 0;
}

int btf_plain(void *data, size_t len)
{
	size_t at, to;

	if (find_types(data, len, &at, &to))
		return -EINVAL;
	while (at < to) {
		struct btf_type *t = (struct btf_type *)((char *)data + at);
		uint32_t kind, vlen;
		size_t size;

		if (to - at < sizeof(*t))
			return -EINVAL;
		kind = t->info >> 24 & 0x1f;
		vlen = t->info & 0xffff;
		if (!kind || kind >= ARRAY_LEN(tails))
			return -EINVAL;
		size = tails[kind].fixed + (size_t)tails[kind].each * vlen;
		at += sizeof(*t);
		if (to - at < size)
			return -EINVAL;
		make_plain(t, kind, vlen, (uint32_t *)(t + 1));
		at += size;
	}
	return 0;
}

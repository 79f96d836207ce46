/* SPDX-License-Identifier: Apache-2.0 */
/* Is this memory a tensor, read with this layout? */
#include <string.h>

#include "target/layout_impl.h"
#include "util/alloc.h"

struct raw {
	const struct layout *l;
	const uint8_t *p;
	size_t len;
};

static bool read_at(const struct raw *r, int32_t off, size_t size, uint64_t *out)
{
	*out = 0;
	if (off < 0 || (size_t)off + size > r->len)
		return false;
	memcpy(out, r->p + off, size);
	return true;
}

static bool dimension(const struct raw *r, enum layout_field f, int i, uint64_t *out)
{
	int width = f == LAYOUT_TENSOR_NE ? layout_get(r->l, LAYOUT_TENSOR_NE_WIDTH) : 8;

	return read_at(r, layout_get(r->l, f) + i * width, width == 4 ? 4 : 8, out);
}

static bool bad(char *why, size_t n, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool bad(char *why, size_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (n)
		vsnprintf(why, n, fmt, ap);
	va_end(ap);
	return false;
}

static bool check_op(const struct raw *r, char *why, size_t n)
{
	uint64_t op;

	if (!read_at(r, layout_get(r->l, LAYOUT_TENSOR_OP), 4, &op))
		return bad(why, n, "the struct is cut off before its operator");
	if (op >= r->l->n_ops)
		return bad(why, n, "operator number %llu is not below %zu", (unsigned long long)op,
			   r->l->n_ops);
	return true;
}

static bool check_dimensions(const struct raw *r, char *why, size_t n)
{
	const int64_t largest = INT64_C(1) << 48;

	for (int i = 0; i < 4; i++) {
		uint64_t ne;

		if (!dimension(r, LAYOUT_TENSOR_NE, i, &ne))
			return bad(why, n, "the struct is cut off inside its dimensions");
		/* An empty batch gives real tensors a dimension of zero. */
		if ((int64_t)ne < 0 || (int64_t)ne > largest)
			return bad(why, n, "dimension %d is %lld", i, (long long)ne);
	}
	return true;
}

static bool check_type(const struct raw *r, char *why, size_t n)
{
	const struct layout_type *t;
	uint64_t type, nb;

	if (!read_at(r, layout_get(r->l, LAYOUT_TENSOR_TYPE), 4, &type) ||
	    !dimension(r, LAYOUT_TENSOR_NB, 0, &nb))
		return bad(why, n, "the struct is cut off before its strides");
	if (!r->l->n_types)
		return true;
	t = layout_type(r->l, type);
	if (!t || !t->name[0])
		return bad(why, n, "type number %llu is unknown", (unsigned long long)type);
	/* Views may step over elements, never by less than one block. */
	if (t->size && (nb < (uint64_t)t->size || nb % (uint64_t)t->size))
		return bad(why, n, "stride nb[0] is %llu, type %s takes %d bytes",
			   (unsigned long long)nb, t->name, t->size);
	return true;
}

static bool check_name(const struct raw *r, char *why, size_t n)
{
	int32_t off = layout_get(r->l, LAYOUT_TENSOR_NAME);
	int32_t len = layout_get(r->l, LAYOUT_TENSOR_NAME_LEN);

	if (off < 0 || len <= 0)
		return true;
	if ((size_t)off + (size_t)len > r->len)
		return bad(why, n, "the struct is cut off inside its name");
	for (int32_t i = 0; i < len; i++) {
		uint8_t c = r->p[off + i];

		if (!c)
			return true;
		if (c < 32 || c == 127)
			return bad(why, n, "the name holds byte 0x%02x", c);
	}
	return bad(why, n, "the name does not end within %d bytes", len);
}

static bool check_sources(const struct raw *r, char *why, size_t n)
{
	int32_t count = layout_get(r->l, LAYOUT_TENSOR_N_SRC);

	for (int32_t i = 0; i < count; i++) {
		uint64_t p;

		if (!read_at(r, layout_get(r->l, LAYOUT_TENSOR_SRC) + 8 * i, 8, &p))
			return bad(why, n, "the struct is cut off inside its sources");
		/* User addresses are below 2^56 everywhere and structs are aligned. */
		if (p >> 56 || p % 8 || (p && p < 4096))
			return bad(why, n, "source %d is no address: 0x%llx", i,
				   (unsigned long long)p);
	}
	return true;
}

bool layout_check_tensor(const struct layout *l, const void *raw, size_t len, char *why, size_t n)
{
	struct raw r = {l, raw, len};

	if (n)
		why[0] = '\0';
	return check_op(&r, why, n) && check_dimensions(&r, why, n) && check_type(&r, why, n) &&
	       check_name(&r, why, n) && check_sources(&r, why, n);
}

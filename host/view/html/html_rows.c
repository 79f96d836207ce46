/* SPDX-License-Identifier: Apache-2.0 */
#include "view/html/html_rows.h"

static void put_varint(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_putc(b, (char)(v | 0x80));
	buf_putc(b, (char)v);
}

void html_rows_init(struct html_rows *r, int64_t origin)
{
	*r = (struct html_rows){.at = origin};
}

void html_rows_free(struct html_rows *r)
{
	buf_free(&r->bytes);
}

void html_rows_add(struct html_rows *r, int64_t begin, const uint64_t *numbers, size_t n)
{
	int64_t gap = begin - r->at;

	put_varint(&r->bytes, gap < 0 ? ((uint64_t)-gap << 1) - 1 : (uint64_t)gap << 1);
	for (size_t i = 0; i < n; i++)
		put_varint(&r->bytes, numbers[i]);
	r->at = begin + (int64_t)numbers[0];
}

void html_rows_put(const struct html_rows *r, struct json_out *j, const char *key)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)r->bytes.data;
	struct buf text = {0};

	for (size_t i = 0; i < r->bytes.len; i += 3) {
		size_t left = r->bytes.len - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);

		buf_putc(&text, digits[v >> 18]);
		buf_putc(&text, digits[v >> 12 & 63]);
		buf_putc(&text, left > 1 ? digits[v >> 6 & 63] : '=');
		buf_putc(&text, left > 2 ? digits[v & 63] : '=');
	}
	json_text(j, key, buf_str(&text));
	buf_free(&text);
}

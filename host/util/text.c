/* SPDX-License-Identifier: Apache-2.0 */
#include "util/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/buf.h"

enum { NEAREST_MAX_LEN = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

static size_t edit_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), row[NEAREST_MAX_LEN + 1];

	if (la > NEAREST_MAX_LEN || lb > NEAREST_MAX_LEN)
		return NEAREST_MAX_LEN;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t same = diagonal + (tolower(a[i - 1]) != tolower(b[j - 1]));

			diagonal = row[j];
			row[j] = min3(row[j] + 1, row[j - 1] + 1, same);
		}
	}
	return row[lb];
}

const char *text_nearest(const char *word, const char *(*next)(const void *state, size_t i),
			 const void *state)
{
	size_t best = strlen(word) / 3 + 2;
	const char *found = NULL, *name;

	for (size_t i = 0; (name = next(state, i)); i++) {
		size_t d = edit_distance(word, name);

		if (d < best) {
			best = d;
			found = name;
		}
	}
	return found;
}

struct name_list {
	const char *const *names;
	size_t n;
};

static const char *list_next(const void *state, size_t i)
{
	const struct name_list *list = state;

	return i < list->n ? list->names[i] : NULL;
}

const char *text_nearest_of(const char *word, const char *const *names, size_t n)
{
	return text_nearest(word, list_next, &(struct name_list){names, n});
}

int text_to_i64(const char *s, int64_t *out)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(s, &end, 0);
	if (errno == ERANGE)
		return -ERANGE;
	if (end == s || *end || isspace((unsigned char)*s))
		return -EINVAL;
	*out = v;
	return 0;
}

int text_to_u64(const char *s, uint64_t *out)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno == ERANGE)
		return -ERANGE;
	if (end == s || *end || !isdigit((unsigned char)*s))
		return -EINVAL;
	*out = v;
	return 0;
}

int text_to_double(const char *s, double *out)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(s, &end);
	if (errno == ERANGE)
		return -ERANGE;
	if (end == s || *end || isspace((unsigned char)*s) || !isfinite(v))
		return -EINVAL;
	*out = v;
	return 0;
}

struct unit {
	const char *name;
	double factor;
};

/* Parses NUMBER[UNIT]; a bare number is multiplied by `bare`. */
static int with_unit(const char *s, const struct unit *units, size_t n, double bare, uint64_t *out)
{
	char *end;
	double v, factor = bare;

	if (!isdigit((unsigned char)*s) && *s != '.')
		return -EINVAL;
	v = strtod(s, &end);
	if (*end) {
		size_t i;

		for (i = 0; i < n && strcasecmp(end, units[i].name) != 0; i++)
			;
		if (i == n)
			return -EINVAL;
		factor = units[i].factor;
	}
	v *= factor;
	if (!isfinite(v) || v >= 18446744073709551616.0)
		return -ERANGE;
	*out = (uint64_t)v;
	return 0;
}

int text_to_size(const char *s, uint64_t *bytes)
{
	static const struct unit units[] = {
		{"B", 1},	    {"K", 1024},	 {"KB", 1024},	   {"KiB", 1024},
		{"M", 1048576},	    {"MB", 1048576},	 {"MiB", 1048576}, {"G", 1073741824},
		{"GB", 1073741824}, {"GiB", 1073741824},
	};

	return with_unit(s, units, ARRAY_LEN(units), 1, bytes);
}

int text_to_duration(const char *s, uint64_t *ns)
{
	static const struct unit units[] = {
		{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9},
	};

	return with_unit(s, units, ARRAY_LEN(units), 1e9, ns);
}

static const char *scaled(double v, double step, const char *const *units, size_t n, char out[32])
{
	size_t i = 0;

	while (i + 1 < n && fabs(v) >= step) {
		v /= step;
		i++;
	}
	snprintf(out, 32, "%.*f %s",
		 i == 0 || fabs(v) >= 100 ? 0
		 : fabs(v) >= 10	  ? 1
					  : 2,
		 v, units[i]);
	return out;
}

const char *text_bytes(double bytes, char out[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};

	return scaled(bytes, 1024, units, ARRAY_LEN(units), out);
}

const char *text_ns(double ns, char out[32])
{
	static const char *const units[] = {"ns", "us", "ms", "s"};

	return scaled(ns, 1000, units, ARRAY_LEN(units), out);
}

const char *text_count(uint64_t n, char out[32])
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), o = 0;

	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			out[o++] = ',';
		out[o++] = digits[i];
	}
	out[o] = '\0';
	return out;
}

bool text_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *s, const char *suffix)
{
	size_t ls = strlen(s), lx = strlen(suffix);

	return ls >= lx && strcmp(s + ls - lx, suffix) == 0;
}

size_t text_utf8_len(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc2 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf5 ? 4
			       : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than need be, halves of surrogates, and what lies beyond the last character. */
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90))
		return 0;
	return n;
}

bool text_is_utf8(const char *s)
{
	for (size_t n; *s; s += n) {
		n = text_utf8_len(s);
		if (!n)
			return false;
	}
	return true;
}

char *text_to_utf8(const char *s)
{
	struct buf out = {0};

	for (size_t n; *s; s += n ? n : 1) {
		n = text_utf8_len(s);
		if (n)
			buf_add(&out, s, n);
		else
			buf_puts(&out, "\xef\xbf\xbd");
	}
	return out.len ? buf_take(&out) : xstrdup("");
}

char *text_for_terminal(const char *s)
{
	char *out = text_to_utf8(s), *to = out;

	for (const char *from = out; *from;) {
		unsigned char c = (unsigned char)*from;
		/* U+0080 to U+009f are control characters of two bytes. */
		bool c1 = c == 0xc2 && (unsigned char)from[1] < 0xa0;

		*to++ = c < 0x20 || c == 0x7f || c1 ? '?' : *from;
		from += 1 + c1;
	}
	*to = '\0';
	return out;
}

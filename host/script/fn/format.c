/* SPDX-License-Identifier: Apache-2.0 */
#include "script/fn/format.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *number(const char *p, int *value, bool *from_arg)
{
	if (*p == '*') {
		*from_arg = true;
		return p + 1;
	}
	*value = 0;
	while (isdigit((unsigned char)*p)) {
		if (*value < 100000)
			*value = *value * 10 + *p - '0';
		p++;
	}
	return p;
}

/* One conversion at p, which is a '%'; false when it is none: a plain '%' then. */
static bool conversion_at(const char *p, struct conversion *c)
{
	size_t n = 0;

	*c = (struct conversion){.start = p++, .width = -1, .precision = -1, .size = 8};
	while (*p && strchr("-+ #0", *p)) {
		if (n < sizeof(c->flags) - 1)
			c->flags[n++] = *p;
		p++;
	}
	if (isdigit((unsigned char)*p) || *p == '*')
		p = number(p, &c->width, &c->width_arg);
	if (*p == '.')
		p = number(p + 1, &c->precision, &c->precision_arg);
	for (; *p && strchr("hlLjzt", *p); p++)
		c->size = *p == 'h' ? (c->size == 2 ? 1 : 2) : 8;
	if (!*p || !strchr("diouxXeEfFgGaAcpnsr%", *p))
		return false;
	c->conv[0] = *p++;
	if ((c->conv[0] == 'r' && (*p == 'x' || *p == 'h')) || (c->conv[0] == 'g' && *p == 'r'))
		c->conv[1] = *p++;
	c->end = p;
	return true;
}

bool format_next(const char **pos, struct conversion *c)
{
	const char *p = *pos;

	while ((p = strchr(p, '%'))) {
		if (conversion_at(p, c)) {
			*pos = c->end;
			return true;
		}
		p++;
	}
	return false;
}

bool conversion_known(const struct conversion *c)
{
	return strchr("diouxXcpsr%", c->conv[0]) || (c->conv[0] == 'g' && c->conv[1] == 'r');
}

bool conversion_takes(const struct conversion *c, const struct type *t)
{
	switch (c->conv[0]) {
	case 's':
		return t->kind != TY_VOID &&
		       (!type_is_aggregate(t->kind) || type_in_register(t) || t->kind == TY_STATS);
	case 'r':
		return t->kind == TY_BUFFER;
	default:
		return type_is_int(t) || t->kind == TY_PTR ||
		       (type_is_aggregate(t->kind) && type_in_register(t));
	}
}

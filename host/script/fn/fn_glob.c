/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globmatch(text, pattern). The pattern is known when the script is compiled and becomes a matcher
 * with one bit per place in it: bit i is set while the first i elements can have been matched. A
 * byte of the text moves every bit whose element takes it, and keeps those that stand at a '*'. So
 * the text is read once, whatever the pattern, and nothing is tried twice.
 */
#include <string.h>

#include "script/fn/builtin.h"

enum { MAX_RANGES = 256, MAX_ELEMENTS = 63 };

/* Bytes from..to are taken by the elements of `mask`, or refused by them. */
struct range {
	uint8_t from, to;
	bool refused;
	uint64_t mask;
};

struct glob {
	struct range ranges[MAX_RANGES];
	size_t n_ranges;
	unsigned n;    /* elements that take one byte */
	uint64_t any;  /* elements that take what no range refuses */
	uint64_t stay; /* places at which a '*' stands */
};

static bool add_range(struct glob *g, uint8_t from, uint8_t to, bool refused)
{
	if (g->n_ranges == MAX_RANGES)
		return false;
	g->ranges[g->n_ranges++] = (struct range){from, to, refused, 1ull << g->n};
	return true;
}

/* [abc], [a-z], [!0-9]: NULL when it is not closed, then the bracket stands for itself. */
static const char *add_class(struct glob *g, const char *p)
{
	bool refused = p[1] == '!';
	const char *first = p + 1 + refused, *end = strchr(*first ? first + 1 : first, ']');

	if (!end)
		return NULL;
	for (p = first; p < end; p++) {
		bool is_range = p[1] == '-' && p + 2 < end;

		if (!add_range(g, (uint8_t)p[0], (uint8_t)p[is_range ? 2 : 0], refused))
			return NULL;
		p += is_range ? 2 : 0;
	}
	g->any |= refused ? 1ull << g->n : 0;
	return end;
}

static bool glob_parse(struct glob *g, const char *p)
{
	for (; *p; p++) {
		const char *end = *p == '[' ? add_class(g, p) : NULL;

		if (*p == '*') {
			g->stay |= 1ull << g->n;
			continue;
		}
		if (g->n == MAX_ELEMENTS)
			return false;
		if (end)
			p = end;
		else if (*p == '?')
			g->any |= 1ull << g->n;
		else if (!add_range(g, (uint8_t)*p, (uint8_t)*p, false))
			return false;
		g->n++;
	}
	return true;
}

static uint64_t glob_step(const struct glob *g, uint64_t at, uint8_t c)
{
	uint64_t takes = g->any;

	for (size_t i = 0; i < g->n_ranges; i++) {
		const struct range *r = &g->ranges[i];

		if (c >= r->from && c <= r->to)
			takes = r->refused ? takes & ~r->mask : takes | r->mask;
	}
	return (at & g->stay) | (at & takes) << 1;
}

static bool glob_matches(const struct glob *g, const char *text)
{
	uint64_t at = 1;

	for (; *text; text++)
		at = glob_step(g, at, (uint8_t)*text);
	return at >> g->n & 1;
}

static const struct type *check_globmatch(struct sema *s, struct node *n)
{
	struct node *text = n->list, *pattern = text->next;
	const struct type *t = sema_text(s, text);
	struct glob g = {0};

	if (t->kind == TY_NONE || sema_expr(s, pattern)->kind == TY_NONE)
		return &type_none;
	if (t->kind != TY_STRING)
		return sema_error(s, n, "globmatch() only supports string arguments (%s provided)",
				  type_word(t));
	if (pattern->kind != N_STR)
		return sema_error(s, pattern, "globmatch() pattern must be a string literal");
	if (!glob_parse(&g, pattern->name))
		return sema_error(s, pattern, "globmatch() pattern has more than %d elements",
				  MAX_ELEMENTS);
	if (text->kind == N_STR)
		node_become(n,
			    &(struct node){.kind = N_BOOL, .value = glob_matches(&g, text->name)});
	return &type_bool;
}

/* Which elements take the byte `c`, as statements on the mask `m`. */
static const char *mask_text(struct emit *e, const struct glob *g)
{
	const char *text = emf(e, "u64 m = 0x%llxull;", (unsigned long long)g->any);

	for (size_t i = 0; i < g->n_ranges; i++) {
		const struct range *r = &g->ranges[i];

		text = emf(e, "%s if (c >= %u && c <= %u) m %s 0x%llxull;", text, r->from, r->to,
			   r->refused ? "&=" : "|=",
			   (unsigned long long)(r->refused ? ~r->mask : r->mask));
	}
	return text;
}

static struct operand emit_globmatch(struct emit *e, struct node *n)
{
	const char *text = em_memory(e, n->list), *mask, *at;
	uint32_t size = n->list->type->size;
	struct glob g = {0};
	int t = e->tmp++;

	glob_parse(&g, n->list->next->name);
	mask = mask_text(e, &g);
	if (em_is_long_text(e, size)) {
		text = em_scratch_text(e, text, size);
		/* bit 0 of the places is set at first: j holds the others' difference to that */
		at = em_byte_loop(e, size,
				  emf(e,
				      "\tu8 c = i < %u ? %s[i] : 0;\n"
				      "\t%s\n"
				      "\tu64 at = j ^ 1;\n"
				      "\tr = !c;\n"
				      "\tw[0] = i + 1;\n"
				      "\tif (c)\n"
				      "\t\tw[1] = ((at & 0x%llxull) | (at & m) << 1) ^ 1;\n",
				      size, text, mask, (unsigned long long)g.stay),
				  1);
		return opd_value(emf(e, "(((u64)%s ^ 1) >> %u & 1)", at, g.n));
	}
	em(e, "u64 q%d = 1;", t);
	em_open(e, "for (u32 i = 0; i < %u; i++)", size);
	em(e, "u8 c = ((u8 *)%s)[i];", text);
	em(e, "if (!c)");
	em(e, "\tbreak;");
	em(e, "%s", mask);
	em(e, "q%d = (q%d & 0x%llxull) | (q%d & m) << 1;", t, t, (unsigned long long)g.stay, t);
	em_close(e);
	return opd_value(emf(e, "(q%d >> %u & 1)", t, g.n));
}

/* clang-format off */
const struct builtin builtins_glob[] = {
	{.name = "globmatch", BUILTIN_CALL, 2, 2, check_globmatch, emit_globmatch,
	 .help = "whether a string matches a pattern with * ? [a-z] [!a-z]"},
	{.name = NULL},
};
/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
#include "level/filter.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/text.h"

enum { OPS_MAX = FILTER_OP_WORDS * 64 };

struct pattern {
	char *text;
	bool exclude, is_op;
	unsigned word, bit; /* tensor patterns: their first state */
};

struct filter {
	struct pattern *at;
	size_t count, cap;
	unsigned words; /* of states */
};

static bool is_op_pattern(const char *text)
{
	for (; *text; text++)
		if (!isupper((unsigned char)*text) && !isdigit((unsigned char)*text) &&
		    !strchr("_*?", *text))
			return false;
	return true;
}

/* States of a tensor pattern: one before each character that is no star, one for the end of the
 * name, one for "matched". */
static unsigned states(const char *text)
{
	unsigned n = 2;

	for (; *text; text++)
		n += *text != '*';
	return n;
}

static int place(struct filter *f, struct pattern *p, unsigned *used, struct diag *d)
{
	unsigned n = states(p->text);

	if (!f->words || *used + n > 64) {
		f->words++;
		*used = 0;
	}
	if (n > 64 || f->words > FILTER_WORDS_MAX)
		return diag_fail(d, -E2BIG,
				 "the tensor patterns of operators.include and operators.exclude "
				 "are too long: about %d characters together, 62 each",
				 FILTER_WORDS_MAX * 62);
	p->word = f->words - 1;
	p->bit = *used;
	*used += n;
	return 0;
}

static int add_all(struct filter *f, const char *const *text, size_t n, bool exclude,
		   unsigned *used, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		struct pattern *p = VEC_PUSH(f->at, f->count, f->cap);

		*p = (struct pattern){.text = xstrdup(text[i]), .exclude = exclude};
		p->is_op = is_op_pattern(text[i]);
		err = p->is_op ? 0 : place(f, p, used, d);
	}
	return err;
}

struct filter *filter_new(const struct filter_opts *o, struct diag *d)
{
	struct filter *f = xcalloc(1, sizeof(*f));
	unsigned used = 0;

	if (add_all(f, o->include, o->n_include, false, &used, d) ||
	    add_all(f, o->exclude, o->n_exclude, true, &used, d)) {
		filter_free(f);
		return NULL;
	}
	return f;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++)
		free(f->at[i].text);
	free(f->at);
	free(f);
}

bool filter_is_open(const struct filter *f)
{
	bool all = false;

	for (size_t i = 0; i < f->count; i++) {
		if (f->at[i].exclude)
			return false;
		all = all || strcmp(f->at[i].text, "*") == 0;
	}
	return all;
}

bool filter_has_names(const struct filter *f)
{
	return f->words > 0;
}

static bool op_matches(const struct filter *f, const char *op, bool exclude)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->at[i].is_op && f->at[i].exclude == exclude &&
		    fnmatch(f->at[i].text, op, 0) == 0)
			return true;
	return false;
}

bool filter_takes_op(const struct filter *f, const char *op)
{
	return op_matches(f, op, false) && !op_matches(f, op, true);
}

static size_t taken(const struct filter *f, const struct layout *l)
{
	size_t n = 0;

	for (size_t i = 0; i < layout_op_count(l); i++)
		n += filter_takes_op(f, layout_op_name(l, i));
	return n;
}

bool filter_is_narrow(const struct filter *f, const struct layout *l)
{
	size_t n = taken(f, l);

	return !f->words && n && 2 * n <= layout_op_count(l);
}

static const char function_prefix[] = "ggml_compute_forward_", fused_end[] = "_fused";

/* Where the function is not called as the operator is. */
static const struct {
	const char *op, *function;
} renamed[] = {
	{"SOFT_MAX_BACK", "soft_max_ext_back"},
	{"IM2COL_BACK", "im2col_back_f32"},
};

static char *with_case(const char *text, size_t n, int (*to)(int))
{
	char *s = xstrndup(text, n);

	for (char *c = s; *c; c++)
		*c = (char)to((unsigned char)*c);
	return s;
}

char *filter_function_of(const char *op)
{
	char *name = NULL, *symbol;

	for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
		if (strcmp(op, renamed[i].op) == 0)
			name = xstrdup(renamed[i].function);
	if (!name)
		name = with_case(op, strlen(op), tolower);
	symbol = xasprintf("%s%s", function_prefix, name);
	free(name);
	return symbol;
}

static const char *const moving[] = {"MUL_MAT", "MUL_MAT_ID", "GET_ROWS"};

bool filter_op_may_move(const char *op)
{
	for (size_t i = 0; i < ARRAY_LEN(moving); i++)
		if (strcmp(op, moving[i]) == 0)
			return true;
	return false;
}

/* `name` is what follows the prefix, `n` characters of it. */
static bool takes_function(const struct filter *f, const char *name, size_t n)
{
	char *op = with_case(name, n, toupper);
	bool takes = filter_takes_op(f, op);

	for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
		if (strlen(renamed[i].function) == n && !strncmp(name, renamed[i].function, n))
			takes = filter_takes_op(f, renamed[i].op);
	free(op);
	return takes;
}

/* "rms_norm_mul": either of the two, wherever the one ends. */
static bool takes_pair(const struct filter *f, const char *name, size_t n)
{
	for (size_t i = 1; i + 1 < n; i++)
		if (name[i] == '_' &&
		    (takes_function(f, name, i) || takes_function(f, name + i + 1, n - i - 1)))
			return true;
	return false;
}

bool filter_wants_symbol(const void *ctx, const char *symbol)
{
	const struct filter *f = ctx;
	const char *name = symbol + strlen(function_prefix);

	if (!text_starts(symbol, function_prefix)) {
		for (size_t i = 0; i < ARRAY_LEN(moving); i++)
			if (filter_takes_op(f, moving[i]))
				return true;
		return false;
	}
	if (text_ends(name, fused_end))
		return takes_pair(f, name, strlen(name) - strlen(fused_end));
	return takes_function(f, name, strlen(name));
}

static bool matches_some(const struct pattern *p, const struct layout *l)
{
	for (size_t i = 0; i < layout_op_count(l); i++)
		if (fnmatch(p->text, layout_op_name(l, i), 0) == 0)
			return true;
	return false;
}

static const char *next_op(const void *layout, size_t i)
{
	return layout_op_name(layout, i);
}

/* "mul_mat" is a legal tensor pattern, but hardly meant as one. */
static void check_name_pattern(const struct pattern *p, const struct layout *l, struct diag *d)
{
	char *up = with_case(p->text, strlen(p->text), toupper);

	if (layout_op_number(l, up) >= 0)
		diag_add(d, DIAG_WARNING,
			 "operators.%s: '%s' is matched against names of tensors; the operator is "
			 "written '%s'",
			 p->exclude ? "exclude" : "include", p->text, up);
	free(up);
}

static void check_op_pattern(const struct pattern *p, const struct layout *l, struct diag *d)
{
	const char *near;

	if (matches_some(p, l))
		return;
	near = text_nearest(p->text, next_op, l);
	diag_add(d, DIAG_WARNING, "operators.%s: '%s' matches no operator of this engine%s%s%s",
		 p->exclude ? "exclude" : "include", p->text, near ? "; did you mean '" : "",
		 near ? near : "", near ? "'?" : "");
}

int filter_check(const struct filter *f, const struct layout *l, struct diag *d)
{
	bool names = false;

	for (size_t i = 0; i < f->count; i++) {
		names = names || (!f->at[i].is_op && !f->at[i].exclude);
		if (f->at[i].is_op)
			check_op_pattern(&f->at[i], l, d);
		else
			check_name_pattern(&f->at[i], l, d);
	}
	if (names || taken(f, l))
		return 0;
	diag_add(d, DIAG_WARNING,
		 "operators.include and operators.exclude leave no operator to trace");
	return -ENOENT;
}

static void define_ops(const struct filter *f, const struct layout *l, bool exclude,
		       struct buf *out)
{
	uint64_t bits[FILTER_OP_WORDS] = {0};

	for (size_t i = 0; i < layout_op_count(l) && i < OPS_MAX; i++)
		if (op_matches(f, layout_op_name(l, i), exclude))
			bits[i / 64] |= 1ULL << (i % 64);
	for (size_t i = 0; i < FILTER_OP_WORDS; i++)
		buf_printf(out, "#define FILTER_%s_%zu 0x%llxULL\n", exclude ? "OUT" : "IN", i,
			   (unsigned long long)bits[i]);
}

static uint64_t accepting(const struct filter *f, unsigned word, bool exclude)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < f->count; i++) {
		const struct pattern *p = &f->at[i];

		if (!p->is_op && p->word == word && p->exclude == exclude)
			bits |= 1ULL << (p->bit + states(p->text) - 1);
	}
	return bits;
}

void filter_defines(const struct filter *f, const struct layout *l, struct buf *out)
{
	if (filter_is_open(f))
		return;
	buf_printf(out, "#define FILTER 1\n#define FILTER_WORDS %u\n", f->words);
	define_ops(f, l, false, out);
	define_ops(f, l, true, out);
	for (unsigned w = 0; w < FILTER_WORDS_MAX; w++)
		buf_printf(out,
			   "#define FILTER_IN_NAME_%u 0x%llxULL\n"
			   "#define FILTER_OUT_NAME_%u 0x%llxULL\n",
			   w, (unsigned long long)accepting(f, w, false), w,
			   (unsigned long long)accepting(f, w, true));
}

/* A star lets the state before the next character stay as long as the name goes on. */
static void fill_pattern(const struct pattern *p, struct filter_table *out)
{
	struct filter_step *step = out->step[p->word];
	unsigned bit = p->bit;

	out->start[p->word] |= 1ULL << bit;
	for (const char *c = p->text; *c; c++) {
		unsigned char ch = (unsigned char)*c;

		if (ch == '*') {
			for (int any = 1; any < 256; any++)
				step[any].keep |= 1ULL << bit;
			continue;
		}
		bit++;
		if (ch != '?')
			step[ch].next |= 1ULL << bit;
		for (int any = 1; ch == '?' && any < 256; any++)
			step[any].next |= 1ULL << bit;
	}
	bit++;
	step[0].next |= 1ULL << bit;
	for (int any = 0; any < 256; any++)
		step[any].keep |= 1ULL << bit;
}

void filter_fill(const struct filter *f, struct filter_table *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < f->count; i++)
		if (!f->at[i].is_op)
			fill_pattern(&f->at[i], out);
}

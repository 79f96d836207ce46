/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregations: count, sum, min, max, avg, stats, hist, lhist, tseries. */
#include <string.h>

#include "script/fn/builtin.h"
#include "script/check/const.h"

enum { MAX_LHIST_BUCKETS = 1000, MAX_HIST_BITS = 5, MAX_TSERIES = 1000000 };

static const struct type *agg_type(struct sema *s, struct node *n, enum type_kind kind)
{
	const struct type *t = n->list ? sema_expr(s, n->list) : &type_u64;
	struct type *out;

	if (t->kind == TY_NONE)
		return t;
	if (!type_is_int(t) && !(type_is_aggregate(t->kind) && type_in_register(t)))
		return sema_error(s, n, "%s() only supports integer arguments (%s provided)",
				  n->name, type_text(t, (char[128]){0}));
	out = type_alloc(s->types, kind);
	out->size = 8;
	out->is_signed = t->is_signed;
	return out;
}

static const struct type *check_count(struct sema *s, struct node *n)
{
	return agg_type(s, n, TY_COUNT);
}

static const struct type *check_sum(struct sema *s, struct node *n)
{
	return agg_type(s, n, TY_SUM);
}

static const struct type *check_min(struct sema *s, struct node *n)
{
	return agg_type(s, n, TY_MIN);
}

static const struct type *check_max(struct sema *s, struct node *n)
{
	return agg_type(s, n, TY_MAX);
}

static const struct type *check_avg(struct sema *s, struct node *n)
{
	return agg_type(s, n, TY_AVG);
}

static const struct type *check_stats(struct sema *s, struct node *n)
{
	return agg_type(s, n, TY_STATS);
}

static const struct type *check_hist(struct sema *s, struct node *n)
{
	const struct type *t = agg_type(s, n, TY_HIST);
	struct type *out = (struct type *)(uintptr_t)t;
	int64_t bits = 0;

	if (t->kind == TY_NONE)
		return t;
	if (n->list->next && !sema_literal(s, n->list->next, "hist() bits", &bits))
		return &type_none;
	if (bits < 0 || bits > MAX_HIST_BITS)
		return sema_error(s, n, "hist: bits %lld must be 0..%d", (long long)bits,
				  MAX_HIST_BITS);
	out->args[0] = bits;
	return out;
}

static const struct type *check_lhist(struct sema *s, struct node *n)
{
	const struct type *t = agg_type(s, n, TY_LHIST);
	struct type *out = (struct type *)(uintptr_t)t;

	if (t->kind == TY_NONE)
		return t;
	for (int i = 0; i < 3; i++)
		if (!sema_literal(s, call_arg(n, i + 1), "lhist() min, max and step",
				  &out->args[i]))
			return &type_none;
	if (out->args[0] < 0)
		return sema_error(s, n, "lhist: invalid min value (must be non-negative literal)");
	if (out->args[1] < 0)
		return sema_error(s, n, "lhist: invalid max value (must be non-negative literal)");
	if (out->args[2] < 0)
		return sema_error(s, n, "lhist: invalid step value");
	if (out->args[2] == 0)
		return sema_error(s, n, "lhist() step must be >= 1 (0 provided)");
	if (out->args[0] > out->args[1])
		return sema_error(s, n,
				  "lhist() min must be less than max (provided min %lld and max "
				  "%lld)",
				  (long long)out->args[0], (long long)out->args[1]);
	if (out->args[1] - out->args[0] < out->args[2])
		return sema_error(s, n,
				  "lhist() step is too large for the given range (provided step "
				  "%lld for range %lld)",
				  (long long)out->args[2],
				  (long long)(out->args[1] - out->args[0]));
	if ((out->args[1] - out->args[0]) / out->args[2] > MAX_LHIST_BUCKETS)
		return sema_error(s, n, "lhist() too many buckets, must be <= %d (would need %lld)",
				  MAX_LHIST_BUCKETS,
				  (long long)((out->args[1] - out->args[0]) / out->args[2]));
	return out;
}

static const struct type *check_tseries(struct sema *s, struct node *n)
{
	static const char *const kinds[] = {"none", "avg", "max", "min", "sum"};
	const struct type *t = agg_type(s, n, TY_TSERIES);
	struct type *out = (struct type *)(uintptr_t)t;
	struct node *how = call_arg(n, 3);

	if (t->kind == TY_NONE)
		return t;
	for (int i = 0; i < 2; i++)
		if (!sema_literal(s, call_arg(n, i + 1), "tseries() interval and buckets",
				  &out->args[i]))
			return &type_none;
	if (out->args[0] <= 0)
		return sema_error(s, n, "tseries() interval_ns must be >= 1 (%lld provided)",
				  (long long)out->args[0]);
	if (out->args[1] <= 0)
		return sema_error(s, n, "tseries() num_intervals must be >= 1 (%lld provided)",
				  (long long)out->args[1]);
	if (out->args[1] > MAX_TSERIES)
		return sema_error(s, n, "tseries() num_intervals must be < %d (%lld provided)",
				  MAX_TSERIES, (long long)out->args[1]);
	if (how) {
		sema_expr(s, how);
		for (int i = 1; i < 5; i++)
			if (how->kind == N_STR && strcmp(how->name, kinds[i]) == 0)
				out->args[2] = i;
		if (!out->args[2])
			return sema_error(s, n,
					  "tseries() expects one of the following aggregation "
					  "functions: avg, max, min, sum (\"%s\" provided)",
					  how->kind == N_STR ? how->name : "");
	}
	return out;
}

/* Reached when one stands where it cannot: the type pass has reported it. */
static struct operand emit_nothing(struct emit *e, struct node *n)
{
	(void)e;
	(void)n;
	return opd_none();
}

static const char *argument(struct emit *e, struct node *call)
{
	return em_tmp(e, call->list->type->is_signed, "%s", em_value(e, call->list));
}

static void update_count(struct emit *e, struct node *map, struct node *call)
{
	static const char *const one[] = {"1"};
	struct agg a = em_agg_begin(e, map, NULL);

	(void)call;
	em(e, "%s[0] += 1;", a.p);
	em_agg_end(e, &a, map, one, 1);
}

static void update_sum(struct emit *e, struct node *map, struct node *call)
{
	const char *words[] = {argument(e, call)};
	struct agg a = em_agg_begin(e, map, NULL);

	em(e, "%s[0] += %s;", a.p, words[0]);
	em_agg_end(e, &a, map, words, 1);
}

static void update_extreme(struct emit *e, struct node *map, struct node *call)
{
	const char *words[] = {argument(e, call), "1"};
	struct agg a = em_agg_begin(e, map, NULL);
	const char *c = map->sym->type->is_signed ? "s64" : "u64";

	em_open(e, "if (!%s[1] || (%s)%s %s (%s)%s[0])", a.p, c, words[0],
		map->sym->type->kind == TY_MIN ? "<" : ">", c, a.p);
	em(e, "%s[0] = %s;", a.p, words[0]);
	em(e, "%s[1] = 1;", a.p);
	em_close(e);
	em_agg_end(e, &a, map, words, 2);
}

static void update_stats(struct emit *e, struct node *map, struct node *call)
{
	const char *words[] = {argument(e, call), "1"};
	struct agg a = em_agg_begin(e, map, NULL);

	em(e, "%s[0] += %s;", a.p, words[0]);
	em(e, "%s[1] += 1;", a.p);
	em_agg_end(e, &a, map, words, 2);
}

static void add_to_bucket(struct emit *e, struct node *map, const char *bucket)
{
	static const char *const one[] = {"1"};
	struct agg a = em_agg_begin(e, map, bucket);

	em(e, "%s[0] += 1;", a.p);
	em_agg_end(e, &a, map, one, 1);
}

static void update_hist(struct emit *e, struct node *map, struct node *call)
{
	const char *v = argument(e, call);

	/* an unsigned value above 2^63 is no negative one */
	if (!call->list->type->is_signed && call->list->type->size == 8)
		v = em_tmp(e, true, "(s64)%s < 0 ? 0x7fffffffffffffffll : (s64)%s", v, v);
	add_to_bucket(e, map,
		      em_tmp(e, false, "lp_hist(%s, %lld)", v, (long long)map->sym->type->args[0]));
}

static void update_lhist(struct emit *e, struct node *map, struct node *call)
{
	const int64_t *arg = map->sym->type->args;
	const char *v = argument(e, call), *b = em_tmp(e, false, "0");
	long long last = (arg[1] - arg[0]) / arg[2] + 1;

	if (!call->list->type->is_signed && call->list->type->size == 8)
		v = em_tmp(e, true, "(s64)%s < 0 ? 0x7fffffffffffffffll : (s64)%s", v, v);
	em(e, "if ((s64)%s >= %lldll)", v, (long long)arg[1]);
	em(e, "\t%s = %lld;", b, last);
	em(e, "else if ((s64)%s >= %lldll)", v, (long long)arg[0]);
	em(e, "\t%s = (u64)(%s - %lldll) / %lldull + 1;", b, v, (long long)arg[0],
	   (long long)arg[2]);
	add_to_bucket(e, map, b);
}

/* Value { interval, total, count }, intervals by the time of day: a bucket that is of an older
 * interval starts over. */
static void update_tseries(struct emit *e, struct node *map, struct node *call)
{
	const int64_t *arg = map->sym->type->args;
	const char *v = argument(e, call);
	const char *wall = em_global(e, GLOBAL_WALL_NS);
	const char *epoch = em_tmp(e, false, "(now_ns() + %s) / %lldull", wall, (long long)arg[0]);
	const char *words[] = {epoch, v, "1"};
	struct agg a =
		em_agg_begin(e, map, em_tmp(e, false, "%s %% %lldull", epoch, (long long)arg[1]));
	const char *c = map->sym->type->is_signed ? "s64" : "u64";

	em_open(e, "if (%s[0] != %s || !%s[2])", a.p, epoch, a.p);
	em(e, "%s[0] = %s;", a.p, epoch);
	em(e, "%s[1] = %s;", a.p, v);
	em(e, "%s[2] = 1;", a.p);
	em_close(e);
	em_open(e, "else");
	if (arg[2] == 0)
		em(e, "%s[1] = %s;", a.p, v);
	else if (arg[2] == 1 || arg[2] == 4)
		em(e, "%s[1] += %s;", a.p, v);
	else
		em(e, "%s[1] = (%s)%s %s (%s)%s[1] ? %s : %s[1];", a.p, c, v,
		   arg[2] == 2 ? ">" : "<", c, a.p, v, a.p);
	em(e, "%s[2] += 1;", a.p);
	em_close(e);
	em_agg_end(e, &a, map, words, 3);
}

#define AGG BUILTIN_CALL | BUILTIN_AGG

/* clang-format off */
const struct builtin builtins_agg[] = {
	{.name = "count", AGG, 0, 0, check_count, emit_nothing, update_count, .help = "calls"},
	{.name = "sum", AGG, 1, 1, check_sum, emit_nothing, update_sum, .help = "sum of values"},
	{.name = "min", AGG, 1, 1, check_min, emit_nothing, update_extreme,
	 .help = "least value"},
	{.name = "max", AGG, 1, 1, check_max, emit_nothing, update_extreme,
	 .help = "greatest value"},
	{.name = "avg", AGG, 1, 1, check_avg, emit_nothing, update_stats, .help = "average"},
	{.name = "stats", AGG, 1, 1, check_stats, emit_nothing, update_stats,
	 .help = "count, average and sum"},
	{.name = "hist", AGG, 1, 2, check_hist, emit_nothing, update_hist,
	 .help = "histogram by powers of two"},
	{.name = "lhist", AGG, 4, 4, check_lhist, emit_nothing, update_lhist,
	 .help = "linear histogram"},
	{.name = "tseries", AGG, 3, 4, check_tseries, emit_nothing, update_tseries,
	 .help = "values over time"},
	{.name = NULL},
};
/* clang-format on */

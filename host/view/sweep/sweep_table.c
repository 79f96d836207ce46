/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "view/diff/rank.h"
#include "view/sweep/sweep_internal.h"
#include "view/table.h"

static struct table *new_table(void)
{
	struct table *t = table_new();

	table_column(t, "parameters", "parameters", TABLE_TEXT);
	table_column(t, "runs", "runs", TABLE_COUNT);
	table_column(t, "tokens_per_s", "tokens/s", TABLE_NUMBER);
	table_column(t, "change", "change", TABLE_CHANGE);
	table_column(t, "verdict", "", TABLE_TEXT);
	table_column(t, "tpot_p50_ns", "TPOT P50", TABLE_NS);
	table_column(t, "tpot_p95_ns", "P95", TABLE_NS);
	table_column(t, "prefill_per_s", "prefill/s", TABLE_NUMBER);
	table_column(t, "decode_mbu", "decode MBU", TABLE_PERCENT);
	table_column(t, "prefill_mfu", "prefill MFU", TABLE_PERCENT);
	table_column(t, "barrier_share", "barrier", TABLE_PERCENT);
	return t;
}

/* "best", whether the difference to the first row is more than noise, or that nothing was measured.
 */
static const char *verdict(const struct sweep_result *first, const struct sweep_result *r,
			   bool best)
{
	bool decode = first->n_tpot && r->n_tpot;
	double p = decode ? rank_test(first->tpot, first->n_tpot, r->tpot, r->n_tpot)
			  : rank_test(first->prefill, first->n_prefill, r->prefill, r->n_prefill);

	if (!r->runs)
		return "not measured";
	if (isnan(sweep_rate(r)))
		return "no calls recorded";
	if (r == first)
		return best ? "best, first" : "first";
	if (isnan(p))
		return best ? "best" : "";
	if (!rank_differs(p, sweep_rate(r) / sweep_rate(first) - 1))
		return best ? "best, no difference shown" : "no difference shown";
	if (best)
		return "best";
	return sweep_rate(r) > sweep_rate(first) ? "better" : "worse";
}

static void add_row(struct table *t, const char *label, const struct sweep_result *first,
		    const struct sweep_result *r, bool best)
{
	table_row(t);
	table_text(t, label);
	table_number(t, (double)r->runs);
	table_number(t, r->tokens_per_s);
	table_number(t, r == first ? NAN : sweep_rate(r) / sweep_rate(first) - 1);
	table_text(t, verdict(first, r, best));
	table_number(t, r->tpot_p50_ns);
	table_number(t, r->tpot_p95_ns);
	table_number(t, r->prefill_per_s);
	table_number(t, r->decode_mbu);
	table_number(t, r->prefill_mfu);
	table_number(t, r->barrier_share);
}

int sweep_print(const struct sweep *s, const struct view_opts *o, FILE *out, struct diag *d)
{
	struct sweep_result *r = xcalloc(s->n_combinations, sizeof(*r));
	struct table *t = new_table();
	long best;
	int err = 0;

	for (size_t i = 0; i < s->n_combinations; i++)
		r[i] = sweep_result(s, i, o->peaks);
	best = sweep_best(s, r);
	for (size_t i = 0; i < s->n_combinations; i++)
		add_row(t, s->labels[i], &r[0], &r[i], (long)i == best);
	if (o->sort)
		err = table_sort(t, o->sort, d);
	if (!err)
		table_print(t, o, 0, out);
	for (size_t i = 0; i < s->n_combinations && !err; i++)
		err = !r[i].runs;
	for (size_t i = 0; i < s->n_combinations; i++)
		sweep_result_free(&r[i]);
	table_free(t);
	free(r);
	return err;
}

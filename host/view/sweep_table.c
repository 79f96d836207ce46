/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "view/sweep_internal.h"
#include "view/table.h"

static struct table *new_table(void)
{
	struct table *t = table_new();

	table_column(t, "parameters", "parameters", TABLE_TEXT);
	table_column(t, "runs", "runs", TABLE_COUNT);
	table_column(t, "tokens_per_s", "tokens/s", TABLE_NUMBER);
	table_column(t, "prefill_per_s", "prefill/s", TABLE_NUMBER);
	table_column(t, "tpot_p50_ns", "TPOT P50", TABLE_NS);
	table_column(t, "tpot_p95_ns", "TPOT P95", TABLE_NS);
	table_column(t, "barrier_share", "barrier", TABLE_PERCENT);
	table_column(t, "change", "change", TABLE_PERCENT);
	table_column(t, "mark", "", TABLE_TEXT);
	return t;
}

int sweep_print(const struct sweep *s, const struct view_opts *o, FILE *out, struct diag *d)
{
	struct sweep_result *r = xcalloc(s->n_combinations, sizeof(*r));
	struct table *t = new_table();
	long best;
	int err = 0;

	for (size_t i = 0; i < s->n_combinations; i++)
		r[i] = sweep_result(s, i);
	best = sweep_best(s, r);
	for (size_t i = 0; i < s->n_combinations; i++) {
		table_row(t);
		table_text(t, s->labels[i]);
		table_number(t, (double)r[i].runs);
		table_number(t, r[i].tokens_per_s);
		table_number(t, r[i].prefill_per_s);
		table_number(t, r[i].tpot_p50_ns);
		table_number(t, r[i].tpot_p95_ns);
		table_number(t, r[i].barrier_share);
		table_number(t, r[i].tokens_per_s / r[0].tokens_per_s - 1);
		table_text(t, (long)i == best ? "best" : r[i].runs ? "" : "failed");
	}
	if (o->sort)
		err = table_sort(t, o->sort, d);
	if (!err)
		table_print(t, o, 0, out);
	table_free(t);
	free(r);
	return err;
}

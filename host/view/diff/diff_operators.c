/* SPDX-License-Identifier: Apache-2.0 */
#include "view/diff/diff_operators.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct op_times {
	char name[64];
	double ns[2]; /* per token; NAN: the run does not have it */
};

struct operators {
	struct op_times *v;
	size_t n, cap;
};

static struct op_times *named(struct operators *all, const char *name)
{
	struct op_times *found;

	for (size_t i = 0; i < all->n; i++)
		if (strncmp(all->v[i].name, name, sizeof(all->v[i].name) - 1) == 0)
			return &all->v[i];
	found = VEC_PUSH(all->v, all->n, all->cap);
	*found = (struct op_times){.ns = {NAN, NAN}};
	snprintf(found->name, sizeof(found->name), "%s", name);
	return found;
}

static size_t read_side(sqlite3 *db, const char *phase, int side, struct operators *all)
{
	double tokens = view_double(
		db, 0, "SELECT sum(n_tokens) FROM token_t WHERE phase = ?1 AND first_op NOT NULL",
		"s", phase);
	sqlite3_stmt *q = view_query(
		db, NULL,
		"SELECT coalesce(t.op, '?'), sum(p.compute_ns) FROM op_phase_t p LEFT JOIN tensor_t"
		" t ON t.id = p.tensor_id WHERE p.phase = ?1 GROUP BY 1",
		"s", phase);
	size_t rows = 0;

	/* Imported runs know no tokens: their operators stand for one each. */
	if (!(tokens > 0))
		tokens = view_double(db, 1, "SELECT count(*) FROM token_t WHERE phase = ?1", "s",
				     phase);
	for (; view_step(q); rows++)
		named(all, view_text(q, 0))->ns[side] =
			sqlite3_column_double(q, 1) / fmax(tokens, 1);
	return rows;
}

static int dearest_first(const void *a, const void *b)
{
	const struct op_times *x = a, *y = b;
	double p = fmax(x->ns[0], x->ns[1]), q = fmax(y->ns[0], y->ns[1]);

	return (q > p) - (q < p);
}

struct table *diff_operators(sqlite3 *first_run, sqlite3 *other_run, enum summary_phase phase,
			     const char *first, const char *other)
{
	const char *name = summary_phase_name(phase);
	struct operators all = {0};
	struct table *t = table_new();

	table_column(t, "op",
		     phase == SUM_DECODE ? "operator, compute per decode"
					 : "operator, compute per prompt token",
		     TABLE_TEXT);
	table_column(t, "first_ns", first, TABLE_NS);
	table_column(t, "other_ns", other, TABLE_NS);
	table_column(t, "absolute_ns", "change", TABLE_NS);
	table_column(t, "relative", "", TABLE_CHANGE);
	if (read_side(first_run, name, 0, &all) && read_side(other_run, name, 1, &all))
		qsort(all.v, all.n, sizeof(*all.v), dearest_first);
	else
		all.n = 0;
	for (size_t i = 0; i < all.n; i++) {
		const struct op_times *o = &all.v[i];

		table_row(t);
		table_text(t, o->name);
		table_number(t, o->ns[0]);
		table_number(t, o->ns[1]);
		table_number(t, fmax(o->ns[1], 0) - fmax(o->ns[0], 0));
		table_number(t, o->ns[1] / o->ns[0] - 1);
	}
	free(all.v);
	return t;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By which probes the operators that are asked for (operators.include and exclude) are seen.
 *
 * In a build whose loop over nodes tells which of them ends, one probe there sees all: half the
 * hits of a begin and a barrier, and no more than begins alone take. operators.barrier has no say
 * there. Counters want to be read at an operator's begin, though.
 *
 * Where the operators are few and all of them have functions of their own, those are probed and the
 * others cost nothing; an operator then ends at its function's exit and its barrier wait is not
 * known. Elsewhere the common probes see all of them and their program drops the others.
 */
#include "session/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/kmap.h"
#include "util/text.h"

enum own_choice { OWN_UNDECIDED, OWN_NO, OWN_YES, OWN_NOTHING };

int session_make_filter(struct session *s, struct diag *d)
{
	struct filter_opts o = {s->opts.include, s->opts.exclude, s->opts.n_include,
				s->opts.n_exclude};

	if (!o.n_include && !o.n_exclude)
		return 0;
	s->filter = filter_new(&o, d);
	if (!s->filter)
		return -EINVAL;
	if (filter_is_open(s->filter)) {
		filter_free(s->filter);
		s->filter = NULL;
	}
	return 0;
}

void session_filter_free(struct session *s)
{
	filter_free(s->filter);
	free(s->own_choice);
}

static bool has_own_point(struct session *s, int layout, const char *symbol, const char *kind)
{
	struct plan_mark m = plan_mark(s->plan);

	for (size_t i = 0; i < m.points; i++) {
		const struct plan_point *p = plan_point(s->plan, i);

		if (p->level == LEVEL_OPERATOR && p->layout == layout &&
		    text_starts(p->event, "op_own") &&
		    (symbol ? !strcmp(p->symbol, symbol) : !strcmp(p->kind, kind)))
			return true;
	}
	return false;
}

static bool op_has_function(struct session *s, int layout, const char *op)
{
	char *symbol = filter_function_of(op);
	bool has = has_own_point(s, layout, symbol, NULL);

	free(symbol);
	return has && (!filter_op_may_move(op) || has_own_point(s, layout, NULL, "moved"));
}

static const char without_wait[] =
	"operators.include: these operators are seen at functions of their own, others cost "
	"nothing; "
	"barrier wait is not taken, operators.barrier: always has it at the cost of all operators";

static enum own_choice choose(struct session *s, int layout, struct diag *d)
{
	const struct layout *l = plan_layout(s->plan, (size_t)layout)->layout;

	if (filter_check(s->filter, l, d))
		return OWN_NOTHING;
	if (s->opts.barrier_asked || !filter_is_narrow(s->filter, l))
		return OWN_NO;
	for (size_t i = 0; i < layout_op_count(l); i++)
		if (filter_takes_op(s->filter, layout_op_name(l, i)) &&
		    !op_has_function(s, layout, layout_op_name(l, i)))
			return OWN_NO;
	s->own_functions = true;
	session_note_barrier(s);
	session_note_text(s, "filter", without_wait);
	diag_add(d, DIAG_NOTE, "%s", without_wait);
	return OWN_YES;
}

static enum own_choice own(struct session *s, int layout, struct diag *d)
{
	if (!s->filter || layout < 0)
		return OWN_NO;
	while (s->n_own_choices <= (size_t)layout)
		*VEC_PUSH(s->own_choice, s->n_own_choices, s->cap_own_choices) = OWN_UNDECIDED;
	if (s->own_choice[layout] == OWN_UNDECIDED)
		s->own_choice[layout] = (uint8_t)choose(s, layout, d);
	return s->own_choice[layout];
}

/* "ggml_compute_forward_add_non_quantized" begins like an operator's function and is none. */
static bool computes_some(struct session *s, const struct plan_point *p)
{
	const struct layout *l = plan_layout(s->plan, (size_t)p->layout)->layout;
	bool does = false;

	if (*p->kind || text_ends(p->symbol, "_fused"))
		return true;
	for (size_t i = 0; i < layout_op_count(l) && !does; i++) {
		char *symbol = filter_function_of(layout_op_name(l, i));

		does = strcmp(symbol, p->symbol) == 0;
		free(symbol);
	}
	return does;
}

static bool wants_node_ends(const struct session *s)
{
	return !s->n_counters || s->counters_shed;
}

static bool is_node_end(const struct plan_point *p)
{
	return p->level == LEVEL_OPERATOR && !strcmp(p->event, "op_node");
}

static bool file_has_node_ends(const struct session *s, size_t file)
{
	struct plan_mark m = plan_mark(s->plan);

	for (size_t i = 0; i < m.sites; i++) {
		const struct plan_site *site = plan_site(s->plan, i);

		if (site->file == file && is_node_end(plan_point(s->plan, site->point)))
			return true;
	}
	return false;
}

bool session_node_ends(struct session *s, int layout)
{
	struct plan_mark m = plan_mark(s->plan);

	for (size_t i = 0; wants_node_ends(s) && i < m.points; i++) {
		const struct plan_point *p = plan_point(s->plan, i);

		if (is_node_end(p) &&
		    (layout < 0 || session_layout_id(s, p->layout) == session_layout_id(s, layout)))
			return true;
	}
	return false;
}

bool session_waits_are_free(struct session *s)
{
	return session_node_ends(s, -1);
}

bool session_takes_event(struct session *s, const struct level_event *e,
			 const struct plan_site *site, struct diag *d)
{
	const struct plan_point *p = plan_point(s->plan, site->point);

	if (!e->is_common && !e->is_own)
		return true;
	switch (own(s, p->layout, d)) {
	case OWN_NOTHING:
		return false;
	case OWN_YES:
		return e->is_own && computes_some(s, p);
	default:
		return e->is_common &&
		       e->is_node == (wants_node_ends(s) && file_has_node_ends(s, site->file));
	}
}

const char *session_nothing_matched(struct session *s)
{
	struct summary_key key;
	uint32_t graphs = CONTROL_GRAPHS;
	uint64_t n = 0;

	kmap_lookup(s->map[MAP_CONTROL], &graphs, &n);
	if (!s->filter || !n || s->n_operators || kmap_next(s->map[MAP_SUMMARY], NULL, &key) == 0)
		return "";
	return "no operator that ran matches operators.include and operators.exclude; patterns in "
	       "capitals (MUL_MAT*) name operators, others (blk.0.*, Qcur-*) tensors, and the "
	       "tensor table of a run without them lists both";
}
